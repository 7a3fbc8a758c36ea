"""What is served as a policy, whose it is, and for how long senders may still hold one; pure.

Rule for every editor: if nothing is remembered, the answer is the careful one. A person's text never
counts as ours because it equals an earlier, less strict text of ours.
"""

from collections.abc import Iterator
from enum import Enum, auto
from itertools import takewhile

from sidecar.formats.mtasts_policy import Mode, Policy, loosenings, policy_of, understood
from sidecar.observed import FILE, Memory, Observed, PolicyFile, PolicyMemory, Seen, Write
from sidecar.observed.mailcow import policy_seen
from sidecar.observed.memory import ended_ago

LEAST_ASSUMED_MAX_AGE = 604_800
"""Seconds; assumed as an earlier max_age if nothing is known about the time before."""


class Whose(Enum):
    """Who wrote the policy that mailcow serves."""

    NOBODYS = auto()
    OURS = auto()
    PERSONS = auto()


def whose(text: str | None, memory: PolicyMemory) -> Whose:
    """Who wrote `text` (None: nothing is served).

    Ours are: the text that the sidecar wrote last, a later one whose outcome is unknown, and an earlier one that is
    not less strict than the last (a restored backup, for instance). An earlier, less strict text was put there by a person.
    """
    if memory.refused is not None:
        return Whose.PERSONS
    if text is None:
        return Whose.NOBODYS
    if memory.writes and memory.writes[-1].done and memory.writes[-1].text == text:
        return Whose.OURS  # the usual case, for each of thousands of domains
    done = [write for write in memory.writes if write.done]
    # Intents older than the last completed write are obsolete: only a person can have restored such a text.
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
    """The last write that was completed, or whose outcome is unknown."""
    return next((write for write in reversed(memory.writes) if write.done is not False), None)


def last_in_place(memory: PolicyMemory) -> Write | None:
    """As `last_written`, without intents that were never carried out: what is served was there before them, and still is."""
    now = memory.open

    def open_(write: Write) -> bool:
        return write.done is None and now is not None and now.text != write.text and now.since <= write.at

    return next((w for w in reversed(memory.writes) if w.done is not False and not open_(w)), None)


def switched_off_by_us(memory: PolicyMemory) -> bool:
    """Whether nothing is served because the sidecar switched it off, and no person switched it on and off since.

    The sidecar switched it off if our text ended with our write, or, if the outcome is unknown, if the last text was ours.
    """
    last = last_written(memory)
    if last is None or last.text is not None:
        return False
    texts = [index for index, span in enumerate(memory.spans) if span.text is not None]
    if not texts:
        return True
    if last.done:
        after = memory.spans[texts[-1] + 1 :]
        return bool(after) and after[0].since == last.at
    return whose(memory.spans[texts[-1]].text, memory) is Whose.OURS


def _same(text: str, write: Write) -> bool:
    if text == write.text:
        return True
    served, written = policy_of(text), policy_of(write.text)
    return served is not None and written is not None and served.same_as(written)


def held_by_senders_for(memory: PolicyMemory, counted: float, assumed_max_age: int) -> float:
    """For how many more seconds a sender may apply a cached policy in enforce (RFC 8461 §3.3, §5.1).

    `counted` is `Memory.counted`. 0 if none can: the whole history is known and has no enforce, or all of them
    have expired. A policy that was there before the first observation may have been in enforce the day before; so
    may one that was never observed. A text that only lenient senders accept counts, too: they may hold it.
    """
    if not memory.spans:
        return float(assumed_max_age)
    first = memory.spans[0]
    left = 0.0 if first.text is None else assumed_max_age - (counted - first.begun)
    for span in memory.spans:
        policy = understood(span.text)
        if policy is not None and policy.mode is Mode.ENFORCE:
            left = max(left, policy.max_age - ended_ago(span, counted))
    return max(0.0, left)


def still_held(memory: Memory, key: str) -> Iterator[tuple[Policy, int]]:
    """The policies that senders may still apply in enforce, as `held_for` has it, each with its max_age.

    A policy that was there before the first observation may have been in enforce the day before, with the same mx.
    """
    for one in _memories(memory, key):
        for span in one.spans:
            policy = understood(span.text)
            if policy is None:
                continue
            if policy.mode is Mode.ENFORCE and ended_ago(span, memory.counted) < policy.max_age:
                yield policy, policy.max_age
            elif span is one.spans[0]:
                assumed = max(policy.max_age, LEAST_ASSUMED_MAX_AGE)
                if memory.counted - span.begun < assumed:
                    yield policy, assumed


def held_for(memory: Memory, key: str, assumed_max_age: int) -> float:
    """As `held_by_senders_for`, for a domain or for all that the one file serves (`FILE`), on either generation.

    A domain's policy was in the one file as long as this mailcow was of the file generation; and a mailcow that was
    set back to it served each domain its own before.
    """
    return max(held_by_senders_for(one, memory.counted, assumed_max_age) for one in _memories(memory, key))


def _memories(memory: Memory, key: str) -> list[PolicyMemory]:
    others = memory.policies.keys() if key == FILE else {FILE}
    more = [memory.policy(other) for other in others if other != key]
    return [memory.policy(key), *(one for one in more if one.spans)]


def longest_max_age(memory: PolicyMemory, configured: int) -> int:
    """The longest max_age (seconds) that senders may have read, by the memory and the configuration."""
    served = [p.max_age for span in memory.spans if (p := understood(span.text)) is not None]
    history_unknown = not memory.spans or memory.spans[0].text is not None
    return max([configured, LEAST_ASSUMED_MAX_AGE if history_unknown else 0, *served])


def served_by_file(observed: Observed) -> Policy | None:
    """The policy in the file, also one that only lenient senders accept; None if there is none or it was not observed."""
    text = _file_text(observed)
    return understood(text)


def served_mode(observed: Observed, key: str) -> Mode | None:
    """The mode that is served for a domain or by the file (`FILE`); None if none is, or none was observed."""
    if key == FILE:
        policy = policy_of(_file_text(observed))
    else:
        served = observed.served_of(key)
        policy = policy_seen(served)
    return policy.mode if policy else None


def _file_text(observed: Observed) -> str | None:
    match observed.file:
        case Seen(PolicyFile(data=bytes(data))):
            return data.decode("utf-8", "surrogateescape")
        case _:
            return None
