"""DNS updates to real BIND, Knot and PowerDNS keep to the contract, with wide and narrow keys, and fail well."""

import asyncio
import dataclasses
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

import pytest
from pydantic import SecretStr

from sidecar.dns.publish.port import Change, Outcome, Remove, Replace, Unclear, WriteDone, WriteRefused
from sidecar.dns.publish.rfc2136 import Rfc2136, TsigKey
from sidecar.observed import Seen, Unseen
from sidecar.observed.record_sets import ABSENT, Key, RecordType, record_set
from tests.dns.publish.contract import (
    FIRST,
    HOST,
    HOST_A,
    ID,
    MAIL,
    REPORT,
    REPORTS,
    SECOND,
    ZONE,
    Contract,
    there,
)
from tests.system.nameservers import (
    ADDRESS,
    ADMIN,
    NARROW,
    PORT,
    NameServer,
    asked,
    running_bind,
    running_knot,
    running_powerdns,
)

SERVERS: dict[str, Callable[[], AbstractContextManager[NameServer]]] = {
    "bind": running_bind,
    "bind signing inline": lambda: running_bind(signing=True),
    "knot": running_knot,
    "powerdns": running_powerdns,
}


def publisher(key: TsigKey = ADMIN, port: int = PORT, patience_s: float = 5.0) -> Rfc2136:
    """For the server under test."""
    return Rfc2136((ADDRESS, port), key, time.time, patience_s=patience_s)


@dataclass(slots=True)
class Served:
    """A zone of a real server."""

    server: NameServer
    publisher: Rfc2136
    floor: int = 0

    def put(self, key: Key, values: Iterable[str]) -> None:
        self.server.put(key, values)

    def everything(self) -> dict[Key, tuple[str, ...]]:
        return self.server.everything()


@pytest.fixture(params=SERVERS)
def world(request: pytest.FixtureRequest) -> Iterator[Served]:
    """Each server, with the narrow key where it has one."""
    with SERVERS[request.param]() as server:
        yield Served(server, publisher(server.narrow or ADMIN))


class TestRfc2136(Contract):
    """The contract, by each real server."""

    async def test_a_name_under_a_wildcard_has_no_set_of_its_own(self, world: Served) -> None:
        """What the wildcard answers is neither foreign nor in the way."""
        if world.publisher.key is NARROW:
            world.publisher = publisher(ADMIN)
        key = Key(f"_mta-sts.sub.{ZONE}", RecordType.TXT)
        world.put(Key(f"*.sub.{ZONE}", RecordType.TXT), ["v=spf1 -all"])
        assert asked(key.name, key.type) == ("v=spf1 -all",)
        assert await there(world, key) == ABSENT
        made = await world.publisher.write(ZONE, [Replace(key, ABSENT, FIRST)])
        assert isinstance(made[key], WriteDone), made
        assert await there(world, key) == FIRST

    async def test_a_cname_takes_the_place_of_our_address_in_one_step(self, world: Served) -> None:
        """One update for one name: all of it or nothing."""
        world.put(HOST_A, ["192.0.2.7"])
        changes: list[Change] = [Remove(HOST_A, await there(world, HOST_A)), Replace(HOST, ABSENT, MAIL)]
        made = await world.publisher.write(ZONE, changes)
        assert all(isinstance(one, WriteDone) for one in made.values()), made
        assert asked(HOST.name, RecordType.CNAME) == ("mail.example.test",)

    async def test_nobody_ever_sees_an_empty_answer_while_it_is_replaced(self, world: Served) -> None:
        """A watcher asks all the time."""
        await world.publisher.write(ZONE, [Replace(ID, ABSENT, FIRST)])
        with watching(ID) as seen:
            for turn in range(30):
                now = await there(world, ID)
                made = await world.publisher.write(ZONE, [Replace(ID, now, (SECOND, FIRST)[turn % 2])])
                assert isinstance(made[ID], WriteDone), made
        assert len(seen) > 30
        assert set(seen) <= {FIRST.values, SECOND.values}

    async def test_a_key_with_another_secret_is_refused_and_not_shown(self, world: Served) -> None:
        """Neither reading nor writing works, and each says why."""
        wrong = dataclasses.replace(ADMIN, secret=SecretStr("d3Jvbmcgd3Jvbmcgd3Jvbmc="))
        with_it = publisher(wrong)
        made = (await with_it.write(ZONE, [Replace(ID, ABSENT, FIRST)]))[ID]
        assert isinstance(made, WriteRefused), made
        assert "secret" in made.remedy
        found = (await with_it.read(ZONE, [ID]))[ID]
        assert isinstance(found, Unseen)
        assert "d3Jvbmcg" not in f"{made!r} {found!r} {with_it!r}"
        assert asked(ID.name, ID.type) == ()

    async def test_a_key_that_the_server_does_not_know_is_refused(self, world: Served) -> None:
        """The remedy names what to compare."""
        unknown = dataclasses.replace(ADMIN, name="unknown")
        made = (await publisher(unknown).write(ZONE, [Replace(ID, ABSENT, FIRST)]))[ID]
        assert isinstance(made, WriteRefused), made
        assert asked(ID.name, ID.type) == ()


@pytest.fixture(params=["bind", "knot"])
def narrow(request: pytest.FixtureRequest) -> Iterator[Served]:
    """Servers that know rights by name."""
    with SERVERS[request.param]() as server:
        yield Served(server, publisher(NARROW))


async def test_a_narrow_key_is_enough_for_the_three_names(narrow: Served) -> None:
    """It can do everything that is needed, and nothing else."""
    changes = [Replace(HOST, ABSENT, MAIL), Replace(REPORT, ABSENT, REPORTS), Replace(ID, ABSENT, FIRST)]
    made: dict[Key, Outcome] = dict(await narrow.publisher.write(ZONE, changes))
    assert all(isinstance(one, WriteDone) for one in made.values()), made
    other = Key(f"other.{ZONE}", RecordType.TXT)
    refused = (await narrow.publisher.write(ZONE, [Replace(other, ABSENT, FIRST)]))[other]
    assert isinstance(refused, WriteRefused), refused
    assert asked(other.name, other.type) == ()


async def test_a_server_that_is_silent_leaves_the_outcome_open() -> None:
    """It took the connection and says nothing: nobody knows what it did."""
    held: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: held.append(writer), ADDRESS, 0)
    async with server:
        silent = publisher(port=server.sockets[0].getsockname()[1], patience_s=0.3)
        made = (await silent.write(ZONE, [Replace(ID, ABSENT, FIRST)]))[ID]
        assert isinstance(made, Unclear), made
        assert isinstance((await silent.read(ZONE, [ID]))[ID], Unseen)
        assert isinstance(await silent.zones([ZONE]), Unseen)
        for writer in held:
            writer.close()


async def test_only_the_zones_of_the_settings_are_served(narrow: Served) -> None:
    """A key may reach more than the person wants."""
    allowed = dataclasses.replace(narrow.publisher, only=frozenset({"other.test"}))
    found = await allowed.zones([ZONE])
    assert isinstance(found, Seen)
    assert found.value == ()


class watching:  # noqa: N801 - used as `with watching(...)`
    """Asks the server all the time, in a thread; gives the list of answers."""

    def __init__(self, key: Key) -> None:
        self._key, self._over, self._seen = key, threading.Event(), list[tuple[str, ...]]()
        self._thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        while not self._over.is_set():
            self._seen.append(asked(self._key.name, self._key.type))

    def __enter__(self) -> list[tuple[str, ...]]:
        self._thread.start()
        return self._seen

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def test_values_of_an_address_have_one_form() -> None:
    """Else one and the same address would look changed."""
    assert record_set(RecordType.AAAA, ["2001:DB8:0::1"], 1).values == ("2001:db8::1",)
