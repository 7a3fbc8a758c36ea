"""The state store: the memory, the history and waiting notifications, in `state.sqlite`.

The history is a table, read by subject and time. The memory is `observed.Memory`; `parts` turns it into rows, `file` opens
the file. Rule for every editor: every call is one transaction.
"""

import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, replace
from pathlib import Path
from typing import Self

from sidecar.host.errors import TemporaryError
from sidecar.observed import Memory, Move, PolicyId
from sidecar.observed.history import HistoryEvent
from sidecar.state import file, parts
from sidecar.state.parts import put, rows

__all__ = ["HistoryEvent", "State"]

NAME = "state.sqlite"


class State:
    """The state store; its calls block for some seconds at most, and may come from any thread."""

    notice: str | None
    """A message if an earlier file could not be used completely; usually None."""

    def __init__(self, path: Path, connection: sqlite3.Connection, notice: str | None) -> None:
        self._path = path
        self._connection = connection
        self.notice = notice
        self._guard = threading.Lock()
        self._identity = file.identity(path)
        self._version: int | None = None
        """SQLite's data_version at the last load: it changes when another connection commits, not when ours does."""
        self._broken: str | None = None
        """Why the file can no longer be used, noticed by a call since the last `changed_elsewhere`."""

    @classmethod
    def open(cls, state_dir: Path, now: float) -> Self:
        """The state in `state_dir`, created or upgraded if needed; `now` in Unix seconds.

        A file that is broken, of another program or of a later release is moved aside, and `notice` says so; it also names
        rows that could not be read. Raises TemporaryError or PermanentError if the folder cannot be used.
        """
        path = state_dir / NAME
        with file.explained_errors(path, "opening"):
            state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        return cls(path, *file.opened(path, now))

    def load(self) -> Memory:
        with self._one_call("reading"):
            # Before the transaction: a commit in between costs an unneeded load, but is not missed.
            version = file.data_version(self._connection)
            # The clock is read here: the caller does not know of rows that another release stored meanwhile.
            memory, lost = file.load(self._connection, time.time())
            self._version = version
            if lost:
                self._warn(file.lost_words(self._path, lost))
            return memory

    def save(self, before: Memory, after: Memory) -> None:
        """Writes the differences, all or none; they are on the disk when this returns.

        `before` is the content of the store: the memory that was loaded or saved last.
        """
        if before is not after and before != after:
            with self.writing() as connection:
                parts.write(connection, before, after)

    def changed_elsewhere(self) -> bool:
        """Whether the memory loaded last is outdated: another process wrote, or the file was replaced.

        A broken or missing file is replaced by a new one here.
        """
        with self._one_call("looking at"):
            if self._broken is not None or file.identity(self._path) != self._identity:
                # No caller is involved here that could pass the time.
                connection, notice = file.opened(self._path, time.time(), self._broken)
                self._connection.close()
                self._connection = connection
                self._warn(notice or f"{self._path} was removed while it was in use; its content is lost")
                self._identity = file.identity(self._path)
                self._version = None
                self._broken = None
            return self._version is None or file.data_version(self._connection) != self._version

    def _warn(self, notice: str) -> None:
        import structlog  # noqa: PLC0415 - large, and hardly ever needed here

        self.notice = notice
        structlog.get_logger().warning("the state could not be read", detail=notice)

    def request_adopt(self, keys: Iterable[str], now: float) -> None:
        """Stores that a person hands these policies over (`FILE`, domains); needs no pass lock."""
        self._add("adopt", dict.fromkeys(keys, now))

    def request_adopt_records(self, names: Iterable[str], now: float) -> None:
        """Notes that a person asks to adopt the DNS records at these names; needs no pass lock."""
        self._add("adopt_records", dict.fromkeys(names, now))

    def request_let_through(self, guard: str, now: float) -> None:
        """Notes that a person lifts this guard once; needs no pass lock."""
        self._add("let_through", {guard: now})

    def request_retired(self, keys: Iterable[str]) -> None:
        """Stores that a person retires these domains (`FILE`: all); needs no pass lock."""
        self._add("retired", frozenset(keys))

    def request_not_retired(self, keys: Iterable[str]) -> None:
        """Removes such a request."""
        with self._beside_passes() as connection:
            parts.remove(connection, "retired", keys)

    def request_moves(self, moves: Iterable[Move]) -> None:
        """Stores MX hosts that domains move to; an existing one keeps its time. Needs no pass lock."""
        self._add("moves", tuple(moves))

    def _add(self, part: str, value: object) -> None:
        with self._beside_passes() as connection:
            parts.add(connection, part, value)

    @contextmanager
    def _beside_passes(self) -> Iterator[sqlite3.Connection]:
        """Writes rows of the memory that no pass knows of: the page shares this connection, so the next pass loads again."""
        with self.writing() as connection:
            yield connection
        self._version = None

    def note_ids(self, ids: Mapping[str, PolicyId]) -> None:
        """Stores policy ids that a command read, by domain, and changes nothing else; needs no pass lock."""
        if ids:
            with self._beside_passes() as connection:
                before, _ = parts.read_careful(connection, time.time())
                known = {k: replace(before.policy(k), id_text=id_.text, id=id_.id) for k, id_ in ids.items()}
                parts.write(connection, before, replace(before, policies={**before.policies, **known}))

    def record(self, events: Iterable[HistoryEvent]) -> None:
        """Adds to the history."""
        if found := tuple(events):
            with self.writing() as connection:
                write_events(connection, found)

    def history(self, subject: str | None = None, limit: int = 100) -> tuple[HistoryEvent, ...]:
        """The last `limit` events, oldest first: of one subject, or of all."""
        with self.reading() as connection:
            return read_events(connection, subject, limit)

    def close(self) -> None:
        """Closes the file; may be called twice."""
        with self._guard:
            self._connection.close()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Reads rows outside the memory; raises as `writing` does, and does not wait for other processes."""
        with self._one_call("reading"):
            yield self._connection

    @contextmanager
    def writing(self, doing: str = "writing") -> Iterator[sqlite3.Connection]:
        """One transaction, for this class and for rooms with tables of their own (`parts.TABLES`).

        Raises TemporaryError or PermanentError if the file cannot be used.
        """
        with self._one_call(doing), file.transaction(self._connection):
            yield self._connection

    @contextmanager
    def _one_call(self, doing: str) -> Iterator[None]:
        """One call at a time; if it finds the file broken, the next `changed_elsewhere` replaces the file."""
        with self._guard:
            try:
                with file.explained_errors(self._path, doing):
                    yield
            except file.UnfitError as error:
                self._broken = str(error)
                raise TemporaryError(
                    f"{doing} the state failed: {self._path} {error}; "
                    "the next pass moves it aside and starts a new one; that may cost a wait, never a wrong write"
                ) from error


MOST_EVENTS = 50_000
EVENTS_AGE_S = 400 * 86_400


def write_events(connection: sqlite3.Connection, events: Sequence[HistoryEvent]) -> None:
    """Adds to the history, and drops events that are too old or too many; an index finds both."""
    put(
        connection,
        "INSERT INTO history (at, subject, what, reason, outcome, detail) VALUES (?, ?, ?, ?, ?, ?)",
        map(astuple, events),
    )
    connection.execute("DELETE FROM history WHERE id <= (SELECT max(id) FROM history) - ?", (MOST_EVENTS,))
    newest = max(event.at for event in events)
    connection.execute("DELETE FROM history WHERE at < ?", (newest - EVENTS_AGE_S,))


def read_events(connection: sqlite3.Connection, subject: str | None, limit: int) -> tuple[HistoryEvent, ...]:
    """The last events of a subject (None: of all), oldest first."""
    where, values = ("", ()) if subject is None else ("WHERE subject = ? ", (subject,))
    query = (
        "SELECT at, subject, what, reason, outcome, detail FROM history "  # noqa: S608 - no value is pasted in
        f"{where}ORDER BY id DESC LIMIT ?"
    )
    return tuple(HistoryEvent(*row) for row in rows(connection, query, (*values, limit)))[::-1]
