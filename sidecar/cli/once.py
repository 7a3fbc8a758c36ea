"""`sidecar once`: one pass, without a running sidecar."""

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING

from sidecar.host.exits import Exit

if TYPE_CHECKING:
    from sidecar.reconcile.passes import PassReport

WAITS_S = 10.0
"""How long it waits for another sidecar to end its pass."""

_EXAMPLES = """\
examples:
  sidecar once
  sidecar once --large-dns-plan                    after you have read `sidecar plan`

without a running sidecar, and without starting mailcow:
  docker compose run --rm --no-deps mta-sts-mailcow once

exit codes: 0 nothing failed (held included), 1 an action failed, 2 settings are invalid,
            3 mailcow cannot be read, 75 another sidecar process is running
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    once = subparsers.add_parser(
        "once",
        help="run one pass and exit",
        description="Runs one pass: does what `sidecar plan` shows.",
        epilog=_EXAMPLES,
    )
    once.add_argument(
        "--large-dns-plan",
        action="store_true",
        help="let a change of more than 30 %% of the published DNS records through, once",
    )


async def run(given: argparse.Namespace, env: Mapping[str, str]) -> Exit:
    """Runs one pass, and prints what was done."""
    import asyncio
    import sys

    from sidecar.cli.show import show_report
    from sidecar.cli.start import started
    from sidecar.daemon.event_log import EventLog
    from sidecar.daemon.wiring import assembled
    from sidecar.host.lock import Locked, PassLock
    from sidecar.observed import LARGE_DNS_PLAN

    clock, settings = started(env)
    lock = PassLock(settings.state_dir, command="once")
    try:
        await lock.acquire(WAITS_S)
    except Locked as error:
        print(error, file=sys.stderr)
        return Exit.LOCKED
    try:
        async with assembled(settings, clock, env, EventLog(), patient=True) as parts:
            parts.session.whole_list_always = True
            parts.passes.publishing.activate()
            if given.large_dns_plan:
                await asyncio.to_thread(parts.state.request_let_through, LARGE_DNS_PLAN, clock.now())
            report = await parts.passes.reconcile()
    finally:
        lock.release()
    print(show_report(report))
    return exit_of(report)


def exit_of(report: "PassReport") -> Exit:
    """The exit code for what a pass saw and did."""
    if not report.readable:
        return Exit.UNREADABLE
    return Exit.FAILED if report.failed else Exit.OK
