"""The TLS reports that were received: `reports.sqlite` in the state folder, beside the state and not in it.

Rules for every editor. A message is on the disk before its sender is told so, and before it is read (`accept`); what
becomes of it is one transaction (`settle`). So an end at any moment loses nothing. Strangers fill this file: its size
is bounded, and the oldest texts go first. Losing it costs evidence, never a wrong write. A broken file is moved aside.
"""

import os
import sqlite3
import threading
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sidecar.formats.report_message import LARGEST_MESSAGE
from sidecar.host.errors import TemporaryError
from sidecar.host.plain_file import open_plain
from sidecar.observed.reports import (
    DaySum,
    FailureSum,
    Holding,
    Proof,
    Reported,
    ReportTotals,
    ReportWay,
    UnreadableMessage,
)
from sidecar.reports import rows, tables
from sidecar.reports.digest import Digest
from sidecar.reports.rows import WAITING, SettledReport

NAME = "reports.sqlite"
BUSY_S = 5.0
DAY_S = 86_400.0
LARGEST_TEXTS = 100 * 1024 * 1024
"""Octets of all raw messages together, packed."""
LARGEST_FILE = 300 * 1024 * 1024
"""Octets of the file: from there on the oldest messages go, with what was read from them; first those without proof."""
MOST_WAITING = 2_000
"""Messages that were received and not read yet; more are refused, and their senders keep them."""
LARGEST_WAITING = 100 * 1024 * 1024
"""Octets of these, unpacked."""
PUT_OFF = 4
"""At most this part of both may be put off, so that keys which never come do not keep out other messages."""
LONGEST_WAIT_S = 2 * DAY_S
"""A message that was put off until later than that was so before the clock was set back: it is read now."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message that was received and not read yet; `tries` is how often reading it had to be put off."""

    id: int
    way: ReportWay
    received_at: float
    data: bytes
    tries: int


class ReportStore:
    """The store; its calls block, at most some seconds, and may come from any thread.

    Each raises TemporaryError where the file cannot be used; the next call begins again.
    """

    def __init__(self, state_dir: Path, *, texts: int = LARGEST_TEXTS, file: int = LARGEST_FILE) -> None:
        self._path = state_dir / NAME
        self._texts = texts
        self._file = file
        self._guard = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    def close(self) -> None:
        """Ends the use of the file."""
        with self._guard:
            self._drop()

    @property
    def exists(self) -> bool:
        """Whether anything was ever stored."""
        return self._path.exists()

    def signature(self) -> tuple[tuple[int, int], ...]:
        """Differs once something was stored, by whatever process; costs next to nothing."""
        found: list[tuple[int, int]] = []
        for suffix in ("", "-wal"):
            with suppress(OSError):
                stat = self._path.with_name(NAME + suffix).stat()
                found.append((stat.st_mtime_ns, stat.st_size))
        return tuple(found)

    def stamps(self, since: float) -> dict[str, tuple[int, int]]:
        """For each domain, two numbers that differ once something else is stored of it."""
        with self._transaction("reading") as connection:
            return tables.stamps(connection, day_of(since))

    # --- receiving

    def accept(self, data: bytes, way: ReportWay, received_at: float) -> int | None:
        """Stores a message as it came; it is on the disk when this returns its number.

        None where too many wait to be read: it is not stored, then.
        """
        packed = zlib.compress(data, 6)
        with self._transaction("writing") as connection:
            waiting, size = connection.execute(
                "SELECT COUNT(*), COALESCE(SUM(size), 0) FROM messages WHERE state = ?", (WAITING,)
            ).fetchone()
            if waiting >= MOST_WAITING or (waiting and size + len(data) > LARGEST_WAITING):
                return None
            return rows.insert(connection, len(data), packed, way, received_at)

    def waiting(self, now: float, limit: int = 20) -> tuple[Waiting, ...]:
        """Messages that are to be read now, the oldest first: together not much more than the largest one."""
        found: list[Waiting] = []
        with self._transaction("reading") as connection:
            for number, way, at, packed, tries in connection.execute(
                """SELECT m.id, m.way, m.received_at, t.packed, m.tries FROM messages m JOIN texts t ON t.message = m.id
                   WHERE m.state = ? AND (m.not_before <= ? OR m.not_before > ?) ORDER BY m.id LIMIT ?""",
                (WAITING, now, now + LONGEST_WAIT_S, limit),
            ):
                found.append(Waiting(number, ReportWay(way), at, zlib.decompress(packed), tries))
                if sum(len(one.data) for one in found) >= LARGEST_MESSAGE // 2:
                    break
        return tuple(found)

    def put_off(self, number: int, until: float) -> bool:
        """Whether a message is judged at that time instead (the DNS gave no answer, for instance).

        False where too many were put off already.
        """
        with self._transaction("writing") as connection:
            count, size = connection.execute(
                """SELECT COUNT(*), COALESCE(SUM(size), 0) FROM messages WHERE state = ? AND tries > 0 AND id != ?""",
                (WAITING, number),
            ).fetchone()
            if count >= MOST_WAITING // PUT_OFF or size > LARGEST_WAITING // PUT_OFF:
                return False
            connection.execute(
                "UPDATE messages SET tries = tries + 1, not_before = ? WHERE id = ?", (until, number)
            )
            return True

    def settle(self, found: Iterable[tuple[int, Digest, Proof]]) -> tuple[SettledReport, ...]:
        """Notes what was read from messages that wait, in one transaction; nothing for one that is settled already."""
        settled: list[SettledReport] = []
        with self._transaction("writing") as connection:
            for number, read, proof in found:
                row = connection.execute(
                    "SELECT way, received_at FROM messages WHERE id = ? AND state = ?", (number, WAITING)
                ).fetchone()
                if row is not None:
                    settled.append(rows.settle(connection, number, ReportWay(row[0]), row[1], read, proof))
        return tuple(settled)

    def add(
        self, messages: Iterable[tuple[bytes, Digest, Proof]], way: ReportWay, received_at: float
    ) -> tuple[SettledReport, ...]:
        """Stores messages that were read already, in one transaction; for imports."""
        ready = [(data, zlib.compress(data, 6), found, proof) for data, found, proof in messages]
        with self._transaction("writing") as connection:
            return tuple(
                rows.settle(
                    connection,
                    rows.insert(connection, len(data), packed, way, received_at),
                    way,
                    received_at,
                    found,
                    proof,
                )
                for data, packed, found, proof in ready
            )

    def mark(self, name: str) -> str | None:
        """A note of a way in, such as how far a mailbox was read."""
        with self._transaction("reading") as connection:
            row = connection.execute("SELECT value FROM marks WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def set_mark(self, name: str, value: str) -> None:
        """Notes it."""
        with self._transaction("writing") as connection:
            connection.execute("INSERT OR REPLACE INTO marks VALUES (?, ?)", (name, value))

    def tidy(self, now: float, keep_days: int) -> int:
        """Drops what is older than it is kept, and the oldest beyond the bounds; returns how many messages went.

        What waits to be read stays: it was accepted.
        """
        dropped = 0
        with self._transaction("writing") as connection:
            dropped += connection.execute(
                "DELETE FROM messages WHERE received_at < ? AND state != ?",
                (now - keep_days * DAY_S, WAITING),
            ).rowcount
            _drop_texts(connection, self._texts)
            while _used(connection) > self._file:
                oldest = connection.execute(
                    """DELETE FROM messages WHERE id IN (SELECT m.id FROM messages m WHERE m.state != ? ORDER BY EXISTS (
                       SELECT 1 FROM reports r WHERE r.message = m.id AND r.sender != ''), received_at LIMIT 200)""",
                    (WAITING,),
                ).rowcount
                dropped += oldest
                if not oldest:
                    break
        return dropped

    # --- reading

    def totals(self, since: float) -> ReportTotals:
        """The sums of all domains."""
        with self._transaction("reading") as connection:
            return tables.totals(connection, day_of(since))

    def days(self, domain: str | None, since: float) -> tuple[DaySum, ...]:
        """Sessions by day, of one domain or of all."""
        with self._transaction("reading") as connection:
            return tables.days(connection, domain, day_of(since))

    def failures(self, domain: str | None, since: float, limit: int = 200) -> tuple[FailureSum, ...]:
        """Failures by kind, organisation and hosts, the most frequent first."""
        with self._transaction("reading") as connection:
            return tables.failure_sums(connection, domain, day_of(since), limit)

    def reported(self, domain: str, since: float) -> tuple[Reported, ...]:
        """What was reported of a domain, for the decisions."""
        with self._transaction("reading") as connection:
            return tables.reported(connection, domain, day_of(since))

    def holdings(self, domain: str | None, since: float) -> tuple[Holding, ...]:
        """The policy that each organisation applied last."""
        with self._transaction("reading") as connection:
            return tables.holdings(connection, domain, day_of(since))

    def unreadable(self, limit: int = 100) -> tuple[UnreadableMessage, ...]:
        """Messages of which something could not be read, the latest first."""
        with self._transaction("reading") as connection:
            return tables.unreadable(connection, limit)

    def domains(self) -> tuple[str, ...]:
        """The domains that reports are about."""
        with self._transaction("reading") as connection:
            return tuple(tables.domains(connection))

    def raw(self, number: int) -> bytes | None:
        """A message as it came; None where it is not kept any more."""
        with self._transaction("reading") as connection:
            row = connection.execute("SELECT packed FROM texts WHERE message = ?", (number,)).fetchone()
        return None if row is None else zlib.decompress(row[0])

    def kept(self, after: int = 0, limit: int = 100) -> tuple[tuple[int, float], ...]:
        """Numbers above `after` of messages whose text is kept, each with the time it was received; for exports."""
        with self._transaction("reading") as connection:
            return tuple(
                connection.execute(
                    """SELECT m.id, m.received_at FROM texts t JOIN messages m ON m.id = t.message
                       WHERE t.message > ? ORDER BY 1 LIMIT ?""",
                    (after, limit),
                ).fetchall()
            )

    # --- the file

    @contextmanager
    def _transaction(self, doing: str) -> Iterator[sqlite3.Connection]:
        with self._guard:
            try:
                connection = self._connection or self._connect()
                connection.execute("BEGIN IMMEDIATE" if doing == "writing" else "BEGIN")
                yield connection
                connection.execute("COMMIT")
            except (sqlite3.DatabaseError, OSError, zlib.error, ValueError) as error:
                self._drop()
                tried = f"{doing} the TLS reports failed: {self._path} gave {str(error)[:200]!r}"
                if _broken(error):
                    self._move_aside()
                    raise TemporaryError(
                        f"{tried}; it is kept as {self._aside.name}, and a new one is begun"
                    ) from error
                raise TemporaryError(
                    f"{tried}; make its folder writable and look for space on its disk"
                ) from error
            except BaseException:
                self._drop()
                raise

    def _connect(self) -> sqlite3.Connection:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(open_plain(self._path, os.O_CREAT | os.O_WRONLY))  # SQLite would make it readable for all
        connection = sqlite3.connect(
            self._path, timeout=BUSY_S, isolation_level=None, check_same_thread=False
        )
        self._connection = connection
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")  # what is accepted must outlive a loss of power
        connection.execute("PRAGMA foreign_keys = ON")
        for statement in tables.TABLES:
            connection.execute(statement)
        return connection

    def _drop(self) -> None:
        """Closing it undoes a transaction that is open."""
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    @property
    def _aside(self) -> Path:
        return self._path.with_name(NAME + ".broken")

    def _move_aside(self) -> None:
        for suffix in ("-wal", "-shm"):
            with suppress(OSError):
                self._path.with_name(NAME + suffix).unlink(missing_ok=True)
        with suppress(OSError):
            self._path.replace(self._aside)


def day_of(at: float) -> str:
    """The UTC day of a time in Unix seconds, `2026-11-25`."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")


def _broken(error: Exception) -> bool:
    if not isinstance(error, sqlite3.DatabaseError):
        return not isinstance(error, OSError)
    code = int(getattr(error, "sqlite_errorcode", 0)) & 0xFF
    return code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}


def _used(connection: sqlite3.Connection) -> int:
    pages, free, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)


def _drop_texts(connection: sqlite3.Connection, most: int) -> None:
    """The texts of the oldest messages that were read; one that waits keeps its text."""
    total = 0
    gone: list[tuple[int]] = []
    for number, size, state in connection.execute(
        "SELECT t.message, LENGTH(t.packed), m.state FROM texts t JOIN messages m ON m.id = t.message ORDER BY 1 DESC"
    ):
        total += size
        if total > most and state != WAITING:
            gone.append((number,))
    connection.executemany("DELETE FROM texts WHERE message = ?", gone)
