"""All agreed changes are written, or none."""

from pathlib import Path

import pytest

from sidecar.host.errors import PermanentError, TemporaryError
from sidecar.init.run import Change, write_all


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    """A file that only its owner can read."""
    path = tmp_path / "mailcow.conf"
    path.write_bytes(b"old")
    path.chmod(0o600)
    return path


def names(folder: Path) -> list[str]:
    """What is in a folder."""
    return sorted(path.name for path in folder.iterdir())


def test_files_are_changed_and_created(tmp_path: Path, conf: Path) -> None:
    """An old file keeps its mode, everyone can read a new one; nothing else appears."""
    new = tmp_path / "new.yml"
    write_all([Change(conf, b"old", b"new"), Change(new, None, b"made")])
    assert (conf.read_bytes(), new.read_bytes()) == (b"new", b"made")
    assert (conf.stat().st_mode & 0o777, new.stat().st_mode & 0o777) == (0o600, 0o644)
    assert names(tmp_path) == ["mailcow.conf", "new.yml"]


def test_first_change_is_undone_when_the_second_fails(tmp_path: Path, conf: Path) -> None:
    """The old text is restored, with its mode, and no copy of it is left."""
    with pytest.raises(PermanentError):
        write_all([Change(conf, b"old", b"new"), Change(tmp_path / "nowhere/x.yml", None, b"x")])
    assert conf.read_bytes() == b"old"
    assert conf.stat().st_mode & 0o777 == 0o600
    assert names(tmp_path) == ["mailcow.conf"]


def test_created_file_is_removed_when_the_next_change_fails(tmp_path: Path, conf: Path) -> None:
    """The folder is as before."""
    with pytest.raises(TemporaryError, match="another program"):
        write_all([Change(tmp_path / "new.yml", None, b"made"), Change(conf, b"other", b"new")])
    assert names(tmp_path) == ["mailcow.conf"]


@pytest.mark.parametrize("before", [b"older", None], ids=["changed", "created"])
def test_file_that_was_changed_or_created_meanwhile_is_left_alone(conf: Path, before: bytes | None) -> None:
    """The other change is not lost."""
    with pytest.raises(TemporaryError, match="run init again"):
        write_all([Change(conf, before, b"new")])
    assert conf.read_bytes() == b"old"
