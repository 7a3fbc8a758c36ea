"""A proxy before the Engine's socket: it records every call, and does to one what a test wants.

Rules: what is not to be harmed goes through unchanged, streams too. A call for a container that never is (sixty-four
noughts), or for the creation of nothing, asks for leave: `Call.changes` is false for it.
"""

import asyncio
import re
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

import aiohttp
from aiohttp import web

NOBODY = "0" * 64
_HOP_BY_HOP = {"connection", "content-length", "content-encoding", "host", "keep-alive", "transfer-encoding"}


@dataclass(frozen=True, slots=True)
class Call:
    """A call as it came, its path without the version."""

    method: str
    path: str
    empty: bool
    """Without a body."""

    @property
    def changes(self) -> bool:
        """Whether it may change something, and does not only ask for leave."""
        asks = NOBODY in self.path or (self.path == "/containers/create" and self.empty)
        return self.method != "GET" and not asks


class Do(Enum):
    """What happens to a call."""

    PASS = "it reaches the Engine"
    FAIL = "500, and the Engine never sees it"
    REFUSE = "403, as from a proxy"
    CUT_BEFORE = "the connection is closed, and the Engine never sees it"
    CUT_AFTER = "the Engine does it, and the answer is lost"
    HOLD = "nothing, until the test ends"


@dataclass
class EngineProxy:
    """A running proxy at `socket`."""

    upstream: Path
    socket: Path
    calls: list[Call] = field(default_factory=list)
    rule: Callable[[Call, int], Do] = lambda _call, _number: Do.PASS
    """What to do with a call; the number is that of the changing calls so far, this one included."""
    held: asyncio.Event = field(default_factory=asyncio.Event)
    """A call is being held."""
    released: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def docker_host(self) -> str:
        return f"unix://{self.socket}"

    @property
    def changing(self) -> list[Call]:
        return [call for call in self.calls if call.changes]

    def forget(self) -> None:
        """As new."""
        self.calls.clear()
        self.held.clear()
        self.rule = lambda _call, _number: Do.PASS

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        call = Call(request.method, re.sub(r"^/v[\d.]+", "", request.path), not body)
        self.calls.append(call)
        done = self.rule(call, len(self.changing))
        match done:
            case Do.FAIL:
                return web.json_response({"message": "injected failure"}, status=500)
            case Do.REFUSE:
                return web.Response(status=403, text="Forbidden")
            case Do.HOLD:
                self.held.set()
                await self.released.wait()
                _cut(request)
            case Do.CUT_BEFORE:
                _cut(request)
            case _:
                pass
        return await self._forward(request, body, cut=done is Do.CUT_AFTER)

    async def _forward(self, request: web.Request, body: bytes, *, cut: bool) -> web.StreamResponse:
        headers = {k: v for k, v in request.headers.items() if k.lower() not in _HOP_BY_HOP}
        async with (
            aiohttp.ClientSession(
                connector=aiohttp.UnixConnector(path=str(self.upstream)),
                timeout=aiohttp.ClientTimeout(total=None),
                auto_decompress=False,
            ) as session,
            session.request(
                request.method, f"http://docker{request.raw_path}", headers=headers, data=body or None
            ) as answer,
        ):
            if cut:
                await answer.read()
                _cut(request)
            kept = {k: v for k, v in answer.headers.items() if k.lower() not in _HOP_BY_HOP}
            response = web.StreamResponse(status=answer.status, headers=kept)
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
            return response


def _cut(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()
    raise asyncio.CancelledError


@asynccontextmanager
async def engine_proxy(upstream: Path) -> AsyncIterator[EngineProxy]:
    """A proxy to the Engine at this socket."""
    with tempfile.TemporaryDirectory(prefix="proxy.", dir="/tmp") as folder:
        proxy = EngineProxy(upstream, Path(folder, "docker.sock"))
        application = web.Application(client_max_size=2**26)
        application.router.add_route("*", "/{path:.*}", proxy.handle)
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.UnixSite(runner, str(proxy.socket)).start()
            yield proxy
        finally:
            proxy.released.set()
            await runner.cleanup()
