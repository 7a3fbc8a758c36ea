"""What a message that was received amounts to: its reports by domain, and what could not be read; pure.

Rule for every editor: nothing of a message is lost silently. What cannot be read is a problem with its sentence.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sidecar.formats.report_message import find
from sidecar.formats.tls_report import (
    Detail,
    PolicyReport,
    TlsReport,
    Unreadable,
    read,
)
from sidecar.formats.tls_report_fields import total

MOST_FAILURES = 100
"""Failures that are kept of one policy, the most frequent first."""
MOST_PROBLEMS = 5


@dataclass(frozen=True, slots=True)
class DomainReport:
    """The part of a report that is about one domain; the domain is empty where the report does not name it."""

    report: TlsReport
    domain: str
    policies: tuple[PolicyReport, ...]


@dataclass(frozen=True, slots=True)
class Digest:
    """The reports of one message, and why others could not be read, or parts of them."""

    reports: tuple[DomainReport, ...]
    problems: tuple[str, ...]

    @property
    def problem(self) -> str | None:
        """All problems in one sentence; None where everything was read."""
        return "; ".join(self.problems[:MOST_PROBLEMS]) or None


def digest(message: bytes) -> Digest:
    """What is in a message or a file; never raises."""
    found = find(message)
    if not found.reports:
        return Digest((), ("no TLS report is in it",))
    reports: list[DomainReport] = []
    problems: list[str] = []
    for data in found.reports:
        match read(data):
            case Unreadable() as unreadable:
                problems.append(unreadable.text)
            case TlsReport() as report:
                problems += report.left_out
                reports += _by_domain(report, found.domain)
    return Digest(tuple(reports), tuple(problems))


def only(found: Digest, domains: Collection[str] | None) -> Digest:
    """Without what is about domains that are not ours; None where it is not known which are.

    Everybody can send reports about a thousand invented domains.
    """
    if domains is None:
        return found
    kept = tuple(one for one in found.reports if one.domain in domains or not one.domain)
    others = sorted({one.domain for one in found.reports} - {one.domain for one in kept})
    if not others:
        return found
    more = f" and {len(others) - 1} more" if len(others) > 1 else ""
    return Digest(
        kept, (*found.problems, f"it is about a domain that is not on this mailcow: {others[0]}{more}")
    )


def _by_domain(report: TlsReport, hint: str | None) -> list[DomainReport]:
    domains: dict[str, list[PolicyReport]] = {}
    for policy in report.policies:
        domains.setdefault(policy.domain or hint or "", []).append(policy)
    return [DomainReport(report, domain, tuple(policies)) for domain, policies in domains.items()]


def failures(details: Sequence[Detail]) -> Mapping[Detail, int]:
    """The sessions of each kind of failure with its hosts, equal ones added up; the detail's own count is 0 here."""
    sums: Counter[Detail] = Counter()
    for one in details:
        sums[Detail(one.result, 0, one.sending_ip, one.receiving_mx, reason=one.reason)] += one.sessions
    return {detail: total([count]) for detail, count in sums.most_common(MOST_FAILURES)}
