"""Mailcow directories to run `init` in: as mailcow's installer leaves them, or as years have left them."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import trustme

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()

COMPOSE = """\
services:
  unbound-mailcow:
    image: example/unbound
    networks: {mailcow-network: {ipv4_address: "${IPV4_NETWORK:-172.22.1}.254", aliases: [unbound]}}
  php-fpm-mailcow:
    image: example/phpfpm
    environment: ["API_KEY=${API_KEY:-invalid}"]
    networks: {mailcow-network: {aliases: [phpfpm]}}
  nginx-mailcow:
    image: example/nginx
    networks: {mailcow-network: {aliases: [nginx]}}
  watchdog-mailcow:
    image: example/watchdog
    networks: {mailcow-network: {aliases: [watchdog]}}
  acme-mailcow:
    image: example/acme
    networks: {mailcow-network: {aliases: [acme]}}
networks:
  mailcow-network:
    ipam: {config: [{subnet: "${IPV4_NETWORK:-172.22.1}.0/24"}]}
volumes:
  vmail-vol-1:
"""

CONF = """\
# ------------------------------
# mailcow web ui configuration
# ------------------------------
MAILCOW_HOSTNAME=mail.example.org

DBPASS=hunter2
REDISPASS='hunter3'

HTTP_PORT=80
HTTP_BIND=
HTTPS_PORT=443
HTTPS_BIND=
TZ=Etc/UTC
ADDITIONAL_SAN=
AUTODISCOVER_SAN=y
SKIP_LETS_ENCRYPT=n
IPV4_NETWORK=172.22.1

# An API key for the web UI

#API_KEY=
#API_KEY_READ_ONLY=
#API_ALLOW_FROM=172.22.1.1,127.0.0.1

ENABLE_IPV6=true
"""


@dataclass(frozen=True, slots=True)
class MailcowDirectory:
    """A folder like mailcow's."""

    path: Path

    @property
    def conf(self) -> Path:
        return self.path / "mailcow.conf"

    @property
    def override(self) -> Path:
        return self.path / "docker-compose.override.yml"

    @property
    def clone(self) -> Path:
        return self.path / "mta-sts-sidecar"

    def set(self, **values: str) -> None:
        """More lines in mailcow.conf; the last of a key counts."""
        with self.conf.open("a") as conf:
            conf.writelines(f"{key}={value}\n" for key, value in values.items())

    def version(self, text: str) -> None:
        """What mailcow's installer noted."""
        info = self.path / "data/web/inc/app_info.inc.php"
        info.write_text(f'<?php\n  $MAILCOW_GIT_VERSION="{text}";\n  $MAILCOW_BRANCH="master";\n?>\n')

    def certificate(self, *names: str, organization: str = "Let's Encrypt") -> None:
        """The server's certificate."""
        issuer = trustme.CA(organization_name=organization)
        leaf = issuer.issue_cert(*names)
        (self.path / "data/assets/ssl/cert.pem").write_bytes(leaf.cert_chain_pems[0].bytes())

    def snapshot(self) -> dict[str, tuple[int, int, int, bytes]]:
        """All files: mode, time, inode and content."""
        return {
            str(path.relative_to(self.path)): (
                (status := path.lstat()).st_mode,
                status.st_mtime_ns,
                status.st_ino,
                path.read_bytes(),
            )
            for path in self.path.rglob("*")
            if path.is_file()
        }


def mailcow_directory(path: Path, *, native: bool = True) -> MailcowDirectory:
    """A fresh mailcow with the sidecar's clone in it."""
    for name in ("data/web/inc", "data/web/.well-known", "data/assets/ssl", "mta-sts-sidecar/sidecar"):
        (path / name).mkdir(parents=True)
    made = MailcowDirectory(path)
    (path / "docker-compose.yml").write_text(COMPOSE)
    made.conf.write_text(CONF)
    made.conf.chmod(0o600)
    (path / ".env").symlink_to("mailcow.conf")
    (made.clone / "Dockerfile").write_text("FROM scratch\n")
    made.version("2026-07a" if native else "2025-07")
    if native:
        (path / "data/web/mta-sts.php").write_text("<?php\n")
    made.certificate("mail.example.org")
    return made
