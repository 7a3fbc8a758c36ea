"""What a sender trusts, and what a failed handshake means.

Rule for every editor: a context that does not verify is only for reading a certificate that was already refused.
"""

import asyncio
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from cryptography import x509
from cryptography.x509.oid import NameOID

from sidecar.formats.x509 import reading
from sidecar.host.errors import PermanentError
from sidecar.host.plain_file import read_plain
from sidecar.verify.probes.connect import CONNECT_S, Reached, SpentError
from sidecar.verify.seen import PresentedCertificate, TlsTrouble

T = TypeVar("T")

_LARGEST = 64 * 1024
_MOST_NAMES = 100
_LONGEST_NAME = 253
_UNREADABLE = "unreadable"

LARGEST_ROOTS = 1 << 22
"""Bytes of the settings' file of authorities; all that browsers know of is a tenth of it."""

# X509_V_ERR_… of OpenSSL's x509_vfy.h
_BY_VERIFY_CODE = {
    2: TlsTrouble.UNKNOWN_ISSUER,  # unable to get issuer certificate
    9: TlsTrouble.NOT_YET_VALID,
    10: TlsTrouble.EXPIRED,
    18: TlsTrouble.SELF_SIGNED,  # the server's own certificate
    19: TlsTrouble.UNKNOWN_ISSUER,  # a root that nobody knows was sent along
    20: TlsTrouble.UNKNOWN_ISSUER,  # unable to get local issuer certificate
    21: TlsTrouble.UNKNOWN_ISSUER,  # unable to verify the first certificate
    62: TlsTrouble.WRONG_NAME,
}
_TOO_OLD = frozenset(
    {"UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION", "WRONG_SSL_VERSION", "NO_PROTOCOLS_AVAILABLE"}
)


def trusting(extra_root: Path | None) -> ssl.SSLContext:
    """A client's context: TLS 1.2 or later, the system's roots and those in the PEM file `extra_root`, names by SAN only.

    Raises PermanentError when `extra_root` holds no certificate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # RFC 8461 §3.3 and §4.2 ask for a DNS-ID, which is a subjectAltName: a common name does not count.
    context.hostname_checks_common_name = False
    context.load_default_certs()
    paths = ssl.get_default_verify_paths()
    folder = Path(paths.capath) if paths.capath else None
    if not paths.cafile and (folder is None or not folder.is_dir() or not any(folder.iterdir())):
        # A slim image may have no ca-certificates.
        with suppress(ImportError):
            import certifi  # noqa: PLC0415 - only where the system has none

            context.load_verify_locations(certifi.where())
    if extra_root is not None:
        try:
            pem = read_plain(extra_root, LARGEST_ROOTS)
            context.load_verify_locations(
                cadata=pem.decode("ascii", "ignore")
            )  # comments may be in any encoding
        except (OSError, ValueError) as error:
            raise PermanentError(
                f"reading certificates of an authority from {extra_root} failed: {error}; give a PEM file"
            ) from error
    return context


def accepting_all() -> ssl.SSLContext:
    """A context that accepts every certificate, to read the one that was refused."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def trouble(error: ssl.SSLError) -> tuple[TlsTrouble, str]:
    """The kind of failure, and OpenSSL's text for it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        kind = _BY_VERIFY_CODE.get(error.verify_code, TlsTrouble.OTHER)
        return kind, error.verify_message or str(error)
    reason = getattr(error, "reason", None) or error.strerror or str(error)
    return (TlsTrouble.TOO_OLD if reason in _TOO_OLD else TlsTrouble.OTHER), reason.lower().replace("_", " ")


@lru_cache(maxsize=64)
def certificate(der: bytes) -> PresentedCertificate:
    """The certificate in `der`, shared by all who serve it; never raises.

    What cannot be read in it is None ("unreadable" for the issuer), and nothing is read in one of more than 64 KB.
    Names beyond the first 100, and letters of a name beyond 253, are left out.
    """
    parsed = _read(lambda: x509.load_der_x509_certificate(der)) if len(der) <= _LARGEST else None
    if parsed is None:
        return PresentedCertificate(None, _UNREADABLE, None, None, der)
    return PresentedCertificate(
        _read(lambda: _names(parsed)),
        _read(lambda: _issuer(parsed.issuer)) or _UNREADABLE,
        _read(lambda: _unix(parsed.not_valid_before_utc)),
        _read(lambda: _unix(parsed.not_valid_after_utc)),
        der,
    )


def _unix(date: datetime) -> float:
    return date.timestamp()


def _read(part: Callable[[], T]) -> T | None:
    try:
        with reading():
            return part()
    except ValueError:
        return None


def _names(parsed: x509.Certificate) -> tuple[str, ...]:
    try:
        found = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    names = found.get_values_for_type(x509.DNSName)[:_MOST_NAMES]
    return tuple(name[:_LONGEST_NAME].lower() for name in names)


def _issuer(name: x509.Name) -> str:
    for oid in (NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME):
        for attribute in name.get_attributes_for_oid(oid):
            return str(attribute.value)[:_LONGEST_NAME]
    return name.rfc4514_string()[:_LONGEST_NAME] or "nobody"


def peer_certificate(writer: asyncio.StreamWriter) -> PresentedCertificate:
    """The certificate that the other end of this TLS connection showed."""
    der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    return certificate(der or b"")


async def shown_certificate(reached: Reached, name: str) -> PresentedCertificate | None:
    """The certificate that an HTTPS server shows for this name, valid or not; None where it shows none."""
    try:
        connection = await reached.again()
        async with asyncio.timeout(CONNECT_S):
            _, writer = await asyncio.open_connection(
                sock=connection, ssl=accepting_all(), server_hostname=name
            )
    except (OSError, TimeoutError, SpentError, ValueError):
        return None
    with closing(writer):
        return peer_certificate(writer)


@contextmanager
def handshake() -> Iterator[None]:
    """Around a handshake: a connection that is closed during it is a failed handshake, not an unreachable server."""
    try:
        yield
    except ConnectionError as error:
        raise ssl.SSLError(1, "the server closed the connection in it") from error


@contextmanager
def closing(writer: asyncio.StreamWriter) -> Iterator[None]:
    """Closes a connection without waiting for the TLS shutdown: nothing more is expected from the other end."""
    try:
        yield
    finally:
        writer.transport.abort()
