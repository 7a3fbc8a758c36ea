"""What to say of a server's TLS and certificate, be it the policy host or an MX host (RFC 8461 §3.3 and §4.2)."""

from collections.abc import Mapping
from datetime import UTC, datetime

from sidecar.formats.x509 import ends_soon
from sidecar.observed.findings import Code, Finding, Severity
from sidecar.observed.words import span
from sidecar.verify.seen import PresentedCertificate, TlsFailure, TlsTrouble

_MOST_NAMES = 6


def judge_tls_failure(
    failure: TlsFailure, kinds: Mapping[TlsTrouble, Code], subject: str, name: str, severity: Severity
) -> Finding:
    """The finding for a server that was to show a certificate for `name`."""
    message, todo = _words(failure, name)
    return Finding.of(kinds[failure.trouble], subject, message, todo, severity=severity)


def judge_end(
    certificate: PresentedCertificate, code: Code, subject: str, now: float, severity: Severity
) -> tuple[Finding, ...]:
    """A warning when an accepted certificate ends soon."""
    begin, end = certificate.not_before, certificate.not_after
    if begin is None or end is None or not ends_soon(begin, end, now):
        return ()
    message = f"the certificate ends on {_day(end)}, in {span(end - now)}"
    return (Finding.of(code, subject, message, "see why it was not renewed", severity=severity),)


def _words(failure: TlsFailure, name: str) -> tuple[str, str]:
    shown = failure.certificate
    match failure.trouble:
        case TlsTrouble.EXPIRED:
            when = f" on {_day(shown.not_after)}" if shown and shown.not_after is not None else ""
            return f"the certificate has expired{when}", "renew it, and have the server load it"
        case TlsTrouble.NOT_YET_VALID:
            when = f" before {_day(shown.not_before)}" if shown and shown.not_before is not None else ""
            return f"the certificate is not valid{when}", "set the clocks right, or wait"
        case TlsTrouble.WRONG_NAME:
            names = f"; it has {_some(shown.names)}" if shown and shown.names is not None else ""
            return (
                f"{name} is not among the DNS names of the certificate{names}",
                f"get a certificate for {name}",
            )
        case TlsTrouble.SELF_SIGNED:
            return "the certificate is self-signed", "get one of an authority that mail servers trust"
        case TlsTrouble.UNKNOWN_ISSUER:
            issuer = f" (issuer: {shown.issuer})" if shown else ""
            return (
                f"no authority that senders trust stands behind the certificate{issuer}: {failure.detail}",
                "serve the intermediate certificates along with it, and use an authority that mail servers trust",
            )
        case TlsTrouble.TOO_OLD:
            return f"no TLS 1.2 or later is spoken: {failure.detail}", "switch TLS 1.2 and 1.3 on"
        case TlsTrouble.OTHER:
            return f"the TLS handshake failed: {failure.detail}", "look into the server's log"


def _some(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:_MOST_NAMES]) or "none"
    return shown if len(names) <= _MOST_NAMES else f"{shown} and {len(names) - _MOST_NAMES} more"


def _day(at: float) -> str:
    try:
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")
    except (OverflowError, ValueError, OSError):
        return "a day beyond the calendar"
