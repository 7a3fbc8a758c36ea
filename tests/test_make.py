"""What `make` does on a machine that lacks something; the Makefile is the real one, in a folder of its own."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[1]


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`make` with these arguments."""
    shutil.copy2(ROOT / "Makefile", folder)
    return subprocess.run(
        ["make", *arguments], cwd=folder, capture_output=True, text=True, check=False, timeout=100
    )


def script(path: Path, text: str) -> Path:
    """A program of the test's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_package_that_debian_splits_off_is_named_before_anything_is_made(tmp_path: Path) -> None:
    """Debian's python3 has no ensurepip: half a .venv would be left."""
    bare = script(tmp_path / "bare", f'case "$*" in *ensurepip*) exit 1;; esac; exec {sys.executable} "$@"')
    done = make(tmp_path, f"PYTHON={bare}", ".venv/bin/python")
    assert done.returncode != 0
    assert "python3-venv" in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_half_made_venv_is_made_again(tmp_path: Path) -> None:
    """And what was noted as installed in it is forgotten."""
    script(tmp_path / ".venv/bin/python", "exit 1")
    (tmp_path / ".venv/run.stamp").touch()
    done = make(tmp_path, f"PYTHON={sys.executable}", ".venv/bin/python")
    assert done.returncode == 0, done.stderr
    subprocess.run([tmp_path / ".venv/bin/python", "-c", "import pip"], check=True)
    assert not (tmp_path / ".venv/run.stamp").exists()


def test_whole_venv_stays(tmp_path: Path) -> None:
    """It is not made again each time."""
    script(tmp_path / ".venv/bin/python", f'exec {sys.executable} "$@"')
    (tmp_path / ".venv/run.stamp").touch()
    done = make(tmp_path, "PYTHON=/nowhere/python", ".venv/bin/python")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / ".venv/run.stamp").exists()
