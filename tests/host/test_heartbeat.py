"""The sign of life: what the check of the image reads, whole at any moment, and what it says of the state."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from sidecar.cli import main
from sidecar.host.exits import Exit
from sidecar.host.heartbeat import STALE_AFTER_S, beat, trouble

NOW = 1_800_000_000.0


def test_life_lasts_for_a_while(tmp_path: Path) -> None:
    """Both sides of the limit; and none at all is no life."""
    assert "no sign of life" in str(trouble(tmp_path, NOW))
    beat(tmp_path, NOW)
    assert trouble(tmp_path, NOW + STALE_AFTER_S) is None
    assert "301 s old" in str(trouble(tmp_path, NOW + STALE_AFTER_S + 1))


def test_state_that_cannot_be_written_is_not_healthy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The loop lives, and what it does is lost: the check says why, on one line."""
    monkeypatch.setenv("MTA_STS_STATE_DIR", str(tmp_path))
    monkeypatch.setattr("sidecar.host.clock.SystemClock.now", lambda _: NOW)
    beat(tmp_path, NOW, "writing the state failed:\nlook for space")
    assert main(["healthy"]) == Exit.FAILED
    said = capsys.readouterr().out
    assert said == "the state cannot be written: writing the state failed: look for space\n"
    beat(tmp_path, NOW)
    assert main(["healthy"]) == Exit.OK


@pytest.mark.integration
def test_sign_that_cannot_be_written_is_taken_away(tmp_path: Path) -> None:
    """A file system that takes nothing more, as when a disk is full: the old sign would look alive for minutes."""
    beat(tmp_path, NOW)
    code = (
        "import resource, sys; from pathlib import Path; from sidecar.host.heartbeat import beat;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)); beat(Path(sys.argv[1]), float(sys.argv[2]))"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path), str(NOW)], check=True)
    assert list(tmp_path.iterdir()) == []


def test_sign_is_whole_whenever_it_is_read(tmp_path: Path) -> None:
    """A check that comes between two octets would make a container be started anew."""
    beat(tmp_path, NOW)
    ended = threading.Event()

    def beating() -> None:
        while not ended.is_set():
            beat(tmp_path, NOW)

    thread = threading.Thread(target=beating)
    thread.start()
    found = {trouble(tmp_path, NOW) for _ in range(5_000)}
    ended.set()
    thread.join()
    assert found == {None}
