"""What outlives the process: the memory and the history, in SQLite (`state.sqlite` in the state folder).

Rule for every editor: losing the file is safe, half of a change in it is not: every call is one transaction.
A file that is broken or not ours is moved aside, never repaired and never a reason to stop. What is
remembered is `observed.Memory`; tables and rows are in `state_rows`, decisions nowhere near.
"""

import errno
import os
import sqlite3
import stat
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from sidecar import state_checks
from sidecar.errors import NoSpaceError, PermanentError, SidecarError, TemporaryError
from sidecar.observed import Memory, Move, PolicyId
from sidecar.state_rows import (
    APPLICATION_ID,
    STEPS,
    Event,
    differs,
    note_ids,
    read,
    read_events,
    wish,
    write,
    write_born,
    write_events,
)

__all__ = ["Event", "State"]

NAME = "state.sqlite"
BUSY_S = 5.0
"""How long a call waits for another process that is writing."""
KEPT_ASIDE = 3
"""Files moved aside that are kept; a disk that goes bad would else fill itself with them."""

_BROKEN = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_FOR_GOOD = frozenset(
    {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH}
)
_PASSING = frozenset({errno.EIO, errno.EMFILE, errno.ENFILE})
_LOOK_FOR_SPACE = "look for space on the disk of {}, and for errors of that disk"
_MAKE_WRITABLE = "make {} a folder that the sidecar may write in"


class _UnfitError(Exception):
    """The file cannot be gone on with; why, as the rest of a sentence that begins with its name."""


class State:
    """The state store; its calls block, at most some seconds, and may come from any thread."""

    notice: str | None
    """Why a fresh file was begun although there was one; None as a rule."""

    def __init__(self, path: Path, connection: sqlite3.Connection, notice: str | None) -> None:
        self._path = path
        self._connection = connection
        self.notice = notice
        self._guard = threading.Lock()
        self._identity = _identity(path)
        self._version: int | None = None
        """SQLite's data_version at the last load: it changes when another connection commits, not by ours."""
        self._broken: str | None = None
        """Why the file cannot be gone on with, found by a call since the last `changed_elsewhere`."""

    @classmethod
    def open(cls, state_dir: Path, now: float) -> Self:
        """The state in `state_dir`, made or brought up to date where needed; `now` in Unix seconds.

        A file that is broken, another program's or a later release's is moved aside, and `notice` says so.
        Raises TemporaryError or PermanentError where the folder cannot be used.
        """
        path = state_dir / NAME
        with _telling(path, "opening"):
            state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        return cls(path, *_open(path, now))

    def load(self) -> Memory:
        """All that is remembered."""
        with self._telling("reading"):
            # Before the transaction: so a commit in between costs a needless load and is not overlooked.
            version = _data_version(self._connection)
            with _transaction(self._connection, "BEGIN"):
                memory = read(self._connection)
            self._version = version
            return memory

    def save(self, before: Memory, after: Memory) -> None:
        """Writes what differs, whole or not at all; it is on the disk when this returns.

        `before` is what the store holds: what was loaded, or saved last.
        """
        if not differs(before, after):
            return
        with self._telling("writing"), _transaction(self._connection):
            write(self._connection, before, after)

    def changed_elsewhere(self) -> bool:
        """Whether what was loaded last is out of date: another process wrote, or the file was replaced.

        A file found broken, or gone, since then is begun anew here.
        """
        with self._telling("looking at"):
            if self._broken is not None or _identity(self._path) != self._identity:
                self._renew()
            return self._version is None or _data_version(self._connection) != self._version

    def _renew(self) -> None:
        # The only clock in here: no caller waits for this, so none hands the time in.
        connection, notice = _open(self._path, time.time(), self._broken)
        self._connection.close()
        self._connection = connection
        self.notice = notice or f"{self._path} was taken away while it was in use; what it held is forgotten"
        self._identity = _identity(self._path)
        self._version = None
        self._broken = None

    def wish_adopt(self, keys: Iterable[str], now: float) -> None:
        """Notes that a person hands these policies over (`FILE`, domains); needs no pass lock."""
        with self._telling("writing"), _transaction(self._connection):
            wish(self._connection, keys, now)

    def wish_retired(self, keys: Iterable[str]) -> None:
        """Notes that a person takes these domains (`FILE`: all) out of MTA-STS; needs no pass lock."""
        with self._telling("writing"), _transaction(self._connection):
            state_checks.retire(self._connection, keys)

    def wish_not_retired(self, keys: Iterable[str]) -> None:
        """Takes such a wish back."""
        with self._telling("writing"), _transaction(self._connection):
            state_checks.unretire(self._connection, keys)

    def wish_moves(self, moves: Iterable[Move]) -> None:
        """Notes MX hosts that domains move to; needs no pass lock."""
        with self._telling("writing"), _transaction(self._connection):
            state_checks.move_to(self._connection, moves)

    def note_ids(self, ids: Mapping[str, PolicyId]) -> None:
        """Remembers policy ids that a command read, by domain; needs no pass lock."""
        if ids:
            with self._telling("writing"), _transaction(self._connection):
                note_ids(self._connection, ids)

    def record(self, events: Iterable[Event]) -> None:
        """Adds to the history."""
        if found := tuple(events):
            with self._telling("writing"), _transaction(self._connection):
                write_events(self._connection, found)

    def history(self, subject: str | None = None, limit: int = 100) -> tuple[Event, ...]:
        """The last `limit` events, oldest first: of one subject, or of all."""
        with self._telling("reading"):
            return read_events(self._connection, subject, limit)

    def close(self) -> None:
        """Ends the use of the file; a second time is no mistake."""
        with self._guard:
            self._connection.close()

    @contextmanager
    def _telling(self, doing: str) -> Iterator[None]:
        """One call at a time; one that finds the file broken makes the next `changed_elsewhere` renew it."""
        with self._guard:
            try:
                with _telling(self._path, doing):
                    yield
            except _UnfitError as error:
                self._broken = str(error)
                raise TemporaryError(
                    f"{doing} the state failed: {self._path} {error}; "
                    "the next pass moves it aside and begins a new one; that may cost a wait, no wrong write"
                ) from error


# --- opening ---------------------------------------------------------------------------------------------


def _open(path: Path, now: float, broken: str | None = None) -> tuple[sqlite3.Connection, str | None]:
    """A connection to a file that is fit for use, and why an unfit one had to be moved aside.

    `broken` says why the one that is there is known to be unfit.
    """
    identity = _identity(path)
    reason = None if identity is None else broken
    if reason is None:
        try:
            return _connect(path, now), None
        except _UnfitError as error:
            reason = str(error)
    # Another process may have found the same, and put a fresh one there already.
    aside = _move_aside(path, now) if _identity(path) == identity else None
    try:
        connection = _connect(path, now)
    except _UnfitError as error:
        raise PermanentError(
            f"opening the state failed: {path} is new, and yet it {error}; check the disk that it is on"
        ) from error
    kept = f"; it is kept as {aside.name}" if aside else ""
    return connection, f"{path} {reason}: a new one was begun{kept}"


def _connect(path: Path, now: float) -> sqlite3.Connection:
    """Raises _UnfitError, TemporaryError or PermanentError."""
    with _telling(path, "opening"):
        if _identity(path) is not None and not stat.S_ISREG(path.lstat().st_mode):
            raise _UnfitError("is no file")
        _make_private(path)
        connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
        try:
            _bring_up_to_date(connection, now)
            # A write is told to be done only when it is on the disk: the intent must be there before the act.
            connection.execute("PRAGMA synchronous = FULL")
            _try_out(connection)
        except BaseException:
            connection.close()
            raise
        return connection


def _try_out(connection: sqlite3.Connection) -> None:
    """Reads everything once: better now than in the middle of a pass."""
    try:
        (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        with _transaction(connection, "BEGIN"):
            read(connection)
    except (ValueError, TypeError) as error:
        raise _UnfitError(f"holds what this program never writes ({error})") from error
    except sqlite3.OperationalError as error:
        if _code(error) in {0, sqlite3.SQLITE_ERROR}:  # no UTF-8; no such table or column
            raise _UnfitError(f"has other tables than it should ({error})") from error
        raise
    if found != "ok":
        raise _UnfitError(f"is damaged ({found})")


def _make_private(path: Path) -> None:
    """SQLite gives its side files the mode of the main one, so that is made before it.

    A file that is there is never opened here: closing it would drop the locks that SQLite has on it in this
    process.
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        if path.stat().st_mode & 0o077:
            with suppress(PermissionError):
                path.chmod(0o600)


def _bring_up_to_date(connection: sqlite3.Connection, now: float) -> None:
    with _transaction(connection, "BEGIN"):  # one moment: another process may be making the tables just now
        version = _version_of(connection)
    if version == len(STEPS):
        return
    connection.execute("PRAGMA journal_mode = WAL")
    with _transaction(connection):
        version = _version_of(connection)  # again: the other process may have been quicker
        for step in STEPS[version:]:
            for statement in step.split(";"):
                connection.execute(statement)
        if version == 0:
            write_born(connection, now)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(STEPS)}")


def _version_of(connection: sqlite3.Connection) -> int:
    """How many steps the file has; 0 for an empty one. Another program's file is only read, never changed.

    In a transaction of the caller's.
    """
    version, application = (
        int(connection.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("user_version", "application_id")
    )
    if application != APPLICATION_ID:
        if version or application or connection.execute("SELECT 1 FROM sqlite_master").fetchone():
            raise _UnfitError("belongs to another program")
        return 0
    if version > len(STEPS):
        raise _UnfitError(f"was written by a later release (version {version} of its tables)")
    return version


def _move_aside(path: Path, now: float) -> Path:
    """The side files first: SQLite would play a write-ahead log that stays behind into the new file."""
    date = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%S")
    aside = path.with_name(f"{path.name}.broken-{date}")
    number = 1
    while os.path.lexists(aside):
        number += 1
        aside = path.with_name(f"{path.name}.broken-{date}-{number}")
    with _telling(path, "moving aside"):
        for suffix in ("-wal", "-shm", ""):
            with suppress(FileNotFoundError):
                path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
    main = [p for p in path.parent.glob(f"{path.name}.broken-*") if not p.name.endswith(("-wal", "-shm"))]
    for old in sorted(main, key=lambda p: p.lstat().st_mtime)[:-KEPT_ASIDE]:
        for suffix in ("-wal", "-shm", ""):
            with suppress(OSError):  # a folder that somebody put there is not ours to delete
                old.with_name(old.name + suffix).unlink(missing_ok=True)
    return aside


# --- calls -----------------------------------------------------------------------------------------------


@contextmanager
def _transaction(connection: sqlite3.Connection, begin: str = "BEGIN IMMEDIATE") -> Iterator[None]:
    """All or nothing. A writer takes the lock at once: a reader that turns writer can fail without a wait."""
    connection.execute(begin)
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
        raise


def _code(error: sqlite3.Error) -> int:
    """SQLite's primary result code (the upper bits are details); 0 for what Python found by itself."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _data_version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA data_version").fetchone()[0])


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file it is that has this name; None where there is none."""
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


@contextmanager
def _telling(path: Path, doing: str) -> Iterator[None]:
    """Turns what SQLite and the file system say into what a person can act on; bugs stay what they are."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        code = _code(error)
        if code in _BROKEN:
            raise _UnfitError(f"is damaged ({error})") from error
        if code in {0, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISUSE}:
            raise
        raise _trouble(error, code, path, doing) from error
    except OSError as error:
        tried = f"{doing} the state failed: {path} gave {error.strerror}"
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise NoSpaceError(f"{tried}; {_LOOK_FOR_SPACE.format(path.parent)}") from error
        if error.errno in _PASSING:
            raise TemporaryError(f"{tried}; {_LOOK_FOR_SPACE.format(path.parent)}") from error
        raise PermanentError(f"{tried}; {_MAKE_WRITABLE.format(path.parent)}") from error


def _trouble(error: sqlite3.Error, code: int, path: Path, doing: str) -> SidecarError:
    tried = f"{doing} the state failed: {path} gave {str(error)!r}"
    if code in _FOR_GOOD:
        return PermanentError(f"{tried}; {_MAKE_WRITABLE.format(path.parent)}")
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return TemporaryError(f"{tried} for {BUSY_S:g} s; if it stays so, look which other process uses it")
    # SQLITE_FULL, and SQLITE_IOERR, as which SQLite tells a quota that is used up.
    return NoSpaceError(f"{tried}; {_LOOK_FOR_SPACE.format(path.parent)}")
