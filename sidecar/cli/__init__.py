"""The commands: parse, call, print. No logic lives here.

Exit codes: 0 nothing failed (held included), 1 an action failed, 2 settings are wrong, 3 mailcow cannot be read,
75 another sidecar is at work.
"""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence

from sidecar.host.errors import SidecarError
from sidecar.host.exits import Exit
from sidecar.host.release import release

_EXAMPLES = """\
examples:
  sidecar status                  how each domain stands, those first that need a person
  sidecar records --missing       the DNS records that are still to be published
  sidecar plan                    what would be done now, and what is held and why
  sidecar once                    do it, once
  sidecar history example.org     what was done for a domain, and why
  sidecar adopt example.org       hand a policy that a person made to the sidecar
  sidecar adopt --file            the same for the policy file (mailcow before 2025-09)

each command has its own: sidecar records --help
in the container: docker compose exec mta-sts-mailcow sidecar status

exit codes: 0 nothing failed (held included), 1 an action failed, 2 settings are wrong,
            3 mailcow cannot be read, 75 another sidecar is at work
"""
_PLAN_EXAMPLES = """\
examples:
  sidecar plan
  sidecar plan --json | jq '.held[] | {subject: .action.subject, reason, until}'

exit codes: 0 shown, 2 settings are wrong, 3 mailcow cannot be read
"""
_ONCE_EXAMPLES = """\
examples:
  sidecar once
  docker compose run --rm mta-sts-mailcow once     without a running sidecar

exit codes: 0 nothing failed (held included), 1 an action failed, 2 settings are wrong,
            3 mailcow cannot be read, 75 another sidecar is at work
"""
_ADOPT_EXAMPLES = """\
examples:
  sidecar adopt example.org example.net
  sidecar adopt --file

exit codes: 0 noted, the running sidecar acts on it at once, 1 what was named cannot be adopted,
            2 settings are wrong
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    from sidecar.cli import (
        check,
        completion,
        history,
        init,
        lint,
        move_mx,
        notify,
        records,
        reports,
        retire,
        status,
    )

    top = argparse.ArgumentParser(
        prog="sidecar",
        description="Keeps inbound MTA-STS right for every mail domain of a mailcow.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=release())
    commands_ = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands_.add_parser("run", help="keep doing it until SIGTERM (the container's command)")
    _with_examples(commands_, "once", "do it once and end", _ONCE_EXAMPLES)
    plan = _with_examples(
        commands_, "plan", "print what would be done now, and change nothing", _PLAN_EXAMPLES
    )
    plan.add_argument("--json", action="store_true", help="print an object")
    adopt = _with_examples(
        commands_, "adopt", "hand policies that a person made to the sidecar", _ADOPT_EXAMPLES
    )
    adopt.add_argument("domains", nargs="*", metavar="DOMAIN")
    adopt.add_argument("--file", action="store_true", help="the policy file of a mailcow before 2025-09")
    commands_.add_parser("healthy", help="exit 0 if the running sidecar is alive (the image's HEALTHCHECK)")
    for module in (status, records, reports, history, check, lint, retire, move_mx, notify, init, completion):
        module.add_parser(commands_)
    return top


def _with_examples(
    commands_: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, what: str, examples: str
) -> argparse.ArgumentParser:
    return commands_.add_parser(
        name, help=what, epilog=examples, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns its exit code."""
    if list(sys.argv[1:] if arguments is None else arguments) == ["healthy"]:
        # Before all that takes time to import, the command line too: the image asks every minute.
        return _healthy(os.environ)
    given = parser().parse_args(arguments)
    from sidecar.cli import commands
    from sidecar.settings import SettingsError

    try:
        return int(commands.run(given, os.environ))
    except SettingsError as error:
        print(error, file=sys.stderr)
        return Exit.SETTINGS
    except SidecarError as error:
        print(error, file=sys.stderr)
        return Exit.FAILED
    except KeyboardInterrupt:
        return 130


def _healthy(env: Mapping[str, str]) -> int:
    from sidecar.host.clock import SystemClock
    from sidecar.host.heartbeat import state_dir_of, trouble

    reason = trouble(state_dir_of(env), SystemClock().now())
    print(reason or "alive")
    return Exit.OK if reason is None else Exit.FAILED
