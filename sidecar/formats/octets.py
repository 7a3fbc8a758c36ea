"""Octets and letters as the RFCs' grammars see them, where Python's own methods mean more.

Rule for every editor: `str.lower`, `str.strip`, `str.isdigit` and `splitlines` know Unicode; the grammars know
US-ASCII. The grammars themselves do not belong here.
"""

import string

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
