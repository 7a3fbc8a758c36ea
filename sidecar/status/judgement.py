"""Decides whether a domain needs a person, and why. This is the only place; pure.

Command line, page, API, metrics and notifications all show this judgement.

Rule for every editor: a domain has one light and one cause, the worst. What the sidecar repairs itself, what it waits
for and what is unknown does not need a person.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from sidecar.formats.domain_name import to_unicode
from sidecar.formats.mtasts_policy import Mode
from sidecar.observed import Unseen
from sidecar.observed.checks import Condition, Finding, Severity, Stage
from sidecar.observed.checks import Status as Truth
from sidecar.observed.notice import Level, NoticeCode
from sidecar.observed.words import command, span
from sidecar.plan.ownership import Whose
from sidecar.plan.records import RecordState
from sidecar.settings import Managed
from sidecar.status.published import BY_ITSELF
from sidecar.status.record_exports import record_line
from sidecar.status.row import Care, Cause, Row, Verdict
from sidecar.status.wording import STAGE_SENTENCE, Light
from sidecar.verify.probe_codes import MX_UNCOVERED, POLICY_HOST_MISSING, TLSRPT_NONE, TXT_NONE, TXT_NXDOMAIN
from sidecar.verify.rules.policy_id import ID_STALE


def judge(row: Row) -> Verdict:
    """The light of a domain, its cause, and the tasks for a person."""
    needs = [*_failing(row), *_waiting(row)]
    if not needs and row.stage is Stage.BLOCKED and not row.todo and not row.held:
        # An MX would be refused, and nothing else reports it: all domains of one policy file are blocked together.
        message = row.blocking[0].message or STAGE_SENTENCE[Stage.BLOCKED]
        todo = _remedy(row, row.blocking)
        needs = [Cause(Light.ATTENTION, "stage-blocked", message, todo, row.domain)]
    if row.reports.old:
        # An old id in the DNS, with a sender that was seen to apply the old policy because of it.
        holder = row.reports.old[0].seen_with_old(row.at)
        needs = [
            replace(cause, message=f"{cause.message}; {holder}") if cause.code == ID_STALE.name else cause
            for cause in needs
        ]
    if needs:
        return Verdict(needs[0].light, needs[0], tuple(needs))
    if row.care is not Care.EXCLUDED and isinstance(row.served, Unseen):
        cause = Cause(Light.UNKNOWN, "not-seen", row.served.reason, None, row.domain)
    else:
        cause = _off(row) or _progress(row)
    return Verdict(cause.light, cause)


_RANK = {severity: severity.rank for severity in Severity}
"""A table, because `rank` counts at each call and thousands of domains need it tens of thousands of times."""


# --- what needs a person ---------------------------------------------------------------------------------


def _failing(row: Row) -> Iterator[Cause]:
    """Problems that make senders refuse mail now, and errors."""
    found = False
    # A finding is more precise than the roll-out notice that it caused.
    for finding in _graver(row, _failing_from(row)):
        found = True
        yield _of_finding(Light.FAILING, finding)
    for notice in row.notices:
        if notice.level is Level.ERROR:
            found = True
            yield Cause(Light.FAILING, notice.code, notice.message, notice.todo, notice.subject)
    if row.stage is Stage.FAILING and not found:
        blocking = row.blocking
        message = blocking[0].message if blocking else STAGE_SENTENCE[Stage.FAILING]
        yield Cause(
            Light.FAILING, blocking[0].reason if blocking else "stage-failing", message, None, row.domain
        )


def _waiting(row: Row) -> Iterator[Cause]:
    """What the roll-out waits for and only a person can do."""
    lacks = lacking(row)
    yield from lacks
    # Without any record the planner's notice about the name says the same, and with the same line to publish.
    no_host = (
        row.records is not None
        and row.records.host.standing is RecordState.MISSING
        and any(cause.subject == row.records.host.owner for cause in lacks)
    )
    for notice in row.notices:
        if notice.level is Level.WARNING and not (no_host and notice.code is NoticeCode.NAME_NOT_READY):
            yield Cause(Light.ATTENTION, notice.code, notice.message, notice.todo, notice.subject)
    if row.care is not Care.MANAGED:
        return
    clean = row.reports.clean
    if clean.status is Truth.FALSE:  # failures that proven senders report, and that have not passed
        todo = f"see what it means and what to do: {command(f'reports {row.domain}')}"
        yield Cause(Light.ATTENTION, clean.reason.value, clean.message, todo, row.domain)
    # What the sidecar is about to repair or waits for is not a task for a person.
    busy = bool(row.todo or row.held)
    reported_above = _RANK[_failing_from(row)]
    named = any(notice.code is NoticeCode.MX_UNCOVERED for notice in row.notices)
    asked_for = {cause.subject for cause in lacks} | _published_later(row)
    for finding in _graver(row, Severity.ERROR if busy else Severity.WARNING):
        if finding.code in _ABSENT and finding.subject in asked_for:
            continue  # the record is asked for already, with the line to publish, or nobody has to do it
        if named and finding.code == MX_UNCOVERED.name:
            continue  # the planner's notice says the same, with the line to write
        if _RANK[finding.severity] < reported_above and (finding.todo or not busy):
            yield _of_finding(Light.ATTENTION, finding)


def _published_later(row: Row) -> set[str]:
    """The names whose records the sidecar is about to publish, or published after the last check."""
    checked_at = row.check.at if row.check is not None else 0.0
    known = {one.owner: one for one in row.own_records}
    later = {
        owner
        for owner, one in known.items()
        if not one.adoptable and (not one.right or one.since > checked_at)
    }
    needs = row.records.needs if row.records is not None else ()
    return later | {need.owner for need in needs if need.note == BY_ITSELF and need.owner not in known}


_ABSENT = {POLICY_HOST_MISSING.name, TXT_NONE.name, TXT_NXDOMAIN.name, TLSRPT_NONE.name}
"""Findings that say only that a record does not exist."""


def _remedy(row: Row, blocking: Sequence[Condition]) -> str | None:
    """What to do about the first condition that holds the domain back: that of the finding which decided it."""
    found = row.check.findings if row.check else ()
    reasons = {condition.reason for condition in blocking[:1]}
    return next((finding.todo for finding in found if finding.code in reasons), None)


def _failing_from(row: Row) -> Severity:
    """An error fails a domain only where senders enforce its policy."""
    return Severity.ERROR if row.mode is Mode.ENFORCE else Severity.CRITICAL


def _graver(row: Row, least: Severity) -> list[Finding]:
    """The findings of at least this severity, the most severe first."""
    found = row.check.findings if row.check else ()
    grave = [finding for finding in found if _RANK[finding.severity] >= _RANK[least]]
    return sorted(grave, key=lambda finding: -_RANK[finding.severity])


def _of_finding(light: Light, finding: Finding) -> Cause:
    return Cause(light, finding.code, finding.message, finding.todo, finding.subject)


def lacking(row: Row) -> list[Cause]:
    """The records of a managed domain that a person has to publish, each with its line of a zone file."""
    if row.records is None or row.care is not Care.MANAGED:
        return []
    needs = zip(("host", "id", "report"), row.records.needs, strict=True)
    # What a person put there has its own notice, which says what is there and how to adopt it.
    foreign = {one.owner for one in row.own_records if one.adoptable}
    causes = []
    for role, need in needs:
        if not need.lacking or need.owner in foreign:
            continue
        word = "has another record" if need.standing is RecordState.DIFFERENT else "is missing in the DNS"
        todo = None if need.record is None else f"publish: {record_line(need.record, row.records.ttl)}"
        causes.append(Cause(Light.ATTENTION, f"record-{role}", f"{need.owner} {word}", todo, need.owner))
    return causes


# --- what does not --------------------------------------------------------------------------------------


def _off(row: Row) -> Cause | None:
    if row.care is not Care.MANAGED and row.mode is not Mode.NONE:
        message = f"{to_unicode(row.domain)} is {_CARE[row.care]}."
        code = "served-elsewhere" if row.care is Care.ELSEWHERE else "left-alone"
        todo = next((n.todo for n in row.notices if n.code is NoticeCode.POLICY_ELSEWHERE), None)
        return Cause(Light.OFF, code, message, todo, row.domain)
    policies = [held for held in row.held if held.action.managed_by is Managed.POLICIES]
    if row.whose is Whose.PERSONS and policies:
        message = f"A person made this policy, so the sidecar does not change it: {policies[0].reason}"
        return Cause(Light.OFF, "by-hand", message, policies[0].remedy, row.domain)
    return None


_CARE = {
    Care.MANAGED: "managed",
    Care.EXCLUDED: "excluded by the settings",
    Care.INACTIVE: "switched off in mailcow",
    Care.BACKUP_MX: "only a backup MX here",
    Care.ELSEWHERE: "served its policy elsewhere, which is left alone",
    Care.RETIRED: "taken out of MTA-STS",
}


def _progress(row: Row) -> Cause:
    """What is done next or waited for; else what the stage says."""
    if row.todo:
        message = f"Next: {row.todo[0].verb}, because {row.todo[0].reason}"
        return Cause(Light.WORKING, "planned", message, None, row.domain)
    if row.held:
        held = row.held[0]
        message = f"Waiting to {held.action.verb}: {held.why}"
        return Cause(Light.WORKING, "held", message, held.remedy, row.domain)
    match row.stage:
        case Stage.SOAKING if row.auto:
            left = span(max(0.0, row.soak - row.rollout.soaked))
            message = f"All checks pass; if they pass for {left} more, the policy is raised to enforce."
            return Cause(Light.WORKING, "soaking", message, None, row.domain)
        case Stage.READY if row.auto and row.reports.clean.holds_step_up(require=row.require_report):
            message = (
                f"All checks pass; raising the policy waits for senders' reports: {row.reports.clean.message}"
            )
            return Cause(Light.WORKING, "reports-awaited", message, None, row.domain)
        case Stage.CHECKING if row.rollout.checked_at:
            blocking = row.blocking
            message = (
                blocking[0].message if blocking and blocking[0].message else STAGE_SENTENCE[Stage.CHECKING]
            )
            return Cause(Light.UNKNOWN, "checking", message, _remedy(row, blocking), row.domain)
        case _:
            light = _LIGHT_OF_STAGE.get(row.stage, Light.GOOD) if row.stage else Light.OFF
            sentence = STAGE_SENTENCE[row.stage] if row.stage else str(row.care)
            return Cause(light, f"stage-{row.stage or 'none'}", sentence, None, row.domain)


_LIGHT_OF_STAGE = {
    Stage.NO_POLICY: Light.WORKING,
    Stage.PUBLISHING: Light.WORKING,
    Stage.ANNOUNCING: Light.WORKING,
    Stage.BLOCKED: Light.ATTENTION,
    Stage.CHECKING: Light.WORKING,
    Stage.LEAVING: Light.WORKING,
}
