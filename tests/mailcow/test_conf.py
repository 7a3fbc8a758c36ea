"""mailcow.conf is found behind links, understood or not seen at all, and edited without losing anybody's change."""

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from sidecar.formats.dotenv import ListEdit
from sidecar.host.errors import PermanentError, TemporaryError
from sidecar.mailcow.conf import ATTEMPTS, edit, observe
from sidecar.observed import Conf, Seen, Unseen

NOW = 1_700_000_000.0
TEXT = b"MAILCOW_HOSTNAME=mail.example.org\nADDITIONAL_SAN=imap.*\nADDITIONAL_SERVER_NAMES=\n"
EDITED = (
    b"MAILCOW_HOSTNAME=mail.example.org\nADDITIONAL_SAN=imap.*,mta-sts.*\nADDITIONAL_SERVER_NAMES=mta-sts.*\n"
)
BOTH = {"ADDITIONAL_SAN": ListEdit(("mta-sts.*",)), "ADDITIONAL_SERVER_NAMES": ListEdit(("mta-sts.*",))}


class Place:
    """A mailcow directory and a state folder."""

    def __init__(self, root: Path) -> None:
        self.mailcow = root / "mailcow"
        self.state = root / "state"
        self.mailcow.mkdir()
        self.state.mkdir()
        self.conf = self.mailcow / "mailcow.conf"
        self.backup = self.state / "mailcow.conf.last"

    def write(self, data: bytes = TEXT, path: Path | None = None) -> Path:
        """Puts the file there, private as mailcow's own script leaves it."""
        target = path or self.conf
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        target.chmod(0o600)
        return target

    def link(self, to: str) -> None:
        """Makes mailcow.conf a symbolic link."""
        self.conf.symlink_to(to)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """An empty mailcow directory."""
    return Place(tmp_path)


def seen(place: Place) -> Conf:
    """What is observed, which must be something."""
    sight = observe(place.mailcow, NOW)
    assert isinstance(sight, Seen), sight
    assert sight.at == NOW
    return sight.value


def why_unseen(place: Place) -> str:
    """Why nothing is observed."""
    sight = observe(place.mailcow, NOW)
    assert isinstance(sight, Unseen), sight
    assert sight.at == NOW
    return sight.reason


# --- observe ----------------------------------------------------------------------------------------------


def test_values_are_seen_and_the_file_can_be_written(place: Place) -> None:
    """The plain case."""
    place.write()
    conf = seen(place)
    assert conf.hostname == "mail.example.org"
    assert conf.values["ADDITIONAL_SAN"] == "imap.*"
    assert conf.locked is None


@pytest.mark.parametrize("to", ["conf.d/real.conf", "../mailcow/conf.d/real.conf", "/absolute"])
def test_link_within_the_mailcow_directory_is_followed(place: Place, to: str) -> None:
    """Relative or absolute."""
    target = place.write(path=place.mailcow / "conf.d" / "real.conf")
    place.link(str(target) if to == "/absolute" else to)
    conf = seen(place)
    assert (conf.hostname, conf.locked) == ("mail.example.org", None)


@pytest.mark.parametrize("to", ["../elsewhere/mailcow.conf", "/absolute"])
def test_link_that_leads_outside_is_read_and_locked(place: Place, to: str) -> None:
    """What is not ours to write is reported, not written."""
    target = place.write(path=place.mailcow.parent / "elsewhere" / "mailcow.conf")
    place.link(str(target) if to == "/absolute" else to)
    conf = seen(place)
    assert conf.hostname == "mail.example.org"
    assert conf.locked is not None
    assert f"link to {target}, which lies outside" in conf.locked
    with pytest.raises(PermanentError, match="lies outside"):
        edit(place.mailcow, BOTH, place.state)
    assert target.read_bytes() == TEXT
    assert list(place.state.iterdir()) == []


def test_folder_reached_by_a_link_is_not_outside(place: Place) -> None:
    """The mailcow directory may itself be a link."""
    place.write()
    way = place.mailcow.parent / "way"
    way.symlink_to("mailcow")
    sight = observe(way, NOW)
    assert isinstance(sight, Seen)
    assert sight.value.locked is None


def _nothing(place: Place) -> None:
    """No file at all."""


def _dangling(place: Place) -> None:
    place.link("conf.d/missing.conf")


def _outside(place: Place) -> None:
    place.link("/opt/not-mounted/mailcow.conf")


def _loop(place: Place) -> None:
    place.link("mailcow.conf")


def _folder(place: Place) -> None:
    place.conf.mkdir()


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (_nothing, "does not exist: mount the mailcow directory"),
        (_dangling, "is a link to conf.d/missing.conf, which does not exist"),
        (_outside, "outside of the mounted folder"),
        (_loop, "a link to itself"),
        (_folder, "Docker makes a folder"),
        (lambda place: place.write(b""), "is empty"),
        (lambda place: place.write(b" \n\n"), "is empty"),
        (lambda place: place.write(b"# MAILCOW_HOSTNAME=mail.example.org\n"), "has no MAILCOW_HOSTNAME"),
        (lambda place: place.write(b"MAILCOW_HOSTNAME=\nTZ=UTC\n"), "has no MAILCOW_HOSTNAME"),
        (lambda place: place.write(TEXT + b"DBPASS='hunter2\n"), "line 4: the quote"),
    ],
)
def test_file_that_is_not_understood_is_unseen_and_not_edited(
    place: Place, make: Callable[[Place], object], reason: str
) -> None:
    """Never an empty answer: mailcow has a configuration, we only cannot see it. No secret is shown."""
    make(place)
    assert reason in why_unseen(place)
    assert "hunter2" not in why_unseen(place)
    with pytest.raises((PermanentError, TemporaryError)):
        edit(place.mailcow, BOTH, place.state)
    assert list(place.state.iterdir()) == []


def test_file_of_another_user_is_unseen_with_what_to_do(place: Place) -> None:
    """The private file of root, asked for by somebody else."""
    place.write()
    _open_to_all(place)
    if os.geteuid() != 0:
        place.conf.chmod(0)
    with _as_nobody():
        assert "may not be read by user" in why_unseen(place)


def test_too_many_open_files_is_unseen_with_a_fitting_remedy(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is not the problem then."""
    place.write()

    def fails(*_: object, **__: object) -> int:
        raise OSError(errno.ENFILE, os.strerror(errno.ENFILE))

    monkeypatch.setattr(os, "open", fails)
    assert "raise this host's limit of open files" in why_unseen(place)


def test_folder_without_the_right_to_write_is_locked(place: Place) -> None:
    """Reported before the first attempt."""
    place.write()
    place.conf.chmod(0o644)
    _open_to_all(place)
    place.mailcow.chmod(0o555)
    try:
        with _as_nobody():
            conf = seen(place)
    finally:
        place.mailcow.chmod(0o755)
    assert conf.locked is not None
    assert "read-only for user" in conf.locked


# --- edit -------------------------------------------------------------------------------------------------


def test_both_lists_change_in_one_write_and_the_text_before_is_kept_apart(place: Place) -> None:
    """The backup is private, and nothing lies beside mailcow.conf."""
    place.write()
    assert edit(place.mailcow, BOTH, place.state).changed
    assert place.conf.read_bytes() == EDITED
    assert place.backup.read_bytes() == TEXT
    assert stat.S_IMODE(place.backup.stat().st_mode) == 0o600
    assert list(place.mailcow.iterdir()) == [place.conf]
    assert list(place.state.iterdir()) == [place.backup]


def test_second_edit_writes_nothing(place: Place) -> None:
    """Neither the file nor the backup of the last real change."""
    place.write()
    edit(place.mailcow, BOTH, place.state)
    before = place.conf.stat()
    assert not edit(place.mailcow, BOTH, place.state).changed
    assert (place.conf.stat().st_ino, place.conf.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert place.backup.read_bytes() == TEXT


def test_entry_is_taken_out_again(place: Place) -> None:
    """The way back gives the bytes that were there."""
    place.write()
    edit(place.mailcow, BOTH, place.state)
    assert edit(place.mailcow, {key: ListEdit((), ("mta-sts.*",)) for key in BOTH}, place.state).changed
    assert place.conf.read_bytes() == TEXT
    assert place.backup.read_bytes() == EDITED


def test_edit_without_entries_repairs_spaces(place: Place) -> None:
    """As the plan asks for where a value is separated by spaces."""
    place.write(TEXT.replace(b"imap.*", b"imap.* mta-sts.*"))
    assert edit(place.mailcow, {"ADDITIONAL_SAN": ListEdit()}, place.state).changed
    assert place.conf.read_bytes() == TEXT.replace(b"imap.*", b"imap.*,mta-sts.*")


def test_link_stays_a_link_and_its_target_is_replaced(place: Place) -> None:
    """With the target's own mode."""
    target = place.write(path=place.mailcow / "conf.d" / "real.conf")
    target.chmod(0o640)
    place.link("conf.d/real.conf")
    assert edit(place.mailcow, BOTH, place.state).changed
    assert place.conf.is_symlink()
    assert target.read_bytes() == EDITED
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert list(target.parent.iterdir()) == [target]


def test_change_of_somebody_else_at_the_last_moment_is_not_lost(place: Place) -> None:
    """The edit starts over from what is there then; the backup is of that."""
    place.write()
    theirs = [b"TZ=UTC\n", b"HTTP_PORT=8080\n"]

    def change() -> None:
        if theirs:
            place.write(place.conf.read_bytes() + theirs.pop(0))

    assert edit(place.mailcow, BOTH, place.state, before_check=change).changed
    assert place.conf.read_bytes() == EDITED + b"TZ=UTC\nHTTP_PORT=8080\n"
    assert place.backup.read_bytes() == TEXT + b"TZ=UTC\nHTTP_PORT=8080\n"
    assert list(place.mailcow.iterdir()) == [place.conf]


def test_edit_that_somebody_else_makes_at_the_last_moment_is_enough(place: Place) -> None:
    """Nothing of ours was written then."""
    place.write()

    def the_same() -> None:
        place.write(EDITED)

    assert not edit(place.mailcow, BOTH, place.state, before_check=the_same).changed
    assert place.conf.read_bytes() == EDITED


def test_file_that_keeps_changing_is_left_alone(place: Place) -> None:
    """After some attempts it is given up for now, with all that the other one wrote."""
    place.write()
    calls: list[int] = []

    def change() -> None:
        calls.append(len(calls))
        place.write(TEXT + b"N=%d\n" % len(calls))

    with pytest.raises(TemporaryError, match="changed by somebody else"):
        edit(place.mailcow, BOTH, place.state, before_check=change)
    assert len(calls) == ATTEMPTS
    assert place.conf.read_bytes() == TEXT + b"N=%d\n" % ATTEMPTS
    assert list(place.mailcow.iterdir()) == [place.conf]


def test_link_that_is_turned_elsewhere_at_the_last_moment_is_noticed(place: Place) -> None:
    """The new target is edited, the old one is not, although both have the same text."""
    old = place.write(path=place.mailcow / "old.conf")
    new = place.write(path=place.mailcow / "new.conf")
    place.link("old.conf")

    def turn() -> None:
        if place.conf.readlink() == Path("old.conf"):
            place.conf.unlink()
            place.link("new.conf")

    with pytest.raises(TemporaryError):
        edit(place.mailcow, BOTH, place.state, before_check=turn)
    assert old.read_bytes() == TEXT
    assert edit(place.mailcow, BOTH, place.state).changed
    assert (old.read_bytes(), new.read_bytes()) == (TEXT, EDITED)


@pytest.mark.parametrize("written", [b'NAMES="a,\nb"', b"NAMES=\t# none yet", b"NAMES=a,b\t# mine"])
def test_list_that_cannot_be_edited_safely_stops_no_other(place: Place, written: bytes) -> None:
    """It stays unchanged, byte by byte, and is reported; the other list keeps a name in the certificate."""
    before = TEXT.replace(b"NAMES=", written)
    place.write(before)
    edited = edit(place.mailcow, BOTH, place.state)
    assert edited.changed
    assert [*edited.refused] == ["ADDITIONAL_SERVER_NAMES"]
    assert "ADDITIONAL_SERVER_NAMES was not changed: ADDITIONAL_SERVER_NAMES in line 3" in "".join(
        edited.refused.values()
    )
    assert place.conf.read_bytes() == before.replace(b"SAN=imap.*", b"SAN=imap.*,mta-sts.*")
    assert place.backup.read_bytes() == before
    again = edit(place.mailcow, BOTH, place.state)
    assert (again.changed, again.refused) == (False, edited.refused)


def test_lists_that_all_cannot_be_edited_safely_are_no_write(place: Place) -> None:
    """Nothing is written where there is nothing to write, and no backup is made of it."""
    text = TEXT.replace(b"SAN=imap.*", b"SAN=\t# a").replace(b"NAMES=", b"NAMES=\t# b")
    place.write(text)
    edited = edit(place.mailcow, BOTH, place.state)
    assert (edited.changed, sorted(edited.refused)) == (False, sorted(BOTH))
    assert place.conf.read_bytes() == text
    assert list(place.state.iterdir()) == []


def test_state_folder_in_trouble_stops_the_edit(place: Place) -> None:
    """No write without the text before in safety."""
    place.write()
    with pytest.raises(PermanentError, match="no folder"):
        edit(place.mailcow, BOTH, place.state / "missing")
    assert place.conf.read_bytes() == TEXT


def _open_to_all(place: Place) -> None:
    for parent in (place.mailcow, *place.mailcow.parents):
        if parent.stat().st_uid == os.geteuid() and parent.stat().st_mode & 0o055 != 0o055:
            parent.chmod(parent.stat().st_mode | 0o055)


class _as_nobody:  # noqa: N801 - reads like a function where it is used
    """What is done meanwhile is done without root's rights."""

    def __enter__(self) -> None:
        self._root = os.geteuid() == 0
        if self._root:
            os.setresuid(65534, 65534, 0)

    def __exit__(self, *_: object) -> None:
        if self._root:
            os.setresuid(0, 0, 0)
