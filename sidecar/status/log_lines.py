"""What the log says of the present state: what works, and what only a person can do; pure.

Rule for every editor: only what was observed works, and only what is known to be missing is a task. A notice is logged
on its own, so its task is not repeated here.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from sidecar.formats.domain_name import to_unicode
from sidecar.observed import Observed, Seen
from sidecar.observed.notice import Level
from sidecar.observed.words import day, serves
from sidecar.plan.records import RecordState
from sidecar.settings import Settings
from sidecar.status.domains import CurrentStatus
from sidecar.status.judgement import lacking
from sidecar.status.row import Care, Row
from sidecar.status.wording import Light


@dataclass(frozen=True, slots=True)
class Working:
    """One part of this installation that works, with a few values that show it."""

    subject: str
    values: Mapping[str, str] = field(default_factory=dict)


def working(observed: Observed, settings: Settings) -> Iterator[Working]:
    """The parts that were seen to work, each after those that it depends on."""
    if isinstance(observed.conf, Seen):
        hostname = to_unicode(observed.conf.value.hostname)
        yield Working("mailcow.conf", {"hostname": hostname or "not set"})
    if isinstance(observed.mailcow, Seen) and isinstance(observed.domains, Seen):
        mailcow, listed = observed.mailcow.value, observed.domains.value
        values = {
            "version": str(mailcow.version or "unknown"),
            "domains": str(len(listed.domains) + len(listed.aliases)),
            "policies": serves(mailcow.backend),
        }
        yield Working("mailcow's API", values)
    if isinstance(observed.project, Seen):
        acme = observed.project.value.service("acme-mailcow")
        yield Working("Docker", {"acme-mailcow": "no container" if acme is None else acme.state})
    if isinstance(observed.certificates, Seen):
        server = observed.certificates.value.server
        if server is not None and observed.now < server.not_after:
            yield Working("certificate", {"names": str(len(server.names)), "until": day(server.not_after)})
    if any(isinstance(sight, Seen) for sight in observed.dns.addresses.values()):
        resolver = settings.resolver
        yield Working("DNS", {"resolver": "the container's" if resolver is None else resolver[0]})
    for account, zones in observed.records.zones.items():
        if isinstance(zones, Seen):
            yield Working(f"DNS account {account}", {"zones": str(len(zones.value))})


def known(row: Row, settings: Settings) -> bool:
    """Whether everything about this domain is known that could be a task for a person now.

    Then nothing is under way, the DNS answered for each record, and a sender check was made.
    """
    if row.care is not Care.MANAGED or row.records is None:
        return True
    # Without a policy host the other records are not due.
    needs = row.records.needs[:1] if row.records.host.lacking else row.records.needs
    answered = all(need.standing is not RecordState.UNKNOWN for need in needs)
    return answered and not row.todo and (row.check is not None or not settings.verify)


@dataclass(frozen=True, slots=True)
class Task:
    """What only a person can do for a domain; in the log like a notice, but its code may be that of a finding."""

    level: Level
    code: str
    subject: str
    message: str
    todo: str | None = None
    passing: bool = False


@dataclass(frozen=True, slots=True)
class Tasks:
    """The tasks of one moment; of the subjects in `unknown`, a task that is absent may still be there."""

    all: tuple[Task, ...]
    unknown: frozenset[str]
    asks: frozenset[tuple[str, str]]
    """Subject and to-do of each."""
    records: bool
    """Whether a person has to publish DNS records, those included that notices ask for."""


def tasks(status: CurrentStatus, logged: Collection[tuple[str, str]] = ()) -> Tasks:
    """The tasks of all domains, the worst first, without those that a notice of the pass asks for already.

    `logged` are the subjects and to-dos of tasks in the log: such a task stays one when a notice asks for it, too.
    """
    found: dict[Task, None] = {}
    unknown: set[str] = set()
    for row in status.rows:
        noticed = {(notice.code, notice.subject) for notice in row.notices}
        asked = {(notice.subject, notice.todo) for notice in row.notices if notice.todo is not None}
        for cause in row.judgement.needs:
            ask = cause.subject, cause.todo
            if (cause.code, cause.subject) not in noticed and (ask not in asked or ask in logged):
                level = Level.ERROR if cause.light is Light.FAILING else Level.WARNING
                found[Task(level, cause.code, cause.subject, cause.sentence, cause.todo)] = None
        if not known(row, status.settings):
            unknown |= {row.domain, *(cause.subject for cause in row.judgement.needs)}
            unknown |= {need.owner for need in row.records.needs} if row.records is not None else set()
    return Tasks(
        tuple(found),
        frozenset(unknown),
        frozenset((task.subject, task.todo) for task in found if task.todo is not None),
        any(lacking(row) for row in status.rows),
    )
