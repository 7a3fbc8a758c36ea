"""Notices about the last run of acme-mailcow, if it did not succeed; pure."""

from sidecar.observed import (
    NOT_ASKED,
    Certificate,
    Certificates,
    Fact,
    FactKind,
    Observed,
    Project,
    Seen,
)
from sidecar.observed.notice import Level, Notice
from sidecar.observed.notice_codes import NoticeCode
from sidecar.observed.words import day, some
from sidecar.plan.acme.script import SLEEPS


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
