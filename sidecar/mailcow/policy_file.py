"""The policy file of the file generation: data/web/.well-known/mta-sts.txt, which nginx serves as it is.

Rules for every editor: it is replaced in one step, so that no sender ever gets half a policy; a person's own
file is copied away first; nothing outside data/web is ever written, for nginx sees no more than that folder.
What is to stand in it is decided elsewhere.
"""

import contextlib
import errno
import itertools
import os
import stat
import time
from datetime import UTC, datetime
from pathlib import Path

from sidecar.atomic import remove_leftovers, replace_file
from sidecar.errors import PermanentError, SidecarError, TemporaryError
from sidecar.observed import PolicyFile, Seen, Sight, Unseen

WEB = Path("data/web")
WELL_KNOWN = ".well-known"
NAME = "mta-sts.txt"
LARGEST = 64 * 1024
"""Bytes that are read. RFC 8461 §3.3 lets senders stop here, so a larger file must not look like a policy."""


def observe(mailcow_dir: Path, now: float) -> Sight[PolicyFile]:
    """The file as nginx finds it, whether it can be written, whether nginx may read it; blocks."""
    web = mailcow_dir / WEB
    path = web / WELL_KNOWN / NAME
    try:
        if not web.is_dir():
            return Unseen(f"there is no folder {web}: is mailcow's directory mounted?", now)
        locked = _locked(mailcow_dir)
        data = _read(path)
        readable = data is None or not _hidden(mailcow_dir, path)
    except OSError as error:
        return Unseen(f"the policy file {path} cannot be read: {error}", now)
    return Seen(PolicyFile(data, locked, readable), now)


def write(mailcow_dir: Path, data: bytes, backup_dir: Path | None = None, now: float | None = None) -> None:
    """Puts `data` into the file, for nginx to read; blocks on the disk.

    With `backup_dir` the file that is there now is first copied into it, readable by its owner alone, named
    after the time `now` (Unix seconds; None: by the clock). An existing file keeps its owner, and its mode,
    to which reading by all is added; a link is followed. With nothing replaced it raises PermanentError where
    the file may not be written or nginx could not reach it, TemporaryError where the disk failed.
    """
    path = mailcow_dir / WEB / WELL_KNOWN / NAME
    try:
        if locked := _locked(mailcow_dir):
            raise PermanentError(f"the policy file {path} was not written: {locked}")
        _make_folder(path.parent)
        target = path.resolve()
        if hidden := _hidden(mailcow_dir, target.parent):
            raise PermanentError(
                f"the policy file {path} was not written: nginx may not enter {hidden}; run chmod o+x on it"
            )
        if backup_dir is not None and target.exists():
            _back_up(target.read_bytes(), backup_dir, time.time() if now is None else now)
        _open_to_all(target)
        replace_file(target, data, mode=0o644)
    except SidecarError:
        raise
    except PermissionError as error:
        raise PermanentError(
            f"the policy file {path} was not written: {error.strerror} ({error.filename}); "
            "the sidecar needs to write there, and only a file of its own user can be made readable for nginx"
        ) from error
    except OSError as error:
        raise TemporaryError(f"the policy file {path} was not written: {error}; it is tried again") from error


def remove(mailcow_dir: Path, backup_dir: Path, now: float | None = None) -> None:
    """Takes the file away, with a copy in `backup_dir`; no file is fine. Raises as `write`; blocks on the disk."""
    path = mailcow_dir / WEB / WELL_KNOWN / NAME
    try:
        if locked := _locked(mailcow_dir):
            raise PermanentError(f"the policy file {path} was not removed: {locked}")
        with contextlib.suppress(FileNotFoundError):
            _back_up(path.read_bytes(), backup_dir, time.time() if now is None else now)
            path.unlink()
    except PermissionError as error:
        raise PermanentError(
            f"the policy file {path} was not removed: {error.strerror} ({error.filename}); "
            "the sidecar needs to write in its folder"
        ) from error
    except OSError as error:
        raise TemporaryError(f"the policy file {path} was not removed: {error}; it is tried again") from error


def tidy(mailcow_dir: Path) -> None:
    """Removes what a killed `write` left beside the file; with the pass lock held. Blocks, never raises."""
    with contextlib.suppress(OSError):
        if _locked(mailcow_dir) is None:
            remove_leftovers((mailcow_dir / WEB / WELL_KNOWN / NAME).resolve().parent)


def _locked(mailcow_dir: Path) -> str | None:
    """Why the file must not be written, None where it may be."""
    web = (mailcow_dir / WEB).resolve()
    try:
        target = (mailcow_dir / WEB / WELL_KNOWN / NAME).resolve()
    except (OSError, RuntimeError):  # a loop, in Python 3.12 and before
        return "it is a link that leads nowhere; remove it"
    if not target.is_relative_to(mailcow_dir.resolve()):
        return f"it is a link to {target}, outside mailcow's directory; put a file in its place"
    if not target.is_relative_to(web):
        return f"it is a link to {target}, which nginx does not see; put a file in its place"
    if target.is_symlink():  # a loop, in Python 3.13 and later
        return "it is a link that leads nowhere; remove it"
    if target.exists() and not target.is_file():
        return "it is no file; remove it"
    return None


def _read(path: Path) -> bytes | None:
    """The content, cut and ended by a NUL (no policy has one) where it is too large; None without one."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a named pipe must not block
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno == errno.ELOOP:
            return None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    with os.fdopen(descriptor, "rb") as file:
        data = file.read(LARGEST + 1)
    return data if len(data) <= LARGEST else data[:LARGEST] + b"\0"


def _hidden(mailcow_dir: Path, path: Path) -> Path | None:
    """The file or folder at or above `path` that nginx, which is another user, may not read or enter.

    Only what nginx sees counts: data/web is mounted into its container, the folders above are not.
    """
    web = (mailcow_dir / WEB).resolve()
    place = path.resolve()
    while place.is_relative_to(web):
        needed = stat.S_IXOTH if place.is_dir() else stat.S_IROTH
        if not place.stat().st_mode & needed:
            return place
        place = place.parent
    return None


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o755)
    except FileExistsError:
        return
    folder.chmod(0o755)  # whatever the umask is


def _open_to_all(target: Path) -> None:
    """What replaces an existing file gets its mode: so that is mended first (a policy is public)."""
    with contextlib.suppress(FileNotFoundError):
        mode = stat.S_IMODE(target.stat().st_mode)
        if mode & 0o444 != 0o444:
            target.chmod(mode | 0o444)


def _back_up(old: bytes, backup_dir: Path, now: float) -> None:
    backup_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(kept.is_file() and kept.read_bytes() == old for kept in backup_dir.glob(f"{NAME}.*")):
        return  # who writes the same file again and again must not fill the disk
    name = f"{NAME}.{datetime.fromtimestamp(now, UTC):%Y-%m-%dT%H%M%SZ}"
    names = itertools.chain([name], (f"{name}.{number}" for number in itertools.count(2)))
    copy = next(path for path in map(backup_dir.joinpath, names) if not path.exists())
    replace_file(copy, old, mode=0o600)
