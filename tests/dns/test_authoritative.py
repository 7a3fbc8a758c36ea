"""What each authoritative server says, and what counts as not knowing."""

import asyncio
from collections.abc import Mapping

import dns.flags
import dns.message
import dns.rrset
import pytest
from dns.rcode import Rcode

from sidecar.dns.answers import NameServer, ServerAddress, ServerRecordSet, Zone
from sidecar.dns.ask import EDNS_PAYLOAD
from sidecar.dns.authoritative import MOST_ADDRESSES, MOST_SERVERS, Asker
from sidecar.host.unexpected import Unexpected
from sidecar.observed import Seen, Sight, Unseen
from tests.dns.authorities import Authority, Odd, authorities, lame, silent
from tests.dns.faulty import Reply, Silence, serving

NOW = 1_700_000_000.0
SHORT_S = 0.3
FIRST, SECOND, THIRD = "127.0.0.1", "127.0.0.2", "127.0.0.3"
NAME = "_mta-sts.d.test"
TABLE: Mapping[tuple[str, str], Reply] = {(f"{NAME}.", "TXT"): ['"v=STSv1; " "id=1;"']}
NOWHERE = "255.255.255.255"
"""Takes no datagram, and the system says so at once."""

Table = dict[tuple[str, str], Reply]

SOA = "NS1.h.test. hostmaster.h.test. 1 3600 600 86400 60"


def world() -> Table:
    """What a resolver says: the zone d.test with two servers."""
    return {
        ("_mta-sts.d.test.", "SOA"): [],
        ("d.test.", "SOA"): [SOA],
        ("test.", "SOA"): ["ns.test. root.test. 1 1 1 1 1"],
        ("d.test.", "NS"): ["ns2.h.test.", "NS1.h.test."],
        ("ns1.h.test.", "A"): ["192.0.2.1"],
        ("ns1.h.test.", "AAAA"): ["2001:db8::1"],
        ("ns2.h.test.", "A"): ["192.0.2.2"],
        ("ns2.h.test.", "AAAA"): [],
    }


def asker(resolver: tuple[str, int] | None = None, port: int = 53, deadline_s: float = 5.0) -> Asker:
    """One that does not wait long."""
    return Asker(resolver, lambda: NOW, Unexpected(), try_s=SHORT_S, deadline_s=deadline_s, port=port)


async def zone_of(name: str, table: Table) -> Sight[Zone]:
    """The zone of a name where a resolver has this table."""
    async with serving(table) as (_, resolver):
        return await asker(resolver).zone_of(name)


def at(*addresses: str) -> Zone:
    """A zone with one server at each of these addresses."""
    servers = tuple(NameServer(f"ns{number}.test", (a,)) for number, a in enumerate(addresses, 1))
    return Zone("d.test", "ns1.test", servers)


async def one(server: Authority, name: str = NAME, type_: str = "TXT") -> Sight[ServerRecordSet]:
    """What is seen at a single server."""
    async with authorities({FIRST: server}) as port:
        found = await asker(port=port).ask_each(at(FIRST), name, type_)
    (sight,) = found.values()
    return sight


# --- zones -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["_mta-sts.d.test", "d.test", "mta-sts.D.test."])
async def test_zone_is_found_by_the_nearest_soa(name: str) -> None:
    """Whether or not the name itself exists; with its servers in a fixed order, IPv4 first."""
    assert await zone_of(name, world()) == Seen(
        Zone(
            "d.test",
            "ns1.h.test",
            (
                NameServer("ns1.h.test", ("192.0.2.1", "2001:db8::1")),
                NameServer("ns2.h.test", ("192.0.2.2",)),
            ),
        ),
        NOW,
    )


async def test_alias_does_not_lead_into_another_zone() -> None:
    """The SOA that comes with a CNAME is that of the target's zone."""
    table = world()
    table["mta-sts.d.test.", "CNAME"] = ["h.test."]
    table["h.test.", "SOA"] = [SOA]
    table["h.test.", "NS"] = ["ns.other.test."]
    found = await zone_of("mta-sts.d.test", table)
    assert isinstance(found, Seen)
    assert found.value.name == "d.test"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        # a name on the way that nobody answers for may be a zone of its own
        ({("_mta-sts.d.test.", "SOA"): Rcode.SERVFAIL}, "SOA of _mta-sts.d.test"),
        ({("d.test.", "NS"): Rcode.SERVFAIL}, "NS of d.test"),
        ({("d.test.", "NS"): []}, "the zone d.test has no NS record"),
        ({("d.test.", "SOA"): [], ("test.", "SOA"): []}, "no name above _mta-sts.d.test has an SOA record"),
        # a loop of aliases ends
        (
            {("_mta-sts.d.test.", "CNAME"): ["b.test."], ("b.test.", "CNAME"): ["_mta-sts.d.test."]},
            "SOA of _mta-sts.d.test, the resolver gave an answer that cannot be used",
        ),
        ({("_mta-sts.d.test.", "SOA"): Silence.FOREVER}, "did not answer within 0.6 s"),
    ],
)
async def test_zone_that_nobody_tells_is_unseen(changes: Table, words: str) -> None:
    """With the question that was not answered."""
    found = await zone_of(NAME, {**world(), **changes})
    assert isinstance(found, Unseen)
    assert words in found.reason
    assert found.at == NOW


async def test_strange_names_are_unseen() -> None:
    """No text from outside raises."""
    for name in ("", ".", "a..b", "x" * 300):
        assert isinstance(await zone_of(name, world()), Unseen), name


async def test_search_for_a_zone_ends_in_time() -> None:
    """Each step may be slow; all of them together have a deadline."""
    async with serving({("d.test.", "SOA"): Silence.FOREVER}) as (_, resolver):
        found = await asker(resolver, deadline_s=0.1).zone_of("d.test")
    assert found == Unseen("the zone of d.test was not found within 0.1 s", NOW)


async def test_server_without_addresses_says_so() -> None:
    """One that the DNS has no address for, one that is not answered for, and one of which a family is not."""
    table = world()
    table["d.test.", "NS"] = ["none.test.", "unknown.test.", "half.test."]
    table["none.test.", "A"] = []
    table["unknown.test.", "A"] = table["unknown.test.", "AAAA"] = Rcode.SERVFAIL
    table["half.test.", "A"] = ["192.0.2.9"]
    table["half.test.", "AAAA"] = Rcode.SERVFAIL
    found = await zone_of(NAME, table)
    assert isinstance(found, Seen)
    servfail = "asking for {} of {}.test, the resolver answered SERVFAIL"
    assert found.value.servers == (
        NameServer("half.test", ("192.0.2.9",), servfail.format("AAAA", "half")),
        NameServer("none.test", (), "none.test has neither A nor AAAA"),
        NameServer("unknown.test", (), servfail.format("A", "unknown")),
    )


async def test_number_of_servers_and_addresses_is_bounded() -> None:
    """A zone's owner may name thousands; both families have their share, and what is left out is counted."""
    table = world()
    table["d.test.", "NS"] = [f"n{number:02}.test." for number in range(MOST_SERVERS + 7)]
    table["n00.test.", "A"] = [f"192.0.2.{number}" for number in range(10, 30)]
    table["n00.test.", "AAAA"] = [f"2001:db8::{number}" for number in range(10, 30)]
    found = await zone_of(NAME, table)
    assert isinstance(found, Seen)
    assert (len(found.value.servers), found.value.left_out) == (MOST_SERVERS, 7)
    addresses = found.value.servers[0].addresses
    assert [":" in address for address in addresses] == [False, False, True, True]
    assert len(addresses) == MOST_ADDRESSES


# --- each server -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "kind", "expected"),
    [
        (TABLE, "TXT", ServerRecordSet(NAME, "TXT", ('"v=STSv1; " "id=1;"',), 60)),
        # sorted: servers shuffle
        ({(f"{NAME}.", "TXT"): ['"b"', '"a"']}, "TXT", ServerRecordSet(NAME, "TXT", ('"a"', '"b"'), 60)),
        # the name exists, and has no such record
        ({(f"{NAME}.", "TXT"): []}, "TXT", ServerRecordSet(NAME, "TXT", (), None)),
        ({}, "TXT", ServerRecordSet(NAME, "TXT", (), None, exists=False)),
        # an alias is reported and not followed, nor is a loop
        (
            {(f"{NAME}.", "CNAME"): ["Hosted.test."], ("hosted.test.", "TXT"): ['"x"']},
            "TXT",
            ServerRecordSet(NAME, "TXT", (), None, alias="hosted.test"),
        ),
        ({(f"{NAME}.", "CNAME"): [f"{NAME}."]}, "TXT", ServerRecordSet(NAME, "TXT", (), None, alias=NAME)),
        (
            {(f"{NAME}.", "CNAME"): ["hosted.test."]},
            "CNAME",
            ServerRecordSet(NAME, "CNAME", ("hosted.test.",), 60),
        ),
    ],
)
async def test_authoritative_answer_is_seen(table: Table, kind: str, expected: ServerRecordSet) -> None:
    """As the records of that name alone."""
    assert await one(Authority(table), type_=kind) == Seen(expected, NOW)


@pytest.mark.parametrize(
    ("server", "words"),
    [
        (silent(), "no answer within 0.3 s"),
        (lame(), "it answered REFUSED: it does not serve this zone"),
        (Authority({(f"{NAME}.", "TXT"): Rcode.SERVFAIL}), "it answered SERVFAIL"),
        (Authority(TABLE, odd=Odd.REFERRAL), "it refers to other servers"),
        (Authority(TABLE, odd=Odd.NOT_AUTHORITATIVE), "its answer is not authoritative"),
        (Authority(TABLE, odd=Odd.WRONG_ID), "no answer within 0.3 s"),
        (Authority(TABLE, odd=Odd.WRONG_QUESTION), "no answer within 0.3 s"),
        (Authority(TABLE, odd=Odd.GARBAGE), "no answer within 0.3 s"),
        (Authority(TABLE, odd=Odd.WRONG_ID_BY_TCP), "its answer cannot be read: BadResponse"),
        (Authority(TABLE, odd=Odd.HUGE_DATAGRAM), "has more than 16384 octets"),
        (Authority(TABLE, odd=Odd.HUGE_BY_TCP), "has more than 16384 octets"),
        (Authority(TABLE, odd=Odd.CLOSES), "it closed the connection without an answer"),
        (Authority(TABLE, odd=Odd.HANGS_BY_TCP), "no answer within 0.3 s"),
    ],
    ids=lambda value: value.odd.name if isinstance(value, Authority) and value.odd else None,
)
async def test_what_is_not_an_authoritative_answer_is_unseen(server: Authority, words: str) -> None:
    """With the server, its address and the reason."""
    found = await one(server)
    assert isinstance(found, Unseen)
    assert f"ns1.test ({FIRST}): " in found.reason
    assert words in found.reason


@pytest.mark.parametrize("odd", [Odd.FORGED_FIRST, Odd.FAILS_ONCE, Odd.NO_EDNS])
async def test_answer_is_seen_in_spite_of_a_disturbance(odd: Odd) -> None:
    """A forged answer before the right one, a lost datagram, a server without EDNS."""
    found = await one(Authority(TABLE, odd=odd))
    assert isinstance(found, Seen)
    assert found.value.values == ('"v=STSv1; " "id=1;"',)


async def test_truncated_answer_comes_by_tcp() -> None:
    """Whole."""
    texts = [f'"{"x" * 200}{number}"' for number in range(9)]
    server = Authority({(f"{NAME}.", "TXT"): texts})
    found = await one(server)
    assert isinstance(found, Seen)
    assert found.value.values == tuple(texts)
    assert [transport for *_, transport in server.asked] == ["udp", "tcp"]


async def test_question_asks_for_no_recursion_and_for_short_datagrams() -> None:
    """An authoritative server answers for itself; signatures (DO) are not wanted."""
    server = Authority(TABLE)
    async with authorities({FIRST: server}) as port:
        await asker(port=port).ask_each(at(FIRST), NAME, "TXT")
    assert server.flags == [dns.flags.Flag(0)]
    assert server.edns == [(0, EDNS_PAYLOAD)]


async def test_each_server_is_asked_directly_and_a_silent_one_delays_no_other() -> None:
    """One has the new record, one the old one, one is silent, one has no address, one cannot be reached."""
    new, old = ('"new"',), ('"old"',)
    servers = {
        FIRST: Authority({(f"{NAME}.", "TXT"): new}),
        SECOND: Authority({(f"{NAME}.", "TXT"): old}),
        THIRD: silent(),
    }
    zone = Zone(
        "d.test",
        "a.test",
        (
            NameServer("a.test", (FIRST, NOWHERE)),
            NameServer("b.test", (SECOND,)),
            NameServer("c.test", (THIRD,)),
            NameServer("d.test", (), "d.test has neither A nor AAAA"),
        ),
    )
    async with authorities(servers) as port:
        found = await asker(port=port).ask_each(zone, NAME, "TXT")
    assert found[ServerAddress("a.test", FIRST)] == Seen(ServerRecordSet(NAME, "TXT", new, 60), NOW)
    assert found[ServerAddress("b.test", SECOND)] == Seen(ServerRecordSet(NAME, "TXT", old, 60), NOW)
    assert found[ServerAddress("c.test", THIRD)] == Unseen(f"c.test ({THIRD}): no answer within 0.3 s", NOW)
    assert found[ServerAddress("d.test", "")] == Unseen(
        "d.test cannot be asked: d.test has neither A nor AAAA", NOW
    )
    no_way = found[ServerAddress("a.test", NOWHERE)]
    assert isinstance(no_way, Unseen)
    assert no_way.reason.startswith(f"a.test ({NOWHERE}): it cannot be reached from here: ")
    assert len(found) == 5


async def test_deadline_leaves_what_was_answered_and_ends_the_rest() -> None:
    """No query goes on, and no answer is lost."""
    servers = {FIRST: Authority(TABLE), SECOND: silent()}
    async with authorities(servers) as port:
        found = await asker(port=port, deadline_s=0.15).ask_each(at(FIRST, SECOND), NAME, "TXT")
        assert asyncio.all_tasks() == {asyncio.current_task()}
    assert isinstance(found[ServerAddress("ns1.test", FIRST)], Seen)
    assert found[ServerAddress("ns2.test", SECOND)] == Unseen("no answer within 0.15 s", NOW)


async def test_record_of_another_name_is_not_taken() -> None:
    """A server may put what it likes into its answer."""

    class More(Authority):
        def reply(self, wire: bytes, transport: str) -> dns.message.Message | None:
            answer = super().reply(wire, transport)
            assert answer is not None
            answer.answer.append(dns.rrset.from_text("other.test.", 60, "IN", "TXT", '"no"'))
            return answer

    assert await one(More({(f"{NAME}.", "TXT"): []})) == Seen(ServerRecordSet(NAME, "TXT", (), None), NOW)


@pytest.mark.parametrize(("name", "type_"), [("a..b", "TXT"), ("x" * 64 + ".test", "TXT"), (NAME, "NO-TYPE")])
async def test_question_that_cannot_be_asked_is_unseen(name: str, type_: str) -> None:
    """Never an exception, and never an empty answer."""
    assert isinstance(await one(Authority(TABLE), name, type_), Unseen)
