"""The roll-out under a simulated clock: testing, enforce, failure, back, enforce again."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.formats.mtasts_policy import Mode
from sidecar.observed.checks import NEEDED, ConditionType, Judgement, Rollout, Stage, Status
from sidecar.observed.reports import NO_EVIDENCE, Reason, ReportsClean
from sidecar.rollout import (
    FAILURES_TO_STEP_BACK,
    SOAK_AFTER_STEP_BACK_S,
    auto_mode,
    checked,
    stage,
    stepped_back,
    together,
)

HOUR = 3_600.0
WEEK = 7 * 86_400.0
T0 = 1_800_000_000.0


def judged(**but: Status) -> dict[ConditionType, Judgement]:
    """All true, but for these (by the name of the condition)."""
    return {kind: Judgement(but.get(kind.name, Status.TRUE), kind.name) for kind in ConditionType}


GOOD = judged()
REFUSED = judged(MX_AUTHENTICATED=Status.FALSE)
UNKNOWN = judged(MX_COVERED=Status.UNKNOWN)


def after(
    rollout: Rollout, *checks: dict[ConditionType, Judgement], start: float = T0, step: float = HOUR
) -> Rollout:
    """The memory after these checks, an hour apart."""
    for number, one in enumerate(checks):
        rollout = checked(rollout, one, start + number * step, HOUR)
    return rollout


def test_whole_rollout_in_a_simulated_clock() -> None:
    """Testing for a week, enforce, a failure seen three times, testing for a day at least, enforce again."""
    memory, served, now = Rollout(), Mode.TESTING, T0
    reported: list[tuple[float, Stage]] = []

    def run(hours: int, check: dict[ConditionType, Judgement], soak: float = WEEK) -> None:
        nonlocal memory, served, now
        for _ in range(hours):
            memory = checked(memory, check, now, HOUR)
            mode = auto_mode(memory, served, soak)
            if served is Mode.ENFORCE and mode is Mode.TESTING:
                memory = stepped_back(memory, now)
            served = mode
            reported.append(((now - T0) / HOUR, stage(memory, served, soak)))
            now += HOUR

    run(200, GOOD)
    run(10, REFUSED)
    run(200, GOOD, soak=0)
    changes = [(after_, b) for (_, a), (after_, b) in pairwise(reported) if a is not b]
    assert reported[0] == (0.0, Stage.SOAKING)
    assert changes == [
        (168.0, Stage.ENFORCED),
        (200.0, Stage.FAILING),
        (200.0 + FAILURES_TO_STEP_BACK - 1, Stage.BLOCKED),
        (210.0, Stage.READY),
        (210.0 + SOAK_AFTER_STEP_BACK_S / HOUR, Stage.ENFORCED),
    ]


def test_soak_of_zero_raises_at_the_first_good_check() -> None:
    """0 is allowed, and still needs proof."""
    assert auto_mode(after(Rollout(), GOOD), Mode.TESTING, 0) is Mode.ENFORCE
    assert auto_mode(after(Rollout(), UNKNOWN), Mode.TESTING, 0) is Mode.TESTING
    assert auto_mode(Rollout(), Mode.TESTING, 0) is Mode.TESTING


def test_clock_that_jumps_counts_for_nothing() -> None:
    """An interval counts at most twice the check interval, and never less than nothing."""
    ahead = checked(after(Rollout(), GOOD), GOOD, T0 + 400 * WEEK, HOUR)
    assert ahead.soaked == 2 * HOUR
    back = checked(ahead, GOOD, T0, HOUR)
    assert back.soaked == 2 * HOUR


def test_unknown_lets_no_time_count_and_resets_none() -> None:
    """A week of checks that could not be made is no week of good ones."""
    soaked = after(Rollout(), *[GOOD] * 11)
    assert soaked.soaked == 10 * HOUR
    later = after(soaked, *[UNKNOWN] * 100, start=T0 + 11 * HOUR)
    assert later.soaked == 10 * HOUR
    assert after(later, GOOD, start=T0 + 111 * HOUR).soaked == 12 * HOUR


def test_failure_resets_the_soak() -> None:
    """Whatever needed condition is false."""
    for kind in NEEDED:
        failed = after(
            after(Rollout(), *[GOOD] * 50), judged(**{kind.name: Status.FALSE}), start=T0 + 50 * HOUR
        )
        assert (failed.soaked, auto_mode(failed, Mode.TESTING, 0)) == (0.0, Mode.TESTING)


def test_missing_reports_hold_nothing_back() -> None:
    """TLSRPT is not needed to enforce."""
    assert auto_mode(after(Rollout(), judged(REPORTS_WANTED=Status.FALSE)), Mode.TESTING, 0) is Mode.ENFORCE


def test_refused_mail_that_senders_reported_holds_enforce_back() -> None:
    """Though our own checks find nothing wrong."""
    good = after(Rollout(), GOOD)
    reported = replace(NO_EVIDENCE, clean=ReportsClean(Status.FALSE, Reason.REFUSED, "certificate-expired"))
    assert auto_mode(good, Mode.TESTING, 0, reported) is Mode.TESTING
    assert auto_mode(good, Mode.TESTING, 0, NO_EVIDENCE) is Mode.ENFORCE
    assert auto_mode(good, Mode.TESTING, 0, NO_EVIDENCE, require_report=True) is Mode.TESTING


@pytest.mark.parametrize(
    ("checks", "mode"),
    [
        ([REFUSED] * (FAILURES_TO_STEP_BACK - 1), Mode.ENFORCE),
        ([REFUSED] * FAILURES_TO_STEP_BACK, Mode.TESTING),
        ([REFUSED, GOOD] * FAILURES_TO_STEP_BACK, Mode.ENFORCE),
        ([REFUSED, UNKNOWN, REFUSED, UNKNOWN, REFUSED], Mode.TESTING),
        ([judged(RECORD_PUBLISHED=Status.FALSE)] * 9, Mode.ENFORCE),
        ([judged(POLICY_SERVED=Status.FALSE)] * 9, Mode.ENFORCE),
        ([UNKNOWN] * 9, Mode.ENFORCE),
    ],
    ids=["not often enough", "seen again", "flapping", "unknown between", "record", "policy", "unknown"],
)
def test_enforce_is_stepped_back_only_for_refused_mail_that_was_seen_again(
    checks: list[dict[ConditionType, Judgement]], mode: Mode
) -> None:
    """A missing record or policy makes no sender refuse mail: it goes on with the cache."""
    assert auto_mode(after(after(Rollout(), GOOD), *checks, start=T0 + HOUR), Mode.ENFORCE, WEEK) is mode


@given(st.lists(st.tuples(st.sampled_from([GOOD, REFUSED, UNKNOWN]), st.floats(-1e6, 1e6)), max_size=30))
def test_soak_is_never_more_than_what_good_checks_can_give(
    steps: list[tuple[dict[ConditionType, Judgement], float]],
) -> None:
    """Whatever the clock does."""
    memory, now = Rollout(), T0
    for check, step in steps:
        memory, now = checked(memory, check, now, HOUR), now + step
        assert 0 <= memory.soaked <= 2 * HOUR * sum(one is GOOD for one, _ in steps)
        assert auto_mode(memory, Mode.TESTING, 1e9) is Mode.TESTING


@pytest.mark.parametrize(
    ("rollout", "served", "expected"),
    [
        (Rollout(), None, Stage.NO_POLICY),
        (Rollout(), Mode.NONE, Stage.LEAVING),
        (Rollout(), Mode.TESTING, Stage.CHECKING),
        (Rollout(), Mode.ENFORCE, Stage.ENFORCED),
        (after(Rollout(), judged(POLICY_SERVED=Status.FALSE)), Mode.TESTING, Stage.PUBLISHING),
        (after(Rollout(), judged(RECORD_PUBLISHED=Status.FALSE)), Mode.TESTING, Stage.ANNOUNCING),
        (after(Rollout(), REFUSED), Mode.TESTING, Stage.BLOCKED),
        (after(Rollout(), UNKNOWN), Mode.TESTING, Stage.CHECKING),
        (after(Rollout(), GOOD), Mode.TESTING, Stage.SOAKING),
        (after(Rollout(), *[GOOD] * 169), Mode.TESTING, Stage.READY),
        (after(Rollout(), REFUSED), Mode.ENFORCE, Stage.FAILING),
    ],
)
def test_stage_is_derived_from_the_conditions(rollout: Rollout, served: Mode | None, expected: Stage) -> None:
    """Each row of the table."""
    assert stage(rollout, served, WEEK) is expected


def test_weakest_domain_holds_one_file_back_and_is_named() -> None:
    """False before unknown before true."""
    found = together({"a.example": GOOD, "b.example": UNKNOWN, "c.example": REFUSED})
    assert found[ConditionType.MX_AUTHENTICATED].message.startswith("c.example: ")
    assert found[ConditionType.MX_COVERED].status is Status.UNKNOWN
    assert found[ConditionType.POLICY_SERVED].status is Status.TRUE


def test_condition_knows_since_when_it_has_its_status() -> None:
    """Not since when it was last checked."""
    memory = after(Rollout(), GOOD, GOOD, REFUSED, REFUSED)
    (since,) = [c.since for c in memory.conditions if c.type is ConditionType.MX_AUTHENTICATED]
    assert since == T0 + 2 * HOUR
    assert [c.type for c in memory.blocking()] == [ConditionType.MX_AUTHENTICATED]


@pytest.mark.parametrize(("wait", "refusals"), [(HOUR / 2 - 1, 1), (HOUR / 2, 2), (HOUR, 2)])
def test_refusal_is_seen_again_after_half_an_interval(wait: float, refusals: int) -> None:
    """A person who asks again at once makes no second look."""
    once = checked(Rollout(), REFUSED, T0, HOUR)
    assert checked(once, REFUSED, T0 + wait, HOUR).refusals == refusals


@pytest.mark.parametrize("minutes", [1, 10, 60])
def test_check_without_an_answer_does_not_change_when_refusals_count(minutes: int) -> None:
    """Nor later: strangers may start checks, by reports."""
    memory, now = Rollout(), T0
    while memory.refusals < FAILURES_TO_STEP_BACK:
        memory = checked(memory, REFUSED, now, HOUR)
        memory = checked(memory, UNKNOWN, now + 30 * minutes, HOUR)
        now += 60 * minutes
    assert HOUR <= now - 60 * minutes - T0 <= 2 * HOUR


@pytest.mark.parametrize("between", [REFUSED, UNKNOWN])
def test_old_refusal_does_not_make_two_quick_checks_count_as_two(
    between: dict[ConditionType, Judgement],
) -> None:
    """Two checks within a minute are one."""
    memory = checked(Rollout(), REFUSED, T0, HOUR)
    memory = checked(memory, between, T0 + 60, HOUR)
    memory = checked(memory, REFUSED, T0 + WEEK, HOUR)
    memory = checked(memory, REFUSED, T0 + WEEK + 60, HOUR)
    assert memory.refusals == FAILURES_TO_STEP_BACK - 1


def test_refusals_of_an_earlier_release_go_on_counting() -> None:
    """Its state has no time of the last one; nor does a clock that was set back stop it."""
    memory = Rollout(refusals=2, checked_at=T0)
    assert checked(memory, REFUSED, T0 + 60, HOUR).refusals == 2
    assert checked(memory, REFUSED, T0 + HOUR, HOUR).refusals == FAILURES_TO_STEP_BACK
    assert checked(memory, REFUSED, T0 - WEEK, HOUR).refusals == FAILURES_TO_STEP_BACK


def test_what_was_not_judged_is_not_known() -> None:
    """It is no condition, and no time counts."""
    covered = {ConditionType.MX_COVERED: GOOD[ConditionType.MX_COVERED]}
    before = after(Rollout(), GOOD, GOOD)
    found = checked(before, covered, T0 + 2 * HOUR, HOUR)
    assert [c.type for c in found.conditions] == [ConditionType.MX_COVERED]
    assert (found.soaked, found.good_at) == (before.soaked, before.good_at)
    assert found.status(ConditionType.MX_AUTHENTICATED) is Status.UNKNOWN
    assert together({"one": covered, "other": {}}) == covered


def test_domain_is_named_only_where_it_holds_the_others_back() -> None:
    """All is well with all of them."""
    fine = {ConditionType.MX_COVERED: Judgement(Status.TRUE, "mx-covered", "every MX is covered")}
    assert together({"one": fine, "other": fine}) == fine


def test_what_is_false_comes_before_what_is_not_known() -> None:
    """A person reads the first."""
    found = after(Rollout(), judged(POLICY_SERVED=Status.UNKNOWN, MX_AUTHENTICATED=Status.FALSE)).blocking()
    assert [c.type for c in found] == [ConditionType.MX_AUTHENTICATED, ConditionType.POLICY_SERVED]
