"""What the DNS answered, as plain values: an answer with its records, or why there was none.

Rule for every editor: nothing here asks, and nothing here knows dnspython; the pure rules import this module.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeAlias, TypeVar

T = TypeVar("T")

NULL_MX = "."
"""The exchange of a null MX (RFC 7505)."""


class Silence(StrEnum):
    """Why the DNS gave no answer."""

    SERVFAIL = "the resolver answered SERVFAIL"
    BOGUS = "DNSSEC validation failed"
    """The records exist but do not validate: validating senders see nothing (RFC 4035 §4.3)."""
    TIMEOUT = "the resolver did not answer in time"
    OTHER = "the resolver could not be used"


@dataclass(frozen=True, slots=True)
class DnsAnswer(Generic[T]):
    """An answer of the DNS: the records of the type asked for (none is an answer), at Unix second `at`."""

    records: tuple[T, ...]
    exists: bool
    """False: NXDOMAIN."""
    alias: str | None
    """Where the chain of CNAMEs ends, if there is one."""
    authentic: bool
    """The resolver validated the answer with DNSSEC (AD)."""
    at: float


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """No answer; `reason` is a sentence that names the question."""

    why: Silence
    reason: str
    at: float


DnsResult: TypeAlias = DnsAnswer[T] | NoAnswer


@dataclass(frozen=True, slots=True)
class Tlsa:
    """A TLSA record (RFC 6698 §2.1)."""

    usage: int
    selector: int
    matching: int
    data: bytes


@dataclass(frozen=True, slots=True)
class ServerRecordSet:
    """The records of one type at one name, as an authoritative server has them.

    `values` are in presentation form with absolute names (RFC 1035 §5.1), sorted: equal sets are equal values.
    """

    name: str
    type: str
    values: tuple[str, ...]
    ttl: int | None
    """Seconds; None if there is no record."""
    exists: bool = True
    """False: NXDOMAIN, there is no record of any type at this name and none below it."""
    alias: str | None = None
    """The target of the CNAME at this name, where that is what the server has."""


@dataclass(frozen=True, slots=True)
class NameServer:
    """An authoritative server of a zone: its name and its addresses, IPv4 first."""

    name: str
    addresses: tuple[str, ...]
    trouble: str | None = None
    """Why it has no addresses, or only some of them are known."""


@dataclass(frozen=True, slots=True)
class Zone:
    """The zone that a name lies in."""

    name: str
    primary: str
    """The name of the server where the zone is edited, by its SOA (RFC 1035 §3.3.13)."""
    servers: tuple[NameServer, ...]
    """By its NS records, in the order of their names; at most a bounded number."""
    left_out: int = 0
    """The number of NS records beyond that limit, which were ignored."""


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """One address of a name server. Queries go to one address: two addresses of one name may answer differently."""

    server: str
    address: str
    """Empty if the server has no usable address."""
