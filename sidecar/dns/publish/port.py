"""What every way to a zone's records offers: reading record sets, and changing them with compare-and-set.

Rules for every editor. A change says what was seen, and is made only where that is still there. No answer is never
an empty one: what could not be read is `Unseen`. A write whose outcome is not known is `Unclear`, is not repeated
by the adapter, and must be read again by the caller. What should be published is decided elsewhere (`plan/publish`).
Nothing here imports a library of DNS or of a provider.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address
from typing import Protocol, TypeAlias

from sidecar.observed import Sight

MOST_VALUES = 100
"""Values of one record set that are kept; a set of ours has one, or a few addresses."""
LONGEST_TEXT = 4_096
"""Characters of one value."""


class RecordType(StrEnum):
    """The types that are read and written."""

    A = "A"
    AAAA = "AAAA"
    CNAME = "CNAME"
    TXT = "TXT"


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """Names a record set: a lower-case A-label name without a final dot, and a type."""

    name: str
    type: RecordType

    def __str__(self) -> str:
        return f"{self.name} {self.type}"


@dataclass(frozen=True, slots=True)
class RecordSet:
    """The values under one key, sorted, and their TTL in seconds; without values there is no such set.

    A name has no final dot, a TXT value is the text of its strings joined (ISO 8859-1), an address its usual form.
    """

    values: tuple[str, ...] = ()
    ttl: int = 0

    @property
    def absent(self) -> bool:
        return not self.values

    def same_values(self, other: "RecordSet") -> bool:
        return self.values == other.values


ABSENT = RecordSet()


def record_set(type_: RecordType, values: Iterable[str], ttl: int) -> RecordSet:
    """A record set in the one form in which sets are compared; raises ValueError for what is not of this type."""
    return RecordSet(tuple(sorted({normal(type_, value) for value in values})), ttl)


def normal(type_: RecordType, value: str) -> str:
    """A value in the one form in which values are compared; raises ValueError."""
    match type_:
        case RecordType.A | RecordType.AAAA:
            return str(ip_address(value))
        case RecordType.CNAME:
            return value.rstrip(".").lower()
        case RecordType.TXT:
            return value


# --- changes and their outcomes ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Replace:
    """Put `wanted` in the place of `seen` (ABSENT: create it)."""

    key: Key
    seen: RecordSet
    wanted: RecordSet


@dataclass(frozen=True, slots=True)
class Remove:
    """Take away what was seen."""

    key: Key
    seen: RecordSet


Change: TypeAlias = Replace | Remove


@dataclass(frozen=True, slots=True)
class Done:
    """The change is made: it was read back; `now` has the TTL that the server made of the wanted one."""

    now: RecordSet


@dataclass(frozen=True, slots=True)
class ChangedMeanwhile:
    """What is there is not what was seen; nothing was changed."""

    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The server or the host does not want it; the same again will not help."""

    reason: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Unclear:
    """Nobody knows whether it was done: read again before anything else."""

    reason: str


Outcome: TypeAlias = Done | ChangedMeanwhile | Refused | Unclear


class Publisher(Protocol):
    """One account. No method raises for what the other side does, and each has a deadline of its own."""

    async def zones(self, names: Collection[str]) -> Sight[tuple[str, ...]]:
        """The zones that this account serves; where they cannot be listed, those that `names` lie in."""

    async def read(self, zone: str, keys: Sequence[Key]) -> Mapping[Key, Sight[RecordSet]]:
        """What is at the source under each of these keys, all in this zone."""

    async def write(self, zone: str, changes: Sequence[Change]) -> Mapping[Key, Outcome]:
        """Makes each change, those of one name together, and reads it back."""


# --- which zone -------------------------------------------------------------------------------------------


def within(name: str, zone: str) -> bool:
    """Whether `name` is `zone` or lies below it."""
    return name == zone or name.endswith(f".{zone}")


def zone_among(name: str, zones: Iterable[str]) -> str | None:
    """The closest of `zones` that `name` lies in."""
    return max((zone for zone in zones if within(name, zone)), key=len, default=None)


def by_name(changes: Iterable[Change]) -> dict[str, list[Change]]:
    """The changes of each name: those that must be made together (a CNAME in the place of an address)."""
    found: dict[str, list[Change]] = {}
    for change in changes:
        found.setdefault(change.key.name, []).append(change)
    return found


def after(change: Change) -> RecordSet:
    """What should be there once the change is made."""
    return change.wanted if isinstance(change, Replace) else ABSENT
