"""The policy file of the file generation: data/web/.well-known/mta-sts.txt, which nginx serves as it is.

Rules for every editor: it is replaced in one step, so that no sender ever gets half a policy; a person's own
file is copied away first. PHP's user may write in data/web: no link in it is followed, because nothing but the policy
file may be read, shown, opened to all or written here. Its content is decided elsewhere.
"""

import contextlib
import itertools
import os
import stat
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from sidecar.host.errors import PermanentError
from sidecar.host.files import remove_leftovers, replace_file, write_error
from sidecar.host.plain_file import NotPlainError, open_plain, opened_folder, read_plain
from sidecar.observed import PolicyFile, Seen, Sight, Unseen

WEB = Path("data/web")
WELL_KNOWN = ".well-known"
NAME = "mta-sts.txt"
LARGEST = 64 * 1024
"""Bytes that are read. RFC 8461 §3.3 lets senders stop here, so a larger file must not look like a policy."""
LARGEST_BACKUP = 1 << 20
"""Bytes of a file that is copied away; a larger one is nobody's policy, and is left alone."""
_KEPT_FIRST = 10
_KEPT_LAST = 10
"""Backups that are kept, the first and the last: a writer of ever new files must not fill the disk."""
_STAMP = "%Y-%m-%dT%H%M%SZ"


def observe(mailcow_dir: Path, now: float) -> Sight[PolicyFile]:
    """The file as nginx finds it, whether it can be written, whether nginx may read it; blocks.

    A file that is not a plain one, or has a second name elsewhere, is `Unseen`, and none of it is read.
    """
    path = mailcow_dir / WEB / WELL_KNOWN / NAME
    try:
        locked = _locked(mailcow_dir)
        with opened_folder(mailcow_dir / WEB) as web:
            try:
                with opened_folder(path.parent, web) as folder:
                    data, open_to_all = _read(path, folder)
                    readable = data is None or (open_to_all and _hiding(path, web, folder) is None)
            except FileNotFoundError:
                data, readable = None, True
    except FileNotFoundError:
        return Unseen(f"there is no folder {mailcow_dir / WEB}: is mailcow's directory mounted?", now)
    except NotPlainError as error:
        return Unseen(f"the policy file was not read: {_in_the_way(error)}", now)
    except OSError as error:
        return Unseen(f"the policy file {path} cannot be read: {error}", now)
    return Seen(PolicyFile(data, locked, readable), now)


def write(mailcow_dir: Path, data: bytes, backup_dir: Path | None = None, now: float | None = None) -> None:
    """Puts `data` into the file, for nginx to read; blocks on the disk.

    With `backup_dir` the file that is there now is first copied into it, readable by its owner alone, named
    after the time `now` (Unix seconds; None: by the clock). An existing file keeps its owner, and its mode,
    to which reading by all is added. With nothing replaced it raises PermanentError where the file may not be
    written or nginx could not reach it, TemporaryError where the disk failed.
    """
    path = mailcow_dir / WEB / WELL_KNOWN / NAME
    with _explained_errors(path, "written"):
        if locked := _locked(mailcow_dir):
            raise PermanentError(f"the policy file {path} was not written: {locked}")
        with opened_folder(mailcow_dir / WEB) as web, _made_folder(path.parent, web) as folder:
            if hiding := _hiding(path, web, folder):
                raise PermanentError(
                    f"the policy file {path} was not written: nginx may not enter {hiding}; run chmod o+x on it"
                )
            if backup_dir is not None:
                _back_up(path, folder, backup_dir, now)
            replace_file(path, data, mode=0o644, at_least=0o444, folder=folder)


def remove(mailcow_dir: Path, backup_dir: Path, now: float | None = None) -> None:
    """Removes the file, with a copy in `backup_dir`; a missing file is fine. Raises as `write`; blocks on the disk."""
    path = mailcow_dir / WEB / WELL_KNOWN / NAME
    with _explained_errors(path, "removed"), contextlib.suppress(FileNotFoundError):
        if locked := _locked(mailcow_dir):
            raise PermanentError(f"the policy file {path} was not removed: {locked}")
        with opened_folder(mailcow_dir / WEB) as web, opened_folder(path.parent, web) as folder:
            _back_up(path, folder, backup_dir, now)
            os.unlink(NAME, dir_fd=folder)


def tidy(mailcow_dir: Path) -> None:
    """Removes what a killed `write` left beside the file; with the pass lock held. Blocks, never raises."""
    with (
        contextlib.suppress(OSError),
        opened_folder(mailcow_dir / WEB) as web,
        opened_folder(mailcow_dir / WEB / WELL_KNOWN, web) as folder,
    ):
        if _locked(mailcow_dir) is None:
            remove_leftovers(folder)


def _in_the_way(error: NotPlainError) -> str:
    return f"{error.filename}: {error.strerror}; put a plain file in its place, or remove it"


@contextlib.contextmanager
def _explained_errors(path: Path, done: str) -> Iterator[None]:
    try:
        yield
    except NotPlainError as error:
        raise PermanentError(f"the policy file was not {done}: {_in_the_way(error)}") from error
    except OSError as error:
        raise write_error(path, error) from error


def _locked(mailcow_dir: Path) -> str | None:
    """Why the file must not be written, None where it may be. Only the administrator can place these links."""
    web: Path | None = None
    with contextlib.suppress(OSError, RuntimeError):
        web = (mailcow_dir / WEB).resolve()
    # A loop of links: RuntimeError before Python 3.13, and since then the link itself.
    if web is None or web.is_symlink():
        return f"{mailcow_dir / WEB} is a link that leads nowhere; put a folder in its place"
    if not web.is_relative_to(mailcow_dir.resolve()):
        return (
            f"{mailcow_dir / WEB} is a link to {web}, outside mailcow's directory; put a folder in its place"
        )
    return None


def _read(path: Path, folder: int) -> tuple[bytes | None, bool]:
    """The content, cut and ended by a NUL (no policy has one) where it is too large, None without a file; whether
    all may read it.
    """
    try:
        descriptor = open_plain(path, os.O_RDONLY, dir_fd=folder)
    except FileNotFoundError:
        return None, True
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if found.st_nlink > 1:
            raise NotPlainError("it has a second name elsewhere (a hard link)", path)
        data = file.read(LARGEST + 1)
    cut = data if len(data) <= LARGEST else data[:LARGEST] + b"\0"
    return cut, bool(found.st_mode & stat.S_IROTH)


def _hiding(path: Path, web: int, folder: int) -> Path | None:
    """The folder that nginx, which is another user, may not enter.

    Only what nginx sees counts: data/web is mounted into its container, the folders above are not.
    """
    for place, descriptor in ((path.parent, folder), (path.parent.parent, web)):
        if not os.fstat(descriptor).st_mode & stat.S_IXOTH:
            return place
    return None


@contextlib.contextmanager
def _made_folder(path: Path, web: int) -> Iterator[int]:
    made = False
    with contextlib.suppress(FileExistsError):
        os.mkdir(path.name, 0o755, dir_fd=web)
        made = True
    with opened_folder(path, web) as folder:
        if made:
            with os.scandir(folder) as entries:
                if (
                    next(entries, None) is None
                ):  # whatever folder it is by now, nothing in it is opened to others
                    os.fchmod(folder, 0o755)  # whatever the umask is
        yield folder


def _back_up(path: Path, folder: int, backup_dir: Path, now: float | None) -> None:
    """Copies the file away; the same content once only."""
    try:
        old = read_plain(path, LARGEST_BACKUP, dir_fd=folder)
    except FileNotFoundError:
        return
    backup_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    kept = sorted(backup_dir.glob(f"{NAME}.*"), key=_made_at)
    for copy in kept:
        with contextlib.suppress(OSError):
            if read_plain(copy, LARGEST_BACKUP) == old:
                return
    date = datetime.fromtimestamp(time.time() if now is None else now, UTC)
    name = f"{NAME}.{date:{_STAMP}}"
    names = itertools.chain([name], (f"{name}.{number}" for number in itertools.count(2)))
    copy = next(place for place in map(backup_dir.joinpath, names) if not os.path.lexists(place))
    replace_file(copy, old, mode=0o600)
    for surplus in kept[_KEPT_FIRST : len(kept) + 1 - _KEPT_LAST]:
        surplus.unlink(missing_ok=True)


def _made_at(copy: Path) -> tuple[str, int]:
    stamp, _, number = copy.name.removeprefix(f"{NAME}.").partition(".")
    return stamp, int(number) if number.isdecimal() else 0
