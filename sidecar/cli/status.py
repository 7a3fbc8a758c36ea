"""`sidecar status`: a table of the domains; those that need a person come first.

Rule for every editor: on a terminal the table fits its width; in a pipe each domain is one line without colours.
"""

import argparse
from collections.abc import Mapping

from sidecar.host.exits import Exit

_EXAMPLES = """\
examples:
  sidecar status                     all domains, those first that need a person
  sidecar status example.org         one
  sidecar status --watch             repeatedly
  sidecar status --json | jq -r '.domains.items[] | select(.needs_person) | .name'

columns: policy (mode and max_age as mailcow serves them now), stage of the roll-out, whose policy it is (ours,
a person's, none), certificate (expiry of the one with the name mta-sts.<domain>), the DNS: mta-sts (to this
mailcow), _mta-sts (the policy id), _smtp._tls (where reports go); what has to be done, or is held, and why

exit codes: 0 shown, 1 a domain is not in this mailcow, 2 settings are invalid, 3 mailcow cannot be read
"""

WATCH_S = 5.0
"""Seconds between two updates of --watch."""
ACCOUNTS_S = 10.0
"""How long records are read at the DNS accounts that publish them; what is not read by then is shown as not known."""
MOST_IDS = 10
"""Policy ids that are read (seconds each); more are left to `run` and `records`."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    status = subparsers.add_parser(
        "status",
        help="how each domain stands: policy, certificate, DNS, what is held and why",
        description="Prints how each domain stands. Changes nothing.",
        epilog=_EXAMPLES,
    )
    status.add_argument("domains", nargs="*", metavar="DOMAIN", help="without one: all domains")
    status.add_argument(
        "--json", action="store_true", help="print the document that /api/v1/status has, with all domains"
    )
    status.add_argument("--watch", action="store_true", help="print it repeatedly, until Ctrl-C")


async def run(given: argparse.Namespace, env: Mapping[str, str]) -> Exit:
    """Reads mailcow and the DNS, and prints the table; with --watch repeatedly."""
    import asyncio
    import sys

    loop = asyncio.get_running_loop()
    while True:
        started = loop.time()
        ended = await _once(given, env, clear=given.watch and sys.stdout.isatty())
        if not given.watch or ended is Exit.FAILED:
            return ended
        sys.stdout.flush()
        # Each reading costs mailcow time: at most a tenth of the time goes into it.
        await asyncio.sleep(max(WATCH_S, 9 * (loop.time() - started)))


async def _once(given: argparse.Namespace, env: Mapping[str, str], *, clear: bool) -> Exit:
    import sys

    from sidecar.cli.look import look_at, unreadable
    from sidecar.cli.status_text import print_status
    from sidecar.host.release import release
    from sidecar.status.domains import status_of
    from sidecar.status.needs import summary_of
    from sidecar.status.to_document import all_domains, as_json, document_of

    look = await look_at(
        given.domains, env, most_ids=None if given.domains else MOST_IDS, accounts_s=ACCOUNTS_S
    )
    status = status_of(look.observed, look.plan, look.settings, look.domains, only=look.names)
    if clear:
        print("\033[H\033[2J", end="")
    if given.json:
        # With --watch each object is one line, so that a program can read them one by one.
        document = document_of(
            status,
            summary_of(status),
            all_domains(status),
            release=release(),
            dry_run=status.settings.dry_run,
        )
        print(as_json(document, indent=None if given.watch else 2))
    elif look.readable:
        print_status(status, sys.stdout)
    else:
        unreadable(look)
    return Exit.OK if look.readable else Exit.UNREADABLE
