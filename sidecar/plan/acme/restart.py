"""The restart of acme-mailcow: for which names it helps, and what is reported where it does not help; pure.

The repair of an interrupted re-creation comes before anything else that is done to the container. A guard decides whether
a run may start now (`run.hold_run`). What a run brought is reported by `notices`.
"""

from collections.abc import Iterable, Sequence

from sidecar.observed import NOT_ASKED, Conf, Issuer, Kind, Observed, Project, Question, Seen, Unseen
from sidecar.observed.notice import Level, Notice, NoticeCode
from sidecar.observed.words import some
from sidecar.plan.acme.addresses import address_trouble
from sidecar.plan.acme.evidence import lost_notices, still_lost, unchecked_notices
from sidecar.plan.acme.names import ASKED_AT_ONCE, Scene, missing_names, scene
from sidecar.plan.acme.run import Run
from sidecar.plan.acme.script import split_san
from sidecar.plan.actions import ACME_SUBJECT, HealAcme, Plan
from sidecar.settings import Settings

RECREATE_COMMAND = "in the mailcow directory: docker compose up -d acme-mailcow"


def plan_restart(observed: Observed, wanted: Sequence[str], settings: Settings) -> Plan:
    """At most one run, for all names that it would bring; `run.hold_run` decides whether it may start now."""
    found = scene(observed)
    if isinstance(found, str):
        return Plan()
    plan = Plan(notices=lost_notices(observed, found) + unchecked_notices(found))
    missing = missing_names(found, wanted)
    lost = [item.name for item in still_lost(observed, found) if item.name not in missing]
    left_out, questions = _left_out(found, observed, {*missing, *lost})
    plan += Plan(questions=questions)
    missing += [*lost, *left_out]
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
    run = Run(observed, settings, found, pending, recreate)
    by_hand = _by_hand(pending) if recreate and not settings.manage.acme and not run.malformed else ()
    return plan + Plan((run.action(),), notices=by_hand + _no_log(run))


def _left_out(
    found: Scene, observed: Observed, known: Iterable[str]
) -> tuple[list[str], frozenset[Question]]:
    """The administrator's names that acme-mailcow does not order, because its ADDITIONAL_SAN has white space.

    mailcow.conf was corrected since. Full names count, and names of a prefix if they are known to pass.
    """
    items = found.acme_san.split(",")
    well_formed = all(len(item.split()) <= 1 and item == item.rstrip() for item in items)
    if well_formed or split_san(found.acme_san) == split_san(found.conf_san):
        return [], frozenset()
    held, before = found.held, frozenset(known)
    lacking = found.asked(found.conf_san).all - found.asked().all - held - before
    full = {name.lower() for name in split_san(found.conf_san)[1]}
    names: list[str] = []
    unknown: list[str] = []
    for name in sorted(lacking):
        trouble = None if name in full else address_trouble(name, found.setup, observed.dns)
        if trouble is None:
            names.append(name)
        elif trouble.unknown and observed.dns.addresses_of(name) is NOT_ASKED:
            unknown.append(name)
    return names, frozenset(Question(Kind.ADDRESSES, name) for name in unknown[:ASKED_AT_ONCE])


def _no_log(run: Run) -> tuple[Notice, ...]:
    """Without its log it is not known which addresses acme-mailcow detected: it is not restarted then."""
    match run.scene.acme, run.observed.project, run.scene.setup.run:
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


def _cannot_help(scene: Scene, conf: Conf, missing: list[str]) -> Notice | None:
    """A notice if acme-mailcow, with these settings, does not manage the certificate, or not for these names."""
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
    """Names that acme-mailcow would order if its whole environment, not only ADDITIONAL_SAN, matched mailcow.conf."""
    asked = scene.asked_once_recreated().all
    names = [name for name in missing if name in asked]
    return _by_hand(names) if names else ()


def plan_repair(observed: Observed) -> Plan:
    """The repair of an interrupted re-creation, if there is one to repair.

    A new container gets the usual name only once the old one is gone, so the names show how far it came
    (`sidecar.mailcow.engine.recreate`).
    """
    if not isinstance(observed.project, Seen) or not observed.project.value.left_over:
        return Plan()
    project = observed.project.value
    reason = f"a re-creation of {ACME_SUBJECT} was interrupted and left {', '.join(project.left_over)}"
    return Plan((HealAcme(project.name, reason),))
