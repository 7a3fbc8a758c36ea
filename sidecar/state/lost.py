"""The careful values that replace rows that could not be read; pure.

Rule for every editor: a lost row never permits an action that the whole memory would not. An empty memory is safe; a
partial one is not if the remaining part would be mistaken for the whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sidecar.host.elapsed import Tally
from sidecar.observed import FILE, Domain, DomainList, Memory, Move, PolicyMemory, Restart, Span


@dataclass(frozen=True, slots=True)
class Lost:
    """A row that could not be read, and why; `key` is empty for a part that has one row."""

    part: str
    key: str
    why: str

    def __str__(self) -> str:
        return f"{self.part} {self.key} ({self.why})" if self.key else f"{self.part} ({self.why})"


def careful(memory: Memory, lost: Sequence[Lost], now: float) -> Memory:
    """`memory`, read without the rows `lost`, made careful; `now` in Unix seconds.

    For parts that are not named here, empty is the careful value: an action that needs it waits.
    """
    parts = {one.part for one in lost}
    for one in lost:
        if one.part == "moves":
            key, _, host = one.key.partition(" ")
            memory = replace(memory, moves=(*memory.moves, Move(key, host, now)))
    if "tally" in parts:
        # Marks ahead of the counter would make their waits endless.
        spans = [span for policy in memory.policies.values() for span in policy.spans]
        doubts = [] if memory.doubt is None else [memory.doubt.since]
        marks = [*memory.since.values(), *doubts, *(mark for one in spans for mark in (one.begun, one.ended))]
        memory = replace(memory, tally=Tally(max(marks, default=0.0)))
    if "born" in parts:
        memory = replace(memory, born=now)
    if "believed" in parts:
        # The domains that had a policy or were checked, so that a list that lost most of them is still doubted.
        last = {key: policy.spans[-1] for key, policy in memory.policies.items() if policy.spans}
        served = {key for key, span in last.items() if span.text and span.until is None}
        known = [
            Domain(name, active=True, backup_mx=False)
            for name in sorted((served | memory.checks.keys()) - {FILE})
        ]
        memory = replace(memory, believed=DomainList(tuple(known), ()) if known else None)
    if "restarts" in parts:
        # Assume a restart now, so that the next one waits (`RestartSettings.spacing`).
        memory = replace(memory, restarts=(Restart(now, ()),))
    if keys := [one.key for one in lost if one.part == "policies"]:
        # An unknown policy was served: senders may hold it from now on for the longest time.
        unknown = PolicyMemory(spans=(Span("", now, None, begun=memory.counted),))
        memory = replace(memory, policies={**memory.policies, **dict.fromkeys(keys, unknown)})
    return memory
