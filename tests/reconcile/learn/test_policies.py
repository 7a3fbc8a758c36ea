"""What a look teaches, and what a missing answer does not."""

from dataclasses import replace

import pytest

from sidecar.host.elapsed import Tally
from sidecar.observed import (
    AliasDomain,
    Domain,
    DomainList,
    Fact,
    FactKind,
    Memory,
    PolicyMemory,
    Restart,
    Seen,
    Span,
)
from sidecar.reconcile.learn.observations import believe, doubted
from sidecar.settings import Intervals
from tests.worlds import DAY, NOW, World, look, text

INTERVALS = Intervals()
KNOWN = DomainList(
    tuple(Domain(f"d{n}.example", True, False) for n in range(4)),
    (AliasDomain("a.example", "d0.example", True),),
)


def later(memory: Memory, counted: float) -> Memory:
    """The same memory once so many seconds were counted."""
    return replace(memory, tally=Tally(counted))


def listed(count: int, aliases: int = 1) -> DomainList:
    """The first few of the known domains."""
    return DomainList(KNOWN.domains[:count], KNOWN.aliases[:aliases])


@pytest.mark.parametrize(
    ("answer", "believed"),
    [
        (listed(4), True),
        (listed(3), True),
        (listed(2), True),
        (listed(1), False),
        (listed(0), False),
        (listed(4, aliases=0), False),
    ],
    ids=["all", "one gone", "half gone", "more than half gone", "empty", "no alias any more"],
)
def test_sudden_loss_is_not_believed_at_once(answer: DomainList, believed: bool) -> None:
    """All gone, or more than half: the list before it counts."""
    counted, memory, _ = believe(Memory(believed=KNOWN), Seen(answer, NOW), INTERVALS)
    assert (counted.value == answer) is believed
    assert (memory.doubt is None) is believed


def test_domain_switched_off_is_believed_at_once() -> None:
    """`active: 0` in a list is an answer, for however many."""
    off = DomainList(tuple(Domain(d.name, False, False) for d in KNOWN.domains), KNOWN.aliases)
    counted, _, _ = believe(Memory(believed=KNOWN), Seen(off, NOW), INTERVALS)
    assert counted.value == off


def test_loss_is_believed_after_it_stayed_the_same_for_long_enough() -> None:
    """A number of answers, over a set time."""
    memory = Memory(believed=KNOWN)
    for number in range(INTERVALS.doubt_polls - 1):
        counted, memory, _ = believe(memory, Seen(listed(0), NOW + number), INTERVALS)
        assert counted.value == KNOWN
    memory = later(memory, INTERVALS.doubt_seconds - 1)
    counted, memory, _ = believe(memory, Seen(listed(0), NOW), INTERVALS)
    assert counted.value == KNOWN
    memory = later(memory, INTERVALS.doubt_seconds)
    counted, memory, notices = believe(memory, Seen(listed(0), NOW), INTERVALS)
    assert counted.value == listed(0)
    assert [n.code for n in notices] == ["domains.believed"]


def test_another_loss_begins_anew() -> None:
    """An answer that changes is no steady answer."""
    memory = Memory(believed=KNOWN)
    for number in range(30):
        counted, memory, _ = believe(memory, Seen(listed(number % 2), NOW + 600 * number), INTERVALS)
        assert counted.value == KNOWN


def test_first_answer_is_believed() -> None:
    """Nothing was known before."""
    counted, _, _ = believe(Memory(), Seen(listed(0, aliases=0), NOW), INTERVALS)
    assert counted.value == listed(0, aliases=0)


# --- a loss that is doubted hides nothing else --------------------------------------------------------


def test_new_domain_is_seen_beside_a_loss_that_is_doubted() -> None:
    """The last alias domain deleted and a domain added: the one waits, the other does not."""
    new = Domain("new.example", True, False)
    answer = DomainList((*KNOWN.domains, new), ())
    counted, memory, _ = believe(Memory(believed=KNOWN), Seen(answer, NOW), INTERVALS)
    assert counted.value == DomainList((*KNOWN.domains, new), KNOWN.aliases)
    assert memory.believed == KNOWN
    assert memory.domains == {*(domain.name for domain in KNOWN.domains), "new.example"}
    _, memory, _ = believe(memory, Seen(KNOWN, NOW + 60), INTERVALS)
    assert memory.domains == {domain.name for domain in KNOWN.domains}


@pytest.mark.parametrize(
    ("answer", "lost"),
    [
        (listed(4, aliases=0), "1 of 1 alias domains (a.example)"),
        (listed(1), "3 of 4 domains (d1.example, d2.example, d3.example)"),
        (
            listed(0, aliases=0),
            "4 of 4 domains (d0.example, d1.example, d2.example, d3.example) and 1 of 1 alias domains (a.example)",
        ),
    ],
)
def test_what_was_lost_is_said(answer: DomainList, lost: str) -> None:
    """As long as it is doubted, and when it is believed; after a start without an answer, that something was."""
    _, memory, _ = believe(Memory(believed=KNOWN), Seen(answer, NOW), INTERVALS)
    (notice,) = doubted(memory, answer)
    assert notice.message.startswith(f"mailcow's list lost {lost} at once; no policy is withdrawn")
    (unsure,) = doubted(memory, None)
    assert unsure.message.startswith("mailcow's list lost domains at once; no policy is withdrawn")
    later = replace(memory, tally=Tally(memory.counted + DAY))
    *_, (said,) = believe(later, Seen(answer, NOW + DAY), Intervals(doubt_polls=2))
    assert said.message == f"mailcow's list lost {lost} at once; it did not change since, and is accepted now"


def test_domain_switched_off_is_believed_although_others_are_lost() -> None:
    """`active: 0` in a list is an answer, believed at once."""
    answer = DomainList((Domain("d0.example", False, False),), KNOWN.aliases)
    counted, _, _ = believe(Memory(believed=KNOWN), Seen(answer, NOW), INTERVALS)
    assert counted.value == DomainList((answer.domains[0], *KNOWN.domains[1:]), KNOWN.aliases)


def test_domain_that_became_an_alias_domain_is_not_both() -> None:
    """What is there as the other kind is not lost."""
    alias = AliasDomain("d3.example", "d0.example", True)
    answer = DomainList(KNOWN.domains[:1], (*KNOWN.aliases, alias))
    counted, _, _ = believe(Memory(believed=KNOWN), Seen(answer, NOW), INTERVALS)
    assert [d.name for d in counted.value.domains] == ["d0.example", "d1.example", "d2.example"]
    assert alias in counted.value.aliases


def test_other_changes_do_not_make_a_loss_doubted_for_ever() -> None:
    """On a busy mailcow no two answers are the same; what they lack is."""
    memory = Memory(believed=KNOWN)
    counted = Seen(KNOWN, NOW)
    for number in range(INTERVALS.doubt_polls + 1):
        answer = DomainList((*KNOWN.domains, Domain(f"n{number}.example", True, False)), ())
        memory = later(memory, number * INTERVALS.doubt_seconds / INTERVALS.doubt_polls)
        counted, memory, _ = believe(memory, Seen(answer, NOW), INTERVALS)
    assert counted.value.aliases == ()


def test_clock_that_is_set_back_does_not_make_a_doubt_last() -> None:
    """Doubted a year ahead of now: it would last a year."""
    _, memory, _ = believe(Memory(believed=KNOWN), Seen(listed(0), NOW + 365 * DAY), INTERVALS)
    counted = Seen(KNOWN, NOW)
    for number in range(INTERVALS.doubt_polls):
        memory = later(memory, 300 * number)
        counted, memory, _ = believe(memory, Seen(listed(0), NOW + 300 * number), INTERVALS)
    assert counted.value == listed(0)


def test_clock_that_is_set_forward_does_not_end_a_doubt() -> None:
    """A month in a second: of the time that makes a loss believed nothing has passed."""
    memory = Memory(believed=KNOWN)
    for number in range(3 * INTERVALS.doubt_polls):
        counted, memory, _ = believe(memory, Seen(listed(0), NOW + 30 * DAY * number), INTERVALS)
        assert counted.value == KNOWN


# --- what is dated ahead of now -----------------------------------------------------------------------


@pytest.mark.parametrize("shown", [NOW - 365 * DAY, NOW + 30 * DAY])
def test_a_fact_lasts_as_long_as_was_counted_whatever_the_clock_shows(shown: float) -> None:
    """A name would be gathered until that day, or a pattern dropped on it."""
    name = Fact(FactKind.MISSING, "mta-sts.example.org")
    world, _ = look(World(served={"example.org": text()}))
    world, _ = look(replace(world, now=shown, counted=NOW + 60))
    assert world.memory.true_for(name) == 60


def test_restart_dated_ahead_of_now_counts_as_made_now() -> None:
    """Neither forgotten, which would burn the budget, nor waited for until that day."""
    world = World(memory=Memory(restarts=(Restart(NOW - 5, ("a",)), Restart(NOW + 365 * DAY, ("b",)))))
    assert look(world)[0].memory.restarts == (Restart(NOW - 5, ("a",)), Restart(NOW, ("b",)))


def test_alias_domain_that_is_gone_keeps_the_memory_of_its_policy() -> None:
    """Senders hold the policy of its target under its name, and nobody knows the target any more."""
    known = DomainList(
        KNOWN.domains, (*KNOWN.aliases, *(AliasDomain(f"{n}.example", "d1.example", True) for n in "bc"))
    )
    policy = PolicyMemory(spans=(Span("enforce", 1, None, begun=1),))
    memory = later(Memory(believed=known, policies={"d0.example": policy}), 500)
    _, memory, _ = believe(memory, Seen(replace(known, aliases=known.aliases[1:]), NOW), INTERVALS)
    assert memory.policy("a.example").spans == (Span("enforce", 1, NOW, begun=1, ended=500),)
    assert memory.policy("d0.example") == policy
