"""What every adapter to a zone's records offers: reading record sets, and changing them with compare-and-set.

Rules for every editor. A change names what was seen, and is made only if that is still there. A missing answer is not
an empty one: what could not be read is `Unseen`. A write with an unknown outcome is `Unclear`; the adapter does not
repeat it, and the caller must read again. What should be published is decided elsewhere (`plan/publish`). Nothing here
imports a library for DNS or for a provider.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from sidecar.observed import Sight
from sidecar.observed.record_sets import ABSENT, Key, RecordSet

# --- changes and their outcomes ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Replace:
    """Replace `seen` by `wanted`; if `seen` is ABSENT, create it."""

    key: Key
    seen: RecordSet
    wanted: RecordSet


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove what was seen."""

    key: Key
    seen: RecordSet


Change: TypeAlias = Replace | Remove


@dataclass(frozen=True, slots=True)
class WriteDone:
    """The change was made and read back; `now` has the TTL that the server chose for the wanted one."""

    now: RecordSet


@dataclass(frozen=True, slots=True)
class ChangedMeanwhile:
    """The record set is not the one that was seen; nothing was changed."""

    reason: str


@dataclass(frozen=True, slots=True)
class WriteRefused:
    """The server or the host refuses the change; repeating it will not help."""

    reason: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Unclear:
    """It is unknown whether the change was made: read again before anything else."""

    reason: str


Outcome: TypeAlias = WriteDone | ChangedMeanwhile | WriteRefused | Unclear


class Publisher(Protocol):
    """One account. No method raises for what the other side does, and each has its own deadline."""

    async def zones(self, names: Collection[str]) -> Sight[tuple[str, ...]]:
        """The zones that this account serves; where they cannot be listed, those that `names` lie in."""

    async def read(self, zone: str, keys: Sequence[Key]) -> Mapping[Key, Sight[RecordSet]]:
        """The record set at the source for each of these keys, all in this zone."""

    async def write(self, zone: str, changes: Sequence[Change]) -> Mapping[Key, Outcome]:
        """Makes the changes, those of one name together, and reads them back."""


# --- which zone -------------------------------------------------------------------------------------------


def within(name: str, zone: str) -> bool:
    """Whether `name` is `zone` or lies below it."""
    return name == zone or name.endswith(f".{zone}")


def zone_among(name: str, zones: Iterable[str]) -> str | None:
    """The closest of `zones` that `name` lies in."""
    return max((zone for zone in zones if within(name, zone)), key=len, default=None)


def by_name(changes: Iterable[Change]) -> dict[str, list[Change]]:
    """The changes of each name, which must be made together (a CNAME replaces an address)."""
    found: dict[str, list[Change]] = {}
    for change in changes:
        found.setdefault(change.key.name, []).append(change)
    return found


def after(change: Change) -> RecordSet:
    """What should be there once the change is made."""
    return change.wanted if isinstance(change, Replace) else ABSENT
