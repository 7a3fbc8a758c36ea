"""A plan as JSON: actions, what is held, and what a person should know.

Rule for every editor: a key keeps its name and its meaning. Times are UTC (ISO 8601), names are A-labels.
"""

from typing import Any, assert_never

from sidecar.dns.publish.port import Replace
from sidecar.formats.mtasts_policy import Policy, parse
from sidecar.observed import Seen
from sidecar.plan.actions import (
    Action,
    AddPolicy,
    AdoptSame,
    AllowAccess,
    ChangeReportRoute,
    EditConf,
    EditPolicy,
    HealAcme,
    PublishRecords,
    RecreateAcme,
    RemoveFile,
    RestartAcme,
    SwitchOff,
    WriteFile,
)
from sidecar.reconcile.passes import Report
from sidecar.status.to_document import moment


def plan_as_json(report: Report) -> dict[str, Any]:
    """The whole plan; `mailcow` is null if it was not seen."""
    mailcow = None
    if isinstance(report.observed.mailcow, Seen):
        seen = report.observed.mailcow.value
        mailcow = {
            "version": None if seen.version is None else str(seen.version),
            "generation": str(seen.backend),
        }
    return {
        "at": moment(report.observed.now),
        "readable": report.readable,
        "mailcow": mailcow,
        "actions": [action_as_json(action) for action in report.plan.actions],
        "held": [
            {
                "action": action_as_json(held.action),
                "reason": held.reason,
                "remedy": held.remedy,  # what a person can do
                "until": moment(held.until),  # null: it waits for something to change
            }
            for held in report.plan.held
        ],
        "notices": [
            {
                "level": str(notice.level),
                "code": notice.code,  # stable; `message` and `todo` are for people
                "subject": notice.subject,
                "message": notice.message,
                "todo": notice.todo,
            }
            for notice in dict.fromkeys(report.plan.notices)
        ],
    }


def policy_as_json(policy: Policy | None) -> dict[str, Any] | None:
    """The fields of RFC 8461 §3.2."""
    if policy is None:
        return None
    return {"mode": str(policy.mode), "max_age": policy.max_age, "mx": list(policy.mx)}


def action_as_json(action: Action) -> dict[str, Any]:
    """`action`, `subject` and `reason` are always there; the rest depends on the action."""
    details: dict[str, Any] = {}
    match action:
        case AddPolicy(policy=policy) | EditPolicy(policy=policy):
            details["policy"] = policy_as_json(policy)
        case WriteFile(text=text, backup=backup):
            details |= {"policy": _policy_of(text), "backup": backup}
        case AdoptSame(text=text):
            details["policy"] = _policy_of(text)
        case EditConf(edits=edits):
            details["edits"] = {
                key: {"add": list(edit.add), "remove": list(edit.remove)} for key, edit in edits.items()
            }
        case RestartAcme(names=names) | RecreateAcme(names=names):
            details["names"] = list(names)
        case PublishRecords(writes=writes):
            details["records"] = [
                {
                    "name": write.key.name,
                    "type": str(write.key.type),
                    "before": list(write.change.seen.values),
                    # empty where the record set is removed
                    "after": list(write.change.wanted.values) if isinstance(write.change, Replace) else [],
                    "account": write.place.account,
                    "zone": write.place.zone,
                }
                for write in writes
            ]
        case AllowAccess(address=address, in_conf=in_conf):
            details |= {"address": address, "mailcow_conf": in_conf}
        case SwitchOff() | RemoveFile() | HealAcme() | ChangeReportRoute():
            pass
        case _:
            assert_never(action)
    return {"action": action.verb, "subject": action.about, "reason": action.reason, **details}


def _policy_of(text: str) -> dict[str, Any] | None:
    parsed = parse(text.encode("utf-8", "surrogateescape"))
    return policy_as_json(parsed) if isinstance(parsed, Policy) else None
