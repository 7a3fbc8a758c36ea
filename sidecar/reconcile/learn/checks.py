"""Learns from a sender check: findings, ids seen in the DNS, conditions and how long they were true; pure.

Rule for every editor: as in `learn`. On the file generation one text serves every name, so all domains have one
roll-out: the weakest delays it, and a domain that joins before the file is in enforce restarts the soak for all.
A file that is already in enforce stays so, and goes back to testing only for what checks find.
"""

from dataclasses import replace

from sidecar.formats.mtasts_policy import Mode, render
from sidecar.observed import FILE, Backend, CheckRecord, DomainList, Memory, Observed, Seen
from sidecar.observed.checks import REFUSING, ConditionType, Judgement, Status
from sidecar.observed.mailcow import policy_seen
from sidecar.plan.desired_policies.file import joined
from sidecar.plan.desired_policies.policy import automatic, receiving
from sidecar.plan.ownership import served_mode
from sidecar.plan.policy_ids import current, served_to
from sidecar.plan.schedule import check_interval
from sidecar.rollout import FAILURES_TO_STEP_BACK, checked, restarted_soak, stepped_back, together
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
    names = receiving(observed.domains.value, settings)
    interval = check_interval(settings.intervals.check, len(names))
    memory = _without_gone(memory, names, observed.domains.value, by_file=observed.one_file)
    if not observed.views:
        return memory
    checks, announced, rollouts = dict(memory.checks), dict(memory.announced), dict(memory.rollouts)
    for view in observed.views:
        if view.domain not in names:
            continue
        findings = view.findings
        served = served_to(observed, view.domain)
        policy = policy_seen(served)
        if view.id is not None and policy is not None:
            pairs = memory.announced.get(view.domain, ())
            expected = current(observed, view.domain)
            found = judge_id(view.domain, view.id, expected, policy, pairs, shared=view.shared)
            findings = (*findings, found)
            announced[view.domain] = noted(pairs, view.id, render(policy), view.at)
        checks[view.domain] = CheckRecord(view.at, findings)
        if observed.mailcow.value.backend is Backend.NATIVE:
            before = memory.rollout(view.domain)
            rollouts[view.domain] = checked(before, conditions_of(findings), view.at, interval)
    if observed.one_file:
        fresh = {n: c for n, c in checks.items() if 0 <= observed.now - c.at < STALE_AFTER * interval}
        unknown = Judgement(Status.UNKNOWN, "not-checked", "not checked yet, or long ago")
        not_checked = dict.fromkeys(ConditionType, unknown)
        judged = together(
            {name: conditions_of(fresh[name].findings) if name in fresh else not_checked for name in names}
        )
        before = memory.rollout(FILE)
        if joined(names, memory, settings) & checks.keys():
            # Checked for the first time: the soak of the others does not count for it.
            before = restarted_soak(before)
        rollouts[FILE] = checked(before, judged, observed.now, interval)
    return replace(memory, checks=checks, announced=announced, rollouts=rollouts)


def _without_gone(memory: Memory, names: list[str], listed: DomainList, *, by_file: bool) -> Memory:
    """Forgets the checks of domains that are gone or switched off, and the roll-out of the other generation.

    Requests for domains that were deleted since go too: a later domain of the same name starts without them.
    """
    here = frozenset(names)
    kept = {FILE} if by_file else here
    rollouts = {key: one for key, one in memory.rollouts.items() if key in kept}
    checks = {key: one for key, one in memory.checks.items() if key in here}
    if len(rollouts) < len(memory.rollouts) or len(checks) < len(memory.checks):
        announced = {key: pairs for key, pairs in memory.announced.items() if key in here}
        memory = replace(memory, rollouts=rollouts, checks=checks, announced=announced)
    known = {FILE, *(domain.name for domain in listed.domains)}
    retired = memory.retired & known
    moves = tuple(move for move in memory.moves if move.key in known)
    if len(retired) < len(memory.retired) or len(moves) < len(memory.moves):
        memory = replace(memory, retired=retired, moves=moves)
    return memory


def learn_step_back(observed: Observed, settings: Settings) -> Memory:
    """Notes when `mode: auto` leaves enforce, so that it does not return to it at once."""
    memory = observed.memory
    listed = observed.domains.value if isinstance(observed.domains, Seen) else DomainList((), ())
    everyone = [*(domain.name for domain in listed.domains), *(alias.name for alias in listed.aliases)]
    rollouts = dict(memory.rollouts)
    for key, rollout in memory.rollouts.items():
        if served_mode(observed, key) is not Mode.ENFORCE or not automatic(observed, settings, key):
            continue
        aliases = [alias.name for alias in listed.aliases if alias.target == key]
        reports = evidence_for(observed.reports, everyone if key == FILE else [key, *aliases])
        back_at = rollout.stepped_back_at
        is_new = back_at is None or back_at < max(rollout.checked_at, reports.refused_at)
        refused = any(rollout.status(kind) is Status.FALSE for kind in REFUSING)
        by_checks = refused and rollout.refusals >= FAILURES_TO_STEP_BACK
        if is_new and (by_checks or why_step_back(reports, rollout) is not None):
            rollouts[key] = stepped_back(rollout, observed.now)
    return memory if rollouts == dict(memory.rollouts) else replace(memory, rollouts=rollouts)
