"""Records in the forms that people with DNS as code use: octodns' YAML, dnscontrol's JavaScript, JSON; pure.

Rule for every editor: only records whose value is known are exported, and each text is quoted by `json.dumps`, whose
strings YAML and JavaScript read as they are. The zone-file form is in `zone_file`.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum

from sidecar.plan.records import DnsRecord, DomainRecords, RecordNeed


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
