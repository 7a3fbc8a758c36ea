"""From dnspython's records to plain values, and from names to text.

Rule for every editor: a record of an unexpected class (a server may send any) is left out, never an error.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import dns.flags
import dns.message
import dns.name
import dns.rdata
import dns.rdtypes.ANY.CAA
import dns.rdtypes.ANY.MX
import dns.rdtypes.ANY.TLSA
import dns.rdtypes.ANY.TXT
import dns.rdtypes.IN.A
import dns.rdtypes.IN.AAAA

from sidecar.dns.answers import NULL_MX, DnsAnswer, DnsResult, NoAnswer, Tlsa

R = TypeVar("R")

NOBODY = ("",)
"""The value of `issue ";"`: no authority may issue (RFC 8659 §4.2)."""
_CRITICAL = 128
_KNOWN_PROPERTIES = frozenset({"issue", "issuewild", "iodef", "issuemail", "contactemail", "contactphone"})


def converted(
    found: DnsResult[dns.rdata.Rdata], convert: Callable[[dns.rdata.Rdata], R | None]
) -> DnsResult[R]:
    """The same answer with its records converted; a record that is converted to None is left out."""
    if isinstance(found, NoAnswer):
        return found
    values = (convert(record) for record in found.records)
    records = tuple(value for value in values if value is not None)
    return DnsAnswer(records, found.exists, found.alias, found.authentic, found.at)


def each_once(found: DnsResult[R]) -> DnsResult[R]:
    """The same answer without repetitions: a host with two MX records is one host."""
    if isinstance(found, NoAnswer):
        return found
    return DnsAnswer(
        tuple(dict.fromkeys(found.records)), found.exists, found.alias, found.authentic, found.at
    )


def order(record: dns.rdata.Rdata) -> tuple[int, bytes]:
    """A sort key: servers shuffle records, and the same ones must be the same value. Of MX, the preferred first.

    dnspython's own comparison of records takes seconds where names have many labels.
    """
    if isinstance(record, dns.rdtypes.ANY.MX.MX):
        return record.preference, b".".join(record.exchange.labels).lower()
    return 0, record.to_digestable()


def joined(record: dns.rdata.Rdata) -> bytes | None:
    """The strings of a TXT record as one (RFC 8461 §3.1)."""
    return b"".join(record.strings) if isinstance(record, dns.rdtypes.ANY.TXT.TXT) else None


def exchange(record: dns.rdata.Rdata) -> str | None:
    """The host of an MX record; `NULL_MX` for a null one."""
    if not isinstance(record, dns.rdtypes.ANY.MX.MX):
        return None
    return NULL_MX if record.exchange == dns.name.root else text(record.exchange)


def tlsa(record: dns.rdata.Rdata) -> Tlsa | None:
    if not isinstance(record, dns.rdtypes.ANY.TLSA.TLSA):
        return None
    return Tlsa(record.usage, record.selector, record.mtype, record.cert)


def address(record: dns.rdata.Rdata) -> str | None:
    """The address in an A or AAAA record."""
    if isinstance(record, dns.rdtypes.IN.A.A | dns.rdtypes.IN.AAAA.AAAA):
        return str(record.address)
    return None


def caa(record: dns.rdata.Rdata) -> dns.rdtypes.ANY.CAA.CAA | None:
    """The record itself if it is a CAA record."""
    return record if isinstance(record, dns.rdtypes.ANY.CAA.CAA) else None


def issue(records: Sequence[dns.rdtypes.ANY.CAA.CAA]) -> tuple[str, ...]:
    """The values of the `issue` properties, sorted."""
    values = {
        record.value.decode("ascii", "replace").strip(" \t")
        for record in records
        if record.tag.decode("ascii", "replace").lower() == "issue"
    }
    return tuple(sorted(values))


def issue_values(records: Sequence[dns.rdtypes.ANY.CAA.CAA]) -> tuple[str, ...]:
    """The same; `NOBODY` where a critical property is not known (RFC 8659 §4.1)."""
    properties = [(record.flags, record.tag.decode("ascii", "replace").lower()) for record in records]
    if any(flags & _CRITICAL and tag not in _KNOWN_PROPERTIES for flags, tag in properties):
        return NOBODY
    return issue(records)


def text(name: dns.name.Name) -> str:
    """A name in lower case and without its final dot."""
    return name.to_text(omit_final_dot=True).lower()


def alias(name: dns.name.Name, canonical: dns.name.Name) -> str | None:
    """Where the aliases of a name end; None where it has none."""
    return None if canonical == name else text(canonical)


def authentic(response: dns.message.Message) -> bool:
    """Whether the resolver says that it validated the answer (AD)."""
    return bool(response.flags & dns.flags.AD)
