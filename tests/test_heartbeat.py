"""The sign of life: whole at every moment."""

import os
from pathlib import Path

from sidecar.heartbeat import beat, trouble


def test_sign_of_life_is_put_in_the_place_of_the_one_before(tmp_path: Path) -> None:
    """Never emptied and written anew: who looks in between would find no sign, and call the sidecar dead."""
    beat(tmp_path, 100.0)
    os.link(tmp_path / "heartbeat", tmp_path / "as somebody opened it")
    beat(tmp_path, 200.0)
    assert (tmp_path / "as somebody opened it").read_text() == "100\n"
    assert trouble(tmp_path, 200.0) is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["as somebody opened it", "heartbeat"]


def test_sign_that_cannot_be_written_stays_away(tmp_path: Path) -> None:
    """A full disk ends nothing."""
    beat(tmp_path / "missing", 100.0)
    assert "no sign of life" in str(trouble(tmp_path / "missing", 100.0))
