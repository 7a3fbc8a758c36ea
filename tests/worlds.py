"""A small world with sane defaults for tests of deciding code: change one thing, compare the whole plan.

`advance` does to the world what the plan's actions would do, so that passes can be repeated without any I/O.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

import yaml

from sidecar.formats.dotenv import items
from sidecar.formats.mtasts_policy import Mode, Policy, render
from sidecar.host.elapsed import Tally
from sidecar.observed import (
    FILE,
    NEW_SUFFIX,
    OLD_SUFFIX,
    AcmeRun,
    Addresses,
    AliasDomain,
    Answered,
    Backend,
    Caa,
    Certificate,
    Certificates,
    Challenge,
    Conf,
    ConfEvent,
    Container,
    Dns,
    Domain,
    DomainList,
    Issuer,
    Mailcow,
    Memory,
    Observed,
    PolicyFile,
    Project,
    Restart,
    Seen,
    Served,
    Sight,
    Span,
    Unseen,
    Version,
)
from sidecar.plan import decide
from sidecar.plan.acme.script import names_asked
from sidecar.plan.actions import (
    Action,
    AddPolicy,
    AdoptSame,
    AllowAccess,
    ChangeReportRoute,
    EditConf,
    EditPolicy,
    HealAcme,
    Plan,
    PublishRecords,
    RecreateAcme,
    RemoveFile,
    RestartAcme,
    SwitchOff,
    WriteFile,
)
from sidecar.plan.native import text_of
from sidecar.reconcile.learn.observations import learn, learn_acme
from sidecar.settings import Settings
from sidecar.settings.load import load
from sidecar.state.ledger import entries, intended, settled

T = TypeVar("T")

NOW = 1_800_000_000.0
DAY = 86_400.0
HOST = "mail.example.org"
ADDRESS = "192.0.2.1"
RUN = AcmeRun(NOW - DAY / 2, ADDRESS, None, detected=True, confirmed=frozenset({4}))
NATIVE = Mailcow(Backend.NATIVE, Version(2026, 7, "a"))
OLD_NATIVE = Mailcow(Backend.NATIVE, Version(2025, 9))
FILE_MAILCOW = Mailcow(Backend.FILE, Version(2025, 7))


@dataclass(frozen=True)
class World:
    """All there is, as a test wants it; everything is seen unless it is listed in `unseen`."""

    now: float = NOW
    mailcow: Mailcow = NATIVE
    domains: tuple[str, ...] = ("example.org",)
    inactive: frozenset[str] = frozenset()
    backup: frozenset[str] = frozenset()
    aliases: Mapping[str, str] = field(default_factory=dict)
    conf: Mapping[str, str] = field(default_factory=dict)
    locked: str | None = None
    served: Mapping[str, str] = field(default_factory=dict)
    file: bytes | None = None
    names: frozenset[str] = frozenset({HOST})
    issuer: Issuer = Issuer.LETS_ENCRYPT
    orders: tuple[float, ...] = ()
    acme_san: str | None = None
    """ADDITIONAL_SAN in acme-mailcow's environment; None: as mailcow.conf has it."""
    sleep: str | None = "1d"
    started_at: float = NOW - 30 * DAY
    others: tuple[Container, ...] = ()
    without_address: frozenset[str] = frozenset()
    foreign_address: frozenset[str] = frozenset()
    mx: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    caa: Mapping[str, Caa] = field(default_factory=dict)
    caa_at: Mapping[str, Caa] = field(default_factory=dict)
    run: AcmeRun | None = RUN
    """acme-mailcow's last run as its log tells it; None: the log could not be read."""
    challenges: Mapping[str, Challenge] = field(default_factory=dict)
    """HTTP probes that do not work as they should; `probed` False: none was made."""
    probed: bool = True
    addresses: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Names with other addresses than ADDRESS."""
    backups: tuple[Certificate, ...] = ()
    unseen: frozenset[str] = frozenset()
    dns_unseen: frozenset[str] = frozenset()
    memory: Memory = field(default_factory=Memory)
    counted: float | None = None
    """The seconds that really passed (`Memory.counted`); None: as the clock says."""

    @property
    def really(self) -> float:
        """The seconds that really passed."""
        return self.now if self.counted is None else self.counted

    def listed(self) -> DomainList:
        """The domains as mailcow lists them."""
        domains = tuple(Domain(n, n not in self.inactive, n in self.backup) for n in sorted(self.domains))
        return DomainList(domains, tuple(AliasDomain(a, t, True) for a, t in sorted(self.aliases.items())))

    def conf_value(self) -> Conf:
        """mailcow.conf."""
        return Conf({"MAILCOW_HOSTNAME": HOST, "AUTODISCOVER_SAN": "y", **self.conf}, self.locked)

    def acme_value(self) -> str:
        """What acme-mailcow has as ADDITIONAL_SAN."""
        return self.conf.get("ADDITIONAL_SAN", "") if self.acme_san is None else self.acme_san


def given_settings(config: Mapping[str, object]) -> Settings:
    """The settings for a config.yml of this content."""
    return load({}, yaml.safe_dump(config).encode(), {})


def container(
    service: str, *, state: str = "running", started_at: float = NOW - 30 * DAY, **env: str
) -> Container:
    """A container of the project."""
    return Container(f"id-{service}", f"mailcow-{service}-1", service, state, started_at, started_at, env)


def observed(world: World) -> Observed:
    """The world as the sidecar sees it."""
    now, listed = world.now, world.listed()
    hosts = {
        f"{prefix}.{d}"
        for d in [*world.domains, *world.aliases]
        for prefix in ("mta-sts", "autodiscover", "autoconfig")
    }
    lookups: dict[str, Seen[Addresses] | Unseen] = {}
    for name in {HOST, *hosts, *world.names}:
        if name in world.dns_unseen:
            lookups[name] = Unseen("SERVFAIL", now)
        elif name in world.without_address:
            lookups[name] = Seen(Addresses(frozenset()), now)
        else:
            usual = frozenset({"203.0.113.9" if name in world.foreign_address else ADDRESS})
            lookups[name] = Seen(Addresses(world.addresses.get(name, usual)), now)
    dns = Dns(
        lookups,
        {
            d: Unseen("time-out", now) if d in world.dns_unseen else Seen(world.mx.get(d, (HOST,)), now)
            for d in [*world.domains, *world.aliases]
        },
        {name: Seen(world.caa.get(name, Caa(None)), now) for name in lookups},
        {},
        {
            parent: Seen(world.caa_at.get(parent, Caa(None)), now)
            for parent in {name.partition(".")[2] for name in lookups}
        },
    )
    environment = {
        "ADDITIONAL_SAN": world.acme_value(),
        "ACME_DNS_CHALLENGE": world.conf.get("ACME_DNS_CHALLENGE", "n"),
    }
    acme = container("acme-mailcow", started_at=world.started_at, **environment)
    project = Project(
        "mailcow",
        (acme, container("nginx-mailcow"), *world.others),
        Seen(world.sleep, now),
        Unseen("the Engine refused it", now) if world.run is None else Seen(world.run, now),
    )
    certificate = Certificate("", world.names, now - 10 * DAY, now + 80 * DAY, world.issuer, "aa" * 32)
    native = world.mailcow.backend is Backend.NATIVE

    def sight(part: str, value: T) -> Sight[T]:
        return Unseen(f"{part} was not seen", now) if part in world.unseen else Seen(value, now)

    return Observed(
        now=now,
        conf=sight("conf", world.conf_value()),
        mailcow=sight("mailcow", world.mailcow),
        domains=sight("domains", listed),
        served={d: sight(f"served:{d}", Served(world.served.get(d))) for d in world.domains}
        if native
        else {},
        file=sight("file", PolicyFile(world.file)),
        project=sight("project", project),
        certificates=sight("certificates", Certificates(certificate, (), world.orders, world.backups)),
        dns=dns,
        memory=replace(world.memory, tally=Tally(world.really)),
        challenges={
            name: Seen(world.challenges.get(name, Challenge(Answered.YES)), now)
            for name in (lookups if world.probed else ())
        },
    )


def span(text: str | None, since: float, until: float | None) -> Span:
    """A span of a time in which the clock was right."""
    return Span(text, since, until, begun=since, ended=until or 0.0)


def look(world: World, settings: Settings | None = None) -> tuple[World, Plan]:
    """One pass up to the plan: the world with what was learned, and the plan."""
    settings = settings or Settings()
    seen = observed(world)
    seen = replace(seen, memory=learn(seen, settings))
    seen = replace(seen, memory=learn_acme(seen))
    return replace(world, memory=seen.memory), decide(seen, settings)


def plan(world: World, settings: Settings | None = None) -> Plan:
    """The plan for a world."""
    return look(world, settings)[1]


def advance(world: World, actions: Iterable[Action]) -> World:
    """The world after these actions, each done as the real ones would be."""
    for action in actions:
        world = _done(world, action)
    return world


def _done(world: World, action: Action) -> World:  # noqa: C901, PLR0911, PLR0912 - one case for each kind of action
    memory, now = world.memory, world.now
    match action:
        case AllowAccess():
            return world  # these worlds have access
        case AddPolicy(domain=domain) | EditPolicy(domain=domain) | SwitchOff(domain=domain):
            text = text_of(action)
            served = {k: v for k, v in world.served.items() if k != domain}
            if text is not None:
                served[domain] = text
            return replace(world, served=served, memory=_remembered(world, domain, text))
        case AdoptSame(key=key, text=text):
            return replace(world, memory=_remembered(world, key, text))
        case WriteFile(text=text, floor=floor):
            memory = _remembered(world, FILE, text)
            if floor is not None:
                memory = replace(
                    memory, policies={**memory.policies, FILE: replace(memory.policy(FILE), floor=floor)}
                )
            return replace(world, file=text.encode(), memory=memory)
        case RemoveFile():
            return replace(world, file=None, memory=_remembered(world, FILE, None))
        case EditConf(edits=edits):
            conf = dict(world.conf)
            events = list(memory.conf)
            for key, edit in edits.items():
                kept = [
                    e for e in items(conf.get(key, "")) if e.lower() not in {r.lower() for r in edit.remove}
                ]
                conf[key] = ",".join([*kept, *edit.add])
                events += entries(key, edit.add, ConfEvent.ADDED, now) + entries(
                    key, edit.remove, ConfEvent.REMOVED, now
                )
            acme_san = world.acme_san if world.acme_san is not None else world.conf.get("ADDITIONAL_SAN", "")
            return replace(world, conf=conf, acme_san=acme_san, memory=replace(memory, conf=tuple(events)))
        case RestartAcme():
            return _ran(world, action.names)
        case RecreateAcme():
            return _ran(replace(world, acme_san=action.environment["ADDITIONAL_SAN"]), action.names)
        case PublishRecords():
            return world  # no world here has an account (see `tests.plan.publish`)
        case ChangeReportRoute():
            return world  # it has no aliases and transports: those of `tests/plan/test_report_route.py` have
        case HealAcme():
            own = tuple(c for c in world.others if not c.name.endswith((OLD_SUFFIX, NEW_SUFFIX)))
            return replace(world, others=own)


def _ran(world: World, names: tuple[str, ...]) -> World:
    restart = Restart(world.now, names, tuple(sorted(world.names)), judged=False)
    memory = replace(world.memory, restarts=(*world.memory.restarts, restart))
    orders = (*world.orders, world.now)
    # As acme-mailcow does: the new certificate is for the names that pass now, whatever was in the old one.
    return replace(world, names=_ordered(world), started_at=world.now, orders=orders, memory=memory)


def _remembered(world: World, key: str, text: str | None) -> Memory:
    memory, now = world.memory, world.now
    wrote = settled(intended(memory.policy(key), text, now), text, now, world.really, done=True)
    return replace(memory, policies={**memory.policies, key: wrote}, adopt=memory.adopt - {key})


def _ordered(world: World) -> frozenset[str]:
    """What acme-mailcow would get a certificate for: each name that it asks for and that passes its check."""
    asked = names_asked(
        world.mailcow, world.conf_value(), world.acme_value(), world.listed(), frozenset(world.served)
    )
    known = {HOST, *world.names} | {
        f"{prefix}.{domain}"
        for domain in (*world.domains, *world.aliases)
        for prefix in ("mta-sts", "autodiscover", "autoconfig")
    }
    failing = world.without_address | world.foreign_address | world.dns_unseen | world.challenges.keys()
    return frozenset(n for n in asked.all if n in known and n not in failing)


def settle(
    world: World, settings: Settings | None = None, *, quiet_days: int = 20, limit: int = 400
) -> tuple[World, Plan]:
    """Passes, half a day apart, until nothing was to be done for so many days: longer than any max_age here."""
    last, quiet = Plan(), 0
    for _ in range(limit):
        world, last = look(world, settings)
        quiet = 0 if last.actions else quiet + 1
        if quiet >= 2 * quiet_days:
            return world, last
        world = replace(advance(world, last.actions), now=world.now + DAY / 2)
    raise AssertionError(f"never came to rest: {last.actions}")


def policy(mode: Mode = Mode.TESTING, max_age: int = 86_400, *mx: str) -> Policy:
    """A policy; without mx, of this mailcow's host."""
    return Policy(mode, max_age, mx or (HOST,))


def text(mode: Mode = Mode.TESTING, max_age: int = 86_400, *mx: str) -> str:
    """The text of a policy."""
    return render(policy(mode, max_age, *mx))
