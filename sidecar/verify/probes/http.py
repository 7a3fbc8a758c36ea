"""One GET of a policy over an open TLS connection: what came back, whole or cut off at the limit.

Why no client library: they follow, cache, pool, decompress and hide the certificate; a sender does none of that.
The answer is read by the standard library's parser.
"""

import asyncio
import http.client
import io
import re
from dataclasses import dataclass
from typing import Any, cast

BODY_LIMIT = 64 * 1024
"""Bytes that a sender need not read beyond (RFC 8461 §3.3)."""
_RAW_LIMIT = 512 * 1024
"""Bytes of head and chunking included: more is no answer to a sane question."""
_READ = 16 * 1024
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_INTERIM = re.compile(rb"HTTP/1\.[01] 1\d\d[^\n]*\n(?:[^\r\n][^\n]*\n)*\r?\n")
"""An answer that says to wait for the final one (RFC 9110 §15.2)."""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """An answer; `body` ends at BODY_LIMIT where it is not `whole`."""

    status: int
    media_type: str | None
    location: str | None
    body: bytes
    whole: bool


class HttpError(Exception):
    """The server's answer is no whole HTTP answer."""


async def get(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, path: str) -> HttpAnswer:
    """The answer to one request; raises HttpError and OSError. The caller has the deadline."""
    request = (
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: mta-sts-sidecar\r\nAccept: text/plain\r\n"
        "Accept-Encoding: identity\r\nCache-Control: no-cache\r\nConnection: close\r\n\r\n"
    )
    writer.write(request.encode("ascii"))
    await writer.drain()
    raw = bytearray()
    while True:
        chunk = await reader.read(_READ)
        raw += chunk
        ended = not chunk
        if ended and not raw:
            raise HttpError("the connection was closed without an answer")
        if (answer := _parsed(bytes(raw), ended=ended)) is not None:
            return answer
        if ended or len(raw) > _RAW_LIMIT:
            raise HttpError("the answer ended early" if ended else f"more than {_RAW_LIMIT} bytes came")


def _parsed(raw: bytes, *, ended: bool) -> HttpAnswer | None:
    """The answer in `raw`; None while more is to come. Raises HttpError for what is no HTTP."""
    while (interim := _INTERIM.match(raw)) is not None:
        raw = raw[interim.end() :]
    if _HEAD_END.search(raw) is None:
        return None
    response = http.client.HTTPResponse(cast("Any", _Bytes(raw)))
    try:
        response.begin()
        by_close = response.length is None and not response.chunked
        body, whole = _body(response)
    except http.client.IncompleteRead:
        return None
    except (http.client.HTTPException, ValueError) as error:
        if ended or len(raw) > _RAW_LIMIT:
            raise HttpError(f"no HTTP answer came ({type(error).__name__}: {str(error)[:100]})") from error
        return None
    if by_close and whole and not ended:
        return None
    return HttpAnswer(
        response.status,
        _media_type(response.getheader("Content-Type")),
        response.getheader("Location"),
        body,
        whole,
    )


def _body(response: http.client.HTTPResponse) -> tuple[bytes, bool]:
    """The body up to the limit, and whether that is all of it; raises IncompleteRead while more is to come."""
    if response.chunked:
        body = b""
        while len(body) <= BODY_LIMIT and (piece := response.read(BODY_LIMIT + 1 - len(body))):
            body += piece
    elif response.length is not None and response.length > BODY_LIMIT:
        return response.read(BODY_LIMIT), False  # what nobody reads is not waited for
    else:
        body = response.read()
    return body[:BODY_LIMIT], len(body) <= BODY_LIMIT


def _media_type(value: str | None) -> str | None:
    return value.partition(";")[0].strip(" \t").lower() if value is not None else None


class _Bytes:
    """A socket as HTTPResponse wants it."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(io.BytesIO(self._raw))
