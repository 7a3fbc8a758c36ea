"""Queries each authoritative server of a zone directly, without a resolver's cache.

Rules for every editor: only an authoritative answer (AA) is `Seen`; a refusal, a referral, silence, an answer that is
malformed or too large, and a server without an address are `Unseen`, each with its reason. A server is asked at each
of its addresses, since behind them may be different machines. Zone owners are strangers: servers, addresses, aliases,
octets and seconds are all bounded. Queries run outside the caller's event loop (`host.tasks.apart`).
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

import dns.asyncquery
import dns.exception
import dns.flags
import dns.inet
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.NS
import dns.rdtypes.ANY.SOA
import dns.rrset
from dns.rcode import Rcode
from dns.rdatatype import RdataType

from sidecar.dns import records
from sidecar.dns.answers import (
    DnsAnswer,
    DnsResult,
    NameServer,
    NoAnswer,
    ServerAddress,
    ServerRecordSet,
    Zone,
)
from sidecar.dns.ask import EDNS_PAYLOAD, DnsClient
from sidecar.dns.bounded import Bounded
from sidecar.host.tasks import apart
from sidecar.host.unexpected import Unexpected
from sidecar.observed import Seen, Sight, Unseen

MOST_SERVERS = 13
"""NS records of one zone that are used: as many as the root has."""
MOST_ADDRESSES = 4
"""Addresses of one server that are asked."""
MOST_LABELS = 16
"""Steps on the way up from a name to its zone; no mail domain has more labels."""
MOST_VALUES = 100
"""Records of one set; the sets that this program reads are smaller."""
AT_ONCE = 30
"""Addresses that are asked at the same time."""
TRIES = 2
"""A datagram may get lost once."""


@dataclass(frozen=True, slots=True)
class Asker:
    """How servers are asked. Times in seconds; `clock` gives Unix seconds."""

    resolver: tuple[str, int] | None
    """Address and port of the resolver that finds zones and servers; None: what /etc/resolv.conf names."""
    clock: Callable[[], float]
    unexpected: Unexpected
    try_s: float = 2.0
    """Seconds to wait for one address, twice by UDP and once by TCP."""
    deadline_s: float = 15.0
    """For one call of `zone_of` or `ask_each`."""
    port: int = 53
    """Where authoritative servers listen (tests on loopback use another one)."""

    async def zone_of(self, name: str) -> Sight[Zone]:
        """The zone that `name` lies in, by the nearest SOA upwards (RFC 1035 §3.3.13), and its servers by NS.

        The name itself need not exist. `Unseen` where the resolver does not answer for any name on the way.
        """
        return await apart(lambda: self._zone_of(name))

    async def ask_each(
        self, zone: Zone, name: str, type_: str
    ) -> Mapping[ServerAddress, Sight[ServerRecordSet]]:
        """The record set of this type (`TXT`) at `name` by each address of each server of the zone.

        A server without an address is in the answer with an empty one. An alias is not followed: where the name has a
        CNAME, the set is empty and `alias` its target.
        """
        ends = [
            ServerAddress(server.name, address)
            for server in zone.servers
            for address in server.addresses or ("",)
        ]
        found: dict[ServerAddress, Sight[ServerRecordSet]] = dict.fromkeys(
            ends, self._unseen(f"no answer within {self.deadline_s:g} s")
        )
        for server in zone.servers:
            if not server.addresses:
                reason = f"{server.name} cannot be asked: {server.trouble or 'it has no address'}"
                found[ServerAddress(server.name, "")] = self._unseen(reason)

        async def ask_all() -> None:
            places, backend = asyncio.Semaphore(AT_ONCE), Bounded()

            async def ask(end: ServerAddress) -> None:
                async with places:
                    found[end] = await self._ask(end, name, type_, backend)

            with suppress(TimeoutError):  # what is known by then is returned
                async with asyncio.timeout(self.deadline_s):
                    await asyncio.gather(*(ask(end) for end in found if end.address))

        await apart(ask_all)
        return found

    async def _zone_of(self, name: str) -> Sight[Zone]:
        client = DnsClient(self.resolver, self.clock, patience_s=2 * self.try_s, unexpected=self.unexpected)
        place = name.rstrip(".").lower()
        try:
            async with asyncio.timeout(self.deadline_s):
                for _ in range(MOST_LABELS):
                    found = await client.records(place, RdataType.SOA)
                    if isinstance(found, NoAnswer):
                        return Unseen(found.reason, found.at)
                    # An alias has no SOA of its own: what came with the answer is that of the target's zone.
                    soas = [r for r in found.records if isinstance(r, dns.rdtypes.ANY.SOA.SOA)]
                    if soas and found.alias is None:
                        return await _zone(client, place, soas[0])
                    place = place.partition(".")[2]
                    if not place:
                        break
            return self._unseen(f"no name above {name} has an SOA record")
        except TimeoutError:
            return self._unseen(f"the zone of {name} was not found within {self.deadline_s:g} s")
        finally:
            await client.end()

    async def _ask(
        self, end: ServerAddress, name: str, type_: str, backend: Bounded
    ) -> Sight[ServerRecordSet]:
        try:
            query = _query(name, type_)
            reply = await self._exchange(query, end.address, backend)
            if reply.rcode() in {Rcode.FORMERR, Rcode.NOTIMP, Rcode.BADVERS}:
                query = _query(name, type_)
                query.use_edns(False)  # RFC 6891 §7: a server that does not know EDNS
                reply = await self._exchange(query, end.address, backend)
            trouble = trouble_with(reply)
            if trouble is None:
                return Seen(record_set(reply), self.clock())
            reason = trouble
        except (dns.exception.Timeout, TimeoutError):
            reason = f"no answer within {self.try_s:g} s"
        except dns.exception.DNSException as error:
            reason = f"its answer cannot be read: {type(error).__name__}: {error}"
        except (EOFError, ConnectionResetError):
            reason = "it closed the connection without an answer"
        except OSError as error:
            reason = f"it cannot be reached from here: {error.strerror or error}"
        except Exception as error:  # noqa: BLE001 - whatever it sends, only this one server is affected
            return self._unseen(self.unexpected.reason(end.server, error))
        return self._unseen(f"{end.server} ({end.address}): {reason}")

    async def _exchange(
        self, query: dns.message.Message, address: str, backend: Bounded
    ) -> dns.message.Message:
        """By UDP, and by TCP where the answer was cut short. Answers with another id or question are passed over."""
        for left in reversed(range(TRIES)):
            try:
                async with asyncio.timeout(self.try_s):
                    return await dns.asyncquery.udp(
                        query,
                        address,
                        port=self.port,
                        ignore_unexpected=True,
                        ignore_errors=True,
                        raise_on_truncation=True,
                        backend=backend,
                    )
            except dns.message.Truncated:
                break
            except (dns.exception.Timeout, TimeoutError):
                if not left:
                    raise
        async with asyncio.timeout(self.try_s):
            return await dns.asyncquery.tcp(query, address, port=self.port, backend=backend)

    def _unseen(self, reason: str) -> Unseen:
        return Unseen(reason, self.clock())


async def _zone(client: DnsClient, name: str, soa: dns.rdtypes.ANY.SOA.SOA) -> Sight[Zone]:
    found = await client.records(name, RdataType.NS)
    if isinstance(found, NoAnswer):
        return Unseen(found.reason, found.at)
    hosts = sorted({records.text(r.target) for r in found.records if isinstance(r, dns.rdtypes.ANY.NS.NS)})
    if not hosts:
        return Unseen(f"the zone {name} has no NS record", found.at)
    servers = await asyncio.gather(*(_server(client, host) for host in hosts[:MOST_SERVERS]))
    left_out = max(0, len(hosts) - MOST_SERVERS)
    return Seen(Zone(name, records.text(soa.mname), tuple(servers), left_out), found.at)


async def _server(client: DnsClient, host: str) -> NameServer:
    """With its addresses; where one family was not answered for, those of the other."""
    found: list[DnsResult[str]] = [
        records.converted(answer, records.address)
        for answer in await asyncio.gather(
            client.records(host, RdataType.A), client.records(host, RdataType.AAAA)
        )
    ]
    each = [answer.records[:MOST_ADDRESSES] for answer in found if isinstance(answer, DnsAnswer)]
    # Both families get a share: a correct IPv4 address proves nothing about the IPv6 one.
    half = MOST_ADDRESSES // 2
    first = [address for addresses in each for address in addresses[:half]]
    rest = [address for addresses in each for address in addresses[half:]]
    chosen = frozenset([*first, *rest][:MOST_ADDRESSES])
    addresses = tuple(a for addresses in each for a in addresses if a in chosen)
    trouble = next((answer.reason for answer in found if isinstance(answer, NoAnswer)), None)
    if not addresses and trouble is None:
        trouble = f"{host} has neither A nor AAAA"
    return NameServer(host, addresses, trouble)


def _query(name: str, type_: str) -> dns.message.QueryMessage:
    """Without RD: only what the server itself has; it should not query other servers."""
    query = dns.message.make_query(name, type_, use_edns=0, payload=EDNS_PAYLOAD)
    query.flags = dns.flags.Flag(0)
    return query


# --- what an answer says: pure ---------------------------------------------------------------------------


def trouble_with(reply: dns.message.Message) -> str | None:
    """Why this is not an authoritative answer; None where it is one (RFC 1034 §4.3.2, RFC 2308 §2)."""
    code = reply.rcode()
    if code not in {Rcode.NOERROR, Rcode.NXDOMAIN}:
        return f"it answered {dns.rcode.to_text(code)}" + (
            ": it does not serve this zone" if code in {Rcode.REFUSED, Rcode.NOTAUTH} else ""
        )
    if reply.flags & dns.flags.AA:
        return None
    if any(rrset.rdtype == RdataType.NS for rrset in reply.authority) and not reply.answer:
        return "it refers to other servers: it does not serve this zone"
    return "its answer is not authoritative"


def record_set(reply: dns.message.Message) -> ServerRecordSet:
    """The requested set in an authoritative answer."""
    (question,) = reply.question
    found = _rrset(reply, question.name, question.rdtype)
    aliases = _rrset(reply, question.name, RdataType.CNAME) if found is None else None
    values = sorted(record.to_text() for record in list(found or ())[:MOST_VALUES])
    return ServerRecordSet(
        records.text(question.name),
        dns.rdatatype.to_text(question.rdtype),
        tuple(values),
        found.ttl if found is not None else None,
        exists=found is not None or aliases is not None or reply.rcode() != Rcode.NXDOMAIN,
        alias=records.text(next(iter(aliases)).target) if aliases else None,
    )


def _rrset(reply: dns.message.Message, name: dns.name.Name, kind: RdataType) -> dns.rrset.RRset | None:
    return reply.get_rrset(dns.message.ANSWER, name, dns.rdataclass.IN, kind)
