"""What came of fetching the policy (RFC 8461 §3.3): way, TLS, status, media type, size, and the text itself.

The grammar of the text is judged by `rules.policy`.
"""

from dataclasses import replace
from typing import assert_never

from sidecar.dns.answers import NoAnswer
from sidecar.formats.domain_name import policy_host
from sidecar.observed import Unseen
from sidecar.observed.findings import Code, Finding, Severity
from sidecar.verify import probe_codes as codes
from sidecar.verify.lint import Judged, lint_policy
from sidecar.verify.rules.addresses import in_one, joined, judge_private
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
    ProbedWay,
    TlsFailure,
    TlsTrouble,
    Unreachable,
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
_ELSEWHERE = "run `sidecar check` in another network: whether senders get there cannot be seen from here"
_NO_ROUTE = "give this machine a route of that family, or run `sidecar check` on a machine that has one"
_ONE_ADDRESS = "have the web server listen at this address too, or remove the record that leads to it"
_CLOSED = frozenset({codes.POLICY_REFUSED.name, codes.POLICY_UNREACHABLE.name})
_BARRIERS: dict[Barrier, tuple[Code, str]] = {
    Barrier.REFUSED: (codes.POLICY_REFUSED, _ELSEWHERE),
    Barrier.UNREACHABLE: (codes.POLICY_UNREACHABLE, _ELSEWHERE),
    Barrier.NO_ROUTE: (codes.POLICY_NO_ROUTE, _NO_ROUTE),
}


def usable(answer: PolicyAnswer) -> bool:
    """Whether senders would read the body at all."""
    return answer.status == 200 and answer.media_type == "text/plain" and answer.whole


def the_policy(fetch: PolicyFetch) -> Judged | None:
    """The policy that senders get, judged; None where they would take none, whatever was served."""
    return lint_policy(fetch.body) if isinstance(fetch, PolicyAnswer) and usable(fetch) else None


def representative(fetches: tuple[PolicyFetch, ...]) -> tuple[PolicyFetch, tuple[PolicyFetch, ...]]:
    """The fetch that stands for the policy host, the first that senders could use if there is one; and the others."""
    found = next(
        (place for place, one in enumerate(fetches) if isinstance(one, PolicyAnswer) and usable(one)), 0
    )
    return fetches[found], (*fetches[:found], *fetches[found + 1 :])


def judge_fetch(seen: DomainSeen, stakes: Stakes, now: float) -> tuple[Finding, ...]:
    """What to say of the fetch: of each address of the policy host, for a sender may use any."""
    host = policy_host(seen.domain)
    url = f"https://{host}/.well-known/mta-sts.txt"
    at_address: list[tuple[str, Finding]] = []
    unseen: list[Finding] = []
    for fetch in seen.fetches:
        match fetch:
            case PolicyAnswer() | TlsFailure() | PolicyFailure():
                said = (*_reached(host, url, fetch, stakes, now), *_inside(url, fetch.way))
                at_address += [(fetch.way.address, finding) for finding in said]
            case Unreachable() | NoAddress() | NoAnswer() | Unseen() | LookFailed():
                unseen.append(_not_seen(host, url, fetch, stakes.policy_failure))
            case _:
                assert_never(fetch)
    if at_address:
        unseen = [replace(one, todo=_ONE_ADDRESS) if one.code in _CLOSED else one for one in unseen]
    unlike = _unlike(url, seen.fetches, stakes.policy_failure)
    private = judge_private(codes.POLICY_PRIVATE, host, seen.fetches)
    return (*in_one(at_address), *unlike, *joined(unseen), *private)


def _reached(
    host: str, url: str, fetch: PolicyAnswer | TlsFailure | PolicyFailure, stakes: Stakes, now: float
) -> tuple[Finding, ...]:
    failure = stakes.policy_failure
    match fetch:
        case PolicyAnswer(certificate=certificate):
            ending = judge_end(certificate, codes.POLICY_CERT_ENDING, host, now, stakes.policy_worry)
            return (*_answer(url, fetch, failure), *ending)
        case TlsFailure():
            return (judge_tls_failure(fetch, _TLS, host, host, failure),)
        case PolicyFailure(slow=slow, detail=detail):
            code = codes.POLICY_TIMEOUT if slow else codes.POLICY_BROKEN
            message = f"the web server took the connection and gave no policy: {detail}"
            return (Finding.of(code, url, message, "look into the web server's log", severity=failure),)


def _not_seen(
    host: str,
    url: str,
    nothing: Unreachable | NoAddress | NoAnswer | Unseen | LookFailed,
    failure: Severity,
) -> Finding:
    match nothing:
        case Unreachable(barrier=barrier, reason=reason):
            code, todo = _BARRIERS[barrier]
            return Finding.of(code, url, reason, todo)
        case NoAddress():
            message = f"{host} has neither A nor AAAA: senders cannot fetch a policy"
            todo = f"let {host} point to the server of the policy (CNAME, or A and AAAA)"
            return Finding.of(codes.POLICY_HOST_MISSING, host, message, todo, severity=failure)
        case NoAnswer(reason=reason):
            return Finding.of(codes.POLICY_HOST_UNKNOWN, host, reason, "check again when the DNS answers")
        case Unseen(reason=reason):
            return Finding.of(codes.POLICY_UNASKED, url, reason)
        case LookFailed(reason=reason):
            return Finding.of(codes.POLICY_LOOK_FAILED, url, reason, LOOK_AGAIN)


def _unlike(url: str, fetches: tuple[PolicyFetch, ...], failure: Severity) -> tuple[Finding, ...]:
    """Two addresses that serve two policies: which one a sender gets is chance."""
    served: dict[bytes, list[str]] = {}
    for fetch in fetches:
        if isinstance(fetch, PolicyAnswer) and usable(fetch):
            served.setdefault(fetch.body.replace(b"\r\n", b"\n"), []).append(fetch.way.address)
    if len(served) < 2:
        return ()
    told = "; ".join(f"{', '.join(places)}: {_in_short(body)}" for body, places in served.items())
    message = f"the addresses of the policy host do not serve the same policy: {told}"
    todo = "let every address lead to the same web server, or remove the record of the wrong one"
    return (Finding.of(codes.POLICY_UNLIKE, url, message, todo, severity=failure),)


def _in_short(body: bytes) -> str:
    policy = lint_policy(body)
    if policy.mode is None:
        return "no valid policy"
    return f"mode {policy.mode}, max_age {policy.max_age}, mx {', '.join(policy.mx[:4]) or 'none'}"


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
        findings.insert(0, Finding.of(codes.POLICY_FETCHED, url, "the policy was fetched"))
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


def _inside(url: str, way: ProbedWay) -> tuple[Finding, ...]:
    if way.instead_of is None:
        return ()
    message = f"fetched inside mailcow's network only, which proves nothing about the public addresses: {way.instead_of}"
    return (Finding.of(codes.POLICY_INSIDE, url, message, _ELSEWHERE),)
