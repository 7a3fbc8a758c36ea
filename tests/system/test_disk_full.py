"""Real file systems that are full: nothing is ever half written, and all is right in the first pass after it is over."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.components import refuse
from tests.system.full_disk import SCENARIOS
from tests.system.mailcowlike import REPOSITORY


@pytest.mark.parametrize("name", SCENARIOS)
def test_full_disk(tmp_path: Path, name: str) -> None:
    """In a mount namespace of its own, which ends with the process."""
    own = ["unshare", "--mount", "--propagation", "private"]
    if subprocess.run([*own, "true"], check=False, capture_output=True).returncode:
        refuse("a process with mounts of its own cannot be started here")
    ended = subprocess.run(
        [*own, sys.executable, "-m", "tests.system.full_disk", name, str(tmp_path)],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        check=False,
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
