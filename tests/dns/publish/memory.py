"""A publisher whose zones are in memory, for tests of what stands above the port."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from sidecar.dns.publish.port import Change, ChangedMeanwhile, Outcome, Remove, WriteDone, after
from sidecar.observed import Seen, Sight, Unseen
from sidecar.observed.record_sets import ABSENT, Key, RecordSet


@dataclass
class InMemory:
    """`broken`: why nothing can be read; `asked` counts calls."""

    listed: tuple[str, ...]
    sets: dict[Key, RecordSet] = field(default_factory=dict)
    broken: str = ""
    writes: int = 0

    async def zones(self, names: Collection[str]) -> Sight[tuple[str, ...]]:
        return Unseen(self.broken, 1.0) if self.broken else Seen(self.listed, 1.0)

    async def read(self, zone: str, keys: Sequence[Key]) -> Mapping[Key, Sight[RecordSet]]:
        if self.broken:
            return dict.fromkeys(keys, Unseen(self.broken, 1.0))
        return {key: Seen(self.sets.get(key, ABSENT), 1.0) for key in keys}

    async def write(self, zone: str, changes: Sequence[Change]) -> Mapping[Key, Outcome]:
        self.writes += 1
        found: dict[Key, Outcome] = {}
        for change in changes:
            if not self.sets.get(change.key, ABSENT).same_values(change.seen):
                found[change.key] = ChangedMeanwhile("it changed")
                continue
            found[change.key] = WriteDone(after(change))
            if isinstance(change, Remove):
                self.sets.pop(change.key, None)
            else:
                self.sets[change.key] = change.wanted
        return found
