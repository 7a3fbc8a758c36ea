"""From the status to its document; pure.

Rule for every editor: nothing is decided here. A time that is not a date (a certificate without an end) is null, so
that JSON contains only valid values.
"""

import json
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Literal

from pydantic import BaseModel
from pydantic_core import PydanticSerializationError

from sidecar.observed import Certificate, Seen, Unseen
from sidecar.observed.checks import Stage
from sidecar.observed.notice import Notice
from sidecar.observed.words import iso
from sidecar.plan.actions import Action, Held
from sidecar.plan.ownership import Whose
from sidecar.status import document, line
from sidecar.status.domains import CurrentStatus
from sidecar.status.needs import Item, StatusSummary
from sidecar.status.published import by_role
from sidecar.status.record_exports import record_line
from sidecar.status.row import Care, Row, policy_text
from sidecar.status.wording import Light

_Owner = Literal["ours", "person", "nobody"]
_ROLES: tuple[Literal["host", "id", "report"], ...] = ("host", "id", "report")
_WHOSE: dict[Whose | None, _Owner | None] = {
    Whose.OURS: "ours",
    Whose.PERSONS: "person",
    Whose.NOBODYS: "nobody",
    None: None,
}
_SLUGS = {stage: stage.value.replace(" ", "-") for stage in Stage}


def slug(stage: Stage) -> str:
    """A stage as one word."""
    return _SLUGS[stage]


@lru_cache(maxsize=4_096)
def moment(at: float | None) -> str | None:
    """A Unix time as JSON has it; None for what is not a date."""
    if at is None:
        return None
    try:
        return iso(at)
    except (ValueError, OverflowError, OSError):
        return None


def as_json(model: BaseModel, *, indent: int | None = None) -> str:
    """The JSON text of a part of the document, in ASCII."""
    try:
        return model.model_dump_json(indent=indent, ensure_ascii=True)
    except PydanticSerializationError:
        # Half of a surrogate pair, out of a stranger's text: JSON can escape it, UTF-8 cannot.
        return json.dumps(model.model_dump(), indent=indent)


def document_of(
    status: CurrentStatus | None,
    summary: StatusSummary | None,
    domains: document.Domains | None,
    *,
    release: str,
    dry_run: bool,
    started_at: float | None = None,
    trouble: document.TroubleJson | None = None,
    progress: document.ProgressJson | None = None,
) -> document.Document:
    """The document of one moment; without a status, of a sidecar whose first pass is not over."""
    mailcow: document.MailcowJson | None = None
    if status is not None and isinstance(status.observed.mailcow, Seen):
        seen = status.observed.mailcow.value
        mailcow = document.MailcowJson(
            version=str(seen.version) if seen.version else None,
            backend=seen.backend.value,
            hostname=status.hostname or None,
        )
    lights = status.lights if status else {}
    protection: document.ProtectionJson | None = None
    if summary is not None and (step := summary.protection) is not None:
        protection = document.ProtectionJson(
            ready=list(step.ready),
            soaking=list(step.soaking),
            enforced_from=moment(step.at),
            config=step.config or None,
            message=step.message,
        )
    return document.Document(
        release=release,
        started_at=moment(started_at),
        seen_at=moment(status.at) if status else None,
        dry_run=dry_run,
        readable=status is not None and status.readable,
        mailcow=mailcow,
        headline=summary.headline if summary else None,
        trouble=trouble,
        progress=progress,
        counts=document.CountsJson(**status.counts) if status and status.listed else None,
        statuses=document.Statuses(**{light.value: lights.get(light, 0) for light in Light})
        if status and status.listed
        else None,
        needs=[_need(item) for item in summary.needs] if summary else [],
        unknown=[_need(item) for item in summary.unknown] if summary else [],
        protection=protection,
        planned=_planned(status.todo) if status else [],
        held=_held(status.held) if status else [],
        notices=_notices(status.notices) if status else [],
        domains=domains if status and status.listed else None,
    )


def _need(item: Item) -> document.NeedJson:
    cause = item.cause
    return document.NeedJson(
        status=cause.light,
        code=cause.code,
        subject=cause.subject,
        message=cause.message,
        todo=cause.todo,
        domains=list(item.names),
    )


# --- domains ---------------------------------------------------------------------------------------------


def all_domains(status: CurrentStatus) -> document.Domains:
    """All of them on one page, those that need a person first."""
    return page(status, status.rows, total=len(status.rows), number=1, size=len(status.rows))


def page(
    status: CurrentStatus, rows: Sequence[Row], *, total: int, number: int, size: int
) -> document.Domains:
    """Some of the domains: page `number` of pages of `size`, of `total` in all."""
    return document.Domains(
        seen_at=moment(status.at),
        total=total,
        page=number,
        pages=max(1, -(-total // size)) if size else 1,
        per_page=size,
        items=[domain_of(row) for row in rows],
    )


def domain_of(row: Row) -> document.DomainJson:
    cause, policy, clean = row.judgement.cause, row.policy, row.reports.clean
    shown = line.line_of(row)
    return document.DomainJson(
        name=row.domain,
        unicode=shown.shown,
        alias_of=row.target,
        care=row.care,
        status=shown.light,
        needs_person=row.attention,
        code=cause.code,
        subject=cause.subject,
        message=cause.message,
        todo=cause.todo,
        mode=row.mode,
        stage=_SLUGS[row.stage] if row.stage else None,
        since=moment(row.since),
        policy=document.PolicyCell(
            status=shown.policy.light,
            text=shown.policy.text,
            hint=shown.policy.hint or None,
            served=None if isinstance(row.served, Unseen) else row.served.value.text is not None,
            max_age=policy.max_age if policy else None,
            mx=list(policy.mx) if policy else None,
            ownership=_WHOSE[row.whose],
            body=policy_text(row),
            adopt_key=adopt_key(row),
        ),
        certificate=_certificate(row, shown.certificate),
        dns=_cell(shown.dns),
        mx=_cell(shown.mx),
        tlsrpt=_cell(shown.report),
        conditions=[
            document.ConditionJson(
                type=c.type, status=c.status, reason=c.reason, message=c.message, since=moment(c.since)
            )
            for c in (row.rollout.conditions if row.stage else ())
        ],
        reports=document.ReportsJson(
            status=clean.status,
            reason=clean.reason.value,
            message=clean.message,
            since=moment(clean.since),
            proof=clean.seen.sentence if clean.seen else None,
            old_policy=[one.seen_with_old(row.at) for one in row.reports.old],
        ),
        checked_at=moment(row.check.at) if row.check else None,
        findings=list(row.check.findings) if row.check else [],
        records=_records(row),
        planned=_planned(row.todo),
        held=_held(row.held),
        notices=_notices(row.notices),
    )


def adopt_key(row: Row) -> str | None:
    """The key for `adopt`; None if there is nothing to adopt."""
    return row.key if row.whose is Whose.PERSONS and row.care is Care.MANAGED else None


def _cell(cell: line.Cell) -> document.CellJson:
    return document.CellJson(status=cell.light, text=cell.text, hint=cell.hint or None)


def _certificate(row: Row, cell: line.Cell) -> document.CertificateCell:
    has_name, until = None, None
    match row.certificate:
        case Seen(Certificate() as certificate):
            has_name, until = True, moment(certificate.not_after)
        case Seen():
            has_name = False
        case Unseen():
            pass
    return document.CertificateCell(
        status=cell.light, text=cell.text, hint=cell.hint or None, has_name=has_name, until=until
    )


def _records(row: Row) -> list[document.RecordJson]:
    if row.records is None:
        return []
    ttl, mine = row.records.ttl, by_role(row.own_records)
    records = []
    for role, need in zip(_ROLES, row.records.needs, strict=True):
        publishing: document.PublishedJson | None = None
        if (own := mine.get(role)) is not None:
            publishing = document.PublishedJson(
                account=own.account,
                whose=own.whose,
                wanted=own.wanted or None,
                found=own.found or None,
                servers=own.servers or None,
                servers_agree=own.agreement,
                held=own.held or None,
                adopt=own.owner if own.adoptable else None,
            )
        records.append(
            document.RecordJson(
                role=role,
                owner=need.owner,
                type=need.record.type if need.record else None,
                value=need.record.value if need.record else None,
                record=record_line(need.record, ttl) if need.record else None,
                standing=need.standing,
                status=line.need_cell(need).light,
                note=need.note or None,
                found=need.found or None,
                publishing=publishing,
            )
        )
    return records


def _planned(actions: Iterable[Action]) -> list[document.PlannedAction]:
    return [
        document.PlannedAction(
            action=action.verb, subject=action.about, names=list(action.concerns), reason=action.reason
        )
        for action in actions
    ]


def _held(items: Iterable[Held]) -> list[document.HeldAction]:
    return [
        document.HeldAction(
            action=held.action.verb,
            subject=held.action.about,
            names=list(held.action.concerns),
            reason=held.reason,
            remedy=held.remedy,
            until=moment(held.until),
        )
        for held in items
    ]


def _notices(notices: Iterable[Notice]) -> list[document.NoticeJson]:
    return [
        document.NoticeJson(level=n.level, code=n.code, subject=n.subject, message=n.message, todo=n.todo)
        for n in notices
    ]
