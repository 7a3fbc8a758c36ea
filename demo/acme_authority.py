"""The stand-in for Let's Encrypt: it checks the names of an order itself, and signs or refuses.

Rule for every editor: what it refuses is what Let's Encrypt refuses (RFC 8659, RFC 8657, RFC 8555 §8.3), not what
acme-mailcow leaves out.
"""

import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from demo.acme_checks import CHALLENGE_PATH, LETS_ENCRYPT, Dns, Web, put

MOST_NAMES = 100
ISSUER = "Let's Encrypt (a stand-in of the demo)"
LIFETIME = timedelta(days=90)
_CAA = re.compile(r'\d+ (\w+) "(.*)"')


@dataclass(slots=True)
class Authority:
    """Makes its own DNS and HTTP requests."""

    dns: Dns
    web: Web
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    async def refusal(self, names: Sequence[str], challenges: Path | None) -> str | None:
        """Why the order fails; `challenges` is the folder for HTTP-01, None for DNS-01 (which always succeeds)."""
        if len(names) > MOST_NAMES:
            return f"Order cannot contain more than {MOST_NAMES} DNS names"
        method = "dns-01" if challenges is None else "http-01"
        for name in names:
            if not await self._caa_allows(name, method):
                return f"CAA record for {name} prevents issuance"
            if challenges is not None and not await self._answers(name, challenges):
                return f"Challenge did not pass for {name}"
        return None

    async def _caa_allows(self, name: str, method: str) -> bool:
        """The closest records that there are, from the name itself upwards (RFC 8659 §3)."""
        wildcard = name.startswith("*.")
        labels = name.removeprefix("*.").split(".")
        for cut in range(len(labels)):
            texts = await self.dns.short(".".join(labels[cut:]), "CAA")
            if found := [match.groups() for text in texts if (match := _CAA.fullmatch(text))]:
                tags = {tag for tag, _ in found}
                tag = "issuewild" if wildcard and "issuewild" in tags else "issue"
                return tag not in tags or any(
                    _names_us(value, method) for kind, value in found if kind == tag
                )
        return True

    async def _answers(self, name: str, challenges: Path) -> bool:
        """Over IPv6 if the name has an IPv6 address; over IPv4 if nothing answers there."""
        text = secrets.token_urlsafe(32)
        file = put(challenges, text, text)
        try:
            found = await self.web.get(name, 6, CHALLENGE_PATH + text)
            if found is None:
                found = await self.web.get(name, 4, CHALLENGE_PATH + text)
        finally:
            file.unlink(missing_ok=True)
        return found == text

    def certificate(self, names: Iterable[str], *, issuer: str = ISSUER) -> bytes:
        """A certificate for these names, and for the public key of `key_pem`."""
        now = datetime.now(UTC)
        listed = list(dict.fromkeys(name.lower() for name in names))
        certificate = (
            x509.CertificateBuilder()
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, issuer)]))
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, listed[0])]))
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now)
            .not_valid_after(now + LIFETIME)
            .add_extension(
                x509.SubjectAlternativeName([x509.DNSName(name) for name in listed]), critical=False
            )
            .sign(self.key, hashes.SHA256())
        )
        return certificate.public_bytes(serialization.Encoding.PEM)

    def key_pem(self) -> bytes:
        """The private key that goes with the certificates."""
        return self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )


def _names_us(value: str, method: str) -> bool:
    """Whether an `issue` value is for Let's Encrypt and this way of validation (RFC 8659 §4.2, RFC 8657 §4)."""
    domain, *parameters = (part.strip() for part in value.split(";"))
    methods = [part.partition("=")[2] for part in parameters if part.startswith("validationmethods=")]
    foreign_account = any(part.startswith("accounturi=") for part in parameters)
    return (
        domain.lower() == LETS_ENCRYPT
        and not foreign_account
        and all(method in listed.split(",") for listed in methods)
    )
