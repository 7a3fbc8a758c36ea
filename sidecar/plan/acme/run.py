"""A planned run of acme-mailcow: whether this mailcow is settled, whether the run may start now, and for which names; pure.

Rule for every editor: acme-mailcow orders *without* each name that fails its check at that moment, and every order
counts. So everything that a run relies on was observed in the same pass (`evidence`), and a missing part holds it. Orders
that the certificate folder shows count against the budget too, so a lost state never resets it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sidecar.formats.domain_name import to_unicode
from sidecar.observed import (
    NOT_ASKED,
    Fact,
    FactKind,
    Issuer,
    Kind,
    Memory,
    Observed,
    Project,
    Question,
    Restart,
    Seen,
    Unseen,
)
from sidecar.observed.notice import Level, Notice, NoticeCode
from sidecar.observed.words import day, some, span
from sidecar.plan.acme.addresses import Check, NotReady, address_trouble
from sidecar.plan.acme.evidence import gathered, hopeless, hopeless_hold, still_lost
from sidecar.plan.acme.names import ASKED_AT_ONCE, Scene, count, missing_names, our_names, scene
from sidecar.plan.acme.script import MOST_NAMES, SLEEPS, AcmeNames, split_san
from sidecar.plan.actions import Held, Hold, Plan, RecreateAcme, RestartAcme
from sidecar.plan.conf_entries import SAN
from sidecar.settings import RestartSettings, Settings

GIVES_UP_AFTER_S = 1_800
"""A container that stays unsettled for this long stops blocking."""

STOPPED_S = 300.0
"""For how long a needed container may be down before it is reported: an update takes minutes."""
NEEDED = ("acme-mailcow", "nginx-mailcow")


def unsettled(project: Project, memory: Memory, now: float, settle: float) -> dict[str, str]:
    """Why services are unsettled, by service; the sidecar's own container does not count."""
    found: dict[str, str] = {}
    for container in project.containers:
        if container.own:
            continue
        if container.state != "running":
            found[container.service] = f"it is {container.state}"
        elif now - container.started_at < settle:
            found[container.service] = f"it was started less than {span(settle)} ago"
    there = {container.service for container in project.containers}
    found.update(dict.fromkeys(memory.services.union(NEEDED) - there, "its container is gone"))
    return found


def ignored(observed: Observed, settle: float) -> tuple[Notice, ...]:
    """Notices about containers that have been unsettled for so long that they no longer block."""
    if not isinstance(observed.project, Seen):
        return ()
    found = unsettled(observed.project.value, observed.memory, observed.now, settle)
    return tuple(
        Notice(
            Level.WARNING,
            NoticeCode.CONTAINER_UNSETTLED,
            service,
            f"{service} has not been running steadily for half an hour; acme-mailcow no longer waits for it",
            f"see: docker compose logs --tail=50 {service}",
        )
        for service in sorted(found)
        if not _blocks(observed, service)
    )


def stopped(observed: Observed) -> tuple[Notice, ...]:
    """Notices about a needed container that does not run, if no one seems to be starting it."""
    if isinstance(observed.project, Unseen):
        return ()
    server = observed.certificates.value.server if isinstance(observed.certificates, Seen) else None
    skipped = isinstance(observed.conf, Seen) and observed.conf.value.yes("SKIP_LETS_ENCRYPT")
    acme_orders = not skipped and (server is None or server.issuer is not Issuer.OTHER)
    notices: list[Notice] = []
    for service in NEEDED:
        container = observed.project.value.service(service)
        waited = observed.memory.true_for(Fact(FactKind.UNSETTLED, service))
        running = container is not None and container.state == "running"
        if running or waited < STOPPED_S or (service == "acme-mailcow" and not acme_orders):
            continue
        if service == "nginx-mailcow":
            effect = "no sender can fetch a policy"
        else:
            ends = f", and the present one expires {day(server.not_after)}" if server else ""
            effect = f"no certificate is ordered or renewed{ends}"
        state = f"is not running: it is {container.state}" if container else "has no container"
        todo = f"in the mailcow directory: docker compose up -d {service}"
        if container:
            todo += f"; if it stops again: docker compose logs --tail=50 {service}"
        message = f"{service} {state}; {effect}"
        notices.append(Notice(Level.ERROR, NoticeCode.CONTAINER_STOPPED, service, message, todo))
    return tuple(notices)


def _blocks(observed: Observed, service: str) -> bool:
    return service in NEEDED or observed.memory.true_for(Fact(FactKind.UNSETTLED, service)) < GIVES_UP_AFTER_S


def blocked(observed: Observed, settle: float) -> Hold | None:
    """Why acme-mailcow must not be changed now; None if it may."""
    if isinstance(observed.project, Unseen):
        return Hold(observed.project.reason)
    project = observed.project.value
    if project.left_over:
        return Hold("a re-creation of acme-mailcow was interrupted, and is repaired first")
    for service in NEEDED:
        container = project.service(service)
        if container is None:
            return Hold(f"there is no container of {service}")
        if container.state != "running":
            return Hold(f"{service} is not running: it is {container.state}")
    for service, reason in unsettled(project, observed.memory, observed.now, settle).items():
        if _blocks(observed, service):
            why = f"mailcow is being started or updated: {service}: {reason}"
            return Hold(why, until=observed.now + max(settle, 5))
    match project.acme_sleep:
        case Unseen(reason):
            return Hold(f"it is not known whether acme-mailcow is working: {reason}")
        case Seen(str(argument)) if argument in SLEEPS:
            return None
        case _:
            return Hold(
                "acme-mailcow is running its checks and orders: if it is stopped now, nginx may keep the old certificate"
            )


MALFORMED = (
    "ADDITIONAL_SAN in mailcow.conf has white space where a comma belongs: with it acme-mailcow would order other "
    "names than intended, so it gets the value once that is corrected"
)
LONG_S = 21_600
"""A name that has waited for this long needs a person, even if it is only known that its lookup fails."""
GATHERING_LIMIT = 10
"""New names are collected for at most this many quiet periods."""


@dataclass(frozen=True, slots=True)
class Run:
    """The names of a run, and the facts by which it is judged; `recreate` if a restart alone would not bring them."""

    observed: Observed
    settings: Settings
    scene: Scene
    names: tuple[str, ...]
    recreate: bool

    @property
    def malformed(self) -> bool:
        """Whether the value that it would be re-created with has white space that acme-mailcow reads differently."""
        now, repaired = split_san(self.scene.conf_san), split_san(self.scene.repaired_san)
        return self.recreate and list(map(set, now)) != list(map(set, repaired))

    @property
    def lost(self) -> frozenset[str]:
        """The names that the last certificate lacks and an earlier one had, except those that the sidecar adds."""
        ours = our_names(self.scene, self.settings, self.observed)
        missing = missing_names(self.scene, ours)
        return frozenset(
            item.name for item in still_lost(self.observed, self.scene) if item.name not in missing
        )

    @property
    def asked(self) -> AcmeNames:
        """The names that acme-mailcow would order in that run."""
        return self.scene.asked(self.scene.conf_san if self.recreate else None)

    def action(self, names: tuple[str, ...] | None = None) -> RestartAcme | RecreateAcme:
        chosen = self.names if names is None else names
        acme = self.scene.acme
        container_id, started_at = (acme.id, acme.started_at) if acme else ("", 0.0)
        lacks = f"the certificate lacks {some(chosen)}"
        if not self.recreate:
            return RestartAcme(container_id, started_at, chosen, lacks)
        reason = f"{lacks}, and acme-mailcow was created before {SAN} was changed"
        return RecreateAcme(container_id, started_at, {SAN: self.scene.conf_san}, chosen, reason)

    def held(self, hold: Hold, names: tuple[str, ...] | None = None) -> Held:
        return hold.on(self.action(names))


def hold_run(plan: Plan, observed: Observed, settings: Settings) -> Plan:
    """A guard: the plan with its run of acme-mailcow for the names that are ready; the other names are held."""
    runs = [action for action in plan.actions if isinstance(action, RestartAcme | RecreateAcme)]
    found = scene(observed)
    rest = tuple(action for action in plan.actions if action not in runs)
    plan = replace(plan, actions=rest)
    if isinstance(found, str):
        return plan + Plan(held=tuple(Hold(found).on(run) for run in runs))
    for run in runs:
        case = Run(observed, settings, found, run.names, isinstance(run, RecreateAcme))
        plan += _for_names(case)
    return plan


def _for_names(case: Run) -> Plan:
    if case.malformed:
        return Plan(held=(case.held(Hold(MALFORMED)),))
    ready, held, notices = _split(case)
    observed, settings = case.observed, case.settings.restart
    # The administrator's names, and lost ones, are not among the routine questions.
    never = [name for name in case.names if observed.dns.addresses_of(name) is NOT_ASKED]
    unknown = frozenset(Question(Kind.ADDRESSES, name) for name in never[:ASKED_AT_ONCE])
    plan = Plan(held=held, notices=notices, questions=unknown)
    if not ready:
        return plan
    plan += Plan(notices=ignored(observed, settings.settle))
    case = replace(case, names=ready)
    found = count(case.asked.server, case.scene, observed)
    if (too_many := found.trouble()) is not None:
        plan += Plan(held=(case.held(too_many),), questions=found.questions())
        if found.certain > MOST_NAMES:
            # Waiting does not help: Let's Encrypt would refuse the order, and every renewal.
            message = (
                f"{some(ready)} cannot be added to the certificate: it would have {found.certain} names, and Let's Encrypt "
                f"accepts at most {MOST_NAMES}"
            )
            todo = "set ENABLE_SSL_SNI=y in mailcow.conf for a certificate per domain, then: docker compose up -d"
            notice = Notice(Level.WARNING, NoticeCode.CERTIFICATE_FULL, "certificate", message, todo)
            plan += Plan(notices=(notice,))
        return plan
    # New names are collected: one restart for all that are added together. Names that were lost, or left out
    # because of white space, do not belong to a new domain.
    memory, quiet = observed.memory, settings.quiet
    facts = [Fact(FactKind.MISSING, name) for name in ready]
    waited = [memory.true_for(fact) for fact in facts if fact in memory.since]
    left = min(quiet - min(waited), GATHERING_LIMIT * quiet - max(waited)) if waited else 0
    stopped = (
        blocked(observed, settings.settle)
        or (Hold("new names are being collected", until=observed.now + left) if left > 0 else None)
        or exhausted(memory.restarts, case.scene.certificates.orders, settings, observed.now)
    )
    if stopped is not None:
        return plan + Plan(held=(case.held(stopped),))
    return plan + _by_evidence(case)


def _split(case: Run) -> tuple[tuple[str, ...], tuple[Held, ...], tuple[Notice, ...]]:
    """By the answers so far, of any age: the names that are worth new questions, and the others with their needs."""
    ready: list[str] = []
    held: list[Held] = []
    notices: list[Notice] = []
    for name in case.names:
        if (tries := hopeless(case.observed, name)) is not None:
            hold = hopeless_hold(name, tries)
            held.append(case.held(hold, (name,)))
            notices.append(Notice(Level.WARNING, NoticeCode.NAME_IN_VAIN, name, hold.reason, hold.remedy))
            continue
        trouble = address_trouble(name, case.scene.setup, case.observed.dns)
        if trouble is None:
            ready.append(name)
            continue
        held.append(case.held(trouble.hold, (name,)))
        if not trouble.unknown or _waits_long(case):
            notices.append(_needs_record(name, trouble))
    return tuple(ready), tuple(held), tuple(notices)


def _needs_record(name: str, trouble: NotReady) -> Notice:
    level = Level.INFO if trouble.automatic else Level.WARNING
    return Notice(level, NoticeCode.NAME_NOT_READY, name, trouble.said, trouble.remedy)


def _by_evidence(case: Run) -> Plan:
    """The run for the names that pass, unless it would lose one that is needed; questions come first."""
    # The names that are or were in a certificate and are still needed: an order made now drops each that fails.
    there = (case.scene.held & case.asked.all) | case.lost
    kept = sorted(there - {case.scene.conf.hostname} - set(case.names))
    evidence = gathered(case.scene, case.observed, case.names, kept)
    plan = Plan(
        held=tuple(case.held(trouble.hold, (name,)) for name, trouble in evidence.new.items()),
        notices=tuple(
            _needs_record(name, trouble)
            for name, trouble in evidence.new.items()
            if _for_a_person(case, trouble)
        ),
    )
    passing = tuple(name for name in case.names if name not in evidence.new)
    if not passing:
        return plan
    case = replace(case, names=passing)
    if not evidence.complete:
        probes = any(question.kind is Kind.CHALLENGE for question in evidence.questions)
        doubt = (
            "the HTTP probe is missing: only a pass that may restart acme-mailcow makes it, since it writes a file"
            if probes
            else "the names are being looked up again"
        )
        return plan + Plan(held=(case.held(Hold(doubt)),), questions=evidence.questions)
    if not evidence.old:
        return plan + Plan(actions=(case.action(),))
    # The hostname comes first: without it the certificate no longer matches the MX.
    name, trouble = next(iter(evidence.old.items()))
    others = list(evidence.old)[1:]
    would = (
        "is in the certificate and would be dropped from it"
        if name in case.scene.held
        else "would not be in the certificate"
    )
    more = f" (and {len(others)} more: {some(others, 4)})" if others else ""
    reason = f"{to_unicode(name)} {would}{more}: {trouble.said}"
    plan += Plan(held=(case.held(Hold(reason, trouble.remedy)),))
    if _for_a_person(case, trouble):
        notice = Notice(Level.WARNING, NoticeCode.NAME_WOULD_DROP, name, reason, trouble.remedy)
        plan += Plan(notices=(notice,))
    return plan


def _for_a_person(case: Run, trouble: NotReady) -> bool:
    """A lookup that failed is repeated for some hours; anything else needs a person."""
    if not trouble.unknown or trouble.remedy is not None or trouble.check is Check.HTTP:
        return True
    return _waits_long(case)


def _waits_long(case: Run) -> bool:
    memory = case.observed.memory
    return any(memory.true_for(Fact(FactKind.MISSING, name)) > LONG_S for name in case.names)


# --- how often it may be restarted, so that no rate limit of Let's Encrypt is reached -------------------------

DAY_S = 86_400
WEEK_S = 7 * DAY_S
SAME_RUN_S = 900
"""An order this soon after one of our restarts belongs to that restart."""


def starts(restarts: Sequence[Restart], orders: Sequence[float]) -> list[float]:
    """When acme-mailcow ordered certificates, at our request or not, oldest first; each run once.

    One run may leave several backups (ENABLE_SSL_SNI); a run that we requested leaves them a little later.
    """
    counted = sorted(restart.at for restart in restarts)
    for at in sorted(orders):
        if not any(0 <= at - start <= SAME_RUN_S for start in counted):
            counted.append(at)
    return sorted(counted)


def exhausted(
    restarts: Sequence[Restart],
    orders: Sequence[float],
    settings: RestartSettings,
    now: float,
) -> Hold | None:
    """Why no restart is allowed now, and until when; None if one is allowed.

    acme-mailcow dates its orders in its own time zone, which may differ from ours: an order dated up to a day
    ahead counts. Names that restarts do not bring are left out elsewhere (`evidence`): they delay no other name.
    """
    before = [at for at in starts(restarts, orders) if at <= now + DAY_S]
    spacing = settings.spacing
    if before and before[-1] + spacing > now:
        until = before[-1] + spacing
        return Hold(
            f"there are at least {span(spacing)} between two restarts; the last was {day(before[-1])}",
            until=until,
        )
    for limit, period, word in ((settings.per_day, DAY_S, "a day"), (settings.per_week, WEEK_S, "in 7 days")):
        within = [at for at in before if at > now - period]
        if len(within) >= limit:
            until = within[len(within) - limit] + period if limit > 0 else now + period
            return Hold(f"{len(within)} of {limit} restarts {word} are used", until=until)
    return None
