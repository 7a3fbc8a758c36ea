"""The stand-in for acme-mailcow: what a run of it does to the certificate folder.

Rule for every editor: it finds its names itself, from its environment, mailcow's tables and the DNS, as the
real one does, and not with the sidecar's own rules: else the demo would prove the sidecar by itself.
"""

import asyncio
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sidecar.atomic import replace_file
from sidecar.demo.names import DemoDns
from sidecar.demo.simulated import SimulatedMailcow
from sidecar.observed import Backend

WORK_S = 1.0
"""How long a run takes. The real one takes longer; less than a second would date an order before its cause."""
_LIFETIME = timedelta(days=90)


@dataclass(slots=True)
class StandInAcme:
    """Orders from a certificate authority of its own, which calls itself a stand-in for Let's Encrypt."""

    mailcow_dir: Path
    mailcow: SimulatedMailcow
    dns: DemoDns
    backend: Backend
    hostname: str
    _key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    @property
    def folder(self) -> Path:
        """Where the certificates are."""
        return self.mailcow_dir / "data/assets/ssl"

    def names(self) -> frozenset[str]:
        """The names in the certificate."""
        found = x509.load_pem_x509_certificate((self.folder / "cert.pem").read_bytes())
        extension = found.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        return frozenset(extension.value.get_values_for_type(x509.DNSName))

    async def run(self, environment: Mapping[str, str]) -> None:
        """One run: a new certificate where the names that pass their check are others than before."""
        own = await self.dns.addresses(self.hostname)
        wanted = self._wanted(environment)
        found = await asyncio.gather(*(self.dns.addresses(name) for name in wanted))
        passed = [
            name for name, addresses in zip(wanted, found, strict=True) if addresses and addresses <= own
        ]
        if passed and frozenset(passed) != await asyncio.to_thread(self.names):
            await asyncio.to_thread(self._order, passed)

    def first(self, names: Iterable[str]) -> None:
        """The certificate that was there before the sidecar came."""
        self.folder.mkdir(parents=True)
        self._write(list(names))

    def _wanted(self, environment: Mapping[str, str]) -> list[str]:
        domains = [row.name for row in self.mailcow.world.rows() if row.active == 1 and row.backupmx == 0]
        entries = [entry for entry in environment.get("ADDITIONAL_SAN", "").split(",") if entry]
        names = [self.hostname, *(entry for entry in entries if not entry.endswith(".*"))]
        prefixes = [entry.removesuffix(".*") for entry in entries if entry.endswith(".*")]
        if environment.get("AUTODISCOVER_SAN", "y") == "y":
            prefixes += ["autodiscover", "autoconfig"]
            if self.backend is Backend.NATIVE:
                names += [
                    f"mta-sts.{row.domain}" for row in self.mailcow.policies.values() if row.active == 1
                ]
        names += [f"{prefix}.{domain}" for domain in domains for prefix in prefixes]
        return list(dict.fromkeys(names))

    def _order(self, names: list[str]) -> None:
        now = datetime.now(UTC)
        backup = self.folder / "backups" / self.hostname / f"{now:%Y-%m-%d_%H_%M_%S}"
        backup.mkdir(parents=True)
        shutil.copy2(self.folder / "cert.pem", backup)
        self._write(names)

    def _write(self, names: list[str]) -> None:
        now = datetime.now(UTC)
        organization = x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Let's Encrypt (a stand-in of the demo)")
        certificate = (
            x509.CertificateBuilder()
            .issuer_name(x509.Name([organization]))
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.hostname)]))
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now)
            .not_valid_after(now + _LIFETIME)
            .add_extension(
                x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False
            )
            .sign(self._key, hashes.SHA256())
        )
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        replace_file(self.folder / "cert.pem", pem, mode=0o644)
