"""Connections to the page, over real sockets: how many there are, how long they may idle, and who goes when it is full."""

import asyncio
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from sidecar.web.door import MOST_CONNECTIONS, ConnectionDoor, most_connections
from tests.running import until
from tests.web.fakes import source_of
from tests.web.visitor import TOKEN, Visitor, visiting

pytestmark = pytest.mark.integration

MOST = 10


@asynccontextmanager
async def door(
    monkeypatch: pytest.MonkeyPatch, *, idle_s: float = 600.0, token: str | None = None
) -> AsyncIterator[tuple[Visitor, ConnectionDoor]]:
    """A page with so many places."""
    made: list[ConnectionDoor] = []

    def make() -> ConnectionDoor:
        made.append(ConnectionDoor(MOST, idle_s))
        return made[-1]

    monkeypatch.setattr("sidecar.web.ConnectionDoor", make)
    async with visiting(source_of(), token=token) as visitor:
        yield visitor, made[0]


async def connected(visitor: Visitor, sent: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection of which so much is heard and no more."""
    reader, writer = await asyncio.open_connection("127.0.0.1", visitor.web.port)
    writer.write(sent)
    return reader, writer


async def until_lost(reader: asyncio.StreamReader) -> bytes:
    """What was answered until the connection was ended by the page."""
    try:
        async with asyncio.timeout(20):
            return await reader.read()
    except ConnectionResetError:
        return b""


@pytest.mark.parametrize(
    "sent",
    [b"", b"GET / HT", b"GET /login HTTP/1.1\r\nHost: a\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nX-Long: "],
)
async def test_connection_without_a_complete_request_is_closed(
    monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    """Nothing at all, a part of one, or one and then nothing more."""
    async with door(monkeypatch, idle_s=0.3) as (visitor, there):
        reader, writer = await connected(visitor, sent)
        await until_lost(reader)
        assert len(there) == 0
        writer.close()


async def test_slow_request_does_not_keep_a_connection_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time is for the whole request."""
    async with door(monkeypatch, idle_s=0.5) as (visitor, _):
        reader, writer = await connected(visitor, b"GET / HTTP/1.1\r\nHost: a\r\nX-Long: ")

        async def trickle() -> None:
            while True:
                writer.write(b"a")
                await asyncio.sleep(0.05)

        task = asyncio.create_task(trickle())
        await until_lost(reader)
        task.cancel()
        writer.close()


async def test_missing_body_is_answered_with_a_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """The handler waits for it no longer than anybody may be idle."""
    async with door(monkeypatch, idle_s=0.3, token=TOKEN) as (visitor, there):
        head = (
            "POST /login HTTP/1.1\r\nHost: a\r\nOrigin: http://a\r\nContent-Length: 100\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\n\r\ntoken="
        )
        reader, writer = await connected(visitor, head.encode())
        assert b"408" in (await until_lost(reader)).partition(b"\r\n")[0]
        assert len(there) == 0
        writer.close()


async def test_connection_that_does_not_read_the_answer_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many requests at once, and no answer read: what waits to be sent keeps no place."""
    async with door(monkeypatch, idle_s=0.5) as (visitor, there):
        _, writer = await connected(visitor, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 2_000)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await until(lambda: len(there) == 1)
        await until(lambda: len(there) == 0)
        writer.transport.abort()


async def test_request_is_served_while_idle_connections_fill_the_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The one that was idle for longest goes; never are there more than there are places."""
    async with door(monkeypatch) as (visitor, there):
        idle = [await connected(visitor) for _ in range(3 * MOST)]
        for _ in range(3):
            assert (await visitor.get(""))[0] == 200
            assert len(there) <= MOST
        for reader, _ in idle[:MOST]:
            assert await until_lost(reader) == b""
        for _, writer in idle:
            writer.close()


async def test_busy_connections_stay_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages that follow live are no idle ones, however long nothing happens; who comes when all are such is refused."""
    ask = b"GET /events/stream HTTP/1.1\r\nHost: localhost\r\n\r\n"
    async with door(monkeypatch, idle_s=0.5) as (visitor, there):
        live = [await connected(visitor, ask) for _ in range(MOST)]
        for reader, _ in live:
            await reader.readuntil(b"data: ")
        reader, writer = await connected(visitor, ask)
        assert await until_lost(reader) == b""
        await asyncio.sleep(1.0)
        assert len(there) == MOST
        for one, other in live:
            assert not one.at_eof()
            other.close()
        writer.close()


@pytest.mark.parametrize(
    ("soft", "most"), [(1_024, MOST_CONNECTIONS), (256, 64), (65_536, MOST_CONNECTIONS), (3, 1)]
)
def test_most_of_the_files_are_left_to_the_passes(
    monkeypatch: pytest.MonkeyPatch, soft: int, most: int
) -> None:
    """A quarter at most, and never so many that memory is filled."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, soft))
    assert most_connections() == most
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY,) * 2)
    assert most_connections() == MOST_CONNECTIONS
