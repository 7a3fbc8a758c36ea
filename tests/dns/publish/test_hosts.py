"""Hosts that are reached through octodns, and Servercow: all follow the contract, at simulated APIs."""

import time
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import SecretStr

from sidecar.dns.publish import hosted, worker
from sidecar.dns.publish.hosted import Hosted, ProviderSpec
from sidecar.dns.publish.messages import Request
from sidecar.dns.publish.port import Publisher, Remove, Replace, Unclear, WriteDone, WriteRefused
from sidecar.dns.publish.servercow import Servercow
from sidecar.observed import Seen, Unseen
from sidecar.observed.record_sets import ABSENT, Key
from tests.dns.publish import hosts
from tests.dns.publish.contract import FIRST, HOST, ID, MAIL, ZONE, Contract, there
from tests.dns.publish.hosts import TOKEN, Handle, Zone, serving

ROOT = Path(__file__).parents[3]


@dataclass(slots=True)
class AtHost:
    """A zone at a simulated host."""

    zone: Zone
    publisher: Publisher
    floor: int = 0

    def put(self, key: Key, values: Iterable[str]) -> None:
        self.zone.put(key, values)

    def everything(self) -> dict[Key, tuple[str, ...]]:
        return self.zone.everything()


@dataclass(frozen=True, slots=True)
class Kind:
    """How a host is reached."""

    handle: Handle
    class_: str
    floor: int = 0
    address: str = "url"

    def publisher(self, url: str, token: str = TOKEN) -> Publisher:
        """An account."""
        plain: dict[str, str | int | bool] = {self.address: url}
        if self.address == "api_url":
            plain |= {"pagerules": False, "retry_count": 0}
        if "Desec" in self.class_:
            plain |= {"retries": 0}
        return Hosted(ProviderSpec(self.class_, {"token": SecretStr(token)}, plain, self.floor), time.time)


KINDS = {
    "cloudflare": Kind(hosts.cloudflare, "octodns_cloudflare.CloudflareProvider", 120, "api_url"),
    "desec": Kind(hosts.desec, "tests.dns.publish.local_providers.LocalDesec", 3_600),
    "hetzner": Kind(hosts.hetzner, "tests.dns.publish.local_providers.LocalHetzner", 60),
}


@pytest.fixture(params=[*KINDS, "servercow"])
def world(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[AtHost]:
    """Each host with a zone of its own."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    zone = Zone()
    kind = KINDS.get(request.param)
    with serving(kind.handle if kind else hosts.servercow, zone) as url:
        if kind is None:
            yield AtHost(zone, Servercow("user", SecretStr(TOKEN), time.time, url=url))
        else:
            yield AtHost(zone, kind.publisher(url), kind.floor)


@pytest.fixture(autouse=True)
def in_process(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The contract's tests run without a process for each call; `test_publish_powerdns` has them with one."""
    if request.cls is not TestHosts:
        return

    async def run(given: bytes, _: float) -> bytes:
        with warnings.catch_warnings(action="ignore"):
            return worker.answer(Request.model_validate_json(given)).model_dump_json().encode()

    monkeypatch.setattr(hosted, "_run", run)


class TestHosts(Contract):
    """The contract, by each host."""

    async def test_a_write_whose_answer_is_an_error_is_read_again(self, world: AtHost) -> None:
        """It was made all the same, and no text has the token that the host sent back."""
        world.zone.broken = 500
        made = (await world.publisher.write(ZONE, [Replace(ID, ABSENT, FIRST)]))[ID]
        assert isinstance(made, WriteDone | Unclear), made
        assert TOKEN not in repr(made)
        world.zone.broken = None
        assert (await there(world, ID)).values == FIRST.values

    async def test_a_set_that_cannot_be_read_is_not_an_absent_one(self, world: AtHost) -> None:
        """It has more values than are read; it is neither shown as missing nor written."""
        world.put(ID, [f"value {n}" for n in range(120)])
        before = world.everything()
        found = (await world.publisher.read(ZONE, [ID]))[ID]
        assert isinstance(found, Unseen), found
        made = (await world.publisher.write(ZONE, [Replace(ID, ABSENT, FIRST)]))[ID]
        assert not isinstance(made, WriteDone), made
        assert world.everything() == before

    async def test_another_change_at_the_same_time_is_reported(self, world: AtHost) -> None:
        """octodns' providers write more than they are asked to where they are misused: so all others are compared."""
        if isinstance(world.publisher, Servercow):
            return  # one record set at a time is named in its requests, and no other
        other = Key(f"other.{ZONE}", ID.type)
        world.zone.besides = lambda: world.put(other, ["somebody at work"])
        made = (await world.publisher.write(ZONE, [Replace(ID, ABSENT, FIRST)]))[ID]
        assert isinstance(made, Unclear), made
        assert f"other record sets of the zone changed at the same time: {other}" in made.reason


@pytest.mark.integration
@pytest.mark.parametrize("name", [*KINDS, "servercow"])
async def test_a_wrong_token_is_reported_and_not_shown(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing can be read, listed or written with it."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    zone, kind, wrong = Zone(), KINDS.get(name), "another-token-0815"
    before = zone.everything()
    with serving(kind.handle if kind else hosts.servercow, zone) as url:
        with_it = (
            kind.publisher(url, wrong) if kind else Servercow("user", SecretStr(wrong), time.time, url=url)
        )
        found = (await with_it.read(ZONE, [ID]))[ID]
        zones = await with_it.zones([ZONE])
        made = (await with_it.write(ZONE, [Replace(ID, ABSENT, FIRST)]))[ID]
    assert isinstance(found, Unseen)
    assert isinstance(zones, Unseen)
    assert isinstance(made, WriteRefused | Unclear)
    assert wrong not in f"{found} {zones} {made} {with_it}"
    assert zone.everything() == before


@pytest.mark.integration
async def test_a_host_that_hangs_runs_into_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some providers have no time-out: their worker is killed."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))

    def hang(zone: Zone, *_: object) -> hosts.Reply:
        time.sleep(3)
        return 200, {}

    with serving(hang, Zone()) as url:
        slow = KINDS["cloudflare"].publisher(url)
        assert isinstance(slow, Hosted)
        slow.deadline_s = 1
        found = (await slow.read(ZONE, [ID]))[ID]
        assert found == Unseen("the DNS host did not answer within 1 s", found.at)
        assert (await slow.write(ZONE, [Remove(ID, FIRST)]))[ID] == Unclear(
            "the DNS host did not answer within 1 s"
        )


@pytest.mark.integration
@pytest.mark.parametrize(
    ("class_", "said"),
    [("octodns_nowhere.Provider", "cannot be loaded"), ("pathlib.Path", "is not a provider of octodns")],
)
async def test_a_class_that_is_not_a_provider_is_reported(class_: str, said: str) -> None:
    """With what to install or to correct."""
    found = await Hosted(ProviderSpec(class_, {"token": SecretStr(TOKEN)}), time.time).zones([])
    assert isinstance(found, Unseen)
    assert said in found.reason
    assert TOKEN not in found.reason


@pytest.mark.integration
async def test_only_the_zones_of_the_settings_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the others are not written to, whatever the host would allow."""
    with serving(hosts.cloudflare, Zone()) as url:
        spec = ProviderSpec(
            "octodns_cloudflare.CloudflareProvider",
            {"token": SecretStr(TOKEN)},
            {"api_url": url, "pagerules": False},
            only=frozenset({"other.test"}),
        )
        account = Hosted(spec, time.time)
        found = await account.zones([])
        assert isinstance(found, Seen)
        assert found.value == ()
        made = (await account.write(ZONE, [Replace(HOST, ABSENT, MAIL)]))[HOST]
        assert isinstance(made, WriteRefused)
        assert "not listed" in made.reason
