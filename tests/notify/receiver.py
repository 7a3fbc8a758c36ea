"""A receiver of notifications on loopback, which says yes or no as the test wants it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass
class Receiver:
    """What came, and what is answered: a status, or None to never answer."""

    port: int = 0
    status: int | None = 200
    bodies: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def webhook(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook/x9Yz8Wv7"

    @property
    def apprise(self) -> str:
        return f"json://127.0.0.1:{self.port}/apprise/x9Yz8Wv7"

    async def until(self, count: int) -> None:
        """So many messages came."""
        async with asyncio.timeout(20):
            while len(self.bodies) < count:
                self.came.clear()
                await self.came.wait()

    async def handle(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.json())
        self.paths.append(request.path)
        self.came.set()
        if self.status is None:
            await asyncio.Event().wait()
        return web.Response(status=self.status or 200, headers={"Location": "/elsewhere"}, text="x9Yz8Wv7")


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """Takes every POST."""
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/{path:.*}", receiver.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    receiver.port = runner.addresses[0][1]
    try:
        yield receiver
    finally:
        await runner.cleanup()
