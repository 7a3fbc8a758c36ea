"""Whether a restart of acme-mailcow would lose a name, and names that the certificate lost or does not get; pure.

Rules for every editor: the hostname, each name in the certificate that is still wanted and each new name must pass
acme-mailcow's own checks. A part that was not observed in this pass permits nothing. The probes come last: they write
a file, so they are made only if everything else allows the restart. A lost name is an error until it is back, and a
restart to get it back needs the same evidence as any other. A name that fails again and again waits alone: it never
delays another.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sidecar.observed import Certificate, InVain, Kind, LostName, Observed, Question, Seen
from sidecar.observed.notice import Level, Notice, NoticeCode
from sidecar.observed.words import day, some
from sidecar.plan.acme.addresses import NotReady, address_trouble
from sidecar.plan.acme.check import caa_trouble, http_trouble, log_trouble
from sidecar.plan.acme.names import Scene
from sidecar.plan.acme.script import covered
from sidecar.plan.actions import Hold

SUSPECTS = 50
"""How many names that failed before are looked up again in one round."""
ACME_LOG = Question(Kind.ACME_LOG, "acme-mailcow")


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known about the names of a run: questions to ask first, or the trouble of each name that would not pass."""

    questions: frozenset[Question]
    old: dict[str, NotReady]
    """The hostname and names in the certificate."""
    new: dict[str, NotReady]

    @property
    def complete(self) -> bool:
        """Whether no question is left."""
        return not self.questions


def gathered(scene: Scene, observed: Observed, new: Sequence[str], old: Sequence[str]) -> Evidence:
    """The evidence for a run for the names `new`, in which `old` and the hostname must not be lost."""
    kept = (scene.conf.hostname, *(name for name in old if name != scene.conf.hostname))
    if (failing := _still_failing(scene, observed, kept, new)) is not None:
        return failing
    if questions := _not_asked(scene, observed, (*kept, *new)):
        return Evidence(questions, {}, {})
    troubled_old = _troubles(scene, observed, kept, _by_dns)
    troubled_new = _troubles(scene, observed, new, _by_dns)
    passing = [name for name in (*kept, *new) if name not in troubled_old and name not in troubled_new]
    if troubled_old or not any(name in passing for name in new) or scene.setup.dns_challenge:
        return Evidence(frozenset(), troubled_old, troubled_new)
    probes = frozenset(
        Question(Kind.CHALLENGE, name) for name in passing if observed.challenge_of(name).at < observed.now
    )
    if probes:
        return Evidence(probes, {}, troubled_new)
    return Evidence(
        frozenset(),
        _troubles(scene, observed, kept, _by_http),
        troubled_new | _troubles(scene, observed, [n for n in new if n in passing], _by_http),
    )


def _still_failing(
    scene: Scene, observed: Observed, kept: Sequence[str], new: Sequence[str]
) -> Evidence | None:
    """Names that failed by earlier answers are looked up first, and only those while they hold the restart.

    There may be thousands of others, and a pass every half minute. Earlier answers may hold a restart, never permit one.
    """
    failed = {name: trouble for name in new if (trouble := _failed(name, scene, observed)) is not None}
    if suspects := [name for name in kept if _failed(name, scene, observed)][:SUSPECTS]:
        found = _again(scene, observed, suspects)
        if isinstance(found, frozenset):
            return Evidence(found, {}, {})
        if found:
            return Evidence(frozenset(), found, failed)
    if len(failed) == len(new):
        found = _again(scene, observed, new)
        if isinstance(found, frozenset):
            return Evidence(found, {}, {})
        if len(found) == len(new):
            return Evidence(frozenset(), {}, found)
    return None


def _again(
    scene: Scene, observed: Observed, suspects: Sequence[str]
) -> frozenset[Question] | dict[str, NotReady]:
    """The questions about names that failed, or the trouble of those that still fail."""
    if questions := _not_asked(scene, observed, suspects):
        return questions
    troubled = _troubles(scene, observed, suspects, _by_dns)
    probed = [name for name in suspects if name not in troubled and observed.challenge_of(name).at > 0]
    probes = frozenset(
        Question(Kind.CHALLENGE, name) for name in probed if observed.challenge_of(name).at < observed.now
    )
    return probes or troubled | _troubles(scene, observed, probed, _by_http)


def _failed(name: str, scene: Scene, observed: Observed) -> NotReady | None:
    """The trouble of a name by answers of any age; None if it was not looked up yet."""
    setup, dns = scene.setup, observed.dns
    asked = [dns.caa_of(name).at, dns.caa_at_of(name.partition(".")[2]).at]
    if not setup.dns_challenge:
        asked.append(dns.addresses_of(name).at)
    if min(asked) <= 0:
        return None
    trouble = _by_dns(name, scene, observed, since=0.0)
    if trouble is None and (challenge := observed.challenge_of(name)).at > 0:
        trouble = http_trouble(name, setup, dns, challenge, 0.0)
    return trouble


def _not_asked(scene: Scene, observed: Observed, names: Sequence[str]) -> frozenset[Question]:
    dns, now = observed.dns, observed.now
    questions: set[Question] = set()
    if scene.setup.run.at < now:
        questions.add(ACME_LOG)
    for name in names:
        parent = name.partition(".")[2]
        if dns.addresses_of(name).at < now and not scene.setup.dns_challenge:
            questions.add(Question(Kind.ADDRESSES, name))
        if dns.caa_of(name).at < now:
            questions.add(Question(Kind.CAA, name))
        if dns.caa_at_of(parent).at < now:
            questions.add(Question(Kind.CAA_AT, parent))
    return frozenset(questions)


def _troubles(
    scene: Scene,
    observed: Observed,
    names: Sequence[str],
    judge: Callable[[str, Scene, Observed], NotReady | None],
) -> dict[str, NotReady]:
    found = {name: judge(name, scene, observed) for name in names}
    return {name: trouble for name, trouble in found.items() if trouble is not None}


def _by_dns(name: str, scene: Scene, observed: Observed, since: float | None = None) -> NotReady | None:
    """By answers not older than `since` (None: of this pass)."""
    setup, dns = scene.setup, observed.dns
    oldest = observed.now if since is None else since
    return (
        address_trouble(name, setup, dns, oldest, strict=True)
        or caa_trouble(name, setup, dns, oldest)
        or log_trouble(name, setup, dns)
    )


def _by_http(name: str, scene: Scene, observed: Observed) -> NotReady | None:
    return http_trouble(name, scene.setup, observed.dns, observed.challenge_of(name), observed.now)


def dns_in_short(name: str, observed: Observed) -> str:
    """The DNS answers about a name, as one text: while it stays the same, another restart does not help."""
    dns = observed.dns
    found = dns.addresses_of(name)
    return " | ".join(
        (
            " ".join(sorted(found.value.addresses)) if isinstance(found, Seen) else "?",
            *(
                ", ".join(sight.value.issue) if isinstance(sight, Seen) else "?"
                for sight in (dns.caa_of(name), dns.caa_at_of(name.partition(".")[2]))
            ),
        )
    )


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
    if not scene.setup.unchecked or scene.acme_conf.yes("SKIP_LETS_ENCRYPT"):
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
