"""Names that the certificate lost by a restart of the sidecar, and names that restarts do not bring; pure.

Rule for every editor: a lost name is an error until it is back, and a restart to get it back needs the same evidence
as any other. A name that fails again and again waits alone: it never delays another.
"""

from sidecar.observed import Certificate, InVain, LostName, Observed
from sidecar.observed.notice import Level, Notice
from sidecar.observed.notice_codes import NoticeCode
from sidecar.observed.words import day, some
from sidecar.plan.acme.evidence import dns_in_short
from sidecar.plan.acme.names import Scene
from sidecar.plan.acme.script import covered
from sidecar.plan.actions import Hold

TRIES = 2
"""Restarts for a name with the same evidence, before it is left out."""
AGAIN_AFTER_S = 86_400
SSL = "data/assets/ssl"
RELOAD = "docker compose restart nginx-mailcow dovecot-mailcow postfix-mailcow"


def still_lost(observed: Observed, scene: Scene) -> tuple[LostName, ...]:
    """The lost names that acme-mailcow would order, and that no certificate has."""
    if not observed.memory.lost:
        return ()
    held = scene.held
    wanted = scene.asked().all | scene.asked_once_recreated().all
    return tuple(
        lost for lost in observed.memory.lost if lost.name in wanted and not covered(lost.name, held)
    )


def lost_notices(observed: Observed, scene: Scene) -> tuple[Notice, ...]:
    """One error for all lost names: which, since when, in which backup they still are, and what to do."""
    lost = still_lost(observed, scene)
    if not lost:
        return ()
    names = [item.name for item in lost]
    # The backup with all of these names that is valid longest; preferably one with MAILCOW_HOSTNAME.
    backups = [
        c for c in scene.certificates.backups if c.names.issuperset(names) and c.not_after > observed.now
    ]
    backup = max(backups, key=lambda c: (_has_hostname(scene, c), c.not_after), default=None)
    where = (
        f"the certificate with them is still in {SSL}/{backup.folder} (it ends {day(backup.not_after)})"
        if backup
        else f"no valid certificate below {SSL}/backups has all of them"
    )
    restore = (
        f"; to restore the old certificate at once, in the mailcow directory: cp {SSL}/{backup.folder}/cert.pem "
        f"{SSL}/{backup.folder}/key.pem {SSL}/ && {RELOAD}"
        if backup and _has_hostname(scene, backup)
        else ""
    )
    return (
        Notice(
            Level.ERROR,
            NoticeCode.CERTIFICATE_LOST,
            "certificate",
            f"the certificate has lost {some(names)} since the sidecar restarted acme-mailcow at "
            f"{day(min(item.at for item in lost))}; {where}",
            "correct what the notices say about these names; the sidecar restarts acme-mailcow when all of them pass its "
            f"checks{restore}",
        ),
    )


def _has_hostname(scene: Scene, backup: Certificate) -> bool:
    """Whether it can be the server's certificate: with ENABLE_SSL_SNI=y there are backups of others too."""
    return covered(scene.conf.hostname, backup.names)


def hopeless(observed: Observed, name: str) -> InVain | None:
    """The useless restarts that keep a name out of the next one; None if its evidence changed or a day passed."""
    tries = observed.memory.in_vain.get(name)
    if tries is None or tries.count < TRIES:
        return None
    if observed.now - tries.at >= AGAIN_AFTER_S or changed(tries.evidence, dns_in_short(name, observed)):
        return None
    return tries


def changed(before: str, now: str) -> bool:
    """Whether the DNS answers differently; an answer that is unknown now does not count as a change."""
    pairs = zip(before.split(" | "), now.split(" | "), strict=False)
    return any(one != other and "?" not in (one, other) for one, other in pairs)


def hopeless_hold(name: str, tries: InVain) -> Hold:
    """Why a restart for the name waits."""
    said = f"; acme-mailcow's log says: {tries.words}" if tries.words else ""
    return Hold(
        f"{tries.count} restarts of acme-mailcow did not bring {name} into the certificate{said}; it is tried again "
        f"when its DNS changes, or after {day(tries.at + AGAIN_AFTER_S)}",
        "see: docker compose logs --tail=200 acme-mailcow",
    )


def unchecked_notices(scene: Scene) -> tuple[Notice, ...]:
    """Both checks of acme-mailcow are switched off: one wrong name makes every order fail."""
    if not scene.ways.unchecked or scene.acme_conf.yes("SKIP_LETS_ENCRYPT"):
        return ()
    return (
        Notice(
            Level.WARNING,
            NoticeCode.ACME_UNCHECKED,
            "mailcow.conf",
            "SKIP_IP_CHECK=y and SKIP_HTTP_VERIFICATION=y: acme-mailcow checks no name before it orders, and one "
            "wrong name makes the whole order and every renewal fail",
            "set at least one of them to n in mailcow.conf, then: docker compose up -d acme-mailcow",
        ),
    )
