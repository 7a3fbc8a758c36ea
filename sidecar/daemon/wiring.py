"""Builds all parts from the environment and the settings."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from sidecar.daemon.event_log import EventLog
from sidecar.daemon.receiving import Receiving
from sidecar.dns.ask import Lookups
from sidecar.dns.authoritative import Asker
from sidecar.host.clock import Clock
from sidecar.host.errors import TemporaryError
from sidecar.host.unexpected import Unexpected
from sidecar.mailcow import conf as conf_file
from sidecar.mailcow.access import Door
from sidecar.mailcow.engine.acme import AcmeEngine
from sidecar.mailcow.engine.events import EngineEvent, events
from sidecar.mailcow.session import Session
from sidecar.observed import Seen
from sidecar.observed.notice import Level, Notice, NoticeCode
from sidecar.plan.publish.picture import writes
from sidecar.reconcile.accounts import made
from sidecar.reconcile.apply import Applier
from sidecar.reconcile.observe import Observer
from sidecar.reconcile.passes import Passes
from sidecar.reconcile.publishing import Publishing
from sidecar.reconcile.records import Records
from sidecar.reconcile.tls_reports import ReportReader
from sidecar.reports.store import ReportStore
from sidecar.settings import Settings, mailcow_dir_of, read_config
from sidecar.settings.load import load
from sidecar.state.ledger import Ledger
from sidecar.state.store import State

TEST_HTTP_PORT = "SIDECAR_TEST_HTTP_PORT"
"""The port that replaces port 80 of policy hosts in the demo and in tests; not for users."""
TEST_DNS_PORT = "SIDECAR_TEST_DNS_PORT"
"""The port that replaces port 53 of authoritative servers in the demo and in tests; not for users."""
TEST_SENDER_PORTS = "SIDECAR_TEST_SENDER_PORTS"
"""The ports that replace 443 and 25 in sender checks of the demo, as `https,smtp`; not for users."""
TEST_POSTFIX = "SIDECAR_TEST_POSTFIX"
"""The address that replaces postfix-mailcow in the demo and in tests (empty: there is none); not for users."""
CLOSE_S = 0.3
"""Seconds for closing the connections to the Docker engine."""


def read_settings(env: Mapping[str, str], clock: Clock) -> Settings:
    """The settings from the environment, config.yml and mailcow.conf; raises SettingsError with all errors."""
    folder = mailcow_dir_of(env)
    return load(env, read_config(folder), _conf_values(folder, clock))


def _conf_values(folder: Path, clock: Clock) -> Mapping[str, str]:
    seen = conf_file.observe(folder, clock.now())
    return seen.value.values if isinstance(seen, Seen) else {}


@dataclass
class Parts:
    """The parts that a command uses."""

    settings: Settings
    passes: Passes
    state: State
    engine: AcmeEngine
    session: Session
    """The session with mailcow's API."""
    reports: ReportStore
    receiving: Receiving

    async def engine_events(self, services: Collection[str]) -> AsyncIterator[EngineEvent]:
        """Docker's events of these services; raises SidecarError when they cannot be read, and at their end."""
        project = self.passes.observer.containers.project_name
        if project is None:
            raise TemporaryError("the compose project is not known yet")
        stream = events(self.engine.docker_host, project, services=services, cert_path=self.engine.cert_path)
        async for event in stream:
            yield event


@asynccontextmanager
async def assembled(
    settings: Settings,
    clock: Clock,
    env: Mapping[str, str],
    event_log: EventLog,
    *,
    patient: bool,
    engine: AcmeEngine | None = None,
) -> AsyncIterator[Parts]:
    """All parts, closed at the end. `patient`: wait for the DNS (for a single pass) instead of asking again later.

    `engine` replaces the Docker engine of the environment.
    """
    state = await asyncio.to_thread(State.open, settings.state_dir, clock.now())
    if state.notice is not None:
        event_log.happened(
            Notice(Level.WARNING, NoticeCode.STATE_RENEWED, "state", state.notice, passing=True)
        )
    try:
        ledger = await Ledger.open(state)
        engine = engine or engine_of(env)
        lookups = Lookups(settings.resolver, clock.now)
        session = Session(settings, clock)
        door = Door(settings, session)
        https, _, smtp = (env.get(TEST_SENDER_PORTS) or "443,25").partition(",")
        observer = Observer(
            settings,
            clock,
            door,
            engine,
            lookups,
            patient=patient,
            challenge_port=int(env.get(TEST_HTTP_PORT) or 80),
            sender_ports=(int(https), int(smtp)),
        )
        reports = ReportStore(settings.state_dir)
        receiving = Receiving(
            settings,
            clock,
            lookups,
            reports,
            lambda: ledger.memory.names or None,
            postfix=env.get(TEST_POSTFIX),
        )
        observer.reported = ReportReader(reports).read
        if not patient:
            observer.nexthop = lambda: receiving.nexthop
            observer.receiving_trouble = receiving.trouble
        applier = Applier(settings, clock, door, observer, engine, ledger, event_log.outcome, patient=patient)
        records = Records(
            tuple(settings.dns.accounts),
            # Its secrets and mailcow.conf are read when an account is used.
            lambda name: made(
                settings.dns.accounts[name],
                settings.mailcow_dir,
                _conf_values(settings.mailcow_dir, clock),
                env,
                clock.now,
            ),
            clock,
            Asker(settings.resolver, clock.now, Unexpected(), port=int(env.get(TEST_DNS_PORT) or 53)),
            writing=writes(settings),
        )
        publishing = Publishing(settings, clock, records, ledger, event_log.outcome, patient=patient)
        passes = Passes(settings, clock, observer, applier, ledger, publishing)
        try:
            yield Parts(settings, passes, state, engine, session, reports, receiving)
        finally:
            await publishing.close()
            await applier.containers.close()
            await observer.close()
            await session.close()
            await asyncio.to_thread(reports.close)
            # A call without an answer from the engine is abandoned: the end waits neither for it nor for its locks.
            with suppress(TimeoutError):
                await asyncio.wait_for(engine.close(), CLOSE_S)
    finally:
        await asyncio.to_thread(state.close)


def engine_of(env: Mapping[str, str]) -> AcmeEngine:
    """The Docker engine that Docker's own variables name."""
    certificates = env.get("DOCKER_CERT_PATH") if env.get("DOCKER_TLS_VERIFY") else None
    return AcmeEngine(env.get("DOCKER_HOST"), cert_path=Path(certificates) if certificates else None)
