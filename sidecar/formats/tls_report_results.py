"""The result types of RFC 8460 §4.3 in one table: what each means, where the cause is, and what to do.

Rule for every editor: `refuses` says that a sender that enforces an MTA-STS policy does not deliver (RFC 8461 §5).
If a sender cannot fetch the policy, it still delivers: without a policy, or with the one in its cache.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Fault(StrEnum):
    """Where the cause is."""

    RECEIVER = "receiver"
    SENDER = "sender"
    DNS = "dns"
    UNKNOWN = "unknown"
    """It may be on either side, or the result type is unknown."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """The meaning of a result type, as a sentence, and what a person can do."""

    fault: Fault
    refuses: bool
    text: str
    remedy: str


_CHECK = "`docker compose exec mta-sts-mailcow sidecar check DOMAIN`"
_RENEW = f"check the certificate on port 25 as senders see it: {_CHECK}"
RESULTS: Mapping[str, Meaning] = {
    "starttls-not-supported": Meaning(
        Fault.RECEIVER,
        True,
        "The mail host did not offer STARTTLS.",
        "check whether a firewall or mail filter in between removes STARTTLS, and whether every MX host offers TLS",
    ),
    "certificate-host-mismatch": Meaning(
        Fault.RECEIVER,
        True,
        "The certificate of the mail host does not have the name of the MX host.",
        _RENEW,
    ),
    "certificate-expired": Meaning(
        Fault.RECEIVER, True, "The certificate of the mail host has expired.", _RENEW
    ),
    "certificate-not-trusted": Meaning(
        Fault.RECEIVER, True, "The sender does not trust the issuer of the mail host's certificate.", _RENEW
    ),
    "validation-failure": Meaning(
        Fault.UNKNOWN,
        True,
        "The TLS connection failed; the sender gives no reason.",
        "compare with the other senders; if only one reports it, the cause is probably on its side",
    ),
    "sts-policy-fetch-error": Meaning(
        Fault.UNKNOWN,
        False,
        "The sender could not fetch the policy.",
        "check whether https://mta-sts.DOMAIN/.well-known/mta-sts.txt answers from outside",
    ),
    "sts-policy-invalid": Meaning(
        Fault.RECEIVER,
        False,
        "The policy is not valid for the sender.",
        f"check the policy as senders see it: {_CHECK}",
    ),
    "sts-webpki-invalid": Meaning(
        Fault.RECEIVER,
        False,
        "The certificate of the policy host is not valid for the sender.",
        f"check the certificate of mta-sts.DOMAIN as senders see it: {_CHECK}",
    ),
    "tlsa-invalid": Meaning(
        Fault.DNS,
        False,
        "The TLSA record does not match the certificate (DANE).",
        "publish a TLSA record that matches the certificate",
    ),
    "dnssec-invalid": Meaning(
        Fault.DNS,
        False,
        "The DNS answers could not be validated (DNSSEC).",
        "ask the DNS host to check the signatures of the zone",
    ),
    "dane-required": Meaning(
        Fault.SENDER,
        False,
        "The sender requires DANE for this domain, but there are no TLSA records.",
        "ask the sender, or publish TLSA records",
    ),
}

UNKNOWN = Meaning(
    Fault.UNKNOWN,
    False,
    "The sender uses a result type that RFC 8460 does not define.",
    "read the raw report",
)


def meaning(result: str) -> Meaning:
    """The meaning of a result type (lower case); UNKNOWN if the RFC does not define it."""
    return RESULTS.get(result, UNKNOWN)
