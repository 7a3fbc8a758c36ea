"""The TXT record of RFC 8460 §3 at `_smtp._tls.<domain>`, without I/O: its octets in, its rua or all problems out.

Rule for every editor: the grammar is the RFC's, octet by octet. Looking up a record, sending or reading reports does
not belong here. Unlike with DMARC, a mailto of another domain needs no record of that domain.
"""

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

from sidecar.formats.mtasts_policy import Invalid
from sidecar.formats.octets import WSP, ascii_lower, shown
from sidecar.formats.txt_fields import RecordProblem, missing, split
from sidecar.formats.uri import is_https, is_mailto, is_uri, scheme

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
