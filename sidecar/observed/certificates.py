"""The certificates below data/assets/ssl."""

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
