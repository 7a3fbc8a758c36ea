"""Judging a policy, a record or a pattern without any network: what `sidecar lint` prints.

*Valid* is the strict reading: the RFC's ABNF octet by octet, and what its prose requires. Rule for every editor: a text
is valid when nothing found is an ERROR or worse, and never for another reason.
"""

from dataclasses import dataclass

from sidecar.formats import mtasts_policy as mtasts
from sidecar.formats import mtasts_record
from sidecar.formats import tlsrpt_record as tlsrpt
from sidecar.formats.mtasts_policy import Mode
from sidecar.observed.checks import Finding, Severity, worst
from sidecar.verify.rules import match as match_rule
from sidecar.verify.rules import policy as policy_rule
from sidecar.verify.rules import record as record_rule
from sidecar.verify.rules import tlsrpt as tlsrpt_rule


@dataclass(frozen=True, slots=True)
class Judged:
    """What was found in one text, and the fields that its kind has, as far as they are valid."""

    findings: tuple[Finding, ...]
    mode: Mode | None = None
    max_age: int | None = None
    """Seconds."""
    mx: tuple[str, ...] = ()
    """Patterns, lower-case, each once."""
    id: str | None = None
    rua: tuple[str, ...] = ()
    """Destinations that reports can go to, as written."""

    @property
    def valid(self) -> bool:
        """Whether the text is what it should be by the strict reading; of a match, whether the host matches."""
        return worst(self.findings).rank < Severity.ERROR.rank


def lint_policy(data: bytes) -> Judged:
    """The policy whose octets are `data` (RFC 8461 §3.2); never raises."""
    reading = mtasts.read(data)
    findings = policy_rule.judge(reading, data)
    return Judged(findings, mode=reading.mode, max_age=reading.max_age, mx=reading.mx)


def lint_record(data: bytes) -> Judged:
    """The MTA-STS record whose octets, its strings joined, are `data` (RFC 8461 §3.1); never raises."""
    reading = mtasts_record.read(data)
    return Judged(record_rule.judge(reading), id=reading.id)


def lint_tlsrpt(data: bytes) -> Judged:
    """The TLSRPT record whose octets, its strings joined, are `data` (RFC 8460 §3); never raises."""
    reading = tlsrpt.read(data)
    return Judged(tlsrpt_rule.judge(reading), rua=reading.rua)


def lint_match(pattern: str, host: str) -> Judged:
    """Whether the MX `host` matches the mx `pattern` (RFC 8461 §4.1); never raises."""
    return Judged(match_rule.judge(pattern, host))
