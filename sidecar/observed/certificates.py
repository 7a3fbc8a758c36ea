"""The certificates below data/assets/ssl, and what answers at the public addresses of mailcow's names: plain values."""

from dataclasses import dataclass
from enum import StrEnum


class Issuer(StrEnum):
    """Who issued a certificate, as acme-mailcow distinguishes them."""

    LETS_ENCRYPT = "Let's Encrypt"
    MAILCOW = "mailcow's own"
    OTHER = "another issuer"


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate below data/assets/ssl; names in lower case, times in Unix seconds."""

    folder: str
    """Empty for the server's own, else the folder that belongs to ENABLE_SSL_SNI."""
    names: frozenset[str]
    not_before: float
    not_after: float
    issuer: Issuer
    fingerprint: str
    """SHA-256 of the leaf, in hex."""


@dataclass(frozen=True, slots=True)
class Certificates:
    """The certificates below data/assets/ssl; `server` is None if there is no cert.pem."""

    server: Certificate | None
    sni: tuple[Certificate, ...] = ()
    orders: tuple[float, ...] = ()
    """When an order replaced a certificate: the dates of acme's backups, Unix seconds, oldest first."""
    backups: tuple[Certificate, ...] = ()
    """The newest certificates below data/assets/ssl/backups, newest first; `folder` is the path below data/assets/ssl."""


@dataclass(frozen=True, slots=True)
class Front:
    """What was found on port 443 of `address` for a name, asked for its policy."""

    address: str
    certificate: Certificate
    """The leaf that it presented, whatever that is worth."""
    policy: bool
    """Whether it answered with 200 and text/plain."""
    mark: str = ""
    """What it calls itself (the headers Via and Server), as far as it can be printed."""
