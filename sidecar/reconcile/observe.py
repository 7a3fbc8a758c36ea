"""Observes the world: one frozen `Observed` for each pass, with caches for what is expensive to ask.

Rule for every editor: a failed observation becomes `Unseen` with its reason, never an exception and never an empty
value. Nothing is decided here but *when* something is asked again (`schedule`).
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from sidecar.dns.ask import Lookups
from sidecar.host.clock import Clock
from sidecar.host.errors import SidecarError
from sidecar.mailcow import conf as conf_file
from sidecar.mailcow import outbound, policy_file
from sidecar.mailcow.access import Door
from sidecar.mailcow.certificates import CertificateFolder
from sidecar.mailcow.challenge import Challenges
from sidecar.mailcow.engine.acme import AcmeEngine
from sidecar.mailcow.engine.look import ProjectLook, last_run
from sidecar.mailcow.policy_ids import PolicyIds
from sidecar.observed import (
    NO_REPORTS,
    NOT_ASKED,
    AcmeRun,
    Answered,
    Backend,
    Certificate,
    Certificates,
    Challenge,
    Conf,
    Container,
    Dns,
    DomainList,
    Kind,
    Mailcow,
    Memory,
    Observed,
    Project,
    Question,
    RedisRefuses,
    Seen,
    Served,
    Sight,
    Unseen,
)
from sidecar.observed.notice import Notice
from sidecar.observed.report_route import RouteSeen
from sidecar.observed.reports import ReportEvidence
from sidecar.plan.acme.script import SLEEPS
from sidecar.plan.policy_ids import unread, with_ids
from sidecar.plan.records import questions
from sidecar.plan.report_way import desired_route
from sidecar.plan.schedule import stale_policies
from sidecar.reconcile.learn.observations import believe, doubted
from sidecar.reconcile.routine_dns import RoutineDns
from sidecar.reconcile.sender_checks import SenderChecks
from sidecar.settings import Settings
from sidecar.settings.reports import Receive

PRESENTED_FRESH_S = 600.0
ROUTE_FRESH_S = 3_600.0
ROUTE_AGAIN_S = 300.0
"""Until the aliases and transports are read again: after an answer, and after none."""
POLICIES_A_PASS = 10
"""Served policies read again in one pass, besides those that were never read."""
CONCURRENT_READS = 4
CLOCK_STEP_S = 60.0
"""A clock that goes back by less was only adjusted; the caches stay valid."""
READ_FAILURES_IN_A_ROW = 3
FIRST_READS_S = 2.0
MOST_READS_S = 60.0
"""How long one pass reads served policies: it then acts on those that it knows and does not wait for the rest.
A pass that did not finish is followed by one that reads twice as long: few passes, and none too long."""
ACME_LOG_LINES = 50_000
"""A run writes up to three lines for each name."""
MORE_LOG = 8
"""This many times as much is read if the last run does not begin in it; an order writes many lines, too."""
EVIDENCE_PATIENCE_S = 10.0
"""How long a pass that would restart acme-mailcow waits for its log: reading a long one takes a while."""


@dataclass
class _Cache:
    served: dict[str, Sight[Served]] = field(default_factory=dict)
    failed_probes: dict[str, Sight[Challenge]] = field(default_factory=dict)
    """HTTP probes that failed in earlier passes: they never permit anything."""
    run: tuple[tuple[str, float, str], Sight[AcmeRun]] | None = None
    """acme-mailcow's last run by its log, and the container, its start time and its sleep at that time."""
    report_route: tuple[tuple[str, frozenset[str]], Sight[RouteSeen]] = (("", frozenset()), NOT_ASKED)
    """The route of TLS reports, and for which next hop and addresses it was read."""
    presented: tuple[Sight[Certificate], str] = (NOT_ASKED, "")
    """The certificate that nginx presents, and the fingerprint on the disk when it was read."""


class Observer:
    """Observes this mailcow; caches answers that are still fresh."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        door: Door,
        engine: AcmeEngine,
        lookups: Lookups,
        *,
        patient: bool,
        challenge_port: int = 80,
        sender_ports: tuple[int, int] = (443, 25),
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._engine = engine
        self.patient = patient
        """Whether no other pass follows: then this one waits for slow answers."""
        self.checks = SenderChecks(settings, clock, sender_ports, patient=patient)
        """Checks of this mailcow's domains as senders see them, in the background."""
        self._dns = RoutineDns(settings, lookups, self._changed_in_dns, patient=patient)
        self._changed: set[str] = set()
        self._certificates = CertificateFolder()
        self._challenges = Challenges(
            settings.mailcow_dir, clock.now, self._dns.questions.addresses, challenge_port
        )
        self.door = door
        """The access to mailcow's API and database."""
        self._session = door.session
        self.ids = PolicyIds(self._session, clock, door.database)
        """The reader of mailcow's policy ids."""
        self._cache = _Cache()
        self._reads_s = FIRST_READS_S
        self._looked_at = 0.0
        self.nexthop: Callable[[], str | None] = lambda: None
        """Where the SMTP port for TLS reports is open; None where it is not (yet)."""
        self.reported: Callable[[Observed], Sight[Mapping[str, ReportEvidence]]] = lambda _: NO_REPORTS
        """What TLS reports say of each domain; it blocks."""
        self.receiving_trouble: Callable[[], tuple[Notice, ...]] = lambda: ()
        """Why TLS reports cannot come in."""
        self.containers = ProjectLook(engine, settings.project_hint, self._with_log, patient=patient)
        """Observes mailcow's containers in the background."""

    def on_moved(self, moved: Callable[[], None]) -> None:
        """`moved` is called whenever a group of many questions was answered."""
        self._dns.questions.moved = moved

    def _changed_in_dns(self, domain: str) -> None:
        self.checks.rush({domain})
        self._changed.add(domain)

    def take_changed(self) -> frozenset[str]:
        """The domains whose records changed in the DNS since the last call."""
        changed, self._changed = frozenset(self._changed), set()
        return changed

    async def close(self) -> None:
        await self._dns.questions.close()
        await self.containers.close()
        await self.ids.close()
        await self.checks.close()

    def forget_served(self, domains: Iterable[str]) -> None:
        """The policies of these domains were written: the next pass reads them again."""
        for domain in domains:
            self._cache.served.pop(domain, None)

    def touched_containers(self) -> None:
        """A container was changed: the next pass observes all of them again."""
        self.containers.touched = True

    def changed_report_route(self) -> None:
        """The alias or the transport of TLS reports was changed: the next pass reads them again."""
        self._cache.report_route = ("", frozenset()), NOT_ASKED

    def saw_served(self, domain: str, served: Seen[Served]) -> None:
        """A policy read back after a write counts as observed."""
        self._cache.served[domain] = served

    async def observe(self, memory: Memory) -> tuple[Observed, tuple[Notice, ...]]:
        """One picture of the world, and notices about observing itself."""
        now = self._clock.now()
        if now < self._looked_at - CLOCK_STEP_S:
            # The clock was set back: by its time, nothing would be due again before that day.
            self.forget_served(tuple(self._cache.served))
            self._dns.questions.forget_all()
            self._cache.failed_probes.clear()
            self.containers.touched = True
        self._looked_at = now
        memory = replace(memory, tally=memory.tally.until(self._clock.reading()))
        folder = self._settings.mailcow_dir
        conf, file, maps, project = await asyncio.gather(
            asyncio.to_thread(conf_file.observe, folder, now),
            asyncio.to_thread(policy_file.observe, folder, now),
            asyncio.to_thread(outbound.policy_maps, folder, now),
            self.containers.sight(now),
        )
        timezone = conf.value.values.get("TZ") if isinstance(conf, Seen) else None
        certificates = await asyncio.to_thread(self._certificates.observe, folder, now, timezone)
        mailcow, listed, memory, notices = await self._mailcow(conf, certificates, memory, now)
        served = await self._served(mailcow, listed, now)
        observed = Observed(
            now=now,
            conf=conf,
            mailcow=mailcow,
            domains=listed,
            served=served,
            file=file,
            project=project,
            certificates=certificates,
            dns=Dns(),
            memory=memory,
            presented=await self._presented(conf, certificates, now),
            policy_maps=maps,
            ids=self.ids.take(),
            views=self.checks.checker.take(),
            challenges=dict(self._cache.failed_probes),
            access=self.door.access,
            address=self.door.address,
        )
        self.ids.conf = conf.value if isinstance(conf, Seen) else None
        observed = replace(
            observed,
            report_route=await self._report_route(observed),
            reports=await asyncio.to_thread(self.reported, observed),
        )
        if not self.patient:
            # In a single pass the answers would come too late; a command that needs them asks for them.
            self.ids.begin(unread(with_ids(observed, observed.ids)))
            self.checks.rush_accused(observed)
            self.checks.begin(observed)
        observed = replace(observed, dns=await self._dns.observe(observed))
        for name, probe in tuple(self._cache.failed_probes.items()):
            if probe.at < now - self._settings.intervals.dns:
                del self._cache.failed_probes[name]
        observed = await self.checks.observe(observed)
        return observed, notices + self.checks.trouble() + self.receiving_trouble()

    def check_first(self, domains: Iterable[str]) -> None:
        """These domains are checked first, and their records are looked up again in any case."""
        names = frozenset(domains)
        self.checks.rush(names)
        self._dns.questions.forget(q for q in questions("", sorted(names)) if q.kind is Kind.TXT)

    def check_at_once(self, domains: Iterable[str], observed: Observed) -> None:
        """As `check_first`, and begins now, unless other checks are under way."""
        self.check_first(domains)
        if not self.patient:
            self.checks.begin(observed)

    async def answer(self, observed: Observed, questions: frozenset[Question], *, probing: bool) -> Observed:
        """The same picture with new answers to these questions; HTTP probes, which write a file, only if `probing`."""
        probes = [question.name for question in questions if question.kind is Kind.CHALLENGE]
        dns = frozenset(q for q in questions if q.kind not in {Kind.CHALLENGE, Kind.ACME_LOG})
        observed = await self.look_up(observed, dns) if dns else observed
        if any(question.kind is Kind.ACME_LOG for question in questions):
            self._cache.run = None
            self.containers.touched = True
            project = await self.containers.sight(self._clock.now(), patience_s=EVIDENCE_PATIENCE_S)
            observed = replace(observed, project=project)
        if probes and probing:
            found = {
                name: sight.value
                for name in probes
                if isinstance(sight := observed.dns.addresses_of(name), Seen) and sight.value.addresses
            }
            probed = await self._challenges.probe(found, self._session.nginx(observed.conf))
            for name, probe in probed.items():
                self._cache.failed_probes.pop(name, None)
                if isinstance(probe, Unseen) or probe.value.answered is Answered.NO:
                    self._cache.failed_probes[name] = probe
            observed = replace(observed, challenges={**observed.challenges, **probed})
        return observed

    async def look_up(self, observed: Observed, questions: frozenset[Question]) -> Observed:
        """The same picture with new answers to these questions."""
        await self._dns.questions.look_up(questions)
        return replace(observed, dns=self._dns.questions.known())

    async def _presented(
        self, conf: Sight[Conf], certificates: Sight[Certificates], now: float
    ) -> Sight[Certificate]:
        """Read rarely, and again when the file on the disk changed: nginx will soon present that one."""
        server = certificates.value.server if isinstance(certificates, Seen) else None
        if not isinstance(conf, Seen) or server is None:
            return NOT_ASKED
        known, of = self._cache.presented
        # Until nginx presents the certificate on the disk, every pass reads it again.
        differs = isinstance(known, Seen) and known.value.fingerprint != server.fingerprint
        if of != server.fingerprint or not 0 <= now - known.at < PRESENTED_FRESH_S or differs:
            known = await self._session.presented(conf.value.hostname, now)
            self._cache.presented = known, server.fingerprint
        return known

    async def _report_route(self, observed: Observed) -> Sight[RouteSeen]:
        """Read once an hour, and again after each change; only where reports are received, or something of it is ours."""
        way = observed.memory.report_way
        wanted = self._settings.receive is Receive.MAILCOW
        # Where no port is open, a transport to the last one is known by its value.
        nexthop = self.nexthop() or (way.nexthop if self.patient or not wanted else "")
        ours = bool(way.aliases or way.nexthops or way.ready)
        if not isinstance(observed.mailcow, Seen) or not (nexthop if wanted else ours):
            return NOT_ASKED
        wanted_route = desired_route(observed, self._settings, nexthop)
        matters = way.aliases | ({wanted_route.address} if wanted_route is not None else frozenset())
        key, known = self._cache.report_route
        fresh_s = ROUTE_FRESH_S if isinstance(known, Seen) else ROUTE_AGAIN_S
        if key != (nexthop, matters) or known is NOT_ASKED or not 0 <= observed.now - known.at < fresh_s:
            known = await self._session.report_route(nexthop, matters, observed.now)
            self._cache.report_route = (nexthop, matters), known
        return known

    async def _with_log(self, project: Sight[Project]) -> Sight[Project]:
        """The project with acme-mailcow's last run by its log, while it sleeps; read again after each run."""
        match project:
            case Seen(Project(acme_sleep=Seen(str(argument))) as value, at) if argument in SLEEPS:
                acme = value.service("acme-mailcow")
            case _:
                self._cache.run = None
                return project
        if acme is None:
            return project
        run_of = (acme.id, acme.started_at, argument)
        if self._cache.run is None or self._cache.run[0] != run_of or isinstance(self._cache.run[1], Unseen):
            self._cache.run = run_of, await self._acme_run(acme)
        return Seen(replace(value, acme_run=self._cache.run[1]), at)

    async def _acme_run(self, acme: Container) -> Sight[AcmeRun]:
        now = self._clock.now()
        for most in (ACME_LOG_LINES, MORE_LOG * ACME_LOG_LINES):
            try:
                # Its first line may be a little older than the start time that the Engine reports.
                log = await self._engine.logs_tail(acme.id, acme.started_at - 1, most, stamped=True)
            except SidecarError as error:
                return Unseen(str(error), now)
            run = await asyncio.to_thread(last_run, log)
            if run is not None:
                return Seen(run, now)
            if len(log) < most:
                break
        return Unseen("the beginning of its last run is not in it", now)

    async def _mailcow(
        self, conf: Sight[Conf], certificates: Sight[Certificates], memory: Memory, now: float
    ) -> tuple[Sight[Mailcow], Sight[DomainList], Memory, tuple[Notice, ...]]:
        pinned = certificates.value.server if isinstance(certificates, Seen) else None
        fingerprint, doubts = pinned.fingerprint if pinned else None, memory.doubt is not None
        look = await self._session.look(conf, fingerprint, now, doubted=doubts)
        if await self.door.look(conf, now, denied=look.denied):
            look = await self._session.look(conf, fingerprint, now, doubted=doubts)
        if look.answer is None:
            notices = look.notices + doubted(memory, self._session.answered)
            return look.mailcow, look.listed(memory), memory, notices
        answer = look.answer
        if memory.believed is not None and answer.value == memory.believed:
            # The same list again: it is held once, and what was worked out from it is still right.
            answer = Seen(memory.believed, answer.at)
            self._session.answered = memory.believed
        listed, memory, notices = believe(memory, answer, self._settings.intervals)
        self._session.believed = listed
        return look.mailcow, listed, memory, look.notices + notices + doubted(memory, answer.value)

    async def _served(
        self, mailcow: Sight[Mailcow], listed: Sight[DomainList], now: float
    ) -> dict[str, Sight[Served]]:
        cache = self._cache.served
        if not (
            isinstance(mailcow, Seen) and mailcow.value.backend is Backend.NATIVE and isinstance(listed, Seen)
        ):
            cache.clear()
            return {}
        names = [d.name for d in listed.value.domains if self._settings.manages(d.name)]
        for gone in cache.keys() - set(names):
            del cache[gone]
        due = stale_policies(names, cache, now, self._settings.intervals.policies, POLICIES_A_PASS)
        cache.update(await self._read(due, now, None if self.patient else self._reads_s))
        served = {name: cache.get(name, NOT_ASKED) for name in names}
        whole = len(cache) == len(served)
        self._reads_s = FIRST_READS_S if whole else min(2 * self._reads_s, MOST_READS_S)
        return served

    async def _read(self, names: list[str], now: float, most_s: float | None) -> dict[str, Sight[Served]]:
        """Reads the served policies of these domains for a limited time; gives up early if nothing answers at all."""
        clock = asyncio.get_running_loop().time
        end = None if most_s is None else clock() + most_s
        left = iter(names)
        found: dict[str, Sight[Served]] = {}
        failures = 0
        unread = Unseen("mailcow's web server does not answer", now)

        async def reader() -> None:
            nonlocal failures, unread
            for name in left:
                if failures >= READ_FAILURES_IN_A_ROW:
                    found[name] = unread
                    continue
                sight = found[name] = await self._session.served(name, now)
                failures = failures + 1 if isinstance(sight, Unseen) else 0
                if isinstance(sight, RedisRefuses):
                    unread = replace(sight, reason=f"mailcow's Redis refuses writes ({sight.said})")
                if end is not None and clock() >= end and failures < READ_FAILURES_IN_A_ROW:
                    break

        await asyncio.gather(*(reader() for _ in range(CONCURRENT_READS)))
        return found
