"""Record sets of a primary server, by DNS update (RFC 2136) over TCP, signed with TSIG (RFC 8945).

Rules for every editor. No update is sent without prerequisites: 'there is none', or 'there are exactly these values'.
Nothing here may need a zone transfer, and no name beside the ones asked for is written: a key that may change three
names is enough. A name that a wildcard answers for has no record set of its own. The secret is in no text.
"""

import asyncio
import socket
from collections.abc import Callable, Collection, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

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
"""What one string of a TXT record holds (RFC 1035 §3.3)."""
AT_ONCE = 8
"""Questions that are under way at one server."""
READ_BACK_S = (0.0, 0.05, 0.1, 0.2, 0.4, 0.8)
"""Pauses before each look at a change that was accepted: BIND shows a change of a zone it signs itself a little later."""

_CHANGED = frozenset({dns.rcode.YXRRSET, dns.rcode.NXRRSET, dns.rcode.YXDOMAIN, dns.rcode.NXDOMAIN})
_KEY_TROUBLE: Mapping[type[dns.exception.DNSException], tuple[str, str]] = {
    dns.tsig.PeerBadKey: ("does not know the key", "compare key_name and algorithm, and the key's rights"),
    dns.tsig.PeerBadSignature: ("does not accept the signature", "compare the secret and the algorithm"),
    dns.tsig.PeerBadTime: ("has another time", "set the clocks of both machines by NTP"),
    dns.tsig.BadSignature: ("answered with a wrong signature", "compare the secret"),
    dns.tsig.BadKey: ("does not know the key", "compare key_name and algorithm"),
}


class _NoAnswerError(Exception):
    """Why there is no answer that can be used, as a sentence."""


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
    """A primary at `server` (address or name, port); `clock` gives Unix seconds, `patience_s` is for one answer."""

    server: tuple[str, int]
    key: TsigKey
    clock: Callable[[], float]
    only: frozenset[str] | None = None
    """The zones of the settings; None: each zone that the server answers for with authority."""
    patience_s: float = 5.0
    deadline_s: float = 60.0
    """For one call, whatever number of records it has."""
    _backend: Bounded = field(default_factory=Bounded, repr=False)

    async def zones(self, names: Collection[str]) -> Sight[tuple[str, ...]]:
        """Those that these names lie in, by the SOA that the server has for them."""
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
        """The zone of this server that `name` lies in; None: none of its zones. Raises _NoAnswerError, _RefusedError."""
        answer = await self._asked(name, dns.rdatatype.SOA)
        if not answer.flags & dns.flags.AA:
            return None
        for rrset in (*answer.answer, *answer.authority):
            if rrset.rdtype == dns.rdatatype.SOA and within(name, _plain(rrset.name)):
                return _plain(rrset.name)
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
        """An update for each name; prerequisites make it all or nothing."""
        found: dict[Key, Outcome] = {}
        try:
            async with asyncio.timeout(self.deadline_s):
                for together in by_name(changes).values():
                    found |= await self._update(zone, together)
        except TimeoutError:
            late = Unclear(f"{self._who} did not answer within {self.deadline_s:g} s")
            return {change.key: found.get(change.key, late) for change in changes}
        return found

    # --- reading ------------------------------------------------------------------------------------------

    async def _sight(self, zone: str, key: Key) -> Sight[RecordSet]:
        try:
            return Seen(await self._read(zone, key), self.clock())
        except (_NoAnswerError, _RefusedError, ValueError) as error:
            return Unseen(_text(error), self.clock())

    async def _read(self, zone: str, key: Key) -> RecordSet:
        found = await self._values(key.name, key.type)
        if found.absent:
            return ABSENT
        for wildcard in _wildcards(key.name, zone):
            if (await self._values(wildcard, key.type)).same_values(found):
                # The wildcard answers, or a set of the same values hides it: 'there is none' as a prerequisite
                # tells the two apart when something is written.
                return ABSENT
        return found

    async def _values(self, name: str, type_: RecordType) -> RecordSet:
        answer = await self._asked(name, dns.rdatatype.from_text(type_))
        code = answer.rcode()
        if code not in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
            raise _NoAnswerError(f"{self._who} answered {dns.rcode.to_text(code)} for {name} {type_}")
        if not answer.flags & dns.flags.AA:
            raise _NoAnswerError(f"{self._who} does not answer for {name} with authority: is the zone there?")
        for rrset in answer.answer:
            if rrset.rdtype == dns.rdatatype.from_text(type_) and rrset.name == _name(name):
                if len(rrset) > MOST_VALUES:
                    raise _NoAnswerError(f"{name} {type_} has more than {MOST_VALUES} values")
                return record_set(type_, map(_value, rrset), rrset.ttl)
        return ABSENT

    async def _asked(self, name: str, type_: dns.rdatatype.RdataType) -> dns.message.Message:
        query = dns.message.make_query(_name(name), type_)
        query.flags &= ~dns.flags.RD
        return await self._exchange(query)

    # --- writing ------------------------------------------------------------------------------------------

    async def _update(self, zone: str, changes: Sequence[Change]) -> dict[Key, Outcome]:
        outcome = await self._sent(zone, changes)
        if outcome is not None:
            return {change.key: outcome for change in changes}
        return {change.key: await self._read_back(zone, change) for change in changes}

    async def _sent(self, zone: str, changes: Sequence[Change]) -> Outcome | None:
        """None: accepted."""
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
            return ChangedMeanwhile(f"{said}: what is there is not what was seen before")
        if code == dns.rcode.REFUSED:
            return WriteRefused(
                said, f"let the key {self.key.name} change {_names(changes)} in the zone {zone} at the server"
            )
        if code in {dns.rcode.NOTAUTH, dns.rcode.NOTZONE}:
            return WriteRefused(said, f"name the primary server of the zone {zone} as `server`")
        if code in {dns.rcode.NOTIMP, dns.rcode.FORMERR}:
            return WriteRefused(said, f"let the server take DNS updates for the zone {zone}")
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
        return Unclear(f"{self._who} took the change of {change.key}, and does not show it yet: {why}")

    async def _exchange(self, message: dns.message.Message) -> dns.message.Message:
        """Raises _NoAnswerError, or _RefusedError where it is the key that the server does not take."""
        try:
            message.use_tsig(_keyring(self.key), keyname=_name(self.key.name))
            return await dns.asyncquery.tcp(
                message,
                await self._address(),
                timeout=self.patience_s,
                port=self.server[1],
                backend=self._backend,
            )
        except tuple(_KEY_TROUBLE) as error:
            said, remedy = next(text for kind, text in _KEY_TROUBLE.items() if isinstance(error, kind))
            raise _RefusedError(f"{self._who} {said} ({self.key.name})", remedy) from error
        except dns.exception.FormError as error:
            # So answer PowerDNS to a key that it does not take, and Knot for a zone that it does not have.
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

    async def _address(self) -> str:
        host, port = self.server
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return str(found[0][4][0])

    @property
    def _who(self) -> str:
        host, port = self.server
        return f"the DNS server {host}" if port == 53 else f"the DNS server {host}:{port}"


async def _few_at_once(all_: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """What each gives, in their order; ends all of them when one fails."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(coroutine: Coroutine[Any, Any, T]) -> T:
        async with places:
            return await coroutine

    tasks = [asyncio.ensure_future(one(coroutine)) for coroutine in all_]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


# --- messages ---------------------------------------------------------------------------------------------


def _message(zone: str, changes: Sequence[Change]) -> dns.update.UpdateMessage:
    """The update: what must be there first, then what to put in its place (RFC 2136 §2.4, §2.5)."""
    message = dns.update.UpdateMessage(_name(zone), rdclass=dns.rdataclass.IN)
    for change in changes:
        name, type_ = _name(change.key.name), dns.rdatatype.from_text(change.key.type)
        if change.seen.absent:
            message.absent(name, type_)
        else:
            # With another TTL than 0 a prerequisite is malformed (RFC 2136 §2.4.2).
            message.present(name, _rdataset(change.key.type, RecordSet(change.seen.values)))
    for owner in sorted({change.key.name for change in changes}):
        _no_hidden_neighbour(message, owner, changes)
    for change in changes:
        name, type_ = _name(change.key.name), dns.rdatatype.from_text(change.key.type)
        message.delete(name, type_)
    for change in changes:
        if isinstance(change, Replace):
            message.add(_name(change.key.name), _rdataset(change.key.type, change.wanted))
    return message


def _no_hidden_neighbour(message: dns.update.UpdateMessage, name: str, changes: Sequence[Change]) -> None:
    """A server leaves out, without a word, a CNAME beside other records, and others beside a CNAME (RFC 2136 §3.4.2.2)."""
    here = [change for change in changes if change.key.name == name]
    added = {change.key.type for change in here if isinstance(change, Replace)}
    touched = {change.key.type for change in here}
    if RecordType.CNAME in added:
        others = {RecordType.A, RecordType.AAAA, RecordType.TXT} - touched
    else:
        others = {RecordType.CNAME} - touched if added else set()
    for type_ in sorted(others):
        message.absent(_name(name), dns.rdatatype.from_text(type_))


def _rdataset(type_: RecordType, found: RecordSet) -> dns.rdataset.Rdataset:
    rdtype = dns.rdatatype.from_text(type_)
    made = dns.rdataset.Rdataset(dns.rdataclass.IN, rdtype)
    for value in found.values:
        made.add(_rdata(type_, rdtype, value), found.ttl)
    return made


def _rdata(type_: RecordType, rdtype: dns.rdatatype.RdataType, value: str) -> dns.rdata.Rdata:
    match type_:
        case RecordType.TXT:
            octets = value.encode("iso8859-1")
            parts = [octets[at : at + STRING_OCTETS] for at in range(0, len(octets), STRING_OCTETS)]
            return dns.rdtypes.ANY.TXT.TXT(dns.rdataclass.IN, rdtype, parts or [b""])
        case RecordType.CNAME:
            return dns.rdata.from_text(dns.rdataclass.IN, rdtype, f"{value}.")
        case RecordType.A | RecordType.AAAA:
            return dns.rdata.from_text(dns.rdataclass.IN, rdtype, value)


def _value(found: dns.rdata.Rdata) -> str:
    if isinstance(found, dns.rdtypes.ANY.TXT.TXT):
        text = b"".join(found.strings).decode("iso8859-1")
        if len(text) > LONGEST_TEXT:
            raise ValueError(f"a TXT record has more than {LONGEST_TEXT} characters")
        return text
    return found.to_text()


def _wildcards(name: str, zone: str) -> Iterator[str]:
    """The wildcards of the zone that could answer for `name` (RFC 4592 §2.1)."""
    while name != zone and within(name, zone):
        _, _, name = name.partition(".")
        yield f"*.{name}"


def _keyring(key: TsigKey) -> dns.tsig.Key:
    try:
        return dns.tsig.Key(_name(key.name), key.secret.get_secret_value().strip(), f"{key.algorithm}.")
    except ValueError:
        # The cause would hold the secret.
        raise _RefusedError(
            f"the secret of the key {key.name} is not base64",
            "put the key's secret there as the server has it",
        ) from None


def _name(name: str) -> dns.name.Name:
    return dns.name.from_text(f"{name}.")


def _plain(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower()


def _names(changes: Sequence[Change]) -> str:
    return ", ".join(sorted({str(change.key) for change in changes}))


def _text(error: Exception) -> str:
    return "; ".join(str(part) for part in error.args)
