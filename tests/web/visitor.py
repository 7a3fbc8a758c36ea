"""A page that is served on loopback, and a visitor without a browser."""

import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_network

import aiohttp
from aiohttp import web
from pydantic import SecretStr

from sidecar.web import WebServer, WebSettings, start_web
from tests.web.fakes import FakeClock, FakeSource

TOKEN = "correct horse battery staple"


@dataclass
class Visitor:
    """Asks the page; keeps its cookies, follows no redirect."""

    web: WebServer
    session: aiohttp.ClientSession

    @property
    def origin(self) -> str:
        return self.web.url.removesuffix("/")

    async def get(self, path: str, **headers: str) -> tuple[int, str, aiohttp.ClientResponse]:
        """Status, text and the rest."""
        return await self.ask("GET", path, headers=_headers(headers))

    async def post(
        self, path: str, form: dict[str, str] | None = None, **headers: str
    ) -> tuple[int, str, aiohttp.ClientResponse]:
        """As a form of the page's own would be sent, unless the headers say otherwise."""
        sent = {"Origin": self.origin, **_headers(headers)}
        return await self.ask("POST", path, data=form or {}, headers={k: v for k, v in sent.items() if v})

    async def ask(self, method: str, path: str, **rest: object) -> tuple[int, str, aiohttp.ClientResponse]:
        """Anything else."""
        asked = self.session.request(method, self.web.url + path, allow_redirects=False, **rest)  # type: ignore[arg-type]
        async with asked as response:
            return response.status, await response.text(), response

    async def log_in(self, token: str = TOKEN) -> str:
        """Through the form; returns what forms of this session carry."""
        status, _, _ = await self.post("login", {"token": token})
        assert status == 303
        _, text, _ = await self.get("")
        found = re.search(r'name="csrf" value="([^"]+)"', text)
        assert found is not None
        return found[1]


def _headers(given: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in given.items()}


@asynccontextmanager
async def visiting(
    source: FakeSource,
    *,
    token: str | None = None,
    names: Iterable[str] = (),
    proxies: Iterable[str] = (),
    extra_routes: Iterable[web.RouteDef] = (),
) -> AsyncIterator[Visitor]:
    """A served page and somebody who looks at it."""
    settings = WebSettings(
        port=0,
        token=SecretStr(token) if token else None,
        names=frozenset(names),
        proxies=tuple(map(ip_network, proxies)),
    )
    served = await start_web(source, settings, FakeClock(), extra_routes=extra_routes)
    try:
        async with aiohttp.ClientSession(
            cookie_jar=aiohttp.CookieJar(unsafe=True), connector=aiohttp.TCPConnector(limit=0)
        ) as session:
            yield Visitor(served, session)
    finally:
        await served.close()
