"""URIs of report destinations: the generic grammar of RFC 3986, and the rules of mailto and https. Pure.

Rule for every editor: the grammar is the RFC's, octet by octet; `urllib.parse` also splits text that is not a URI, so it
cannot be used here. The three characters that RFC 8460 wants encoded are checked in `tlsrpt_record`.
"""

import re
from ipaddress import AddressValueError, IPv6Address
from urllib.parse import unquote_to_bytes

# RFC 3986 appendix A. Departures: none.
_PCT = rb"%[0-9A-Fa-f]{2}"
_UNRESERVED = rb"A-Za-z0-9._~\-"
_SUB = rb"!$&'()*+,;="
_PCHAR = rb"(?:[" + _UNRESERVED + _SUB + rb":@]|" + _PCT + rb")"
_USERINFO = rb"(?:[" + _UNRESERVED + _SUB + rb":]|" + _PCT + rb")*"
_REG_NAME = rb"(?:[" + _UNRESERVED + _SUB + rb"]|" + _PCT + rb")*"
_IP_LITERAL = rb"\[(?:(?P<ipv6>[0-9A-Fa-f:.]+)|v[0-9A-Fa-f]+\.[" + _UNRESERVED + _SUB + rb":]+)\]"
_AUTHORITY = (
    rb"(?:" + _USERINFO + rb"@)?(?P<host>" + _IP_LITERAL + rb"|" + _REG_NAME + rb")(?P<port>:[0-9]*)?"
)
_ABEMPTY = rb"(?:/" + _PCHAR + rb"*)*"
_ROOTLESS = _PCHAR + rb"+" + _ABEMPTY
_HIER = (
    rb"(?:(?P<authority>//" + _AUTHORITY + rb")" + _ABEMPTY + rb"|"
    rb"(?P<path>/(?:" + _ROOTLESS + rb")?|" + _ROOTLESS + rb"|))"
)
_TAIL = rb"(?:[/?]|" + _PCHAR + rb")*"
_URI = re.compile(
    rb"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):" + _HIER + rb"(?:\?" + _TAIL + rb")?(?:#" + _TAIL + rb")?\Z"
)

# RFC 6068's `to` holds an addr-spec of RFC 5322, here after its percent-encoding is taken off; with letters of UTF-8,
# as RFC 6068 §2 allows them.
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u0080-\U0010ffff-]+"
_DOT_ATOM = rf"{_ATOM}(?:\.{_ATOM})*"
_QUOTED = r'"(?:[\x20\x21\x23-\x5b\x5d-\x7e\u0080-\U0010ffff]|\\[\x20-\x7e])*"'
_LITERAL = r"\[[\x21-\x5a\x5e-\x7e]*\]"
_LOCAL_PART = re.compile(rf"(?:{_DOT_ATOM}|{_QUOTED})\Z")
_DOMAIN = re.compile(rf"(?:{_DOT_ATOM}|{_LITERAL})\Z")


def is_uri(text: bytes) -> bool:
    """Whether `text` is a URI of RFC 3986 §3."""
    return _match(text) is not None


def scheme(text: bytes) -> str:
    """What stands before the first colon of a URI, as written."""
    return text.partition(b":")[0].decode("ascii", "replace")


def is_mailto(text: bytes) -> bool:
    """Whether the URI `text` is a mailto (RFC 6068 §2) with one mail address in its path."""
    found = _match(text)
    if found is None or found["scheme"].lower() != b"mailto" or found["path"] is None:
        return False
    # Split before decoding: %40 is a character of the local part, not the separator.
    local_part, _, domain = found["path"].rpartition(b"@")
    try:
        decoded = unquote_to_bytes(local_part).decode(), unquote_to_bytes(domain).decode()
    except UnicodeDecodeError:
        return False
    return bool(_LOCAL_PART.match(decoded[0]) and _DOMAIN.match(decoded[1]))


def is_https(text: bytes) -> bool:
    """Whether the URI `text` is an https one with a host (RFC 9110 §4.2.2: an empty host makes it invalid)."""
    found = _match(text)
    return found is not None and found["scheme"].lower() == b"https" and bool(found["host"])


def _match(text: bytes) -> re.Match[bytes] | None:
    found = _URI.match(text)
    if found is None or found["ipv6"] is None:
        return found
    try:
        IPv6Address(found["ipv6"].decode())
    except AddressValueError:
        return None
    return found
