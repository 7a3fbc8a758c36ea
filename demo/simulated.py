"""The simulated mailcow: its web API and its policy web server as recorded, on loopback, for demo and tests.

Rule for every editor: an answer differs from the real one's only where the contract test says so. The handle
and the socket are here; what is answered is decided in the modules beside this one.
"""

import asyncio
import json
import re
import ssl
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs

from aiohttp import web

from demo.simulated_admin import Administered
from demo.simulated_api import PREFIX, Api
from demo.simulated_faults import (
    API,
    CHALLENGE,
    DNS_PAGE,
    EVERYTHING,
    OTHER,
    POLICY,
    Fault,
    Faults,
    Kind,
    changed,
    in_place_of,
    message_before,
    ways,
)
from demo.simulated_http import (
    HTML,
    PLAIN_BLOCK,
    TEXT,
    Access,
    Answer,
    Ask,
    Session,
    Site,
    may_be_packed,
    nginx_page,
    php,
    static_file,
)
from demo.simulated_php import name_of
from demo.simulated_world import World

__all__ = [
    "API",
    "CHALLENGE",
    "DNS_PAGE",
    "EVERYTHING",
    "POLICY",
    "Fault",
    "KeyUse",
    "SeenRequest",
    "SimulatedMailcow",
]

READ_WRITE_KEY = "SIMULA-TEDMAI-LCOW00-READ00-WRITE0"
READ_ONLY_KEY = "SIMULA-TEDMAI-LCOW00-READ00-0NLY00"
_POLICY_PATH = "/.well-known/mta-sts.txt"
_CHALLENGE_PATH = "/.well-known/acme-challenge/"


class KeyUse(StrEnum):
    """The key in a request."""

    NONE = "none"
    READ_WRITE = "read-write"
    READ_ONLY = "read-only"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class SeenRequest:
    """A request as it arrived; `at` is the simulated clock's, `body` the JSON in it or None."""

    method: str
    path: str
    route: str
    host: str
    at: float
    key: KeyUse
    cookie: bool
    body: Any = None


class SimulatedMailcow(Administered):
    """The handle of a running server, and the administrator of what it serves.

    `key`, `read_only_key` (None: no such key), `allow_from`, `skip_ip_check` and `says_version` may be
    changed while it runs; a fault and a delay hold for a route such as `get/domain/all`, for its first
    words (`get/domain`, `edit`), or for `API`, `CHALLENGE`, `POLICY`, `DNS_PAGE` or `EVERYTHING`.
    `sites` are hosts for which port 80 belongs to a site of the administrator's own (None: it is shut).
    """

    def __init__(
        self,
        world: World,
        api: Api,
        *,
        policy_file: Path | None,
        challenge_folder: Path | None,
        http_redirect: bool,
    ) -> None:
        super().__init__(world, api)
        self.policy_file = policy_file
        self.challenge_folder = challenge_folder
        self.sites: dict[str, Site | None] = {}
        self.http_redirect = http_redirect
        self.requests: list[SeenRequest] = []
        self.url = ""
        self.port = 0
        self._faults = Faults()
        self._sessions: dict[str, Session] = {}
        self._changed = asyncio.Condition()
        self._closing = asyncio.Event()
        self._runner: web.AppRunner | None = None

    @classmethod
    async def start(  # noqa: PLR0913 - one keyword for each thing that mailcow.conf would say
        cls,
        *,
        version: str | None = "2026-07a",
        hostname: str = "mail.example.org",
        key: str | None = READ_WRITE_KEY,
        read_only_key: str | None = READ_ONLY_KEY,
        allow_from: Iterable[str] = ("127.0.0.0/8", "::1"),
        policy_file: Path | None = None,
        challenge_folder: Path | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        timezone: str = "Europe/Berlin",
        clock: Callable[[], float] = time.time,
        http_redirect: bool = False,
    ) -> Self:
        """Listens on `host` and `port` (0: a free one), with TLS alone where a context is given.

        `policy_file` is what the file generation serves, `challenge_folder` what acme-mailcow and nginx share;
        `http_redirect` is HTTP_REDIRECT=y.
        Raises OSError where the port is taken.
        """
        world = World(version=version, hostname=hostname, timezone=timezone, clock=clock)
        api = Api(world, key=key, read_only_key=read_only_key)
        api.allow_from = tuple(allow_from)
        self = cls(
            world,
            api,
            policy_file=policy_file,
            challenge_folder=challenge_folder,
            http_redirect=http_redirect,
        )
        server = web.Application(client_max_size=64 * 2**20)
        server.router.add_route("*", "/{tail:.*}", self._serve)
        self._runner = web.AppRunner(server, access_log=None, handler_cancellation=True, shutdown_timeout=0.5)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port, ssl_context=tls).start()
        except OSError:
            await self._runner.cleanup()
            raise
        self.port = int(self._runner.addresses[0][1])
        shown = f"[{host}]" if ":" in host else host
        self.url = f"{'https' if tls else 'http'}://{shown}:{self.port}"
        return self

    async def close(self) -> None:
        """Ends the server; calls that still wait for an answer lose their connection."""
        self._closing.set()
        if self._runner is not None:
            await self._runner.cleanup()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # --- outages, and what was asked

    def fail(self, route: str, fault: Fault, *, times: int | None = None) -> None:
        """From now on (or for this number of answers) `route` fails in this way."""
        self._faults.fail(route, fault, times)

    def heal(self, route: str | None = None) -> None:
        """The outage of that route, or all outages, are over."""
        self._faults.heal(route)

    def slow(self, route: str, seconds: float) -> None:
        """From now on `route` waits this long before anything is done."""
        self._faults.slow(route, seconds)

    def asked(self, route: str, method: str | None = None) -> list[SeenRequest]:
        """The requests that `route` means, oldest first; names as for a fault."""
        return [
            seen
            for seen in self.requests
            if route in ways(seen.route, by_php=True) and method in (None, seen.method)
        ]

    async def until(self, true: Callable[[], bool], *, seconds: float = 10.0) -> None:
        """Waits, from request to request, until `true()` holds; raises TimeoutError after `seconds`."""
        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(true)

    # --- serving

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        ask = Ask(
            method=request.method,
            path=re.sub("/{2,}", "/", request.path),
            query=request.rel_url.raw_query_string,
            headers={name.lower(): value for name, value in request.headers.items()},
            peer=str(request.remote).partition("%")[0],
            body=body,
            tls=request.secure,
        )
        route = self._route(ask)
        names = ways(route, by_php=self._by_php(route))
        await self._note(self._seen(ask, route, cookie=bool(request.cookies)))
        try:
            if delay := self._faults.delay(names):
                await asyncio.sleep(delay)
            return await self._respond(request, ask, route, self._faults.take(names))
        finally:
            await self._note(None)

    async def _note(self, seen: SeenRequest | None) -> None:
        async with self._changed:
            if seen is not None:
                self.requests.append(seen)
            self._changed.notify_all()

    async def _respond(
        self, request: web.Request, ask: Ask, route: str, fault: Fault | None
    ) -> web.StreamResponse:
        host = ask.host.partition(":")[0].lower()
        if not ask.tls and host in self.sites:
            site = self.sites[host]
            return _hang_up(request) if site is None else _response(ask, site(ask))
        kind = fault.kind if fault else None
        if kind is Kind.SILENCE:
            await self._closing.wait()
        if kind in {Kind.SILENCE, Kind.REFUSED}:
            return _hang_up(request)
        identity = request.cookies.get(self.world.release.cookie)
        session = self._sessions.setdefault(identity, Session()) if identity else Session()
        answer = await self._answer(ask, session, route, fault)
        if kind is Kind.LOST_ANSWER:
            return _hang_up(request)
        if kind is Kind.CUT:
            return await _cut(request, answer)
        response = _response(ask, answer)
        if answer.session and identity is None:
            identity = uuid.uuid4().hex
            self._sessions[identity] = session
            flags = ("secure; " if ask.tls else "") + self.world.release.cookie_flags
            response.headers["Set-Cookie"] = f"{self.world.release.cookie}={identity}; path=/; {flags}"
        return response

    async def _answer(self, ask: Ask, session: Session, route: str, fault: Fault | None) -> Answer:
        by_php = self._by_php(route)
        answered_plainly = route == CHALLENGE or (route == POLICY and by_php)
        if self.http_redirect and not ask.tls and not answered_plainly:
            host = ask.host.partition(":")[0]
            location = f"https://{host}{ask.path}"
            return nginx_page(301, content_type=PLAIN_BLOCK, headers={"Location": location})
        if fault and (instead := in_place_of(fault, ask)):
            return instead
        if not by_php:
            answer = await asyncio.to_thread(static_file, self._file(ask, route), ask)
            if self.http_redirect and not ask.tls and answer.content_type:
                # The block that redirects says no charset.
                answer = replace(answer, content_type=answer.content_type.partition(";")[0])
            return answer
        if fault and (message := message_before(fault)):
            session.pending.append(message)
        self.world.read_only = fault is not None and fault.kind is Kind.READ_ONLY
        try:
            answer = self._php(ask, session, route)
        finally:
            self.world.read_only = False
        return changed(fault, route, answer) if fault else answer

    def _by_php(self, route: str) -> bool:
        return route != CHALLENGE and (route != POLICY or self.world.release.native)

    def _file(self, ask: Ask, route: str) -> Path | None:
        if route == POLICY:
            return self.policy_file
        name = ask.path.removeprefix(_CHALLENGE_PATH)
        plain = name and "/" not in name and name != ".."
        return self.challenge_folder / name if self.challenge_folder and plain else None

    def _route(self, ask: Ask) -> str:
        if ask.path.startswith(PREFIX):
            return ask.path.removeprefix(PREFIX).rstrip("/")
        if ask.path.startswith(_CHALLENGE_PATH):
            return CHALLENGE
        native = self.world.release.native
        if ask.path == _POLICY_PATH or (native and ask.path.startswith(_POLICY_PATH)):
            return POLICY
        if native and ask.path in {"/mta-sts", "/mta-sts.php"}:
            return POLICY
        return DNS_PAGE if ask.path == "/inc/ajax/dns_diagnostics.php" else OTHER

    def _php(self, ask: Ask, session: Session, route: str) -> Answer:
        if route == OTHER:
            return nginx_page(404)
        if refusal := self.api.enter(ask, session):
            return refusal
        if route == POLICY:
            text = self.world.policy_text(ask.host)
            if text is None:
                return php(status=404, content_type=HTML)
            return php(text, content_type=TEXT)
        if route == DNS_PAGE:
            return php(self._dns_page(ask, session), content_type=HTML)
        return self.api.answer(ask, session)

    def _dns_page(self, ask: Ask, session: Session) -> str:
        if session.access is None:
            return "Session invalid"
        domain = parse_qs(ask.query).get("domain", [""])[-1]
        if self.world.find(name_of(domain)) is None:
            return "No such domain in context"
        return self.world.diagnostics(domain)

    def _seen(self, ask: Ask, route: str, *, cookie: bool) -> SeenRequest:
        try:
            body = json.loads(ask.body) if ask.body else None
        except ValueError:
            body = None
        use = KeyUse.NONE
        if key := ask.headers.get("x-api-key"):
            match self.api.access_of(key):
                case Access.READ_WRITE:
                    use = KeyUse.READ_WRITE
                case Access.READ_ONLY:
                    use = KeyUse.READ_ONLY
                case None:
                    use = KeyUse.WRONG
        path = f"{ask.path}?{ask.query}" if ask.query else ask.path
        return SeenRequest(ask.method, path, route, ask.host, self.world.clock(), use, cookie, body)


def _response(ask: Ask, answer: Answer) -> web.Response:
    headers = {"Server": "nginx", "X-Frame-Options": "SAMEORIGIN", **answer.headers}
    if answer.content_type is not None:
        headers["Content-Type"] = answer.content_type
    if answer.session:
        headers |= {
            "Expires": "Thu, 19 Nov 1981 08:52:00 GMT",
            "Cache-Control": "no-store, no-cache, must-revalidate",
            "Pragma": "no-cache",
        }
    packed = ask.gzip and may_be_packed(answer)
    if packed:
        headers |= {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
    body = answer.body.packed if packed else answer.body.raw
    response = web.Response(status=answer.status, headers=headers, body=body)
    if answer.session and ask.method != "HEAD":
        response.enable_chunked_encoding()  # PHP's answers have no length
    return response


def _hang_up(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()  # which nobody gets


async def _cut(request: web.Request, answer: Answer) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status, headers={"Content-Type": answer.content_type or HTML})
    response.content_length = len(answer.body.raw) + 1
    await response.prepare(request)
    await response.write(answer.body.raw[: len(answer.body.raw) // 2])
    if request.transport is not None:
        request.transport.close()
    return response
