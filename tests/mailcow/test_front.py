"""What answers at the public address of a name: seen as it is, bounded, and beside the passes."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trustme

from sidecar.mailcow.front import Fronts, look_at_front
from sidecar.observed import Seen, Unseen
from tests.web.fakes import FakeClock

LOOPBACK = "127.0.0.1"
NAME = "mta-sts.example.org"
POLICY = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nServer: Caddy\r\nVia: 1.1 x\r\nContent-Length: 2\r\n\r\nhi"


@asynccontextmanager
async def serving(answer: bytes, asked: list[bytes] | None = None) -> AsyncIterator[int]:
    """A TLS server whose certificate nobody trusts, with this answer for whatever is asked."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert(NAME).configure_cert(context)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            if asked is not None:
                asked.append(head)
            writer.write(answer)
            await writer.drain()
        except (OSError, EOFError):
            pass
        writer.close()

    server = await asyncio.start_server(handle, LOOPBACK, 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


@pytest.mark.parametrize(
    ("answer", "policy", "mark"),
    [
        (POLICY, True, "1.1 x, Caddy"),
        (POLICY.replace(b"200 OK", b"301 Moved"), False, "1.1 x, Caddy"),
        (POLICY.replace(b"text/plain", b"text/html"), False, "1.1 x, Caddy"),
        (POLICY.replace(b"Caddy", b"\xff" + b"a" * 100), True, "1.1 x, ÿ" + "a" * 52),
        (b"", False, ""),
        (b"SSH-2.0-x\r\n", False, ""),
    ],
)
async def test_certificate_answer_and_mark_are_seen(answer: bytes, policy: bool, mark: str) -> None:
    """Whatever is answered, the certificate counts."""
    asked: list[bytes] = []
    async with serving(answer, asked) as port:
        found = await look_at_front(NAME, LOOPBACK, 5.0, port)
    assert isinstance(found, Seen)
    assert found.value.certificate.names == {NAME}
    assert (found.value.policy, found.value.mark, found.value.address) == (policy, mark, LOOPBACK)
    assert asked[0].startswith(b"GET /.well-known/mta-sts.txt HTTP/1.1\r\n")


async def test_nobody_there_is_unseen() -> None:
    """A closed port, and one that speaks no TLS."""
    plain = await asyncio.start_server(lambda _, writer: writer.close(), LOOPBACK, 0)
    port = plain.sockets[0].getsockname()[1]
    assert isinstance(await look_at_front(NAME, LOOPBACK, 5.0, port), Unseen)
    plain.close()
    await plain.wait_closed()
    assert isinstance(await look_at_front(NAME, LOOPBACK, 5.0, port), Unseen)


async def test_names_are_checked_once_an_hour_beside_the_passes() -> None:
    """A pass begins the look and the next has it; another address, or an hour, and it is looked at again."""
    asked: list[bytes] = []
    clock = FakeClock()
    async with serving(POLICY, asked) as port:
        fronts = Fronts(clock, port)
        assert await fronts.sight({NAME: (LOOPBACK,)}, patient=False) == {}
        found = await fronts.sight({NAME: (LOOPBACK,)}, patient=True)
        assert [isinstance(sight, Seen) for sight in found[NAME]] == [True]
        await fronts.sight({NAME: (LOOPBACK,)}, patient=True)
        assert len(asked) == 1
        clock.at += 3_600
        await fronts.sight({NAME: (LOOPBACK,)}, patient=True)
        assert len(asked) == 2
        assert await fronts.sight({}, patient=True) == {}
        await fronts.close()
