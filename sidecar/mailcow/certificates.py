"""The certificates below data/assets/ssl, and when acme-mailcow ordered: read, never written.

Rules for every editor: observing costs next to nothing while no file changed, since there may be a folder for each
domain; a file that is being written, or is not a certificate, is `Unseen`, never a certificate without names.
acme-mailcow's container writes here: no link is followed. Private keys are in the same folders: they are not opened.
What a certificate lacks is decided elsewhere.
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

from sidecar.formats.x509 import reading
from sidecar.host.plain_file import NotPlainError, open_plain, opened_folder
from sidecar.observed import Certificate, Certificates, Issuer, Seen, Sight, Unseen

SSL = Path("data/assets/ssl")
_NO_CERTIFICATES = frozenset({"acme", "backups"})
_LARGEST = 1 << 20
MOST_BACKUPS = 30
_DATE = re.compile(r"(\d{4}-\d\d-\d\d_\d\d_\d\d_\d\d)\Z", re.ASCII)
"""How a backup's folder ends; a kind of key may stand before the date."""

_Version = tuple[int, int, int]
"""Of a file or folder: mtime in ns, size, inode. If these are the same, the content is the same."""


class _UnreadableError(Exception):
    """A file that cannot be read as what it should be; the text is a whole sentence."""


@dataclass(slots=True)
class CertificateFolder:
    """Reads the certificates of a mailcow; remembers them while the files stay the same."""

    _certificates: dict[str, tuple[_Version, Certificate]] = field(default_factory=dict)
    """By `Certificate.folder`."""
    _orders: dict[tuple[Path, str | None], tuple[_Version, tuple[float, ...]]] = field(default_factory=dict)

    def observe(self, mailcow_dir: Path, now: float, tz: str | None = None) -> Sight[Certificates]:
        """The server's certificate, those of ENABLE_SSL_SNI and the dates of the orders that replaced one.

        `tz` is TZ of mailcow.conf, in which acme-mailcow names its backups. A folder with the server's own
        certificate (acme-mailcow keeps one) is left out. Without an ssl folder all is `Unseen`: this is not
        a mailcow directory then. Blocks on the disk; never raises for what exists or not.
        """
        folder = mailcow_dir / SSL
        try:
            with opened_folder(folder) as ssl:
                server = self._certificate(folder / "cert.pem", "", ssl)
                others = [
                    found
                    for name in sorted(_subfolders(ssl) - _NO_CERTIFICATES)
                    if (found := self._of_folder(folder, name, ssl))
                ]
                orders = sorted(self._order_dates(folder / "backups", tz, ssl))
                backups = self._newest_backups(folder / "backups", ssl)
        except _UnreadableError as error:
            return Unseen(str(error), now)
        except OSError as error:
            return Unseen(
                f"the certificates in {folder} cannot be read: {error}; is mailcow's directory mounted?",
                now,
            )
        sni = tuple(found for found in others if server is None or found.fingerprint != server.fingerprint)
        return Seen(Certificates(server, sni, tuple(orders), backups), now)

    def _of_folder(self, above: Path, name: str, ssl: int) -> Certificate | None:
        """The certificate in the folder `name` as acme-mailcow makes them: beside it lies the list of its domains."""
        if (read := self._certificates.get(name)) is not None:
            # Two calls for each of thousands: a file with the same number, size and time is the one that was read,
            # whatever way leads to it.
            with contextlib.suppress(OSError):
                version = _version(os.stat(f"{name}/cert.pem", dir_fd=ssl, follow_symlinks=False))
                os.stat(f"{name}/domains", dir_fd=ssl, follow_symlinks=False)
                if read[0] == version:
                    return read[1]
        path = above / name
        try:
            with opened_folder(path, ssl) as folder:
                os.stat("domains", dir_fd=folder, follow_symlinks=False)
                return self._certificate(path / "cert.pem", name, folder)
        except FileNotFoundError:
            return None

    def _certificate(self, path: Path, name: str, folder: int) -> Certificate | None:
        """The leaf in the file; None if there is no file."""
        try:
            version = _version(os.stat(path.name, dir_fd=folder, follow_symlinks=False))
            known = self._certificates.get(name)
            if known and known[0] == version:
                return known[1]
            with os.fdopen(open_plain(path, os.O_RDONLY, dir_fd=folder), "rb") as file:
                before = _version(os.fstat(file.fileno()))
                data = file.read(_LARGEST)
                after = _version(os.fstat(file.fileno()))
        except FileNotFoundError:
            self._certificates.pop(name, None)
            return None
        except NotPlainError as error:
            raise _UnreadableError(
                f"{path} was not read: {error.strerror}; put the certificate itself there"
            ) from error
        if before != after:
            raise _UnreadableError(f"{path} is being written just now")
        try:
            with reading():
                leaf = x509.load_pem_x509_certificate(data)
            found = described(leaf, name)
        except ValueError as error:
            raise _UnreadableError(f"{path} holds no certificate, or only a part of one: {error}") from error
        self._certificates[name] = before, found
        return found

    def _newest_backups(self, backups: Path, ssl: int) -> tuple[Certificate, ...]:
        """The newest certificates that acme-mailcow put away; one that cannot be read is left out."""
        found: list[tuple[str, Path]] = []
        with contextlib.suppress(OSError), opened_folder(backups, ssl) as folder:
            for name in _subfolders(folder):
                with opened_folder(backups / name, folder) as dates:
                    found += [
                        (date[1], backups / name / entry)
                        for entry in _subfolders(dates)
                        if (date := _DATE.search(entry))
                    ]
        certificates: list[Certificate] = []
        for _, path in sorted(found, reverse=True)[:MOST_BACKUPS]:
            with (
                contextlib.suppress(OSError, _UnreadableError),
                opened_folder(backups, ssl) as above,
                opened_folder(path.parent, above) as parent,
                opened_folder(path, parent) as folder,
            ):
                name = str(path.relative_to(backups.parent))
                certificate = self._certificate(path / "cert.pem", name, folder)
                certificates += [certificate] if certificate else []
        return tuple(certificates)

    def _order_dates(self, backups: Path, tz: str | None, ssl: int) -> list[float]:
        dates: list[float] = []
        with contextlib.suppress(FileNotFoundError), opened_folder(backups, ssl) as above:
            for name in _subfolders(above):
                # A folder may have been removed since the list was read.
                with contextlib.suppress(FileNotFoundError), opened_folder(backups / name, above) as folder:
                    key, version = (backups / name, tz), _version(os.fstat(folder))
                    known = self._orders.get(key)
                    if known is None or known[0] != version:
                        known = self._orders[key] = version, tuple(_orders(folder, tz))
                    dates += known[1]
        return dates


def _version(stat: os.stat_result) -> _Version:
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _subfolders(folder: int) -> frozenset[str]:
    with os.scandir(folder) as entries:
        return frozenset(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))


def described(found: x509.Certificate, folder: str) -> Certificate:
    """A certificate as decisions see it; raises ValueError if it is malformed inside."""
    with reading():
        try:
            extension = found.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME)
        except x509.ExtensionNotFound:  # mailcow's own self-signed one has only a common name
            names = [str(a.value) for a in found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        else:
            assert isinstance(extension.value, x509.SubjectAlternativeName)  # noqa: S101  the OID says so
            names = extension.value.get_values_for_type(x509.DNSName)
        # The same words, with the same case, that acme-mailcow looks for in the issuer.
        issuer = ", ".join(str(attribute.value) for attribute in found.issuer)
        if "Let's Encrypt" in issuer or "Fake LE Intermediate" in issuer:
            kind = Issuer.LETS_ENCRYPT
        else:
            kind = Issuer.MAILCOW if "mailcow" in issuer else Issuer.OTHER
        return Certificate(
            folder=folder,
            names=frozenset(name.lower().rstrip(".") for name in names),
            not_before=found.not_valid_before_utc.timestamp(),
            not_after=found.not_valid_after_utc.timestamp(),
            issuer=kind,
            fingerprint=found.fingerprint(SHA256()).hex(),
        )


def _orders(folder: int, tz: str | None) -> Iterator[float]:
    """When the orders were that put these backups away, by their names in the time zone `tz` of the container."""
    zone: tzinfo | None
    try:
        zone = ZoneInfo(tz) if tz else UTC
    except (KeyError, ValueError, OSError):
        zone = None
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False) and (found := _DATE.search(entry.name)):
                at: float | None = None
                if zone is not None:
                    with contextlib.suppress(ValueError):  # a date that does not exist
                        at = datetime.strptime(found[1], "%Y-%m-%d_%H_%M_%S").replace(tzinfo=zone).timestamp()
                # Without a known zone or date, the folder's own time is the best.
                yield at or entry.stat(follow_symlinks=False).st_mtime
