"""The status as JSON.

Rule for every editor: a key keeps its name and its meaning; null is 'not known', never 'no'.
"""

from typing import Any

from sidecar.cli.plan_json import (
    action_as_json,
    held_as_json,
    mailcow_as_json,
    moment,
    notice_as_json,
    policy_as_json,
)
from sidecar.formats.domain_name import to_unicode
from sidecar.observed import Certificate, Mailcow, Seen, Sight, Unseen
from sidecar.plan.ownership import Whose
from sidecar.plan.records import DomainRecords, Need
from sidecar.status.domains import Row, Status

WHOSE = {Whose.OURS: "ours", Whose.PERSONS: "person", Whose.NOBODYS: "nobody", None: None}


def status_as_json(status: Status) -> dict[str, Any]:
    """The whole status."""
    return {
        "at": moment(status.at),
        "readable": isinstance(status.mailcow, Seen),
        "mailcow": mailcow_as_json(status.mailcow),
        "counts": status.counts,
        "notices": [notice_as_json(notice) for notice in status.notices],
        "todo": [action_as_json(action) for action in status.todo],
        "held": [held_as_json(held) for held in status.held],
        "domains": [_row(row, status.mailcow) for row in status.rows],
    }


def _row(row: Row, mailcow: Sight[Mailcow]) -> dict[str, Any]:
    return {
        "domain": row.domain,
        "unicode": to_unicode(row.domain),
        "alias_of": row.target,
        "generation": str(mailcow.value.backend) if isinstance(mailcow, Seen) else None,
        "care": str(row.care),
        "attention": row.attention,
        "policy": _policy(row),
        "stage": None if row.stage is None else str(row.stage),
        "blocking": [
            {
                "condition": str(c.type),
                "status": str(c.status),
                "reason": c.reason,
                "message": c.message,
                "since": moment(c.since),
            }
            for c in row.blocking
        ],
        "findings": _findings(row),
        "ownership": WHOSE[row.whose],
        "certificate": _certificate(row.certificate),
        "dns": _dns(row.records),
        "todo": [action_as_json(action) for action in row.todo],
        "held": [held_as_json(held) for held in row.held],
        "notices": [notice_as_json(notice) for notice in row.notices],
    }


def _findings(row: Row) -> dict[str, Any] | None:
    if row.check is None:
        return None
    keys = ("code", "severity", "subject", "message", "todo", "section")
    return {
        "at": moment(row.check.at),
        "found": [{key: getattr(finding, key) for key in keys} for finding in row.check.findings],
    }


def _policy(row: Row) -> dict[str, Any]:
    match row.served:
        case Seen(served):
            nothing = {"mode": None, "max_age": None, "mx": None}
            return {"served": served.text is not None, **(policy_as_json(row.policy) or nothing), "why": None}
        case Unseen(reason):
            return {"served": None, "mode": None, "max_age": None, "mx": None, "why": reason}


def _certificate(sight: Sight[Certificate | None]) -> dict[str, Any]:
    match sight:
        case Seen(None):
            return {"has_name": False, "until": None, "why": None}
        case Seen(Certificate() as certificate):
            return {"has_name": True, "until": moment(certificate.not_after), "why": None}
        case Unseen(reason):
            return {"has_name": None, "until": None, "why": reason}
        case Seen():
            raise AssertionError(sight)


def _dns(records: DomainRecords | None) -> dict[str, Any] | None:
    if records is None:
        return None
    return {
        "mta_sts": _need(records.host),
        "policy_id": _need(records.id),
        "tlsrpt": _need(records.report),
    }


def _need(need: Need) -> dict[str, Any]:
    return {
        "name": need.owner,
        "standing": str(need.standing),
        "type": need.record.type if need.record else None,
        "wanted": need.record.value if need.record else None,
        "found": need.found or None,
        "note": need.note or None,
    }
