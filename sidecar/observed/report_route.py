"""The way of TLS reports through mailcow as values: an alias, and a transport to the sidecar's SMTP port.

Rule for every editor: values only. Of a transport only what is needed is here, never the user name and the password
that another one may have.
"""

from dataclasses import dataclass

INTERNAL_DOMAIN = "tlsrpt.sidecar.internal"
"""A domain that exists nowhere but in the transport; mail for it from outside is refused by postfix."""
INTERNAL_ADDRESS = f"reports@{INTERNAL_DOMAIN}"
LOCAL_PART = "tls-reports"


@dataclass(frozen=True, slots=True)
class AliasRow:
    """An alias of mailcow; `goto` holds its targets, separated by commas."""

    id: int
    address: str
    goto: str
    active: bool


@dataclass(frozen=True, slots=True)
class TransportRow:
    """A transport of mailcow."""

    id: int
    destination: str
    nexthop: str
    active: bool


@dataclass(frozen=True, slots=True)
class Written:
    """What the sidecar made itself, by its record: addresses of aliases, and next hops of the transport."""

    aliases: frozenset[str] = frozenset()
    nexthops: frozenset[str] = frozenset()
