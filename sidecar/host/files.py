"""Replaces a file as a whole: a reader sees the old text or the new one, at every moment and after a crash.

Rules for every editor. The new text is on the disk before it gets the file's name; the file keeps its mode
and owner, or is not replaced at all; nothing is left beside it. The content, and symbolic
links, are the caller's responsibility.
"""

import contextlib
import errno
import os
import re
import secrets
import stat
from collections.abc import Callable
from pathlib import Path

from sidecar.host.errors import NoSpaceError, PermanentError, SidecarError, TemporaryError
from sidecar.host.plain_file import NotPlainError, demand_plain, opened_folder

_MARK = "mta-sts-sidecar"
_PRIVATE = 0o600
_NO_FOLDER_SYNC = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EBADF})
"""What file systems answer that cannot fsync a folder; the rename itself was done."""
MORE_FILES = {
    errno.EMFILE: "raise the sidecar's limit of open files (ulimits: nofile)",
    errno.ENFILE: "raise this host's limit of open files (sysctl fs.file-max)",
}
"""What to do, by errno, if no more files can be opened."""


def replace_file(
    path: Path,
    data: bytes,
    *,
    mode: int | None = None,
    at_least: int = 0,
    folder: int | None = None,
    before_rename: Callable[[], None] | None = None,
) -> None:
    """Makes `data` the content of `path`; blocks until it is on the disk.

    `path` must not be a symbolic link (the link would be replaced, not its target). A file that is there
    keeps its owner, and its mode, to which `at_least` is added; `mode` is for a new one (None: 600). `folder`
    is a descriptor of its folder, for one that others may write in. `before_rename` is called at the last
    moment: if it raises, nothing is changed.

    Raises TemporaryError (NoSpaceError for a full disk) or PermanentError, with what to do.
    """
    temporary = f".{path.name}.{_MARK}-{secrets.token_hex(8)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        with _open_folder(path.parent if folder is None else folder) as within:
            before = None
            with contextlib.suppress(FileNotFoundError):
                before = os.stat(path.name, dir_fd=within, follow_symlinks=False)
                demand_plain(before, path)
            _remove_stale(within, re.escape(path.name))
            descriptor = os.open(temporary, flags, _PRIVATE, dir_fd=within)
            try:
                with open(descriptor, "wb") as file:  # noqa: PTH123 - takes over the descriptor that O_EXCL gave
                    _like(path, descriptor, before, (_PRIVATE if mode is None else mode, at_least))
                    file.write(data)
                    file.flush()
                    os.fsync(descriptor)
                if before_rename is not None:
                    before_rename()
                os.replace(temporary, path.name, src_dir_fd=within, dst_dir_fd=within)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(temporary, dir_fd=within)
                raise
            try:
                os.fsync(within)
            except OSError as error:
                if error.errno not in _NO_FOLDER_SYNC:
                    raise
    except OSError as error:
        raise write_error(path, error) from error


def write_error(path: Path, error: OSError) -> SidecarError:
    """The error for people that says why `path` could not be written, and what to do."""
    said = error.strerror or str(error)
    tried = f"{path} could not be written ({said})"
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return NoSpaceError(f"{tried}: free some space there; the file is as it was")
        case errno.EROFS:
            return PermanentError(f"{tried}: mount that folder into the container without `:ro`")
        case errno.EACCES | errno.EPERM:
            return PermanentError(
                f"{tried}: let user {os.geteuid()} write to the folder {path.parent}; a container without "
                "the capabilities CHOWN and DAC_OVERRIDE can only replace files of its own user"
            )
        case errno.EBUSY:
            return PermanentError(
                f"{tried}: the file alone is mounted; mount its folder {path.parent} instead"
            )
        case errno.ENOENT | errno.ENOTDIR:
            return PermanentError(f"{tried}: there is no folder {path.parent}; make it, or correct the mount")
        case errno.EINVAL if isinstance(error, NotPlainError):
            return PermanentError(f"{tried}: move it away")
        case errno.EMFILE | errno.ENFILE as number:
            return TemporaryError(f"{tried}: {MORE_FILES[number]}; the next pass tries again")
        case _:
            return TemporaryError(
                f"{tried}: check the disk and mount of {path.parent}; the next pass tries again"
            )


def folder_error(tried: str, folder: Path, error: OSError) -> SidecarError:
    """The error for people where a file of the sidecar's own `folder` cannot be opened; `tried` says what was tried."""
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return NoSpaceError(f"{tried}; free some space on the disk of {folder}")
        case errno.EMFILE | errno.ENFILE as number:
            return TemporaryError(f"{tried}; {MORE_FILES[number]}")
        case errno.EIO:
            return TemporaryError(f"{tried}; check the disk of {folder} for errors")
        case errno.ENOLCK:
            return TemporaryError(f"{tried}; move {folder} to a file system that can lock files")
        case _:
            return PermanentError(f"{tried}; make {folder} a folder that the sidecar may write in")


def _open_folder(folder: Path | int) -> contextlib.AbstractContextManager[int]:
    return contextlib.nullcontext(folder) if isinstance(folder, int) else opened_folder(folder)


def _like(path: Path, descriptor: int, before: os.stat_result | None, modes: tuple[int, int]) -> None:
    """Gives the new file the old one's mode and owner; `modes` are that of a new file, and what an old one's gets added."""
    new, added = modes
    # The mode first, while the file is still ours: chmod on another's file takes a capability (FOWNER) that
    # the container does not have. Nothing has been written yet.
    os.fchmod(descriptor, new if before is None else stat.S_IMODE(before.st_mode) | added)
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


def remove_leftovers(folder: Path | int) -> None:
    """Removes what killed runs left of any file in `folder` (or its descriptor); with the pass lock held, never raises."""
    with contextlib.suppress(OSError), _open_folder(folder) as within:
        _remove_stale(within, ".+")


def _remove_stale(folder: int, name: str) -> None:
    """Such names are only ours, and we hold a lock while we write; `name` is a pattern."""
    ours = re.compile(rf"\.{name}\.{_MARK}-[0-9a-f]{{16}}")
    with os.scandir(folder) as entries:
        stale = [e.name for e in entries if ours.fullmatch(e.name) and e.is_file(follow_symlinks=False)]
    for found in stale:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(found, dir_fd=folder)
