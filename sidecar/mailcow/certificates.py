"""The certificates below data/assets/ssl, and when acme-mailcow ordered: only looked at, never written.

Rules for every editor: a look costs next to nothing while no file changed, for there may be a folder for each
domain; a file that is being written, or that is no certificate, is `Unseen`, never one without names. Private
keys lie in the same folders: they are not opened. What a certificate lacks is decided elsewhere.
"""

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import ExtensionOID, NameOID

from sidecar.observed import Certificate, Certificates, Issuer, Seen, Sight, Unseen
from sidecar.x509 import reading

SSL = Path("data/assets/ssl")
_NO_CERTIFICATES = frozenset({"acme", "backups"})
_LARGEST = 1 << 20
MOST_BACKUPS = 30
_DATE = re.compile(r"(\d{4}-\d\d-\d\d_\d\d_\d\d_\d\d)\Z", re.ASCII)
"""How a backup's folder ends; a kind of key may stand before the date."""

_Version = tuple[int, int, int]
"""Of a file or folder: mtime in ns, size, inode. What has not changed in these has not changed."""


class _UnreadableError(Exception):
    """A file that cannot be read as what it should be; the text is a whole sentence."""


@dataclass(slots=True)
class CertificateFolder:
    """Looks at the certificates of a mailcow; remembers what it read while the files stay the same."""

    _certificates: dict[Path, tuple[_Version, Certificate]] = field(default_factory=dict)
    _orders: dict[tuple[Path, str | None], tuple[_Version, tuple[float, ...]]] = field(default_factory=dict)

    def observe(self, mailcow_dir: Path, now: float, tz: str | None = None) -> Sight[Certificates]:
        """The server's certificate, those of ENABLE_SSL_SNI and the dates of the orders that replaced one.

        `tz` is TZ of mailcow.conf, in which acme-mailcow names its backups. A folder that holds the very
        certificate of the server (acme-mailcow keeps one) is not told again. Without an ssl folder all is
        `Unseen`: then this is no mailcow directory. Blocks on the disk; what is there or not never raises.
        """
        folder = mailcow_dir / SSL
        try:
            server = self._certificate(folder / "cert.pem", "")
            others = [
                found
                for name in sorted(_names_with_certificate(folder))
                if (found := self._certificate(folder / name / "cert.pem", name))
            ]
            orders = sorted(self._all_orders(folder / "backups", tz))
        except _UnreadableError as error:
            return Unseen(str(error), now)
        except OSError as error:
            return Unseen(
                f"the certificates in {folder} cannot be read: {error}; is mailcow's directory mounted?",
                now,
            )
        backups = self._newest_backups(folder)
        sni = tuple(found for found in others if server is None or found.fingerprint != server.fingerprint)
        return Seen(Certificates(server, sni, tuple(orders), backups), now)

    def _certificate(self, path: Path, folder: str) -> Certificate | None:
        """The leaf in the file, None where there is no file."""
        try:
            version = _version(path.stat())
            known = self._certificates.get(path)
            if known and known[0] == version:
                return known[1]
            with path.open("rb") as file:
                before = _version(os.fstat(file.fileno()))
                data = file.read(_LARGEST)
                after = _version(os.fstat(file.fileno()))
        except FileNotFoundError:
            self._certificates.pop(path, None)
            return None
        if before != after:
            raise _UnreadableError(f"{path} is being written just now")
        found = _leaf(path, data, folder)
        self._certificates[path] = before, found
        return found

    def _newest_backups(self, folder: Path) -> tuple[Certificate, ...]:
        """The newest certificates that acme-mailcow put away; one that cannot be read is left out."""
        found: list[tuple[str, Path]] = []
        with contextlib.suppress(OSError):
            for name in os.scandir(folder / "backups"):
                if name.is_dir(follow_symlinks=False):
                    dates = (entry for entry in os.scandir(name.path) if _DATE.search(entry.name))
                    found += [(entry.name[-19:], Path(entry.path)) for entry in dates]
        backups: list[Certificate] = []
        for _, path in sorted(found, reverse=True)[:MOST_BACKUPS]:
            with contextlib.suppress(OSError, _UnreadableError):
                certificate = self._certificate(path / "cert.pem", str(path.relative_to(folder)))
                backups += [certificate] if certificate else []
        return tuple(backups)

    def _all_orders(self, backups: Path, tz: str | None) -> Iterator[float]:
        try:
            names = [entry for entry in os.scandir(backups) if entry.is_dir(follow_symlinks=False)]
        except FileNotFoundError:
            return
        for entry in names:
            key, version = (Path(entry.path), tz), _version(entry.stat())
            known = self._orders.get(key)
            if known is None or known[0] != version:
                known = self._orders[key] = version, tuple(_orders(Path(entry.path), tz))
            yield from known[1]


def _version(stat: os.stat_result) -> _Version:
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _names_with_certificate(folder: Path) -> Iterator[str]:
    """Folders as acme-mailcow makes them: beside the certificate lies the list of its domains."""
    for entry in os.scandir(folder):
        if entry.name not in _NO_CERTIFICATES and entry.is_dir() and Path(entry.path, "domains").exists():
            yield entry.name


def _leaf(path: Path, data: bytes, folder: str) -> Certificate:
    try:
        with reading():
            found = x509.load_pem_x509_certificate(data)
        return described(found, folder)
    except ValueError as error:
        raise _UnreadableError(f"{path} holds no certificate, or only a part of one: {error}") from error


def described(found: x509.Certificate, folder: str) -> Certificate:
    """A certificate as decisions see it; raises ValueError where it is malformed within."""
    with reading():
        return Certificate(
            folder=folder,
            names=_names(found),
            not_before=found.not_valid_before_utc.timestamp(),
            not_after=found.not_valid_after_utc.timestamp(),
            issuer=_issuer(found.issuer),
            fingerprint=found.fingerprint(SHA256()).hex(),
        )


def _names(found: x509.Certificate) -> frozenset[str]:
    """The DNS names; the common name where the certificate has none, as mailcow's own self-signed one."""
    try:
        extension = found.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME)
    except x509.ExtensionNotFound:
        names = [str(a.value) for a in found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    else:
        assert isinstance(extension.value, x509.SubjectAlternativeName)  # noqa: S101  the OID says so
        names = extension.value.get_values_for_type(x509.DNSName)
    return frozenset(name.lower().rstrip(".") for name in names)


def _issuer(name: x509.Name) -> Issuer:
    """The same words, with the same case, that acme-mailcow looks for in the issuer."""
    text = ", ".join(str(attribute.value) for attribute in name)
    if "Let's Encrypt" in text or "Fake LE Intermediate" in text:
        return Issuer.LETS_ENCRYPT
    return Issuer.MAILCOW if "mailcow" in text else Issuer.OTHER


def _orders(folder: Path, tz: str | None) -> Iterator[float]:
    zone = _zone(tz)
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False) and (found := _DATE.search(entry.name)):
            yield _unix(found[1], zone) or entry.stat().st_mtime


def _unix(text: str, zone: tzinfo | None) -> float | None:
    """None where the date is none, or the time zone is not known: the folder's own time is then the best."""
    if zone is None:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d_%H_%M_%S").replace(tzinfo=zone).timestamp()
    except ValueError:
        return None


def _zone(tz: str | None) -> tzinfo | None:
    """The zone of the container: UTC without a name, None for one that this system does not know."""
    if not tz:
        return UTC
    try:
        return ZoneInfo(tz)
    except (KeyError, ValueError, OSError):
        return None
