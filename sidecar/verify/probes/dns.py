"""Questions to the DNS as a sender asks them: each answer with its DNSSEC state, each silence with its cause.

Rule for every editor: only an answer is `Answer`. A question is asked once in the life of an `Asking`, whoever wants
it (an MX that 1,000 domains share); what is remembered dies with it.
"""

import asyncio
from collections.abc import Callable
from typing import TypeVar

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
import dns.rdtypes.ANY.MX
import dns.rdtypes.ANY.TLSA
import dns.rdtypes.ANY.TXT
import dns.rdtypes.IN.A
import dns.rdtypes.IN.AAAA
import dns.resolver
from dns.rcode import Rcode
from dns.rdatatype import RdataType

from sidecar.dns.ask import EDNS_PAYLOAD, TRY_S, issue_values
from sidecar.dns.bounded import Bounded
from sidecar.host.unexpected import Unexpected
from sidecar.observed import Caa, Seen, Sight, Unseen
from sidecar.verify.seen import NULL_MX, Answer, Asked, NoAnswer, Silence, Tlsa

_BOGUS_EDE = frozenset({5, 6, 7, 8, 9, 10, 11, 12})
"""DNSSEC Indeterminate to NSEC Missing (RFC 8914 §4): the resolver says itself that validation failed."""
_VALIDATE = dns.flags.RD | dns.flags.AD
"""AD in a question asks for AD in the answer, without signatures (RFC 6840 §5.7)."""
_BELIEVE = dns.flags.RD | dns.flags.CD

R = TypeVar("R")


class Asking:
    """Asks the resolver at this address and port (None: /etc/resolv.conf's), at most `places` questions at a time.

    `clock` gives Unix seconds; `patience_s` is how long one question is asked.
    """

    def __init__(
        self,
        resolver: tuple[str, int] | None,
        clock: Callable[[], float],
        *,
        patience_s: float,
        places: int,
        unexpected: Unexpected,
    ) -> None:
        self._address = resolver
        self._clock = clock
        self._patience_s = patience_s
        self._unexpected = unexpected
        self._backend = Bounded()
        self._places = asyncio.Semaphore(places)
        self._resolvers: dict[int, dns.asyncresolver.Resolver] = {}
        self._asked: dict[tuple[str, RdataType], asyncio.Task[Asked[dns.rdata.Rdata]]] = {}

    async def txt(self, name: str) -> Asked[bytes]:
        """The TXT records, the strings of each joined (RFC 8461 §3.1)."""
        return _only(await self._records(name, RdataType.TXT), _joined)

    async def mx(self, domain: str) -> Asked[str]:
        """The MX hosts, the preferred first; `NULL_MX` for a null one."""
        return _only(await self._records(domain, RdataType.MX), _exchange)

    async def tlsa(self, host: str) -> Asked[Tlsa]:
        """The TLSA records for port 25 of an MX host (RFC 7672 §2.2.3)."""
        return _only(await self._records(f"_25._tcp.{host}", RdataType.TLSA), _tlsa)

    async def caa(self, name: str) -> Sight[Caa]:
        """The CAA records that count: the first found from the name upwards (RFC 8659 §3)."""
        place = name
        while place:
            found = await self._records(place, RdataType.CAA)
            if isinstance(found, NoAnswer):
                return Unseen(found.reason, found.at)
            records = [record for record in found.records if isinstance(record, dns.rdtypes.ANY.CAA.CAA)]
            if records:
                return Seen(Caa(place, issue_values(records)), found.at)
            place = place.partition(".")[2]
        return Seen(Caa(None), self._clock())

    async def addresses(self, host: str) -> Asked[str]:
        """A, then AAAA. One of both is enough; none is an answer only if both were given."""
        found = await asyncio.gather(*(self._records(host, kind) for kind in (RdataType.A, RdataType.AAAA)))
        answers = [answer for answer in found if isinstance(answer, Answer)]
        converted = [_address(record) for answer in answers for record in answer.records]
        records = tuple(address for address in converted if address is not None)
        for answer in found:
            if isinstance(answer, NoAnswer) and not records:
                return answer
        first = answers[0]
        return Answer(
            records,
            any(answer.exists for answer in answers),
            next((answer.alias for answer in answers if answer.alias), None),
            all(answer.authentic for answer in answers),
            first.at,
        )

    async def end(self) -> None:
        """Ends what is still under way."""
        for task in self._asked.values():
            task.cancel()
        await asyncio.gather(*self._asked.values(), return_exceptions=True)

    async def _records(self, name: str, kind: RdataType) -> Asked[dns.rdata.Rdata]:
        task = self._asked.get((name, kind))
        if task is None:
            task = self._asked[name, kind] = asyncio.create_task(self._contained(name, kind))
        return await asyncio.shield(task)

    async def _contained(self, name: str, kind: RdataType) -> Asked[dns.rdata.Rdata]:
        try:
            return await self._ask(name, kind)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the trouble of this one name
            return self._no_answer(Silence.OTHER, self._unexpected.reason(name, error))

    async def _ask(self, name: str, kind: RdataType) -> Asked[dns.rdata.Rdata]:
        asked = f"asking for {dns.rdatatype.to_text(kind)} of {name}"
        try:
            absolute = dns.name.from_text(name)
        except (dns.exception.DNSException, ValueError) as error:
            return self._no_answer(Silence.OTHER, f"{name!r} cannot be asked of the DNS: {error}")
        try:
            async with self._places:
                return await self._resolve(absolute, kind, _VALIDATE)
        except dns.resolver.NoNameservers as error:
            codes = {response.rcode() for response in _responses(error)}
            if Rcode.SERVFAIL not in codes:
                said = ", ".join(sorted(dns.rcode.to_text(code) for code in codes)) or str(error)
                return self._no_answer(Silence.OTHER, f"{asked}, the resolver gave no usable answer: {said}")
            if await self._is_bogus(absolute, kind, error):
                return self._no_answer(
                    Silence.BOGUS, f"{asked}, DNSSEC validation failed: the resolver answered SERVFAIL"
                )
            return self._no_answer(Silence.SERVFAIL, f"{asked}, the resolver answered SERVFAIL")
        except dns.exception.Timeout:
            return self._no_answer(
                Silence.TIMEOUT, f"{asked}, the resolver did not answer within {self._patience_s:g} s"
            )
        except dns.resolver.NoResolverConfiguration as error:
            return self._no_answer(
                Silence.OTHER, f"there is no DNS resolver to ask: {error}; set MTA_STS_RESOLVER"
            )
        except (dns.exception.DNSException, OSError, ValueError) as error:
            return self._no_answer(Silence.OTHER, f"{asked} failed: {type(error).__name__}: {error}")

    async def _resolve(self, name: dns.name.Name, kind: RdataType, flags: int) -> Answer[dns.rdata.Rdata]:
        try:
            found = await self._resolver(flags).resolve(
                name,
                kind,
                raise_on_no_answer=False,
                lifetime=self._patience_s,
                search=False,
                backend=self._backend,
            )
        except dns.resolver.NXDOMAIN as error:
            response: dns.message.Message = error.kwargs["responses"][error.kwargs["qnames"][0]]
            return Answer((), False, _alias(name, error.canonical_name), _authentic(response), self._clock())
        # Servers shuffle records, and the same ones are to be the same value.
        records = tuple(sorted(found.rrset or (), key=_order))
        alias = _alias(name, found.canonical_name)
        return Answer(records, True, alias, _authentic(found.response), self._clock())

    async def _is_bogus(
        self, name: dns.name.Name, kind: RdataType, error: dns.resolver.NoNameservers
    ) -> bool:
        """Whether it was validation that failed: the resolver says so, or answers when told not to validate (CD)."""
        for response in _responses(error):
            for option in response.options:
                if isinstance(option, dns.edns.EDEOption) and option.code in _BOGUS_EDE:
                    return True
        try:
            async with self._places:
                await self._resolve(name, kind, _BELIEVE)
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


def _only(found: Asked[dns.rdata.Rdata], convert: Callable[[dns.rdata.Rdata], R | None]) -> Asked[R]:
    """The same answer with its records converted, each said once; what is converted to None is left out."""
    if isinstance(found, NoAnswer):
        return found
    values = (convert(record) for record in found.records)
    records = tuple(dict.fromkeys(value for value in values if value is not None))
    return Answer(records, found.exists, found.alias, found.authentic, found.at)


def _order(record: dns.rdata.Rdata) -> tuple[int, bytes]:
    """Of MX hosts, the preferred first. Records compared as dnspython does it take seconds where names have many labels."""
    if isinstance(record, dns.rdtypes.ANY.MX.MX):
        return record.preference, b".".join(record.exchange.labels).lower()
    return 0, record.to_digestable()


def _joined(record: dns.rdata.Rdata) -> bytes | None:
    return b"".join(record.strings) if isinstance(record, dns.rdtypes.ANY.TXT.TXT) else None


def _exchange(record: dns.rdata.Rdata) -> str | None:
    if not isinstance(record, dns.rdtypes.ANY.MX.MX):
        return None
    return NULL_MX if record.exchange == dns.name.root else _text(record.exchange)


def _tlsa(record: dns.rdata.Rdata) -> Tlsa | None:
    if not isinstance(record, dns.rdtypes.ANY.TLSA.TLSA):
        return None
    return Tlsa(record.usage, record.selector, record.mtype, record.cert)


def _address(record: dns.rdata.Rdata) -> str | None:
    if isinstance(record, dns.rdtypes.IN.A.A | dns.rdtypes.IN.AAAA.AAAA):
        return str(record.address)
    return None


def _text(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower()


def _alias(name: dns.name.Name, canonical: dns.name.Name) -> str | None:
    return None if canonical == name else _text(canonical)


def _authentic(response: dns.message.Message) -> bool:
    return bool(response.flags & dns.flags.AD)


def _responses(error: dns.resolver.NoNameservers) -> list[dns.message.Message]:
    """What the name servers answered; dnspython gives (server, by TCP, port, error, response) for each."""
    return [response for _, _, _, _, response in error.kwargs.get("errors", ()) if response is not None]
