"""DNS records are read and written beside the passes: accounts fail alone, and what is written is what was decided."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from demo.names import DemoDns
from sidecar.dns.authoritative import Asker
from sidecar.dns.publish.port import Change, Outcome, Publisher, Replace, Unclear, WriteDone
from sidecar.host.errors import PermanentError
from sidecar.host.unexpected import Unexpected
from sidecar.observed import Seen, Unseen
from sidecar.observed.record_sets import ABSENT, Key, RecordSet, RecordType
from sidecar.plan.actions import PublishRecords
from sidecar.plan.publish.values import RecordPlace, RecordWrite, Role
from sidecar.reconcile.apply import Result
from sidecar.reconcile.publishing import outcome_of
from sidecar.reconcile.records import BATCH, Records
from tests.dns.publish.memory import InMemory
from tests.stage import Clock

ID = "_mta-sts.example.org"
ID_KEY = Key(ID, RecordType.TXT)
WANTED = RecordSet(("v=STSv1;id=1;",), 300)


@dataclass
class Lost(InMemory):
    """Writes, and does not report it."""

    async def write(self, zone: str, changes: Sequence[Change]) -> Mapping[Key, Outcome]:
        await super().write(zone, changes)
        return {change.key: Unclear("the answer did not come") for change in changes}


@dataclass
class Stuck(InMemory):
    """Does not answer until it is released."""

    go: asyncio.Event = field(default_factory=asyncio.Event)

    async def zones(self, names: object) -> Unseen:
        await self.go.wait()
        return Unseen("too late", 1.0)


@asynccontextmanager
async def looking(
    clock: Clock, **accounts: Publisher | PermanentError
) -> AsyncIterator[tuple[Records, DemoDns]]:
    """Records of these accounts; the DNS has the zones example.org and example.net."""
    dns = await DemoDns.start()
    dns.serve_zone("example.org")
    dns.serve_zone("example.net")

    def make(name: str) -> Publisher:
        account = accounts[name]
        if isinstance(account, PermanentError):
            raise account
        return account

    asker = Asker(("127.0.0.1", dns.port), clock.now, Unexpected(), port=dns.port)
    records = Records(tuple(accounts), make, clock, asker)
    try:
        yield records, dns
    finally:
        await records.close()
        await dns.close()


def action(name: str = ID) -> PublishRecords:
    """One write of an id in the zone example.org."""
    change = Replace(Key(name, RecordType.TXT), ABSENT, WANTED)
    write = RecordWrite(RecordPlace("home", "example.org"), change, name, Role.ID, "why", 300)
    return PublishRecords(name, (write,), "why")


async def settled(records: Records, *names: str) -> None:
    """Reads everything that is due."""
    records.begin(names, frozenset(names))
    await records.settle(10)


async def test_records_are_read_at_the_source_and_at_the_servers() -> None:
    """Both are kept: the source decides, the servers are evidence and are shown."""
    home = InMemory(("example.org",), {ID_KEY: WANTED})
    async with looking(Clock(), home=home) as (records, dns):
        dns.publish(ID, "TXT", '"v=STSv1;" "id=1;"')
        await settled(records, ID)
        look = records.looks().of(ID)
        assert look.account == "home"
        assert isinstance(look.zone, Seen)
        assert look.zone.value == "example.org"
        assert isinstance(look.found, Seen)
        assert look.found.value == ((RecordType.TXT, WANTED),)
        assert look.servers is not None
        assert look.servers.answers == (("v=STSv1;id=1;",),)
        assert look.servers.silent == ()


async def test_account_that_does_not_answer_delays_no_other() -> None:
    """Each has a task of its own."""
    stuck = Stuck(())
    home = InMemory(("example.org",))
    async with looking(Clock(), stuck=stuck, home=home) as (records, _):
        records.begin([ID], frozenset({ID}))
        async with asyncio.timeout(10):
            while not isinstance(records.looks().of(ID).found, Seen):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert records.busy
        stuck.go.set()
        await records.settle(10)


@pytest.mark.parametrize(
    "broken",
    [InMemory((), broken="status 500"), PermanentError("token: the file is not there")],
    ids=["host", "secret"],
)
async def test_failing_account_is_reported_and_waits_longer_each_time(
    broken: InMemory | PermanentError,
) -> None:
    """It is not asked again before its pause is over."""
    clock = Clock()
    async with looking(clock, home=broken) as (records, _):
        await settled(records, ID)
        looks = records.looks()
        zones = looks.zones["home"]
        assert isinstance(zones, Unseen)
        assert zones.reason in {"status 500", "token: the file is not there"}
        assert looks.accounts["home"].failures == 1
        await settled(records, ID)
        assert records.looks().accounts["home"].failures == 1
        clock.ahead += 61
        await settled(records, ID)
        assert records.looks().accounts["home"].failures == 2


async def test_written_record_is_known_without_another_read() -> None:
    """The write is read back by the account itself."""
    clock = Clock()
    home = InMemory(("example.org",))
    async with looking(clock, home=home) as (records, dns):
        await settled(records, ID)
        dns.publish(ID, "TXT", '"v=STSv1;id=1;"')
        records.write([action()])
        assert records.looks().under_way == {ID}
        await records.settle(10)
        (ended,) = records.ended()
        assert isinstance(ended.outcomes[ID_KEY], WriteDone)
        assert outcome_of(ended, clock.now()).result is Result.DONE
        looks = records.looks()
        assert looks.under_way == frozenset()
        found = looks.of(ID).found
        assert isinstance(found, Seen)
        assert found.value == ((RecordType.TXT, WANTED),)
        assert home.sets[ID_KEY] == WANTED
        assert records.ended() == ()


async def test_write_whose_outcome_is_unknown_is_read_again() -> None:
    """It is not repeated: the next read shows whether it was done."""
    clock = Clock()
    home = Lost(("example.org",))
    async with looking(clock, home=home) as (records, _):
        await settled(records, ID)
        records.write([action()])
        await records.settle(10)
        (ended,) = records.ended()
        outcome = outcome_of(ended, clock.now())
        assert outcome.result is Result.FAILED
        assert "it is read again" in str(outcome.detail)
        assert records.looks().accounts["home"].failures == 1
        clock.ahead += 61
        await settled(records, ID)
        found = records.looks().of(ID).found
        assert isinstance(found, Seen)
        assert found.value == ((RecordType.TXT, WANTED),)
        assert home.writes == 1


async def test_record_that_changed_meanwhile_is_left_alone() -> None:
    """Somebody was faster: nothing is written, and the record is read again."""
    clock = Clock()
    home = InMemory(("example.org",))
    async with looking(clock, home=home) as (records, _):
        await settled(records, ID)
        theirs = RecordSet(("v=STSv1;id=theirs;",), 60)
        home.sets[ID_KEY] = theirs
        records.write([action()])
        await records.settle(10)
        (ended,) = records.ended()
        assert outcome_of(ended, clock.now()).result is Result.FAILED
        assert home.sets[ID_KEY] == theirs
        found = records.looks().of(ID).found
        assert isinstance(found, Seen)
        assert found.value == ((RecordType.TXT, theirs),)


async def test_nothing_is_asked_while_everything_is_right_and_recent() -> None:
    """A settled pass begins no work, and its picture is the same object."""
    clock = Clock()
    home = InMemory(("example.org",), {ID_KEY: WANTED})
    async with looking(clock, home=home) as (records, dns):
        dns.publish(ID, "TXT", '"v=STSv1;id=1;"')
        await settled(records, ID)
        before = records.looks()
        records.begin([ID], frozenset())
        assert not records.busy
        assert records.looks() is before


async def test_name_in_a_zone_of_no_account_is_not_served() -> None:
    """Its zone is still known."""
    name = "_mta-sts.example.net"
    async with looking(Clock(), home=InMemory(("example.org",))) as (records, _):
        await settled(records, ID, name)
        looks = records.looks()
        assert not looks.served(name)
        assert looks.served(ID)
        assert isinstance(looks.of(name).zone, Seen)


async def test_many_writes_of_one_zone_are_made_in_several_calls() -> None:
    """Each call has a deadline of its own; the writes of one name stay together."""
    clock = Clock()
    home = InMemory(("example.org",))
    names = [f"_mta-sts.d{number}.example.org" for number in range(BATCH + 1)]
    async with looking(clock, home=home) as (records, _):
        await settled(records, *names)
        records.write([action(name) for name in names])
        await records.settle(60)
        assert len(records.ended()) == len(names)
        assert len(home.sets) == len(names)
        assert home.writes == 2


async def test_name_that_moved_to_another_zone_is_read_again() -> None:
    """What was read in the old zone does not apply to the one that senders use now."""
    clock = Clock()
    home, other = InMemory(("example.org",), {ID_KEY: WANTED}), InMemory((ID,))
    async with looking(clock, home=home, other=other) as (records, dns):
        await settled(records, ID)
        assert records.looks().of(ID).account == "home"
        dns.serve_zone(ID)
        clock.wrong += 30_000
        await settled(records, ID)
        await settled(records, ID)
        look = records.looks().of(ID)
        assert look.account == "other"
        assert isinstance(look.found, Seen)
        assert look.found.value == ()
