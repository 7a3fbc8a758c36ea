"""One GET of a policy over an open TLS connection: what came back, whole or cut off at the limit.

Why not a client library: they follow redirects, cache, pool, decompress and hide the certificate; a sender does none of
that. The answer is parsed by h11 as it arrives.

Rule for every editor: a server may send anything, for as long as the caller's deadline allows. Each step here reads
little and then yields to other tasks; and h11 gets no line on which its patterns take quadratic time.
"""

import asyncio
import re
from dataclasses import dataclass

import h11

BODY_LIMIT = 64 * 1024
"""Octets that a sender need not read beyond (RFC 8461 §3.3)."""
RAW_LIMIT = 512 * 1024
"""Octets of body and chunking: no policy needs more."""
HEAD_LIMIT = 16 * 1024
"""Octets of one head."""
HEAD_LINES = 100
INTERIM_LIMIT = 10
"""Answers before the final one that say to wait for it (RFC 9110 §15.2)."""
_STEP = 1024
"""Octets read at once, and octets of a chunk's size line or of trailers that may come without any of the body."""
_NO_TEXT = re.compile(rb"[\x00\x0b\x0c]|\r(?!\n)")
"""Not allowed in a head (RFC 9110 §5.5); with them in it, h11 takes time by the square of a line's length."""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """An answer; `body` ends at BODY_LIMIT, or before, where it is not `whole`."""

    status: int
    media_type: str | None
    location: str | None
    body: bytes
    whole: bool
    server: str | None = None
    """What the server calls itself: its headers Via and Server."""


class HttpError(Exception):
    """The server did not send a complete HTTP answer."""


async def get(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, path: str) -> HttpAnswer:
    """The answer to one request; raises HttpError and OSError. The caller has the deadline.

    Read are, at most: 10 interim answers, heads of 16 KB and 100 lines, 64 KB of body, 512 KB with its chunking.
    """
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_LIMIT)
    headers = [
        ("Host", host),
        ("User-Agent", "mta-sts-sidecar"),
        ("Accept", "text/plain"),
        ("Accept-Encoding", "identity"),
        ("Cache-Control", "no-cache"),
        ("Connection", "close"),
    ]
    try:
        request = connection.send(h11.Request(method="GET", target=path, headers=headers))
        writer.write(request + connection.send(h11.EndOfMessage()))
        await writer.drain()
        for _ in range(INTERIM_LIMIT + 1):
            connection.receive_data(await _head(reader))
            response = connection.next_event()
            if isinstance(response, h11.Response):
                break
            if not isinstance(response, h11.InformationalResponse):
                raise HttpError("no HTTP answer came")
            await asyncio.sleep(0)
        else:
            raise HttpError(f"more than {INTERIM_LIMIT} interim answers came")
        body, whole = await _body(connection, reader, response)
    except h11.ProtocolError as error:
        ended = reader.at_eof()
        message = "the answer ended early" if ended else f"no HTTP answer came ({str(error)[:100]})"
        raise HttpError(message) from error
    media_type = _header(response, b"content-type")
    return HttpAnswer(
        response.status_code,
        None if media_type is None else media_type.partition(";")[0].strip(" \t").lower(),
        _header(response, b"location"),
        body,
        whole,
        ", ".join(filter(None, (_header(response, b"via"), _header(response, b"server")))) or None,
    )


async def _head(reader: asyncio.StreamReader) -> bytes:
    """The lines up to a blank one."""
    lines: list[bytes] = []
    size = 0
    while len(lines) < HEAD_LINES + 2:
        try:
            line = await reader.readline()
        except ValueError:  # beyond the reader's own limit
            break
        size += len(line)
        if size > HEAD_LIMIT:
            break
        if not line.endswith(b"\n"):
            raise HttpError(
                "the answer ended early" if size else "the connection was closed without an answer"
            )
        lines.append(line)
        if not lines[0].startswith(b"HTTP/1.") or _NO_TEXT.search(line):
            raise HttpError(f"no HTTP answer came ({line[:100]!r})")
        if line in {b"\r\n", b"\n"}:
            return b"".join(lines)
    raise HttpError(f"the head of the answer has more than {HEAD_LIMIT} octets or {HEAD_LINES} lines")


async def _body(
    connection: h11.Connection, reader: asyncio.StreamReader, response: h11.Response
) -> tuple[bytes, bool]:
    """The body up to the limit, and whether that is all of it."""
    if int(_header(response, b"content-length") or 0) > BODY_LIMIT:
        return b"", False  # a body that is not used is not waited for
    body = bytearray()
    raw = idle = 0
    while len(body) <= BODY_LIMIT:
        event = connection.next_event()
        if isinstance(event, h11.Data):
            body += event.data
            idle = 0
        elif isinstance(event, h11.EndOfMessage):
            return bytes(body), True
        else:
            if idle > _STEP:
                raise HttpError(f"a chunk has more than {_STEP} octets before its data")
            if raw > RAW_LIMIT:
                raise HttpError(f"more than {RAW_LIMIT} octets came")
            octets = await reader.read(_STEP)
            raw += len(octets)
            idle += len(octets)
            connection.receive_data(octets)
            await asyncio.sleep(0)  # a read of buffered octets does not yield to other tasks
    return bytes(body[:BODY_LIMIT]), False


def _header(response: h11.Response, name: bytes) -> str | None:
    values = [value for key, value in response.headers if key == name]
    return b", ".join(values).decode("latin-1") if values else None
