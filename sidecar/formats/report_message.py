"""Finds TLS reports in an e-mail (RFC 8460 §5.3), or in a file that is one already; without I/O.

Rules for every editor: a stranger wrote the message. Depth, number of parts and size of headers are bounded, and parts
are not copied; what exceeds a bound is ignored. Types and file names alone decide nothing: senders mislabel reports,
so the first octets decide. Nothing here raises.
"""

import binascii
import quopri
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesHeaderParser
from email.utils import parseaddr

from sidecar.formats.domain_name import to_ascii
from sidecar.formats.tls_report import LARGEST, looks_like_report

LARGEST_MESSAGE = 10 * 1024 * 1024
"""Octets."""
LARGEST_HEADER = 64 * 1024
"""Octets of the header fields of a message or a part."""
DEEPEST = 6
MOST_PARTS = 60
MOST_REPORTS = 10

_LONGEST_FIELD = 2_000
_EMPTY_LINE = re.compile(rb"\r?\n\r?\n")
_FILE_NAME = re.compile(r"\.json(\.gz)?\Z|\.gz\Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Found:
    """The content of a message: the octets of its reports, in order, and claims of its header; nothing is proven."""

    reports: tuple[bytes, ...]
    sender: str | None
    """The domain of `From`, an A-label."""
    domain: str | None
    """The policy domain in `TLS-Report-Domain` (RFC 8460 §5.3), for reports that do not name it."""


@dataclass(slots=True)
class _Walk:
    parts: int = 0
    reports: int = 0


def find(data: bytes) -> Found:
    """The reports in a message or a file of at most `LARGEST_MESSAGE` octets; none of a larger one. Never raises."""
    if looks_like_report(data):
        return Found((data,), None, None)
    if len(data) > LARGEST_MESSAGE:
        return Found((), None, None)
    header, _ = _split(memoryview(data))
    reports = tuple(_reports(memoryview(data), 0, _Walk()))
    return Found(reports, _sender(header), _domain_of(str(header.get("TLS-Report-Domain", ""))))


def sender_of(data: bytes) -> str | None:
    """The domain of `From`, an A-label; None unless there is exactly one that can be read. Never raises."""
    return _sender(_split(memoryview(data))[0])


def _reports(data: memoryview, depth: int, walk: _Walk) -> Iterator[bytes]:
    walk.parts += 1
    if depth > DEEPEST or walk.parts > MOST_PARTS or walk.reports >= MOST_REPORTS:
        return
    header, body = _split(data)
    kind = header.get_content_type()
    if kind.startswith("multipart/"):
        boundary = b""
        # RFC 2231 lets a sender name a character set; in UTF-7 a character can be half of one, which no octets encode.
        with suppress(UnicodeEncodeError):
            boundary = _parameter(header.get_boundary).encode("utf-8", "surrogateescape")
        for part in _parts(body, boundary) if 0 < len(boundary) <= 200 else ():
            yield from _reports(part, depth + 1, walk)
        return
    coding = str(header.get("Content-Transfer-Encoding", "")).strip().lower()
    try:
        if coding == "base64":
            content = binascii.a2b_base64(body)
        else:
            content = quopri.decodestring(bytes(body)) if coding == "quoted-printable" else bytes(body)
    except ValueError:
        content = bytes(body)
    name = _parameter(header.get_filename)[:300]
    if kind == "message/rfc822" or name.lower().endswith(".eml"):
        yield from _reports(memoryview(content), depth + 1, walk)
    elif content.strip() and (
        looks_like_report(content) or "tlsrpt" in kind or _FILE_NAME.search(name) is not None
    ):
        walk.reports += 1
        yield content


def _split(data: memoryview) -> tuple[Message, memoryview]:
    """The header fields and the rest; without an empty line within the bound, everything is header."""
    start = bytes(data[:LARGEST_HEADER])
    if start.startswith((b"\n", b"\r\n")):
        end, begin = 0, start.index(b"\n") + 1
    elif found := _EMPTY_LINE.search(start):
        end, begin = found.start(), found.end()
    else:
        end, begin = len(start), len(data)
    header = BytesHeaderParser().parsebytes(start[:end] + b"\r\n\r\n")
    for name in ("Content-Type", "Content-Disposition"):
        if len(str(header.get(name, ""))) > _LONGEST_FIELD:
            del header[name]  # the time to read its parameters grows with the square of its length
    return header, data[begin:]


def _parts(body: memoryview, boundary: bytes) -> Iterator[memoryview]:
    """The parts between lines that begin with the boundary (RFC 2046 §5.1.1); the last may lack its end."""
    line = re.compile(rb"(?<![^\n])--" + re.escape(boundary) + rb"(--)?[ \t]*\r?(?:\n|\Z)")
    start: int | None = None
    for number, found in enumerate(line.finditer(body)):
        if start is not None:
            yield body[start : found.start()]
        if found[1] or number >= MOST_PARTS:
            return
        start = found.end()
    if start is not None:
        yield body[start:]


def _parameter(read: Callable[[], str | None]) -> str:
    """A parameter of a header field; empty if it is absent, or cannot be read."""
    try:
        return read() or ""
    except (ValueError, LookupError, AttributeError, TypeError):
        return ""


def _sender(header: Message) -> str | None:
    given = header.get_all("From", [])
    return _domain_of(parseaddr(str(given[0])[:1_000])[1].rpartition("@")[2]) if len(given) == 1 else None


def _domain_of(text: str) -> str | None:
    try:
        return to_ascii(text[:300]) if text.strip() else None
    except ValueError:
        return None


assert LARGEST_MESSAGE <= LARGEST  # noqa: S101 - a report that is not packed must fit
