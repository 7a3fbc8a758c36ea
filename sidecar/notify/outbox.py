"""What waits to be told, and what was: `outbox.sqlite` in the state folder, beside the state and not in it.

Rules for every editor: what people know and the events that made it so are stored in one transaction: an event is
neither lost nor made twice by an end at any moment. A file that is broken is moved aside; losing it costs that
errors are told again. No URL is stored: a receiver is known by its id.
"""

import json
import os
import sqlite3
import threading
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sidecar.errors import TemporaryError
from sidecar.notify.digest import Tries, expired
from sidecar.notify.events import Event, Known, Told, Trouble
from sidecar.plainfile import open_plain
from sidecar.rollout import Stage
from sidecar.settings import Tell
from sidecar.telling import Ends

NAME = "outbox.sqlite"
BUSY_S = 5.0
_TABLES = (
    "CREATE TABLE IF NOT EXISTS kept (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS waiting (id INTEGER PRIMARY KEY, receiver TEXT NOT NULL, event TEXT NOT NULL)",
    "CREATE INDEX IF NOT EXISTS waiting_of ON waiting (receiver)",
)
_TOLD = "told"
_TRIES = "tries:"


class Outbox:
    """The store; its calls block, at most some seconds, and may come from any thread.

    Each raises TemporaryError where the file cannot be used; the next call begins anew.
    """

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / NAME
        self._guard = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    def close(self) -> None:
        """Ends the use of the file."""
        with self._guard:
            self._drop()

    def told(self) -> Told | None:
        """What people know; None at the very beginning."""
        with self._transaction("reading") as connection:
            value = _kept(connection, _TOLD)
            return None if value is None else _told(value)

    def note(self, told: Told, events: Collection[Event], receivers: Collection[str]) -> None:
        """Remembers what people know once these events reached these receivers, and puts them into the queue."""
        with self._transaction("writing") as connection:
            _keep(connection, _TOLD, _told_json(told))
            connection.executemany(
                "INSERT INTO waiting (receiver, event) VALUES (?, ?)",
                [(receiver, json.dumps(asdict(event))) for receiver in receivers for event in events],
            )

    def waiting(self, receiver: str) -> tuple[dict[int, Event], Tries]:
        """The events that wait for this receiver, by number, the oldest first; and how the last tries went."""
        with self._transaction("reading") as connection:
            rows = connection.execute(
                "SELECT id, event FROM waiting WHERE receiver = ? ORDER BY id", (receiver,)
            ).fetchall()
            value = _kept(connection, _TRIES + receiver)
            tries = Tries() if value is None else Tries(int(value["failures"]), float(value["not_before"]))
            return {number: _event(json.loads(event)) for number, event in rows}, tries

    def delivered(self, receiver: str, numbers: Iterable[int]) -> None:
        """These events reached the receiver."""
        with self._transaction("writing") as connection:
            connection.executemany("DELETE FROM waiting WHERE id = ?", [(number,) for number in numbers])
            connection.execute("DELETE FROM kept WHERE name = ?", (_TRIES + receiver,))

    def failed(self, receiver: str, tries: Tries) -> None:
        """They did not."""
        with self._transaction("writing") as connection:
            _keep(connection, _TRIES + receiver, asdict(tries))

    def tidy(self, receivers: Collection[str], now: float) -> int:
        """Drops what waited for too long (its number is returned), and what waits for other receivers."""
        dropped = 0
        with self._transaction("writing") as connection:
            for number, receiver, event in connection.execute(
                "SELECT id, receiver, event FROM waiting"
            ).fetchall():
                known = receiver in receivers
                if known and not expired(_event(json.loads(event)), now):
                    continue
                dropped += known
                connection.execute("DELETE FROM waiting WHERE id = ?", (number,))
        return dropped

    # --- the file -----------------------------------------------------------------------------------

    @contextmanager
    def _transaction(self, doing: str) -> Iterator[sqlite3.Connection]:
        with self._guard:
            try:
                connection = self._connection or self._connect()
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
            except (sqlite3.DatabaseError, OSError, ValueError, TypeError, KeyError) as error:
                self._drop()
                tried = f"{doing} what is to be notified failed: {self._path} gave {str(error)[:200]!r}"
                if _broken(error):
                    self._move_aside()
                    raise TemporaryError(
                        f"{tried}; it is kept as {self._aside.name} and begun anew"
                    ) from error
                raise TemporaryError(
                    f"{tried}; make its folder writable and look for space on its disk"
                ) from error
            except BaseException:
                self._drop()
                raise

    def _connect(self) -> sqlite3.Connection:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Before SQLite makes it, readable for all.
        os.close(open_plain(self._path, os.O_CREAT | os.O_WRONLY))
        connection = sqlite3.connect(
            self._path, timeout=BUSY_S, isolation_level=None, check_same_thread=False
        )
        self._connection = connection
        for statement in _TABLES:
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
        with suppress(OSError):
            self._path.with_name(NAME + "-journal").unlink(missing_ok=True)
            self._path.replace(self._aside)


def _broken(error: Exception) -> bool:
    """Whether it lies in the content: not SQLite's, not our tables, or no values of ours in them."""
    if not isinstance(error, sqlite3.DatabaseError):
        return not isinstance(error, OSError)
    code = int(getattr(error, "sqlite_errorcode", 0)) & 0xFF
    return code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}


# --- values ----------------------------------------------------------------------------------------------


def _kept(connection: sqlite3.Connection, name: str) -> dict[str, Any] | None:
    row = connection.execute("SELECT value FROM kept WHERE name = ?", (name,)).fetchone()
    if row is None:
        return None
    value = json.loads(row[0])
    if not isinstance(value, dict):
        raise ValueError(f"{name} is no object")  # noqa: TRY004 - what is stored is broken, the call is right
    return value


def _keep(connection: sqlite3.Connection, name: str, value: dict[str, Any]) -> None:
    connection.execute(
        "INSERT INTO kept VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (name, json.dumps(value)),
    )


def _told_json(told: Told) -> dict[str, Any]:
    return {
        "stages": dict(told.stages),
        "troubles": [asdict(known) for known in told.troubles.values()],
        "ends": [[*key, end.times, end.at] for key, end in told.ends.items()],
    }


def _told(value: dict[str, Any]) -> Told:
    known = [Known(**{**one, "trouble": Trouble(**one["trouble"])}) for one in value["troubles"]]
    stages = {name: Stage(stage) for name, stage in value["stages"].items()}
    ends = {
        (code, subject, about): Ends(times, at) for code, subject, about, times, at in value.get("ends", ())
    }
    return Told(stages, {one.trouble.key: one for one in known}, ends)


def _event(value: dict[str, Any]) -> Event:
    return Event(**{**value, "kind": Tell(value["kind"])})
