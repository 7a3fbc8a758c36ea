"""What every `Publisher` keeps to: each adapter's tests inherit `Contract` and give it a `World`."""

from collections.abc import Iterable
from typing import Protocol

from sidecar.dns.publish.port import ChangedMeanwhile, Publisher, Remove, Replace, WriteDone, WriteRefused
from sidecar.observed import Seen, Unseen
from sidecar.observed.record_sets import ABSENT, Key, RecordSet, RecordType, record_set

ZONE = "example.test"
ID = Key(f"_mta-sts.{ZONE}", RecordType.TXT)
HOST = Key(f"mta-sts.{ZONE}", RecordType.CNAME)
HOST_A = Key(f"mta-sts.{ZONE}", RecordType.A)
REPORT = Key(f"_smtp._tls.{ZONE}", RecordType.TXT)
FIRST = record_set(RecordType.TXT, ["v=STSv1;id=20260101;"], 300)
SECOND = record_set(RecordType.TXT, ["v=STSv1;id=20260202;"], 300)
REPORTS = record_set(RecordType.TXT, ["v=TLSRPTv1; rua=mailto:tls@example.test"], 300)
MAIL = record_set(RecordType.CNAME, ["mail.example.test"], 300)


class World(Protocol):
    """A zone `example.test` with a publisher for it; `floor` is the lowest TTL that is kept."""

    @property
    def publisher(self) -> Publisher:
        """What is tested."""

    @property
    def floor(self) -> int:
        """Seconds."""

    def put(self, key: Key, values: Iterable[str]) -> None:
        """A person writes this record set; without values it is removed."""

    def everything(self) -> dict[Key, tuple[str, ...]]:
        """All record sets of the four types that the zone has, as a person sees them."""


async def there(world: World, key: Key) -> RecordSet:
    """What the publisher reads."""
    found = (await world.publisher.read(ZONE, [key]))[key]
    assert isinstance(found, Seen), found
    return found.value


class Contract:
    """Inherited by the tests of each adapter, which have a fixture `world`."""

    async def test_its_zone_is_found(self, world: World) -> None:
        """By listing, or by the name."""
        found = await world.publisher.zones([f"mta-sts.{ZONE}"])
        assert isinstance(found, Seen), found
        assert ZONE in found.value

    async def test_what_is_not_there_is_absent(self, world: World) -> None:
        """Absent is an answer."""
        assert await there(world, ID) == ABSENT

    async def test_a_record_set_is_created_changed_and_removed(self, world: World) -> None:
        """And nothing else of the zone changes."""
        before = world.everything()
        for key, first, second in (
            (ID, FIRST, SECOND),
            (HOST, MAIL, record_set(HOST.type, ["mx.example.test"], 300)),
        ):
            made = await world.publisher.write(ZONE, [Replace(key, ABSENT, first)])
            assert isinstance(made[key], WriteDone), made
            assert (await there(world, key)).values == first.values
            assert (await there(world, key)).ttl == max(300, world.floor)
            changed = await world.publisher.write(ZONE, [Replace(key, await there(world, key), second)])
            assert isinstance(changed[key], WriteDone), changed
            assert world.everything() == {**before, key: second.values}
            removed = await world.publisher.write(ZONE, [Remove(key, await there(world, key))])
            assert isinstance(removed[key], WriteDone), removed
            assert world.everything() == before

    async def test_several_are_written_at_once(self, world: World) -> None:
        """Each has an outcome of its own."""
        world.put(ID, ["somebody else's"])
        made = await world.publisher.write(
            ZONE, [Replace(HOST, ABSENT, MAIL), Replace(ID, ABSENT, FIRST), Replace(REPORT, ABSENT, REPORTS)]
        )
        assert isinstance(made[HOST], WriteDone), made
        assert isinstance(made[ID], ChangedMeanwhile), made
        assert isinstance(made[REPORT], WriteDone), made
        assert world.everything()[ID] == ("somebody else's",)

    async def test_a_foreign_value_is_not_overwritten(self, world: World) -> None:
        """It appeared after the read that found nothing."""
        world.put(ID, ["v=spf1 -all"])
        made = await world.publisher.write(ZONE, [Replace(ID, ABSENT, FIRST)])
        assert isinstance(made[ID], ChangedMeanwhile), made
        assert (await there(world, ID)).values == ("v=spf1 -all",)

    async def test_a_second_cname_does_not_replace_the_first(self, world: World) -> None:
        """Servers accept it silently where no prerequisite is set."""
        world.put(HOST, ["elsewhere.example.test."])
        made = await world.publisher.write(ZONE, [Replace(HOST, ABSENT, MAIL)])
        assert isinstance(made[HOST], ChangedMeanwhile), made
        assert (await there(world, HOST)).values == ("elsewhere.example.test",)

    async def test_what_changed_meanwhile_is_neither_changed_nor_removed(self, world: World) -> None:
        """The value that was seen is not there any more."""
        await world.publisher.write(ZONE, [Replace(ID, ABSENT, FIRST)])
        seen = await there(world, ID)
        world.put(ID, ["changed by a person"])
        made = await world.publisher.write(ZONE, [Replace(ID, seen, SECOND)])
        assert isinstance(made[ID], ChangedMeanwhile), made
        made = await world.publisher.write(ZONE, [Remove(ID, seen)])
        assert isinstance(made[ID], ChangedMeanwhile), made
        assert world.everything()[ID] == ("changed by a person",)

    async def test_a_value_beside_ours_is_seen_and_kept(self, world: World) -> None:
        """A record set is compared as a whole."""
        world.put(ID, [*FIRST.values, "beside"])
        assert (await there(world, ID)).values == ("beside", *FIRST.values)
        made = await world.publisher.write(ZONE, [Replace(ID, FIRST, SECOND)])
        assert isinstance(made[ID], ChangedMeanwhile), made
        assert world.everything()[ID] == ("beside", *FIRST.values)

    async def test_a_cname_is_not_put_beside_an_address(self, world: World) -> None:
        """The host or the server refuses, or it was seen before."""
        world.put(HOST_A, ["192.0.2.7"])
        made = await world.publisher.write(ZONE, [Replace(HOST, ABSENT, MAIL)])
        assert isinstance(made[HOST], ChangedMeanwhile | WriteRefused), made
        assert world.everything()[HOST_A] == ("192.0.2.7",)
        assert HOST not in world.everything()

    async def test_a_long_text_with_odd_signs_is_read_as_it_is(self, world: World) -> None:
        """Also what people wrote there: quotes, semicolons, more than 255 octets."""
        odd = 'say "so"; ' + 300 * "x"
        world.put(ID, [odd])
        assert (await there(world, ID)).values == (odd,)
        made = await world.publisher.write(ZONE, [Replace(ID, await there(world, ID), FIRST)])
        assert isinstance(made[ID], WriteDone), made

    async def test_a_zone_that_is_not_there_is_neither_read_nor_made(self, world: World) -> None:
        """Some libraries create it."""
        key = Key("_mta-sts.missing.test", RecordType.TXT)
        found = await world.publisher.read("missing.test", [key])
        assert isinstance(found[key], Unseen), found
        made = await world.publisher.write("missing.test", [Replace(key, ABSENT, FIRST)])
        assert not isinstance(made[key], WriteDone), made
        zones = await world.publisher.zones(["missing.test"])
        assert isinstance(zones, Unseen) or "missing.test" not in zones.value

    async def test_the_same_again_is_done(self, world: World) -> None:
        """The wanted TTL can change alone."""
        await world.publisher.write(ZONE, [Replace(ID, ABSENT, FIRST)])
        seen = await there(world, ID)
        made = await world.publisher.write(ZONE, [Replace(ID, seen, RecordSet(FIRST.values, 7_200))])
        assert isinstance(made[ID], WriteDone), made
        assert (await there(world, ID)) == RecordSet(FIRST.values, 7_200)
