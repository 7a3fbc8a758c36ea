"""`sidecar plan`: what would be done now, as text or JSON; nothing is changed.

Rule for every editor: a key of the JSON keeps its name and its meaning. Times are UTC (ISO 8601), names are A-labels.
"""

import argparse
from collections.abc import Mapping
from typing import Any

from sidecar.cli.show import json_of
from sidecar.host.exits import Exit
from sidecar.observed import Seen
from sidecar.reconcile.passes import PassReport
from sidecar.status.to_document import moment

_EXAMPLES = """\
examples:
  sidecar plan
  sidecar plan --all
  sidecar plan --json | jq '.held[] | {subject: .action.subject, reason, until}'

exit codes: 0 shown, 2 settings are invalid, 3 mailcow cannot be read
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    plan = subparsers.add_parser(
        "plan",
        help="print what would be done now, and change nothing",
        description="Prints what would be done now, what is held and why. Changes nothing.",
        epilog=_EXAMPLES,
    )
    plan.add_argument("--all", action="store_true", help="print every line, however many there are")
    plan.add_argument("--json", action="store_true", help="print an object")


async def run(given: argparse.Namespace, env: Mapping[str, str]) -> Exit:
    import json

    from sidecar.cli.once import exit_of
    from sidecar.cli.plan import plan_as_json
    from sidecar.cli.show import show_plan
    from sidecar.cli.start import started
    from sidecar.daemon.event_log import EventLog
    from sidecar.daemon.wiring import assembled
    from sidecar.reconcile.passes import PassReport

    clock, settings = started(env)
    async with assembled(settings, clock, env, EventLog(), patient=True) as parts:
        parts.session.whole_list_always = True
        parts.passes.publishing.activate()
        observed, plan = await parts.passes.look()
    report = PassReport(observed, plan, ())
    print(
        json.dumps(plan_as_json(report), indent=2) if given.json else show_plan(report, all_lines=given.all)
    )
    return exit_of(report)


def plan_as_json(report: PassReport) -> dict[str, Any]:
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
