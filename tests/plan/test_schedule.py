"""When something is looked at, asked and tried again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.observed import (
    Addresses,
    AliasDomain,
    Domain,
    DomainList,
    Kind,
    Question,
    Seen,
    Served,
    Sight,
    Txt,
    Unseen,
)
from sidecar.plan.schedule import (
    DENIED_S,
    RETRY_S,
    ListAge,
    aliases_due,
    check_interval,
    checks_due,
    list_due,
    next_pass,
    poll_now,
    question_due,
    record_due,
    record_interval,
    routine_questions,
    stale_policies,
    time_left,
    wait_after,
)
from sidecar.settings import Intervals
from tests.worlds import HOST, NOW

POLL = 30.0
INTERVALS = Intervals()


@pytest.mark.parametrize(
    ("age", "due", "why"),
    [
        (None, True, "never asked"),
        (ListAge(NOW, 0.1, stale=True), True, "an own write, or a person asked"),
        (ListAge(NOW - 30, 0.1), False, "a poll later the counts are enough"),
        (ListAge(NOW - 599, 0.1), False, "quick, and not ten minutes old"),
        (ListAge(NOW - 600, 0.1), True, "quick, and ten minutes old"),
        (ListAge(NOW - 1_499, 15), False, "100 times its 15 s are not over"),
        (ListAge(NOW - 1_500, 15), True, "100 times its 15 s are over"),
        (ListAge(NOW - 3_599, 120), False, "the slowest list: not yet an hour"),
        (ListAge(NOW - 3_600, 120), True, "an hour at most"),
        (ListAge(NOW - 179, 0.1, doubted=True), False, "not believed: ten answers are enough"),
        (ListAge(NOW - 180, 0.1, doubted=True), True, "not believed: the next of ten answers"),
        (ListAge(NOW - 249, 25, doubted=True), False, "not believed, but expensive"),
        (ListAge(NOW - 250, 25, doubted=True), True, "not believed: after ten times its cost"),
    ],
)
def test_when_the_whole_list_is_requested(age: ListAge | None, due: bool, why: str) -> None:
    """mailcow works 3 to 15 s on it at a thousand domains."""
    assert list_due(age, NOW, INTERVALS) is due, why


@pytest.mark.parametrize(
    ("intervals", "seconds"),
    [
        (Intervals(poll=60, doubt_polls=3, doubt_seconds=0), 60),
        (Intervals(doubt_polls=2, doubt_seconds=86_400), 600),
    ],
    ids=["no sooner than a poll", "no less often than one that is believed"],
)
def test_interval_of_a_doubted_list_is_bounded(intervals: Intervals, seconds: float) -> None:
    """Whatever the settings say of doubt."""
    assert not list_due(ListAge(NOW - seconds + 1, 0.1, doubted=True), NOW, intervals)
    assert list_due(ListAge(NOW - seconds, 0.1, doubted=True), NOW, intervals)


@pytest.mark.parametrize(
    ("took", "ago", "due"),
    [
        (0.1, 0, True),
        (0.2, 19, False),
        (0.2, 20, True),
        (2, 199, False),
        (2, 200, True),
        (120, 3_599, False),
        (120, 3_600, True),
        (120, -5, True),
    ],
)
def test_slow_alias_lists_are_requested_less_often(took: float, ago: float, due: bool) -> None:
    """One slow answer makes them rare for a while only, also if the clock is set back."""
    assert aliases_due(NOW - ago, took, NOW) is due


@pytest.mark.parametrize(
    ("poll", "away_since", "wait"),
    [(30, None, 30), (30, NOW, 5), (30, NOW - 899, 5), (30, NOW - 900, 30), (5, NOW, 5), (30, NOW + 9, 30)],
)
def test_mailcow_that_stopped_answering_is_asked_soon(
    poll: float, away_since: float | None, wait: float
) -> None:
    """For as long as an update takes."""
    assert poll_now(poll, away_since, NOW) == wait


@pytest.mark.parametrize(
    ("failures", "waits", "seconds"),
    [(1, RETRY_S, 30), (3, RETRY_S, 120), (7, RETRY_S, 3_600), (99, RETRY_S, 3_600), (1, DENIED_S, 300)],
)
def test_wait_grows_up_to_its_last_step(failures: int, waits: tuple[int, ...], seconds: int) -> None:
    """A refused key begins with minutes."""
    assert wait_after(failures, waits) == seconds


@pytest.mark.parametrize("waits", [RETRY_S, DENIED_S])
def test_no_wait_is_shorter_than_the_one_before(waits: tuple[int, ...]) -> None:
    """Steeper for each failure in a row."""
    steps = [wait_after(failures, waits) for failures in range(1, 20)]
    assert steps == sorted(steps)


def seen(at: float) -> Sight[Served]:
    """A policy that was read then."""
    return Seen(Served(None), at)


def silent(at: float) -> Sight[Served]:
    """A policy that could not be read then."""
    return Unseen("time-out", at)


@pytest.mark.parametrize(
    ("answers", "due", "why"),
    [
        ({}, ["a", "b", "c"], "never read: all of them, however many"),
        ({"a": seen(NOW), "b": seen(NOW), "c": seen(NOW)}, [], "all just read"),
        ({"a": seen(NOW - 600), "b": seen(NOW - 599), "c": seen(NOW)}, ["a"], "one is due"),
        ({"a": seen(NOW - 700), "b": seen(NOW - 900), "c": seen(NOW - 800)}, ["b", "c"], "the two oldest"),
        ({"a": seen(NOW - 900), "c": seen(NOW - 800)}, ["b", "a", "c"], "a new one before the old ones"),
        ({"a": silent(NOW - 60), "b": seen(NOW - 900)}, ["c", "a", "b"], "never read before one that fails"),
        ({"a": silent(NOW - 60), "b": silent(NOW - 59), "c": seen(NOW)}, ["a"], "repeated after a minute"),
    ],
)
def test_served_policies_are_read_in_turn(
    answers: dict[str, Sight[Served]], due: list[str], why: str
) -> None:
    """A thousand policies are not read at once again and again."""
    assert stale_policies(["a", "b", "c"], answers, NOW, 600, 2) == due, why


@given(st.lists(st.integers(0, 2_000), min_size=1, max_size=60, unique=True), st.integers(1, 10))
def test_every_policy_gets_its_turn(ages: list[int], most: int) -> None:
    """Passes at one moment, each reading what is due, come to an end with nothing older than the interval."""
    answers = {str(age): seen(NOW - age) for age in ages}
    for _ in range(len(ages) // most + 1):
        for name in stale_policies(answers, answers, NOW, 600, most):
            answers[name] = seen(NOW)
    assert stale_policies(answers, answers, NOW, 600, most) == []


def test_routine_asks_for_what_serves_and_what_is_missing_eagerly() -> None:
    """Domains that receive mail here and their aliases; hands off from the rest."""
    listed = DomainList(
        (
            Domain("a.example", True, False),
            Domain("off.example", False, False),
            Domain("backup.example", True, True),
            Domain("excluded.example", True, False),
        ),
        (
            AliasDomain("alias.example", "a.example", True),
            AliasDomain("off-alias.example", "a.example", False),
            AliasDomain("their-alias.example", "excluded.example", True),
        ),
    )
    managed = frozenset({"a.example", "off.example", "backup.example"})
    asked = routine_questions(HOST, listed, managed, frozenset({"mta-sts.alias.example"}), ["www.example"])
    assert asked == [
        (Question(Kind.ADDRESSES, HOST), False),
        (Question(Kind.ADDRESSES, "www.example"), False),
        (Question(Kind.ADDRESSES, "mta-sts.a.example"), False),
        (Question(Kind.MX, "a.example"), False),
        (Question(Kind.ADDRESSES, "mta-sts.alias.example"), True),
        (Question(Kind.MX, "alias.example"), False),
    ]


def test_domains_that_take_no_mail_here_are_asked_about_where_one_file_serves_them_too() -> None:
    """Their MX has to be covered as long as their policy host leads here."""
    listed = DomainList((Domain("off.example", False, False), Domain("backup.example", True, True)), ())
    managed = frozenset({"off.example"})
    asked = routine_questions(HOST, listed, managed, frozenset(), [], by_file=True)
    assert [question for question, _ in asked[1:]] == [
        Question(Kind.ADDRESSES, "mta-sts.off.example"),
        Question(Kind.MX, "off.example"),
    ]


@pytest.mark.parametrize(
    ("age", "unseen", "eager", "failing_for", "due", "why"),
    [
        (None, False, False, 0, True, "never asked"),
        (3_599, False, False, 0, False, "settled, and not an hour old"),
        (3_600, False, False, 0, True, "settled, and an hour old"),
        (59, True, False, 0, False, "no answer: not within a minute"),
        (60, True, False, 0, True, "no answer: a minute later"),
        (60, True, True, 0, True, "no answer, eagerly awaited: the same"),
        (29, False, True, 0, False, "awaited: no more often than every 30 s"),
        (30, False, True, 0, True, "awaited since just now: every 30 s"),
        (59, False, True, 600, False, "awaited for 10 min: a tenth of that"),
        (60, False, True, 600, True, "awaited for 10 min: every minute"),
        (1_799, False, True, 86_400, False, "awaited for a day: half an hour at most"),
        (1_800, False, True, 86_400, True, "awaited for a day: every half an hour"),
    ],
)
def test_name_is_looked_up_again(
    age: float | None, unseen: bool, eager: bool, failing_for: float, due: bool, why: str
) -> None:
    """Often while a person waits for it, rarely when it is settled."""
    sight: Sight[object] | None = None
    if age is not None:
        sight = Unseen("time-out", NOW - age) if unseen else Seen(Addresses(frozenset()), NOW - age)
    found = question_due(sight, eager=eager, failing_for=failing_for, now=NOW, intervals=Intervals())
    assert found is due, why


def test_short_interval_of_the_settings_counts_for_every_name() -> None:
    """Demo and tests shorten the waits through it."""
    quick = Intervals(dns=5)
    sights: list[Sight[object]] = [Seen(Addresses(frozenset()), NOW - 5), Unseen("time-out", NOW - 5)]
    for sight in sights:
        for eager in (False, True):
            assert question_due(sight, eager=eager, failing_for=86_400, now=NOW, intervals=quick)


@pytest.mark.parametrize(
    ("sight", "due", "why"),
    [
        (None, True, "never asked"),
        (Seen(Txt(("v=STSv1; id=1;",)), NOW - 3_599), False, "there, and not an hour old"),
        (Seen(Txt(("v=STSv1; id=1;",)), NOW - 3_600), True, "there, and an hour old"),
        (Seen(Txt(()), NOW - 299), False, "missing, and the wait is not over"),
        (Seen(Txt(()), NOW - 300), True, "missing, and the wait is over"),
        (Unseen("time-out", NOW - 299), False, "no answer: as if it were missing"),
        (Unseen("time-out", NOW - 300), True, "no answer, and the wait is over"),
    ],
)
def test_missing_record_is_looked_up_more_often_than_one_that_is_there(
    sight: Sight[Txt] | None, due: bool, why: str
) -> None:
    """A person who publishes it sees that within minutes."""
    assert record_due(sight, NOW, 300) is due, why


@pytest.mark.parametrize(
    ("dns", "missing", "seconds"), [(3_600, 1, 300), (3_600, 1_000, 1_500), (3_600, 9_000, 3_600), (5, 1, 5)]
)
def test_many_missing_records_are_looked_up_less_often(dns: float, missing: int, seconds: float) -> None:
    """Never less often than the settings say."""
    assert record_interval(dns, missing) == seconds


@pytest.mark.parametrize(
    ("checked_at", "rushed", "due", "why"),
    [
        ({}, "", ["a", "b", "c"], "never checked"),
        ({"a": NOW - 600, "b": NOW - 599, "c": NOW}, "", ["a"], "one is due"),
        ({"a": NOW - 700, "b": NOW - 900, "c": NOW - 800}, "", ["b", "c", "a"], "the oldest first"),
        ({"a": NOW - 900, "c": NOW}, "", ["b", "a"], "one that was never checked comes before"),
        ({"a": NOW - 900, "c": NOW}, "c", ["c", "b", "a"], "one that a person waits for comes first"),
        ({"a": NOW + 1, "b": NOW, "c": NOW}, "", ["a"], "checked in the future: the clock was set back"),
    ],
)
def test_sender_checks_come_in_turn(
    checked_at: dict[str, float], rushed: str, due: list[str], why: str
) -> None:
    """In this order, as many as are to be begun."""
    for most in (3, 1):
        found = checks_due("cab", checked_at, frozenset(rushed), NOW, 600, most)
        assert found == due[:most], why


@pytest.mark.parametrize(
    ("base", "count", "seconds"),
    [(3_600, 1, 3_600), (3_600, 1_000, 6_000), (3_600, 9_000, 43_200), (86_400, 9_000, 86_400)],
)
def test_many_domains_are_checked_less_often(base: float, count: int, seconds: float) -> None:
    """Twice a day at least, if the settings do not say less."""
    assert check_interval(base, count) == seconds


@pytest.mark.parametrize(
    ("held", "after", "why"),
    [
        ([], 30, "nothing waits: the poll"),
        ([None, None], 30, "what waits for a change has no time of its own"),
        ([NOW + 12], 12, "something falls due before the poll"),
        ([NOW + 12, NOW + 7, None], 7, "the soonest of them"),
        ([NOW + 3_600], 30, "the poll comes first"),
        ([NOW - 5, NOW], 30, "what was due already was planned in this pass, or waits for something else"),
        ([NOW + 0.01], 0.5, "never without a pause"),
    ],
)
def test_next_pass_is_at_the_poll_or_when_something_falls_due(
    held: list[float | None], after: float, why: str
) -> None:
    """By the passage of time alone."""
    assert next_pass(NOW, POLL, held) == NOW + after, why


@given(st.lists(st.one_of(st.none(), st.floats(NOW - 1e6, NOW + 1e6))), st.integers(5, 3_600))
def test_next_pass_is_always_ahead_and_never_later_than_the_poll(held: list[float | None], poll: int) -> None:
    """No loop without a pause, and no endless sleep."""
    assert NOW + 0.5 <= next_pass(NOW, poll, held) <= NOW + poll


@pytest.mark.parametrize(
    ("now", "left", "why"),
    [
        (NOW, 30, "just begun"),
        (NOW + 29, 1, "nearly over"),
        (NOW + 30, 0, "over"),
        (NOW + 86_400, 0, "the machine slept"),
        (NOW - 1, 0, "the clock was set back: by it, the wait would last until that day comes again"),
        (NOW - 86_400 * 365, 0, "far back"),
    ],
)
def test_wait_ends_when_the_clock_is_set_back(now: float, left: float, why: str) -> None:
    """Seconds that are left."""
    assert time_left(NOW, NOW + 30, now) == left, why
