"""`sidecar check DOMAIN…`: sender checks of any domain on the internet; needs no mailcow.

Exit codes: 0 nothing worse than a notice, 1 a warning, or something that could not be checked, 4 an error or worse (2, as
everywhere, is for a wrong command line).
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sidecar.formats.domain_name import to_ascii, to_unicode
from sidecar.host.exits import Exit
from sidecar.observed.checks import Severity

if TYPE_CHECKING:  # slow to import, and every command builds the whole command line
    from sidecar.verify.run import Checked

GOOD, DOUBTFUL, BAD = 0, 1, 4

_EPILOG = """\
exit codes: 0 nothing worse than a notice, 1 a warning, or something that could not be checked from here,
            2 invalid command line, 4 an error or worse

severities: critical  senders refuse to deliver
            error     senders do not use the policy, or send no reports
            warning   works now, but not for long or not for all senders
            unknown   could not be checked from here
            notice    good to know
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser(
        "check",
        help="run sender checks of any domain (needs no mailcow)",
        description="Queries DNS, policy host and MX hosts of each domain as a sender does by RFC 8461 and RFC 8460.",
        epilog=_EPILOG,
    )
    parser.add_argument("domains", nargs="+", metavar="DOMAIN")
    parser.add_argument("--json", action="store_true", help="print a list of results as JSON")
    parser.add_argument("--resolver", metavar="ADDRESS[:PORT]", help="ask this DNS resolver")
    parser.add_argument("--ca", metavar="FILE", type=Path, help="trust these roots (PEM) beside the system's")
    parser.add_argument(
        "--no-smtp",
        action="store_true",
        help="skip the MX hosts (outgoing port 25 is often blocked)",
    )
    # For tests on loopback, where ports 25 and 443 are not available.
    parser.add_argument("--port-smtp", type=int, default=25, help=argparse.SUPPRESS)
    parser.add_argument("--port-https", type=int, default=443, help=argparse.SUPPRESS)
    parser.add_argument("--connect", metavar="ADDRESS", help=argparse.SUPPRESS)


def run(given: argparse.Namespace, env: Mapping[str, str]) -> int:
    """Checks the domains and prints what was found. Raises PermanentError for an invalid file of root certificates."""
    from pydantic_core import PydanticCustomError

    from sidecar.settings.values import address_and_port
    from sidecar.verify.run import Probing, Wanted, check_many

    address = given.resolver or env.get("MTA_STS_RESOLVER")
    try:
        wanted = [Wanted(to_ascii(domain)) for domain in given.domains]
        resolver = address_and_port(address) if address else None
    except PydanticCustomError as error:
        print(f"resolver {error}", file=sys.stderr)
        return Exit.SETTINGS
    except ValueError as error:
        print(error, file=sys.stderr)
        return Exit.SETTINGS
    probing = Probing(
        resolver=resolver,
        extra_root=given.ca and given.ca.resolve(),
        smtp=not given.no_smtp,
        smtp_port=given.port_smtp,
        https_port=given.port_https,
        connect=given.connect,
    )
    results = asyncio.run(check_many(wanted, probing, time.time))
    print(json.dumps([as_json(result) for result in results], indent=2) if given.json else report(results))
    return exit_code(results)


def exit_code(results: "Sequence[Checked]") -> int:
    """By the worst finding of all."""
    rank = max((result.worst.rank for result in results), default=0)
    if rank >= Severity.ERROR.rank:
        return BAD
    return DOUBTFUL if rank > Severity.NOTICE.rank else GOOD


def as_json(checked: "Checked") -> dict[str, Any]:
    """One result as `--json` prints it."""
    policy = checked.policy
    return {
        "domain": checked.domain,
        "at": datetime.fromtimestamp(checked.at, UTC).isoformat(timespec="seconds"),
        "worst": checked.worst,
        "id": checked.id,
        "policy": None
        if policy is None
        else {"mode": policy.mode, "max_age": policy.max_age, "mx": list(policy.mx)},
        "mx": None if checked.mx is None else list(checked.mx),
        "findings": [
            {
                "code": finding.code,
                "severity": finding.severity,
                "subject": finding.subject,
                "message": finding.message,
                "todo": finding.todo,
                "section": finding.section,
            }
            for finding in checked.findings
        ],
    }


def report(results: "Sequence[Checked]") -> str:
    """The results for a person, each domain with its worst findings first."""
    blocks = []
    for checked in results:
        policy = checked.policy
        if policy is None:
            summary = "no policy that senders can use"
        else:
            summary = f"mode {policy.mode}, max_age {policy.max_age}, mx {', '.join(policy.mx) or 'none'}"
        lines = [f"{to_unicode(checked.domain)}: {checked.worst}", f"  {summary}; id {checked.id or 'none'}"]
        for finding in sorted(checked.findings, key=lambda finding: -finding.severity.rank):
            lines.append(
                f"  {finding.severity:<8}  {finding.subject}: {finding.message}  [{finding.code}, {finding.section}]"
            )
            if finding.todo is not None:
                lines.append(f"{'':12}to do: {finding.todo}")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)
