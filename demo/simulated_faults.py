"""Outages of the simulated mailcow: each is an answer of the real one, or no answer.

Rule for every editor: a fault of `Fault` names its recording, or says that it is the network's and not
mailcow's. What a healthy mailcow answers does not belong here.
"""

import html
import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Any, ClassVar

from demo.simulated_http import HTML, ROUTE_NOT_FOUND, Answer, Ask, Body, error, nginx_page, php
from demo.simulated_php import pretty_json

EVERYTHING = "*"
"""All that PHP answers; the policy file of the file generation is nginx's alone and is not among it."""
API = "api"
"""All routes of the JSON API."""
POLICY = "policy"
"""/.well-known/mta-sts.txt, on either generation."""
DNS_PAGE = "dns_diagnostics"
CHALLENGE = "acme-challenge"
"""Files in the challenge folder, which nginx serves without the sidecar."""
OTHER = "other"


class Kind(Enum):
    """What goes wrong."""

    EMPTY_BODY = auto()
    EMPTY_PAGE = auto()
    EMPTY_OBJECT = auto()
    HTML_500 = auto()
    HTML_502 = auto()
    KEY_GONE = auto()
    NO_POLICY = auto()
    ROUTE_MISSING = auto()
    PARTIAL = auto()
    READ_ONLY = auto()
    NOT_LOGGED = auto()
    UPGRADED = auto()
    SILENCE = auto()
    REFUSED = auto()
    LOST_ANSWER = auto()
    CUT = auto()


@dataclass(frozen=True, slots=True)
class Fault:
    """A kind of outage; `detail` is the text reported with it, `names` what a partial list still has."""

    kind: Kind
    detail: str = ""
    names: frozenset[str] = frozenset()

    EMPTY_BODY: ClassVar["Fault"]
    """A table is missing, or the connection to the database was lost: 200 with an empty body."""
    EMPTY_PAGE: ClassVar["Fault"]
    """No tables at all, or no table of keys: the same, but as text/html."""
    EMPTY_OBJECT: ClassVar["Fault"]
    """The list that mailcow gives while its database is being restored: {}."""
    HTML_500: ClassVar["Fault"]
    """The database is away."""
    REDIS_500: ClassVar["Fault"]
    """Redis is away."""
    DOCKERAPI_500: ClassVar["Fault"]
    """dockerapi-mailcow is away."""
    HTML_502: ClassVar["Fault"]
    """php-fpm is away: nginx says 502 to a GET, and 405 to a write."""
    KEY_GONE: ClassVar["Fault"]
    """The database was created again and has no keys yet: 401."""
    NO_POLICY: ClassVar["Fault"]
    """Table alias_domain is missing: 404 for every policy."""
    ROUTE_MISSING: ClassVar["Fault"]
    """A mailcow that does not have the route."""
    READ_ONLY: ClassVar["Fault"]
    """The database refuses writes."""
    NOT_LOGGED: ClassVar["Fault"]
    """Redis refuses writes: a write says danger and is done, a policy has an error page behind it."""
    UPGRADED: ClassVar["Fault"]
    """The first call after an update: the answer of a write starts with another message."""
    SILENCE: ClassVar["Fault"]
    """The database is frozen, or a table is locked: no answer, however long one waits."""
    REFUSED: ClassVar["Fault"]
    """The network's: the connection ends, and nothing was done."""
    LOST_ANSWER: ClassVar["Fault"]
    """The network's: all was done, and the connection ends before the answer."""
    CUT: ClassVar["Fault"]
    """The network's: the connection ends within the answer."""

    @classmethod
    def partial(cls, names: Iterable[str]) -> "Fault":
        """A list that has only some of the domains; never seen from mailcow, but the sidecar has to handle it."""
        return cls(Kind.PARTIAL, names=frozenset(names))

    def reporting(self, detail: str) -> "Fault":
        """The same outage with another text."""
        return replace(self, detail=detail)


Fault.EMPTY_BODY = Fault(Kind.EMPTY_BODY)
Fault.EMPTY_PAGE = Fault(Kind.EMPTY_PAGE)
Fault.EMPTY_OBJECT = Fault(Kind.EMPTY_OBJECT)
Fault.HTML_500 = Fault(Kind.HTML_500, "database|  SQLSTATE[HY000] [2002] No such file or directory")
Fault.REDIS_500 = Fault(Kind.HTML_500, "Redis|Connection refused")
Fault.DOCKERAPI_500 = Fault(Kind.HTML_500, "dockerapi container|111 - Connection refused")
Fault.HTML_502 = Fault(Kind.HTML_502)
Fault.KEY_GONE = Fault(Kind.KEY_GONE)
Fault.NO_POLICY = Fault(Kind.NO_POLICY)
Fault.ROUTE_MISSING = Fault(Kind.ROUTE_MISSING)
Fault.READ_ONLY = Fault(Kind.READ_ONLY)
Fault.NOT_LOGGED = Fault(Kind.NOT_LOGGED, "READONLY You can't write against a read only replica.")
Fault.UPGRADED = Fault(Kind.UPGRADED)
Fault.SILENCE = Fault(Kind.SILENCE)
Fault.REFUSED = Fault(Kind.REFUSED)
Fault.LOST_ANSWER = Fault(Kind.LOST_ANSWER)
Fault.CUT = Fault(Kind.CUT)


@dataclass(slots=True)
class _Set:
    fault: Fault
    times: int | None


@dataclass(slots=True)
class Faults:
    """Which outage holds for which route, and how slow a route is."""

    _set: dict[str, _Set] = field(default_factory=dict)
    _delays: dict[str, float] = field(default_factory=dict)

    def fail(self, route: str, fault: Fault, times: int | None) -> None:
        self._set[route] = _Set(fault, times)

    def heal(self, route: str | None) -> None:
        if route is None:
            self._set.clear()
        else:
            self._set.pop(route, None)

    def slow(self, route: str, seconds: float) -> None:
        self._delays[route] = seconds

    def delay(self, ways: Iterable[str]) -> float:
        return next((self._delays[way] for way in ways if way in self._delays), 0.0)

    def take(self, ways: Iterable[str]) -> Fault | None:
        """The outage that holds for the next answer; `ways` names the route, the narrowest name first."""
        for way in ways:
            found = self._set.get(way)
            if found is not None:
                if found.times is not None:
                    found.times -= 1
                    if found.times <= 0:
                        del self._set[way]
                return found.fault
        return None


def ways(route: str, *, by_php: bool) -> tuple[str, ...]:
    """The names by which a fault or a delay can mean `route`, the narrowest first."""
    names = [route]
    while "/" in route:
        route = route.rpartition("/")[0]
        names.append(route)
    if names[0] not in {POLICY, DNS_PAGE, CHALLENGE, OTHER}:
        names.append(API)
    return (*names, EVERYTHING) if by_php else tuple(names)


def in_place_of(fault: Fault, ask: Ask) -> Answer | None:
    """The answer of an outage in which mailcow's code for the route does not run; None where it does."""
    match fault.kind:
        case Kind.EMPTY_BODY:
            return php()
        case Kind.EMPTY_PAGE:
            return php(content_type=HTML)
        case Kind.EMPTY_OBJECT:
            return php("{}")
        case Kind.HTML_500:
            return php(_failed(fault.detail), status=500, content_type=HTML, session=False)
        case Kind.HTML_502 if ask.method in {"GET", "HEAD"}:
            return Answer(502, HTML, Body(_PREPARING), session=False)
        case Kind.HTML_502:
            return nginx_page(405)
        case _:
            return _refusal_in_place_of(fault)


def _refusal_in_place_of(fault: Fault) -> Answer | None:
    match fault.kind:
        case Kind.KEY_GONE:
            return error(401, "authentication failed", content_type=HTML)
        case Kind.NO_POLICY:
            return php(status=404, content_type=HTML)
        case Kind.ROUTE_MISSING:
            return ROUTE_NOT_FOUND
        case _:
            return None


def message_before(fault: Fault) -> dict[str, Any] | None:
    """The message that an outage leaves in the session before mailcow's code for the route runs."""
    match fault.kind:
        case Kind.NOT_LOGGED:
            where = "in /web/json_api.php:39\nStack trace:\n#0 {main}"
            return {"type": "danger", "msg": f"Redis: RedisException: {fault.detail} {where}"}
        case Kind.UPGRADED:
            return {"type": "success", "log": ["init_db_schema"], "msg": "db_init_complete"}
        case _:
            return None


def changed(fault: Fault, route: str, answer: Answer) -> Answer:
    """What an outage makes of an answer that mailcow's code gave."""
    match fault.kind:
        case Kind.NOT_LOGGED if route == POLICY and answer.session and answer.body.raw:
            detail = html.escape(fault.detail, quote=False)
            tail = (
                f"<br />\n<b>Fatal error</b>:  Uncaught RedisException: {detail} "
                "in [no active file]:0\nStack trace:\n#0 {main}\n"
                "  thrown in <b>[no active file]</b> on line <b>0</b><br />\n"
            )
            return replace(answer, body=Body(answer.body.raw + tail.encode()))
        case Kind.PARTIAL if answer.body.raw.startswith(b"["):
            rows = json.loads(answer.body.raw)
            kept = [row for row in rows if {row.get("domain_name"), row.get("alias_domain")} & fault.names]
            return php(pretty_json(kept) if kept else "{}")
        case _:
            return answer


def _failed(detail: str) -> str:
    """The page that PHP gives when a service is away; `detail` is `service|text`."""
    service, _, reported = detail.rpartition("|")
    return (
        f"<center style='font-family:sans-serif;'>Connection to {service or 'database'} failed.<br /><br />"
        f"The following error was reported:<br/>{reported}</center>\n"
    )


_PREPARING = b"""<!DOCTYPE html>
<html>
  <head>
    <title>Preparing</title>
  </head>
  <body><h1>The simulated mailcow is being prepared</h1></body>
</html>
"""
