"""`sidecar adopt`: lets the sidecar manage policies that a person made."""

import argparse
from collections.abc import Mapping

from sidecar.host.exits import Exit

_EXAMPLES = """\
examples:
  sidecar adopt example.org example.net
  sidecar adopt --file

exit codes: 0 accepted, the running sidecar acts on it at once, 1 what was named cannot be adopted,
            2 settings are invalid
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds `adopt` to the command line."""
    adopt = subparsers.add_parser(
        "adopt",
        help="let the sidecar manage policies that a person made",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    adopt.add_argument("domains", nargs="*", metavar="DOMAIN")
    adopt.add_argument("--file", action="store_true", help="the policy file of a mailcow before 2025-09")


def run(given: argparse.Namespace, env: Mapping[str, str]) -> Exit:
    """Stores the request. Raises PermanentError if it is refused."""
    from sidecar.cli.wish import noting
    from sidecar.formats.domain_name import to_unicode
    from sidecar.observed import FILE
    from sidecar.plan.wishes import adopt_refusal

    with noting(env, given.domains) as wish:
        keys = [*wish.names, *([FILE] if given.file else [])]
        wish.refuse(adopt_refusal(keys, wish.basis))
        wish.state.wish_adopt(keys, wish.now)
    names = ", ".join("mta-sts.txt" if key == FILE else to_unicode(key) for key in keys)
    print(f"accepted: the next pass of the sidecar takes over {names}")
    return Exit.OK
