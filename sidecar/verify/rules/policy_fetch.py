"""What came of fetching the policy (RFC 8461 §3.3): way, TLS, status, media type, size, and the text itself.

The grammar of the text is judged by `rules.policy`.
"""

from sidecar.dns.answers import NoAnswer
from sidecar.formats.domain_name import policy_host
from sidecar.observed import Unseen
from sidecar.observed.findings import Code, Finding, Severity
from sidecar.verify import probe_codes as codes
from sidecar.verify.lint import Judged, lint_policy
from sidecar.verify.rules.certificate import judge_end, judge_tls_failure
from sidecar.verify.rules.retold import retold
from sidecar.verify.seen import (
    Barrier,
    DomainSeen,
    LookFailed,
    NoAddress,
    PolicyAnswer,
    PolicyFailure,
    PolicyFetch,
    TlsFailure,
    TlsTrouble,
    Unreachable,
    Way,
)
from sidecar.verify.stakes import Stakes

_TLS: dict[TlsTrouble, Code] = {
    TlsTrouble.EXPIRED: codes.POLICY_CERT_EXPIRED,
    TlsTrouble.NOT_YET_VALID: codes.POLICY_CERT_NOT_YET,
    TlsTrouble.WRONG_NAME: codes.POLICY_CERT_NAME,
    TlsTrouble.SELF_SIGNED: codes.POLICY_CERT_SELF_SIGNED,
    TlsTrouble.UNKNOWN_ISSUER: codes.POLICY_CERT_ISSUER,
    TlsTrouble.TOO_OLD: codes.POLICY_TLS_OLD,
    TlsTrouble.OTHER: codes.POLICY_TLS_FAILED,
}
LOOK_AGAIN = "see the sidecar's log, and report it: something was answered that it cannot deal with"
_ELSEWHERE = "check from another network: whether senders get there cannot be said from here"


def usable(answer: PolicyAnswer) -> bool:
    """Whether senders would read the body at all."""
    return answer.status == 200 and answer.media_type == "text/plain" and answer.whole


def the_policy(fetch: PolicyFetch) -> Judged | None:
    """The policy that senders get, judged; None where they would take none, whatever was served."""
    return lint_policy(fetch.body) if isinstance(fetch, PolicyAnswer) and usable(fetch) else None


def judge_fetch(seen: DomainSeen, stakes: Stakes, now: float) -> tuple[Finding, ...]:
    """What to say of the fetch."""
    host = policy_host(seen.domain)
    url = f"https://{host}/.well-known/mta-sts.txt"
    failure = stakes.policy_failure
    match seen.policy:
        case PolicyAnswer() as answer:
            ending = judge_end(answer.certificate, codes.POLICY_CERT_ENDING, host, now, stakes.policy_worry)
            return (*_answer(url, answer, failure), *ending, *_inside(url, answer.way))
        case TlsFailure() as tls:
            return (judge_tls_failure(tls, _TLS, host, host, failure), *_inside(url, tls.way))
        case PolicyFailure(slow=slow, detail=detail, way=way):
            code = codes.POLICY_TIMEOUT if slow else codes.POLICY_BROKEN
            message = f"{way.address} took the connection and gave no policy: {detail}"
            return (
                Finding.of(code, url, message, "look into the web server's log", severity=failure),
                *_inside(url, way),
            )
        case Unreachable(barrier=barrier, reason=reason):
            refused = barrier is Barrier.REFUSED
            code = codes.POLICY_REFUSED if refused else codes.POLICY_UNREACHABLE
            return (Finding.of(code, url, reason, _ELSEWHERE),)
        case NoAddress():
            message = f"{host} has neither A nor AAAA: senders cannot fetch a policy"
            todo = f"let {host} point to the server of the policy (CNAME, or A and AAAA)"
            return (Finding.of(codes.POLICY_HOST_MISSING, host, message, todo, severity=failure),)
        case NoAnswer(reason=reason):
            return (Finding.of(codes.POLICY_HOST_UNKNOWN, host, reason, "check again when the DNS answers"),)
        case Unseen() | LookFailed() as nothing:
            if isinstance(nothing, Unseen):
                return (Finding.of(codes.POLICY_UNASKED, url, nothing.reason),)
            return (Finding.of(codes.POLICY_LOOK_FAILED, url, nothing.reason, LOOK_AGAIN),)


def _answer(url: str, answer: PolicyAnswer, failure: Severity) -> tuple[Finding, ...]:
    if answer.status != 200:
        return (_status(url, answer, failure),)
    findings: list[Finding] = []
    if answer.media_type != "text/plain":
        kind = f"as {answer.media_type}" if answer.media_type else "without a media type"
        message = f"the policy is served {kind}, not as text/plain"
        todo = "have the web server say Content-Type: text/plain"
        findings.append(Finding.of(codes.POLICY_MEDIA_TYPE, url, message, todo, severity=failure))
    if not answer.whole:
        message, todo = (
            "the policy is larger than 64 KB, which senders need not read",
            "serve the policy alone",
        )
        findings.append(Finding.of(codes.POLICY_TOO_LARGE, url, message, todo, severity=failure))
    else:
        findings += retold(url, lint_policy(answer.body).findings, failure)
    if usable(answer):
        told = f"the policy was fetched from {answer.way.address}"
        findings.insert(0, Finding.of(codes.POLICY_FETCHED, url, told))
    return tuple(findings)


def _status(url: str, answer: PolicyAnswer, failure: Severity) -> Finding:
    if 300 <= answer.status < 400:
        to = f" to {answer.location}" if answer.location else ""
        message = f"status {answer.status} redirects{to}; senders must not follow"
        todo = "serve the policy at this very address"
        return Finding.of(codes.POLICY_REDIRECT, url, message, todo, severity=failure)
    message = f"status {answer.status} instead of 200"
    todo = "look at what the web server has for this host name and path"
    return Finding.of(codes.POLICY_STATUS, url, message, todo, severity=failure)


def _inside(url: str, way: Way) -> tuple[Finding, ...]:
    if way.instead_of is None:
        return ()
    message = f"asked at {way.address}, inside mailcow's network, because {way.instead_of}"
    return (Finding.of(codes.POLICY_INSIDE, url, message, _ELSEWHERE),)
