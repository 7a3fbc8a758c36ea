"""A folder that looks like a mailcow directory, and a Compose project of stand-ins with mailcow's names.

What is like mailcow: names of services, network, fixed addresses, resolver, mounts, `.env` as a link to
`mailcow.conf`. What is not: the programs. acme-mailcow says what it would after a run that found all well and
sleeps a day (`acmebeside` does its work for it), nginx-mailcow is busybox's web server, unbound-mailcow is a real
unbound that knows only what a test tells it. mailcow's API is not here: the simulated mailcow of `demo`
has it.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import dns.exception
import dns.message
import dns.query

from tests.system.engine import ComposeProject, Engine
from tests.system.images import PYTHON
from tests.system.processes import wait_until

REPOSITORY = Path(__file__).parents[2]
BUILD_CONTEXT = ("Dockerfile", ".dockerignore", "pyproject.toml", "requirements.lock", "LICENSE", "sidecar")
SIDECAR = "mta-sts-mailcow"
ADDRESS_OF_SIDECAR = "172.22.1.247"
RESOLVER = "172.22.1.254"
ADDRESS = "192.0.2.1"
"""The public address of the server, as acme-mailcow sees it."""

# `top` of acme-mailcow has to show the sleep, and the stand-in has to end at once when it is restarted.
_COMPOSE = """\
services:
  unbound-mailcow:
    image: stand-in:host
    command: ["unbound", "-d", "-c", "/etc/unbound/unbound.conf"]
    volumes: ["/usr:/usr:ro", "./data/conf/unbound:/etc/unbound:ro"]
    networks: {mailcow-network: {ipv4_address: "${IPV4_NETWORK:-172.22.1}.254", aliases: [unbound]}}
  redis-mailcow: &idle
    image: stand-in:busybox
    command: ["sh", "-c", "trap 'exit 0' TERM; sleep 365d & wait"]
    networks: {mailcow-network: {ipv4_address: "${IPV4_NETWORK:-172.22.1}.249", aliases: [redis]}}
  sogo-mailcow:
    <<: *idle
    networks: {mailcow-network: {ipv4_address: "${IPV4_NETWORK:-172.22.1}.248", aliases: [sogo]}}
  dovecot-mailcow:
    <<: *idle
    networks: {mailcow-network: {ipv4_address: "${IPV4_NETWORK:-172.22.1}.250", aliases: [dovecot]}}
  postfix-mailcow:
    <<: *idle
    networks: {mailcow-network: {ipv4_address: "${IPV4_NETWORK:-172.22.1}.253", aliases: [postfix]}}
  watchdog-mailcow:
    <<: *idle
    networks: {mailcow-network: {aliases: [watchdog]}}
  nginx-mailcow:
    image: stand-in:busybox
    command: ["sh", "-c", "trap 'exit 0' TERM; httpd -f -p ${HTTP_PORT:-80} -h /web & wait"]
    dns: ["${IPV4_NETWORK:-172.22.1}.254"]
    environment: ["ADDITIONAL_SERVER_NAMES=${ADDITIONAL_SERVER_NAMES:-}"]
    volumes: ["./data/web:/web:ro"]
    restart: always
    networks: {mailcow-network: {aliases: [nginx]}}
  acme-mailcow:
    image: stand-in:busybox
    command:
      - sh
      - -c
      - |
        trap 'exit 0' TERM
        say() { echo "$$(date) - $$1"; }
        echo names=$$ADDITIONAL_SAN
        say 'OK: 192.0.2.1, 0000:0000:0000:0000:0000:0000:0000:0000'
        say "Found A record for $$MAILCOW_HOSTNAME: 192.0.2.1"
        say 'Confirmed A record 192.0.2.1'
        sleep 1d & wait
    dns: ["${IPV4_NETWORK:-172.22.1}.254"]
    environment:
      - ADDITIONAL_SAN=${ADDITIONAL_SAN}
      - AUTODISCOVER_SAN=${AUTODISCOVER_SAN:-y}
      - MAILCOW_HOSTNAME=${MAILCOW_HOSTNAME}
      - SKIP_LETS_ENCRYPT=${SKIP_LETS_ENCRYPT:-n}
      - ENABLE_SSL_SNI=${ENABLE_SSL_SNI:-n}
      - SKIP_IP_CHECK=${SKIP_IP_CHECK:-n}
      - SKIP_HTTP_VERIFICATION=${SKIP_HTTP_VERIFICATION:-n}
      - SNAT_TO_SOURCE=${SNAT_TO_SOURCE:-n}
      - SNAT6_TO_SOURCE=${SNAT6_TO_SOURCE:-n}
      - ONLY_MAILCOW_HOSTNAME=${ONLY_MAILCOW_HOSTNAME:-n}
      - ACME_DNS_CHALLENGE=${ACME_DNS_CHALLENGE:-n}
    volumes: ["./data/assets/ssl:/var/lib/acme", "./data/web/.well-known/acme-challenge:/var/www/acme"]
    restart: always
    networks: {mailcow-network: {aliases: [acme]}}
networks:
  mailcow-network:
    driver: bridge
    driver_opts: {com.docker.network.bridge.name: br-mailcow}
    enable_ipv6: ${ENABLE_IPV6:-true}
    ipam:
      driver: default
      config:
        - subnet: ${IPV4_NETWORK:-172.22.1}.0/24
        - subnet: ${IPV6_NETWORK:-fd4d:6169:6c63:6f77::/64}
"""

_MAILCOW_CONF = """\
# mailcow web ui configuration
MAILCOW_HOSTNAME=mail.example.test
COMPOSE_PROJECT_NAME=mailcowdockerized
HTTP_PORT=80
HTTPS_PORT=443
ADDITIONAL_SAN=
ADDITIONAL_SERVER_NAMES=
AUTODISCOVER_SAN=y
IPV4_NETWORK=172.22.1
TZ=Etc/UTC
API_KEY=AAAAAA-BBBBBB-CCCCCC-DDDDDD-EEEEEE
API_ALLOW_FROM=172.22.1.247
MTA_STS_DOCKER_SOCKET={socket}
"""

# There is no registry that knows the base image by its digest.
_TEST_BUILD = """\
services:
  mta-sts-mailcow:
    build: {{args: {{PYTHON_IMAGE: "{python}"}}}}
"""

_UNBOUND = """\
server:
  interface: 0.0.0.0
  access-control: 0.0.0.0/0 allow
  do-daemonize: no
  use-syslog: no
  username: ""
  chroot: ""
  pidfile: ""
  module-config: "iterator"
  local-zone: "." static
  local-data: 'serial.test. TXT "{serial}"'
{records}
remote-control:
  control-enable: no
"""


@dataclass(slots=True)
class MailcowLike:
    """A mailcow directory and its Compose project; nothing runs until a test says so."""

    project: ComposeProject
    serial: int = 0

    @property
    def folder(self) -> Path:
        return self.project.folder

    @property
    def clone(self) -> Path:
        """Where the documented place of this project's clone is."""
        return self.folder / "mta-sts-sidecar"

    def add_sidecar(self) -> None:
        """Put the override file and what the image is built from where the README says."""
        self.clone.mkdir()
        for name in BUILD_CONTEXT:
            source = REPOSITORY / name
            if source.is_dir():
                shutil.copytree(source, self.clone / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(source, self.clone)
        shutil.copy2(REPOSITORY / "docker-compose.override.yml", self.folder)
        files = ("docker-compose.yml", "docker-compose.override.yml", "docker-compose.build.yml")
        self.project = replace(self.project, files=files)

    def resolve(self, *records: str) -> None:
        """Let mailcow's resolver know these records and no others; before or after it was started."""
        self.serial += 1
        lines = "\n".join(f"  local-data: '{record}'" for record in records)
        configuration = self.folder / "data/conf/unbound/unbound.conf"
        configuration.write_text(_UNBOUND.format(serial=self.serial, records=lines))
        if "unbound-mailcow" in self.project.running_services():
            # One that is still starting would be ended by the signal.
            wait_until(lambda: _serial() is not None, "unbound-mailcow answers")
            self.project.run("kill", "--signal", "HUP", "unbound-mailcow")
            wait_until(lambda: _serial() == self.serial, "unbound-mailcow knows the new records")


@contextmanager
def mailcow_directory(engine: Engine) -> Iterator[MailcowLike]:
    """A fresh mailcow directory without a sidecar; its containers, volumes and files are gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="mailcow.", dir="/tmp"))
    folder.chmod(0o755)  # stand-ins that are not root read in it
    files = {
        "docker-compose.yml": _COMPOSE,
        "mailcow.conf": _MAILCOW_CONF.format(socket=engine.socket),  # the test's engine is not at /var/run
        "docker-compose.build.yml": _TEST_BUILD.format(python=PYTHON),
    }
    for name, text in files.items():
        (folder / name).write_text(text)
    (folder / "mailcow.conf").chmod(0o600)
    (folder / ".env").symlink_to("mailcow.conf")
    for name in ("data/web/.well-known/acme-challenge", "data/assets/ssl", "data/conf/unbound"):
        (folder / name).mkdir(parents=True)
    mailcow = MailcowLike(ComposeProject(engine, folder))
    try:
        mailcow.resolve(f"mail.example.test. A {ADDRESS}")
        yield mailcow
    finally:
        mailcow.project.down()
        shutil.rmtree(folder)


def _serial() -> int | None:
    try:
        answer = dns.query.udp(dns.message.make_query("serial.test.", "TXT"), RESOLVER, timeout=0.1)
    except (OSError, dns.exception.DNSException):
        return None
    return next((int(str(record).strip('"')) for rrset in answer.answer for record in rrset), None)
