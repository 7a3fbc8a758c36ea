"""Findings of one text: at most 50 of them, since a stranger's policy of blank lines would fill the memory; and their place.

Rule for every editor: rules put errors first, so that what makes a text invalid is never among what is left out.
"""

from collections.abc import Sequence
from dataclasses import replace

from sidecar.observed.checks import Finding, Severity

MOST = 50


def few(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """The first 50 of `findings`; the last of them says how many more there are."""
    if len(findings) <= MOST:
        return tuple(findings)
    last = findings[MOST - 1]
    more = f"{last.message} (and {len(findings) - MOST} more findings)"
    return (*findings[: MOST - 1], replace(last, message=more))


def about(
    subject: str, findings: tuple[Finding, ...], at_most: Severity = Severity.CRITICAL
) -> tuple[Finding, ...]:
    """The same findings of this subject, none of them worse than `at_most`."""
    return tuple(
        replace(
            finding,
            subject=subject,
            severity=min(finding.severity, at_most, key=lambda severity: severity.rank),
        )
        for finding in findings
    )
