"""One MX host on port 25 (RFC 8461 §4.2): STARTTLS, TLS 1.2 or later, a certificate that senders trust."""

from typing import assert_never

from sidecar.dns.answers import NoAnswer
from sidecar.observed import Unseen
from sidecar.observed.findings import Code, Finding
from sidecar.verify import probe_codes as codes
from sidecar.verify.rules.certificate import judge_end, judge_tls_failure
from sidecar.verify.rules.policy_fetch import LOOK_AGAIN
from sidecar.verify.seen import (
    Barrier,
    LookFailed,
    MxNoStartTls,
    MxSeen,
    MxTls,
    MxWontTalk,
    NoAddress,
    TlsFailure,
    TlsTrouble,
    Unreachable,
    Way,
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
_ELSEWHERE = "port 25 is often closed on the way out: check from another network"


def judge_host(seen: MxSeen, stakes: Stakes, now: float) -> tuple[Finding, ...]:
    """What to say of an MX host."""
    host, failure = seen.host, stakes.mx_failure
    match seen.probe:
        case MxTls(certificate=certificate, version=version, way=way):
            message = f"STARTTLS with {version} and a certificate of {certificate.issuer} at {way.address}"
            ending = judge_end(certificate, codes.MX_CERT_ENDING, host, now, stakes.mx_worry)
            return (Finding.of(codes.MX_TLS, host, message), *ending, *_inside(host, way))
        case TlsFailure(way=way) as tls:
            return (judge_tls_failure(tls, _TLS, host, host, failure), *_inside(host, way))
        case MxNoStartTls(way=way, reply=reply):
            message = f"STARTTLS is refused: {reply}" if reply else "STARTTLS is not offered"
            todo = "switch STARTTLS on in the mail server, with a certificate for its name"
            return (
                Finding.of(codes.MX_NO_STARTTLS, host, message, todo, severity=failure),
                *_inside(host, way),
            )
        case MxWontTalk(way=way, detail=detail):
            message = f"{way.address} was reached and did not go through the conversation: {detail}"
            return (Finding.of(codes.MX_WONT_TALK, host, message, _ELSEWHERE), *_inside(host, way))
        case Unreachable(barrier=barrier, reason=reason):
            code = codes.MX_REFUSED if barrier is Barrier.REFUSED else codes.MX_UNREACHABLE
            return (Finding.of(code, host, reason, _ELSEWHERE),)
        case NoAddress():
            todo = "give the host an A or AAAA record, or take it out of the MX records"
            message = "the MX host has neither A nor AAAA: no sender gets there"
            return (Finding.of(codes.MX_HOST_MISSING, host, message, todo),)
        case NoAnswer() | Unseen() | LookFailed() as nothing:
            return (_not_seen(host, nothing),)
        case _:
            assert_never(seen.probe)


def _not_seen(host: str, nothing: NoAnswer | Unseen | LookFailed) -> Finding:
    match nothing:
        case NoAnswer(reason=reason):
            return Finding.of(codes.MX_HOST_UNKNOWN, host, reason, "check again when the DNS answers")
        case Unseen(reason=reason):
            return Finding.of(codes.MX_UNASKED, host, reason)
        case LookFailed(reason=reason):
            return Finding.of(codes.MX_LOOK_FAILED, host, reason, LOOK_AGAIN)


def _inside(host: str, way: Way) -> tuple[Finding, ...]:
    if way.instead_of is None:
        return ()
    message = f"probed at {way.address}, inside mailcow's network, because {way.instead_of}"
    todo = "whether senders get to the host cannot be said from here: check from another network"
    return (Finding.of(codes.MX_INSIDE, host, message, todo),)
