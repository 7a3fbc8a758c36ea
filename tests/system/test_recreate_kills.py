"""A re-creation of acme-mailcow killed between any two calls that change something, and both healers after it.

The proxy holds a call back, and the process that made it is killed: the Engine has done all calls before it.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator

import pytest

from sidecar.mailcow.engine.acme import AcmeEngine as Client
from sidecar.observed import NEW_SUFFIX, OLD_SUFFIX
from tests.system.engine import Engine
from tests.system.engine_proxy import Do, EngineProxy, engine_proxy
from tests.system.recreated import PROJECT, VARIABLE, Mailcow, environment, running_mailcow

pytestmark = pytest.mark.usefixtures("busybox_image")

PASS = """\
import asyncio, sys, time
from sidecar.mailcow.engine.acme import AcmeEngine

async def main(docker_host, project_name, variable, value):
    engine = AcmeEngine(docker_host, own_ids=lambda: ())
    project = (await engine.observe(time.time(), project_name)).value
    acme = project.service("acme-mailcow")
    await engine.recreate(acme.id, expected=project, expected_started_at=acme.started_at,
                          environment={variable: value}, now=time.time())

asyncio.run(main(*sys.argv[1:]))
"""

# The changing call that never reaches the Engine, by its number, and whether the new container runs by then.
MOMENTS = [
    pytest.param(1, False, id="before the first change"),
    pytest.param(2, False, id="old one renamed"),
    pytest.param(3, False, id="new one created"),
    pytest.param(4, False, id="new one connected"),
    pytest.param(5, False, id="old one stopped"),
    pytest.param(6, True, id="new one started"),
    pytest.param(7, True, id="new one updated"),
    pytest.param(8, True, id="old one removed"),
    pytest.param(9, True, id="restart policy set"),
]


@pytest.fixture(scope="module")
def mailcow(
    engine: Engine, busybox_image: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mailcow]:
    """A running project; every test leaves one container of acme-mailcow in it."""
    with running_mailcow(engine, tmp_path_factory.mktemp("mailcow")) as mailcow:
        yield mailcow


@pytest.fixture
async def proxy(engine: Engine) -> AsyncIterator[EngineProxy]:
    """A proxy before the engine."""
    async with engine_proxy(engine.socket) as proxy:
        yield proxy


async def kill_before(proxy: EngineProxy, number: int, san: str) -> None:
    """A pass that wants `san` is killed when it makes this changing call."""
    proxy.rule = lambda call, count: Do.HOLD if call.changes and count == number else Do.PASS
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PASS, proxy.docker_host, PROJECT, VARIABLE, san
    )
    async with asyncio.timeout(30):
        await proxy.held.wait()
    process.kill()
    await process.wait()
    proxy.forget()


def assert_never_both(mailcow: Mailcow) -> None:
    """No two run, and a start of the host would not start two."""
    assert len(mailcow.started_with_the_host()) <= 1
    assert [one["State"]["Running"] for one in mailcow.inspect(*mailcow.acme_ids())].count(True) <= 1


@pytest.mark.parametrize(("number", "new_runs"), MOMENTS)
async def test_next_start_of_the_sidecar_heals(
    mailcow: Mailcow, proxy: EngineProxy, number: int, new_runs: bool
) -> None:
    """The old container, or the new one where it runs already; then nothing is left to do, for one call."""
    before = mailcow.acme()
    await kill_before(proxy, number, f"killed-{number}.*")
    assert_never_both(mailcow)
    client = Client(proxy.docker_host, own_ids=lambda: ())
    try:
        said = await client.heal(PROJECT)
        healed = mailcow.acme()
        assert (healed["Id"] == before["Id"]) is not new_runs
        if new_runs:
            assert environment(healed)[VARIABLE] == f"killed-{number}.*"
            assert said is not None
            assert "the new container takes the old one's place" in said
        elif number > 1:
            assert said is not None
            assert "the old container runs again" in said
        else:
            assert said is None
        mailcow.assert_volumes_intact()
        proxy.calls.clear()
        assert await client.heal(PROJECT) is None
        assert len(proxy.calls) == 1
    finally:
        await client.close()


@pytest.mark.parametrize(("number", "new_runs"), MOMENTS)
async def test_compose_alone_heals(mailcow: Mailcow, proxy: EngineProxy, number: int, new_runs: bool) -> None:
    """`docker compose up -d`, once, with what mailcow.conf says."""
    san = f"by-compose-{number}.*"
    await kill_before(proxy, number, san)
    assert_never_both(mailcow)
    mailcow.configure(san)
    mailcow.up()
    assert environment(mailcow.acme())[VARIABLE] == san
    mailcow.assert_volumes_intact()
    assert await nothing_to_heal(proxy)


@pytest.mark.parametrize("number", [2, 4, 5, 6, 9])
async def test_compose_alone_keeps_mailcow_running_when_the_change_was_undone(
    mailcow: Mailcow, proxy: EngineProxy, number: int
) -> None:
    """mailcow.conf is as it was: a Compose that keeps the old container leaves it the name that it has by then.

    It finds containers by labels and never looks at the name; the sidecar gives it the right one later.
    """
    san = environment(mailcow.acme())[VARIABLE]
    mailcow.configure(san)
    mailcow.up()  # so that the old container is up to date in the eyes of Compose
    await kill_before(proxy, number, "undone.*")
    mailcow.up()
    [left] = mailcow.inspect(*mailcow.acme_ids())
    assert left["State"]["Running"]
    assert left["HostConfig"]["RestartPolicy"]["Name"] == "always"
    assert not left["Name"].endswith(NEW_SUFFIX)
    assert environment(left)[VARIABLE] == san
    assert await nothing_to_heal(proxy) is not left["Name"].endswith(OLD_SUFFIX)
    mailcow.acme()
    mailcow.assert_volumes_intact()


async def nothing_to_heal(proxy: EngineProxy) -> bool:
    """Whether the healer says so."""
    client = Client(proxy.docker_host, own_ids=lambda: ())
    try:
        return await client.heal(PROJECT) is None
    finally:
        await client.close()
