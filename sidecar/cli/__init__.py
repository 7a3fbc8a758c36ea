"""The commands: parse, call, print. No logic lives here.

Exit codes: 0 nothing failed (held included), 1 an action failed, 2 settings are wrong, 3 mailcow cannot be read,
75 another sidecar is at work.
"""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence

from sidecar.exits import Exit
from sidecar.errors import SidecarError

_EXAMPLES = """\
examples:
  sidecar plan                    what would be done now, and what is held and why
  sidecar once                    do it, once
  sidecar adopt example.org       hand a policy that a person made to the sidecar
  sidecar adopt --file            the same for the policy file (mailcow before 2025-09)

in the container: docker compose exec mta-sts-mailcow sidecar plan

exit codes: 0 nothing failed (held included), 1 an action failed, 2 settings are wrong,
            3 mailcow cannot be read, 75 another sidecar is at work
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(
        prog="sidecar",
        description="Keeps inbound MTA-STS right for every mail domain of a mailcow.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=_version())
    commands_ = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands_.add_parser("run", help="keep doing it until SIGTERM (the container's command)")
    commands_.add_parser("once", help="do it once and end")
    commands_.add_parser("plan", help="print what would be done now, and change nothing")
    adopt = commands_.add_parser("adopt", help="hand policies that a person made to the sidecar")
    adopt.add_argument("domains", nargs="*", metavar="DOMAIN")
    adopt.add_argument("--file", action="store_true", help="the policy file of a mailcow before 2025-09")
    commands_.add_parser("healthy", help="exit 0 if the running sidecar is alive (the image's HEALTHCHECK)")
    demo = commands_.add_parser("demo", help="see it work on a simulated mailcow, within a minute")
    demo.add_argument(
        "--backend", choices=("both", "native", "file"), default="both", help="which mailcow to simulate"
    )
    return top


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("mta-sts-sidecar")
    except PackageNotFoundError:  # a checkout that was never installed
        return "unknown"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns its exit code."""
    given = parser().parse_args(arguments)
    if given.command == "healthy":
        return _healthy(os.environ)
    # Only now what takes half a second to import: the image asks `healthy` every minute.
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
    from sidecar.clock import SystemClock
    from sidecar.heartbeat import state_dir_of, trouble

    reason = trouble(state_dir_of(env), SystemClock().now())
    print(reason or "alive")
    return Exit.OK if reason is None else Exit.FAILED
