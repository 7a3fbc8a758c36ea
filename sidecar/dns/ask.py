"""Queries to one resolver: each answer with its DNSSEC state, each failure with its cause.

Rules for every editor: only an answer of the DNS is a `DnsAnswer`, and `Seen`. NXDOMAIN and 'no such record' are
answers, empty ones; SERVFAIL, a refusal, silence and a missing resolver are not. Names are absolute: no search list.
A `DnsClient` asks each question once (an MX that 1,000 domains share, CAA of `org`) and keeps the answers for its
lifetime.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import dns.asyncresolver
import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdatatype
import dns.rdtypes.ANY.CAA
import dns.resolver
from dns.rcode import Rcode
from dns.rdatatype import RdataType

from sidecar.dns import records
from sidecar.dns.answers import NULL_MX, DnsAnswer, DnsResult, NoAnswer, Silence, Tlsa
from sidecar.dns.bounded import Bounded
from sidecar.host.tasks import apart, end_tasks
from sidecar.host.unexpected import Unexpected
from sidecar.observed import Addresses, Caa, Kind, Question, Seen, Sight, Txt, Unseen, Validated

T = TypeVar("T")
V = TypeVar("V")

CONCURRENT = 50
TRY_S = 2.0
"""Seconds before a name server is asked again."""
EDNS_PAYLOAD = 1232
"""Octets: what passes every path without fragments (DNS Flag Day 2020); a longer answer comes over TCP."""

_BOGUS_EDE = frozenset({5, 6, 7, 8, 9, 10, 11, 12})
"""DNSSEC Indeterminate to NSEC Missing (RFC 8914 §4): the resolver reports that validation failed."""
_VALIDATE = dns.flags.RD | dns.flags.AD
"""AD in a question asks for AD in the answer, without signatures (RFC 6840 §5.7)."""
_BELIEVE = dns.flags.RD | dns.flags.CD


class DnsClient:
    """Asks the resolver at this address and port (None: /etc/resolv.conf's), at most `places` questions at a time.

    `clock` gives Unix seconds; `patience_s` is how long one record type of one name is asked for.
    """

    def __init__(
        self,
        resolver: tuple[str, int] | None,
        clock: Callable[[], float],
        *,
        patience_s: float,
        unexpected: Unexpected,
        places: int = CONCURRENT,
    ) -> None:
        self._address = resolver
        self._clock = clock
        self._patience_s = patience_s
        self._unexpected = unexpected
        self._backend = Bounded()
        self._places = asyncio.Semaphore(places)
        self._resolvers: dict[int, dns.asyncresolver.Resolver] = {}
        self._asked: dict[tuple[str, RdataType], asyncio.Task[DnsResult[dns.rdata.Rdata]]] = {}

    async def txt(self, name: str) -> DnsResult[bytes]:
        """The TXT records, the strings of each joined (RFC 8461 §3.1)."""
        return records.converted(await self.records(name, RdataType.TXT), records.joined)

    async def mx(self, domain: str) -> DnsResult[str]:
        """The MX hosts, the preferred first, each once; `NULL_MX` for a null one."""
        return records.each_once(
            records.converted(await self.records(domain, RdataType.MX), records.exchange)
        )

    async def tlsa(self, host: str) -> DnsResult[Tlsa]:
        """The TLSA records for port 25 of an MX host (RFC 7672 §2.2.3)."""
        found = await self.records(f"_25._tcp.{host}", RdataType.TLSA)
        return records.each_once(records.converted(found, records.tlsa))

    async def caa(self, name: str) -> Sight[Caa]:
        """The CAA records that count: the first found from the name upwards (RFC 8659 §3)."""
        place = name
        while place:
            found = records.converted(await self.records(place, RdataType.CAA), records.caa)
            if isinstance(found, NoAnswer):
                return Unseen(found.reason, found.at)
            if found.records:
                return Seen(Caa(place, records.issue_values(found.records)), found.at)
            place = place.partition(".")[2]
        return Seen(Caa(None), self._clock())

    async def caa_at(self, name: str) -> Sight[Caa]:
        """The CAA records of that name (or of the end of its aliases) only: what acme-mailcow reads."""
        found = records.converted(await self.records(name, RdataType.CAA), records.caa)
        return _seen(found, lambda a: Caa(name if a.records else None, records.issue(a.records)))

    async def addresses(self, host: str, *, both: bool = False) -> DnsResult[str]:
        """A, then AAAA. One family is enough (unless `both`); no address is an answer only if both families were answered."""
        found = await asyncio.gather(*(self.records(host, kind) for kind in (RdataType.A, RdataType.AAAA)))
        answers = [answer for answer in found if isinstance(answer, DnsAnswer)]
        converted = [records.address(record) for answer in answers for record in answer.records]
        addresses = tuple(address for address in converted if address is not None)
        for answer in found:
            if isinstance(answer, NoAnswer) and (both or not addresses):
                return answer
        return DnsAnswer(
            addresses,
            any(answer.exists for answer in answers),
            next((answer.alias for answer in answers if answer.alias), None),
            all(answer.authentic for answer in answers),
            answers[0].at,
        )

    async def unanswered(self, host: str) -> tuple[NoAnswer, ...]:
        """The address family of `host` that the DNS did not answer for, where it answered for the other."""
        found = await self.addresses(host, both=True)
        return (found,) if isinstance(found, NoAnswer) else ()

    async def records(self, name: str, kind: RdataType) -> DnsResult[dns.rdata.Rdata]:
        """The records of this type, sorted."""
        task = self._asked.get((name, kind))
        if task is None:
            task = self._asked[name, kind] = asyncio.create_task(self._contained(name, kind))
        return await asyncio.shield(task)

    async def end(self) -> None:
        await end_tasks(*self._asked.values())

    async def _contained(self, name: str, kind: RdataType) -> DnsResult[dns.rdata.Rdata]:
        try:
            return await self._ask(name, kind)
        except Exception as error:  # noqa: BLE001 - whatever it is, only this one name is affected
            return self._no_answer(Silence.OTHER, self._unexpected.reason(name, error))

    async def _ask(self, name: str, kind: RdataType) -> DnsResult[dns.rdata.Rdata]:
        asked = f"asking for {dns.rdatatype.to_text(kind)} of {name}"
        try:
            absolute = dns.name.from_text(name)
        except (dns.exception.DNSException, ValueError) as error:
            return self._no_answer(Silence.OTHER, f"{name!r} cannot be asked of the DNS: {error}")
        try:
            resolver = self._resolver(_VALIDATE)
        except (dns.resolver.NoResolverConfiguration, OSError, ValueError) as error:
            return self._no_answer(
                Silence.OTHER, f"there is no DNS resolver to ask: {error}; set MTA_STS_RESOLVER"
            )
        try:
            async with self._places:
                return await self._resolve(resolver, absolute, kind)
        except dns.resolver.NoNameservers as error:
            # dnspython gives (server, by TCP, port, error, response) for each name server.
            answers = error.kwargs.get("errors", ())
            responses = [response for *_, response in answers if response is not None]
            if all(response.rcode() != Rcode.SERVFAIL for response in responses):
                return self._no_answer(Silence.OTHER, f"{asked}, the resolver {_said(error)}")
            if await self._is_bogus(absolute, kind, responses):
                return self._no_answer(
                    Silence.BOGUS, f"{asked}, DNSSEC validation failed: the resolver answered SERVFAIL"
                )
            return self._no_answer(Silence.SERVFAIL, f"{asked}, the resolver answered SERVFAIL")
        except dns.exception.Timeout:
            return self._no_answer(
                Silence.TIMEOUT, f"{asked}, the resolver did not answer within {self._patience_s:g} s"
            )
        except (dns.exception.DNSException, OSError, ValueError) as error:
            return self._no_answer(Silence.OTHER, f"{asked} failed: {type(error).__name__}: {error}")

    async def _resolve(
        self, resolver: dns.asyncresolver.Resolver, name: dns.name.Name, kind: RdataType
    ) -> DnsAnswer[dns.rdata.Rdata]:
        try:
            found = await resolver.resolve(
                name,
                kind,
                raise_on_no_answer=False,
                lifetime=self._patience_s,
                search=False,
                backend=self._backend,
            )
        except dns.resolver.NXDOMAIN as error:
            response: dns.message.Message = error.kwargs["responses"][error.kwargs["qnames"][0]]
            alias = records.alias(name, error.canonical_name)
            return DnsAnswer((), False, alias, records.authentic(response), self._clock())
        sorted_records = tuple(sorted(found.rrset or (), key=records.order))
        alias = records.alias(name, found.canonical_name)
        return DnsAnswer(sorted_records, True, alias, records.authentic(found.response), self._clock())

    async def _is_bogus(
        self, name: dns.name.Name, kind: RdataType, responses: Iterable[dns.message.Message]
    ) -> bool:
        """Whether validation failed: the resolver says so, or it answers with validation switched off (CD)."""
        for response in responses:
            for option in response.options:
                if isinstance(option, dns.edns.EDEOption) and option.code in _BOGUS_EDE:
                    return True
        try:
            async with self._places:
                await self._resolve(self._resolver(_BELIEVE), name, kind)
        except (dns.exception.DNSException, OSError):
            return False
        return True

    def _resolver(self, flags: int) -> dns.asyncresolver.Resolver:
        if flags not in self._resolvers:
            resolver = dns.asyncresolver.Resolver(configure=self._address is None)
            if self._address is not None:
                host, resolver.port = self._address
                resolver.nameservers = [host]
            resolver.search = []
            resolver.timeout = TRY_S
            resolver.use_edns(0, 0, EDNS_PAYLOAD)
            resolver.set_flags(flags)
            self._resolvers[flags] = resolver
        return self._resolvers[flags]

    def _no_answer(self, why: Silence, reason: str) -> NoAnswer:
        return NoAnswer(why, reason, self._clock())


class Lookups:
    """Answers the questions of the passes, concurrently, without a cache between calls.

    `resolver`, `clock` and `patience_s` as for `DnsClient`.
    """

    def __init__(
        self, resolver: tuple[str, int] | None, clock: Callable[[], float], patience_s: float = 4.0
    ) -> None:
        self._address = resolver
        self._clock = clock
        self._patience_s = patience_s
        self._unexpected = Unexpected()

    async def ask(self, questions: Iterable[Question], deadline_s: float) -> dict[Question, Sight[Any]]:
        """An answer to each question, at the latest `deadline_s` seconds from now; never raises for the DNS.

        Runs outside the caller's event loop, because decoding an answer of a stranger's zone may take long.

        The values by kind:
        - addresses: `Addresses`; A and AAAA were both answered. `cname` is the end of the chain of aliases.
        - mx: a tuple of hosts, the preferred first, lower-case and without a final dot. No MX at all and a
          null MX (RFC 7505) are both the empty tuple: neither has an MX host for a policy to cover. (Without
          one senders use the name's own addresses, RFC 5321 §5.1; with a null one they send nothing.)
          The answer is `Validated` where DNSSEC says so.
        - caa: `Caa`, the first records found from the name upwards (RFC 8659 §3). A critical property that is
          not known forbids every issuer (§4.1), which is shown as `NOBODY`.
        - caa at: `Caa`, only the records of that name (or of the end of its aliases).
        - txt: `Txt`, each record's strings joined. `cname` is the end of the chain of aliases.
        """
        wanted = list(dict.fromkeys(questions))
        return await apart(lambda: self._ask(wanted, deadline_s)) if wanted else {}

    async def _ask(self, wanted: Sequence[Question], deadline_s: float) -> dict[Question, Sight[Any]]:
        client = DnsClient(
            self._address, self._clock, patience_s=self._patience_s, unexpected=self._unexpected
        )
        tasks = {question: asyncio.create_task(self._sight(client, question)) for question in wanted}
        try:
            await asyncio.wait(tasks.values(), timeout=deadline_s)
            late = f"no answer from the DNS within {deadline_s:g} s"
            return {
                question: task.result() if task.done() else Unseen(late, self._clock())
                for question, task in tasks.items()
            }
        finally:
            await end_tasks(*tasks.values())
            await client.end()

    async def _sight(self, client: DnsClient, question: Question) -> Sight[Any]:
        name = question.name
        try:
            match question.kind:
                case Kind.ADDRESSES:
                    addresses = await client.addresses(name, both=True)
                    return _seen(addresses, lambda a: Addresses(frozenset(a.records), a.alias))
                case Kind.MX:
                    mx = await client.mx(name)
                    seen = _seen(mx, lambda a: tuple(host for host in a.records if host != NULL_MX))
                    validated = isinstance(mx, DnsAnswer) and mx.authentic
                    return Validated(seen.value, seen.at) if validated and isinstance(seen, Seen) else seen
                case Kind.CAA:
                    return await client.caa(name)
                case Kind.CAA_AT:
                    return await client.caa_at(name)
                case Kind.TXT:
                    txt = await client.txt(name)
                    return _seen(
                        txt, lambda a: Txt(tuple(sorted(r.decode("iso8859-1") for r in a.records)), a.alias)
                    )
                case Kind.ACME_LOG | Kind.CHALLENGE:
                    return Unseen("this is not a question for the DNS", self._clock())
        except Exception as error:  # noqa: BLE001 - whatever a zone holds, only this one question is affected
            return Unseen(self._unexpected.reason(question.name, error), self._clock())


def _seen(found: DnsResult[T], value: Callable[[DnsAnswer[T]], V]) -> Sight[V]:
    return Unseen(found.reason, found.at) if isinstance(found, NoAnswer) else Seen(value(found), found.at)


def _said(error: dns.resolver.NoNameservers) -> str:
    """What the name servers did, as the end of a sentence."""
    said: list[str] = []
    for *_, cause, response in error.kwargs.get("errors", ()):
        if response is None:
            said.append(f"failed ({cause!r})")
        elif response.rcode() == Rcode.NOERROR:
            said.append(f"gave an answer that cannot be used ({cause})")  # a loop of aliases, for example
        else:
            said.append(f"answered {dns.rcode.to_text(response.rcode())}")
    return " and ".join(dict.fromkeys(said)) or "gave no usable answer"
