"""`tests/components/install.sh` never touches a machine that runs mailcow; see also `make test`."""

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("install.sh")
ON_IMAGE_PYTHON = SCRIPT.parents[1] / "on_image_python.sh"


@pytest.mark.integration
@pytest.mark.parametrize("shown", ["br-mailcow", "bridge"])
def test_machine_that_runs_mailcow_is_refused(tmp_path: Path, shown: str) -> None:
    """The bridge of mailcow's network is there as long as mailcow runs; nothing is installed then."""
    text = SCRIPT.read_text()
    assert "/proc/net/dev" in text
    devices = tmp_path / "dev"
    devices.write_text(f"Inter-|   Receive\n face |bytes\n    lo: 0 0\n {shown}: 0 0\n")
    only_looks = text.replace("/proc/net/dev", str(devices)).replace(
        '[ "$(id -u)" = 0 ] || give_up', "exit 7\n[ 1 = 0 ] || give_up"
    )
    assert "exit 7" in only_looks
    script = tmp_path / "a/b/install.sh"
    script.parent.mkdir(parents=True)
    script.write_text(only_looks)
    done = subprocess.run(["bash", str(script)], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == (1 if shown == "br-mailcow" else 7), done.stderr
    assert ("mailcow runs on this machine" in done.stderr) is (shown == "br-mailcow")


@pytest.mark.integration
@pytest.mark.parametrize(("ci", "code"), [("", 0), ("true", 1)])
def test_missing_image_python_is_reported(tmp_path: Path, ci: str, code: int) -> None:
    """For CI that is a failure: a skip would look like success."""
    env = {**os.environ, "MTA_STS_COMPONENTS": str(tmp_path), "CI": ci}
    done = subprocess.run([ON_IMAGE_PYTHON, "-V"], capture_output=True, text=True, check=False, env=env)
    assert (done.returncode, done.stdout) == (code, "")
    assert "not run on the image's Python" in done.stderr
