"""One request and one answer of the simulated mailcow as values, the sessions, and nginx's own pages.

Rule for every editor: decisions about a request are made from an `Ask`, so that they can be tested
without a socket. Routes and tables do not belong here.
"""

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from enum import Enum
from pathlib import Path
from typing import Any, TypeAlias

from demo.simulated_php import compact_json

JSON = "application/json"
HTML = "text/html; charset=utf-8"
TEXT = "text/plain; charset=utf-8"
PLAIN_BLOCK = "text/html"
"""What the server block that redirects plain HTTP calls its pages."""
_GZIP = 16 + zlib.MAX_WBITS
_GZIP_MINIMUM = 256
"""Octets below which nginx sends a file as it is; what PHP makes has no length and is always compressed."""


class Access(Enum):
    """What the key of a call, or the session that it left behind, may do."""

    READ_WRITE = "rw"
    READ_ONLY = "ro"


@dataclass(slots=True)
class Session:
    """What PHP keeps behind a session cookie: rights, and messages that no answer has carried yet."""

    access: Access | None = None
    pending: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Ask:
    """A request: `path` without percent signs and double slashes, header names in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    peer: str
    body: bytes
    tls: bool

    @property
    def host(self) -> str:
        return self.headers.get("host", "")

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "")

    @property
    def gzip(self) -> bool:
        return "gzip" in self.headers.get("accept-encoding", "")


class Body:
    """Octets, and their compressed form made once when first asked for."""

    __slots__ = ("_packed", "raw")

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self._packed: bytes | None = None

    @property
    def packed(self) -> bytes:
        if self._packed is None:
            packer = zlib.compressobj(6, zlib.DEFLATED, _GZIP)
            self._packed = packer.compress(self.raw) + packer.flush()
        return self._packed


@dataclass(frozen=True, slots=True)
class Answer:
    """`session`: whether PHP spoke with its session open, which sets a cookie and forbids caching."""

    status: int
    content_type: str | None
    body: Body
    session: bool = True
    headers: Mapping[str, str] = field(default_factory=dict)


Site: TypeAlias = Callable[[Ask], Answer]
"""A site of the administrator's own, which has a host's port 80 in place of mailcow."""


def another_site(ask: Ask) -> Answer:
    """One that answers every path with a page of its own."""
    del ask
    return Answer(200, HTML, Body(b"<html>a site of my own</html>"), session=False)


def php(
    raw: str | bytes = b"", *, status: int = 200, content_type: str = JSON, session: bool = True
) -> Answer:
    """An answer that PHP wrote."""
    return Answer(status, content_type, Body(raw.encode() if isinstance(raw, str) else raw), session=session)


def said(data: Any, *, status: int = 200, content_type: str = JSON) -> Answer:
    """A message, or a list of them, of the API."""
    return php(compact_json(data), status=status, content_type=content_type)


def error(status: int, message: str, *, content_type: str = JSON) -> Answer:
    """The object that the API gives where it refuses a call as a whole."""
    return said({"type": "error", "msg": message}, status=status, content_type=content_type)


ROUTE_NOT_FOUND = error(404, "route not found")

_REASONS = {301: "Moved Permanently", 403: "Forbidden", 404: "Not Found", 405: "Not Allowed"}


def nginx_page(status: int, *, content_type: str = HTML, headers: Mapping[str, str] | None = None) -> Answer:
    """A page of nginx itself, which no PHP code had a hand in."""
    title = f"{status} {_REASONS[status]}"
    lines = [
        "<html>",
        f"<head><title>{title}</title></head>",
        "<body>",
        f"<center><h1>{title}</h1></center>",
        "<hr><center>nginx</center>",
        "</body>",
        "</html>",
        "",
    ]
    page = Body("\r\n".join(lines).encode())
    return Answer(status, content_type, page, session=False, headers=headers or {})


def static_file(path: Path | None, ask: Ask) -> Answer:
    """The policy file of the file generation as nginx serves it, which is not root. Blocks on the disk."""
    if ask.method not in {"GET", "HEAD"}:
        return nginx_page(405)
    try:
        if path is None:
            return nginx_page(404)
        stat = path.stat()
        if not stat.st_mode & 0o004:
            return nginx_page(403)
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return nginx_page(404)
    return _file(data, stat.st_mtime, ask)


def _file(data: bytes, changed_at: float, ask: Ask) -> Answer:
    seconds = int(changed_at)
    tag, modified = f'"{seconds:x}-{len(data):x}"', formatdate(seconds, usegmt=True)
    packed = ask.gzip and len(data) >= _GZIP_MINIMUM
    headers = {"ETag": f"W/{tag}" if packed else tag, "Last-Modified": modified}
    known = ask.headers.get("if-none-match")
    since = ask.headers.get("if-modified-since")
    if (known.removeprefix("W/") == tag) if known is not None else (since == modified):
        return Answer(304, None, Body(b""), session=False, headers=headers)
    return Answer(200, TEXT, Body(data), session=False, headers={**headers, "Accept-Ranges": "bytes"})


def may_be_packed(answer: Answer) -> bool:
    """Whether nginx compresses this answer for a client that takes gzip."""
    size = len(answer.body.raw)
    if not answer.session:
        return answer.status == 200 and size >= _GZIP_MINIMUM
    return bool(size) and answer.status in {200, 403, 404}
