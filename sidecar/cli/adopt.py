"""`sidecar adopt`: lets the sidecar manage policies and DNS records that a person made."""

import argparse
from collections.abc import Mapping

from sidecar.host.exits import Exit

_EXAMPLES = """\
examples:
  sidecar adopt example.org example.net
  sidecar adopt --file
  sidecar adopt --dns _mta-sts.example.org      a DNS record that is not the sidecar's

exit codes: 0 accepted, the running sidecar acts on it at once, 1 what you named cannot be adopted,
            2 settings are invalid
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    adopt = subparsers.add_parser(
        "adopt", help="let the sidecar manage policies and DNS records that a person made", epilog=_EXAMPLES
    )
    adopt.add_argument("domains", nargs="*", metavar="DOMAIN")
    adopt.add_argument(
        "--dns",
        nargs="+",
        default=[],
        metavar="NAME",
        help="the name of a DNS record, such as _mta-sts.example.org",
    )
    adopt.add_argument("--file", action="store_true", help="the policy file of a mailcow before 2025-09")


def run(given: argparse.Namespace, env: Mapping[str, str]) -> Exit:
    """Stores the request. Raises PermanentError if it is refused."""
    from sidecar.cli.look import names_of
    from sidecar.cli.request import open_request
    from sidecar.formats.domain_name import to_unicode
    from sidecar.observed import FILE
    from sidecar.plan.requests import adopt_records_refusal, adopt_refusal

    with open_request(env, given.domains) as request:
        records = names_of(name.rstrip(".") for name in given.dns)
        keys = [*request.names, *([FILE] if given.file else [])]
        # Everything is checked before anything is stored: a refused command changes nothing.
        if records:
            request.refuse_if(adopt_records_refusal(records, request.basis))
        if keys or not records:
            request.refuse_if(adopt_refusal(keys, request.basis))
        if records:
            request.state.request_adopt_records(records, request.now)
        if keys:
            request.state.request_adopt(keys, request.now)
    shown = ["mta-sts.txt" if key == FILE else to_unicode(key) for key in keys]
    names = ", ".join([*shown, *records])
    print(f"accepted: the next pass of the sidecar adopts {names}")
    return Exit.OK
