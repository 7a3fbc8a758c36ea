"""Re-creating acme-mailcow in a real engine, with real Compose before and after."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest

from sidecar.host.errors import TemporaryError
from sidecar.mailcow.engine.acme import AcmeEngine as Client
from sidecar.mailcow.engine.calls import ENGINE_CALLS, unlisted
from sidecar.mailcow.engine.changes import RecreateRefused
from sidecar.mailcow.engine.events import events
from sidecar.mailcow.engine.new_container import CONFIG_HASH
from tests.system.engine import Engine
from tests.system.engine_proxy import Call, Do, EngineProxy, engine_proxy
from tests.system.recreated import (
    NAME,
    PROJECT,
    VARIABLE,
    Mailcow,
    environment,
    look_at_acme,
    running_mailcow,
)

pytestmark = pytest.mark.usefixtures("busybox_image")

CHANGES = (
    "POST /containers/{id}/rename",
    "POST /containers/create",
    "POST /networks/{id}/connect",
    "POST /containers/{id}/stop",
    "POST /containers/{id}/start",
    "POST /containers/{id}/update",
    "DELETE /containers/{id}",
    "POST /containers/{id}/update",
    "POST /containers/{id}/rename",
)
"""The calls of a re-creation that change something, in their order."""
REMOVED = 7
"""With this call there is no way back: the old container is gone."""


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


@pytest.fixture
async def client(proxy: EngineProxy) -> AsyncIterator[Client]:
    """The sidecar's client, behind the proxy."""
    client = Client(proxy.docker_host, own_ids=lambda: ())
    yield client
    await client.close()


async def recreate_with(client: Client, san: str) -> None:
    """What a pass does."""
    project, acme = await look_at_acme(client)
    await client.recreate(
        acme.id,
        expected=project,
        expected_started_at=acme.started_at,
        environment={VARIABLE: san},
        now=time.time(),
    )


ALLOWED = {
    "Id": "another container",
    "Created": "made later",
    "Config.Hostname": "the Engine made it of the id",
    "Config.Env": "what it is all about; compared below",
    f"Config.Labels.{CONFIG_HASH}": "Compose must re-create it once more; compared below",
    "State.Pid": "another process",
    "State.StartedAt": "started later",
    "State.Health": "checked anew",
    "ResolvConfPath": "named after the id",
    "HostnamePath": "named after the id",
    "HostsPath": "named after the id",
    "LogPath": "named after the id",
    "GraphDriver.Data": "its own layer",
    "NetworkSettings.SandboxID": "its own network namespace",
    "NetworkSettings.SandboxKey": "its own network namespace",
    "NetworkSettings.Networks.*.EndpointID": "its own endpoint",
    "NetworkSettings.Networks.*.DNSNames": "holds the short id; compared below",
    "HostConfig.Mounts": "names the anonymous volumes; compared below",
    # the second network has no fixed address: the Engine may give another one, and a random MAC address since 28
    "NetworkSettings.Networks.mailcowdockerized_second.IPAddress": "not fixed",
    "NetworkSettings.Networks.*.MacAddress": "made by the Engine",
}


def differing(one: Any, other: Any, path: str = "") -> Iterator[str]:
    """The fields in which two answers of `inspect` differ."""
    if isinstance(one, dict) and isinstance(other, dict) and path != "State.Health":
        for key in sorted(one.keys() | other.keys()):
            yield from differing(one.get(key), other.get(key), f"{path}.{key}" if path else key)
    elif one != other:
        yield path


def allowed(path: str) -> bool:
    """Whether a field may differ; `*` stands for a network's name."""
    parts = path.split(".")
    general = (
        ".".join([*parts[:2], "*", *parts[3:]]) if parts[0] == "NetworkSettings" and len(parts) > 3 else path
    )
    return any(path == key or path.startswith(f"{key}.") or general == key for key in ALLOWED)


async def test_nothing_differs_but_the_variable(client: Client, mailcow: Mailcow) -> None:
    """Field by field of `inspect`, and what differs has a reason; anonymous volumes are the same ones."""
    before = mailcow.acme()
    await recreate_with(client, "second.*")
    after = mailcow.acme()
    assert [path for path in differing(before, after) if not allowed(path)] == []
    assert after["Id"] != before["Id"]
    assert environment(after) == environment(before) | {VARIABLE: "second.*"}
    assert after["Config"]["Image"] == before["Config"]["Image"] == "stand-in:busybox"
    assert after["Image"] == before["Image"]
    assert len(after["Mounts"]) == 5
    mailcow.assert_volumes_intact()
    for network, settings in after["NetworkSettings"]["Networks"].items():
        names = set(settings["DNSNames"]) - {after["Id"][:12]}
        assert names == set(before["NetworkSettings"]["Networks"][network]["DNSNames"]) - {before["Id"][:12]}
    main = after["NetworkSettings"]["Networks"]["mailcowdockerized_mailcow-network"]
    assert main["IPAddress"] == "172.22.1.200"
    assert main["GlobalIPv6Address"] == "fd4d:6169:6c63:6f77::200"
    assert "SAN=second.*" in mailcow.engine.run_cli("logs", NAME)


async def test_a_second_recreation_is_as_good_as_the_first(client: Client, mailcow: Mailcow) -> None:
    """What we made is copied like what Compose made; now nothing is allowed to differ in the label or the mounts."""
    before = mailcow.acme()
    await recreate_with(client, "third.*")
    after = mailcow.acme()
    assert [path for path in differing(before, after) if not allowed(path)] == []
    assert after["Config"]["Labels"] == before["Config"]["Labels"]
    assert after["HostConfig"]["Mounts"] == before["HostConfig"]["Mounts"]
    mailcow.assert_volumes_intact()


@pytest.mark.parametrize("san", ["new.*", "old.*"])
async def test_compose_recreates_it_once_more(client: Client, mailcow: Mailcow, san: str) -> None:
    """Also where mailcow.conf was put back to what the container before it had; and then no more."""
    mailcow.configure("old.*")
    mailcow.up()
    mailcow.write_to_volumes()
    await recreate_with(client, "new.*")
    ours = mailcow.acme()
    mailcow.configure(san)
    assert f"Container {NAME}  Recreate" in mailcow.up().replace("Recreated", "Recreate")
    theirs = mailcow.acme()
    assert theirs["Id"] != ours["Id"]
    assert environment(theirs)[VARIABLE] == san
    assert len(theirs["Config"]["Labels"][CONFIG_HASH]) == 64
    assert theirs["Mounts"] == ours["Mounts"]
    mailcow.assert_volumes_intact()
    mailcow.up()
    assert mailcow.acme()["Id"] == theirs["Id"]


async def test_tag_that_means_another_image_by_now_is_not_followed(client: Client, mailcow: Mailcow) -> None:
    """An image that was pulled is for mailcow's own update to take; here the same one runs on, by its id."""
    before = mailcow.acme()
    name = before["Config"]["Image"]
    mailcow.engine.run_cli("commit", "--pause=false", NAME, name)
    try:
        await recreate_with(client, "tagged.*")
    finally:
        mailcow.engine.run_cli("tag", before["Image"], name)
    after = mailcow.acme()
    assert after["Config"]["Image"] == before["Image"] == after["Image"]
    mailcow.up()
    assert mailcow.acme()["Config"]["Image"] == name
    mailcow.write_to_volumes()


async def test_proxy_that_tells_nothing_of_images_costs_the_name_alone(
    client: Client, mailcow: Mailcow, proxy: EngineProxy
) -> None:
    """The call is no condition for a re-creation."""
    before = mailcow.acme()
    proxy.rule = lambda call, _number: Do.REFUSE if call.path.startswith("/images/") else Do.PASS
    await recreate_with(client, "unnamed.*")
    assert mailcow.acme()["Config"]["Image"] == before["Image"]
    mailcow.up()
    mailcow.write_to_volumes()


async def test_other_services_are_left_alone(client: Client, mailcow: Mailcow) -> None:
    """nginx-mailcow is the same container, never restarted."""
    before = mailcow.inspect(mailcow.compose.container("nginx-mailcow"))
    await recreate_with(client, "a.*")
    after = mailcow.inspect(mailcow.compose.container("nginx-mailcow"))
    assert [(c["Id"], c["State"]["StartedAt"]) for c in after] == [
        (c["Id"], c["State"]["StartedAt"]) for c in before
    ]


@pytest.mark.parametrize(
    "what", ["nginx restarted", "nginx gone from the picture", "acme started at another time"]
)
async def test_changed_world_is_looked_at_again(
    client: Client, mailcow: Mailcow, proxy: EngineProxy, what: str
) -> None:
    """Nothing is done on the grounds of what is no longer so."""
    project, acme = await look_at_acme(client)
    started_at = acme.started_at
    match what:
        case "nginx restarted":
            mailcow.compose.run("restart", "--timeout", "0", "nginx-mailcow")
        case "nginx gone from the picture":
            project = replace(project, containers=(acme,))
        case _:
            started_at -= 1
    with pytest.raises(TemporaryError, match="was not re-created"):
        await client.recreate(
            acme.id,
            expected=project,
            expected_started_at=started_at,
            environment={VARIABLE: "b.*"},
            now=time.time(),
        )
    assert proxy.changing == []
    assert mailcow.acme()["Id"] == acme.id


async def test_acme_at_work_is_left_alone(client: Client, mailcow: Mailcow, proxy: EngineProxy) -> None:
    """It may be in the middle of an order."""
    mailcow.wake_acme(mailcow.acme()["Id"])
    with pytest.raises(TemporaryError, match="working"):
        await recreate_with(client, "b.*")
    assert proxy.changing == []
    mailcow.engine.run_cli("restart", "--time", "0", NAME)


async def test_acme_that_wakes_up_meanwhile_is_not_stopped(
    client: Client, mailcow: Mailcow, proxy: EngineProxy
) -> None:
    """The new container is made and dropped again; the old one works on and never noticed."""
    before = mailcow.acme()

    def wake(call: Call, number: int) -> Do:
        if call.changes and number == 3:
            mailcow.wake_acme(before["Id"])
        return Do.PASS

    proxy.rule = wake
    with pytest.raises(TemporaryError, match=r"woke up .* the old container runs"):
        await recreate_with(client, "b.*")
    assert (mailcow.acme()["Id"], mailcow.acme()["State"]) == (before["Id"], before["State"])
    mailcow.engine.run_cli("restart", "--time", "0", NAME)


def failing_at(wanted: int, what: Do) -> Callable[[Call, int], Do]:
    """This happens to the changing call of this number, once."""
    return lambda call, number: what if call.changes and number == wanted else Do.PASS


@pytest.mark.parametrize("what", [Do.FAIL, Do.CUT_BEFORE, Do.CUT_AFTER])
@pytest.mark.parametrize("number", range(1, len(CHANGES) + 1))
async def test_failure_of_any_call_leaves_one_container(
    client: Client, mailcow: Mailcow, proxy: EngineProxy, number: int, what: Do
) -> None:
    """The old one runs on or again under its name; only once it has been removed, the new one stays."""
    before = mailcow.acme()
    mailcow.write_to_volumes()
    proxy.rule = failing_at(number, what)
    gone = number > REMOVED or (number == REMOVED and what is Do.CUT_AFTER)
    if gone:
        await recreate_with(client, f"{number}.*")
    else:
        with pytest.raises(TemporaryError, match=r"nothing was changed|the old container runs"):
            await recreate_with(client, f"{number}.*")
    assert len(proxy.changing) > number - 1
    after = mailcow.acme()
    assert (after["Id"] == before["Id"]) is not gone
    if gone:
        assert environment(after)[VARIABLE] == f"{number}.*"
    elif number < 4:
        assert after["State"]["StartedAt"] == before["State"]["StartedAt"]
    mailcow.assert_volumes_intact()
    assert await client.heal(PROJECT) is None


async def test_engine_that_fails_for_long_is_healed_later(
    client: Client, mailcow: Mailcow, proxy: EngineProxy
) -> None:
    """Taking back fails, too, and is said; the healer does it when the Engine is well again."""
    before = mailcow.acme()
    proxy.rule = lambda call, number: Do.FAIL if call.changes and number >= 5 else Do.PASS
    with pytest.raises(
        TemporaryError, match=r"undoing it failed, too: .*`docker compose up -d acme-mailcow`"
    ):
        await recreate_with(client, "c.*")
    assert len(mailcow.acme_ids()) == 2
    with pytest.raises(TemporaryError):
        await client.heal(PROJECT)
    proxy.forget()
    said = await client.heal(PROJECT)
    assert said is not None
    assert "the old container runs again" in said
    assert mailcow.acme()["Id"] == before["Id"]


@pytest.mark.parametrize("refused", sorted(set(CHANGES)))
async def test_refused_call_changes_nothing(
    client: Client, mailcow: Mailcow, proxy: EngineProxy, refused: str
) -> None:
    """A proxy that allows all but one: that is found before the first change, and the command is named."""
    before = mailcow.acme()
    [kind] = [call for call in ENGINE_CALLS if f"{call.method} {call.path}" == refused]
    proxy.rule = lambda call, _number: Do.REFUSE if kind.matches(call.method, call.path) else Do.PASS
    with pytest.raises(RecreateRefused, match=rf"{re.escape(refused)}.*`docker compose up -d acme-mailcow`"):
        await recreate_with(client, "d.*")
    assert proxy.changing == []
    assert mailcow.acme() == before


async def test_call_refused_for_its_content_is_taken_back(
    client: Client, mailcow: Mailcow, proxy: EngineProxy
) -> None:
    """A proxy may look into what is to be created."""
    before = mailcow.acme()
    proxy.rule = failing_at(2, Do.REFUSE)
    with pytest.raises(RecreateRefused, match="nothing was changed"):
        await recreate_with(client, "d.*")
    assert (mailcow.acme()["Id"], mailcow.acme()["State"]) == (before["Id"], before["State"])


async def test_list_of_calls_is_whole(client: Client, mailcow: Mailcow, proxy: EngineProxy) -> None:
    """All that the sidecar asks of the Engine is what docs/rights.md lists, and nothing is listed for nothing."""
    project, acme = await look_at_acme(client)
    async with asyncio.timeout(30):
        async with aclosing(events(proxy.docker_host, PROJECT)) as stream:
            first = asyncio.ensure_future(anext(stream))
            await client.restart(acme.id, acme.started_at, 3)
            assert (await first).service == "acme-mailcow"
    await client.logs_tail(acme.id, acme.started_at)
    await recreate_with(client, "e.*")
    proxy.rule = failing_at(len(proxy.changing) + 5, Do.FAIL)
    with pytest.raises(TemporaryError):
        await recreate_with(client, "f.*")
    await client.heal(PROJECT)
    made = {(call.method, call.path) for call in proxy.calls}
    assert unlisted(made) == ()
    unused = [c for c in ENGINE_CALLS if not any(c.matches(method, path) for method, path in made)]
    assert unused == []
    assert project.service("acme-mailcow") == acme


async def test_changes_come_in_their_order(client: Client, mailcow: Mailcow, proxy: EngineProxy) -> None:
    """No other container is touched, and nothing is done twice."""
    await recreate_with(client, "g.*")
    made = [
        f"{call.method} {re.sub('[0-9a-f]{64}|(?<=networks/)[^/]+', '{id}', call.path)}"
        for call in proxy.changing
    ]
    assert tuple(made) == CHANGES
    assert mailcow.acme()
