"""The stand-ins for acme-mailcow: what a run does to the certificate folder, and the engine without an engine."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from demo.acme import Ran, StandInAcme
from demo.acme_checks import CHALLENGES
from demo.names import DemoDns
from demo.simulated import SimulatedMailcow
from demo.standins import RecordedEngine
from demo.web import DemoWeb
from sidecar.host.errors import TemporaryError
from sidecar.mailcow.certificates import CertificateFolder
from sidecar.observed import Container, Issuer, Seen

HOST = "mail.example.org"
NOW = 1_700_000_000.0


@pytest.fixture
async def acme(tmp_path: Path) -> AsyncIterator[StandInAcme]:
    """A mailcow of the file generation with one domain, and the certificate that it has."""
    dns = await DemoDns.start()
    dns.publish(HOST, "A", "192.0.2.10")
    dns.publish("smtp.example.org", "CNAME", f"{HOST}.")
    async with await SimulatedMailcow.start(
        version="2025-08", hostname=HOST, challenge_folder=tmp_path / CHALLENGES
    ) as mailcow:
        mailcow.add_domain("example.org")
        web = DemoWeb(dns, mailcow.url, frozenset({"192.0.2.10"}))
        made = StandInAcme(tmp_path, mailcow, dns, web, ("192.0.2.10", ""))
        made.first([HOST])
        yield made
    await dns.close()


async def test_run_orders_for_the_names_that_pass_their_check(acme: StandInAcme, tmp_path: Path) -> None:
    """A name that does not resolve is left out; the sidecar takes it for an order of Let's Encrypt's."""
    await acme.run({"MAILCOW_HOSTNAME": HOST, "ADDITIONAL_SAN": "smtp.*,imap.*", "AUTODISCOVER_SAN": "n"})
    assert acme.names() == {HOST, "smtp.example.org"}
    seen = CertificateFolder().observe(tmp_path, 0.0, "Etc/UTC")
    assert isinstance(seen, Seen)
    assert seen.value.server is not None
    assert seen.value.server.issuer is Issuer.LETS_ENCRYPT
    assert len(seen.value.orders) == 1


@pytest.fixture
async def engine() -> AsyncIterator[tuple[RecordedEngine, list[Mapping[str, str]]]]:
    """An engine in memory, and the environments that acme-mailcow ran with."""
    runs: list[Mapping[str, str]] = []

    async def run(environment: Mapping[str, str]) -> Ran:
        runs.append(environment)
        return Ran("30m", ((NOW + 0.25, "one of the second run"),))

    first = Ran("1h", ((NOW - 60, "one"), (NOW - 59.5, "two"), (NOW - 59, "three")))
    made = RecordedEngine("demo", {"ADDITIONAL_SAN": "smtp.*", "A": "b"}, run, first)
    yield made, runs
    await made.end()
    await made.close()


async def looked(engine: RecordedEngine) -> tuple[Container, str | None]:
    """acme-mailcow, and the wait that it sleeps in."""
    seen = await engine.observe(1.0, None)
    assert isinstance(seen, Seen)
    found = seen.value.service("acme-mailcow")
    assert found is not None
    assert isinstance(seen.value.acme_sleep, Seen)
    return found, seen.value.acme_sleep.value


async def test_restarted_acme_is_at_work_and_is_not_restarted_again(
    engine: tuple[RecordedEngine, list[Mapping[str, str]]],
) -> None:
    """As the real engine's `top` would show it."""
    recorded, _ = engine
    before, sleep = await looked(recorded)
    assert sleep == "1h"
    await recorded.restart(before.id, before.started_at)
    after, sleep = await looked(recorded)
    assert (after.id, sleep) == (before.id, None)
    assert after.started_at > before.started_at
    with pytest.raises(TemporaryError, match="it is working"):
        await recorded.restart(after.id, after.started_at)
    with pytest.raises(TemporaryError, match="meanwhile"):
        await recorded.restart(before.id, before.started_at)


async def test_acme_made_anew_runs_with_its_new_environment(
    engine: tuple[RecordedEngine, list[Mapping[str, str]]],
) -> None:
    """Another container, with one variable changed, that works at once; an outdated request is refused."""
    recorded, _ = engine
    before, _ = await looked(recorded)
    project = await recorded.observe(1.0, None)
    assert isinstance(project, Seen)

    async def restarted_soak() -> None:
        await recorded.recreate(
            before.id,
            expected=project.value,
            expected_started_at=before.started_at,
            environment={"ADDITIONAL_SAN": "smtp.*,mta-sts.*"},
            now=1.0,
        )

    await restarted_soak()
    after, sleep = await looked(recorded)
    assert (dict(after.env), sleep) == ({"ADDITIONAL_SAN": "smtp.*,mta-sts.*", "A": "b"}, None)
    assert after.id != before.id
    with pytest.raises(TemporaryError, match="meanwhile"):
        await restarted_soak()


async def test_log_is_that_of_the_runs_with_the_engines_own_times(
    engine: tuple[RecordedEngine, list[Mapping[str, str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the container's start on, the last lines, and each line behind its time where that is wanted."""
    recorded, runs = engine
    monkeypatch.setattr("demo.standins.WORK_S", 0.0)
    acme, _ = await looked(recorded)
    assert acme.started_at == NOW - 60
    assert await recorded.logs_tail(acme.id, acme.started_at) == ("one", "two", "three")
    assert await recorded.logs_tail(acme.id, NOW - 59.5, 1) == ("three",)
    with pytest.raises(TemporaryError, match="gone"):
        await recorded.logs_tail("f" * 64, 1.0)
    await recorded.restart(acme.id, acme.started_at)
    async with asyncio.timeout(10):
        while (await looked(recorded))[1] is None:  # noqa: ASYNC110 - the engine tells nobody
            await asyncio.sleep(0.01)
    assert (await looked(recorded))[1] == "30m"
    assert len(runs) == 1
    log: object = await asyncio.to_thread(
        recorded._connected().logs, acme.id, timestamps=True, since=NOW, tail=5
    )
    assert log == b"2023-11-14T22:13:20.250000000Z one of the second run\n"
