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
from sidecar.observed.record_looks import NameLook, ServersSay, expected
from sidecar.observed.record_sets import Key, RecordSet, RecordType, Values, normal
from sidecar.plan.publish.names import MANAGED, keys
from sidecar.plan.publish.values import Role

MOST_SILENT = 3
"""Reasons of silent servers that are kept."""
MOST_ANSWERS = 4
NO_SERVERS = ServersSay(0.0, (), ("the servers of its zone are not known",))
AT_ONCE = 8
"""Names whose servers are asked at the same time."""
Found = Sight[tuple[tuple[RecordType, RecordSet], ...]]


async def read_names(publisher: Publisher, zone: str, names: Sequence[str]) -> Mapping[str, Found]:
    """What is at the source at each of these names of one zone."""
    seen = await publisher.read(zone, [key for name in names for key in keys(name)])
    return {name: _at_name(name, seen) for name in names}


def _at_name(name: str, seen: Mapping[Key, Sight[RecordSet]]) -> Found:
    sets: list[tuple[RecordType, RecordSet]] = []
    at = 0.0
    for key in keys(name):
        sight = seen[key]
        if isinstance(sight, Unseen):
            return sight
        at = sight.at
        if not sight.value.absent:
            sets.append((key.type, sight.value))
    return Seen(tuple(sets), at)


async def zones_of(
    asker: Asker, names: Iterable[str], known: dict[str, Zone], alike: Callable[[Zone], Zone]
) -> dict[str, Sight[str]]:
    """The zone of each name by SOA; the zones go into `known`, as `alike` keeps them."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(name: str) -> Sight[str]:
        async with places:
            found = await asker.zone_of(name)
        if isinstance(found, Unseen):
            return found
        known[found.value.name] = alike(found.value)
        return Seen(found.value.name, found.at)

    ordered = list(names)
    return dict(zip(ordered, await asyncio.gather(*(one(name) for name in ordered)), strict=True))


async def servers_say(
    asker: Asker, zones: Mapping[str, Zone], looks: Mapping[str, NameLook]
) -> dict[str, ServersSay]:
    """What every authoritative server has at each of these names."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(name: str, look: NameLook) -> tuple[str, ServersSay] | None:
        zone = zones.get(look.zone.value) if isinstance(look.zone, Seen) else None
        if zone is None:
            return None
        async with places:
            return name, said(await asker.ask_each(zone, name, str(_type(name, look))), asker.clock())

    found = await asyncio.gather(*(one(name, look) for name, look in looks.items()))
    return dict(pair for pair in found if pair is not None)


def _type(name: str, look: NameLook) -> RecordType:
    """One question says it all: an alias is answered to any type."""
    if not name.startswith("mta-sts."):
        return RecordType.TXT
    types = {type_ for type_, _ in look.found.value} if isinstance(look.found, Seen) else set()
    return RecordType.AAAA if types & set(MANAGED[Role.HOST]) == {RecordType.AAAA} else RecordType.A


def said(found: Mapping[ServerAddress, Sight[ServedSet]], now: float) -> ServersSay:
    """The answers of all servers, in the form in which values are compared.

    A server is silent where none of its addresses answered: often one of its address families cannot be reached from here.
    """
    counts: dict[Values, int] = {}
    silent: dict[str, None] = {}
    answered = {end.server for end, sight in found.items() if isinstance(sight, Seen)}
    for end, sight in found.items():
        if isinstance(sight, Unseen):
            if end.server not in answered:
                silent[sight.reason] = None
        else:
            values = _values(sight.value)
            counts[values] = counts.get(values, 0) + 1
    answers = sorted(counts, key=lambda values: (-counts[values], values))
    return ServersSay(now, tuple(answers[:MOST_ANSWERS]), tuple(silent)[:MOST_SILENT])


def _values(served: ServedSet) -> Values:
    if served.alias is not None:
        return (f"{RecordType.CNAME} {normal(RecordType.CNAME, served.alias)}",)
    return tuple(sorted({_plain(RecordType(served.type), value) for value in served.values}))


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


def up_to_date(look: NameLook) -> bool:
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
