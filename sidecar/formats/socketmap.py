"""Postfix's formats without I/O: socketmap requests and replies as netstrings (socketmap_table(5)), a value of main.cf.

Rule for every editor: do not trust a reply before it is parsed. Anything but a valid netstring of the protocol is
refused, and never cut to fit.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

MOST = 100_000
"""Octets of a reply that Postfix takes (socketmap_max_reply_size)."""
_LENGTH = re.compile(rb"(?:0|[1-9][0-9]{0,5})\Z")
LONGEST_LENGTH = 6
"""Digits before the colon, for MOST."""


class SocketmapAnswer(StrEnum):
    """The first word of a reply."""

    OK = "OK"
    NOTFOUND = "NOTFOUND"
    TEMP = "TEMP"
    TIMEOUT = "TIMEOUT"
    PERM = "PERM"


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply; `text` is the value of OK, or the reason of another answer."""

    answer: SocketmapAnswer
    text: str


def request(table: str, key: str) -> bytes:
    """The netstring that asks `table` for `key`."""
    payload = f"{table} {key}".encode()
    return b"%d:%s," % (len(payload), payload)


def length_of(digits: bytes) -> int:
    """The length that stands before the colon; raises ValueError for anything but a decimal number up to MOST."""
    if not _LENGTH.match(digits) or int(digits) > MOST:
        raise ValueError(f"the reply does not begin with a length up to {MOST}: {digits[:20]!r}")
    return int(digits)


def reply_of(payload: bytes) -> Reply:
    """The reply in the payload of a netstring; raises ValueError if it is not a reply."""
    word, space, rest = payload.partition(b" ")
    try:
        answer = SocketmapAnswer(word.decode("ascii"))
        text = rest.decode("utf-8")
    except ValueError as error:
        raise ValueError(f"the reply is not one of the socketmap protocol: {payload[:40]!r}") from error
    if not space or not text.isprintable() or (answer is SocketmapAnswer.OK and not text):
        raise ValueError(f"the reply is not one of the socketmap protocol: {payload[:40]!r}")
    return Reply(answer, text)


def value_of(text: str, name: str) -> str | None:
    """The value of parameter `name`, the last one if it is repeated; None if it is absent."""
    lines: list[str] = []
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue  # also between a line and its continuation
        if line[0] not in " \t":
            lines.append(line)
        elif lines:  # a line that begins with white space continues the one before
            lines[-1] += f" {line}"
    found: str | None = None
    for line in lines:
        key, equals, value = line.partition("=")
        if equals and key.strip() == name:
            found = " ".join(value.split())
    return found
