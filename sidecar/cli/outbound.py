"""`sidecar outbound`: whether this mailcow checks other servers' policies, and what it demands of a domain."""

import argparse
from collections.abc import Mapping

from sidecar.host.exits import Exit

_EXAMPLES = """\
examples:
  sidecar outbound                    whether this mailcow checks other servers' policies (2025-09 and later)
  sidecar outbound gmail.com          what its Postfix demands when it sends mail there

This sends postfix-tlspol-mailcow the query that Postfix sends. An entry under E-Mail > Configuration > TLS policy maps in
mailcow's page has priority, and is not checked here.

exit codes: 0 shown, 1 the query failed, and why, 2 settings are invalid, 3 mailcow cannot be read
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser(
        "outbound",
        help="what this mailcow demands when it sends mail to a domain",
        description="Prints whether this mailcow checks other servers' policies, and what it applies to a domain.",
        epilog=_EXAMPLES,
    )
    parser.add_argument("domains", nargs="*", metavar="DOMAIN", help="any domain on the internet")


async def run(given: argparse.Namespace, env: Mapping[str, str]) -> Exit:
    """Reads mailcow, queries postfix-tlspol, and prints. Raises PermanentError for what is not a domain."""
    import sys

    from sidecar.cli.look import look_at, names_of, unreadable
    from sidecar.mailcow.outbound import ask
    from sidecar.observed import Unseen
    from sidecar.plan.outbound import OutboundChecks, applied, outbound

    names = names_of(given.domains)
    look = await look_at((), env, most_ids=0)
    if not look.readable:
        return unreadable(look)
    found = outbound(look.observed)
    print(found.message)
    if found.remedy:
        print(f"    {found.remedy}")
    if names and found.checks in {OutboundChecks.NO, OutboundChecks.OFF}:
        return Exit.FAILED
    failed = False
    for name in names:
        answer = await ask(name, found.place, found.table, look.observed.now)
        if isinstance(answer, Unseen):
            failed = True
            print(f"{name}: {answer.reason}", file=sys.stderr)
            continue
        demand = applied(answer.value)
        print(f"{name}: {demand.message}")
        if demand.words:
            print(f"    Postfix gets: {demand.words}")
    return Exit.FAILED if failed else Exit.OK
