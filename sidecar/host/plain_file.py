"""Opens files in folders where other users may write: www-data in data/web, acme-mailcow in data/assets/ssl.

Rule for every editor: links that another user may have placed are not followed, and only plain files are read. A
name may mean another file a moment after it was checked, so folders are opened once, and their files are opened
through the descriptors.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_KINDS = (
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class NotPlainError(OSError):
    """The name is not a plain file, or the file is too large; `strerror` says what it is."""

    def __init__(self, said: str, path: Path) -> None:
        super().__init__(errno.EINVAL, said, str(path))


@contextmanager
def opened_folder(path: Path, dir_fd: int | None = None) -> Iterator[int]:
    """A descriptor of the folder; within the folder `dir_fd` it must not be a link; else the caller vouches for the path.

    Raises OSError, NotPlainError if it is not a folder in `dir_fd`.
    """
    name, follow = (path, 0) if dir_fd is None else (path.name, os.O_NOFOLLOW)
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | follow, dir_fd=dir_fd)
    except OSError as error:
        if dir_fd is not None and error.errno in {errno.ENOTDIR, errno.ELOOP}:
            raise NotPlainError("it is not a folder, or it is a symbolic link to one", path) from error
        raise
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def open_plain(path: Path, flags: int, *, dir_fd: int | None = None, follow: bool = False) -> int:
    """A descriptor of a plain file, made with mode 600 where `flags` has O_CREAT; never waits.

    With `dir_fd` it is the name of `path` in that folder that counts. `follow` is for a path that only the
    administrator can place a link at. Raises OSError, NotPlainError if it is not a plain file.
    """
    name = path if dir_fd is None else path.name
    try:
        demand_plain(
            os.stat(name, dir_fd=dir_fd, follow_symlinks=follow), path
        )  # a device may act when it is opened
    except FileNotFoundError:
        if not flags & os.O_CREAT:
            raise
    always = os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    try:
        descriptor = os.open(name, flags | always, 0o600, dir_fd=dir_fd)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise NotPlainError("it is a symbolic link", path) from error
        raise
    try:
        demand_plain(os.fstat(descriptor), path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def read_plain(path: Path, most: int, *, dir_fd: int | None = None, follow: bool = False) -> bytes:
    """The whole content; arguments and errors as those of `open_plain`, and NotPlainError for more than `most` bytes."""
    with os.fdopen(open_plain(path, os.O_RDONLY, dir_fd=dir_fd, follow=follow), "rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise NotPlainError(f"it is larger than {most} bytes", path)
    return data


def demand_plain(found: os.stat_result, path: Path) -> None:
    """Raises NotPlainError if it is not a plain file."""
    if not stat.S_ISREG(found.st_mode):
        kind = next((name for is_kind, name in _KINDS if is_kind(found.st_mode)), "something unknown")
        raise NotPlainError(f"it is {kind}, not a plain file", path)
