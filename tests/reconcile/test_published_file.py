"""The copy of the ledger: it survives the state, and one that cannot be written stops nothing."""

from pathlib import Path

from sidecar.observed import Memory
from sidecar.plan.publish import ledger_copy
from sidecar.reconcile.publishing import PublishedFile
from tests.state.sample import full_memory

LEDGER = full_memory().published


def folder(tmp_path: Path) -> Path:
    """The mailcow directory, with the folder of the sidecar's files."""
    (tmp_path / ledger_copy.COPY).parent.mkdir(parents=True)
    return tmp_path


async def test_lost_state_gets_its_ledger_back_from_the_copy(tmp_path: Path) -> None:
    """The state volume is gone, mailcow's backup is not."""
    before = PublishedFile(folder(tmp_path))
    assert await before.restored(Memory()) == {}
    await before.store(LEDGER)
    assert await PublishedFile(tmp_path).restored(Memory()) == LEDGER
    assert await before.restored(Memory()) == LEDGER, "a state that is renewed while the sidecar runs"


async def test_nothing_published_leaves_no_file(tmp_path: Path) -> None:
    """Whoever does not publish sees nothing of it."""
    await PublishedFile(folder(tmp_path)).store({})
    assert list((tmp_path / ledger_copy.COPY).parent.iterdir()) == []


async def test_broken_copy_is_an_empty_one_and_is_replaced(tmp_path: Path) -> None:
    """Its values count as somebody else's then."""
    path = folder(tmp_path) / ledger_copy.COPY
    path.write_bytes(b"{")
    copy = PublishedFile(tmp_path)
    assert await copy.restored(Memory()) == {}
    await copy.store(LEDGER)
    assert ledger_copy.read(path.read_bytes()) == LEDGER


async def test_copy_that_cannot_be_written_is_reported_and_tried_again(tmp_path: Path) -> None:
    """The state has the ledger all the same."""
    copy = PublishedFile(tmp_path)  # no folder is there
    await copy.store(LEDGER)
    assert "no folder" in str(copy.trouble)
    folder(tmp_path)
    await copy.store(LEDGER)
    assert str(copy.trouble) == "None"
    assert copy.path.is_file()
