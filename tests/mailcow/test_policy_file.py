"""The policy file of the file generation."""

import contextlib
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from sidecar.formats.mtasts_policy import Invalid, parse
from sidecar.host.errors import PermanentError
from sidecar.mailcow import policy_file
from sidecar.observed import PolicyFile, Seen, Unseen
from tests.mailcow.link_race import race

NOW = 1_700_000_000.0
TEXT = b"version: STSv1\nmode: testing\nmax_age: 86400\nmx: mail.example.org\n"
OLD = b"version: STSv1\nmode: none\nmax_age: 86400\n"


@pytest.fixture
def web(tmp_path: Path) -> Path:
    """data/web of the mailcow in `tmp_path`/mailcow, without a folder .well-known."""
    tmp_path.chmod(0o755)
    folder = tmp_path / "mailcow/data/web"
    folder.mkdir(parents=True, mode=0o755)
    folder.chmod(0o755)
    return folder


@pytest.fixture
def mailcow(web: Path) -> Path:
    """The mailcow directory."""
    return web.parent.parent


@pytest.fixture
def path(web: Path) -> Path:
    """Where the file belongs; its folder is there."""
    folder = web / ".well-known"
    folder.mkdir()
    folder.chmod(0o755)
    return folder / "mta-sts.txt"


def put(path: Path, data: bytes, mode: int = 0o644) -> Path:
    """A file with this mode, whatever the umask is."""
    path.write_bytes(data)
    path.chmod(mode)
    return path


def seen(mailcow: Path) -> PolicyFile:
    """What is observed."""
    match policy_file.observe(mailcow, NOW):
        case Seen(value, at):
            assert at == NOW
            return value
        case Unseen(reason):
            pytest.fail(reason)


def mode(path: Path) -> int:
    """The permissions of a file."""
    return stat.S_IMODE(path.stat().st_mode)


def test_file_is_seen_to_the_byte(mailcow: Path, path: Path) -> None:
    """What nginx serves is what is observed."""
    put(path, b"version: STSv1\r\nmx: \xff\n")
    assert seen(mailcow) == PolicyFile(b"version: STSv1\r\nmx: \xff\n")


def test_no_file_is_an_answer(mailcow: Path, path: Path) -> None:
    """With its folder there or not."""
    assert seen(mailcow) == PolicyFile(None)
    path.parent.rmdir()
    assert seen(mailcow) == PolicyFile(None)


def test_without_a_web_folder_nothing_is_seen(mailcow: Path, web: Path) -> None:
    """A missing mount must not look like a missing file."""
    web.rmdir()
    assert isinstance(policy_file.observe(mailcow, NOW), Unseen)


def test_huge_file_is_cut_and_no_policy(mailcow: Path, path: Path) -> None:
    """Not a gigabyte in memory, and a cut must not make a policy of what is none for senders."""
    put(path, TEXT + b"mx: mail.example.org\n" * 10_000)
    data = seen(mailcow).data
    assert data is not None
    assert len(data) == policy_file.LARGEST + 1
    assert isinstance(parse(data), Invalid)


@pytest.mark.parametrize(
    ("file", "folder", "readable"),
    [
        (0o644, 0o755, True),
        (0o604, 0o701, True),  # nginx needs no listing
        (0o640, 0o755, False),
        (0o600, 0o755, False),
        (0o644, 0o750, False),
    ],
)
def test_readable_is_what_nginx_may_read(
    mailcow: Path, path: Path, file: int, folder: int, *, readable: bool
) -> None:
    """nginx is another user: the rights of others count, of the file and of its folder."""
    put(path, TEXT, file)
    path.parent.chmod(folder)
    assert seen(mailcow).readable is readable


def test_folders_above_web_do_not_count(mailcow: Path, path: Path) -> None:
    """A mailcow directory of mode 700 is common; nginx has data/web mounted."""
    put(path, TEXT)
    mailcow.chmod(0o700)
    assert seen(mailcow).readable


def test_write_makes_what_is_missing(mailcow: Path, web: Path) -> None:
    """The folder and the file are readable by all, whatever the umask is."""
    before = os.umask(0o077)
    try:
        policy_file.write(mailcow, TEXT)
    finally:
        os.umask(before)
    assert seen(mailcow) == PolicyFile(TEXT)
    assert mode(web / ".well-known") == 0o755
    assert mode(web / ".well-known/mta-sts.txt") == 0o644


@pytest.mark.parametrize(
    ("before", "after"), [(0o644, 0o644), (0o600, 0o644), (0o664, 0o664), (0o640, 0o644)]
)
def test_write_keeps_the_mode_and_adds_reading(mailcow: Path, path: Path, before: int, after: int) -> None:
    """What the administrator set stays, but nginx must be able to read it."""
    put(path, OLD, before)
    policy_file.write(mailcow, TEXT)
    assert (path.read_bytes(), mode(path)) == (TEXT, after)
    assert seen(mailcow).readable


def test_handmade_file_is_kept_in_the_backup_folder(mailcow: Path, path: Path, tmp_path: Path) -> None:
    """Named after the time in UTC, readable by its owner alone; each replaced file has its own."""
    put(path, OLD)
    backups = tmp_path / "state/backups"
    policy_file.write(mailcow, TEXT, backups, NOW)
    policy_file.write(mailcow, OLD, backups, NOW + 1)
    kept = sorted(backups.iterdir())
    assert [file.name for file in kept] == [
        "mta-sts.txt.2023-11-14T221320Z",
        "mta-sts.txt.2023-11-14T221321Z",
    ]
    assert [file.read_bytes() for file in kept] == [OLD, TEXT]
    assert [mode(file) for file in kept] == [0o600, 0o600]
    assert mode(backups) == 0o700


def test_backup_is_whole(mailcow: Path, path: Path, tmp_path: Path) -> None:
    """A file too large to be a policy is a person's, too."""
    put(path, OLD * 10_000)
    policy_file.write(mailcow, TEXT, tmp_path / "state", NOW)
    assert [file.read_bytes() for file in (tmp_path / "state").iterdir()] == [OLD * 10_000]


def test_no_backup_of_nothing(mailcow: Path, path: Path, tmp_path: Path) -> None:
    """Where no file was there is nothing to keep."""
    policy_file.write(mailcow, TEXT, tmp_path / "state", NOW)
    assert not (tmp_path / "state").exists()


def leads_out(mailcow: Path, path: Path) -> None:
    """A link out of mailcow's directory."""
    path.symlink_to(put(mailcow.parent / "elsewhere.txt", OLD))


def leads_past_web(mailcow: Path, path: Path) -> None:
    """A link to a file that nginx does not see."""
    path.symlink_to(put(mailcow / "data/policy.txt", OLD))


def folder_leads_out(mailcow: Path, path: Path) -> None:
    """The whole folder is a link."""
    path.parent.rmdir()
    (mailcow.parent / "well-known").mkdir()
    path.parent.symlink_to(mailcow.parent / "well-known")


def loops(mailcow: Path, path: Path) -> None:
    """A link to itself."""
    path.symlink_to(path)


def folder(mailcow: Path, path: Path) -> None:
    """A folder of that name, as Docker makes one for a missing file to be mounted."""
    path.mkdir()


def pipe(mailcow: Path, path: Path) -> None:
    """A named pipe, which would block a reader."""
    os.mkfifo(path)


def leads_within(mailcow: Path, path: Path) -> None:
    """A link to a file that nginx does see: it may lead elsewhere a moment later."""
    put(path.parent.parent / "policy.txt", OLD)
    path.symlink_to("../policy.txt")


def leads_to_nothing(mailcow: Path, path: Path) -> None:
    """A link to a file that is yet to be made."""
    path.symlink_to("../policy.txt")


def leads_to_secrets(mailcow: Path, path: Path) -> None:
    """What would be shown as the policy, and opened to all."""
    path.symlink_to(put(mailcow / "mailcow.conf", OLD, 0o600))


def leads_to_a_device(mailcow: Path, path: Path) -> None:
    """One that never ends."""
    path.symlink_to("/dev/zero")


def folder_leads_within(mailcow: Path, path: Path) -> None:
    """The whole folder is a link to another one below data/web."""
    path.parent.rename(path.parent.parent / "other")
    path.parent.symlink_to("other")


def listens(mailcow: Path, path: Path) -> None:
    """A socket."""
    with (
        contextlib.chdir(path.parent),
        socket.socket(socket.AF_UNIX) as listening,
    ):  # its path holds 107 characters
        listening.bind(path.name)


def has_a_second_name(mailcow: Path, path: Path) -> None:
    """A hard link to a file with secrets, which is a plain file."""
    path.hardlink_to(put(mailcow / "mailcow.conf", OLD, 0o600))


def everything_below(folder: Path) -> dict[str, tuple[int, bytes | None]]:
    """Mode and content of all that is there, links as links."""
    return {
        str(p): (p.lstat().st_mode, p.read_bytes() if stat.S_ISREG(p.lstat().st_mode) else None)
        for p in sorted(folder.rglob("*"))
    }


OBSTACLES = [
    (leads_out, "symbolic link"),
    (leads_past_web, "symbolic link"),
    (leads_within, "symbolic link"),
    (leads_to_nothing, "symbolic link"),
    (leads_to_secrets, "symbolic link"),
    (leads_to_a_device, "symbolic link"),
    (folder_leads_out, "symbolic link"),
    (folder_leads_within, "symbolic link"),
    (loops, "symbolic link"),
    (folder, "a folder"),
    (pipe, "named pipe"),
    (listens, "a socket"),
]


@pytest.mark.parametrize(("obstacle", "word"), [*OBSTACLES, (has_a_second_name, "second name")])
def test_anything_but_a_plain_file_is_reported_and_not_read(
    mailcow: Path, path: Path, obstacle: Callable[[Path, Path], None], word: str
) -> None:
    """The observation says what is there and where; it never waits, and holds nothing of the content."""
    obstacle(mailcow, path)
    sight = policy_file.observe(mailcow, NOW)
    assert isinstance(sight, Unseen)
    assert word in sight.reason
    assert ".well-known" in sight.reason
    assert "put a plain file in its place" in sight.reason


@pytest.mark.parametrize("backup", [True, False])
@pytest.mark.parametrize(("obstacle", "word"), OBSTACLES)
def test_anything_but_a_plain_file_is_not_written(
    mailcow: Path,
    path: Path,
    tmp_path: Path,
    obstacle: Callable[[Path, Path], None],
    word: str,
    *,
    backup: bool,
) -> None:
    """Nothing changes anywhere, not even a mode; a person has to look."""
    obstacle(mailcow, path)
    before = everything_below(mailcow.parent)
    with pytest.raises(PermanentError, match=word):
        policy_file.write(mailcow, TEXT, tmp_path / "state" if backup else None, NOW)
    with pytest.raises(PermanentError, match=word):
        policy_file.remove(mailcow, tmp_path / "state", NOW)
    policy_file.tidy(mailcow)
    assert everything_below(mailcow.parent) == before


def test_second_name_keeps_its_mode_and_content(mailcow: Path, path: Path) -> None:
    """Written, the file is a new one: what has the other name is neither opened to all nor changed."""
    has_a_second_name(mailcow, path)
    policy_file.write(mailcow, TEXT)
    assert (path.read_bytes(), mode(path)) == (TEXT, 0o644)
    assert ((mailcow / "mailcow.conf").read_bytes(), mode(mailcow / "mailcow.conf")) == (OLD, 0o600)


def test_web_outside_of_mailcow_is_reported_and_not_written(mailcow: Path, web: Path, tmp_path: Path) -> None:
    """The administrator's link: what it leads to is seen, but is not ours to write."""
    web.rename(tmp_path / "elsewhere")
    web.symlink_to(tmp_path / "elsewhere")
    locked = seen(mailcow).locked
    assert locked is not None
    assert "outside mailcow's directory" in locked
    with pytest.raises(PermanentError, match="outside mailcow's directory"):
        policy_file.write(mailcow, TEXT)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_web_that_leads_nowhere_is_unseen(mailcow: Path, web: Path) -> None:
    """A loop of links gives a reason, never an exception."""
    web.rmdir()
    web.symlink_to("web")
    assert isinstance(policy_file.observe(mailcow, NOW), Unseen)
    with pytest.raises(PermanentError, match="leads nowhere"):
        policy_file.write(mailcow, TEXT)


def test_file_too_large_for_a_policy_is_not_copied_away(mailcow: Path, path: Path, tmp_path: Path) -> None:
    """A sparse file of a terabyte costs its maker nothing: it fills neither memory nor disk."""
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(PermanentError, match="larger than"):
        policy_file.write(mailcow, TEXT, tmp_path / "state", NOW)
    assert path.stat().st_size == 1 << 40
    assert list((tmp_path / "state").glob("*")) == []


def test_ever_new_files_do_not_fill_the_disk(mailcow: Path, path: Path, tmp_path: Path) -> None:
    """The first backups, a person's, and the last ones are kept."""
    for number in range(50):
        path.write_bytes(b"%d" % number)
        policy_file.write(mailcow, TEXT, tmp_path / "state", NOW + 60 * (number // 2))
    kept = {int(file.read_bytes()) for file in (tmp_path / "state").iterdir()}
    assert kept == {*range(10), *range(40, 50)}


@pytest.mark.integration
@pytest.mark.parametrize("what", ["file", "folder"])
def test_race_of_links_shows_opens_and_changes_nothing(
    mailcow: Path, path: Path, tmp_path: Path, what: str
) -> None:
    """Two seconds of a neighbour who swaps the file, or its folder, for links to secrets and back."""
    race(mailcow, tmp_path / "state", what, 2.0)


def test_web_folder_may_be_a_link_within_mailcow(mailcow: Path, web: Path) -> None:
    """data/web may have been moved, as long as it is mounted with the rest."""
    web.rename(mailcow / "data/real")
    web.symlink_to("real")
    policy_file.write(mailcow, TEXT)
    assert seen(mailcow) == PolicyFile(TEXT)


def test_folder_closed_to_nginx_is_reported_and_nothing_written(mailcow: Path, path: Path) -> None:
    """A policy that nobody is served is no success; a person's mode is not changed behind their back."""
    path.parent.chmod(0o700)
    with pytest.raises(PermanentError, match=r"nginx may not enter .*\.well-known; run chmod o\+x"):
        policy_file.write(mailcow, TEXT)
    assert not path.exists()
    assert mode(path.parent) == 0o700


def test_removed_file_is_kept_in_the_state(tmp_path: Path) -> None:
    """Removed from mailcow, and yet not lost; without a file there is nothing to do."""
    (tmp_path / "mailcow/data/web").mkdir(parents=True)
    policy_file.write(tmp_path / "mailcow", b"text")
    policy_file.remove(tmp_path / "mailcow", tmp_path / "state")
    assert not (tmp_path / "mailcow/data/web/.well-known/mta-sts.txt").exists()
    assert [path.read_bytes() for path in (tmp_path / "state").iterdir()] == [b"text"]
    policy_file.remove(tmp_path / "mailcow", tmp_path / "state")
    assert len(list((tmp_path / "state").iterdir())) == 1


def test_same_file_is_kept_once_however_often_it_is_replaced(
    path: Path, mailcow: Path, tmp_path: Path
) -> None:
    """Who writes it again and again must not fill the disk."""
    for number in range(5):
        path.write_bytes(OLD)
        policy_file.write(mailcow, TEXT, tmp_path / "state", NOW + 60 * number)
    assert [kept.read_bytes() for kept in (tmp_path / "state").iterdir()] == [OLD]
