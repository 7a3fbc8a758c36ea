"""The restart of acme-mailcow: when it helps, when it may be, and what is held and why; pure.

Rule for every editor: acme-mailcow orders anew *without* each name that fails its check at that moment, and
every order counts. So all that a restart relies on was seen in the same pass.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sidecar.acme import MOST_NAMES, SLEEPS, AcmeNames
from sidecar.notice import Level, Notice
from sidecar.observed import Certificate, Certificates, Conf, Fact, FactKind, Issuer, Observed, Project, Seen
from sidecar.plan.actions import Held, Plan, RecreateAcme, RestartAcme
from sidecar.plan.budget import exhausted
from sidecar.plan.certificate import (
    NotReady,
    Scene,
    addresses_ready,
    missing_names,
    our_names,
    questions_for,
    readiness,
    scene,
)
from sidecar.plan.entries import SAN
from sidecar.plan.settled import blocked, ignored
from sidecar.plan.words import day, some
from sidecar.settings import Settings

FORGIVEN_AFTER_S = 86_400
"""A name that has failed for this long no longer keeps others out of the certificate."""
RECREATE_COMMAND = "in the mailcow directory: docker compose up -d acme-mailcow"
GATHERING_LIMIT = 10
"""Names are gathered for at most this many quiet periods."""


@dataclass(frozen=True, slots=True)
class _Case:
    """The names a run would be for, and what it is judged by; `recreate` where a mere restart would not bring them."""

    observed: Observed
    settings: Settings
    scene: Scene
    names: tuple[str, ...]
    recreate: bool

    @property
    def asked(self) -> AcmeNames:
        """What acme-mailcow would ask for in that run."""
        return self.scene.asked(self.scene.conf_san if self.recreate else None)

    def action(self, names: tuple[str, ...] | None = None) -> RestartAcme | RecreateAcme:
        chosen = self.names if names is None else names
        acme = self.scene.acme
        container_id, started_at = (acme.id, acme.started_at) if acme else ("", 0.0)
        lacks = f"the certificate lacks {some(chosen)}"
        if not self.recreate:
            return RestartAcme(container_id, started_at, chosen, lacks)
        san = self.scene.conf.values.get(SAN, "")
        reason = f"{lacks}, and acme-mailcow was created before {SAN} was changed"
        return RecreateAcme(container_id, started_at, {SAN: san}, chosen, reason)

    def held(self, reason: str, until: float | None = None, names: tuple[str, ...] | None = None) -> Held:
        return Held(self.action(names), reason, until)


def plan_restart(observed: Observed, settings: Settings) -> Plan:
    """At most one run, for all names that are ready; each other missing name is held with its reason."""
    found = scene(observed)
    if isinstance(found, str):
        return Plan()
    missing = missing_names(found, our_names(found, settings, observed))
    if not missing:
        return Plan()
    if found.acme_conf.hostname != found.conf.hostname:
        return Plan(notices=_by_hand([found.conf.hostname]))
    if (useless := _cannot_help(found, found.acme_conf, missing)) is not None:
        if _cannot_help(found, found.conf, missing) is None:
            return Plan(notices=_old_environment(found, missing))
        return Plan(notices=(useless,))
    now, anew = found.asked().all, found.asked(found.conf_san).all
    recreate = any(name in anew - now for name in missing)
    pending = tuple(name for name in missing if name in (anew if recreate else now))
    if not pending:
        return Plan(notices=_old_environment(found, missing))
    case = _Case(observed, settings, found, pending, recreate)
    told = _by_hand(case.names) if recreate and not settings.manage.acme else ()
    return Plan(notices=told) + _for_names(case)


def _for_names(case: _Case) -> Plan:
    ready, held, notices = _split(case)
    plan = Plan(held=held, notices=notices)
    if not ready:
        return plan
    plan += Plan(notices=ignored(case.observed, case.settings.restart.settle))
    case = replace(case, names=ready)
    for check in (_too_many, _still, _quiet, _within_budget):
        if (stopped := check(case)) is not None:
            return plan + Plan(held=(stopped,))
    fresh = questions_for([*ready, *_others(case)], case.scene.conf)
    if (doubt := _not_fresh(case)) is not None:
        return plan + Plan(held=(doubt,), questions=fresh)
    return plan + _judged_afresh(case)


def _split(case: _Case) -> tuple[tuple[str, ...], tuple[Held, ...], tuple[Notice, ...]]:
    """By the answers at hand, of whatever age: the names worth a fresh look, and the rest with what they need."""
    conf, dns = case.scene.acme_conf, case.observed.dns
    ready: list[str] = []
    held: list[Held] = []
    notices: list[Notice] = []
    for name in case.names:
        trouble = addresses_ready(name, conf, dns, 0.0)
        if trouble is None:
            ready.append(name)
            continue
        held.append(case.held(trouble.reason, names=(name,)))
        if not trouble.unknown:
            notices.append(_needs_record(name, trouble))
    return tuple(ready), tuple(held), tuple(notices)


def _needs_record(name: str, trouble: NotReady) -> Notice:
    message, _, todo = trouble.reason.partition("; ")
    return Notice(Level.WARNING, "name.not_ready", name, message, todo or None)


def _others(case: _Case) -> list[str]:
    """The names that are in a certificate and still wanted: an order made now would drop each that fails."""
    asked = case.asked.all
    there = frozenset().union(*(c.names for c in case.scene.presented))
    return sorted((there & asked) - {case.scene.conf.hostname} - set(case.names))


def _judged_afresh(case: _Case) -> Plan:
    """Every answer is of this pass now: the hostname always decides, an old name only for a day."""
    conf, dns, now = case.scene.acme_conf, case.observed.dns, case.observed.now
    still: list[str] = []
    held: list[Held] = []
    notices: list[Notice] = []
    for name in case.names:
        trouble = readiness(name, conf, dns, now)
        if trouble is None:
            still.append(name)
        else:
            held.append(case.held(trouble.reason, names=(name,)))
            notices += [] if trouble.unknown else [_needs_record(name, trouble)]
    plan = Plan(held=tuple(held), notices=tuple(notices))
    if not still:
        return plan
    chosen = replace(case, names=tuple(still))
    for name in (conf.hostname, *_others(case)):
        trouble = readiness(name, conf, dns, now)
        if trouble is None or (name != conf.hostname and _forgiven(case.observed, name)):
            continue
        reason = f"{name} is in the certificate and would drop out of it: {trouble.reason}"
        message, _, todo = reason.partition("; ")
        return plan + Plan(
            held=(chosen.held(reason),),
            notices=(Notice(Level.WARNING, "name.would_drop", name, message, todo or None),),
        )
    return plan + Plan(actions=(chosen.action(),))


def _forgiven(observed: Observed, name: str) -> bool:
    return observed.memory.true_for(Fact(FactKind.FAILING, name)) > FORGIVEN_AFTER_S


def _not_fresh(case: _Case) -> Held | None:
    """Held until every name involved was asked about in this pass; the caller asks, and plans once more."""
    dns, now = case.observed.dns, case.observed.now
    involved = (case.scene.conf.hostname, *case.names, *_others(case))
    if all(dns.addresses_of(name).at >= now and dns.caa_of(name).at >= now for name in involved):
        return None
    return case.held("the names are being looked up once more")


def _too_many(case: _Case) -> Held | None:
    """The certificate that the new names would go into must not get more than 100."""
    count = counted(case.scene, case.observed, case.asked.server)
    if count <= MOST_NAMES:
        return None
    return case.held(
        f"the certificate would have {count} names, and Let's Encrypt takes {MOST_NAMES} at most: "
        "set ENABLE_SSL_SNI=y in mailcow.conf for a certificate per domain"
    )


def counted(scene: Scene, observed: Observed, names: frozenset[str], *, hoped_for: bool = False) -> int:
    """How many of the names would really be in the order: all but those known to fail acme-mailcow's check.

    `hoped_for`: policy hosts count even so, since their records are about to come.
    """
    conf = scene.acme_conf
    return sum(
        (hoped_for and name.startswith("mta-sts."))
        or (trouble := addresses_ready(name, conf, observed.dns, 0.0)) is None
        or trouble.unknown
        for name in names
    )


def _still(case: _Case) -> Held | None:
    stopped = blocked(case.observed, case.settings.restart.settle)
    return None if stopped is None else case.held(*stopped)


def _quiet(case: _Case) -> Held | None:
    """New names are gathered: one restart for all that come together."""
    quiet = case.settings.restart.quiet
    waited = [case.observed.memory.true_for(Fact(FactKind.MISSING, name)) for name in case.names]
    left = min(quiet - min(waited), GATHERING_LIMIT * quiet - max(waited))
    return None if left <= 0 else case.held("new names are being gathered", case.observed.now + left)


def _within_budget(case: _Case) -> Held | None:
    stopped = exhausted(
        case.observed.memory.restarts,
        case.scene.certificates.orders,
        case.names,
        case.settings.restart,
        case.observed.now,
    )
    return None if stopped is None else case.held(*stopped)


def _cannot_help(scene: Scene, conf: Conf, missing: list[str]) -> Notice | None:
    """A certificate that acme-mailcow, with these settings, does not look after, or not for these names."""
    names = some(missing)
    if conf.yes("SKIP_LETS_ENCRYPT"):
        message, todo = (
            "SKIP_LETS_ENCRYPT=y: certificates come from elsewhere",
            f"add to that certificate: {names}",
        )
    elif conf.yes("ONLY_MAILCOW_HOSTNAME"):
        message, todo = (
            "ONLY_MAILCOW_HOSTNAME=y: no other name gets a certificate",
            "set it to n in mailcow.conf",
        )
    elif scene.certificates.server is not None and scene.certificates.server.issuer is Issuer.OTHER:
        message, todo = "the certificate is the administrator's own", f"add to it: {names}"
    else:
        return None
    return Notice(
        Level.WARNING,
        "certificate.not_acme",
        "certificate",
        f"the certificate lacks {names}; {message}",
        todo,
    )


def _by_hand(names: Sequence[str]) -> tuple[Notice, ...]:
    return (
        Notice(
            Level.WARNING,
            "acme.environment",
            "acme-mailcow",
            f"acme-mailcow does not know of {some(names)} yet: it was created before mailcow.conf was changed",
            RECREATE_COMMAND,
        ),
    )


def _old_environment(scene: Scene, missing: list[str]) -> tuple[Notice, ...]:
    """Names that acme-mailcow would ask for if more of its environment than ADDITIONAL_SAN were that of mailcow.conf."""
    asked = scene.asked_anew().all
    names = [name for name in missing if name in asked]
    return _by_hand(names) if names else ()


def run_failed(observed: Observed) -> tuple[Notice, ...]:
    """A run of acme-mailcow that fails since names were added: an error, with the day the certificate ends."""
    restarts = observed.memory.restarts
    failed = Fact(FactKind.RUN_FAILED, "acme-mailcow") in observed.memory.since
    if not failed or not restarts or not isinstance(observed.certificates, Seen):
        return ()
    server = observed.certificates.value.server
    ends = f"; the certificate ends {day(server.not_after)}" if server else ""
    return (
        Notice(
            Level.ERROR,
            "acme.failed",
            "acme-mailcow",
            f"acme-mailcow fails since it was restarted for {some(restarts[-1].names)}{ends}{_said(observed)}",
            "see: docker compose logs --tail=50 acme-mailcow",
        ),
    )


def tell_presented(observed: Observed) -> tuple[Notice, ...]:
    """What nginx really presents counts in the end: another certificate than the file's, while acme-mailcow sleeps."""
    match observed.presented, observed.certificates, observed.project:
        case Seen(shown), Seen(Certificates(server=Certificate() as server)), Seen(
            Project(acme_sleep=Seen(str(sleep)))
        ):
            if sleep not in SLEEPS or shown.fingerprint == server.fingerprint:
                return ()
        case _:
            return ()
    lacks = sorted(server.names - shown.names)
    without = f", without {some(lacks)}" if lacks else ""
    return (
        Notice(
            Level.ERROR,
            "nginx.old_certificate",
            "nginx-mailcow",
            f"nginx presents another certificate than the one on the disk: one that ends {day(shown.not_after)}{without}",
            "in the mailcow directory: docker compose restart nginx-mailcow dovecot-mailcow postfix-mailcow",
        ),
    )


def _said(observed: Observed) -> str:
    """The lines of acme-mailcow's log that tell why, the last few."""
    log = observed.project.value.acme_log if isinstance(observed.project, Seen) else ()
    telling = [line.partition(" - ")[2] or line for line in log if _TELLING.search(line)]
    return f"; its log says: {' / '.join(telling[-3:])}" if telling else ""


_TELLING = re.compile(r"fail|error|cannot|could not|disallowed|did not pass|no a or aaaa", re.IGNORECASE)
