"""Which alias and transport mailcow should have for TLS reports, and the next step towards it; pure.

Rules for every editor. A step changes one row of mailcow, named by the plan. The transport comes before the alias and
goes after it: reports to an alias whose target has no route would bounce. Only the next step is planned; the next pass
sees what became of it. What a person made or switched off under these names is foreign: it is reported and never changed.
What was not seen plans nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from sidecar.observed import Observed, Seen, Sight, Unseen
from sidecar.observed.report_route import (
    INTERNAL_ADDRESS,
    INTERNAL_DOMAIN,
    AliasRow,
    RouteMemory,
    TransportRow,
    Written,
)
from sidecar.settings import Settings
from sidecar.settings.reports import Receive


@dataclass(frozen=True, slots=True)
class AddTransport:
    """Create the transport of the internal domain."""

    nexthop: str


@dataclass(frozen=True, slots=True)
class EditTransport:
    """The sidecar has another address now."""

    id: int
    nexthop: str


@dataclass(frozen=True, slots=True)
class AddAlias:
    """Create the alias that senders write to."""

    address: str


@dataclass(frozen=True, slots=True)
class DeleteAlias:
    """Remove our alias."""

    id: int
    address: str


@dataclass(frozen=True, slots=True)
class DeleteTransport:
    """Remove our transport."""

    id: int


Step: TypeAlias = AddTransport | EditTransport | AddAlias | DeleteAlias | DeleteTransport


@dataclass(frozen=True, slots=True)
class DesiredRoute:
    """How it should be: the public address of the alias, and the next hop, `[172.22.1.247]:2526`."""

    wanted: bool
    address: str
    nexthop: str


@dataclass(frozen=True, slots=True)
class Foreign:
    """Something in the way that is not ours to change, as a sentence, and what a person can do."""

    reason: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Ready:
    """All is as it should be."""


Next: TypeAlias = Step | Foreign | Ready | Unseen


def next_step(
    desired: DesiredRoute,
    aliases: Sight[tuple[AliasRow, ...]],
    transports: Sight[tuple[TransportRow, ...]],
    written: Written,
) -> Next:
    """The next step towards the desired state, or why there is none."""
    match aliases, transports:
        case Seen(found), Seen(ways):
            if desired.wanted:
                return _towards(desired, found, ways, written)
            return _away(desired, found, ways, written)
        case Unseen() as unseen, _:
            return unseen
        case _, Unseen() as unseen:
            return unseen
    raise AssertionError("a sight is seen or unseen")


def _towards(
    desired: DesiredRoute, aliases: Sequence[AliasRow], transports: Sequence[TransportRow], written: Written
) -> Next:
    way = next((one for one in transports if one.destination == INTERNAL_DOMAIN), None)
    if way is None:
        return AddTransport(desired.nexthop)
    if not way.active:
        return Foreign(
            f"the transport of {INTERNAL_DOMAIN} was switched off in mailcow",
            "switch it on there, or set reports.receive to off",
        )
    if way.nexthop != desired.nexthop:
        if way.nexthop in written.nexthops:
            return EditTransport(way.id, desired.nexthop)
        return Foreign(
            f"the transport of {INTERNAL_DOMAIN} leads to {way.nexthop}, which the sidecar did not set",
            f"delete it in mailcow's page, or let it lead to {desired.nexthop}",
        )
    alias = next((one for one in aliases if one.address == desired.address), None)
    if alias is None:
        return AddAlias(desired.address)
    if INTERNAL_ADDRESS not in alias.goto.split(","):
        return Foreign(
            f"{desired.address} is an alias of your own",
            f"add {INTERNAL_ADDRESS} to its targets and set tls_report to this address, or name another in tls_report",
        )
    if not alias.active:
        return Foreign(
            f"the alias {desired.address} was switched off in mailcow",
            "switch it on there, or set reports.receive to off",
        )
    return Ready()


def _away(
    desired: DesiredRoute, aliases: Sequence[AliasRow], transports: Sequence[TransportRow], written: Written
) -> Next:
    ours = written.aliases | {desired.address}
    for alias in aliases:
        if alias.address in ours and alias.goto == INTERNAL_ADDRESS:
            return DeleteAlias(alias.id, alias.address)
    for transport in transports:
        if transport.destination != INTERNAL_DOMAIN:
            continue
        if transport.nexthop not in written.nexthops | {desired.nexthop}:
            return Ready()  # a person's
        if used := [one.address for one in aliases if INTERNAL_DOMAIN in one.goto]:
            return Foreign(
                f"the alias {used[0]} still leads to {INTERNAL_DOMAIN}",
                "delete that alias in mailcow's page: the transport goes then",
            )
        return DeleteTransport(transport.id)
    return Ready()


def still_fits(
    step: Step, aliases: Sequence[AliasRow], transports: Sequence[TransportRow], written: Written
) -> bool:
    """Whether these rows, read just now, still allow a step that was planned from older ones."""
    match step:
        case AddTransport():
            return all(one.destination != INTERNAL_DOMAIN for one in transports)
        case AddAlias(address):
            return all(one.address != address for one in aliases)
        case EditTransport(number):
            return any(
                (one.id, one.destination) == (number, INTERNAL_DOMAIN) and one.nexthop in written.nexthops
                for one in transports
            )
        case DeleteTransport(number):
            ours = any((one.id, one.destination) == (number, INTERNAL_DOMAIN) for one in transports)
            return ours and all(INTERNAL_DOMAIN not in one.goto for one in aliases)
        case DeleteAlias(number, address):
            return any(
                (one.id, one.address, one.goto) == (number, address, INTERNAL_ADDRESS) for one in aliases
            )


def meant(way: RouteMemory, step: Step) -> RouteMemory:
    """The memory before a step is done: what it makes counts as ours from now on."""
    match step:
        case AddTransport(nexthop) | EditTransport(_, nexthop):
            return replace(way, nexthops=way.nexthops | {nexthop})
        case AddAlias(address):
            return replace(way, aliases=way.aliases | {address})
        case DeleteAlias() | DeleteTransport():
            return way


def ended(way: RouteMemory, step: Step) -> RouteMemory:
    """The memory once a step is done."""
    match step:
        case EditTransport(_, nexthop):
            return replace(way, nexthops=frozenset({nexthop}))
        case DeleteAlias(_, address):
            return replace(way, aliases=way.aliases - {address})
        case DeleteTransport():
            return replace(way, nexthops=frozenset())
        case AddTransport() | AddAlias():
            return way


def report_uri(observed: Observed, settings: Settings) -> str | None:
    """Where senders are asked to send reports (`rua`, RFC 8460 §3); None where there is no place for them (yet).

    The sidecar's own address counts once its whole route was seen in place.
    """
    if settings.tls_report is not None:
        return settings.tls_report
    ready = observed.memory.report_way.ready
    return f"mailto:{ready}" if ready and settings.receive is Receive.MAILCOW else None
