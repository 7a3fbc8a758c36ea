"""`make demo` with a real Docker engine: it starts its stand-ins there, keeps its promises, and clears up."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from demo.acme_checks import CHALLENGES
from demo.names import DemoDns
from demo.stage import ADDRESS, HOST, Stage, staged
from sidecar.mailcow.engine.client import ACME
from sidecar.observed import Backend, Container, Project, Seen
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
        [sys.executable, "-m", "demo", "--backend", backend],
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


async def looked(stage: Stage) -> tuple[Container, str | None]:
    """acme-mailcow in the engine, and the wait that it sleeps in."""
    match await stage.containers.engine.observe(1.0, stage.env["COMPOSE_PROJECT_NAME"]):
        case Seen(Project(acme_sleep=Seen(sleep)) as project):
            found = project.service(ACME)
            assert found is not None
            return found, sleep
        case other:
            raise AssertionError(other)


async def test_container_in_the_engine_says_and_sleeps_as_after_the_run(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its log is there from the start, and a run that failed for every name ends in the wait that goes with it."""
    monkeypatch.setenv("DOCKER_HOST", engine.docker_host)
    async with staged(Backend.NATIVE) as stage:
        acme, sleep = await looked(stage)
        log = await stage.containers.engine.logs_tail(acme.id, acme.started_at - 1, 200)
        text = "\n".join(log)
        assert sleep == "1d"
        assert f" - OK: {ADDRESS}, 0000:" in text
        assert f" - Found A record for {HOST}: {ADDRESS}" in text
        assert f" - Confirmed A record {ADDRESS}" in text
        assert "neither changed nor due for renewal" in text
        names = stage.certificate()
        stage.acme.dns = DemoDns()  # which answers nothing
        await stage.containers.engine.restart(acme.id, acme.started_at)
        async with asyncio.timeout(30):
            while (found := await looked(stage))[1] is None:  # noqa: ASYNC110 - the test sees no events
                await asyncio.sleep(0.2)
        assert found[1] == "1h"
        log = await stage.containers.engine.logs_tail(acme.id, found[0].started_at, 200)
        assert any(f"No A or AAAA record found for hostname {HOST}" in line for line in log)
        assert stage.certificate() == names
        assert not list((stage.mailcow_dir / CHALLENGES).iterdir())
