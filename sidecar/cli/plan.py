"""`sidecar plan`: what would be done now; nothing is changed."""

import argparse
from collections.abc import Mapping

from sidecar.host.exits import Exit

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
    from sidecar.cli.show import plan_as_json, show_plan
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
