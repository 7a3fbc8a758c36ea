"""One MX host on port 25 (RFC 8461 §4.2): STARTTLS, TLS 1.2 or later, a certificate that senders trust."""

from dataclasses import replace
from typing import assert_never

from sidecar.dns.answers import NoAnswer
from sidecar.observed import Unseen
from sidecar.observed.checks import Code, Finding
from sidecar.verify import probe_codes as codes
from sidecar.verify.rules.addresses import in_one, joined, judge_private
from sidecar.verify.rules.certificate import judge_end, judge_tls_failure
from sidecar.verify.rules.mx_match import is_address
from sidecar.verify.rules.policy_fetch import REPORT_IT
from sidecar.verify.seen import (
    Barrier,
    MxNoStartTls,
    MxSeen,
    MxTls,
    MxWontTalk,
    NoAddress,
    ProbeFailed,
    TlsFailure,
    TlsTrouble,
    Unreachable,
)
from sidecar.verify.stakes import Stakes

_TLS: dict[TlsTrouble, Code] = {
    TlsTrouble.EXPIRED: codes.MX_CERT_EXPIRED,
    TlsTrouble.NOT_YET_VALID: codes.MX_CERT_NOT_YET,
    TlsTrouble.WRONG_NAME: codes.MX_CERT_NAME,
    TlsTrouble.SELF_SIGNED: codes.MX_CERT_SELF_SIGNED,
    TlsTrouble.UNKNOWN_ISSUER: codes.MX_CERT_ISSUER,
    TlsTrouble.TOO_OLD: codes.MX_TLS_OLD,
    TlsTrouble.OTHER: codes.MX_TLS_FAILED,
}
_ELSEWHERE = "outgoing port 25 is often closed: check from another network"
_REFUSED_TODO = (
    "it was reached, so no port is closed: see what its reply says (a block list, no reverse DNS), and check from "
    "another network"
)
_OUTSIDE = (
    "run `sidecar check` for the domain on a machine in another network (how: docs/troubleshooting.md); where all is "
    "well there, `mode: enforce` can be set for the domain"
)
_NO_ROUTE = (
    "give this machine a route of that family, or run `sidecar check` on a machine that has one (how: "
    "docs/troubleshooting.md); where all is well there, `mode: enforce` can be set for the domain"
)
_ONE_ADDRESS = "have the mail server listen at this address too, or remove the record that leads to it"
_CLOSED = frozenset({codes.MX_REFUSED.name, codes.MX_UNREACHABLE.name})
_BARRIERS: dict[Barrier, tuple[Code, str]] = {
    Barrier.REFUSED: (codes.MX_REFUSED, _ELSEWHERE),
    Barrier.UNREACHABLE: (codes.MX_UNREACHABLE, _ELSEWHERE),
    Barrier.NO_ROUTE: (codes.MX_NO_ROUTE, _NO_ROUTE),
}


def judge_host(seen: MxSeen, stakes: Stakes, now: float) -> tuple[Finding, ...]:
    """Findings about an MX host, at each of its addresses, since a sender may use any."""
    at_address: list[tuple[str, Finding]] = []
    unseen: list[Finding] = []
    for probe in seen.probes:
        match probe:
            case MxTls() | TlsFailure() | MxNoStartTls() | MxWontTalk():
                found = _reached(seen.host, probe, stakes, now)
                if probe.way.instead_of is not None:
                    message = (
                        "probed inside mailcow's network only, which proves nothing about the public addresses: "
                        f"{probe.way.instead_of}"
                    )
                    found = (*found, Finding.of(codes.MX_INSIDE, seen.host, message, _OUTSIDE))
                at_address += [(probe.way.address, finding) for finding in found]
            case NoAddress() if is_address(seen.host):
                pass  # `mx-address` says it
            case Unreachable() | NoAddress() | NoAnswer() | Unseen() | ProbeFailed():
                unseen.append(_not_seen(seen.host, probe))
            case _:
                assert_never(probe)
    if at_address:
        unseen = [replace(one, todo=_ONE_ADDRESS) if one.code in _CLOSED else one for one in unseen]
    private = judge_private(codes.MX_PRIVATE, seen.host, seen.probes)
    return (*in_one(at_address), *joined(unseen), *private)


def _reached(
    host: str, probe: MxTls | TlsFailure | MxNoStartTls | MxWontTalk, stakes: Stakes, now: float
) -> tuple[Finding, ...]:
    failure = stakes.mx_failure
    match probe:
        case MxTls(certificate=certificate, version=version):
            message = f"STARTTLS with {version} and a certificate from {certificate.issuer}"
            ending = judge_end(certificate, codes.MX_CERT_ENDING, host, now, stakes.mx_worry)
            return (Finding.of(codes.MX_TLS, host, message), *ending)
        case TlsFailure():
            return (judge_tls_failure(probe, _TLS, host, host, failure),)
        case MxNoStartTls(reply=reply):
            message = f"STARTTLS is refused: {reply}" if reply else "STARTTLS is not offered"
            todo = "enable STARTTLS in the mail server, with a certificate for its name"
            return (Finding.of(codes.MX_NO_STARTTLS, host, message, todo, severity=failure),)
        case MxWontTalk(detail=detail, turned_away=True):
            message = f"the host refuses us: {detail}"
            return (Finding.of(codes.MX_REFUSES_US, host, message, _REFUSED_TODO),)
        case MxWontTalk(detail=detail):
            message = f"the host was reached, but did not complete the conversation: {detail}"
            return (Finding.of(codes.MX_WONT_TALK, host, message, _ELSEWHERE),)


def _not_seen(host: str, nothing: Unreachable | NoAddress | NoAnswer | Unseen | ProbeFailed) -> Finding:
    match nothing:
        case Unreachable(barrier=barrier, reason=reason):
            code, todo = _BARRIERS[barrier]
            return Finding.of(code, host, reason, todo)
        case NoAddress():
            message = "the MX host has neither A nor AAAA: senders cannot reach it"
            todo = "give the host an A or AAAA record, or remove it from the MX records"
            return Finding.of(codes.MX_HOST_MISSING, host, message, todo)
        case NoAnswer(reason=reason):
            return Finding.of(codes.MX_HOST_UNKNOWN, host, reason, "check again when the DNS answers")
        case Unseen(reason=reason):
            return Finding.of(codes.MX_UNASKED, host, reason)
        case ProbeFailed(reason=reason):
            return Finding.of(codes.MX_PROBE_FAILED, host, reason, REPORT_IT)
