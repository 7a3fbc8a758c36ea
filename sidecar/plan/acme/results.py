"""Notices about the last run of acme-mailcow, if it did not succeed; pure."""

from sidecar.observed import (
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
    return (
        Notice(
            Level.ERROR,
            NoticeCode.ACME_FAILED,
            "acme-mailcow",
            f"acme-mailcow has failed since it was restarted for {some(restarts[-1].names)}{ends}{_log_says(observed)}",
            "see: docker compose logs --tail=50 acme-mailcow",
        ),
    )


def tell_presented(observed: Observed) -> tuple[Notice, ...]:
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


def _log_says(observed: Observed) -> str:
    """Up to three lines of acme-mailcow's log that say why."""
    match observed.project:
        case Seen(Project(acme_run=Seen(run))):
            refused = [said.words for said in (*run.refused.values(), *run.refused_parents.values())]
            telling = [*run.failure, *refused][:3]
            return f"; its log says: {' / '.join(telling)}" if telling else ""
        case _:
            return ""
