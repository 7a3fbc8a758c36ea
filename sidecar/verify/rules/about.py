"""Findings of a text alone (`sidecar.verify.lint`), as findings of the place where the text was found."""

from dataclasses import replace

from sidecar.observed.findings import Finding, Severity


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
