"""Writes what was agreed to: all of it, or nothing.

Rule for every editor: no copy of mailcow.conf is left anywhere, for there is no state folder yet and mailcow's
update may commit what lies in its directory; the text before is kept in memory until all is written.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sidecar.atomic import replace_file
from sidecar.errors import PermanentError, SidecarError, TemporaryError
from sidecar.plainfile import read_plain

_READABLE = 0o644
_LARGEST = 1 << 20


@dataclass(frozen=True, slots=True)
class Change:
    """A file's content; `before` is None for one that is not there yet. `path` is no symbolic link."""

    path: Path
    before: bytes | None
    after: bytes


class NotUndoneError(PermanentError):
    """A write failed, and one before it could not be undone."""


def write_all(changes: Sequence[Change]) -> None:
    """Makes all these changes; blocks. Where one fails those before it are undone.

    Raises TemporaryError where somebody else changed a file since it was read, what `replace_file` raises, and
    NotUndoneError where something has been changed nevertheless.
    """
    done: list[Change] = []
    try:
        for change in changes:
            _write(change.path, change.before, change.after)
            done.append(change)
    except BaseException as error:
        for change in reversed(done):
            try:
                _undo(change)
            except (SidecarError, OSError) as trouble:
                raise NotUndoneError(
                    f"{error}. {change.path} had been changed already, and could not be put back: {trouble}"
                ) from error
        raise


def _write(path: Path, before: bytes | None, after: bytes) -> None:
    def unchanged() -> None:
        if _content(path) != before:
            raise TemporaryError(
                f"{path} was changed by somebody else just now, so nothing was written: run init again"
            )

    replace_file(path, after, mode=_READABLE, before_rename=unchanged)


def _undo(change: Change) -> None:
    if change.before is not None:
        _write(change.path, change.after, change.before)
    elif _content(change.path) == change.after:
        change.path.unlink()


def _content(path: Path) -> bytes | None:
    try:
        return read_plain(path, _LARGEST)
    except FileNotFoundError:
        return None
