"""Findings at several addresses of one host: those that say the same become one, which names the addresses."""

from collections.abc import Iterable
from dataclasses import replace

from sidecar.observed.findings import Finding


def in_one(said: Iterable[tuple[str, Finding]]) -> tuple[Finding, ...]:
    """The findings, each with the address it was made at, equal ones once; in the order of the first of each."""
    places: dict[Finding, list[str]] = {}
    for address, finding in said:
        places.setdefault(finding, []).append(address)
    return tuple(
        replace(finding, message=f"{finding.message} (at {', '.join(dict.fromkeys(addresses))})")
        for finding, addresses in places.items()
    )


def joined(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Findings that differ in their message only become one."""
    found: dict[Finding, list[str]] = {}
    for finding in findings:
        found.setdefault(replace(finding, message=""), []).append(finding.message)
    return tuple(
        replace(finding, message="; ".join(dict.fromkeys(messages))) for finding, messages in found.items()
    )
