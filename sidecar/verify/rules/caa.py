"""Who may issue a certificate for the policy host (RFC 8659), which is often why a name is missing in a certificate."""

from sidecar.formats.domain_name import policy_host
from sidecar.observed import Seen
from sidecar.observed.checks import Finding, Severity
from sidecar.verify import probe_codes as codes
from sidecar.verify.seen import DomainSeen, PolicyAnswer, TlsFailure, TlsTrouble
from sidecar.verify.stakes import Stakes

LETS_ENCRYPT = "letsencrypt.org"
_LETS_ENCRYPT_ORGANISATIONS = frozenset({"Let's Encrypt", "Internet Security Research Group"})
_STILL_GOOD = frozenset({TlsTrouble.UNKNOWN_ISSUER, TlsTrouble.TOO_OLD, TlsTrouble.OTHER})


def judge_caa(seen: DomainSeen, stakes: Stakes) -> tuple[Finding, ...]:
    """Findings about CAA for the policy host; mailcow's certificates come from Let's Encrypt."""
    host = policy_host(seen.domain)
    if not isinstance(seen.caa, Seen):
        return (Finding.of(codes.CAA_UNKNOWN, host, seen.caa.reason, "check again when the DNS answers"),)
    caa = seen.caa.value
    if caa.owner is None:
        return (Finding.of(codes.CAA_NONE, host, f"no CAA record stands at {host} or above"),)
    if caa.allows(LETS_ENCRYPT):
        return (Finding.of(codes.CAA_ALLOWS, host, f"CAA at {caa.owner} allows {LETS_ENCRYPT}"),)
    allowed = ", ".join(issuer for issuer in caa.issuers if issuer) or "nobody"
    # The certificate that serves the policy host well, as far as its issuer is concerned.
    fetch = seen.policy
    in_use = (
        fetch.certificate
        if isinstance(fetch, PolicyAnswer) or (isinstance(fetch, TlsFailure) and fetch.trouble in _STILL_GOOD)
        else None
    )
    if in_use is not None and in_use.issuer not in _LETS_ENCRYPT_ORGANISATIONS:
        message = f"CAA at {caa.owner} allows {allowed}; the certificate in use is from {in_use.issuer}"
        return (Finding.of(codes.CAA_OTHER, host, message),)
    consequence = (
        "it cannot be renewed" if in_use else f"{host} cannot be in a certificate from Let's Encrypt"
    )
    severity = min(
        Severity.WARNING if in_use else Severity.ERROR, stakes.policy_failure, key=lambda item: item.rank
    )
    message = f"CAA at {caa.owner} allows {allowed}, not {LETS_ENCRYPT}: {consequence}"
    todo = f'add {caa.owner} CAA 0 issue "{LETS_ENCRYPT}"'
    return (Finding.of(codes.CAA_FORBIDS, host, message, todo, severity=severity),)
