"""Finding, watching and restarting containers in a real Docker engine."""

import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.host.errors import TemporaryError
from sidecar.mailcow.engine.client import Engine as Client
from sidecar.observed import Container, Project, Seen, Unseen
from tests.system import engine as real
from tests.system.processes import wait_until

COMPOSE = """\
services:
  acme-mailcow:
    image: stand-in:busybox
    command: ["sh", "-c", "echo started; trap 'echo ending; exit 0' TERM; sleep $$WAIT & wait"]
    environment: ["WAIT=${WAIT:-1d}", "ADDITIONAL_SAN=mta-sts.*", "DBPASS=secret"]
  nginx-mailcow:
    image: stand-in:busybox
    command: ["sleep", "1000"]
  sidecar:
    image: stand-in:busybox
    command: ["sleep", "1000"]
  stopped-mailcow:
    image: stand-in:busybox
    command: ["true"]
"""

pytestmark = pytest.mark.usefixtures("busybox_image")


@pytest.fixture
def project(compose: Callable[..., real.ComposeProject], tmp_path: Path) -> real.ComposeProject:
    """A compose project like mailcow's, running."""
    (tmp_path / "docker-compose.yml").write_text(COMPOSE)
    made = compose(tmp_path, COMPOSE_PROJECT_NAME="mailcowdockerized")
    made.run("up", "--detach")
    return made


@pytest.fixture
async def client(engine: real.Engine, project: real.ComposeProject) -> AsyncIterator[Client]:
    """The sidecar's client, as if it ran in the container `sidecar`."""
    own = project.container("sidecar")
    client = Client(engine.docker_host, own_ids=lambda: [own[:12]])
    yield client
    await client.close()


async def look(client: Client) -> Project:
    """What the client sees."""
    match await client.observe(time.time(), None):
        case Seen(value):
            return value
        case Unseen(reason):
            pytest.fail(reason)


async def acme(client: Client) -> Container:
    """acme-mailcow's container."""
    found = (await look(client)).service("acme-mailcow")
    assert found is not None
    return found


async def test_project_is_found_by_the_own_container(client: Client, project: real.ComposeProject) -> None:
    """All its containers, the stopped one too, with true times; not the one-off one."""
    once = project.run("run", "--detach", "nginx-mailcow", "sleep", "1000").splitlines()[-1]
    found = await look(client)
    assert found.name == "mailcowdockerized"
    assert [(c.service, c.state, c.own) for c in found.containers] == [
        ("acme-mailcow", "running", False),
        ("nginx-mailcow", "running", False),
        ("sidecar", "running", True),
        ("stopped-mailcow", "exited", False),
    ]
    project.engine.run_cli("rm", "--force", once)
    now = time.time()
    assert all(now - 60 < c.created_at <= c.started_at <= now for c in found.containers)
    assert found.containers[0].env["ADDITIONAL_SAN"] == "mta-sts.*"
    assert "DBPASS" not in found.containers[0].env
    assert found.acme_sleep == Seen("1d", found.acme_sleep.at)


async def test_acme_at_work_is_seen(client: Client, project: real.ComposeProject) -> None:
    """A sleep within its work is no sleep between two runs."""
    replace(project, environment={**project.environment, "WAIT": "10"}).run("up", "--detach", "acme-mailcow")
    found = await look(client)
    assert found.acme_sleep == Seen(None, found.acme_sleep.at)
    working = await acme(client)
    with pytest.raises(TemporaryError, match="working"):
        await client.restart(working.id, working.started_at)


async def test_restart_gives_acme_its_time(client: Client, project: real.ComposeProject) -> None:
    """It is asked to end, ends by itself, and the same container starts again, with a later start."""
    before = await acme(client)
    began = time.time()
    await client.restart(before.id, before.started_at)
    after = await acme(client)
    assert after.id == before.id
    assert after.started_at > before.started_at
    wait_until(lambda: project.run("logs", "acme-mailcow").count("started") == 2, "acme started again")
    log = await client.logs_tail(after.id, began, 2)
    assert log == ("ending", "started")
    # a decision about the container as it was is refused
    with pytest.raises(TemporaryError, match="somebody started or stopped it"):
        await client.restart(before.id, before.started_at)
    assert (await acme(client)).started_at == after.started_at


async def test_restart_of_a_removed_container_is_refused(
    client: Client, project: real.ComposeProject
) -> None:
    """`docker compose up -d` may have replaced it in the meantime."""
    before = await acme(client)
    project.run("rm", "--stop", "--force", "acme-mailcow")
    with pytest.raises(TemporaryError, match="it is gone"):
        await client.restart(before.id, before.started_at)
    found = await look(client)
    assert found.service("acme-mailcow") is None
    assert isinstance(found.acme_sleep, Unseen)


async def test_log_since_a_moment(client: Client, project: real.ComposeProject) -> None:
    """Older lines are not read again. (The Engine's start time can be later than the first line.)"""
    found = await acme(client)
    wait_until(lambda: "started" in project.run("logs", "acme-mailcow"), "acme wrote its line")
    assert await client.logs_tail(found.id, found.created_at) == ("started",)
    assert await client.logs_tail(found.id, time.time() + 1) == ()
