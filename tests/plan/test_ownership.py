"""Whose a policy is, and until when senders may hold one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.formats.mtasts_policy import Mode
from sidecar.host.elapsed import Tally
from sidecar.observed import FILE, Memory, PolicyMemory, Write
from sidecar.plan.ownership import (
    Whose,
    held_by_senders_for,
    held_for,
    last_written,
    longest_max_age,
    served_by_file,
    served_mode,
    still_held,
    whose,
)
from tests.worlds import DAY, FILE_MAILCOW, HOST, NOW, World, observed, span, text

WEEK = 7 * DAY
TESTING = text()
ENFORCE = text(Mode.ENFORCE, 604_800)
LONGER = text(Mode.ENFORCE, 1_209_600)
WIDER = text(Mode.ENFORCE, 604_800, HOST, "mx.example.net")
NEVER = (None, 9 * DAY, 8 * DAY)
"""Nothing was served when it was first looked at."""
OTHER = text(Mode.TESTING, 86_400, "mx.example.net")
LENIENT = "\n" + ENFORCE
"""Only lenient senders accept it."""
REORDERED = TESTING.replace("mode: testing\n", "") + "mode: testing\n"


def wrote(*writes: tuple[str | None, bool | None], refused: str | None = None) -> PolicyMemory:
    """Writes, oldest first, each with its outcome (None: unknown)."""
    return PolicyMemory(
        tuple(Write(text_, NOW - DAY + n, done) for n, (text_, done) in enumerate(writes)), refused=refused
    )


@pytest.mark.parametrize(
    ("served", "memory", "owner", "why"),
    [
        (None, wrote(), Whose.NOBODYS, "nothing served, nothing remembered"),
        (None, wrote((TESTING, True)), Whose.NOBODYS, "ours is gone"),
        (None, wrote((None, True)), Whose.NOBODYS, "we switched it off"),
        (TESTING, wrote(), Whose.PERSONS, "nothing remembered: the careful answer"),
        (TESTING, wrote((TESTING, True)), Whose.OURS, "what we wrote last"),
        (REORDERED, wrote((TESTING, True)), Whose.OURS, "the same policy in other words"),
        (TESTING, wrote((TESTING, None)), Whose.OURS, "an intent whose outcome is unknown"),
        (TESTING, wrote((ENFORCE, True), (TESTING, None)), Whose.OURS, "the intent after a write"),
        (ENFORCE, wrote((ENFORCE, True), (TESTING, None)), Whose.OURS, "the write before an intent"),
        (OTHER, wrote((TESTING, True)), Whose.PERSONS, "somebody changed it"),
        (OTHER, wrote((TESTING, None)), Whose.PERSONS, "somebody else's, while our outcome is unknown"),
        (TESTING, wrote((TESTING, True), (ENFORCE, True)), Whose.PERSONS, "earlier and weaker: a person's"),
        (ENFORCE, wrote((ENFORCE, True), (LONGER, True)), Whose.PERSONS, "earlier and shorter max_age"),
        (WIDER, wrote((WIDER, True), (ENFORCE, True)), Whose.PERSONS, "earlier and with more mx"),
        (LONGER, wrote((LONGER, True), (ENFORCE, True)), Whose.OURS, "earlier and stricter: a backup"),
        (ENFORCE, wrote((ENFORCE, True), (TESTING, True)), Whose.OURS, "earlier and stricter in its mode"),
        (TESTING, wrote((TESTING, None), (ENFORCE, True)), Whose.PERSONS, "an intent with a write after it"),
        (TESTING, wrote((TESTING, False)), Whose.PERSONS, "refused for certain: it was never ours"),
        (TESTING, wrote((None, True)), Whose.PERSONS, "switched on again by somebody"),
        (TESTING, wrote((TESTING, True), (None, None)), Whose.OURS, "we meant to switch it off"),
        (TESTING, wrote((TESTING, True), (None, True)), Whose.PERSONS, "switched off by us, on by a person"),
        (TESTING, wrote((TESTING, True), refused="switched off"), Whose.PERSONS, "a person's row"),
        (None, wrote(refused="switched off"), Whose.PERSONS, "a person's row that serves nothing"),
        ("nonsense", wrote((TESTING, True)), Whose.PERSONS, "no policy at all"),
        ("", wrote((TESTING, True)), Whose.PERSONS, "an empty text is a text"),
        (LENIENT, wrote((LENIENT, None)), Whose.OURS, "a text need not be a policy to be the same one"),
    ],
)
def test_whose_a_policy_is(served: str | None, memory: PolicyMemory, owner: Whose, why: str) -> None:
    """Ours is what we wrote last or meant to write; an earlier, looser one is a person's."""
    assert whose(served, memory) is owner, why


@pytest.mark.parametrize(
    ("file", "mode", "read"),
    [
        (None, None, None),
        (ENFORCE, Mode.ENFORCE, Mode.ENFORCE),
        (LENIENT, None, Mode.ENFORCE),
        ("nonsense", None, None),
    ],
)
def test_mode_of_the_file_is_what_strict_senders_read(
    file: str | None, mode: Mode | None, read: Mode | None
) -> None:
    """What lenient ones read, they may hold."""
    seen = observed(World(mailcow=FILE_MAILCOW, file=None if file is None else file.encode()))
    assert served_mode(seen, FILE) is mode
    found = served_by_file(seen)
    assert (found.mode if found else None) is read


def test_mode_of_a_domain_is_that_of_its_own_policy() -> None:
    """The native generation has no file."""
    seen = observed(World(domains=("a.example", "b.example"), served={"a.example": ENFORCE}))
    assert [served_mode(seen, key) for key in ("a.example", "b.example", FILE)] == [Mode.ENFORCE, None, None]


@given(st.lists(st.tuples(st.sampled_from([TESTING, ENFORCE, LONGER, OTHER]), st.sampled_from([True, None]))))
def test_what_was_written_last_is_always_ours(writes: list[tuple[str, bool | None]]) -> None:
    """Whatever was there before it."""
    if writes:
        assert whose(writes[-1][0], wrote(*writes)) is Whose.OURS


@pytest.mark.parametrize(
    ("memory", "last", "why"),
    [
        (wrote(), None, "nothing written"),
        (wrote((TESTING, True), (ENFORCE, None)), ENFORCE, "an unknown outcome counts"),
        (wrote((TESTING, True), (ENFORCE, False)), TESTING, "a refused one does not"),
    ],
)
def test_last_write_is_the_last_that_may_have_happened(
    memory: PolicyMemory, last: str | None, why: str
) -> None:
    """Done, or not known."""
    found = last_written(memory)
    assert (found.text if found else None) == last, why


def spans(*texts: tuple[str | None, float, float | None]) -> PolicyMemory:
    """Texts seen served, each from and until so many seconds ago (None: still)."""
    return PolicyMemory(
        spans=tuple(span(t, NOW - since, None if until is None else NOW - until) for t, since, until in texts)
    )


@pytest.mark.parametrize(
    ("memory", "left", "why"),
    [
        (spans(), WEEK, "never looked at"),
        (spans((None, DAY, None)), 0, "nothing was ever served"),
        (spans((None, DAY, 60), (TESTING, 60, None)), 0, "only ever testing, from the beginning"),
        (spans((TESTING, DAY, None)), WEEK - DAY, "testing when first seen: enforce the day before?"),
        (spans((TESTING, 8 * DAY, None)), 0, "the same, and a week is over"),
        (spans((None, DAY, 60), (ENFORCE, 60, None)), WEEK, "in enforce now"),
        (spans(NEVER, (ENFORCE, 8 * DAY, 2 * DAY), (TESTING, 2 * DAY, None)), WEEK - 2 * DAY, "until then"),
        (spans(NEVER, (LONGER, 8 * DAY, 5 * DAY), (ENFORCE, 5 * DAY, 4 * DAY)), 2 * WEEK - 5 * DAY, "longer"),
        (spans((None, 9 * DAY, DAY), ("nonsense", DAY, None)), 0, "a text that is not a policy binds nobody"),
    ],
)
def test_senders_hold_an_enforce_until_its_max_age_is_over(
    memory: PolicyMemory, left: float, why: str
) -> None:
    """RFC 8461 §3.3: applied from the cache when none can be fetched."""
    assert held_by_senders_for(memory, NOW, 604_800) == pytest.approx(left), why


@given(st.integers(1, 31_536_000), st.integers(1, 31_536_000))
def test_a_longer_assumed_max_age_never_ends_sooner(one: int, other: int) -> None:
    """The careful answer where nothing is known."""
    for memory in (spans(), spans((TESTING, DAY, None)), spans((ENFORCE, DAY, 60), (None, 60, None))):
        shorter, longer = (held_by_senders_for(memory, NOW, age) for age in sorted((one, other)))
        assert shorter <= longer


@pytest.mark.parametrize(
    ("memory", "configured", "longest", "why"),
    [
        (spans(), 86_400, 604_800, "nothing known: a week at least"),
        (spans(), 1_209_600, 1_209_600, "nothing known, and more is configured"),
        (spans((None, DAY, None)), 86_400, 86_400, "known that nothing was served"),
        (spans((TESTING, DAY, None)), 86_400, 604_800, "something was there before us"),
        (spans(NEVER, (LONGER, 8 * DAY, None)), 86_400, 1_209_600, "the longest served"),
        (spans(NEVER, (LONGER, 8 * DAY, DAY), (TESTING, DAY, None)), 86_400, 1_209_600, "one served before"),
        (spans((None, DAY, 60), ("nonsense", 60, None)), 86_400, 86_400, "no policy, no max_age"),
    ],
)
def test_longest_max_age_of_all_that_may_have_been_served(
    memory: PolicyMemory, configured: int, longest: int, why: str
) -> None:
    """Without a history the longest of what is configured and a week."""
    assert longest_max_age(memory, configured) == longest, why


# --- what senders may still apply ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("memory", "held", "why"),
    [
        (spans(NEVER, (ENFORCE, 8 * DAY, WEEK - 1)), [WEEK], "the last second"),
        (spans(NEVER, (ENFORCE, 8 * DAY, WEEK)), [], "run out in this second"),
        (spans(NEVER, (ENFORCE, 8 * DAY, None)), [WEEK], "still served"),
        (spans((TESTING, WEEK - 1, None)), [WEEK], "who knows what it was the day before"),
        (spans((TESTING, WEEK, None)), [], "whatever it was, it has run out"),
        (spans(NEVER, (TESTING, 8 * DAY, None)), [], "testing, and nothing before it"),
        (spans((None, 2 * DAY, DAY), (TESTING, DAY, None)), [], "testing, however short a time ago"),
        (spans((text(Mode.NONE, 1_209_600), 14 * DAY - 1, None)), [14 * DAY], "its own max_age, if longer"),
    ],
)
def test_what_is_still_held(memory: PolicyMemory, held: list[float], why: str) -> None:
    """To the second; as `held_by_senders_for` has it."""
    remembered = Memory(policies={"example.org": memory}, tally=Tally(NOW))
    assert [max_age for _, max_age in still_held(remembered, "example.org")] == held, why


def test_policy_of_one_domain_holds_no_other_back() -> None:
    """But the file serves them all, and was served before mailcow was updated."""
    never, enforced = spans(NEVER, (TESTING, 8 * DAY, None)), spans((ENFORCE, DAY, None))
    both = Memory(policies={"example.org": never, "b.example": enforced}, tally=Tally(NOW))
    assert (held_for(both, "example.org", 604_800), [*still_held(both, "example.org")]) == (0, [])
    assert held_for(both, FILE, 604_800) == WEEK
    by_file = Memory(policies={"example.org": never, FILE: enforced}, tally=Tally(NOW))
    assert held_for(by_file, "example.org", 604_800) == WEEK


def test_enforce_that_only_lenient_senders_took_is_held_by_them() -> None:
    """A hand-made file with a byte order mark: those who accepted it may hold it as long as any other."""
    lenient = "\ufeff" + text(Mode.ENFORCE, 1_000_000)
    memory = PolicyMemory(spans=(span(None, NOW - 9e6, NOW - 100), span(lenient, NOW - 100, NOW)))
    right = PolicyMemory(spans=(span(None, NOW - 9e6, NOW - 100), span(lenient[1:], NOW - 100, NOW)))
    held = held_by_senders_for(memory, NOW, 0)
    assert held == held_by_senders_for(right, NOW, 0) > 0
