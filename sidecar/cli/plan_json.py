"""A plan as JSON: actions, what is held, and what a person should know.

Rule for every editor: a key keeps its name and its meaning. Times are UTC (ISO 8601), names are A-labels.
"""

from typing import Any

from sidecar.cli.action import json_of
from sidecar.observed import Seen
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
        "actions": [json_of(action) for action in report.plan.actions],
        "held": [
            {
                "action": json_of(held.action),
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
