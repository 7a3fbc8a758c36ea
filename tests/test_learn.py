"""What a look teaches, and what a missing answer does not."""

import pytest

from sidecar.learn import believe
from sidecar.observed import AliasDomain, Domain, DomainList, Memory, Seen
from sidecar.settings import Intervals
from tests.worlds import NOW

INTERVALS = Intervals()
KNOWN = DomainList(
    tuple(Domain(f"d{n}.example", True, False) for n in range(4)),
    (AliasDomain("a.example", "d0.example", True),),
)


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
    counted, memory, _ = believe(memory, Seen(listed(0), NOW + INTERVALS.doubt_seconds - 1), INTERVALS)
    assert counted.value == KNOWN
    counted, memory, notices = believe(memory, Seen(listed(0), NOW + INTERVALS.doubt_seconds), INTERVALS)
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
