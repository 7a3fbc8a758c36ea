"""One GET: what a policy's HTTP answer may look like, and what is not an answer."""

import asyncio
import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.verify.probes.http import BODY_LIMIT, HttpAnswer, HttpError, get
from tests.dns.faulty import LOOPBACK
from tests.verify.internet import port_of

POLICY = b"version: STSv1\nmode: none\nmax_age: 1\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
PLAIN = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"


async def answer_to(*pieces: bytes, stays: bool = False) -> HttpAnswer:
    """What is made of an answer that comes in these pieces; the server closes after it unless it stays."""
    left = asyncio.Event()
    served: list[asyncio.Task[None] | None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(asyncio.current_task())
        await reader.readuntil(b"\r\n\r\n")
        try:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
            if stays:
                await left.wait()
            else:
                writer.write_eof()
                await reader.read()
        except OSError:
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(serve, LOOPBACK, 0)
    reader, writer = await asyncio.open_connection(LOOPBACK, port_of(server))
    try:
        async with asyncio.timeout(10):
            return await get(reader, writer, "mta-sts.example.test", "/")
    finally:
        left.set()
        writer.transport.abort()
        await asyncio.gather(*(task for task in served if task is not None))
        server.close()
        await server.wait_closed()


def expected(body: bytes = POLICY, *, whole: bool = True, status: int = 200) -> HttpAnswer:
    """An answer in text/plain."""
    return HttpAnswer(status, "text/plain", None, body, whole)


@pytest.mark.parametrize(
    ("raw", "stays", "why"),
    [
        (PLAIN + b"Content-Length: 37\r\n\r\n" + POLICY, False, "with its length"),
        (
            PLAIN + b"Content-Length: 37\r\n\r\n" + POLICY,
            True,
            "with its length, from a server that does not close",
        ),
        (PLAIN + b"\r\n" + POLICY, False, "ended by closing"),
        (
            PLAIN + CHUNKED + b"10\r\n" + POLICY[:16] + b"\r\n15;x=y\r\n" + POLICY[16:] + b"\r\n0\r\n\r\n",
            True,
            "in chunks",
        ),
        (b"HTTP/1.0 200 OK\nContent-Type: text/plain\n\n" + POLICY, False, "bare line feeds, an old version"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + PLAIN + b"\r\n" + POLICY, False, "an interim answer first"),
        (PLAIN + b"Content-Length: 37\r\n\r\n" + POLICY + b"more", False, "octets after the end"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 10 + PLAIN + b"\r\n" + POLICY, False, "some interim answers"),
        (PLAIN + b"X: y\r\n" * 95 + b"\r\n" + POLICY, False, "many header lines"),
    ],
)
async def test_whole_answer(raw: bytes, stays: bool, why: str) -> None:
    """All ways in which HTTP/1 says where a body ends."""
    assert await answer_to(raw, stays=stays) == expected(), why


@given(st.lists(st.integers(0, 150), max_size=4))
def test_answer_is_the_same_however_it_is_cut(places: Sequence[int]) -> None:
    """The network may cut it anywhere."""
    raw = PLAIN + CHUNKED + b"10\r\n" + POLICY[:16] + b"\r\n15\r\n" + POLICY[16:] + b"\r\n0\r\n\r\n"
    cuts = [0, *sorted(places), len(raw)]
    pieces = [raw[a:b] for a, b in itertools.pairwise(cuts)]
    assert asyncio.run(answer_to(*pieces)) == expected()


@pytest.mark.parametrize(
    ("raw", "stays", "why"),
    [
        (
            PLAIN + b"Content-Length: 65537\r\n\r\n" + b"x" * 100,
            True,
            "its length says so: nobody waits for it",
        ),
        (PLAIN + b"\r\n" + b"x" * (BODY_LIMIT + 1), True, "more came"),
        (PLAIN + CHUNKED + b"20000\r\n" + b"x" * 0x20000, True, "in one large chunk"),
    ],
)
async def test_large_answer_is_cut_off(raw: bytes, stays: bool, why: str) -> None:
    """RFC 8461 §3.3: nobody reads more than 64 KB."""
    answer = await answer_to(raw, stays=stays)
    assert (answer.status, answer.whole) == (200, False), why
    assert len(answer.body) <= BODY_LIMIT


async def test_answer_in_chunks_of_one_octet_is_whole() -> None:
    """Odd, but valid: 390 KB for 64."""
    raw = PLAIN + CHUNKED + b"1\r\nx\r\n" * BODY_LIMIT + b"0\r\n\r\n"
    assert await answer_to(raw, stays=True) == expected(b"x" * BODY_LIMIT)


async def test_largest_answer_is_whole() -> None:
    """64 KB are just allowed."""
    assert await answer_to(PLAIN + b"\r\n" + b"x" * BODY_LIMIT) == expected(b"x" * BODY_LIMIT)


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "nothing"),
        (b"220 mail.example.test ESMTP\r\n", "another protocol"),
        (b"\x16\x03\x01\r\n\r\n", "octets"),
        (PLAIN + b"Content-Length: 37\r\n\r\n" + POLICY[:20], "closed within the body"),
        (PLAIN + CHUNKED + b"10\r\n" + POLICY[:16], "closed between two chunks"),
        (PLAIN + CHUNKED + b"nonsense\r\n", "a chunk without a size"),
        (PLAIN, "closed within the head"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n", "a head that is too long"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 600_000, "a line without end"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 17_000 + b"\r\n\r\n", "a long line"),
        (b"HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n", "a carriage return that ends no line"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 11 + PLAIN + b"\r\n" + POLICY, "many interim answers"),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "a protocol that nobody asked for"),
        (PLAIN + CHUNKED + b"5;" + b"x" * 3_000 + b"\r\nhello\r\n0\r\n\r\n", "a long chunk extension"),
        (PLAIN + CHUNKED + b"5\r\nhello\r\n0\r\n" + b"A: b\r\n" * 600 + b"\r\n", "long trailers"),
        (PLAIN + CHUNKED + (b"1;" + b"x" * 900 + b"\r\ny\r\n") * 600, "more framing than body"),
    ],
)
async def test_no_answer(raw: bytes, why: str) -> None:
    """An incomplete HTTP answer is never mistaken for a policy."""
    with pytest.raises(HttpError):
        await answer_to(raw)
