"""How often acme-mailcow may be restarted: by our restarts and by the dates that acme left."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.observed import Restart
from sidecar.plan.acme.run import DAY_S, SAME_RUN_S, WEEK_S, exhausted, starts
from sidecar.settings import RestartSettings
from tests.worlds import NOW

DEFAULT = RestartSettings()
HOUR = 3_600


def ours(*ages: float, names: tuple[str, ...] = ("old",)) -> list[Restart]:
    """Restarts so many seconds ago."""
    return [Restart(NOW - age, names) for age in ages]


@pytest.mark.parametrize(
    ("restarts", "orders", "ages", "why"),
    [
        ([], [], [], "nothing happened"),
        ([500], [], [500], "ours, that replaced no certificate"),
        ([], [500], [500], "somebody else's, or ours before the state was lost"),
        ([500], [440], [500], "acme leaves its folder a minute after our restart"),
        ([500], [500], [500], "in the same second"),
        ([5_000], [5_000 - SAME_RUN_S], [5_000], "at the end of a long run"),
        ([5_000], [4_999 - SAME_RUN_S], [5_000, 4_999 - SAME_RUN_S], "too long after it: another run"),
        ([500], [501], [501, 500], "before our restart: another run"),
        ([], [500, 490, 480], [500], "several folders of one run (ENABLE_SSL_SNI)"),
        ([5_000], [4_990, 4_980, 1_000], [5_000, 1_000], "several of ours, and one of another run"),
        ([], [5_000, 4_500, 4_000], [5_000, 4_000], "no chain: counted from the first of a run"),
        ([1_000, 9_000], [8_990, 5_000, 990], [9_000, 5_000, 1_000], "in whatever order they come"),
    ],
)
def test_each_run_counts_once(
    restarts: list[float], orders: list[float], ages: list[float], why: str
) -> None:
    """Ours and anybody's, oldest first."""
    assert starts(ours(*restarts), [NOW - age for age in orders]) == [NOW - age for age in ages], why


@given(st.lists(st.integers(0, 10**6)), st.lists(st.integers(0, 10**6)))
def test_order_that_is_counted_in_never_makes_fewer_runs(restarts: list[int], orders: list[int]) -> None:
    """Each of ours counts, and they come out in order."""
    found = starts(ours(*restarts), [NOW - age for age in orders])
    assert found == sorted(found)
    assert len(restarts) <= len(found) <= len(restarts) + len(orders)


@pytest.mark.parametrize(
    ("ages", "until", "why"),
    [
        ([], None, "never restarted"),
        ([HOUR - 1], 1, "an hour apart"),
        ([HOUR], None, "an hour is over"),
        ([HOUR, 2 * HOUR, 3 * HOUR, 4 * HOUR, 5 * HOUR], None, "five within a day"),
        ([n * HOUR for n in range(1, 7)], DAY_S - 6 * HOUR, "six within a day: until the first is a day old"),
        ([n * HOUR for n in range(1, 9)], DAY_S - 6 * HOUR, "eight: until fewer than six are"),
        ([DAY_S, *(n * HOUR for n in range(1, 6))], None, "the sixth is just a day old"),
        ([7 * HOUR * n for n in range(1, 20)], None, "nineteen within a week"),
        ([7 * HOUR * n for n in range(1, 21)], WEEK_S - 7 * HOUR * 20, "twenty: until one is a week old"),
    ],
)
@pytest.mark.parametrize("as_orders", [False, True], ids=["ours", "by acme's folders"])
def test_budget_by_hour_day_and_week(
    ages: list[float], until: float | None, why: str, as_orders: bool
) -> None:
    """The same by what is remembered and by what acme left: a lost state resets nothing."""
    restarts = [] if as_orders else ours(*sorted(ages, reverse=True))
    orders = [NOW - age for age in ages] if as_orders else []
    found = exhausted(restarts, orders, DEFAULT, NOW)
    assert (None if found is None else round((found.until or 0.0) - NOW)) == until, why


def test_reason_says_what_is_used_up() -> None:
    """A person reads it in the log and in `sidecar plan`."""
    reason = [
        found.reason if (found := exhausted(ours(*ages), [], DEFAULT, NOW)) else ""
        for ages in ([60], [n * HOUR for n in range(6, 0, -1)], [7 * HOUR * n for n in range(20, 0, -1)])
    ]
    assert reason[0] == "there are at least 60 min between two restarts; the last was 2027-01-15 07:59+00:00"
    assert reason[1:] == ["6 of 6 restarts a day are used", "20 of 20 restarts in 7 days are used"]


def test_budget_of_none_at_all_never_restarts() -> None:
    """`per_day: 0` is a way to say no."""
    assert exhausted([], [], RestartSettings(per_day=0), NOW) is not None


@given(st.lists(st.integers(0, 2 * WEEK_S), max_size=40))
def test_time_that_is_promised_is_kept(ages: list[int]) -> None:
    """Asked again at `until`, again and again, it is allowed in the end, and never sooner than said."""
    restarts = ours(*sorted(ages, reverse=True))
    now = NOW
    for _ in range(60):
        found = exhausted(restarts, [], DEFAULT, now)
        if found is None:
            break
        assert found.until is not None
        assert found.until > now
        assert exhausted(restarts, [], DEFAULT, found.until - 1) is not None
        now = found.until
    assert exhausted(restarts, [], DEFAULT, now) is None
