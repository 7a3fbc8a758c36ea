"""The single changes of mailcow by which TLS reports come in, as values; what they are for is in `report_route`.

Rule for every editor: one row of mailcow each, named by the plan.
"""

from dataclasses import dataclass
from typing import TypeAlias


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
