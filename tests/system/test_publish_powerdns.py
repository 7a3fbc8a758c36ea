"""PowerDNS' HTTP API through octodns, in the worker process, keeps to the same contract as DNS updates."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pytest
from pydantic import SecretStr

from sidecar.dns.publish.hosted import Hosted, ProviderSpec
from sidecar.dns.publish.port import Replace, WriteDone
from sidecar.observed import Unseen
from sidecar.observed.record_sets import ABSENT, Key
from tests.dns.publish.contract import FIRST, ID, SECOND, ZONE, Contract, there
from tests.system.nameservers import ADDRESS, API_KEY, API_PORT, NameServer, running_powerdns
from tests.system.test_publish_rfc2136 import watching


def hosted(key: str = API_KEY, port: int = API_PORT) -> Hosted:
    """An account at the server under test."""
    plain: dict[str, str | int | bool] = {"host": ADDRESS, "port": port}
    return Hosted(
        ProviderSpec("octodns_powerdns.PowerDnsProvider", {"api_key": SecretStr(key)}, plain), time.time
    )


@dataclass(slots=True)
class Api:
    """PowerDNS, reached by its API."""

    server: NameServer
    publisher: Hosted
    floor: int = 0

    def put(self, key: Key, values: Iterable[str]) -> None:
        self.server.put(key, values)

    def everything(self) -> dict[Key, tuple[str, ...]]:
        return self.server.everything()


@pytest.fixture
def world() -> Iterator[Api]:
    """A real PowerDNS."""
    with running_powerdns() as server:
        yield Api(server, hosted())


class TestPowerDns(Contract):
    """The contract, by PowerDNS' API."""

    async def test_nobody_ever_sees_an_empty_answer_while_it_is_replaced(self, world: Api) -> None:
        """The API replaces a record set in one step."""
        await world.publisher.write(ZONE, [Replace(ID, ABSENT, FIRST)])
        with watching(ID) as seen:
            for turn in range(4):
                now = await there(world, ID)
                made = await world.publisher.write(ZONE, [Replace(ID, now, (SECOND, FIRST)[turn % 2])])
                assert isinstance(made[ID], WriteDone), made
        assert len(seen) > 30
        assert set(seen) <= {FIRST.values, SECOND.values}

    async def test_a_wrong_key_is_reported_and_not_shown(self, world: Api) -> None:
        """Nothing was written, and no text has the key."""
        wrong = hosted("a-wrong-key-of-somebody")
        found = (await wrong.read(ZONE, [ID]))[ID]
        assert isinstance(found, Unseen)
        made = (await wrong.write(ZONE, [Replace(ID, ABSENT, FIRST)]))[ID]
        assert not isinstance(made, WriteDone)
        assert "a-wrong-key" not in f"{found!r} {made!r} {wrong!r}"
        assert ID not in world.everything()
