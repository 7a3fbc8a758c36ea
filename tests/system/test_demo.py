"""`sidecar demo` with a real Docker engine: it starts its stand-ins there, keeps its promises, and clears up."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.engine import Engine
from tests.system.mailcowlike import REPOSITORY


def things(engine: Engine) -> dict[str, set[str]]:
    """All that a program can leave in an engine."""
    listed = {
        "containers": ("ps", "--all", "--quiet"),
        "images": ("images", "--all", "--quiet"),
        "networks": ("network", "ls", "--quiet"),
        "volumes": ("volume", "ls", "--quiet"),
    }
    return {kind: set(engine.run_cli(*command).split()) for kind, command in listed.items()}


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("backend", "act"), [("native", "done: restart"), ("file", "done: re-create")])
def test_demo_restarts_real_containers_and_leaves_nothing(
    engine: Engine, tmp_path: Path, backend: str, act: str
) -> None:
    """Exit code 0 within a minute, where the containers are is said, and neither file nor container stays."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("MTA_STS_", "DOCKER_"))}
    before = things(engine)
    done = subprocess.run(
        [sys.executable, "-m", "sidecar", "demo", "--backend", backend],
        cwd=REPOSITORY,
        env={**kept, "DOCKER_HOST": engine.docker_host, "TMPDIR": str(tmp_path), "PYTHONIOENCODING": "utf-8"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=60,
        check=False,
        text=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stdout
    assert f"in the Docker engine at {engine.docker_host}, project mta-sts-demo-" in done.stdout
    assert "recorded in memory" not in done.stdout
    assert act in done.stdout
    assert things(engine) == before
    assert list(tmp_path.iterdir()) == []
