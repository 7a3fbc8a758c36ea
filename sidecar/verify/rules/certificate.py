"""Findings about the TLS and the certificate of a server: a policy host or an MX host (RFC 8461 §3.3 and §4.2)."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import assert_never

from sidecar.formats.x509 import ends_soon
from sidecar.observed.checks import Code, Finding, Severity
from sidecar.observed.words import span
from sidecar.verify.seen import PresentedCertificate, TlsFailure, TlsTrouble

_MOST_NAMES = 6


def judge_tls_failure(
    failure: TlsFailure, kinds: Mapping[TlsTrouble, Code], subject: str, name: str, severity: Severity
) -> Finding:
    """The finding for a server that should have shown a certificate for `name`."""
    shown = failure.certificate
    match failure.trouble:
        case TlsTrouble.EXPIRED:
            when = f" on {_day(shown.not_after)}" if shown and shown.not_after is not None else ""
            message, todo = f"the certificate has expired{when}", "renew it, and have the server load it"
        case TlsTrouble.NOT_YET_VALID:
            when = f" before {_day(shown.not_before)}" if shown and shown.not_before is not None else ""
            message, todo = f"the certificate is not valid{when}", "correct the clocks, or wait"
        case TlsTrouble.WRONG_NAME:
            message, todo = (
                f"{name} is not among the DNS names of the certificate",
                f"get a certificate for {name}",
            )
            if shown and shown.names is not None:
                message += f"; it has {', '.join(shown.names[:_MOST_NAMES]) or 'none'}"
                if len(shown.names) > _MOST_NAMES:
                    message += f" and {len(shown.names) - _MOST_NAMES} more"
        case TlsTrouble.SELF_SIGNED:
            message = "the certificate is self-signed"
            todo = "get one from an authority that mail servers trust"
        case TlsTrouble.UNKNOWN_ISSUER:
            issuer = f" (issuer: {shown.issuer})" if shown else ""
            message = (
                f"no authority that senders trust stands behind the certificate{issuer}: {failure.detail}"
            )
            todo = "serve the intermediate certificates along with it, and use an authority that mail servers trust"
        case TlsTrouble.TOO_OLD:
            message, todo = f"TLS 1.2 or later is not offered: {failure.detail}", "enable TLS 1.2 and 1.3"
        case TlsTrouble.OTHER:
            message, todo = f"the TLS handshake failed: {failure.detail}", "see the server's log"
        case _:
            assert_never(failure.trouble)
    return Finding.of(kinds[failure.trouble], subject, message, todo, severity=severity)


def judge_end(
    certificate: PresentedCertificate, code: Code, subject: str, now: float, severity: Severity
) -> tuple[Finding, ...]:
    """A warning when an accepted certificate expires soon."""
    begin, end = certificate.not_before, certificate.not_after
    if begin is None or end is None or not ends_soon(begin, end, now):
        return ()
    message = f"the certificate expires on {_day(end)}, in {span(end - now)}"
    return (Finding.of(code, subject, message, "see why it was not renewed", severity=severity),)


def _day(at: float) -> str:
    try:
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")
    except (OverflowError, ValueError, OSError):
        return "a day beyond the calendar"
