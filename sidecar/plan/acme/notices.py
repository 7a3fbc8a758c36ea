"""Notices about the last run of acme-mailcow, and about settings that nginx-mailcow has not read yet; pure.

Rule for every editor: the sidecar never re-creates nginx-mailcow, which would interrupt webmail and the API. nginx answers
for the names anyway: it is reported once, and the next `docker compose up -d` corrects it.
"""

from sidecar.formats.dotenv import items
from sidecar.observed import (
    FILE,
    NOT_ASKED,
    Certificate,
    Certificates,
    Fact,
    FactKind,
    Observed,
    Project,
    Seen,
)
from sidecar.observed.checks import ConditionType, Status
from sidecar.observed.notice import Level, Notice, NoticeCode
from sidecar.observed.words import day, some
from sidecar.plan.acme.script import SLEEPS
from sidecar.plan.conf_entries import SERVER_NAMES, added_by_us


def run_failed(observed: Observed) -> tuple[Notice, ...]:
    """An error if acme-mailcow fails since names were added, with the day on which the certificate expires."""
    restarts = observed.memory.restarts
    failed = Fact(FactKind.RUN_FAILED, "acme-mailcow") in observed.memory.since
    if not failed or not restarts or not isinstance(observed.certificates, Seen):
        return ()
    server = observed.certificates.value.server
    ends = f"; the certificate expires {day(server.not_after)}" if server else ""
    run = observed.project.value.acme_run if isinstance(observed.project, Seen) else NOT_ASKED
    reasons: list[str] = []
    if isinstance(run, Seen):
        refused = (*run.value.refused.values(), *run.value.refused_parents.values())
        reasons = [*run.value.failure, *(said.words for said in refused)][:3]
    log = f"; its log says: {' / '.join(reasons)}" if reasons else ""
    return (
        Notice(
            Level.ERROR,
            NoticeCode.ACME_FAILED,
            "acme-mailcow",
            f"acme-mailcow has failed since it was restarted for {some(restarts[-1].names)}{ends}{log}",
            "see: docker compose logs --tail=50 acme-mailcow",
        ),
    )


def presented_notices(observed: Observed) -> tuple[Notice, ...]:
    """An error if nginx presents another certificate than the one in the file, while acme-mailcow sleeps."""
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
    message = f"nginx presents another certificate than the one on the disk: it {_end(shown, observed.now)}{without}"
    restart = "docker compose restart nginx-mailcow dovecot-mailcow postfix-mailcow"
    todo = f"in the mailcow directory: {restart}"
    if server.not_after <= observed.now:
        message += f"; the one on the disk {_end(server, observed.now)}, so a restart alone changes nothing"
        todo = f"see why acme-mailcow did not renew: docker compose logs --tail=100 acme-mailcow; after that: {restart}"
    return (Notice(Level.ERROR, NoticeCode.NGINX_OLD_CERTIFICATE, "nginx-mailcow", message, todo),)


def _end(certificate: Certificate, now: float) -> str:
    return f"{'expired' if certificate.not_after <= now else 'expires'} {day(certificate.not_after)}"


NGINX = "nginx-mailcow"
COMMAND = "in the mailcow directory: docker compose up -d"
NOT_ANSWERED = frozenset({"policy-status", "policy-redirect", "policy-media-type"})
"""Findings which show that a site other than mailcow's answers for a name."""


def pending(observed: Observed) -> tuple[Notice, ...]:
    """Entries that the sidecar added after nginx-mailcow was created; a person has to act only if that has an effect."""
    if not isinstance(observed.project, Seen) or not isinstance(observed.conf, Seen):
        return ()
    nginx = observed.project.value.service(NGINX)
    if nginx is None or SERVER_NAMES not in nginx.env:
        return ()
    ours = added_by_us([event for event in observed.memory.conf if event.key == SERVER_NAMES])
    has = {entry.lower() for entry in items(nginx.env[SERVER_NAMES])}
    lacks = [e for e in items(observed.conf.value.values.get(SERVER_NAMES, "")) if e.lower() in ours - has]
    if not lacks:
        return ()
    known = f"{NGINX} was created before {some(lacks)} was added to {SERVER_NAMES}"
    served = next(
        (c for c in observed.memory.rollout(FILE).conditions if c.type is ConditionType.POLICY_SERVED), None
    )
    if served is not None and served.status is Status.FALSE and served.reason in NOT_ANSWERED:
        message = f"{known}, and the policy is not served: {served.message}"
        return (Notice(Level.WARNING, NoticeCode.NGINX_ENVIRONMENT, NGINX, message, COMMAND),)
    message = f"{known}; it answers for the name nevertheless; the next `docker compose up -d` re-creates it"
    return (Notice(Level.INFO, NoticeCode.NGINX_ENVIRONMENT, NGINX, message),)
