"""A whole mailcow on loopback for tests of passes: simulated API, real files, a DNS server, an engine out of a table."""

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from demo.simulated import SimulatedMailcow
from sidecar.daemon.event_log import EventLog
from sidecar.daemon.wiring import TEST_HTTP_PORT, TEST_POSTFIX, Parts, assembled, read_settings
from sidecar.host.elapsed import UptimeReading
from sidecar.reconcile.passes import PassReport
from tests.dns import faulty
from tests.mailcow import fake_engine
from tests.mailcow.fake_engine import FakeContainer, FakeEngine
from tests.mailcow.test_certificates import issued, put

HOST = "mail.example.org"
ADDRESS = "127.0.0.1"
CONF = """\
# ------------------------------
# mailcow configuration
MAILCOW_HOSTNAME={host}
HTTP_PORT={port}
HTTPS_PORT=443
API_KEY={key}
API_ALLOW_FROM=127.0.0.1
ADDITIONAL_SAN=
ADDITIONAL_SERVER_NAMES=
TZ=Europe/Berlin
"""


@dataclass
class Clock:
    """The machine's clock: so much has passed since the test began (`ahead`), and so far is it set wrong."""

    ahead: float = 0.0
    wrong: float = 0.0
    boot: int = 1

    def now(self) -> float:
        return time.time() + self.ahead + self.wrong

    def reading(self) -> UptimeReading:
        return UptimeReading(f"boot {self.boot}", time.time() + self.ahead)


@dataclass
class Stage:
    """The parts of the world, for the test to change and to look at."""

    root: Path
    mailcow: SimulatedMailcow
    engine: FakeEngine
    dns: dict[tuple[str, str], faulty.Reply]
    resolver: tuple[str, int]
    clock: Clock = field(default_factory=Clock)
    event_log: EventLog = field(default_factory=EventLog)
    more: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    """Name, type and transport of each question to the DNS."""

    @property
    def acme(self) -> FakeContainer:
        """acme-mailcow's container."""
        return next(container for container in self.engine.containers if container.service == "acme-mailcow")

    def acme_said(self, *lines: str, at: float | None = None) -> None:
        """The log of acme-mailcow's last run, in place of another; a minute after its start unless `at` is given."""
        when = datetime.fromisoformat(self.acme.started).timestamp() + 60 if at is None else at
        date = f"{datetime.fromtimestamp(when, UTC):%a %b %e %H:%M:%S UTC %Y}"
        self.acme.log = ""
        self.acme.said[:] = [(when, f"{date} - {line}") for line in lines]

    def acme_confirmed(self, *names: str, public: tuple[str, str] = (ADDRESS, "")) -> None:
        """Its last run saw these public addresses, and these names passed by their A record."""
        ipv4, ipv6 = public
        found = [(f"Found A record for {name}: {ADDRESS}", f"Confirmed A record {ADDRESS}") for name in names]
        self.acme_said(
            "Using existing domain rsa key /var/lib/acme/acme/key.pem",
            "Detecting IP addresses...",
            f"OK: {ipv4}, {ipv6 or '0000:0000:0000:0000:0000:0000:0000:0000'}",
            *(line for pair in found for line in pair),
        )

    @property
    def challenges(self) -> Path:
        """The folder that acme-mailcow and nginx-mailcow share."""
        return self.root / "data/web/.well-known/acme-challenge"

    @property
    def conf(self) -> Path:
        return self.root / "mailcow.conf"

    @property
    def policy_file(self) -> Path:
        return self.root / "data/web/.well-known/mta-sts.txt"

    @property
    def env(self) -> dict[str, str]:
        return {
            "MTA_STS_MAILCOW_DIR": str(self.root),
            "MTA_STS_STATE_DIR": str(self.root.parent / "state"),
            "MTA_STS_API_URL": self.mailcow.url,
            "MTA_STS_RESOLVER": f"{self.resolver[0]}:{self.resolver[1]}",
            TEST_HTTP_PORT: str(self.mailcow.port),
            TEST_POSTFIX: "",
            "DOCKER_HOST": self.engine.docker_host,
            "MTA_STS_WEB_LISTEN": "127.0.0.1:0",
            "MTA_STS_VERIFY": "0",  # the hosts here have addresses that are not ours to speak to
            **self.more,
        }

    def configure(self, text: str) -> None:
        """Writes config.yml."""
        path = self.root / "data/conf/mta-sts/config.yml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def certify(self, *names: str) -> None:
        """A certificate of these names, as Let's Encrypt would have issued it."""
        put(self.root / "data/assets/ssl/cert.pem", issued(*names))

    def resolves(self, *names: str) -> None:
        """These names have this mailcow's address."""
        for name in names:
            self.dns[f"{name}.", "A"] = [ADDRESS]
            self.dns[f"{name}.", "AAAA"] = []

    def receives(self, *domains: str, host: str = HOST) -> None:
        """These domains have this MX."""
        for domain in domains:
            self.dns[f"{domain}.", "MX"] = [f"10 {host}."]

    @asynccontextmanager
    async def sidecar(self) -> AsyncIterator[Parts]:
        """A sidecar that was just started."""
        settings = read_settings(self.env, self.clock)
        async with assembled(settings, self.clock, self.env, self.event_log, patient=True) as parts:
            yield parts

    async def once(self) -> PassReport:
        """One pass of a sidecar that was just started."""
        async with self.sidecar() as parts:
            return await parts.passes.reconcile()

    def served(self) -> Mapping[str, str]:
        """What is served, by domain."""
        texts = {domain: self.mailcow.policy_text(domain) for domain in self.mailcow.policies}
        return {domain: text for domain, text in texts.items() if text is not None}


@asynccontextmanager
async def stage(
    tmp_path: Path, *, version: str = "2026-07a", config: str = "", **env: str
) -> AsyncIterator[Stage]:
    """A mailcow with the domain example.org, whose name is not in the certificate and does not resolve yet.

    `config` is the text of config.yml.
    """
    root = tmp_path / "mailcow"
    for folder in ("data/web/.well-known/acme-challenge", "data/assets/ssl/backups", "data/conf"):
        (root / folder).mkdir(parents=True)
    async with AsyncExitStack() as stack:
        file = root / "data/web/.well-known/mta-sts.txt"
        mailcow = await stack.enter_async_context(
            await SimulatedMailcow.start(
                version=version,
                hostname=HOST,
                policy_file=file,
                challenge_folder=file.with_name("acme-challenge"),
            )
        )
        mailcow.add_domain("example.org")
        acme = FakeContainer("a" * 64, "acme-mailcow", env=["ADDITIONAL_SAN="])
        nginx = FakeContainer("b" * 64, "nginx-mailcow")
        engine = await stack.enter_async_context(fake_engine.serving(acme, nginx))
        table: dict[tuple[str, str], faulty.Reply] = {}
        server, resolver = await stack.enter_async_context(faulty.serving(table))
        (root / "mailcow.conf").write_text(CONF.format(host=HOST, key=mailcow.key, port=mailcow.port))
        (root / "mailcow.conf").chmod(0o600)
        more = {"COMPOSE_PROJECT_NAME": "mailcowdockerized", **env}
        found = Stage(root, mailcow, engine, table, resolver, more=more, asked=server.asked)
        found.resolves(HOST)
        found.receives("example.org")
        found.certify(HOST)
        found.acme_confirmed(HOST)
        if config:
            found.configure(config)
        yield found
