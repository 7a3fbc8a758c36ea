"""The stage of a story: a simulated mailcow, its directory, a DNS, containers, and the settings of the sidecar.

Rule for every editor: everything is on loopback, in a temporary folder and in containers with their own labels,
and everything is removed at the end, however the story ended. The events are in the stories.
"""

import asyncio
import os
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import aiohttp

import sidecar
from demo.acme import StandInAcme
from demo.acme_checks import CHALLENGES
from demo.acme_names import environment
from demo.clock import MovedClock
from demo.names import DemoDns
from demo.senders_view import serving
from demo.simulated import SeenRequest, SimulatedMailcow
from demo.standins import RUNNING_SINCE_S, Containers, InMemory, RecordedEngine
from demo.standins_docker import NoStandInError, in_docker
from demo.web import DemoWeb
from sidecar.daemon.wiring import TEST_DNS_PORT, TEST_HTTP_PORT, TEST_POSTFIX, TEST_SENDER_PORTS, engine_of
from sidecar.mailcow.engine.acme import AcmeEngine
from sidecar.observed import Backend, Project, Seen
from sidecar.reconcile.passes import PassReport

DnsMaker: TypeAlias = Callable[[], Awaitable[DemoDns]]
HOST = "mail.example.org"
ADDRESS = "127.0.0.1"
"""Loopback: what the sidecar probes at port 80 stays on this machine."""
VERSIONS = {Backend.NATIVE: "2026-07a", Backend.FILE: "2025-08"}
POLICY_PATH = "/.well-known/mta-sts.txt"
ENFORCED = "example.net"
CLIENT_NAMES = ("autodiscover", "autoconfig", "smtp", "imap")
SHORTENED = "quiet 30 -> 1 s, settle 60 -> 0 s, spacing 1 h -> 0 s, poll 30 -> 5 s; policies and DNS read at each pass"

_CONFIG = "data/conf/mta-sts/config.yml"
_CONFIG_YML = f"""\
# The waits are short only for the demo.
mode: testing
domains:
  {ENFORCED}: {{mode: enforce}}
restart: {{quiet: 1, settle: 0, spacing: 0}}
intervals: {{poll: 5, policies: 1, dns: 1}}
"""

HOST_DOMAIN = "example.org"
ROOT = "data/conf/demo-root.pem"
TSIG_NAME, TSIG_SECRET = "sidecar", "ZGVtbyBkZW1vIGRlbW8gZGVtbyBkZW1vIGRlbW8="
_WITH_DNS_YML = """\
# The waits are short only for the demo; the days of the soak pass by the demo's clock.
mode: auto
tls_report: mailto:tls@example.org
extra_roots: data/conf/demo-root.pem
restart: {{quiet: 1, settle: 0, spacing: 0}}
intervals: {{poll: 5, policies: 1, dns: 1, check: 86400}}
dns:
  publish: upsert
  accounts:
    home: {{type: rfc2136, server: "{server}", key_name: sidecar, secret_env: DEMO_TSIG}}
"""

_MAILCOW_CONF = """\
# ------------------------------
# mailcow of the demo
# ------------------------------
MAILCOW_HOSTNAME=mail.example.org
DBPASS=a-password-that-stays-here
HTTP_PORT={port}
HTTPS_PORT=443
TZ=Etc/UTC

# names for the mail clients of my users
ADDITIONAL_SAN=smtp.*,imap.* # as on the old server
#ADDITIONAL_SAN=webmail.*
ADDITIONAL_SERVER_NAMES=
AUTODISCOVER_SAN=y

API_KEY={key}
API_ALLOW_FROM=127.0.0.1
"""


@dataclass(slots=True)
class Stage:
    """Everything that a story changes and checks."""

    backend: Backend
    folder: Path
    mailcow: SimulatedMailcow
    dns: DemoDns
    acme: StandInAcme
    containers: Containers
    http: aiohttp.ClientSession
    reports: list[PassReport] = field(default_factory=list)
    more: Mapping[str, str] = field(default_factory=dict)
    """Further variables of the sidecar."""
    clock: MovedClock = field(default_factory=MovedClock)

    @property
    def mailcow_dir(self) -> Path:
        return self.folder / "mailcow"

    @property
    def state_dir(self) -> Path:
        return self.folder / "state"

    @property
    def conf_file(self) -> Path:
        return self.mailcow_dir / "mailcow.conf"

    @property
    def policy_file(self) -> Path:
        return self.mailcow_dir / "data/web/.well-known/mta-sts.txt"

    @property
    def env(self) -> Mapping[str, str]:
        """The environment of the sidecar; the key is in mailcow.conf."""
        return {
            "MTA_STS_MAILCOW_DIR": str(self.mailcow_dir),
            "MTA_STS_STATE_DIR": str(self.state_dir),
            "MTA_STS_API_URL": self.mailcow.url,
            "MTA_STS_RESOLVER": str(self.dns),
            TEST_HTTP_PORT: str(self.mailcow.port),
            TEST_POSTFIX: ADDRESS,
            "MTA_STS_WEB_LISTEN": "127.0.0.1:0",
            "MTA_STS_VERIFY": "0",  # no connection may be made to the addresses of the demo's hosts
            "COMPOSE_PROJECT_NAME": getattr(self.containers, "project", "mta-sts-demo"),
            **self.more,
        }

    # --- what there is in the world

    async def served(self, domain: str) -> str | None:
        """What a sender gets as the policy of a domain; None if it gets none."""
        headers = {"Host": f"mta-sts.{domain}"}
        async with self.http.get(self.mailcow.url + POLICY_PATH, headers=headers) as response:
            return await response.text() if response.status == 200 else None

    def writes(self) -> list[SeenRequest]:
        """The policies that mailcow's API was asked to write (an empty body only asks whether the route exists)."""
        return [
            seen for route in ("add", "edit") for seen in self.mailcow.asked(f"{route}/mta-sts") if seen.body
        ]

    def certificate(self) -> frozenset[str]:
        """The names in the certificate."""
        return self.acme.names()

    async def acme_sleeps(self) -> bool:
        """Whether acme-mailcow waits for its next run."""
        match await self.containers.engine.observe(time.time(), self.env["COMPOSE_PROJECT_NAME"]):
            case Seen(Project(acme_sleep=Seen(str()))):
                return True
            case _:
                return False

    # --- what happens in the world

    def add_domain(self, name: str, *, with_record: bool = True) -> None:
        """A domain in mailcow's page, and its records in the DNS, with or without the one that MTA-STS needs."""
        add_domain(self.mailcow, self.dns, name, with_record=with_record)

    def publish_record(self, name: str) -> None:
        """The DNS record that MTA-STS needs first."""
        _publish_record(self.dns, name)

    async def command(self, *arguments: str) -> str:
        """What `sidecar` with these arguments prints, as a process of its own beside the running one."""
        package = str(Path(sidecar.__file__).parents[1])
        env = {key: value for key, value in os.environ.items() if not key.startswith("MTA_STS_")}
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "sidecar",
            *arguments,
            env={**env, **self.env, "PYTHONPATH": package},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            output, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return output.decode(errors="replace").strip()


def add_domain(mailcow: SimulatedMailcow, dns: DemoDns, name: str, *, with_record: bool = True) -> None:
    """As the stage's own; for before there is a stage."""
    mailcow.add_domain(name)
    dns.publish(name, "MX", f"10 {HOST}.")
    for prefix in CLIENT_NAMES:
        dns.publish(f"{prefix}.{name}", "CNAME", f"{HOST}.")
    if with_record:
        _publish_record(dns, name)


def _publish_record(dns: DemoDns, name: str) -> None:
    dns.publish(f"mta-sts.{name}", "CNAME", f"{HOST}.")


def _acme_environment(conf: Path) -> dict[str, str]:
    """The variables of acme-mailcow for a mailcow.conf as simple as the demo's."""
    lines = [line.partition("=") for line in conf.read_text().splitlines() if not line.startswith("#")]
    return environment({key: value.split(" ")[0] for key, _, value in lines})


@asynccontextmanager
async def staged(
    backend: Backend, domains: Sequence[str] | None = None, dns_server: DnsMaker = DemoDns.start
) -> AsyncIterator[Stage]:
    """The stage with three domains in mailcow, of which one has no record for MTA-STS in the DNS; cleared at the end.

    `domains` are those that mailcow has instead, without any such record.
    """
    async with AsyncExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="mta-sts-demo-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        mailcow_dir = folder / "mailcow"
        mailcow = await SimulatedMailcow.start(
            version=VERSIONS[backend],
            hostname=HOST,
            policy_file=mailcow_dir / "data/web/.well-known/mta-sts.txt",
            challenge_folder=mailcow_dir / CHALLENGES,
        )
        stack.push_async_callback(mailcow.close)
        _make_directory(mailcow_dir, mailcow.key or "", mailcow.port)
        dns = await dns_server()
        stack.push_async_callback(dns.close)
        web = DemoWeb(dns, mailcow.url, frozenset({ADDRESS}))
        acme = StandInAcme(mailcow_dir, mailcow, dns, web, (ADDRESS, ""))
        http = await stack.enter_async_context(aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()))
        dns.publish(HOST, "A", ADDRESS)
        dns.publish(ENFORCED, "CAA", '0 issue "letsencrypt.org"')
        if domains is None:
            add_domain(mailcow, dns, "example.org")
            add_domain(mailcow, dns, ENFORCED)
        last = () if backend is Backend.FILE else ("example.com",)
        for name in last if domains is None else domains:
            add_domain(mailcow, dns, name, with_record=False)
        prefixes = CLIENT_NAMES
        acme.first([HOST, *(f"{p}.{row.name}" for row in mailcow.world.rows() for p in prefixes)])
        containers = await _containers(acme)
        stack.push_async_callback(containers.close)
        yield Stage(backend, folder, mailcow, dns, acme, containers, http)


@asynccontextmanager
async def staged_with_dns(dns_server: DnsMaker = DemoDns.start) -> AsyncIterator[Stage]:
    """A mailcow with its own domain alone; the sidecar may write its zones, and senders can reach what it serves.

    `dns_server` may start another server than the stand-in.
    """
    async with staged(Backend.NATIVE, domains=(HOST_DOMAIN,), dns_server=dns_server) as stage:
        stage.dns.serve_zone(HOST_DOMAIN)
        stage.dns.trust(TSIG_NAME, TSIG_SECRET)
        (stage.mailcow_dir / ROOT).write_bytes(stage.acme.authority.root())
        server = f"127.0.0.1:{stage.dns.port}"
        (stage.mailcow_dir / _CONFIG).write_text(_WITH_DNS_YML.format(server=server))
        async with serving(stage.acme, stage.mailcow.url) as ports:
            stage.more = {
                "MTA_STS_VERIFY": "1",
                "DEMO_TSIG": TSIG_SECRET,
                TEST_SENDER_PORTS: f"{ports.https},{ports.smtp}",
                TEST_DNS_PORT: str(stage.dns.port),
            }
            yield stage


async def _containers(acme: StandInAcme) -> Containers:
    """In the real Docker engine where that works; in memory otherwise, with the reason."""
    values = _acme_environment(acme.mailcow_dir / "mailcow.conf")
    usual = engine_of(os.environ)
    # The demo may run in a container of some project; that is not the one to look at.
    real = AcmeEngine(usual.docker_host, cert_path=usual.cert_path, own_ids=lambda: ())
    try:
        return await in_docker(real, values, acme.run)
    except NoStandInError as error:
        await real.close()
        before = await acme.run(values, ago=RUNNING_SINCE_S)
        engine = RecordedEngine("mta-sts-demo", values, acme.run, before)
        return InMemory(engine, f"recorded in memory, nothing is really restarted: {error}")


def _make_directory(mailcow_dir: Path, key: str, port: int) -> None:
    for name in (CHALLENGES, "data/conf", "data/assets"):
        (mailcow_dir / name).mkdir(parents=True)
    conf = mailcow_dir / "mailcow.conf"
    conf.touch(mode=0o600)
    conf.write_text(_MAILCOW_CONF.format(key=key, port=port))
    (mailcow_dir / ".env").symlink_to("mailcow.conf")
    config = mailcow_dir / _CONFIG
    config.parent.mkdir()
    config.write_text(_CONFIG_YML)
