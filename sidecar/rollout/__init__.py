"""How strict a policy may be: conditions from checks, how long they have been true, and the resulting stage; pure.

Rules for every editor: the stage is derived and never stored. An unknown condition pauses the soak and does not
reset it. Only refused mail sets a policy back to testing: as `FAILURES_TO_STEP_BACK` checks in a row find it, or as
senders report it (`reports.why_step_back`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from sidecar.formats.mtasts_policy import Mode
from sidecar.observed.checks import (
    NEEDED,
    REFUSING,
    Condition,
    ConditionType,
    Judgement,
    Rollout,
    Stage,
    Status,
)
from sidecar.observed.reports import NO_EVIDENCE, ReportEvidence
from sidecar.rollout.reports import why_step_back

FAILURES_TO_STEP_BACK = 3
"""Checks in a row that must fail before a policy in enforce is set back to testing."""
SOAK_AFTER_STEP_BACK_S = 86_400.0
"""A minimum, so that the mode does not flap if the soak is configured very short."""


def checked(
    before: Rollout, judged: Mapping[ConditionType, Judgement], now: float, interval: float
) -> Rollout:
    """The memory after a check that judged these conditions at `now`.

    Between two good checks at most twice the `interval` counts for the soak: a clock that jumps, or a machine that
    slept, does not shorten it.
    """
    conditions: list[Condition] = []
    for kind in ConditionType:
        if (found := judged.get(kind)) is None:
            continue
        earlier = next((c for c in before.conditions if c.type is kind and c.status is found.status), None)
        # A time in the future is from before the clock was set back.
        since = now if earlier is None else min(earlier.since, now)
        conditions.append(Condition(kind, found.status, found.reason, found.message, since))
    after = replace(before, conditions=tuple(conditions), checked_at=now)
    needed = [judged.get(kind, Judgement(Status.UNKNOWN)).status for kind in NEEDED]
    refusing = [judged.get(kind, Judgement(Status.UNKNOWN)).status for kind in REFUSING]
    if Status.FALSE in refusing:
        # Checks of other domains that the same file serves, or repeated checks by a person, do not confirm the same
        # trouble: at least half an interval has to pass between two refusals, also if a check in between had no answer.
        # A state of an earlier release has no `refused_at`; a time in the future is from before the clock was set back.
        last = before.checked_at if before.refused_at is None else before.refused_at
        if not before.refusals or not 0 <= now - last < interval / 2:
            after = replace(after, refusals=before.refusals + 1, refused_at=now)
    elif Status.UNKNOWN not in refusing:
        after = replace(after, refusals=0, refused_at=None)
    if Status.FALSE in needed:
        return replace(after, soaked=0.0, good_at=None)
    if Status.UNKNOWN in needed:
        return after
    gained = 0.0 if before.good_at is None else min(max(0.0, now - before.good_at), 2 * interval)
    return replace(after, soaked=before.soaked + gained, good_at=now)


def auto_mode(
    rollout: Rollout,
    served: Mode | None,
    soak: float,
    reports: ReportEvidence = NO_EVIDENCE,
    *,
    require_report: bool = False,
) -> Mode:
    """The mode of `mode: auto` now: first testing, then enforce once all conditions were true for `soak` seconds.

    Reports of senders only ever delay enforce or step it back; none is needed unless `require_report`.
    """
    if served is Mode.ENFORCE:
        given_up = rollout.refusals >= FAILURES_TO_STEP_BACK or why_step_back(reports, rollout) is not None
        return Mode.TESTING if given_up else Mode.ENFORCE
    if reports.clean.holds_step_up(require=require_report):
        return Mode.TESTING
    needed = soak if rollout.stepped_back_at is None else max(soak, SOAK_AFTER_STEP_BACK_S)
    all_true = all(rollout.status(kind) is Status.TRUE for kind in NEEDED)
    return Mode.ENFORCE if all_true and rollout.soaked >= needed else Mode.TESTING


def restarted_soak(rollout: Rollout) -> Rollout:
    """The memory with the soak restarted."""
    return replace(rollout, soaked=0.0, good_at=None)


def stepped_back(rollout: Rollout, now: float) -> Rollout:
    """The memory after a policy in enforce was set back to testing."""
    return replace(restarted_soak(rollout), stepped_back_at=now)


def together(judged: Mapping[str, Mapping[ConditionType, Judgement]]) -> dict[ConditionType, Judgement]:
    """The judgement of all domains that one file serves: the weakest decides, and is named."""
    found: dict[ConditionType, Judgement] = {}
    for kind in ConditionType:
        all_of = {name: one[kind] for name, one in judged.items() if kind in one}
        for status in (Status.FALSE, Status.UNKNOWN, Status.TRUE):
            name = next((name for name, one in all_of.items() if one.status is status), None)
            if name is not None:
                weakest = all_of[name]
                message = weakest.message if status is Status.TRUE else f"{name}: {weakest.message}"
                found[kind] = Judgement(status, weakest.reason, message)
                break
    return found


def stage(rollout: Rollout, served: Mode | None, soak: float) -> Stage:
    """The stage, by the first row of the table that matches."""
    return next(found for fits, found in _STAGES if fits(_Case(rollout, served, soak)))


@dataclass(frozen=True, slots=True)
class _Case:
    rollout: Rollout
    served: Mode | None
    soak: float

    def false(self, *kinds: ConditionType) -> bool:
        return any(self.rollout.status(kind) is Status.FALSE for kind in kinds)

    @property
    def unknown(self) -> bool:
        return any(self.rollout.status(kind) is Status.UNKNOWN for kind in NEEDED)


_STAGES: tuple[tuple[Callable[[_Case], bool], Stage], ...] = (
    (lambda case: case.served is None, Stage.NO_POLICY),
    (lambda case: case.served is Mode.NONE, Stage.LEAVING),
    (lambda case: case.served is Mode.ENFORCE and case.false(*NEEDED), Stage.FAILING),
    (lambda case: case.served is Mode.ENFORCE, Stage.ENFORCED),
    (lambda case: case.false(ConditionType.POLICY_SERVED), Stage.PUBLISHING),
    (lambda case: case.false(ConditionType.RECORD_PUBLISHED), Stage.ANNOUNCING),
    (lambda case: case.false(*REFUSING), Stage.BLOCKED),
    (lambda case: case.unknown, Stage.CHECKING),
    (lambda case: case.rollout.soaked < case.soak, Stage.SOAKING),
    (lambda _: True, Stage.READY),
)
