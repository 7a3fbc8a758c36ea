"""Replaces a file as a whole: a reader sees the old text or the new one, at every moment and after a crash.

Rules for every editor. The new text is on the disk before it gets the file's name; the file keeps its mode
and owner, or is not replaced at all; nothing is left beside it. What the text is, and where a symbolic link
leads, is the caller's affair.
"""

import contextlib
import errno
import os
import re
import secrets
import stat
from collections.abc import Callable
from pathlib import Path

from sidecar.errors import PermanentError, SidecarError, TemporaryError

_MARK = "mta-sts-sidecar"
_PRIVATE = 0o600
_NO_FOLDER_SYNC = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EBADF})
"""What file systems answer that cannot fsync a folder; the rename itself was done."""


def replace_file(
    path: Path, data: bytes, *, mode: int | None = None, before_rename: Callable[[], None] | None = None
) -> None:
    """Makes `data` the content of `path`; blocks until it is on the disk.

    `path` must not be a symbolic link (the link would be replaced, not its target). A file that is there
    keeps its mode and owner; `mode` is for a new one (None: 600). `before_rename` is called at the last
    moment: what it raises ends the write, with nothing changed.

    Raises TemporaryError or PermanentError, with what to do.
    """
    try:
        before = _there(path)
        _remove_stale(path.parent, re.escape(path.name))
        _replace(path, data, before, _PRIVATE if mode is None else mode, before_rename)
    except OSError as error:
        raise write_error(path, error) from error


def write_error(path: Path, error: OSError) -> SidecarError:
    """The error for people that says why `path` could not be written, and what to do."""
    said = os.strerror(error.errno) if error.errno is not None else str(error)
    tried = f"{path} could not be written ({said})"
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return TemporaryError(f"{tried}: free some space there; the file is as it was")
        case errno.EROFS:
            return PermanentError(f"{tried}: mount that folder into the container without `:ro`")
        case errno.EACCES | errno.EPERM:
            return PermanentError(
                f"{tried}: let user {os.geteuid()} write to the folder {path.parent}; a container without "
                "the capabilities CHOWN and DAC_OVERRIDE can only replace files of its own user"
            )
        case errno.EBUSY:
            return PermanentError(f"{tried}: it is mounted by itself; mount its folder {path.parent} instead")
        case errno.ENOENT | errno.ENOTDIR:
            return PermanentError(f"{tried}: there is no folder {path.parent}; make it, or correct the mount")
        case errno.EISDIR:
            return PermanentError(f"{tried}: a folder or a special file has that name; move it away")
        case _:
            return TemporaryError(
                f"{tried}: look at the disk and mount of {path.parent}; it is tried again later"
            )


def _there(path: Path) -> os.stat_result | None:
    """What is known of the file that is there; None for none."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    return found


def _replace(
    path: Path,
    data: bytes,
    before: os.stat_result | None,
    mode: int,
    before_rename: Callable[[], None] | None,
) -> None:
    temporary = path.with_name(f".{path.name}.{_MARK}-{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _PRIVATE)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - takes over the descriptor that O_EXCL gave
            _like(path, descriptor, before, mode)
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        if before_rename is not None:
            before_rename()
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _like(path: Path, descriptor: int, before: os.stat_result | None, mode: int) -> None:
    """Gives the new file the old one's mode and owner."""
    # The mode first, while the file is still ours: chmod on another's file takes a capability (FOWNER) that
    # the container does not have. Nothing has been written yet that anybody could read.
    os.fchmod(descriptor, mode if before is None else stat.S_IMODE(before.st_mode))
    if before is None:
        return
    ours = os.fstat(descriptor)
    if (ours.st_uid, ours.st_gid) == (before.st_uid, before.st_gid):
        return
    try:
        os.fchown(descriptor, before.st_uid, before.st_gid)
    except PermissionError as error:
        raise PermanentError(
            f"{path} was left as it is: it belongs to {before.st_uid}:{before.st_gid}, and its replacement "
            f"could not be given to that owner ({os.strerror(error.errno or errno.EPERM)}); run the sidecar "
            "as root with the capability CHOWN, as its override file has it, or give the file to "
            f"{ours.st_uid}:{ours.st_gid}"
        ) from error


def remove_leftovers(folder: Path) -> None:
    """Removes what killed runs left of any file in `folder`; with the pass lock held, and never raising."""
    with contextlib.suppress(OSError):
        _remove_stale(folder, ".+")


def _remove_stale(folder: Path, name: str) -> None:
    """Nobody but us makes such names, and we hold a lock while we write; `name` is a pattern."""
    ours = re.compile(rf"\.{name}\.{_MARK}-[0-9a-f]{{16}}")
    with os.scandir(folder) as entries:
        stale = [e.path for e in entries if ours.fullmatch(e.name) and e.is_file(follow_symlinks=False)]
    for found in stale:
        with contextlib.suppress(FileNotFoundError):
            Path(found).unlink()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise
    finally:
        os.close(descriptor)
