"""One account at work: lists zones, reads and writes record sets, and asks the authoritative servers.

Rule for every editor: nothing is decided here, and nothing is kept. What could not be seen is `Unseen` with its reason.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence

import dns.exception
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.TXT

from sidecar.dns.answers import ServerAddress, Zone
from sidecar.dns.answers import ServerRecordSet as ServedSet
from sidecar.dns.authoritative import Asker
from sidecar.dns.publish.port import Publisher
from sidecar.observed import Seen, Sight, Unseen
from sidecar.observed.record_sets import (
    NameObservation,
    RecordSet,
    RecordType,
    ServerAnswers,
    Values,
    expected,
    normal,
)
from sidecar.plan.publish.names import MANAGED, keys
from sidecar.plan.publish.values import Role

MOST_SILENT = 3
"""Reasons of silent servers that are kept."""
MOST_ANSWERS = 4
NO_SERVERS = ServerAnswers(0.0, (), ("the servers of its zone are not known",))
AT_ONCE = 8
"""Names whose servers are asked at the same time."""
Found = Sight[tuple[tuple[RecordType, RecordSet], ...]]


async def read_names(publisher: Publisher, zone: str, names: Sequence[str]) -> Mapping[str, Found]:
    """What is at the source at each of these names of one zone."""
    seen = await publisher.read(zone, [key for name in names for key in keys(name)])
    found: dict[str, Found] = {}
    for name in names:
        sights = {key.type: seen[key] for key in keys(name)}
        unseen = [sight for sight in sights.values() if isinstance(sight, Unseen)]
        there = {type_: sight for type_, sight in sights.items() if isinstance(sight, Seen)}
        at = max((sight.at for sight in there.values()), default=0.0)
        sets = tuple((type_, sight.value) for type_, sight in there.items() if not sight.value.absent)
        found[name] = unseen[0] if unseen else Seen(sets, at)
    return found


async def zones_of(
    asker: Asker, names: Iterable[str], known: dict[str, Zone], shared: Callable[[Zone], Zone]
) -> dict[str, Sight[str]]:
    """The zone of each name by SOA; the zones go into `known`, as `shared` returns them."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(name: str) -> Sight[str]:
        async with places:
            found = await asker.zone_of(name)
        if isinstance(found, Unseen):
            return found
        known[found.value.name] = shared(found.value)
        return Seen(found.value.name, found.at)

    ordered = list(names)
    return dict(zip(ordered, await asyncio.gather(*(one(name) for name in ordered)), strict=True))


async def ask_servers(
    asker: Asker, zones: Mapping[str, Zone], looks: Mapping[str, NameObservation]
) -> dict[str, ServerAnswers]:
    """What every authoritative server has at each of these names."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(name: str, look: NameObservation) -> tuple[str, ServerAnswers] | None:
        zone = zones.get(look.zone.value) if isinstance(look.zone, Seen) else None
        if zone is None:
            return None
        # One question is enough: an alias is the answer to a question of any type.
        type_ = RecordType.TXT
        if name.startswith("mta-sts."):
            there = {type_ for type_, _ in look.found.value} if isinstance(look.found, Seen) else set()
            only_ipv6 = there & set(MANAGED[Role.HOST]) == {RecordType.AAAA}
            type_ = RecordType.AAAA if only_ipv6 else RecordType.A
        async with places:
            return name, summary(await asker.ask_each(zone, name, str(type_)), asker.clock())

    found = await asyncio.gather(*(one(name, look) for name, look in looks.items()))
    return dict(pair for pair in found if pair is not None)


def summary(found: Mapping[ServerAddress, Sight[ServedSet]], now: float) -> ServerAnswers:
    """The answers of all servers, in the form in which values are compared.

    A server is silent if none of its addresses answered: often one of its address families cannot be reached from here.
    """
    counts: dict[Values, int] = {}
    silent: dict[str, None] = {}
    answered = {end.server for end, sight in found.items() if isinstance(sight, Seen)}
    for end, sight in found.items():
        if isinstance(sight, Unseen):
            if end.server not in answered:
                silent[sight.reason] = None
            continue
        served = sight.value
        if served.alias is not None:
            values: Values = (f"{RecordType.CNAME} {normal(RecordType.CNAME, served.alias)}",)
        else:
            values = tuple(sorted({_plain(RecordType(served.type), value) for value in served.values}))
        counts[values] = counts.get(values, 0) + 1
    answers = sorted(counts, key=lambda values: (-counts[values], values))
    return ServerAnswers(now, tuple(answers[:MOST_ANSWERS]), tuple(silent)[:MOST_SILENT])


def _plain(type_: RecordType, value: str) -> str:
    """A value of a zone file as values are compared; one that cannot be read stays as it is."""
    if type_ is not RecordType.TXT:
        return normal(type_, value)
    try:
        data = dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.TXT, value)
    except dns.exception.DNSException:
        return value
    texts = data.strings if isinstance(data, dns.rdtypes.ANY.TXT.TXT) else ()
    return b"".join(texts).decode("iso8859-1")


def up_to_date(look: NameObservation) -> bool:
    """Whether all servers have what is at the source."""
    say = look.servers
    return say is not None and not say.silent and say.answers == (expected(look),)


def account_of(zone: Sight[str], listed: Mapping[str, Sight[tuple[str, ...]]]) -> str | None:
    """The first account that serves this zone."""
    if isinstance(zone, Unseen):
        return None
    for account, zones in listed.items():
        if isinstance(zones, Seen) and zone.value in zones.value:
            return account
    return None
