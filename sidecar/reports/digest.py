"""Reads a received message: its reports by domain, and the parts that could not be read; pure.

Rule for every editor: no part of a message is dropped silently. What cannot be read is a problem, as a sentence.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sidecar.formats.report_message import find
from sidecar.formats.tls_report import Detail, PolicyReport, TlsReport, Unreadable, read
from sidecar.formats.tls_report_fields import total

MOST_FAILURES = 100
"""Failures that are kept of one policy: the most frequent."""
MOST_PROBLEMS = 5


@dataclass(frozen=True, slots=True)
class DomainReport:
    """The part of a report about one domain; `domain` is empty if the report does not name it."""

    report: TlsReport
    domain: str
    policies: tuple[PolicyReport, ...]


@dataclass(frozen=True, slots=True)
class Digest:
    """The reports of one message, and why other reports, or parts of them, could not be read."""

    reports: tuple[DomainReport, ...]
    problems: tuple[str, ...]

    @property
    def problem(self) -> str | None:
        """The first problems in one sentence; None if everything was read."""
        return "; ".join(self.problems[:MOST_PROBLEMS]) or None


def digest(message: bytes) -> Digest:
    """The content of a message or a file; never raises."""
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
                domains: dict[str, list[PolicyReport]] = {}
                for policy in report.policies:
                    domains.setdefault(policy.domain or found.domain or "", []).append(policy)
                reports += [DomainReport(report, name, tuple(each)) for name, each in domains.items()]
    return Digest(tuple(reports), tuple(problems))


def only(found: Digest, domains: Collection[str] | None) -> Digest:
    """Only the reports about our domains; all of them if our domains are unknown (None).

    Anyone can send reports about a thousand invented domains.
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


def failures(details: Sequence[Detail]) -> Mapping[Detail, int]:
    """The sum of the sessions of equal failures (kind and hosts); the `sessions` of each key is 0."""
    sums: Counter[Detail] = Counter()
    for one in details:
        sums[Detail(one.result, 0, one.sending_ip, one.receiving_mx, reason=one.reason)] += one.sessions
    return {detail: total([count]) for detail, count in sums.most_common(MOST_FAILURES)}
