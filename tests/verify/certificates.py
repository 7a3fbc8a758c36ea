"""Certificates of the small internet's servers: right, wrong in all ways that senders mind, and strange ones."""

import datetime as dt
import ssl
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import Enum, auto
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtensionOID, NameOID


class Kind(Enum):
    """What a server's certificate and TLS are like."""

    GOOD = auto()
    EXPIRED = auto()
    NOT_YET = auto()
    ENDING = auto()
    WRONG_NAME = auto()
    ONLY_COMMON_NAME = auto()
    SELF_SIGNED = auto()
    UNREADABLE = auto()
    """Self-signed, with a subjectAltName that OpenSSL reads and Python's cryptography does not."""
    UNREADABLE_GOOD = auto()
    """The same, signed by the authority and with the right name."""
    TWICE = auto()
    """Self-signed, with the same extension twice; OpenSSL's servers do not load it."""
    UNKNOWN_ISSUER = auto()
    OLD = auto()
    """The alert of a server whose TLS is older than the client's (a whole such server is in the system tests)."""
    NONSENSE = auto()
    """Octets that are no TLS."""
    CLOSED = auto()
    """The connection ends in the handshake."""


@lru_cache
def authority() -> trustme.CA:
    """The authority that checks trust."""
    return trustme.CA(organization_name="Authority of the tests")


@lru_cache
def root_file() -> Path:
    """Its root, as a file that lives as long as the process."""
    folder = tempfile.TemporaryDirectory()
    _KEPT.append(folder)
    path = Path(folder.name) / "root.pem"
    authority().cert_pem.write_to_path(path)
    return path


_KEPT: list[object] = []


@lru_cache
def chain(kind: Kind, name: str) -> bytes:
    """Key and certificates (PEM) of a server of this name."""
    now = dt.datetime.now(dt.UTC)
    day = dt.timedelta(days=1)
    dates: dict[str, Any] = {}
    if kind is Kind.EXPIRED:
        dates = {"not_before": now - 30 * day, "not_after": now - day}
    elif kind is Kind.NOT_YET:
        dates = {"not_before": now + day, "not_after": now + 30 * day}
    elif kind is Kind.ENDING:
        dates = {"not_before": now - 80 * day, "not_after": now + 5 * day}
    if kind in STRANGE_NAMES:
        return _made_by_hand(name, kind)
    issuer = trustme.CA() if kind is Kind.UNKNOWN_ISSUER else authority()
    if kind is Kind.ONLY_COMMON_NAME:
        return issuer.issue_cert(
            "other@example.test", common_name=name
        ).private_key_and_cert_chain_pem.bytes()
    named = "elsewhere.test" if kind is Kind.WRONG_NAME else name
    return issuer.issue_cert(named, **dates).private_key_and_cert_chain_pem.bytes()


def leaf(kind: Kind, name: str) -> x509.Certificate:
    """The server's own certificate."""
    return x509.load_pem_x509_certificates(chain(kind, name))[0]


def _x400(*names: bytes) -> x509.UnrecognizedExtension:
    """A subjectAltName with these names and an empty x400Address ([3], RFC 5280 §4.2.1.6)."""
    octets = b"".join(b"\x82" + bytes([len(name)]) + name for name in names) + b"\xa3\x02\x30\x00"
    return x509.UnrecognizedExtension(
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME, b"\x30" + bytes([len(octets)]) + octets
    )


STRANGE_NAMES: Mapping[Kind, Callable[[str], Sequence[x509.ExtensionType]]] = {
    Kind.SELF_SIGNED: lambda name: [x509.SubjectAlternativeName([x509.DNSName(name)])],
    Kind.UNREADABLE: lambda _: [_x400()],
    Kind.UNREADABLE_GOOD: lambda name: [_x400(name.encode())],
    Kind.TWICE: lambda name: [x509.SubjectAlternativeName([x509.DNSName(name)])] * 2,
}


def _made_by_hand(name: str, kind: Kind) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer, signer = subject, key
    if kind is Kind.UNREADABLE_GOOD:
        root = serialization.load_pem_private_key(authority().private_key_pem.bytes(), None)
        issuer = x509.load_pem_x509_certificate(authority().cert_pem.bytes()).subject
        signer = cast("ec.EllipticCurvePrivateKey", root)
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=100))
    )
    # set as they are, for the builder takes none twice
    builder._extensions = [x509.Extension(one.oid, False, one) for one in STRANGE_NAMES[kind](name)]
    built = builder.sign(signer, hashes.SHA256())
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(pem, pkcs8, serialization.NoEncryption()) + built.public_bytes(pem)


def server_context(kind: Kind, name: str) -> ssl.SSLContext:
    """What a server of this kind and name does TLS with."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with _as_file(chain(kind, name)) as path:
        context.load_cert_chain(path)
    return context


@contextmanager
def _as_file(content: bytes) -> Iterator[Path]:
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:
        file.write(content)
        file.flush()
        yield Path(file.name)
