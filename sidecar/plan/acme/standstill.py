"""Whether this mailcow is settled: nothing is being started, updated or removed; pure."""

from sidecar.observed import Fact, FactKind, Issuer, Memory, Observed, Project, Seen, Unseen
from sidecar.observed.notice import Level, Notice
from sidecar.observed.notice_codes import NoticeCode
from sidecar.observed.words import day, span
from sidecar.plan.acme.script import SLEEPS
from sidecar.plan.actions import Hold

GIVES_UP_AFTER_S = 1_800
"""A container that stays unsettled for this long stops blocking."""

STOPPED_S = 300.0
"""For how long a needed container may be down before it is reported: an update takes minutes."""
NEEDED = ("acme-mailcow", "nginx-mailcow")


def unsettled(project: Project, memory: Memory, now: float, settle: float) -> dict[str, str]:
    """Why services are unsettled, by service; the sidecar's own container does not count."""
    found: dict[str, str] = {}
    for container in project.containers:
        if container.own:
            continue
        if container.state != "running":
            found[container.service] = f"it is {container.state}"
        elif now - container.started_at < settle:
            found[container.service] = f"it was started less than {span(settle)} ago"
    there = {container.service for container in project.containers}
    found.update(dict.fromkeys(memory.services.union(NEEDED) - there, "its container is gone"))
    return found


def ignored(observed: Observed, settle: float) -> tuple[Notice, ...]:
    """Notices about containers that have been unsettled for so long that they no longer block."""
    if not isinstance(observed.project, Seen):
        return ()
    found = unsettled(observed.project.value, observed.memory, observed.now, settle)
    return tuple(
        Notice(
            Level.WARNING,
            NoticeCode.CONTAINER_UNSETTLED,
            service,
            f"{service} has not been running steadily for half an hour; acme-mailcow no longer waits for it",
            f"see: docker compose logs --tail=50 {service}",
        )
        for service in sorted(found)
        if service not in NEEDED and not _blocks(observed, service)
    )


def stopped(observed: Observed) -> tuple[Notice, ...]:
    """Notices about a needed container that does not run, if no one seems to be starting it."""
    if isinstance(observed.project, Unseen):
        return ()
    server = observed.certificates.value.server if isinstance(observed.certificates, Seen) else None
    skipped = isinstance(observed.conf, Seen) and observed.conf.value.yes("SKIP_LETS_ENCRYPT")
    acme_orders = not skipped and (server is None or server.issuer is not Issuer.OTHER)
    notices: list[Notice] = []
    for service in NEEDED:
        container = observed.project.value.service(service)
        waited = observed.memory.true_for(Fact(FactKind.UNSETTLED, service))
        running = container is not None and container.state == "running"
        if running or waited < STOPPED_S or (service == "acme-mailcow" and not acme_orders):
            continue
        if service == "nginx-mailcow":
            effect = "no sender can fetch a policy"
        else:
            ends = f", and the present one expires {day(server.not_after)}" if server else ""
            effect = f"no certificate is ordered or renewed{ends}"
        state = f"is not running: it is {container.state}" if container else "has no container"
        todo = f"in the mailcow directory: docker compose up -d {service}"
        if container:
            todo += f"; if it stops again: docker compose logs --tail=50 {service}"
        message = f"{service} {state}; {effect}"
        notices.append(Notice(Level.ERROR, NoticeCode.CONTAINER_STOPPED, service, message, todo))
    return tuple(notices)


def _blocks(observed: Observed, service: str) -> bool:
    return service in NEEDED or observed.memory.true_for(Fact(FactKind.UNSETTLED, service)) < GIVES_UP_AFTER_S


def blocked(observed: Observed, settle: float) -> Hold | None:
    """Why acme-mailcow must not be changed now; None if it may."""
    if isinstance(observed.project, Unseen):
        return Hold(observed.project.reason)
    project = observed.project.value
    if project.left_over:
        return Hold("a re-creation of acme-mailcow was interrupted, and is repaired first")
    for service in NEEDED:
        container = project.service(service)
        if container is None:
            return Hold(f"there is no container of {service}")
        if container.state != "running":
            return Hold(f"{service} is not running: it is {container.state}")
    for service, reason in unsettled(project, observed.memory, observed.now, settle).items():
        if _blocks(observed, service):
            why = f"mailcow is being started or updated: {service}: {reason}"
            return Hold(why, until=observed.now + max(settle, 5))
    match project.acme_sleep:
        case Unseen(reason):
            return Hold(f"it is not known whether acme-mailcow is working: {reason}")
        case Seen(str(argument)) if argument in SLEEPS:
            return None
        case _:
            return Hold(
                "acme-mailcow is running its checks and orders: if it is stopped now, nginx may keep the old certificate"
            )
