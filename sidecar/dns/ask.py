"""Questions to the DNS, asked all at once of one resolver, each answered by a value.

Rules for every editor: only an answer of the DNS is `Seen`. NXDOMAIN and 'no such record' are answers, empty
ones; SERVFAIL (failed DNSSEC validation, too), a refusal, silence and a missing resolver are `Unseen`. Names
are absolute: no search list. Nothing is remembered between two calls: the caller decides when to ask again.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import dns.asyncresolver
import dns.exception
import dns.name
import dns.rcode
import dns.rdata
import dns.rdatatype
import dns.rdtypes.ANY.CAA
import dns.rdtypes.ANY.MX
import dns.rdtypes.ANY.TXT
import dns.rdtypes.IN.A
import dns.rdtypes.IN.AAAA
import dns.resolver
from dns.rdatatype import RdataType

from sidecar.dns.bounded import Bounded
from sidecar.host.apart import apart
from sidecar.host.unexpected import Unexpected
from sidecar.observed import Addresses, Caa, Kind, Question, Seen, Sight, Txt, Unseen

CONCURRENT = 50
TRY_S = 2.0
"""How long a name server is given before it is asked again."""
EDNS_PAYLOAD = 1232
"""Bytes: what passes every path without fragments; a longer answer comes over TCP."""

_CRITICAL = 128
_KNOWN_PROPERTIES = frozenset({"issue", "issuewild", "iodef", "issuemail", "contactemail", "contactphone"})
NOBODY = ("",)
"""The value of `issue ";"`: no authority may issue (RFC 8659 §4.2)."""


@dataclass(frozen=True, slots=True)
class _Records:
    """An answer: the records of the asked type, where the name's aliases (CNAME) end, if it has any."""

    records: tuple[dns.rdata.Rdata, ...]
    canonical: str | None


class _NoAnswerError(Exception):
    """Why the DNS gave no answer, as a sentence."""


class Lookups:
    """Asks the resolver at this address and port; None: the one that /etc/resolv.conf names.

    `clock` gives Unix seconds; `patience_s` is how long one record type of one name is asked for.
    """

    def __init__(
        self, resolver: tuple[str, int] | None, clock: Callable[[], float], patience_s: float = 4.0
    ) -> None:
        self._address = resolver
        self._clock = clock
        self._patience_s = patience_s
        self._resolver: dns.asyncresolver.Resolver | None = None
        self._unexpected = Unexpected()

    async def ask(self, questions: Iterable[Question], deadline_s: float) -> dict[Question, Sight[Any]]:
        """An answer to each question, at the latest `deadline_s` seconds from now; never raises for the DNS.

        It is asked beside the caller's event loop, which decoding an answer of a stranger's zone might keep for long.

        The values by kind:
        - addresses: `Addresses`; A and AAAA were both answered. `cname` is the end of the chain of aliases.
        - mx: a tuple of hosts, the preferred first, lower-case and without a final dot. No MX at all and a
          null MX (RFC 7505) are both the empty tuple: neither has an MX host for a policy to cover. (Without
          one senders use the name's own addresses, RFC 5321 §5.1; with a null one they send nothing.)
        - caa: `Caa`, the first records found from the name upwards (RFC 8659 §3). A critical property that is
          not known forbids every issuer (§4.1), which is told as `NOBODY`.
        - caa at: `Caa`, only the records of that name (or of the end of its aliases).
        - txt: `Txt`, each record's strings joined. `cname` is the end of the chain of aliases.
        """
        wanted = list(dict.fromkeys(questions))
        return await apart(lambda: self._ask(wanted, deadline_s)) if wanted else {}

    async def _ask(self, wanted: Sequence[Question], deadline_s: float) -> dict[Question, Sight[Any]]:
        try:
            asking = _Asking(self._configured(), self._patience_s)
        except (dns.resolver.NoResolverConfiguration, OSError, ValueError) as error:
            reason = f"there is no DNS resolver to ask: {error}; set MTA_STS_RESOLVER"
            return {question: Unseen(reason, self._clock()) for question in wanted}
        tasks = {question: asyncio.create_task(self._sight(asking, question)) for question in wanted}
        try:
            await asyncio.wait(tasks.values(), timeout=deadline_s)
            late = f"no answer from the DNS within {deadline_s:g} s"
            return {
                question: task.result() if task.done() else Unseen(late, self._clock())
                for question, task in tasks.items()
            }
        finally:
            await asking.end(tasks.values())

    async def _sight(self, asking: "_Asking", question: Question) -> Sight[Any]:
        value: Addresses | tuple[str, ...] | Caa | Txt
        try:
            match question.kind:
                case Kind.ADDRESSES:
                    value = await _addresses(asking, question.name)
                case Kind.MX:
                    value = await _mx(asking, question.name)
                case Kind.CAA:
                    value = await _caa(asking, question.name)
                case Kind.CAA_AT:
                    value = await _caa_at(asking, question.name)
                case Kind.TXT:
                    value = await _txt(asking, question.name)
                case _:
                    return Unseen("this is no question for the DNS", self._clock())
        except _NoAnswerError as error:
            return Unseen(str(error), self._clock())
        except Exception as error:  # noqa: BLE001 - whatever a zone holds, it is the trouble of this one question
            return Unseen(self._unexpected.reason(question.name, error), self._clock())
        return Seen(value, self._clock())

    def _configured(self) -> dns.asyncresolver.Resolver:
        if self._resolver is None:
            resolver = dns.asyncresolver.Resolver(configure=self._address is None)
            if self._address is not None:
                host, resolver.port = self._address
                resolver.nameservers = [host]
            resolver.search = []
            resolver.timeout = TRY_S
            resolver.use_edns(0, 0, EDNS_PAYLOAD)
            self._resolver = resolver
        return self._resolver


@dataclass(slots=True)
class _Asking:
    """One call of `ask`: a record type of a name is asked once, whoever wants it (CAA of `org` by many)."""

    resolver: dns.asyncresolver.Resolver
    patience_s: float
    backend: Bounded = field(default_factory=Bounded)
    places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(CONCURRENT))
    under_way: dict[tuple[dns.name.Name, RdataType], asyncio.Task[_Records]] = field(default_factory=dict)

    async def records(self, name: dns.name.Name, kind: RdataType) -> _Records:
        """The records of this type; raises _NoAnswerError."""
        task = self.under_way.get((name, kind))
        if task is None:
            task = self.under_way[name, kind] = asyncio.create_task(self._records(name, kind))
        return await asyncio.shield(task)

    async def end(self, tasks: Iterable[asyncio.Task[Any]]) -> None:
        """Ends what is still under way."""
        everything = [*tasks, *self.under_way.values()]
        for task in everything:
            task.cancel()
        await asyncio.gather(*everything, return_exceptions=True)

    async def _records(self, name: dns.name.Name, kind: RdataType) -> _Records:
        async with self.places:
            try:
                answer = await self.resolver.resolve(
                    name,
                    kind,
                    raise_on_no_answer=False,
                    lifetime=self.patience_s,
                    search=False,
                    backend=self.backend,
                )
            except dns.resolver.NXDOMAIN as error:
                return _Records((), _alias(name, error.canonical_name))
            except (dns.exception.DNSException, OSError) as error:
                raise _NoAnswerError(_reason(name, kind, error, self.patience_s)) from error
        return _Records(tuple(answer.rrset or ()), _alias(name, answer.canonical_name))


async def _addresses(asking: _Asking, name: str) -> Addresses:
    absolute = _name(name)
    found = await _all(asking.records(absolute, kind) for kind in (RdataType.A, RdataType.AAAA))
    return Addresses(
        frozenset(
            record.address
            for records in found
            for record in records.records
            if isinstance(record, dns.rdtypes.IN.A.A | dns.rdtypes.IN.AAAA.AAAA)
        ),
        next((records.canonical for records in found if records.canonical), None),
    )


async def _mx(asking: _Asking, name: str) -> tuple[str, ...]:
    found = await asking.records(_name(name), RdataType.MX)
    hosts = sorted(
        (record.preference, _text(record.exchange))
        for record in found.records
        if isinstance(record, dns.rdtypes.ANY.MX.MX) and record.exchange != dns.name.root
    )
    return tuple(dict.fromkeys(host for _, host in hosts))


async def _txt(asking: _Asking, name: str) -> Txt:
    found = await asking.records(_name(name), RdataType.TXT)
    texts = [
        b"".join(record.strings).decode("iso8859-1")
        for record in found.records
        if isinstance(record, dns.rdtypes.ANY.TXT.TXT)
    ]
    return Txt(tuple(sorted(texts)), found.canonical)


async def _caa(asking: _Asking, name: str) -> Caa:
    place = _name(name)
    while place != dns.name.root:
        found = await asking.records(place, RdataType.CAA)
        records = [record for record in found.records if isinstance(record, dns.rdtypes.ANY.CAA.CAA)]
        if records:
            return Caa(_text(place), issue_values(records))
        place = place.parent()
    return Caa(None)


async def _caa_at(asking: _Asking, name: str) -> Caa:
    found = await asking.records(_name(name), RdataType.CAA)
    records = [record for record in found.records if isinstance(record, dns.rdtypes.ANY.CAA.CAA)]
    return Caa(_text(_name(name)) if records else None, _issue(records))


def _issue(records: Sequence[dns.rdtypes.ANY.CAA.CAA]) -> tuple[str, ...]:
    values = {
        record.value.decode("ascii", "replace").strip(" \t")
        for record in records
        if record.tag.decode("ascii", "replace").lower() == "issue"
    }
    return tuple(sorted(values))  # servers shuffle records, and the same ones are to be the same value


def issue_values(records: Sequence[dns.rdtypes.ANY.CAA.CAA]) -> tuple[str, ...]:
    """The values of the `issue` properties as `Caa` has them; `NOBODY` for a critical property that is unknown."""
    properties = [(record.flags, record.tag.decode("ascii", "replace").lower()) for record in records]
    if any(flags & _CRITICAL and tag not in _KNOWN_PROPERTIES for flags, tag in properties):
        return NOBODY
    return _issue(records)


async def _all(awaitables: Iterable[Coroutine[Any, Any, _Records]]) -> list[_Records]:
    return list(await asyncio.gather(*awaitables))


def _name(name: str) -> dns.name.Name:
    try:
        return dns.name.from_text(name)
    except (dns.exception.DNSException, ValueError) as error:
        raise _NoAnswerError(f"{name!r} cannot be asked of the DNS: {error}") from error


def _text(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower()


def _alias(name: dns.name.Name, canonical: dns.name.Name) -> str | None:
    return None if canonical == name else _text(canonical)


def _reason(name: dns.name.Name, kind: RdataType, error: Exception, patience_s: float) -> str:
    asked = f"asking for {dns.rdatatype.to_text(kind)} of {_text(name)}"
    if isinstance(error, dns.resolver.NoNameservers):
        return f"{asked}, the resolver {_said(error)}"
    if isinstance(error, dns.exception.Timeout):
        return f"{asked}, the resolver did not answer within {patience_s:g} s"
    return f"{asked} failed: {type(error).__name__}: {error}"


def _said(error: dns.resolver.NoNameservers) -> str:
    """What the name servers did; dnspython gives (server, by TCP, port, error, response) for each."""
    said = [
        f"answered {dns.rcode.to_text(response.rcode())}" if response is not None else f"failed ({cause!r})"
        for _, _, _, cause, response in error.kwargs.get("errors", ())
    ]
    return " and ".join(dict.fromkeys(said)) or "gave no usable answer"
