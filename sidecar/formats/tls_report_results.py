"""The result types of RFC 8460 §4.3: what each means, whose fault it is, and what to do; one table.

Rule for every editor: `refuses` says that a sender that enforces an MTA-STS policy does not deliver (RFC 8461 §5).
A policy that cannot be fetched refuses nothing: mail flows, or the policy that the sender still holds goes on.
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
    """It may be on either side, or the word is not known."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a result type says, in a sentence, and what a person can do."""

    fault: Fault
    refuses: bool
    text: str
    remedy: str


_RENEW = "look at the certificate on port 25: sidecar check DOMAIN shows it as senders see it"
RESULTS: Mapping[str, Meaning] = {
    "starttls-not-supported": Meaning(
        Fault.RECEIVER,
        True,
        "The mail host did not offer STARTTLS.",
        "look whether something between (a firewall, a mail filter) removes STARTTLS, and whether every MX host has TLS",
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
        "The TLS connection failed for a reason that the sender does not name.",
        "compare with the other senders; if only one reports it, it is probably on its side",
    ),
    "sts-policy-fetch-error": Meaning(
        Fault.UNKNOWN,
        False,
        "The sender could not fetch the policy.",
        "look whether https://mta-sts.DOMAIN/.well-known/mta-sts.txt answers from outside",
    ),
    "sts-policy-invalid": Meaning(
        Fault.RECEIVER, False, "The sender found the policy not valid.", "run sidecar check DOMAIN"
    ),
    "sts-webpki-invalid": Meaning(
        Fault.RECEIVER,
        False,
        "The certificate of the policy host is not valid for the sender.",
        "run sidecar check DOMAIN: it looks at the certificate of mta-sts.DOMAIN",
    ),
    "tlsa-invalid": Meaning(
        Fault.DNS,
        False,
        "The TLSA record does not match the certificate (DANE).",
        "publish the right TLSA record",
    ),
    "dnssec-invalid": Meaning(
        Fault.DNS,
        False,
        "The DNS answers could not be validated (DNSSEC).",
        "let the DNS host check the zone's signatures",
    ),
    "dane-required": Meaning(
        Fault.SENDER,
        False,
        "The sender demands DANE for this domain, and there are no TLSA records.",
        "ask the sender, or publish TLSA records",
    ),
}

UNKNOWN = Meaning(
    Fault.UNKNOWN, False, "The sender uses a word that RFC 8460 does not have.", "look at the raw report"
)


def meaning(result: str) -> Meaning:
    """What a result type (in lower case) says; UNKNOWN for one that the RFC does not have."""
    return RESULTS.get(result, UNKNOWN)
