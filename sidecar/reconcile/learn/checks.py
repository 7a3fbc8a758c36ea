"""Learns from a sender check: findings, ids seen in the DNS, conditions and how long they were true; pure.

Rule for every editor: as in `learn`. On the file generation one text serves every name, so all domains have one
roll-out: the weakest delays it, and a domain that joins before the file is in enforce restarts the soak for all.
A file that is already in enforce stays so, and goes back to testing only for what checks find.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace

from sidecar.formats.mtasts_policy import Mode, policy_of, render
from sidecar.observed import FILE, Announced, Backend, CheckRecord, Memory, Observed, Seen, SenderView
from sidecar.observed.checks import REFUSING, ConditionType, Judgement, Rollout, Status
from sidecar.observed.reports import ReportEvidence
from sidecar.plan.desired import automatic, joined, managed
from sidecar.plan.policy_ids import current, served_to
from sidecar.plan.schedule import check_interval
from sidecar.rollout import SEEN_AGAIN, checked, restarted_soak, stepped_back, together
from sidecar.rollout.evidence import conditions_of
from sidecar.rollout.reports import evidence_for, why_step_back
from sidecar.settings import Settings
from sidecar.verify.rules.policy_id import judge_id, noted

STALE_AFTER = 4
"""Check intervals after which the findings of a domain are too old to use."""


def learn_checks(observed: Observed, settings: Settings) -> Memory:
    """The memory with the results of the finished checks, and without domains that are gone."""
    memory = observed.memory
    if not isinstance(observed.domains, Seen) or not isinstance(observed.mailcow, Seen):
        return memory
    names = [d.name for d in managed(observed.domains.value, settings) if d.receives]
    interval = check_interval(settings.intervals.check, len(names))
    memory = _without(memory, frozenset(names), by_file=observed.one_file)
    memory = _without_wishes(memory, {d.name for d in observed.domains.value.domains})
    if not observed.views:
        return memory
    checks, announced, rollouts = dict(memory.checks), dict(memory.announced), dict(memory.rollouts)
    for view in observed.views:
        if view.domain not in names:
            continue
        view_, pairs = _with_id(observed, view)
        checks[view.domain] = CheckRecord(view_.at, view_.findings)
        if pairs:
            announced[view.domain] = pairs
        if observed.mailcow.value.backend is Backend.NATIVE:
            before = memory.rollout(view.domain)
            rollouts[view.domain] = checked(before, conditions_of(view_.findings), view_.at, interval)
    if observed.one_file:
        judged = _together(names, checks, observed.now, STALE_AFTER * interval)
        before = memory.rollout(FILE)
        if joined(names, memory, settings) & checks.keys():
            # Checked for the first time: the soak of the others does not count for it.
            before = restarted_soak(before)
        rollouts[FILE] = checked(before, judged, observed.now, interval)
    return replace(memory, checks=checks, announced=announced, rollouts=rollouts)


def _without(memory: Memory, names: frozenset[str], *, by_file: bool) -> Memory:
    """Forgets domains that are gone or switched off, and the roll-out of the other generation."""
    kept = {FILE} if by_file else names
    rollouts = {key: one for key, one in memory.rollouts.items() if key in kept}
    checks = {key: one for key, one in memory.checks.items() if key in names}
    if len(rollouts) == len(memory.rollouts) and len(checks) == len(memory.checks):
        return memory
    announced = {key: pairs for key, pairs in memory.announced.items() if key in names}
    return replace(memory, rollouts=rollouts, checks=checks, announced=announced)


def _without_wishes(memory: Memory, known: Collection[str]) -> Memory:
    """Drops requests for domains that were deleted since: a later domain of the same name starts without them."""
    retired = frozenset(key for key in memory.retired if key == FILE or key in known)
    moves = tuple(move for move in memory.moves if move.key == FILE or move.key in known)
    if len(retired) == len(memory.retired) and len(moves) == len(memory.moves):
        return memory
    return replace(memory, retired=retired, moves=moves)


def _with_id(observed: Observed, view: SenderView) -> tuple[SenderView, tuple[Announced, ...]]:
    """The view with the finding about its id, and the pairs of id and text including this one."""
    pairs = observed.memory.announced.get(view.domain, ())
    served = served_to(observed, view.domain)
    policy = policy_of(served.value.text) if isinstance(served, Seen) else None
    if view.id is None or policy is None:
        return view, pairs
    expected = current(observed, view.domain)
    finding = judge_id(view.domain, view.id, expected, policy, pairs, shared=view.shared)
    return replace(view, findings=(*view.findings, finding)), noted(pairs, view.id, render(policy), view.at)


def _together(
    names: list[str], checks: Mapping[str, CheckRecord], now: float, stale_after: float
) -> dict[ConditionType, Judgement]:
    unknown = {
        kind: Judgement(Status.UNKNOWN, "not-checked", "not checked yet, or long ago")
        for kind in ConditionType
    }
    return together(
        {
            name: conditions_of(record.findings)
            if (record := checks.get(name)) is not None and 0 <= now - record.at < stale_after
            else unknown
            for name in names
        }
    )


def learn_step_back(observed: Observed, modes: Mapping[str, Mode | None], settings: Settings) -> Memory:
    """Notes when `mode: auto` leaves enforce, so that it does not return to it at once; `modes` are those served."""
    memory = observed.memory
    rollouts = dict(memory.rollouts)
    for key, rollout in memory.rollouts.items():
        if modes.get(key) is not Mode.ENFORCE or not automatic(observed, settings, key):
            continue
        reports = evidence_for(observed.reports, _names(observed, key))
        if _gives_up(rollout, reports):
            rollouts[key] = stepped_back(rollout, observed.now)
    return memory if rollouts == dict(memory.rollouts) else replace(memory, rollouts=rollouts)


def _names(observed: Observed, key: str) -> list[str]:
    """The domains that are served the policy of `key`, alias domains too."""
    if not isinstance(observed.domains, Seen):
        return [key]
    listed = observed.domains.value
    if key == FILE:
        return [*(domain.name for domain in listed.domains), *(alias.name for alias in listed.aliases)]
    return [key, *(alias.name for alias in listed.aliases if alias.target == key)]


def _gives_up(rollout: Rollout, reports: ReportEvidence) -> bool:
    new = rollout.stepped_back_at is None or rollout.stepped_back_at < max(
        rollout.checked_at, reports.refused_at
    )
    by_checks = rollout.refusals >= SEEN_AGAIN and any(
        rollout.status(kind) is Status.FALSE for kind in REFUSING
    )
    return new and (by_checks or why_step_back(reports, rollout) is not None)
