"""The stand-ins for acme-mailcow: what a run does to the certificate folder, and the engine without an engine."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from sidecar.demo.acme import StandInAcme
from sidecar.demo.names import DemoDns
from sidecar.demo.simulated import SimulatedMailcow
from sidecar.demo.standins import RecordedEngine
from sidecar.errors import TemporaryError
from sidecar.mailcow.certificates import CertificateFolder
from sidecar.observed import Backend, Container, Issuer, Seen

HOST = "mail.example.org"


@pytest.fixture
async def acme(tmp_path: Path) -> AsyncIterator[StandInAcme]:
    """A mailcow of the file generation with one domain, and the certificate that it has."""
    dns = await DemoDns.start()
    dns.publish(HOST, "A", "192.0.2.10")
    dns.publish("smtp.example.org", "CNAME", f"{HOST}.")
    async with await SimulatedMailcow.start(version="2025-08", hostname=HOST) as mailcow:
        mailcow.add_domain("example.org")
        made = StandInAcme(tmp_path, mailcow, dns, Backend.FILE, HOST)
        made.first([HOST])
        yield made
    await dns.close()


async def test_run_orders_for_the_names_that_pass_their_check(acme: StandInAcme, tmp_path: Path) -> None:
    """A name that does not resolve is left out; the sidecar takes it for an order of Let's Encrypt's."""
    await acme.run({"ADDITIONAL_SAN": "smtp.*,imap.*", "AUTODISCOVER_SAN": "n"})
    assert acme.names() == {HOST, "smtp.example.org"}
    seen = CertificateFolder().observe(tmp_path, 0.0, "Etc/UTC")
    assert isinstance(seen, Seen)
    assert seen.value.server is not None
    assert seen.value.server.issuer is Issuer.LETS_ENCRYPT
    assert len(seen.value.orders) == 1


async def test_run_with_the_same_names_orders_nothing(acme: StandInAcme) -> None:
    """An order counts, so there is none without a reason."""
    before = (acme.folder / "cert.pem").read_bytes()
    await acme.run({"ADDITIONAL_SAN": "imap.*", "AUTODISCOVER_SAN": "n"})
    assert (acme.folder / "cert.pem").read_bytes() == before
    assert not (acme.folder / "backups").exists()


@pytest.fixture
async def engine() -> AsyncIterator[tuple[RecordedEngine, list[Mapping[str, str]]]]:
    """An engine in memory, and the environments that acme-mailcow ran with."""
    runs: list[Mapping[str, str]] = []

    async def run(environment: Mapping[str, str]) -> None:
        runs.append(environment)

    made = RecordedEngine("demo", {"ADDITIONAL_SAN": "smtp.*", "A": "b"}, run)
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
    assert sleep == "1d"
    await recorded.restart(before.id, before.started_at)
    after, sleep = await looked(recorded)
    assert (after.id, sleep) == (before.id, None)
    assert after.started_at > before.started_at
    with pytest.raises(TemporaryError, match="at work"):
        await recorded.restart(after.id, after.started_at)
    with pytest.raises(TemporaryError, match="meanwhile"):
        await recorded.restart(before.id, before.started_at)


async def test_acme_made_anew_runs_with_its_new_environment(
    engine: tuple[RecordedEngine, list[Mapping[str, str]]],
) -> None:
    """Another container, with one variable changed, that works at once; an outdated wish is refused."""
    recorded, _ = engine
    before, _ = await looked(recorded)
    project = await recorded.observe(1.0, None)
    assert isinstance(project, Seen)

    async def anew() -> None:
        await recorded.recreate(
            before.id,
            expected=project.value,
            expected_started_at=before.started_at,
            environment={"ADDITIONAL_SAN": "smtp.*,mta-sts.*"},
            now=1.0,
        )

    await anew()
    after, sleep = await looked(recorded)
    assert (dict(after.env), sleep) == ({"ADDITIONAL_SAN": "smtp.*,mta-sts.*", "A": "b"}, None)
    assert after.id != before.id
    with pytest.raises(TemporaryError, match="meanwhile"):
        await anew()
