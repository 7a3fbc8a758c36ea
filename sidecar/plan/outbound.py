"""Whether this mailcow checks other servers' policies when it sends mail, and what an answer means; pure.

mailcow does so since 2025-09: postfix-mailcow asks postfix-tlspol-mailcow by the setting smtp_tls_policy_maps. It is all
mailcow's own: the sidecar shows it and changes nothing.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from sidecar.formats.socketmap import Reply, SocketmapAnswer
from sidecar.observed import Backend, Observed, Seen

SERVICE = "postfix-tlspol-mailcow"
PLACE = ("postfix-tlspol", 8642)
TABLE = "QUERY"
_SOCKETMAP = re.compile(
    r"socketmap:inet:(?P<host>[A-Za-z0-9.-]{1,253}):(?P<port>[0-9]{1,5}):(?P<table>[A-Za-z]{1,32})(?![^\s,])"
)


class OutboundChecks(StrEnum):
    """Whether other servers' policies are checked."""

    YES = "yes"
    NO = "no"
    """This mailcow cannot: it is from before 2025-09."""
    OFF = "off"
    """Postfix is not set up to ask."""
    STOPPED = "stopped"
    """Postfix asks, and nothing answers."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Outbound:
    """How it stands, as a sentence, and what to do, if anything."""

    checks: OutboundChecks
    message: str
    remedy: str | None = None
    place: tuple[str, int] = PLACE
    """Host and port of postfix-tlspol, as Postfix's setting has them."""
    table: str = TABLE


def outbound(observed: Observed) -> Outbound:
    """Whether outgoing mail is checked: by Postfix's setting and the container."""
    maps, project = observed.policy_maps, observed.project
    before = isinstance(observed.mailcow, Seen) and observed.mailcow.value.backend is Backend.FILE
    if not isinstance(maps, Seen) and not before:
        return Outbound(
            OutboundChecks.UNKNOWN,
            f"it is not known whether other servers' policies are checked: {maps.reason}",
        )
    found = _SOCKETMAP.search(maps.value or "") if isinstance(maps, Seen) else None
    if found is None:
        if before:
            return Outbound(
                OutboundChecks.NO,
                "this mailcow does not check other servers' policies (2025-09 and later do)",
                "to have outgoing mail checked, update mailcow",
            )
        return Outbound(
            OutboundChecks.OFF,
            "other servers' policies are not checked: Postfix is not set up to ask postfix-tlspol",
            "smtp_tls_policy_maps in data/conf/postfix/extra.cf replaces mailcow's own: add "
            f"socketmap:inet:{PLACE[0]}:{PLACE[1]}:{TABLE} to it, or remove it; then docker compose restart postfix-mailcow",
        )
    place, table = (found["host"], int(found["port"])), found["table"]
    if not isinstance(project, Seen):
        return Outbound(
            OutboundChecks.UNKNOWN,
            f"Postfix asks {place[0]}, and it is not known whether that runs: {project.reason}",
            None,
            place,
            table,
        )
    container = project.value.service(SERVICE)
    if place[0] in {PLACE[0], SERVICE} and (container is None or container.state != "running"):
        state = "has no container" if container is None else f"is {container.state}"
        return Outbound(
            OutboundChecks.STOPPED,
            f"Postfix asks {SERVICE} for other servers' policies, and it {state}: outgoing mail may wait in the queue",
            f"in the mailcow directory: docker compose up -d {SERVICE}",
            place,
            table,
        )
    return Outbound(
        OutboundChecks.YES,
        f"other servers' policies are checked: Postfix asks {place[0]}",
        None,
        place,
        table,
    )


@dataclass(frozen=True, slots=True)
class Applied:
    """What Postfix does with mail to a domain, and the words that it was given."""

    message: str
    words: str = ""


_MATCH = re.compile(r"(?:^|\s)match=(?P<hosts>\S+)")


def applied(reply: Reply) -> Applied:
    """What the answer of postfix-tlspol means for mail (TLS levels: postconf(5), smtp_tls_policy_maps)."""
    match reply.answer:
        case SocketmapAnswer.OK:
            return Applied(_level(reply.text), reply.text)
        case SocketmapAnswer.NOTFOUND:
            return Applied(
                "no policy is enforced (none is there, or it is in testing): mail goes with TLS where that is offered, "
                "whatever the certificate"
            )
        case SocketmapAnswer.TEMP | SocketmapAnswer.TIMEOUT:
            return Applied(
                "not known for now: its DNS or policy host does not answer; mail waits and is tried again",
                reply.text,
            )
        case SocketmapAnswer.PERM:
            return Applied("postfix-tlspol refuses the question", reply.text)
        case _:
            assert_never(reply.answer)


def _level(text: str) -> str:
    level = text.split(maxsplit=1)[0]
    match level:
        case "secure" | "verify":
            found = _MATCH.search(text)
            hosts = "" if found is None else f" to {', '.join(found['hosts'].split(':'))}"
            return f"MTA-STS is enforced: mail goes only{hosts}, with a certificate valid for the host's name"
        case "dane-only":
            return "DANE is enforced: mail goes only to MX hosts whose certificate matches their TLSA records"
        case "dane":
            return "DANE where an MX host has usable TLSA records; to others with TLS where that is offered"
        case _:
            return f"mail goes by TLS level {level}"
