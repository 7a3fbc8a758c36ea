"""Record sets of a primary server, by DNS update (RFC 2136) over TCP, signed with TSIG (RFC 8945).

Rules for every editor. No update is sent without prerequisites: 'there is none', or 'there are exactly these values'.
Nothing here may need a zone transfer, and only the requested names are written: a key that may change three names is
enough. A name that a wildcard answers for has no record set of its own. The secret never appears in a text.
"""

import asyncio
import socket
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, assert_never

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdataset
import dns.rdatatype
import dns.rdtypes.ANY.TXT
import dns.tsig
import dns.update
from pydantic import SecretStr

from sidecar.dns import records
from sidecar.dns.bounded import Bounded
from sidecar.dns.publish.port import (
    Change,
    ChangedMeanwhile,
    Outcome,
    Replace,
    Unclear,
    WriteDone,
    WriteRefused,
    after,
    by_name,
    within,
)
from sidecar.host.tasks import end_tasks
from sidecar.observed import Seen, Sight, Unseen
from sidecar.observed.record_sets import (
    ABSENT,
    LONGEST_TEXT,
    MOST_VALUES,
    Key,
    RecordSet,
    RecordType,
    record_set,
)

T = TypeVar("T")
STRING_OCTETS = 255
"""The longest string in a TXT record (RFC 1035 §3.3)."""
AT_ONCE = 8
"""Concurrent queries to one server."""
READ_BACK_S = (0.0, 0.05, 0.1, 0.2, 0.4, 0.8)
"""Pauses before each read of an accepted change: in a zone that BIND signs itself, it appears a little later."""

_CHANGED = frozenset({dns.rcode.YXRRSET, dns.rcode.NXRRSET, dns.rcode.YXDOMAIN, dns.rcode.NXDOMAIN})
_KEY_TROUBLE: Mapping[type[dns.exception.DNSException], tuple[str, str]] = {
    dns.tsig.PeerBadKey: ("does not know the key", "compare key_name and algorithm, and the key's rights"),
    dns.tsig.PeerBadSignature: ("does not accept the signature", "compare the secret and the algorithm"),
    dns.tsig.PeerBadTime: ("has a different time", "synchronise the clocks of both machines with NTP"),
    dns.tsig.BadSignature: ("answered with a wrong signature", "compare the secret"),
    dns.tsig.BadKey: ("does not know the key", "compare key_name and algorithm"),
}


class _NoAnswerError(Exception):
    """Why there is no usable answer, as a sentence."""


class _RefusedError(Exception):
    """The server refuses; its arguments are the reason and the remedy."""


@dataclass(frozen=True, slots=True)
class TsigKey:
    """A TSIG key; `secret` is base64."""

    name: str
    algorithm: str
    secret: SecretStr = field(repr=False)


@dataclass(slots=True)
class Rfc2136:
    """A primary at `server` (address or name, port); `clock` gives Unix seconds, `patience_s` is the time for one answer."""

    server: tuple[str, int]
    key: TsigKey
    clock: Callable[[], float]
    only: frozenset[str] | None = None
    """The zones of the settings; None: each zone that the server is authoritative for."""
    patience_s: float = 5.0
    deadline_s: float = 60.0
    """For one call, whatever the number of records."""
    _backend: Bounded = field(default_factory=Bounded, repr=False)

    async def zones(self, names: Collection[str]) -> Sight[tuple[str, ...]]:
        """The zones that these names lie in, by the SOA that the server has for them."""
        try:
            async with asyncio.timeout(self.deadline_s):
                each = await _few_at_once([self.zone_of(name) for name in sorted(names)])
        except (_NoAnswerError, _RefusedError) as error:
            return Unseen(_text(error), self.clock())
        except TimeoutError:
            return Unseen(f"{self._who} did not answer within {self.deadline_s:g} s", self.clock())
        found = {zone for zone in each if zone is not None}
        return Seen(tuple(sorted(found if self.only is None else found & self.only)), self.clock())

    async def zone_of(self, name: str) -> str | None:
        """The zone of this server that `name` lies in, if any. Raises _NoAnswerError, _RefusedError."""
        answer = await self._query(name, dns.rdatatype.SOA)
        if not answer.flags & dns.flags.AA:
            return None
        for rrset in (*answer.answer, *answer.authority):
            if rrset.rdtype == dns.rdatatype.SOA and within(name, records.text(rrset.name)):
                return records.text(rrset.name)
        return None

    async def read(self, zone: str, keys: Sequence[Key]) -> Mapping[Key, Sight[RecordSet]]:
        """Queried without recursion, a few at a time."""
        try:
            async with asyncio.timeout(self.deadline_s):
                return dict(
                    zip(keys, await _few_at_once([self._sight(zone, key) for key in keys]), strict=True)
                )
        except TimeoutError:
            late = Unseen(f"{self._who} did not answer within {self.deadline_s:g} s", self.clock())
            return dict.fromkeys(keys, late)

    async def write(self, zone: str, changes: Sequence[Change]) -> Mapping[Key, Outcome]:
        """One update for each name; the prerequisites make it all or nothing."""
        found: dict[Key, Outcome] = {}
        try:
            async with asyncio.timeout(self.deadline_s):
                for together in by_name(changes).values():
                    outcome = await self._sent(zone, together)
                    found |= {
                        change.key: outcome or await self._read_back(zone, change) for change in together
                    }
        except TimeoutError:
            late = Unclear(f"{self._who} did not answer within {self.deadline_s:g} s")
            return {change.key: found.get(change.key, late) for change in changes}
        return found

    # --- reading ------------------------------------------------------------------------------------------

    async def _sight(self, zone: str, key: Key) -> Sight[RecordSet]:
        try:
            found = await self._values(key.name, key.type)
            place = key.name
            while not found.absent and place != zone and within(place, zone):
                place = place.partition(".")[2]
                # A wildcard that could answer for the name (RFC 4592 §2.1). Either it does, or a set of the same values
                # hides it: 'there is none' as a prerequisite tells the two apart when something is written.
                if (await self._values(f"*.{place}", key.type)).same_values(found):
                    found = ABSENT
            return Seen(found, self.clock())
        except (_NoAnswerError, _RefusedError, ValueError) as error:
            return Unseen(_text(error), self.clock())

    async def _values(self, name: str, type_: RecordType) -> RecordSet:
        answer = await self._query(name, dns.rdatatype.from_text(type_))
        code = answer.rcode()
        if code not in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
            raise _NoAnswerError(f"{self._who} answered {dns.rcode.to_text(code)} for {name} {type_}")
        if not answer.flags & dns.flags.AA:
            raise _NoAnswerError(f"{self._who} is not authoritative for {name}: does it have the zone?")
        for rrset in answer.answer:
            if rrset.rdtype == dns.rdatatype.from_text(type_) and rrset.name == _name(name):
                if len(rrset) > MOST_VALUES:
                    raise _NoAnswerError(f"{name} {type_} has more than {MOST_VALUES} values")
                if type_ is not RecordType.TXT:
                    return record_set(type_, [record.to_text() for record in rrset], rrset.ttl)
                texts = [(records.joined(record) or b"").decode("iso8859-1") for record in rrset]
                if any(len(text) > LONGEST_TEXT for text in texts):
                    raise ValueError(f"a TXT record has more than {LONGEST_TEXT} characters")
                return record_set(type_, texts, rrset.ttl)
        return ABSENT

    async def _query(self, name: str, type_: dns.rdatatype.RdataType) -> dns.message.Message:
        query = dns.message.make_query(_name(name), type_)
        query.flags &= ~dns.flags.RD
        return await self._exchange(query)

    # --- writing ------------------------------------------------------------------------------------------

    async def _sent(self, zone: str, changes: Sequence[Change]) -> Outcome | None:
        """Why the update was not accepted; None: it was, and has to be read back."""
        try:
            answer = await self._exchange(_message(zone, changes))
        except _RefusedError as error:
            return WriteRefused(str(error.args[0]), str(error.args[1]))
        except (_NoAnswerError, ValueError) as error:
            return Unclear(_text(error))
        code = answer.rcode()
        said = f"{self._who} answered {dns.rcode.to_text(code)}"
        if code == dns.rcode.NOERROR:
            return None
        if code in _CHANGED:
            return ChangedMeanwhile(f"{said}: the record set is not the one that was read before")
        if code == dns.rcode.REFUSED:
            names = ", ".join(sorted({str(change.key) for change in changes}))
            return WriteRefused(
                said, f"allow the key {self.key.name} to change {names} in the zone {zone} at the server"
            )
        if code in {dns.rcode.NOTAUTH, dns.rcode.NOTZONE}:
            return WriteRefused(said, f"set `server` to the primary server of the zone {zone}")
        if code in {dns.rcode.NOTIMP, dns.rcode.FORMERR}:
            return WriteRefused(said, f"configure the server to accept DNS updates for the zone {zone}")
        return Unclear(said)

    async def _read_back(self, zone: str, change: Change) -> Outcome:
        wanted = after(change)
        there: Sight[RecordSet] = Unseen("not read back", self.clock())
        for pause in READ_BACK_S:
            await asyncio.sleep(pause)
            there = await self._sight(zone, change.key)
            if isinstance(there, Seen) and there.value.same_values(wanted):
                return WriteDone(there.value)
        why = there.reason if isinstance(there, Unseen) else "other values are served"
        return Unclear(f"{self._who} accepted the change of {change.key}, and does not show it yet: {why}")

    async def _exchange(self, message: dns.message.Message) -> dns.message.Message:
        """The signed answer; raises _NoAnswerError, or _RefusedError where the server does not accept the key."""
        try:
            message.use_tsig(_keyring(self.key), keyname=_name(self.key.name))
            host, port = self.server
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
            return await dns.asyncquery.tcp(
                message,
                str(found[0][4][0]),
                timeout=self.patience_s,
                port=port,
                backend=self._backend,
            )
        except tuple(_KEY_TROUBLE) as error:
            said, remedy = next(text for kind, text in _KEY_TROUBLE.items() if isinstance(error, kind))
            raise _RefusedError(f"{self._who} {said} ({self.key.name})", remedy) from error
        except dns.exception.FormError as error:
            # The answer of PowerDNS to a key that it does not accept, and of Knot for a zone that it does not have.
            raise _RefusedError(
                f"{self._who} gave an answer that is not signed, or malformed: {error}",
                "compare key_name, secret and algorithm, and see whether the server has the zone",
            ) from error
        except dns.exception.Timeout as error:
            raise _NoAnswerError(f"{self._who} did not answer within {self.patience_s:g} s") from error
        except (dns.exception.DNSException, OSError, EOFError) as error:
            raise _NoAnswerError(
                f"{self._who} gave no usable answer: {type(error).__name__}: {error}"
            ) from error

    @property
    def _who(self) -> str:
        host, port = self.server
        return f"the DNS server {host}" if port == 53 else f"the DNS server {host}:{port}"


async def _few_at_once(all_: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """The results in order; cancels all when one fails."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(coroutine: Coroutine[Any, Any, T]) -> T:
        async with places:
            return await coroutine

    tasks = [asyncio.ensure_future(one(coroutine)) for coroutine in all_]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        await end_tasks(*tasks)


# --- messages ---------------------------------------------------------------------------------------------


def _message(zone: str, changes: Sequence[Change]) -> dns.update.UpdateMessage:
    """The update: first what must be there, then what replaces it (RFC 2136 §2.4, §2.5)."""
    message = dns.update.UpdateMessage(_name(zone), rdclass=dns.rdataclass.IN)
    for change in changes:
        name, type_ = _name(change.key.name), dns.rdatatype.from_text(change.key.type)
        if change.seen.absent:
            message.absent(name, type_)
        else:
            # A prerequisite with a TTL other than 0 is malformed (RFC 2136 §2.4.2).
            message.present(name, _rdataset(change.key.type, RecordSet(change.seen.values)))
    for owner, together in by_name(changes).items():
        # A server silently ignores a CNAME beside other records, and others beside a CNAME (RFC 2136 §3.4.2.2).
        added = {change.key.type for change in together if isinstance(change, Replace)}
        neighbours = {RecordType.CNAME} if added else set()
        if RecordType.CNAME in added:
            neighbours = {RecordType.A, RecordType.AAAA, RecordType.TXT}
        for neighbour in sorted(neighbours - {change.key.type for change in together}):
            message.absent(_name(owner), dns.rdatatype.from_text(neighbour))
    for change in changes:
        message.delete(_name(change.key.name), dns.rdatatype.from_text(change.key.type))
    for change in changes:
        if isinstance(change, Replace):
            message.add(_name(change.key.name), _rdataset(change.key.type, change.wanted))
    return message


def _rdataset(type_: RecordType, found: RecordSet) -> dns.rdataset.Rdataset:
    rdtype = dns.rdatatype.from_text(type_)
    made = dns.rdataset.Rdataset(dns.rdataclass.IN, rdtype)
    for value in found.values:
        match type_:
            case RecordType.TXT:
                octets = value.encode("iso8859-1")
                parts = [octets[at : at + STRING_OCTETS] for at in range(0, len(octets), STRING_OCTETS)]
                rdata: dns.rdata.Rdata = dns.rdtypes.ANY.TXT.TXT(dns.rdataclass.IN, rdtype, parts or [b""])
            case RecordType.CNAME:
                rdata = dns.rdata.from_text(dns.rdataclass.IN, rdtype, f"{value}.")
            case RecordType.A | RecordType.AAAA:
                rdata = dns.rdata.from_text(dns.rdataclass.IN, rdtype, value)
            case _:
                assert_never(type_)
        made.add(rdata, found.ttl)
    return made


def _keyring(key: TsigKey) -> dns.tsig.Key:
    try:
        return dns.tsig.Key(_name(key.name), key.secret.get_secret_value().strip(), f"{key.algorithm}.")
    except ValueError:
        # The cause would contain the secret.
        raise _RefusedError(
            f"the secret of the key {key.name} is not base64",
            "copy the key's secret as the server has it",
        ) from None


def _name(name: str) -> dns.name.Name:
    return dns.name.from_text(f"{name}.")


def _text(error: Exception) -> str:
    return "; ".join(str(part) for part in error.args)
