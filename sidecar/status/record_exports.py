"""Records in the forms that people copy: a zone file (RFC 1035 §5.1), octodns' YAML, dnscontrol's JavaScript, JSON; pure.

Rules for every editor: only records whose value is known are exported, and each text is quoted by `json.dumps`, whose
strings YAML and JavaScript read as they are. In a zone file names are fully qualified, to be pasted as they are. Text from
the DNS or from an error may contain anything: a comment must not contain a line end, otherwise a stranger's text would
become a record.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum

from sidecar.formats.domain_name import to_unicode
from sidecar.formats.text import one_line
from sidecar.plan.records import DnsRecord, DomainRecords, RecordNeed, RecordState


class Form(StrEnum):
    """Forms of an export."""

    ZONE = "zone"
    OCTODNS = "octodns"
    DNSCONTROL = "dnscontrol"
    JSON = "json"


def exported(found: Sequence[DomainRecords], form: Form, *, missing: bool = False) -> str:
    """The records in a form that is not the zone file; `missing`: only what somebody has to publish now."""
    match form:
        case Form.OCTODNS:
            return _octodns(found, missing=missing)
        case Form.DNSCONTROL:
            return _dnscontrol(found, missing=missing)
        case Form.JSON:
            return _json(found, missing=missing)
        case Form.ZONE:
            raise ValueError("zone_file.zone_text writes this form")


def _needs(records: DomainRecords, *, missing: bool) -> Iterator[tuple[RecordNeed, DnsRecord]]:
    for need in records.needs:
        if need.record is not None and (need.lacking or not missing):
            yield need, need.record


def _octodns(found: Iterable[DomainRecords], *, missing: bool) -> str:
    """One document for each domain, as the file of its zone has it."""
    blocks: list[str] = []
    for records in found:
        lines: list[str] = []
        for _, record in _needs(records, missing=missing):
            value = _value(record)
            if record.type == "TXT":
                value = value.replace(";", "\\;")  # octodns requires it escaped
            lines += [
                f"{json.dumps(_relative(record, records))}:",
                f"  type: {record.type}",
                f"  ttl: {records.ttl}",
                f"  value: {json.dumps(value)}",
            ]
        if lines:
            blocks.append("\n".join(["---", f"# {records.domain.name}.yaml", *lines]))
    return "\n".join([*blocks, ""])


def _dnscontrol(found: Iterable[DomainRecords], *, missing: bool) -> str:
    """D_EXTEND adds to a domain that is declared elsewhere in dnsconfig.js."""
    blocks: list[str] = []
    for records in found:
        lines = [
            f"  {record.type}({json.dumps(_relative(record, records))}, {json.dumps(_value(record))}, TTL({records.ttl}))"
            for _, record in _needs(records, missing=missing)
        ]
        if lines:
            blocks.append(f"D_EXTEND({json.dumps(records.domain.name)},\n" + ",\n".join(lines) + "\n);")
    return "\n".join([*blocks, ""])


def _json(found: Iterable[DomainRecords], *, missing: bool) -> str:
    rows = [
        {
            "domain": records.domain.name,
            "name": record.owner,
            "type": record.type,
            "value": _value(record),
            "ttl": records.ttl,
            "standing": str(need.standing),
            "note": need.note,
        }
        for records in found
        for need, record in _needs(records, missing=missing)
    ]
    return json.dumps(rows, indent=2) + "\n"


def _relative(record: DnsRecord, records: DomainRecords) -> str:
    return record.owner.removesuffix(f".{records.domain.name}")


def _value(record: DnsRecord) -> str:
    return record.value if record.type == "TXT" else f"{record.value}."


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
