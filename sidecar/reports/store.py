"""The received TLS reports: `reports.sqlite` in the state folder, a file of its own beside the state.

Rules for every editor. A message is on the disk before its sender gets a confirmation, and before it is read
(`accept`); its result is stored in one transaction (`settle`). So an interruption at any moment loses nothing.
Strangers fill this file: its size is bounded, and the oldest texts are deleted first. Losing the file costs evidence,
but never leads to a wrong write. A broken file is moved aside.
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
"""Octets of all raw messages together, compressed."""
LARGEST_FILE = 300 * 1024 * 1024
"""Octets of the file; above this, the oldest messages are deleted with their reports, first those without proof."""
MOST_WAITING = 2_000
"""Messages that wait to be read; more are refused, and their senders keep them."""
LARGEST_WAITING = 100 * 1024 * 1024
"""Octets of these, decompressed."""
PUT_OFF = 4
"""At most a quarter of both may be postponed, so that keys the DNS never returns do not block other messages."""
LONGEST_WAIT_S = 2 * DAY_S
"""If a message is postponed for longer than this, the clock was set back: it is read now."""

_USED = """SELECT (page_count - freelist_count) * page_size
           FROM pragma_page_count(), pragma_freelist_count(), pragma_page_size()"""
_BROKEN = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR})


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message that waits to be read; `tries` is how often it was postponed."""

    id: int
    way: ReportWay
    received_at: float
    data: bytes
    tries: int


class ReportStore:
    """The store; its calls block for a few seconds at most, and any thread may call them.

    Each raises TemporaryError if the file cannot be used; the next call opens it again.
    """

    def __init__(self, state_dir: Path, *, texts: int = LARGEST_TEXTS, file: int = LARGEST_FILE) -> None:
        self._path = state_dir / NAME
        self._texts = texts
        self._file = file
        self._guard = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    def close(self) -> None:
        with self._guard:
            self._drop()

    @property
    def exists(self) -> bool:
        """Whether the file exists: something was stored."""
        return self._path.exists()

    def signature(self) -> tuple[tuple[int, int], ...]:
        """Changes when any process stores something; cheap to compute."""
        found: list[tuple[int, int]] = []
        for suffix in ("", "-wal"):
            with suppress(OSError):
                stat = self._path.with_name(NAME + suffix).stat()
                found.append((stat.st_mtime_ns, stat.st_size))
        return tuple(found)

    def stamps(self, since: float) -> dict[str, tuple[int, int]]:
        """For each domain, two numbers that change when a report about it is stored."""
        with self._transaction("reading") as connection:
            return tables.stamps(connection, day_of(since))

    # --- receiving

    def accept(self, data: bytes, way: ReportWay, received_at: float) -> int | None:
        """Stores a message unchanged; it is on the disk when this returns its number.

        None: too many messages wait, and it is not stored.
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
        """The messages to read now, oldest first; together not much larger than `LARGEST_MESSAGE`."""
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
        """Postpones a message (the DNS gave no answer, for example) to the time `until`.

        False: too many are postponed already.
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
        """Stores the results of waiting messages in one transaction; those already settled are skipped."""
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
        """Stores messages with their results in one transaction; for imports."""
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
        """A stored note, such as the position in a mailbox; None if there is none."""
        with self._transaction("reading") as connection:
            row = connection.execute("SELECT value FROM marks WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def set_mark(self, name: str, value: str) -> None:
        with self._transaction("writing") as connection:
            connection.execute("INSERT OR REPLACE INTO marks VALUES (?, ?)", (name, value))

    def tidy(self, now: float, keep_days: int) -> int:
        """Deletes messages older than `keep_days`, and the oldest above the size limits; returns how many.

        Waiting messages stay, because they were accepted.
        """
        dropped = 0
        with self._transaction("writing") as connection:
            dropped += connection.execute(
                "DELETE FROM messages WHERE received_at < ? AND state != ?",
                (now - keep_days * DAY_S, WAITING),
            ).rowcount
            # The oldest texts; a message that waits keeps its text.
            connection.execute(
                """DELETE FROM texts WHERE message IN (SELECT id FROM (SELECT m.id, m.state,
                   SUM(LENGTH(t.packed)) OVER (ORDER BY m.id DESC) AS total
                   FROM texts t JOIN messages m ON m.id = t.message) WHERE total > ? AND state != ?)""",
                (self._texts, WAITING),
            )
            while connection.execute(_USED).fetchone()[0] > self._file:
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
        """The reports about a domain, for decisions."""
        with self._transaction("reading") as connection:
            return tables.reported(connection, domain, day_of(since))

    def holdings(self, domain: str | None, since: float) -> tuple[Holding, ...]:
        """The policy that each organisation applied last."""
        with self._transaction("reading") as connection:
            return tables.holdings(connection, domain, day_of(since))

    def unreadable(self, limit: int = 100) -> tuple[UnreadableMessage, ...]:
        """Messages that could not be read completely, the latest first."""
        with self._transaction("reading") as connection:
            return tables.unreadable(connection, limit)

    def domains(self) -> tuple[str, ...]:
        """The domains that reports are about."""
        with self._transaction("reading") as connection:
            return tuple(tables.domains(connection))

    def raw(self, number: int) -> bytes | None:
        """The unchanged message; None if it is not stored any more."""
        with self._transaction("reading") as connection:
            row = connection.execute("SELECT packed FROM texts WHERE message = ?", (number,)).fetchone()
        return None if row is None else zlib.decompress(row[0])

    def kept(self, after: int = 0, limit: int = 100) -> tuple[tuple[int, float], ...]:
        """Numbers above `after` of messages with a stored text, and when each was received; for exports."""
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
                code = int(getattr(error, "sqlite_errorcode", 0)) & 0xFF
                if (
                    code in _BROKEN
                    if isinstance(error, sqlite3.DatabaseError)
                    else not isinstance(error, OSError)
                ):
                    for suffix in ("-wal", "-shm"):
                        with suppress(OSError):
                            self._path.with_name(NAME + suffix).unlink(missing_ok=True)
                    aside = self._path.with_name(NAME + ".broken")
                    with suppress(OSError):
                        self._path.replace(aside)
                    raise TemporaryError(
                        f"{tried}; it is kept as {aside.name}, and a new file is created"
                    ) from error
                raise TemporaryError(
                    f"{tried}; make its folder writable and free some space on its disk"
                ) from error
            except BaseException:
                self._drop()
                raise

    def _connect(self) -> sqlite3.Connection:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(
            open_plain(self._path, os.O_CREAT | os.O_WRONLY)
        )  # SQLite would make it readable for everyone
        connection = sqlite3.connect(
            self._path, timeout=BUSY_S, isolation_level=None, check_same_thread=False
        )
        self._connection = connection
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")  # accepted messages must survive a power failure
        connection.execute("PRAGMA foreign_keys = ON")
        for statement in tables.TABLES:
            connection.execute(statement)
        return connection

    def _drop(self) -> None:
        """Closes the connection, which rolls back an open transaction."""
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None


def day_of(at: float) -> str:
    """The UTC day of a time in Unix seconds, `2026-11-25`."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")
