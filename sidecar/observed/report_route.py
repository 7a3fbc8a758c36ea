"""The route of TLS reports through mailcow as values: an alias, and a transport to the sidecar's SMTP port.

Rule for every editor: values only. Of a transport only what is needed is here, never the user name and the password
that another one may have.
"""

from dataclasses import dataclass

INTERNAL_DOMAIN = "tlsrpt.sidecar.internal"
"""A domain that exists nowhere but in the transport; mail for it from outside is refused by postfix."""
INTERNAL_ADDRESS = f"reports@{INTERNAL_DOMAIN}"


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
class RouteSeen:
    """The rows of mailcow that matter for the route, and the next hop: where the sidecar's SMTP port is."""

    aliases: tuple[AliasRow, ...]
    transports: tuple[TransportRow, ...]
    nexthop: str


@dataclass(frozen=True, slots=True)
class Written:
    """What the sidecar created, by its own record: addresses of aliases, and next hops of the transport."""

    aliases: frozenset[str] = frozenset()
    nexthops: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class RouteMemory:
    """What is remembered of the route; times in Unix seconds."""

    aliases: frozenset[str] = frozenset()
    nexthops: frozenset[str] = frozenset()
    """Both: what the sidecar created, or was about to create, and did not remove since."""
    nexthop: str = ""
    """Where the SMTP port of the running sidecar was last open."""
    ready: str = ""
    """The address whose whole route was last seen in place; empty where it was not."""
    announced: float = 0.0
    """When it was announced that the route will be created; 0 if nothing has to be created."""

    @property
    def written(self) -> Written:
        """What is ours."""
        return Written(self.aliases, self.nexthops)
