"""The page of one domain: its steps, findings, records and policy as values; pure.

Rule for every editor: records are shown exactly as `sidecar records` prints them.
"""

from dataclasses import dataclass, replace

from sidecar.formats.domain_name import to_unicode
from sidecar.formats.mtasts_policy import Mode
from sidecar.observed import Certificate, Seen, Unseen
from sidecar.observed.checks import NEEDED, ConditionType, Finding, Severity, Stage, Status
from sidecar.observed.reports import Reason
from sidecar.observed.words import day, span
from sidecar.plan.ownership import Whose
from sidecar.status.judgement import lacking
from sidecar.status.line import Cell, Line, certificate_cell, line_of, need_cell, policy_cell
from sidecar.status.published import PublishedRecord, by_role
from sidecar.status.record_exports import record_line
from sidecar.status.row import Cause, Row, policy_text
from sidecar.status.to_document import adopt_key
from sidecar.status.wording import CONDITION, LIGHT_OF, SEVERITY, STAGE_SENTENCE, Light
from sidecar.web.view import Site

_TRUTH = {Status.TRUE: Light.GOOD, Status.FALSE: Light.ATTENTION, Status.UNKNOWN: Light.UNKNOWN}


@dataclass(frozen=True, slots=True)
class Step:
    """One condition for a reliable policy; `since` in Unix seconds."""

    title: str
    light: Light
    text: str
    since: float | None = None
    reports: bool = False
    """Whether the page of TLS reports shows more."""


@dataclass(frozen=True, slots=True)
class RecordView:
    """A record to publish, and whether the DNS has it."""

    title: str
    owner: str
    type: str | None
    """None while the record is not known; then `value` and `line` are None, too."""
    value: str | None
    line: str | None
    """In the form of a zone file."""
    cell: Cell
    note: str
    found: str
    published: PublishedRecord | None = None
    """Its state at the DNS account that serves it; None if a person has to publish it."""


@dataclass(frozen=True, slots=True)
class FindingView:
    """A finding with its light and its word; `mentioned`: its sentence is already shown under "What to do"."""

    light: Light
    word: str
    finding: Finding
    mentioned: bool = False


@dataclass(frozen=True, slots=True)
class Soak:
    """How long all checks have passed and must pass (seconds)."""

    soaked: float
    needed: float
    text: str


@dataclass(frozen=True, slots=True)
class DomainDetail:
    """Everything on the page except the time line."""

    line: Line
    at: float
    explained: str
    steps: tuple[Step, ...]
    todo: tuple[tuple[str, str | None], ...]
    """What a person should know or do: a sentence, and what to do."""
    next: tuple[str, ...]
    """What the sidecar does next or waits for."""
    findings: tuple[FindingView, ...]
    fine: tuple[FindingView, ...]
    checked_at: float | None
    records: tuple[RecordView, ...]
    policy_text: str | None
    policy_trouble: str | None
    """Why the served policy is unknown."""
    policy_whose: str
    soak: Soak | None
    adopt_key: str | None
    """The key for `adopt`; None if there is nothing to adopt."""


def detail_of(site: Site, name: str) -> DomainDetail:
    """The page of a domain; raises KeyError for one that mailcow does not have."""
    row = site.rows[name]
    line = line_of(row)
    found = sorted(row.check.findings, key=lambda f: -f.severity.rank) if row.check else []
    todo = _todo(row)
    mentioned = {text for pair in todo for text in pair if text}
    causes = _causes(row)
    named = {(cause.code, cause.subject) for cause in causes}
    shown = [
        FindingView(LIGHT_OF[f.severity], SEVERITY[f.severity], f, (f.code, f.subject) in named)
        for f in found
    ]
    known = {text for cause in causes for text in (cause.message, cause.todo) if text}
    coming = [f"{action.verb}: {action.reason}" for action in row.todo]
    for held in row.held:
        shown_above = any(held.reason in text for text in known)
        why = replace(held, reason="see above").why if shown_above else held.why
        remedy = "" if held.remedy is None or held.remedy in known else f"; {held.remedy}"
        coming.append(f"waits to {held.action.verb}: {why}{remedy}")
    soak = None
    if row.mode is Mode.TESTING and row.stage in {Stage.SOAKING, Stage.READY}:
        soaked = min(row.rollout.soaked, row.soak)
        soak = Soak(soaked, row.soak, f"{span(soaked)} of {span(row.soak)}")
    explained = STAGE_SENTENCE[line.stage] if line.stage else line.cause.message
    sentences = mentioned | {f.message for f in found}
    return DomainDetail(
        line=line,
        at=site.status.at,
        explained="" if explained in mentioned else explained,
        steps=tuple(replace(step, text="") if step.text in sentences else step for step in _steps(row)),
        todo=todo,
        next=tuple(dict.fromkeys(coming)),
        findings=tuple(view for view in shown if view.finding.severity is not Severity.OK),
        fine=tuple(view for view in shown if view.finding.severity is Severity.OK),
        checked_at=row.check.at if row.check else None,
        records=_records(row),
        policy_text=policy_text(row),
        policy_trouble=row.served.reason if isinstance(row.served, Unseen) else None,
        policy_whose=_WHOSE.get(row.whose, "") if row.whose else "",
        soak=soak,
        adopt_key=adopt_key(row),
    )


_WHOSE = {
    Whose.OURS: "The sidecar wrote it and keeps it up to date.",
    Whose.PERSONS: "A person made or changed it: the sidecar leaves it as it is until it is adopted.",
    Whose.NOBODYS: "Nothing is served.",
}


def _steps(row: Row) -> tuple[Step, ...]:
    """The steps to a reliable policy, in their order; each from its DNS record, its check or both."""
    if row.stage is None:
        return ()
    policy, certificate = policy_cell(row), certificate_cell(row)
    mode = f"mode {row.mode.value}, " if row.mode else ""
    steps = [Step("mailcow serves a policy", policy.light, f"{mode}{policy.text}")]
    match row.certificate:
        case Seen(Certificate(not_after=until)):
            text = f"valid until {day(until)}"
        case _:
            text = certificate.text
    steps.append(Step(f"mta-sts.{to_unicode(row.domain)} is in the certificate", certificate.light, text))
    needs = {} if row.records is None else dict(zip(_ROLES, row.records.needs, strict=True))
    conditions = {condition.type: condition for condition in row.rollout.conditions}
    for title, need, kind in (
        ("The policy host is in the DNS", needs.get("host"), None),
        (CONDITION[ConditionType.POLICY_SERVED], None, ConditionType.POLICY_SERVED),
        (CONDITION[ConditionType.RECORD_PUBLISHED], needs.get("id"), ConditionType.RECORD_PUBLISHED),
        (CONDITION[ConditionType.MX_COVERED], None, ConditionType.MX_COVERED),
        (CONDITION[ConditionType.MX_AUTHENTICATED], None, ConditionType.MX_AUTHENTICATED),
        (CONDITION[ConditionType.REPORTS_WANTED], needs.get("report"), ConditionType.REPORTS_WANTED),
    ):
        found: list[Step] = []
        if need is not None:
            cell = need_cell(need)
            found.append(Step(title, cell.light, cell.text))
        condition = conditions.get(kind) if kind else None
        if condition is not None:
            light = _TRUTH[condition.status]
            if condition.status is Status.FALSE and row.mode is Mode.ENFORCE and condition.type in NEEDED:
                light = Light.FAILING
            text = condition.message or condition.status.value
            found.append(Step(title, light, text, condition.since))
        # The worse result counts; with equal lights, the result of the check is more precise.
        steps += sorted(found, key=lambda step: (step.light.rank, step.since is None))[:1]
    clean = row.reports.clean
    if clean.reason is not Reason.NONE:  # most small domains never get a report
        light = Light.OFF if clean.status is Status.UNKNOWN else _TRUTH[clean.status]
        text = f"{clean.message}; {clean.seen.sentence}" if clean.seen else clean.message
        steps.append(Step("Senders report no failures", light, text, clean.since, reports=True))
    return tuple(steps)


_ROLES = ("host", "id", "report")


def _todo(row: Row) -> tuple[tuple[str, str | None], ...]:
    """What to do. A missing record is one item, even if notices and findings also ask for it; it is shown below, to copy."""
    records = lacking(row)
    owners = {cause.subject for cause in records if cause.todo}
    found: list[tuple[str, str | None]] = []
    for cause in _causes(row):
        if cause in records:
            found.append((cause.sentence, "publish the record below" if cause.todo else None))
        elif cause.subject not in owners or cause.todo is None or cause.subject not in cause.todo:
            found.append((cause.sentence, cause.todo))
    return tuple(dict.fromkeys(found))


def _causes(row: Row) -> list[Cause]:
    """What needs a person, or is not known, and the notices."""
    causes = row.judgement.needs or ((row.judgement.cause,) if row.judgement.light is Light.UNKNOWN else ())
    return [*causes, *(Cause(Light.OFF, n.code, n.message, n.todo, n.subject) for n in row.notices)]


def _records(row: Row) -> tuple[RecordView, ...]:
    records = row.records
    if records is None:
        return ()
    mine = by_role(row.own_records)
    return tuple(
        RecordView(
            title,
            need.owner,
            None if need.record is None else need.record.type,
            None if need.record is None else need.record.value,
            None if need.record is None else record_line(need.record, records.ttl),
            need_cell(need),
            need.note,
            need.found,
            mine.get(role),
        )
        for role, title, need in zip(
            _ROLES, ("Policy host", "Policy id", "Reports"), records.needs, strict=True
        )
    )
