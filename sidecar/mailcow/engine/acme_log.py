"""Reads acme-mailcow's last run from its log; pure.

Rule for every editor: a verdict is taken only from its own line. A log without its beginning, or of a run that
continues, gives fewer verdicts, never different ones.
"""

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime

from sidecar.observed import AcmeRun, Refusal, RefusedFor

NO_IPV6 = "0000:0000:0000:0000:0000:0000:0000:0000"
"""What it writes if it detected no public IPv6 address."""
MOST_FAILURES = 3

_BEGIN = re.compile(r"domain (?:private )?rsa key")
"""The first line of each run."""
_DETECTING = re.compile(r"Detecting IP addresses")
"""Its next line, unless SKIP_IP_CHECK=y: the beginning of a run in a log that lost its first lines."""
_DETECTED = re.compile(r"OK: ([0-9.]*), ([0-9A-Fa-f:]+)\Z")
_FOUND = re.compile(r"Found (A|AAAA) record for (\S+?): (\S+)")
_CONFIRMED = re.compile(r"Confirmed (A|AAAA) record (?:with IP )?([^\s,]+)(, but HTTP validation failed)?")
_NO_MATCH = re.compile(r"Cannot match your IP \S* ?against hostname (\S+) \(DNS returned (\S*)\)")
_NO_RECORD = re.compile(r"No A or AAAA record found for hostname (\S+)")
_CAA_NAME = re.compile(r"Skipping ACME validation for ([^\s:]+): ")
_CAA_PARENT = re.compile(r"Lets Encrypt disallowed for (\S+) by CAA record")
_NO_POLICY = re.compile(r"MTA-STS is not enabled for (\S+)")
_CHALLENGE_FAILED = re.compile(r"Challenge did not pass for ([^\s:]+)")
_ORDER_FAILED = re.compile(r"Failed to obtain certificate|ValueError|did not pass|urn:ietf:params:acme:error")
_STAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?(Z|[+-]\d\d:\d\d) (.*)", re.DOTALL)
_ITS_DATE = re.compile(r"\A.{0,40}?(?<![\w:])\d\d:\d\d:\d\d(?![\w:]).{0,20}? - ")
"""Every line begins with the output of `date`; a zone without a name is a number there, such as -03."""


def last_run(lines: Sequence[str]) -> AcmeRun | None:
    """The last run in a log whose lines begin with the Engine's time stamps; None if there is none."""
    stamped: list[tuple[float, str]] = []  # Unix seconds, and the text without acme-mailcow's own date
    for line in lines:
        if found := _STAMP.match(line):
            with suppress(ValueError):  # a date that does not exist
                at = datetime.fromisoformat(found[1] + found[2].replace("Z", "+00:00")).timestamp()
                stamped.append((at, _ITS_DATE.sub("", found[3], count=1).strip()))
    for pattern in (_BEGIN, _DETECTING):
        begin = next((i for i in range(len(stamped) - 1, -1, -1) if pattern.search(stamped[i][1])), None)
        if begin is not None:
            return _run(stamped[begin:])
    return None


def _run(lines: Iterable[tuple[float, str]]) -> AcmeRun:  # noqa: C901, PLR0912 - one case for each kind of line
    began: float | None = None
    ipv4 = ipv6 = None
    detected = False
    confirmed: set[int] = set()
    reached: set[str] = set()
    refused: dict[str, Refusal] = {}
    parents: dict[str, Refusal] = {}
    failure: list[str] = []
    asked, address = "", ""
    for at, text in lines:
        began = at if began is None else began
        if found := _DETECTED.match(text):
            ipv4, ipv6 = found[1] or None, None if found[2] == NO_IPV6 else found[2]
            detected = True
        elif found := _FOUND.search(text):
            asked, address = found[2].lower().rstrip("."), found[3]
        elif found := _CONFIRMED.search(text):
            if found[3]:
                refused[asked] = Refusal(RefusedFor.HTTP, f"{text} (for {asked})", at, address)
            else:
                confirmed.add(6 if found[1] == "AAAA" else 4)
                reached.add(found[2])
        elif found := _NO_MATCH.search(text):
            refused[found[1].lower()] = Refusal(RefusedFor.ADDRESS, text, at, found[2])
        elif found := _NO_RECORD.search(text):
            refused[found[1].lower()] = Refusal(RefusedFor.NO_ADDRESS, text, at)
        elif found := _CAA_NAME.search(text):
            refused[found[1].lower()] = Refusal(RefusedFor.CAA, text, at)
        elif found := _CAA_PARENT.search(text):
            parents[found[1].lower()] = Refusal(RefusedFor.CAA, text, at)
        elif found := _NO_POLICY.search(text):
            refused[f"mta-sts.{found[1].lower()}"] = Refusal(RefusedFor.POLICY, text, at)
        elif _ORDER_FAILED.search(text):
            failure.append(text)
            if found := _CHALLENGE_FAILED.search(text):
                refused[found[1].lower()] = Refusal(RefusedFor.ORDER, text, at)
    refused.pop("", None)
    return AcmeRun(
        began or 0.0,
        ipv4,
        ipv6,
        detected,
        frozenset(confirmed),
        refused,
        parents,
        tuple(failure[-MOST_FAILURES:]),
        frozenset(reached),
    )
