"""The certificate that a server presents, by SNI, whoever issued it."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trustme

from sidecar.mailcow.endpoint import Endpoint, presented
from sidecar.observed import Seen, Unseen
from tests.verify.certificates import Kind, server_context

LOOPBACK = "127.0.0.1"


@asynccontextmanager
async def serving(*names: str) -> AsyncIterator[tuple[int, asyncio.Queue[bytes]]]:
    """A TLS server whose certificate nobody trusts, and what it was sent."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert(*names).configure_cert(context)
    got: asyncio.Queue[bytes] = asyncio.Queue()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            got.put_nowait(await reader.read())
        except OSError:
            got.put_nowait(b"")
        writer.close()

    server = await asyncio.start_server(handle, LOOPBACK, 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1], got
    finally:
        server.close()
        await server.wait_closed()


async def test_leaf_is_seen_and_nothing_is_sent() -> None:
    """The handshake alone."""
    async with serving("mail.example.org", "mta-sts.example.org") as (port, got):
        found = await presented(
            Endpoint(True, LOOPBACK, port, ("mail.example.org",)), "mail.example.org", 1.0
        )
        sent = await asyncio.wait_for(got.get(), 5)
    assert isinstance(found, Seen)
    assert found.value.names == frozenset({"mail.example.org", "mta-sts.example.org"})
    assert sent == b""


async def test_server_that_cannot_be_asked_is_unseen() -> None:
    """Plain HTTP, nobody there, no TLS: then the file counts."""
    plain = await asyncio.start_server(lambda _, writer: writer.close(), LOOPBACK, 0)
    port = plain.sockets[0].getsockname()[1]
    assert isinstance(
        await presented(Endpoint(True, LOOPBACK, port, ("a.example",)), "a.example", 1.0), Unseen
    )
    plain.close()
    await plain.wait_closed()
    assert isinstance(
        await presented(Endpoint(True, LOOPBACK, port, ("a.example",)), "a.example", 1.0), Unseen
    )
    assert isinstance(
        await presented(Endpoint(False, LOOPBACK, port, ("a.example",)), "a.example", 1.0), Unseen
    )


async def test_certificate_that_cannot_be_read_is_unseen() -> None:
    """Whatever cryptography raises over it: a pass goes on without."""
    context = server_context(Kind.UNREADABLE, "mail.example.org")
    server = await asyncio.start_server(lambda _, writer: writer.close(), LOOPBACK, 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    found = await presented(Endpoint(True, LOOPBACK, port, ("a.example",)), "a.example", 1.0)
    server.close()
    await server.wait_closed()
    assert isinstance(found, Unseen)
