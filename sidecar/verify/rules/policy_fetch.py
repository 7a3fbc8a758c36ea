"""Findings about the fetch of the policy (RFC 8461 §3.3): way, TLS, status, media type, size, and the text itself.

The grammar of the text is judged by `rules.policy`.
"""

from dataclasses import replace
from typing import assert_never

from sidecar.dns.answers import NoAnswer
from sidecar.formats.domain_name import policy_host
from sidecar.observed import Unseen
from sidecar.observed.checks import Code, Finding, Severity
from sidecar.verify import probe_codes as codes
from sidecar.verify.lint import Judged, lint_policy
from sidecar.verify.rules.addresses import in_one, joined, judge_private
from sidecar.verify.rules.certificate import judge_end, judge_tls_failure
from sidecar.verify.rules.few import about
from sidecar.verify.seen import (
    Barrier,
    DomainSeen,
    NoAddress,
    PolicyAnswer,
    PolicyFailure,
    PolicyFetch,
    ProbeFailed,
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
REPORT_IT = "see the sidecar's log, and report it: something was answered that it cannot deal with"
_ELSEWHERE = (
    "run `sidecar check` in another network (how: docs/troubleshooting.md): whether senders can reach it cannot be "
    "checked from here"
)
_NO_ROUTE = (
    "give this machine a route of that family, or run `sidecar check` on a machine that has one (how: "
    "docs/troubleshooting.md)"
)
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
    """The policy that senders get, judged; None where they would accept none of what was served."""
    return lint_policy(fetch.body) if isinstance(fetch, PolicyAnswer) and usable(fetch) else None


def representative(fetches: tuple[PolicyFetch, ...]) -> tuple[PolicyFetch, tuple[PolicyFetch, ...]]:
    """The fetch that represents the policy host (the first that senders could use, if any), and the others."""
    found = next(
        (place for place, one in enumerate(fetches) if isinstance(one, PolicyAnswer) and usable(one)), 0
    )
    return fetches[found], (*fetches[:found], *fetches[found + 1 :])


def judge_fetch(seen: DomainSeen, stakes: Stakes, now: float) -> tuple[Finding, ...]:
    """Findings about the fetch, at each address of the policy host, since a sender may use any."""
    host = policy_host(seen.domain)
    url = f"https://{host}/.well-known/mta-sts.txt"
    at_address: list[tuple[str, Finding]] = []
    unseen: list[Finding] = []
    for fetch in seen.fetches:
        match fetch:
            case PolicyAnswer() | TlsFailure() | PolicyFailure():
                found = _reached(host, url, fetch, stakes, now)
                if fetch.way.instead_of is not None:
                    message = (
                        "fetched inside mailcow's network only, which proves nothing about the public addresses: "
                        f"{fetch.way.instead_of}"
                    )
                    found = (*found, Finding.of(codes.POLICY_INSIDE, url, message, _ELSEWHERE))
                at_address += [(fetch.way.address, finding) for finding in found]
            case Unreachable() | NoAddress() | NoAnswer() | Unseen() | ProbeFailed():
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
    if isinstance(fetch, TlsFailure):
        return (judge_tls_failure(fetch, _TLS, host, host, failure),)
    if isinstance(fetch, PolicyFailure):
        code = codes.POLICY_TIMEOUT if fetch.slow else codes.POLICY_BROKEN
        message = f"the web server accepted the connection and sent no policy: {fetch.detail}"
        return (Finding.of(code, url, message, "see the web server's log", severity=failure),)

    findings: list[Finding] = []
    if usable(fetch):
        findings.append(Finding.of(codes.POLICY_FETCHED, url, "the policy was fetched"))
    if 300 <= fetch.status < 400:
        to = f" to {fetch.location}" if fetch.location else ""
        message = f"status {fetch.status} redirects{to}; senders must not follow"
        todo = "serve the policy at this URL itself"
        findings.append(Finding.of(codes.POLICY_REDIRECT, url, message, todo, severity=failure))
    elif fetch.status != 200:
        message = f"status {fetch.status} instead of 200"
        todo = "see what the web server serves for this host name and path"
        findings.append(Finding.of(codes.POLICY_STATUS, url, message, todo, severity=failure))
    elif fetch.media_type != "text/plain":
        kind = f"as {fetch.media_type}" if fetch.media_type else "without a media type"
        message = f"the policy is served {kind}, not as text/plain"
        todo = "have the web server send Content-Type: text/plain"
        findings.append(Finding.of(codes.POLICY_MEDIA_TYPE, url, message, todo, severity=failure))
    if fetch.status == 200 and fetch.whole:
        findings += about(url, lint_policy(fetch.body).findings, failure)
    elif fetch.status == 200:
        message = "the policy is larger than 64 KB, which senders do not have to read"
        findings.append(
            Finding.of(codes.POLICY_TOO_LARGE, url, message, "serve the policy alone", severity=failure)
        )
    ending = judge_end(fetch.certificate, codes.POLICY_CERT_ENDING, host, now, stakes.policy_worry)
    return (*findings, *ending)


def _not_seen(
    host: str,
    url: str,
    nothing: Unreachable | NoAddress | NoAnswer | Unseen | ProbeFailed,
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
        case ProbeFailed(reason=reason):
            return Finding.of(codes.POLICY_PROBE_FAILED, url, reason, REPORT_IT)


def _unlike(url: str, fetches: tuple[PolicyFetch, ...], failure: Severity) -> tuple[Finding, ...]:
    """Two addresses that serve two policies: which one a sender gets is chance."""
    served: dict[bytes, list[str]] = {}
    for fetch in fetches:
        if isinstance(fetch, PolicyAnswer) and usable(fetch):
            served.setdefault(fetch.body.replace(b"\r\n", b"\n"), []).append(fetch.way.address)
    if len(served) < 2:
        return ()
    each: list[str] = []
    for body, places in served.items():
        policy = lint_policy(body)
        text = f"mode {policy.mode}, max_age {policy.max_age}, mx {', '.join(policy.mx[:4]) or 'none'}"
        each.append(f"{', '.join(places)}: {text if policy.mode is not None else 'no valid policy'}")
    message = f"the addresses of the policy host do not serve the same policy: {'; '.join(each)}"
    todo = "let every address lead to the same web server, or remove the record of the wrong one"
    return (Finding.of(codes.POLICY_UNLIKE, url, message, todo, severity=failure),)
