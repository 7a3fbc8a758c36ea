"""The file of the state, `state.sqlite`: opened, upgraded, moved aside if it cannot be used.

Rules for every editor: losing the file is safe, half of a change in it is not: every change is one transaction. A file
that is broken, of another program or of a later release is moved aside; it is never repaired and never stops us.
"""

import os
import sqlite3
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from sidecar.host.errors import NoSpaceError, PermanentError, TemporaryError
from sidecar.host.files import folder_error
from sidecar.observed import Memory
from sidecar.state import old_tables, parts
from sidecar.state.lost import Lost

APPLICATION_ID = 0x4D545353  # "MTSS": distinguishes our file from those of other programs
VERSION = 5
"""Of the tables, not of the content of parts. 1 to 4 had a table for each kind of fact."""
BUSY_S = 5.0
"""How long a call waits for another process that is writing."""
KEPT_ASIDE = 3
"""How many files moved aside are kept: they must not fill a failing disk."""
SHOWN = 3
"""How many lost rows a message names."""

_BROKEN = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_LASTING = frozenset(
    {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH}
)


class UnfitError(Exception):
    """The file can no longer be used; the text completes a sentence that begins with its name."""


def opened(path: Path, now: float, broken: str | None = None) -> tuple[sqlite3.Connection, str | None]:
    """A connection to a usable file, and a message if an earlier file or rows of it could not be used.

    `broken` says why the existing file is known to be unusable.
    """
    found = identity(path)
    reason = None if found is None else broken
    if reason is None:
        try:
            connection, lost = _connect(path, now)
            return connection, lost_words(path, lost) if lost else None
        except UnfitError as error:
            reason = str(error)
    # Another process may have noticed the same, and created a new file already.
    aside = _move_aside(path, now) if identity(path) == found else None
    try:
        connection, _ = _connect(path, now)
    except UnfitError as error:
        raise PermanentError(
            f"opening the state failed: {path} is new, but it {error}; check the disk that it is on"
        ) from error
    kept = f"; it is kept as {aside.name}" if aside else ""
    return connection, f"{path} {reason}: a new one was created{kept}"


def lost_words(path: Path, lost: Sequence[Lost]) -> str:
    """The message about rows that could not be read."""
    more = f" and {len(lost) - SHOWN} more" if len(lost) > SHOWN else ""
    return (
        f"{path} has rows this release cannot read: {', '.join(map(str, lost[:SHOWN]))}{more}; they are kept in the file, "
        "and count as unknown: that may cost a longer wait or a repeated check, never a wrong write"
    )


def _connect(path: Path, now: float) -> tuple[sqlite3.Connection, tuple[Lost, ...]]:
    """Raises UnfitError, TemporaryError or PermanentError."""
    with explained_errors(path, "opening"):
        if identity(path) is not None and not stat.S_ISREG(path.lstat().st_mode):
            raise UnfitError("is not a file")
        # SQLite gives its side files the mode of the main file, so that is created first. An existing file is not
        # opened here: closing it would drop the locks that SQLite has on it in this process.
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except FileExistsError:
            if path.stat().st_mode & 0o077:
                with suppress(PermissionError):
                    path.chmod(0o600)
        connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
        try:
            return connection, _upgrade_and_check(connection, path.parent, now)
        except BaseException:
            connection.close()
            raise


def _upgrade_and_check(connection: sqlite3.Connection, folder: Path, now: float) -> tuple[Lost, ...]:
    """Upgrades the tables and reads everything once, so that errors show now and not in the middle of a pass."""
    try:
        _upgrade(connection, folder, now)
        # A write is done only when it is on the disk: the intent must be stored before the action.
        connection.execute("PRAGMA synchronous = FULL")
        (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        _, lost = load(connection, now)
    except (ValueError, TypeError, LookupError) as error:
        raise UnfitError(f"has content that this program never writes ({error})") from error
    except sqlite3.OperationalError as error:
        if _code(error) in {0, sqlite3.SQLITE_ERROR}:  # no UTF-8; no such table or column
            raise UnfitError(f"has other tables than it should ({error})") from error
        raise
    if found != "ok":
        raise UnfitError(f"is damaged ({found})")
    return lost


def load(connection: sqlite3.Connection, now: float) -> tuple[Memory, tuple[Lost, ...]]:
    """The memory, and the rows that could not be read; those are then kept aside, so that each is reported once."""
    with transaction(connection, "BEGIN"):
        found = parts.read(connection)
    if found[1]:
        with transaction(connection):
            found = parts.read_careful(connection, now)
    return found


def _upgrade(connection: sqlite3.Connection, folder: Path, now: float) -> None:
    with transaction(connection, "BEGIN"):  # waits if another process is creating the tables just now
        version = _version_of(connection)
    if version == VERSION:
        return
    connection.execute("PRAGMA journal_mode = WAL")
    with transaction(connection):
        version = _version_of(connection)  # again: the other process may have been faster
        if version == VERSION:
            return
        for statement in parts.TABLES.split(";"):
            connection.execute(statement)
        if version == 0:
            parts.write(connection, Memory(), Memory(born=now))
        else:
            old_tables.take_over(connection, version)
        old_tables.take_over_outbox(connection, folder)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {VERSION}")
    with suppress(OSError):  # its content is in the new tables; if the file stays, it is not read again
        (folder / old_tables.OUTBOX).unlink(missing_ok=True)


def _version_of(connection: sqlite3.Connection) -> int:
    """The version of the file's tables; 0 for an empty one. Another program's file is only read, never changed.

    In a transaction of the caller's.
    """
    version, application = (
        int(connection.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("user_version", "application_id")
    )
    if application != APPLICATION_ID:
        if version or application or connection.execute("SELECT 1 FROM sqlite_master").fetchone():
            raise UnfitError("belongs to another program")
        return 0
    if version > VERSION:
        raise UnfitError(f"was written by a later release (version {version} of its tables)")
    return version


def _move_aside(path: Path, now: float) -> Path:
    """The side files first: SQLite would apply a remaining write-ahead log to the new file."""
    date = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%S")
    aside = path.with_name(f"{path.name}.broken-{date}")
    number = 1
    while os.path.lexists(aside):
        number += 1
        aside = path.with_name(f"{path.name}.broken-{date}-{number}")
    with explained_errors(path, "moving aside"):
        for suffix in ("-wal", "-shm", ""):
            with suppress(FileNotFoundError):
                path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
    main = [p for p in path.parent.glob(f"{path.name}.broken-*") if not p.name.endswith(("-wal", "-shm"))]
    for old in sorted(main, key=lambda p: p.lstat().st_mtime)[:-KEPT_ASIDE]:
        for suffix in ("-wal", "-shm", ""):
            with suppress(OSError):  # a folder in this place is not ours to delete
                old.with_name(old.name + suffix).unlink(missing_ok=True)
    return aside


# --- calls -----------------------------------------------------------------------------------------------


@contextmanager
def transaction(connection: sqlite3.Connection, begin: str = "BEGIN IMMEDIATE") -> Iterator[None]:
    """All or nothing. A writer takes the lock at once: a reader that starts to write can fail without waiting."""
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
    """SQLite's primary result code (the upper bits are details); 0 for an error of Python's own."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def data_version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA data_version").fetchone()[0])


def identity(path: Path) -> tuple[int, int] | None:
    """The identity of the file with this name; None if there is none."""
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


@contextmanager
def explained_errors(path: Path, doing: str) -> Iterator[None]:
    """Turns errors of SQLite and the file system into errors with a remedy; bugs are passed on unchanged."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        tried = f"{doing} the state failed: {path} gave {str(error)!r}"
        code = _code(error)
        if code in _BROKEN:
            raise UnfitError(f"is damaged ({error})") from error
        if code in {0, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISUSE}:
            raise
        if code in _LASTING:
            remedy = f"make {path.parent} a folder that the sidecar may write in"
            raise PermanentError(f"{tried}; {remedy}") from error
        if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            remedy = "if that lasts, find out which other process uses it"
            raise TemporaryError(f"{tried} for {BUSY_S:g} s; {remedy}") from error
        # SQLITE_FULL, and SQLITE_IOERR, by which SQLite reports a quota that is used up.
        remedy = f"check the space on the disk of {path.parent}, and that disk for errors"
        raise NoSpaceError(f"{tried}; {remedy}") from error
    except OSError as error:
        tried = f"{doing} the state failed: {path} gave {error.strerror}"
        raise folder_error(tried, path.parent, error) from error
