"""Limits the connections to the page and their idle time, so that strangers cannot use up the file descriptors.

Rules for every editor. Every connection is an open file, of which a process may have about a thousand. The page takes
a bounded part of them, so a pass can always open its own. A connection counts as idle until its request is whole, and
again after the request was answered, so sending one octet now and then does not keep a connection open. Above the
limit, the connection that was idle for longest is closed, so that clients with a request are served.
"""

import asyncio
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from aiohttp.typedefs import Handler

IDLE_S = 30.0
"""Seconds that a connection has to send a request, and again to read the answer and send the next request."""
MOST_CONNECTIONS = 250
PART_OF_FILES = 4
"""At most a quarter of the files that the process may open."""
BACKLOG = 64
"""Connections that may wait to be accepted; further ones are refused."""


def most_connections() -> int:
    """How many connections may be open at a time, by the process's limit of open files (RLIMIT_NOFILE)."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return max(1, min(MOST_CONNECTIONS, soft // PART_OF_FILES))


class ConnectionDoor:
    """Creates the protocol of each connection, as `loop.create_server` needs it."""

    def __init__(self, most: int | None = None, idle_s: float = IDLE_S) -> None:
        self._most = most_connections() if most is None else most
        self._idle_s = idle_s
        self._guests: dict[asyncio.BaseTransport, _Guest] = {}
        self.server: web.Server | None = None
        """The server behind this door."""

    def __len__(self) -> int:
        return len(self._guests)

    def __call__(self) -> asyncio.Protocol:
        if self.server is None:
            raise RuntimeError("no server has been set for this door")
        return _Guest(self, self.server())

    def enter(self, guest: "_Guest", transport: asyncio.Transport) -> bool:
        """Whether there is a free place; if needed, the connection that was idle for longest is closed."""
        if len(self._guests) >= self._most:
            idle = next((one for one, other in self._guests.items() if not other.busy), None)
            if idle is None:
                return False
            self._turn_out(idle)
        self._guests[transport] = guest
        self._wait_for(guest, transport)
        return True

    def leave(self, transport: asyncio.BaseTransport) -> None:
        """The connection is over."""
        guest = self._guests.pop(transport, None)
        if guest is not None and guest.timer is not None:
            guest.timer.cancel()

    @asynccontextmanager
    async def seen_to(self, request: web.Request) -> AsyncIterator[None]:
        """The request of this connection is being handled; its body must arrive in time."""
        transport = request.transport
        guest = None if transport is None else self._guests.get(transport)
        if guest is not None:
            guest.busy = True
            if guest.timer is not None:
                guest.timer.cancel()
        limit = asyncio.timeout(self._idle_s if request.can_read_body else None)
        try:
            async with limit:
                yield
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise web.HTTPRequestTimeout from error
        finally:
            if guest is not None and transport in self._guests:
                guest.busy = False
                self._guests[transport] = self._guests.pop(transport)  # the last idle connection
                self._wait_for(guest, transport)

    def _wait_for(self, guest: "_Guest", transport: asyncio.Transport) -> None:
        loop = asyncio.get_running_loop()
        guest.timer = loop.call_later(self._idle_s, self._turn_out, transport)

    def _turn_out(self, transport: asyncio.BaseTransport) -> None:
        self.leave(transport)
        if isinstance(transport, asyncio.WriteTransport):
            transport.abort()  # not close(): that would wait for a client that never reads the answer


class _Guest(asyncio.Protocol):
    """One connection; once accepted, its data goes to the server's own protocol."""

    def __init__(self, door: ConnectionDoor, served: asyncio.Protocol) -> None:
        self._door = door
        self._served = served
        self._transport: asyncio.Transport | None = None
        self.busy = False
        self.timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("a connection has two directions")
        if self._door.enter(self, transport):
            self._transport = transport
            self._served.connection_made(transport)
        else:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._door.leave(self._transport)
            self._served.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._transport is not None:
            self._served.data_received(data)

    def eof_received(self) -> bool | None:
        return self._served.eof_received() if self._transport is not None else None

    def pause_writing(self) -> None:
        self._served.pause_writing()

    def resume_writing(self) -> None:
        self._served.resume_writing()


class ListeningSite(web.BaseSite):
    """Listens on an address and a port, with the limits of a door."""

    def __init__(self, runner: web.AppRunner, door: ConnectionDoor, address: str, port: int) -> None:
        super().__init__(runner)
        self._door = door
        self._address = address
        self._port = port

    @property
    def name(self) -> str:
        return f"http://{self._address}:{self._port}"

    async def start(self) -> None:
        """Raises OSError when the address is not available."""
        await super().start()
        self._door.server = self._runner.server
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._door, self._address, self._port, backlog=BACKLOG)


DOOR = web.AppKey("door", ConnectionDoor)


@web.middleware
async def at_the_door(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Marks the connection as busy while its request is handled."""
    async with request.app[DOOR].seen_to(request):
        return await handler(request)
