"""Records in the form of a zone file (RFC 1035 §5.1), fully qualified, to be pasted as they are; pure.

Rule for every editor: text from the DNS or from an error may contain anything. A comment must not contain a line
end, otherwise a stranger's text would become a record.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from sidecar.formats.domain_name import to_unicode
from sidecar.formats.text import one_line
from sidecar.plan.records import DnsRecord, DomainRecords, RecordNeed, RecordState

STRING_OCTETS = 255
"""Octets in one string of a TXT record (RFC 1035 §3.3)."""
MOST_SHOWN = 300
"""Characters of a stranger's text."""


def zone_text(found: Sequence[DomainRecords], head: Iterable[str] = (), *, missing: bool = False) -> str:
    """The records with comments, each domain a block; `missing`: only what the DNS lacks. `head` are comments on top."""
    top = [_comment(line) for line in head]
    blocks: list[list[str]] = []
    for records in found:
        lines = [line for need in records.needs for line in _need(need, records.ttl, missing=missing)]
        if not lines:
            continue
        domain = records.domain
        shown = to_unicode(domain.name)
        title = shown if shown == domain.name else f"{shown} ({domain.name})"
        if domain.target is not None:
            title += f", alias domain of {to_unicode(domain.target)}"
        if domain.leaving:
            title += "; leaving MTA-STS: keep these records until no policy is served for it"
        blocks.append([_comment(title), *lines])
    if not blocks:
        top.append("; nothing is missing" if missing else "; no domain needs a record")
    return "\n\n".join("\n".join(lines) for lines in [top, *blocks] if lines) + "\n"


def _need(need: RecordNeed, ttl: int, *, missing: bool) -> Iterator[str]:
    if need.standing is RecordState.NOT_SET or (missing and need.standing is RecordState.PRESENT):
        return
    if need.record is None:
        yield _comment(f"{need.owner}. {need.note}")
        return
    if need.note:
        yield _comment(f"{need.owner}. {need.note}")
    # A note says what must happen first: until then the record is commented out.
    line = f"; {record_line(need.record, ttl)}" if need.note else record_line(need.record, ttl)
    match need.standing:
        case RecordState.UNKNOWN if missing:
            yield _comment(f"not known whether the DNS has it: {need.found}")
            yield f"; {record_line(need.record, ttl)}"
        case RecordState.DIFFERENT:
            yield _comment(f"replaces what the DNS has: {need.found}")
            yield line
        case _:
            yield line


def record_line(record: DnsRecord, ttl: int) -> str:
    """One record; `ttl` in seconds."""
    value = quoted(record.value) if record.type == "TXT" else f"{record.value}."
    return f"{record.owner}. {ttl} IN {record.type} {value}"


def quoted(text: str) -> str:
    """A text as the strings of a TXT record, of 255 octets at most each."""
    octets = text.encode()
    parts = [octets[at : at + STRING_OCTETS] for at in range(0, len(octets), STRING_OCTETS)] or [b""]
    # most texts have no octet to escape
    texts = (part.decode() if _PLAIN.fullmatch(part) else "".join(map(_character, part)) for part in parts)
    return " ".join(f'"{text}"' for text in texts)


_PLAIN = re.compile(rb"[ !#-\[\]-~]*")


def _character(octet: int) -> str:
    if octet in b'"\\':
        return f"\\{chr(octet)}"
    return chr(octet) if 0x20 <= octet < 0x7F else f"\\{octet:03d}"


def _comment(text: str) -> str:
    return f"; {one_line(text, MOST_SHOWN)}"
