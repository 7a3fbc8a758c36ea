"""Findings about the addresses of one host; equal findings at several addresses become one."""

from collections.abc import Iterable
from dataclasses import replace

from sidecar.formats.address import is_private
from sidecar.observed.checks import Code, Finding
from sidecar.verify.seen import (
    MxNoStartTls,
    MxProbe,
    MxTls,
    MxWontTalk,
    PolicyAnswer,
    PolicyFailure,
    PolicyFetch,
    TlsFailure,
    Unreachable,
)

_SPLIT_DNS = (
    "publish the public address; if the DNS elsewhere has it already (split DNS), check with a public resolver: "
    "`sidecar check --resolver`, or MTA_STS_RESOLVER for the sidecar"
)


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


def judge_private(code: Code, host: str, probes: Iterable[PolicyFetch | MxProbe]) -> tuple[Finding, ...]:
    """A private address of a host that senders elsewhere have to reach."""
    addresses: list[str] = []
    for probe in probes:
        match probe:
            case PolicyAnswer() | PolicyFailure() | TlsFailure() | MxTls() | MxNoStartTls() | MxWontTalk():
                address = probe.way.address
            case Unreachable():
                address = probe.address
            case _:
                continue
        if is_private(address):
            addresses.append(address)
    if not addresses:
        return ()
    message = (
        f"the DNS resolver used here gives the private address {', '.join(addresses)}: senders elsewhere cannot reach it, "
        "and what was found there proves nothing about a public address"
    )
    return (Finding.of(code, host, message, _SPLIT_DNS),)
