"""The restart of acme-mailcow: when it helps, when it may be, and what is held and why; pure.

Rule for every editor: acme-mailcow orders *without* each name that fails its check at that moment, and every order
counts. So all that a restart relies on was seen in the same pass (`evidence`), and what was not seen holds it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from sidecar.formats.domain_name import to_unicode
from sidecar.observed import (
    NOT_ASKED,
    Certificate,
    Certificates,
    Conf,
    Fact,
    FactKind,
    Issuer,
    Kind,
    Observed,
    Project,
    Question,
    Seen,
    Unseen,
)
from sidecar.observed.notice import Level, Notice
from sidecar.observed.notice_codes import NoticeCode
from sidecar.observed.words import day, some
from sidecar.plan.acme.budget import exhausted
from sidecar.plan.acme.check import Check, NotReady, address_trouble
from sidecar.plan.acme.count import ASKED_AT_ONCE, Count, count
from sidecar.plan.acme.evidence import gathered
from sidecar.plan.acme.lost import (
    hopeless,
    hopeless_hold,
    still_lost,
    tell_hopeless,
    tell_lost,
    tell_unchecked,
)
from sidecar.plan.acme.names import Scene, missing_names, our_names, scene
from sidecar.plan.acme.script import MOST_NAMES, SLEEPS, AcmeNames, split_san
from sidecar.plan.acme.standstill import blocked, ignored
from sidecar.plan.actions import Held, Hold, Plan, RecreateAcme, RestartAcme
from sidecar.plan.conf_entries import SAN
from sidecar.settings import Settings

RECREATE_COMMAND = "in the mailcow directory: docker compose up -d acme-mailcow"
SPOILT = (
    "ADDITIONAL_SAN in mailcow.conf has white space where a comma belongs: with it acme-mailcow would ask for other "
    "names than are meant, so it gets the value once that is put right"
)
LONG_S = 21_600
"""A name that has waited for this long waits for a person, even where nothing is known but that a lookup fails."""
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
    lost: tuple[str, ...] = ()

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
        reason = f"{lacks}, and acme-mailcow was created before {SAN} was changed"
        return RecreateAcme(container_id, started_at, {SAN: self.scene.conf_san}, chosen, reason)

    def held(self, hold: Hold, names: tuple[str, ...] | None = None) -> Held:
        return hold.on(self.action(names))


def plan_restart(observed: Observed, settings: Settings) -> Plan:
    """At most one run, for all names that are ready; each other missing name is held with its reason."""
    found = scene(observed)
    if isinstance(found, str):
        return Plan()
    plan = Plan(notices=tell_lost(observed, found) + tell_unchecked(found))
    missing = missing_names(found, our_names(found, settings, observed))
    lost = [item.name for item in still_lost(observed, found) if item.name not in missing]
    spoilt, questions = _spoilt(found, observed, {*missing, *lost})
    plan += Plan(questions=questions)
    missing += [*lost, *spoilt]
    if not missing:
        return plan
    if found.acme_conf.hostname != found.conf.hostname:
        return plan + Plan(notices=_by_hand([found.conf.hostname]))
    if (useless := _cannot_help(found, found.acme_conf, missing)) is not None:
        if _cannot_help(found, found.conf, missing) is None:
            return plan + Plan(notices=_old_environment(found, missing))
        return plan + Plan(notices=(useless,))
    now, new = found.asked().all, found.asked(found.conf_san).all
    recreate = any(name in new - now for name in missing)
    pending = tuple(name for name in missing if name in (new if recreate else now))
    if not pending:
        return plan + Plan(notices=_old_environment(found, missing))
    case = _Case(observed, settings, found, pending, recreate, tuple(lost))
    if recreate and _spoilt_value(found.conf_san, found.mended_san):
        return plan + Plan(held=(case.held(Hold(SPOILT)),))
    told = _by_hand(case.names) if recreate and not settings.manage.acme else ()
    return plan + Plan(notices=told + _no_log(case)) + _for_names(case)


def _spoilt(found: Scene, observed: Observed, known: Iterable[str]) -> tuple[list[str], frozenset[Question]]:
    """Names of the administrator's that acme-mailcow does not ask for, because its ADDITIONAL_SAN has white space.

    mailcow.conf was put right since. Full names count, and those of a prefix where they are known to pass.
    """
    if split_san(found.acme_san) == split_san(found.conf_san) or _well_formed(found.acme_san):
        return [], frozenset()
    held, before = found.held, frozenset(known)
    lacking = found.asked(found.conf_san).all - found.asked().all - held - before
    full = {name.lower() for name in split_san(found.conf_san)[1]}
    names: list[str] = []
    unknown: list[str] = []
    for name in sorted(lacking):
        trouble = None if name in full else address_trouble(name, found.ways, observed.dns)
        if trouble is None:
            names.append(name)
        elif trouble.unknown and observed.dns.addresses_of(name) is NOT_ASKED:
            unknown.append(name)
    return names, frozenset(Question(Kind.ADDRESSES, name) for name in unknown[:ASKED_AT_ONCE])


def _spoilt_value(san: str, mended: str) -> bool:
    return [set(names) for names in split_san(san)] != [set(names) for names in split_san(mended)]


def _well_formed(san: str) -> bool:
    return all(len(item.split()) <= 1 and item == item.rstrip() for item in san.split(","))


def _for_names(case: _Case) -> Plan:
    ready, held, notices = _split(case)
    # Names of the administrator's, and lost ones, are not asked about as a matter of routine.
    never = [name for name in case.names if case.observed.dns.addresses_of(name) is NOT_ASKED]
    unknown = frozenset(Question(Kind.ADDRESSES, name) for name in never[:ASKED_AT_ONCE])
    plan = Plan(held=held, notices=notices, questions=unknown)
    if not ready:
        return plan
    plan += Plan(notices=ignored(case.observed, case.settings.restart.settle))
    case = replace(case, names=ready)
    found = count(case.asked.server, case.scene, case.observed)
    if (too_many := found.trouble()) is not None:
        full = _full(case, found) if found.certain > MOST_NAMES else ()
        return plan + Plan(held=(case.held(too_many),), notices=full, questions=found.questions())
    for check in (_still, _quiet, _within_budget):
        if (stopped := check(case)) is not None:
            return plan + Plan(held=(stopped,))
    return plan + _judged(case)


def _split(case: _Case) -> tuple[tuple[str, ...], tuple[Held, ...], tuple[Notice, ...]]:
    """By the answers at hand, of whatever age: the names worth a fresh look, and the rest with what they need."""
    ready: list[str] = []
    held: list[Held] = []
    notices: list[Notice] = []
    for name in case.names:
        if (tries := hopeless(case.observed, name)) is not None:
            held.append(case.held(hopeless_hold(name, tries), (name,)))
            notices.append(tell_hopeless(name, tries))
            continue
        trouble = address_trouble(name, case.scene.ways, case.observed.dns)
        if trouble is None:
            ready.append(name)
            continue
        held.append(case.held(trouble.hold, (name,)))
        if not trouble.unknown or _waits_long(case):
            notices.append(_needs_record(name, trouble))
    return tuple(ready), tuple(held), tuple(notices)


def _needs_record(name: str, trouble: NotReady) -> Notice:
    return Notice(Level.WARNING, NoticeCode.NAME_NOT_READY, name, trouble.said, trouble.remedy)


def _old(case: _Case) -> list[str]:
    """The names that are in a certificate, or were, and still wanted: an order made now drops each that fails."""
    there = (case.scene.held & case.asked.all) | set(case.lost)
    return sorted(there - {case.scene.conf.hostname} - set(case.names))


def _judged(case: _Case) -> Plan:
    evidence = gathered(case.scene, case.observed, case.names, _old(case))
    plan = Plan(
        held=tuple(case.held(trouble.hold, (name,)) for name, trouble in evidence.new.items()),
        notices=tuple(
            _needs_record(name, trouble)
            for name, trouble in evidence.new.items()
            if _for_a_person(case, trouble)
        ),
    )
    still = tuple(name for name in case.names if name not in evidence.new)
    if not still:
        return plan
    case = replace(case, names=still)
    if not evidence.ready:
        probes = any(question.kind is Kind.CHALLENGE for question in evidence.questions)
        doubt = (
            "the HTTP probe is missing: only a pass that may restart acme-mailcow makes it, since it writes a file"
            if probes
            else "the names are being looked up once more"
        )
        return plan + Plan(held=(case.held(Hold(doubt)),), questions=evidence.questions)
    if evidence.old:
        return plan + _would_drop(case, evidence.old)
    return plan + Plan(actions=(case.action(),))


def _would_drop(case: _Case, old: dict[str, NotReady]) -> Plan:
    """The hostname comes first among them: without it the certificate of the MX no longer matches."""
    name, trouble = next(iter(old.items()))
    present = (
        "is in the certificate and would drop out of it"
        if name in case.scene.held
        else "would not be in the certificate"
    )
    more = f" (and {len(old) - 1} more: {some(list(old)[1:], 4)})" if len(old) > 1 else ""
    reason = f"{to_unicode(name)} {present}{more}: {trouble.said}"
    notices = (
        (Notice(Level.WARNING, NoticeCode.NAME_WOULD_DROP, name, reason, trouble.remedy),)
        if _for_a_person(case, trouble)
        else ()
    )
    return Plan(held=(case.held(Hold(reason, trouble.remedy)),), notices=notices)


def _for_a_person(case: _Case, trouble: NotReady) -> bool:
    """A lookup that failed is made again for some hours; all else stays until a person does something."""
    if not trouble.unknown or trouble.remedy is not None or trouble.check is Check.HTTP:
        return True
    return _waits_long(case)


def _waits_long(case: _Case) -> bool:
    memory = case.observed.memory
    return any(memory.true_for(Fact(FactKind.MISSING, name)) > LONG_S for name in case.names)


def _no_log(case: _Case) -> tuple[Notice, ...]:
    """Without its log it is not known which addresses acme-mailcow detected: then nothing is restarted."""
    match case.scene.acme, case.observed.project, case.scene.ways.run:
        case None, _, _:
            return ()
        case _, Seen(Project(acme_sleep=Seen(str()))), Unseen(reason, at) if at > 0:
            return (
                Notice(
                    Level.WARNING,
                    NoticeCode.ACME_NO_LOG,
                    "acme-mailcow",
                    f"acme-mailcow is not restarted, because its log is not known: {reason}",
                    "see: docker compose logs --tail=200 acme-mailcow",
                ),
            )
        case _:
            return ()


def _full(case: _Case, found: Count) -> tuple[Notice, ...]:
    """No wait ends that: Let's Encrypt would refuse the order, and every renewal."""
    message = (
        f"{some(case.names)} cannot come into the certificate: it would have {found.certain} names, and Let's Encrypt "
        f"takes {MOST_NAMES} at most"
    )
    todo = "set ENABLE_SSL_SNI=y in mailcow.conf for a certificate per domain, then: docker compose up -d"
    return (Notice(Level.WARNING, NoticeCode.CERTIFICATE_FULL, "certificate", message, todo),)


def _still(case: _Case) -> Held | None:
    stopped = blocked(case.observed, case.settings.restart.settle)
    return None if stopped is None else case.held(stopped)


def _quiet(case: _Case) -> Held | None:
    """New names are gathered: one restart for all that come together."""
    quiet, memory = case.settings.restart.quiet, case.observed.memory
    facts = [Fact(FactKind.MISSING, name) for name in case.names]
    # Names that were lost, or that a value with white space kept out, are none that come with a new domain.
    waited = [memory.true_for(fact) for fact in facts if fact in memory.since]
    if not waited:
        return None
    left = min(quiet - min(waited), GATHERING_LIMIT * quiet - max(waited))
    return (
        None if left <= 0 else case.held(Hold("new names are being gathered", until=case.observed.now + left))
    )


def _within_budget(case: _Case) -> Held | None:
    stopped = exhausted(
        case.observed.memory.restarts,
        case.scene.certificates.orders,
        case.settings.restart,
        case.observed.now,
    )
    return None if stopped is None else case.held(stopped)


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
        NoticeCode.CERTIFICATE_NOT_ACME,
        "certificate",
        f"the certificate lacks {names}; {message}",
        todo,
    )


def _by_hand(names: Sequence[str]) -> tuple[Notice, ...]:
    return (
        Notice(
            Level.WARNING,
            NoticeCode.ACME_ENVIRONMENT,
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
            NoticeCode.ACME_FAILED,
            "acme-mailcow",
            f"acme-mailcow fails since it was restarted for {some(restarts[-1].names)}{ends}{_log_says(observed)}",
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
            NoticeCode.NGINX_OLD_CERTIFICATE,
            "nginx-mailcow",
            f"nginx presents another certificate than the one on the disk: one that ends {day(shown.not_after)}{without}",
            "in the mailcow directory: docker compose restart nginx-mailcow dovecot-mailcow postfix-mailcow",
        ),
    )


def _log_says(observed: Observed) -> str:
    """The lines of acme-mailcow's log that tell why, a few."""
    match observed.project:
        case Seen(Project(acme_run=Seen(run))):
            refused = [said.words for said in (*run.refused.values(), *run.refused_parents.values())]
            telling = [*run.failure, *refused][:3]
            return f"; its log says: {' / '.join(telling)}" if telling else ""
        case _:
            return ""
