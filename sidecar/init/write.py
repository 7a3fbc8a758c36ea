"""Writes what was agreed to: all of it, or nothing.

Rule for every editor: no copy of mailcow.conf is left anywhere: there is no state folder yet, and mailcow's update may
commit files in its directory. The old text is kept in memory until everything is written.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sidecar.host.errors import PermanentError, SidecarError, TemporaryError
from sidecar.host.files import replace_file
from sidecar.host.plain_file import read_plain

_READABLE = 0o644
_LARGEST = 1 << 20


@dataclass(frozen=True, slots=True)
class Change:
    """A file's content; `before` is None for a new file. `path` is not a symbolic link."""

    path: Path
    before: bytes | None
    after: bytes


class NotUndoneError(PermanentError):
    """A write failed, and one before it could not be undone."""


def write_all(changes: Sequence[Change]) -> None:
    """Makes all these changes; blocks. If one fails, those before it are undone.

    Raises TemporaryError if somebody else changed a file since it was read, what `replace_file` raises, and
    NotUndoneError if a change could not be undone.
    """
    done: list[Change] = []
    try:
        for change in changes:
            _write(change.path, change.before, change.after)
            done.append(change)
    except BaseException as error:
        for change in reversed(done):
            try:
                if change.before is not None:
                    _write(change.path, change.after, change.before)
                elif _content(change.path) == change.after:
                    change.path.unlink()
            except (SidecarError, OSError) as trouble:
                raise NotUndoneError(
                    f"{error}. {change.path} had been changed already, and could not be restored: {trouble}"
                ) from error
        raise


def _write(path: Path, before: bytes | None, after: bytes) -> None:
    def unchanged() -> None:
        if _content(path) != before:
            raise TemporaryError(
                f"{path} was changed by another program meanwhile, so nothing was written: run init again"
            )

    replace_file(path, after, mode=_READABLE, before_rename=unchanged)


def _content(path: Path) -> bytes | None:
    try:
        return read_plain(path, _LARGEST)
    except FileNotFoundError:
        return None
