"""Whose a served policy is, and until when senders may still hold one; pure.

Rule for every editor: where nothing is remembered, the answer is the careful one. A person's text is never
taken for ours because it looks like one of ours that was looser.
"""

from enum import Enum, auto
from functools import lru_cache
from itertools import takewhile

from sidecar.mtasts import Invalid, Mode, Policy, loosenings, parse
from sidecar.observed import FILE, Memory, PolicyMemory, Write

LEAST_ASSUMED_MAX_AGE = 604_800
"""Seconds; assumed as an earlier max_age where nothing is known of the time before."""


class Whose(Enum):
    """Whose the policy is that mailcow serves."""

    NOBODYS = auto()
    OURS = auto()
    PERSONS = auto()


def whose(text: str | None, memory: PolicyMemory) -> Whose:
    """Whose `text` is (None: nothing is served).

    Ours is what the sidecar wrote last, an intent since then whose outcome is unknown, and an earlier one that is
    not looser than the last: a restored backup, for instance. An earlier, looser one is a person's doing.
    """
    if memory.refused is not None:
        return Whose.PERSONS
    if text is None:
        return Whose.NOBODYS
    done = [write for write in memory.writes if write.done]
    # What was meant before the last write that was done was overtaken by it: only a person brings that back.
    since = list(takewhile(lambda write: not write.done, reversed(memory.writes)))
    candidates = [write for write in since if write.done is None] + done[-1:]
    if any(_same(text, write) for write in candidates):
        return Whose.OURS
    last = policy_of(done[-1].text) if done else None
    served = policy_of(text)
    if last is not None and served is not None and any(_same(text, write) for write in done):
        return Whose.PERSONS if loosenings(last, served) else Whose.OURS
    return Whose.PERSONS


def last_written(memory: PolicyMemory) -> Write | None:
    """The last write that was done, or whose outcome is unknown."""
    return next((write for write in reversed(memory.writes) if write.done is not False), None)


def _same(text: str, write: Write) -> bool:
    if write.text is None:
        return False
    if text == write.text:
        return True
    served, written = policy_of(text), policy_of(write.text)
    return served is not None and written is not None and served.same_as(written)


@lru_cache(maxsize=16_384)  # a pass reads the same few thousand texts again and again
def policy_of(text: str | None) -> Policy | None:
    """The policy in a text, None for no text and for one that is no policy."""
    if text is None:
        return None
    parsed = parse(text.encode("utf-8", "surrogateescape"))
    return None if isinstance(parsed, Invalid) else parsed


def held_by_senders_until(memory: PolicyMemory, now: float, assumed_max_age: int) -> float:
    """Until when (Unix seconds) a sender may apply a cached policy in enforce (RFC 8461 §3.3, §5.1).

    0 where the whole history is known and no enforce is in it. A policy that was there before the sidecar
    looked first may have been in enforce the day before; so may one that was never looked at.
    """
    if not memory.spans:
        return now + assumed_max_age
    first = memory.spans[0]
    until = 0.0 if first.text is None else first.since + assumed_max_age
    for span in memory.spans:
        policy = policy_of(span.text)
        if policy is not None and policy.mode is Mode.ENFORCE:
            until = max(until, (now if span.until is None else span.until) + policy.max_age)
    return until


def held_until(memory: Memory, domain: str, now: float, assumed_max_age: int) -> float:
    """The same for a domain, whose policy was in the one file as long as this mailcow was of the file generation."""
    until = held_by_senders_until(memory.policy(domain), now, assumed_max_age)
    file = memory.policy(FILE)
    return max(until, held_by_senders_until(file, now, assumed_max_age)) if file.spans else until


def longest_max_age(memory: PolicyMemory, configured: int) -> int:
    """The longest max_age (seconds) that senders may have been told, by what is remembered and configured."""
    served = [p.max_age for span in memory.spans if (p := policy_of(span.text)) is not None]
    return max([configured, LEAST_ASSUMED_MAX_AGE if _history_unknown(memory) else 0, *served])


def _history_unknown(memory: PolicyMemory) -> bool:
    return not memory.spans or memory.spans[0].text is not None
