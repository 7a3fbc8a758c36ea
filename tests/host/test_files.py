"""A file is replaced as a whole or not at all, keeps its mode and owner, and nothing stays behind."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sidecar.host.errors import NoSpaceError, PermanentError, SidecarError, TemporaryError
from sidecar.host.files import replace_file, write_error

NOBODY = 65534
as_root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to others")


@contextmanager
def user(uid: int) -> Iterator[None]:
    """What is done meanwhile is done as this user, without root's rights (where we are root)."""
    if os.geteuid() != 0:
        yield
        return
    os.setresgid(uid, uid, 0)
    os.setresuid(uid, uid, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)
        os.setresgid(0, 0, 0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that other users can reach."""
    for parent in (tmp_path, *tmp_path.parents):
        if parent.stat().st_uid == os.geteuid() and parent.stat().st_mode & 0o055 != 0o055:
            parent.chmod(parent.stat().st_mode | 0o055)
    return tmp_path


def mode(path: Path) -> int:
    """The permission bits."""
    return stat.S_IMODE(path.stat().st_mode)


def test_content_is_replaced_and_nothing_else_lies_there(tmp_path: Path) -> None:
    """One file before, one after."""
    path = tmp_path / "a.conf"
    path.write_bytes(b"old")
    replace_file(path, b"new\xff\r\n")
    assert path.read_bytes() == b"new\xff\r\n"
    assert list(tmp_path.iterdir()) == [path]


def test_reader_with_the_old_file_open_keeps_it(tmp_path: Path) -> None:
    """The old text is never written over."""
    path = tmp_path / "a.conf"
    path.write_bytes(b"old")
    with path.open("rb") as reader:
        replace_file(path, b"new")
        assert reader.read() == b"old"


@pytest.mark.parametrize("bits", [0o600, 0o640, 0o644, 0o660, 0o777])
def test_mode_of_the_old_file_is_kept(tmp_path: Path, bits: int) -> None:
    """Whatever the umask, and whatever is asked for a new file."""
    path = tmp_path / "a.conf"
    path.touch()
    path.chmod(bits)
    before = os.umask(0o077)
    try:
        replace_file(path, b"new", mode=0o644)
    finally:
        os.umask(before)
    assert mode(path) == bits


@pytest.mark.parametrize(("asked", "bits"), [(None, 0o600), (0o644, 0o644)])
def test_new_file_has_the_mode_asked_for_and_is_private_without(
    tmp_path: Path, asked: int | None, bits: int
) -> None:
    """Nothing is shown to others by accident."""
    replace_file(tmp_path / "a.conf", b"new", mode=asked)
    assert mode(tmp_path / "a.conf") == bits


@as_root_only
def test_owner_of_the_old_file_is_kept(tmp_path: Path) -> None:
    """A person's file stays that person's, group and all."""
    path = tmp_path / "a.conf"
    path.write_bytes(b"old")
    os.chown(path, 1000, 1001)
    path.chmod(0o640)
    replace_file(path, b"new")
    status = path.stat()
    assert (status.st_uid, status.st_gid, mode(path)) == (1000, 1001, 0o640)


@as_root_only
def test_file_that_cannot_keep_its_owner_is_not_replaced(folder: Path) -> None:
    """Without the right to give files away, another's file stays as it is, and the text says whose it is."""
    path = folder / "a.conf"
    path.write_bytes(b"old")
    os.chown(path, 1000, 1000)
    os.chown(folder, NOBODY, NOBODY)
    with user(NOBODY), pytest.raises(PermanentError, match=r"belongs to 1000:1000.*CHOWN"):
        replace_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(folder.iterdir()) == [path]


def test_own_file_of_a_user_without_rights_is_replaced(folder: Path) -> None:
    """No right is needed where the owner is the same."""
    inner = folder / "inner"
    inner.mkdir()
    path = inner / "a.conf"
    path.write_bytes(b"old")
    path.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(inner, NOBODY, NOBODY)
        os.chown(path, NOBODY, NOBODY)
    with user(NOBODY):
        replace_file(path, b"new")
    assert (path.read_bytes(), mode(path)) == (b"new", 0o640)


def test_folder_that_may_not_be_written_is_explained(folder: Path) -> None:
    """A person has to change something, so this is permanent."""
    path = folder / "a.conf"
    path.write_bytes(b"old")
    folder.chmod(0o555)
    try:
        with (
            user(NOBODY),
            pytest.raises(PermanentError, match=r"a\.conf could not be written.*let user") as caught,
        ):
            replace_file(path, b"new")
    finally:
        folder.chmod(0o755)
    assert isinstance(caught.value.__cause__, PermissionError)
    assert path.read_bytes() == b"old"


def test_temporary_file_is_private_and_complete_before_it_gets_the_name(tmp_path: Path) -> None:
    """At the last moment the old file is still there, and the new one beside it, whole, under a hidden name."""
    path = tmp_path / "a.conf"
    path.write_bytes(b"old")
    path.chmod(0o600)
    seen: list[tuple[bytes, bytes, int, bool]] = []

    def look() -> None:
        (temporary,) = set(tmp_path.iterdir()) - {path}
        seen.append(
            (path.read_bytes(), temporary.read_bytes(), mode(temporary), temporary.name.startswith("."))
        )

    replace_file(path, b"new", before_rename=look)
    assert seen == [(b"old", b"new", 0o600, True)]


class _StopError(Exception):
    """What a test raises at the last moment."""


@pytest.mark.parametrize(
    ("raised", "becomes"),
    [
        (_StopError(), _StopError),
        (KeyboardInterrupt(), KeyboardInterrupt),
        (OSError(errno.ENOSPC, "full"), TemporaryError),
        (OSError(errno.EBUSY, "busy"), PermanentError),
    ],
)
def test_error_at_the_last_moment_leaves_all_as_it_was(
    tmp_path: Path, raised: BaseException, becomes: type[BaseException]
) -> None:
    """The old text, and no temporary file."""
    path = tmp_path / "a.conf"
    path.write_bytes(b"old")

    def fail() -> None:
        raise raised

    with pytest.raises(becomes):
        replace_file(path, b"new", before_rename=fail)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_run_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    """Only names that nobody but us makes, for this very file."""
    path = tmp_path / "a.conf"
    pid = os.fork()
    if pid == 0:
        replace_file(path, b"never", before_rename=lambda: os._exit(0))
    os.waitpid(pid, 0)
    (left,) = tmp_path.iterdir()
    others = {
        tmp_path / name for name in (".a.conf.swp", f"{left.name}.bak", left.name.replace("a.conf", "b.conf"))
    }
    for other in others:
        other.touch()
    replace_file(path, b"new")
    assert set(tmp_path.iterdir()) == {path, *others}


def test_link_and_folder_are_not_replaced(tmp_path: Path) -> None:
    """Where the name is no file, something is not as the caller thinks."""
    link, made = tmp_path / "link", tmp_path / "folder"
    link.symlink_to("elsewhere")
    made.mkdir()
    for path in (link, made):
        with pytest.raises(PermanentError, match="move it away"):
            replace_file(path, b"new")
    assert link.is_symlink()
    assert {path.name for path in tmp_path.iterdir()} == {"link", "folder"}


def test_missing_folder_is_explained(tmp_path: Path) -> None:
    """No folder is made by the way."""
    with pytest.raises(PermanentError, match="there is no folder"):
        replace_file(tmp_path / "missing" / "a.conf", b"new")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "kind", "advice"),
    [
        (errno.ENOSPC, NoSpaceError, "free some space"),
        (errno.EDQUOT, NoSpaceError, "free some space"),
        (errno.EIO, TemporaryError, "check the disk"),
        (errno.EMFILE, TemporaryError, "raise the sidecar's limit of open files"),
        (errno.ENFILE, TemporaryError, "raise this host's limit of open files"),
        (errno.EROFS, PermanentError, "without `:ro`"),
        (errno.EACCES, PermanentError, "DAC_OVERRIDE"),
        (errno.EPERM, PermanentError, "CHOWN"),
        (errno.EBUSY, PermanentError, "mount its folder /x instead"),
        (errno.ENOENT, PermanentError, "no folder /x"),
    ],
)
def test_each_trouble_says_what_to_do(number: int, kind: type[SidecarError], advice: str) -> None:
    """Trouble that may end without a person is temporary."""
    error = write_error(Path("/x/a.conf"), OSError(number, os.strerror(number)))
    assert type(error) is kind
    assert advice in str(error)
    assert os.strerror(number) in str(error)
