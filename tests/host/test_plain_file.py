"""No link is followed and nothing but a plain file is read, whatever has the name of a file of ours."""

import contextlib
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from sidecar.host import heartbeat
from sidecar.host.errors import PermanentError
from sidecar.host.lock import PassLock
from sidecar.host.plain_file import NotPlainError, open_plain, opened_folder, read_plain
from sidecar.mailcow import conf
from sidecar.mailcow.certificates import SSL, CertificateFolder
from sidecar.observed import Certificates, Seen, Unseen
from sidecar.settings import CONFIG, SettingsError, read_config
from sidecar.state.store import State
from sidecar.verify.probes.tls import trusting
from tests.mailcow.test_certificates import issued, put

NOW = 1_700_000_000.0
SECRET = b"DBPASS=secret\n"


def link(path: Path) -> None:
    """To a plain file of somebody else."""
    target = path.with_name("secrets")
    target.write_bytes(SECRET)
    target.chmod(0o600)
    path.symlink_to(target)


def loose_link(path: Path) -> None:
    """To what does not exist."""
    path.symlink_to(path.with_name("missing"))


def pipe(path: Path) -> None:
    """Which makes a reader wait for a writer, and a writer for a reader."""
    os.mkfifo(path)


def listening(path: Path) -> None:
    """A socket."""
    with (
        contextlib.chdir(path.parent),
        socket.socket(socket.AF_UNIX) as made,
    ):  # its path holds 107 characters
        made.bind(path.name)


def device(path: Path) -> None:
    """One that never ends."""
    if os.geteuid() != 0:
        pytest.skip("only root can make devices")
    os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5))  # /dev/zero


OTHERS = [link, loose_link, pipe, listening, device]
Maker = Callable[[Path], None]


def untouched(path: Path) -> bool:
    """Whether what a link leads to is as it was, and nothing was made where it leads to nothing."""
    secrets = path.with_name("secrets")
    kept = not secrets.exists() or (secrets.read_bytes(), secrets.stat().st_mode & 0o777) == (SECRET, 0o600)
    return kept and not path.with_name("missing").exists()


@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_WRONLY, os.O_RDWR | os.O_CREAT])
@pytest.mark.parametrize("make", [*OTHERS, Path.mkdir])
@pytest.mark.parametrize("by_folder", [True, False])
def test_nothing_but_a_plain_file_is_opened(
    tmp_path: Path, make: Maker, flags: int, *, by_folder: bool
) -> None:
    """By its path and by its folder; without a wait."""
    path = tmp_path / "file"
    make(path)
    with opened_folder(tmp_path) as folder, pytest.raises(NotPlainError, match="it is a"):
        open_plain(path, flags, dir_fd=folder if by_folder else None)
    assert untouched(path)


def test_plain_file_is_read_to_its_end_and_no_further_than_is_allowed(tmp_path: Path) -> None:
    """One octet more is none of ours."""
    (tmp_path / "file").write_bytes(b"12345")
    assert read_plain(tmp_path / "file", 5) == b"12345"
    with pytest.raises(NotPlainError, match="larger than 4 bytes"):
        read_plain(tmp_path / "file", 4)


def test_made_file_is_private(tmp_path: Path) -> None:
    """Whoever wants more asks for it."""
    os.close(open_plain(tmp_path / "file", os.O_WRONLY | os.O_CREAT))
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600


def test_link_is_followed_where_the_caller_vouches_for_it_and_only_to_a_plain_file(tmp_path: Path) -> None:
    """A person's path, on the command line."""
    link(tmp_path / "file")
    assert read_plain(tmp_path / "file", 100, follow=True) == SECRET
    pipe(tmp_path / "pipe")
    (tmp_path / "other").symlink_to("pipe")
    with pytest.raises(NotPlainError, match="named pipe"):
        read_plain(tmp_path / "other", 100, follow=True)


def test_link_to_a_folder_is_followed_only_where_the_caller_vouches_for_it(tmp_path: Path) -> None:
    """Above a folder that was opened, not in it."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    with opened_folder(tmp_path / "link") as found:
        assert os.path.samestat(os.fstat(found), (tmp_path / "folder").stat())
    with (
        opened_folder(tmp_path) as folder,
        pytest.raises(NotPlainError),
        opened_folder(tmp_path / "link", folder),
    ):
        pass


def test_name_in_an_opened_folder_stays_in_it_when_the_folder_is_swapped(tmp_path: Path) -> None:
    """The path leads elsewhere meanwhile."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/file").write_bytes(b"ours")
    with opened_folder(tmp_path / "folder") as folder:
        (tmp_path / "folder").rename(tmp_path / "aside")
        (tmp_path / "folder").mkdir()
        (tmp_path / "folder/file").write_bytes(SECRET)
        assert read_plain(tmp_path / "folder/file", 100, dir_fd=folder) == b"ours"


# --- whoever reads --------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", OTHERS)
def test_config_yml_is_a_plain_file(tmp_path: Path, make: Maker) -> None:
    """What a mistake in it quotes would else be another file's."""
    path = tmp_path / CONFIG
    path.parent.mkdir(parents=True)
    make(path)
    with pytest.raises(
        SettingsError, match=r"config\.yml cannot be read: it is a .*; put the file itself there"
    ):
        read_config(tmp_path)


def test_config_yml_has_an_end(tmp_path: Path) -> None:
    """Sparse, it costs its maker nothing."""
    path = tmp_path / CONFIG
    path.parent.mkdir(parents=True)
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(SettingsError, match="larger than"):
        read_config(tmp_path)


@pytest.mark.parametrize("make", [pipe, listening, device])
def test_mailcow_conf_may_be_a_link_but_only_to_a_plain_file(tmp_path: Path, make: Maker) -> None:
    """mailcow's own scripts follow that one link."""
    make(tmp_path / "other")
    (tmp_path / "mailcow.conf").symlink_to("other")
    sight = conf.observe(tmp_path, NOW)
    assert isinstance(sight, Unseen)
    assert "is not a file" in sight.reason


@pytest.mark.parametrize("make", OTHERS)
def test_certificate_of_the_server_is_a_plain_file(tmp_path: Path, make: Maker) -> None:
    """acme-mailcow copies; a link is another's."""
    (tmp_path / SSL).mkdir(parents=True)
    make(tmp_path / SSL / "cert.pem")
    sight = CertificateFolder().observe(tmp_path, NOW)
    assert isinstance(sight, Unseen)
    assert "cert.pem was not read: it is a" in sight.reason


@pytest.mark.parametrize("make", OTHERS)
def test_certificate_of_a_folder_is_a_plain_file(tmp_path: Path, make: Maker) -> None:
    """The same in the folders of ENABLE_SSL_SNI."""
    folder = tmp_path / SSL / "example.org"
    folder.mkdir(parents=True)
    (folder / "domains").touch()
    make(folder / "cert.pem")
    assert isinstance(CertificateFolder().observe(tmp_path, NOW), Unseen)


def test_link_to_a_folder_of_certificates_is_not_followed(tmp_path: Path) -> None:
    """Nor is one to a folder of backups."""
    put(tmp_path / "elsewhere/cert.pem", issued("mail.example.org"))
    (tmp_path / "elsewhere/domains").touch()
    (tmp_path / "elsewhere/2026-08-01_12_00_00").mkdir()
    (tmp_path / SSL / "backups").mkdir(parents=True)
    (tmp_path / SSL / "example.org").symlink_to(tmp_path / "elsewhere")
    (tmp_path / SSL / "backups/example.org").symlink_to(tmp_path / "elsewhere")
    assert CertificateFolder().observe(tmp_path, NOW) == Seen(Certificates(None, (), ()), NOW)


@pytest.mark.parametrize("make", OTHERS)
def test_extra_roots_are_a_plain_file(tmp_path: Path, make: Maker) -> None:
    """They lie in mailcow's directory."""
    make(tmp_path / "roots.pem")
    with pytest.raises(PermanentError, match=r"roots\.pem failed: .*it is a .*; give a PEM file"):
        trusting(tmp_path / "roots.pem")


# --- the state folder -----------------------------------------------------------------------------------


@pytest.mark.parametrize("make", OTHERS)
def test_sign_of_life_is_a_plain_file(tmp_path: Path, make: Maker) -> None:
    """Read from nothing else; what stands in its place is replaced, and nothing is written to where it leads."""
    make(tmp_path / "heartbeat")
    assert heartbeat.trouble(tmp_path, NOW) is not None
    heartbeat.beat(tmp_path, NOW)
    assert untouched(tmp_path / "heartbeat")
    assert heartbeat.trouble(tmp_path, NOW) is None


@pytest.mark.parametrize("make", OTHERS)
def test_new_sign_of_life_is_written_to_nothing_else(tmp_path: Path, make: Maker) -> None:
    """What stands in its place goes, and the next one is there."""
    make(tmp_path / "heartbeat.new")
    heartbeat.beat(tmp_path, NOW)
    assert untouched(tmp_path / "heartbeat.new")
    heartbeat.beat(tmp_path, NOW)
    assert heartbeat.trouble(tmp_path, NOW) is None


@pytest.mark.parametrize("make", OTHERS)
def test_file_that_wakes_is_a_plain_file(tmp_path: Path, make: Maker) -> None:
    """Nothing is made where a link leads."""
    make(tmp_path / "wake")
    with pytest.raises(NotPlainError):
        heartbeat.wake(tmp_path)
    assert untouched(tmp_path / "wake")


@pytest.mark.parametrize("make", OTHERS)
async def test_lock_is_a_plain_file(tmp_path: Path, make: Maker) -> None:
    """Its text goes nowhere else."""
    path = PassLock(tmp_path)._path
    make(path)
    with pytest.raises(PermanentError, match="it is a"):
        await PassLock(tmp_path).acquire(0)
    assert PassLock(tmp_path).holder() == "another process"
    assert untouched(path)


@pytest.mark.parametrize("make", OTHERS)
def test_state_is_a_plain_file(tmp_path: Path, make: Maker) -> None:
    """What has its name is moved aside; nothing is written through it."""
    make(tmp_path / "state.sqlite")
    state = State.open(tmp_path, NOW)
    assert state.notice is not None
    assert "is not a file: a new one was created" in state.notice
    state.close()
    assert stat.S_ISREG((tmp_path / "state.sqlite").lstat().st_mode)
    assert untouched(tmp_path / "state.sqlite")


@pytest.mark.parametrize("make", OTHERS)
def test_queue_of_an_earlier_release_is_a_plain_file(tmp_path: Path, make: Maker) -> None:
    """Nothing else is read for it, and nothing is written to where it leads."""
    make(tmp_path / "outbox.sqlite")
    state = State.open(tmp_path, NOW)
    assert state.notice is None
    state.close()
    assert untouched(tmp_path / "outbox.sqlite")
