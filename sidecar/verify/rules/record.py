"""Findings about the octets of an MTA-STS record (RFC 8461 §3.1).

Rule for every editor: the grammar is `mtasts_record.read`'s, and is not judged a second time here. How many records
there are, and whether the id fits the policy, belong elsewhere.
"""

from collections.abc import Mapping
from enum import StrEnum

from sidecar.formats.mtasts_record import VERSION, IdFault, StsReading
from sidecar.formats.txt_fields import FieldFault
from sidecar.observed.checks import Code, Finding
from sidecar.verify import codes
from sidecar.verify.rules import fields
from sidecar.verify.rules.few import few

_CODES: Mapping[StrEnum, Code] = {
    FieldFault.FOREIGN: codes.RECORD_FOREIGN,
    FieldFault.VERSION: codes.RECORD_VERSION,
    FieldFault.QUOTED: codes.RECORD_QUOTED,
    FieldFault.ESCAPED: codes.RECORD_ESCAPED,
    FieldFault.SEMICOLON: codes.RECORD_SEMICOLON,
    FieldFault.WHITE_SPACE: codes.RECORD_WHITE_SPACE,
    FieldFault.OCTET: codes.RECORD_OCTET,
    FieldFault.EMPTY_FIELD: codes.RECORD_EMPTY_FIELD,
    FieldFault.FIELD: codes.RECORD_FIELD,
    FieldFault.MISSING: codes.RECORD_ID_MISSING,
    IdFault.ID: codes.RECORD_ID,
    IdFault.LENGTH: codes.RECORD_ID_LENGTH,
}

_TODO: Mapping[StrEnum, str] = {
    **fields.TODO,
    FieldFault.MISSING: "add id= with up to 32 letters and digits, new for each new policy",
    IdFault.ID: "write 1 to 32 letters and digits, without a separator",
    IdFault.LENGTH: "shorten it, and use a new one",
}

_LENIENT: Mapping[StrEnum, str] = {
    **fields.LENIENT,
    IdFault.ID: "lenient senders accept any id, strict ones treat the record as invalid",
    IdFault.LENGTH: "lenient senders accept any id, strict ones treat the record as invalid",
}


def judge(reading: StsReading, subject: str = "the record") -> tuple[Finding, ...]:
    """All findings of a record that `mtasts_record.read` made `reading` of; none where all is right."""
    findings = fields.problems(reading.problems, subject, _CODES, _TODO, _LENIENT)
    if reading.spaced:
        todo = "put the semicolon directly after v=STSv1"
        findings.append(Finding.of(codes.RECORD_SPACED, subject, fields.spaced(VERSION), todo))
    for name in reading.repeated:
        message = f"the field {name} is given again; the first counts, though some senders take the last"
        findings.append(Finding.of(codes.RECORD_REPEATED, subject, message, "keep only the intended one"))
    for name in reading.unknown:
        todo = "remove it unless you know its use"
        findings.append(Finding.of(codes.RECORD_UNKNOWN, subject, fields.unknown(name), todo))
    return few(findings)
