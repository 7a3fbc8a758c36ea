"""`sidecar lint`: checks the syntax of a policy, a record or a pattern without any network; 0: valid, 1: not valid.

Rule for every editor: the octets are checked as given; nothing is stripped, decoded or completed.
"""

import argparse
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from sidecar.host.exits import Exit
from sidecar.verify.lint import Judged, lint_match, lint_policy, lint_record, lint_tlsrpt

_STDIN = "-"

_EXAMPLES = """\
examples:
  sidecar lint policy mta-sts.txt
  curl -s https://mta-sts.example.org/.well-known/mta-sts.txt | sidecar lint policy -
  sidecar lint record 'v=STSv1; id=20260101T000000;'
  sidecar lint tlsrpt 'v=TLSRPTv1; rua=mailto:tlsrpt@example.org'
  sidecar lint match '*.example.org' mail.example.org

a - is read from standard input octet by octet, a final line end included: printf, not echo

exit codes: 0 valid (warnings included), 1 not valid, 2 cannot be read
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    lint = subparsers.add_parser(
        "lint",
        help="check the syntax of a policy, a TXT record or an mx pattern, without any network",
        description="Checks octet by octet against the RFC's grammar, and against the rules in its prose.",
        epilog=_EXAMPLES,
    )
    kinds = lint.add_subparsers(dest="kind", required=True, metavar="KIND")
    policy = kinds.add_parser("policy", help="an MTA-STS policy (RFC 8461, section 3.2)")
    policy.add_argument("file", metavar="FILE", help="the policy's file, or - for standard input")
    record = kinds.add_parser("record", help="an MTA-STS TXT record (RFC 8461, section 3.1)")
    record.add_argument(
        "text", metavar="TEXT", help="the record, its strings joined, or - for standard input"
    )
    tlsrpt = kinds.add_parser("tlsrpt", help="a TLSRPT TXT record (RFC 8460, section 3)")
    tlsrpt.add_argument(
        "text", metavar="TEXT", help="the record, its strings joined, or - for standard input"
    )
    match_ = kinds.add_parser(
        "match", help="whether an mx pattern matches an MX host (RFC 8461, section 4.1)"
    )
    match_.add_argument("pattern", metavar="PATTERN")
    match_.add_argument("host", metavar="HOST")
    for kind in (policy, record, tlsrpt, match_):
        kind.add_argument("--json", action="store_true", help="print JSON")


def run(given: argparse.Namespace, _env: Mapping[str, str], stdin: BinaryIO | None = None) -> Exit:
    """Checks what the command line names and prints the findings; `stdin` replaces standard input in tests."""
    source = stdin or sys.stdin.buffer
    try:
        match given.kind:
            case "policy":
                judged = lint_policy(source.read() if given.file == _STDIN else Path(given.file).read_bytes())
            case "record":
                judged = lint_record(_octets(given.text, source))
            case "tlsrpt":
                judged = lint_tlsrpt(_octets(given.text, source))
            case _:
                judged = lint_match(given.pattern, given.host)
    except OSError as error:
        print(
            f"lint {given.kind}: {error.filename or 'standard input'} cannot be read: {error.strerror}",
            file=sys.stderr,
        )
        return Exit.SETTINGS
    print(json.dumps(as_json(judged), indent=2) if given.json else as_text(judged))
    return Exit.OK if judged.valid else Exit.FAILED


def _octets(text: str, stdin: BinaryIO) -> bytes:
    # The argument's octets as typed, also when they are not UTF-8.
    return stdin.read() if text == _STDIN else os.fsencode(text)


def as_json(judged: Judged) -> dict[str, object]:
    """What `--json` prints; each key is always there, null or empty if the text has no such field."""
    return {
        "valid": judged.valid,
        "findings": [
            {
                "code": finding.code,
                "severity": finding.severity.value,
                "message": finding.message,
                "todo": finding.todo,
                "section": finding.section,
            }
            for finding in judged.findings
        ],
        "mode": judged.mode.value if judged.mode else None,
        "max_age": judged.max_age,
        "mx": list(judged.mx),
        "id": judged.id,
        "rua": list(judged.rua),
    }


def as_text(judged: Judged) -> str:
    """What is printed for people: the verdict, the fields that were read, and each finding."""
    fields = {
        "mode": judged.mode,
        "max_age": judged.max_age,
        "mx": " ".join(judged.mx) or None,
        "id": judged.id,
        "rua": " ".join(judged.rua) or None,
    }
    lines = ["valid" if judged.valid else "not valid"]
    lines += [f"  {name} {value}" for name, value in fields.items() if value is not None]
    for finding in judged.findings:
        lines.append(f"{finding.severity} {finding.code}: {finding.message} ({finding.section})")
        if finding.todo:
            lines.append(f"  to do: {finding.todo}")
    return "\n".join(lines)
