"""Octets and texts of others: as the RFCs' grammars see them, and as they may be shown.

Rules for every editor: `str.lower`, `str.strip`, `str.isdigit` and `splitlines` know Unicode; the grammars know US-ASCII.
Nothing here understands a text; the grammars themselves do not belong here.
"""

import string


def printable(text: str, instead: str = " ") -> str:
    """`text` with `instead` for each character that could move a cursor, end a line or turn the direction of writing."""
    return text if text.isprintable() else "".join(c if c.isprintable() else instead for c in text)


def cut(text: str, most: int) -> str:
    """`text`, or its beginning and an ellipsis: `most` characters in all."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def one_line(text: str, most: int) -> str:
    """`text` in one line of at most `most` characters, each run of white space as one space."""
    return cut(" ".join(printable(text).split()), most)


WSP = b" \t"
"""RFC 5234's WSP, to strip with."""

_MOST = 60
_TO_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


def ascii_lower(text: str) -> str:
    """`text` with A-Z made lower-case and nothing else: `str.lower` turns a Kelvin sign into a k."""
    return text.translate(_TO_LOWER)


def shown(octets: bytes) -> str:
    r"""The beginning of `octets`, quoted, for a sentence; what is not visible US-ASCII is written as \xNN."""
    text = "".join(chr(octet) if 0x20 <= octet < 0x7F else f"\\x{octet:02x}" for octet in octets[:_MOST])
    return f"'{text}'" if len(octets) <= _MOST else f"'{text}…'"
