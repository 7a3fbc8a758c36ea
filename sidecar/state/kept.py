"""How much of the memory is kept: it grows with the number of domains, never with time; pure.

The ledger applies this to the memory itself, so that the process holds no more than the disk.

Rule for every editor: facts that a decision still needs are kept at any age: the last completed write,
the span that binds senders longest, the last event of each entry. There is no clock here: age is relative
to the newest of a kind, or counted (`elapsed`), so that setting the clock makes nothing old.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from sidecar.formats.mtasts_policy import Mode, understood
from sidecar.observed import FILE, ConfEntry, ConfEvent, Memory, PolicyMemory, Restart, Span, Write
from sidecar.observed.memory import ended_ago
from sidecar.observed.record_sets import MOST_PUBLISHED, Entry

T = TypeVar("T")

DAY_S = 86_400

MOST_WRITES = 20
MOST_SPANS = 50
SPANS_AGE_S = 400 * DAY_S
"""Longer than the longest max_age that RFC 8461 §3.2 allows: no sender holds a policy that ended before."""
RECENT_CONF = 200
LEAST_RESTARTS = 50
"""A minimum, so that one restart dated by a clock far ahead does not make all others old."""
RESTARTS_AGE_S = 30 * DAY_S


def _picked(items: tuple[T, ...], keep: Callable[[int, T], bool]) -> tuple[T, ...]:
    """`items` in their order, without those that are not kept; the same object if all are."""
    kept = tuple(item for index, item in enumerate(items) if keep(index, item))
    return items if len(kept) == len(items) else kept


def without_old_policies(memory: Memory) -> Memory:
    """Without policies that were not served for 400 days: no sender holds them, and they are decided as new ones."""
    old = {
        key
        for key, policy in memory.policies.items()
        if policy.spans
        and policy.spans[-1].until is not None
        and all(ended_ago(span, memory.counted) >= SPANS_AGE_S for span in policy.spans)
        and key != FILE
    }
    if not old:
        return memory
    return replace(memory, policies={k: policy for k, policy in memory.policies.items() if k not in old})


def kept_policy(policy: PolicyMemory) -> PolicyMemory:
    """The memory of one policy, reduced to the writes and spans that are kept."""
    writes, spans = kept_writes(policy.writes), kept_spans(policy.spans)
    if writes is policy.writes and spans is policy.spans:
        return policy
    return replace(policy, writes=writes, spans=spans)


def kept_writes(writes: tuple[Write, ...]) -> tuple[Write, ...]:
    """The last 20, and the last completed one: it shows what the sidecar serves."""
    if len(writes) <= MOST_WRITES:
        return writes
    first = len(writes) - MOST_WRITES
    last_done = max((i for i, write in enumerate(writes) if write.done), default=-1)
    return _picked(writes, lambda i, _: i >= first or i == last_done)


def kept_spans(spans: tuple[Span, ...]) -> tuple[Span, ...]:
    """Spans whose policy senders may still hold, at most 50.

    Of more than 50, two older ones are kept: the one that shows until when senders may hold an enforce, and the one
    with the longest max_age; among equals the first, which also shows whether the time before it is known.
    """
    if not spans:
        return spans
    newest = spans[-1].begun
    young = _picked(spans, lambda _, span: ended_ago(span, newest) < SPANS_AGE_S)
    if len(young) <= MOST_SPANS:
        return young
    first = len(young) - (MOST_SPANS - 2)
    enforced_until, max_age = [0.0] * first, [0] * first
    for i, span in enumerate(young[:first]):
        if (policy := understood(span.text)) is not None:
            max_age[i] = policy.max_age
            if policy.mode is Mode.ENFORCE:
                enforced_until[i] = float("inf") if span.until is None else span.ended + policy.max_age
    chosen = {enforced_until.index(max(enforced_until)), max_age.index(max(max_age))}
    return _picked(young, lambda i, _: i >= first or i in chosen)


def kept_entry(entry: Entry) -> Entry:
    """The last values that were published: more than the changes that can be under way at once."""
    if len(entry.published) <= MOST_PUBLISHED:
        return entry
    return replace(entry, published=entry.published[-MOST_PUBLISHED:])


def kept_conf(events: tuple[ConfEntry, ...]) -> tuple[ConfEntry, ...]:
    """The last 200, and for each entry that the sidecar did not remove itself the events that show whose it is:
    its last event, and the last two removals by somebody else.
    """
    if len(events) <= RECENT_CONF:
        return events
    by_entry: dict[tuple[str, str], list[int]] = {}
    for index, event in enumerate(events):
        by_entry.setdefault((event.key, event.entry.lower()), []).append(index)
    evidence: set[int] = set()
    for indexes in by_entry.values():
        if events[indexes[-1]].event is not ConfEvent.REMOVED:
            evidence.add(indexes[-1])
            evidence.update([i for i in indexes if events[i].event is ConfEvent.TAKEN_OUT][-2:])
    first = len(events) - RECENT_CONF
    return _picked(events, lambda i, _: i >= first or i in evidence)


def kept_restarts(restarts: tuple[Restart, ...]) -> tuple[Restart, ...]:
    """Those of 30 days, and at least the last 50; only the last one still needs the names before it."""
    first = len(restarts) - LEAST_RESTARTS
    newest = max((restart.at for restart in restarts), default=0.0)
    kept = _picked(restarts, lambda i, restart: i >= first or restart.at > newest - RESTARTS_AGE_S)
    if not any(restart.before for restart in kept[:-1]):
        return kept
    return (*(replace(restart, before=()) for restart in kept[:-1]), *kept[-1:])
