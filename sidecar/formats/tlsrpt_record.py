"""The TXT record of RFC 8460 §3 at `_smtp._tls.<domain>`, with its URIs: its octets in, its rua or all problems out; pure.

Rules for every editor: the grammars are those of RFC 8460 and RFC 3986, octet by octet; `urllib.parse` also splits text
that is not a URI, so it cannot be used here. Looking up a record, sending or reading reports does not belong here. Unlike
with DMARC, a mailto of another domain needs no record of that domain.
"""

import re
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import AddressValueError, IPv6Address
from urllib.parse import unquote_to_bytes

from sidecar.formats.mtasts_policy import Invalid
from sidecar.formats.text import WSP, ascii_lower, shown
from sidecar.formats.txt_fields import RecordProblem, missing, split

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


VERSION = b"v=TLSRPTv1"

# RFC 8460 §3, the ABNF; the rest of the record is in `txt_fields`. Departures: none.
#   tlsrpt-rua = %s"rua=" tlsrpt-uri *(*WSP "," *WSP tlsrpt-uri)
#   tlsrpt-uri = URI ; "URI" is imported from [RFC3986]; commas (ASCII 0x2C), exclamation points (ASCII 0x21), and
#                    ; semicolons (ASCII 0x3B) MUST be encoded


class UriFault(StrEnum):
    """The kinds of problems of a rua."""

    URI = "uri"
    ENCODING = "uri-encoding"
    SCHEME = "uri-scheme"
    MAILTO = "mailto"
    HTTPS = "https"


@dataclass(frozen=True, slots=True)
class TlsrptRecord:
    """A record as senders understand it; `rua` holds the destinations that can be used, in order, as written."""

    rua: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TlsrptReading:
    """What the grammar makes of the octets: the valid destinations, even if the octets are not a record."""

    problems: tuple[RecordProblem, ...]
    rua: tuple[str, ...]
    unusable: tuple[str, ...]
    """Destinations with a scheme that senders do not support; they are skipped if there is a usable one."""
    spaced: bool
    """Whether white space stands before the first semicolon: valid, but senders that follow the prose discard the record."""
    repeated: tuple[str, ...]
    """Repeated names; all rua count (RFC 8460 §3), of others only the first."""
    unknown: tuple[str, ...]

    @property
    def record(self) -> TlsrptRecord | None:
        return None if self.problems or not self.rua else TlsrptRecord(self.rua)


def parse(data: bytes) -> TlsrptRecord | Invalid:
    """The record in `data` (a TXT record's strings joined), or all that is wrong with it; never raises."""
    reading = read(data)
    return reading.record or Invalid(tuple(problem.text for problem in reading.problems))


def read(data: bytes) -> TlsrptReading:
    """What the grammar makes of `data` (a TXT record's strings joined), right or wrong; never raises."""
    parts = split(data, VERSION, frozenset({b"rua"}))
    problems = list(parts.problems)
    rua: list[str] = []
    unusable: list[str] = []
    names = [field.name for field in parts.fields]
    for field in parts.fields:
        if field.name != "rua":
            continue
        # The grammar allows white space beside a comma only; `split` has checked that there is none at the ends.
        for item in (one.strip(WSP) for one in field.value.split(b",")):
            match _judge(item):
                case None:
                    rua.append(item.decode())
                case RecordProblem(UriFault.SCHEME):
                    unusable.append(item.decode())
                case problem:
                    problems.append(problem)
    if unusable and not rua:
        problems.append(
            RecordProblem(
                UriFault.SCHEME,
                f"no report goes to {shown(unusable[0].encode())}: it is neither mailto nor https",
            )
        )
    if b"rua" not in parts.tried and (parts.tried or not problems):
        problems.append(missing("rua", names))
    return TlsrptReading(
        tuple(problems),
        tuple(rua),
        tuple(unusable),
        parts.spaced,
        tuple(name for name, times in Counter(names).items() if times > 1 or name == "v"),
        tuple(dict.fromkeys(name for name in names if name not in {"rua", "v"})),
    )


def _judge(item: bytes) -> RecordProblem | None:
    if not item:
        return RecordProblem(UriFault.URI, "there is an empty destination in its rua")
    if b"!" in item:
        return RecordProblem(UriFault.ENCODING, f"there is a '!' in {shown(item)}, to be written %21")
    if not is_uri(item):
        return RecordProblem(UriFault.URI, f"{shown(item)} is not a URI")
    match ascii_lower(scheme(item)):
        case "mailto" if not is_mailto(item):
            return RecordProblem(UriFault.MAILTO, f"there is no mail address in {shown(item)}")
        case "https" if not is_https(item):
            return RecordProblem(UriFault.HTTPS, f"there is no host in {shown(item)}")
        case "mailto" | "https":
            return None
        case _:
            return RecordProblem(UriFault.SCHEME, f"{shown(item)} is neither mailto nor https")
