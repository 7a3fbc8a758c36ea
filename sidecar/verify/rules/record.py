"""What is said of an MTA-STS record's octets (RFC 8461 §3.1), right or wrong.

Rule for every editor: the grammar is `mtasts_record.read`'s, and is not judged a second time here. How many records
there are, and whether the id fits the policy, belong elsewhere.
"""

from collections.abc import Mapping
from enum import StrEnum

from sidecar.formats.mtasts_record import VERSION, IdFault, Reading
from sidecar.formats.txt_fields import Fault, Problem
from sidecar.observed.findings import Code, Finding
from sidecar.verify import codes
from sidecar.verify.rules import fields
from sidecar.verify.rules.few import few

_CODES: Mapping[StrEnum, Code] = {
    Fault.FOREIGN: codes.RECORD_FOREIGN,
    Fault.VERSION: codes.RECORD_VERSION,
    Fault.QUOTED: codes.RECORD_QUOTED,
    Fault.ESCAPED: codes.RECORD_ESCAPED,
    Fault.SEMICOLON: codes.RECORD_SEMICOLON,
    Fault.WHITE_SPACE: codes.RECORD_WHITE_SPACE,
    Fault.OCTET: codes.RECORD_OCTET,
    Fault.EMPTY_FIELD: codes.RECORD_EMPTY_FIELD,
    Fault.FIELD: codes.RECORD_FIELD,
    Fault.MISSING: codes.RECORD_ID_MISSING,
    IdFault.ID: codes.RECORD_ID,
    IdFault.LENGTH: codes.RECORD_ID_LENGTH,
}

_TODO: Mapping[StrEnum, str] = {
    **fields.TODO,
    Fault.MISSING: "add id= with up to 32 letters and digits, new for each new policy",
    IdFault.ID: "write 1 to 32 letters and digits, without a separator",
    IdFault.LENGTH: "shorten it, and make it new",
}

_LENIENT: Mapping[StrEnum, str] = {
    **fields.LENIENT,
    IdFault.ID: "lenient senders take any id, strict ones take the record for invalid",
    IdFault.LENGTH: "lenient senders take any id, strict ones take the record for invalid",
}


def judge(reading: Reading, subject: str = "the record") -> tuple[Finding, ...]:
    """All findings of a record that `mtasts_record.read` made `reading` of; none where all is well."""
    findings = [_problem(problem, subject) for problem in reading.problems]
    if reading.spaced:
        todo = "let the semicolon follow v=STSv1 at once"
        findings.append(Finding.of(codes.RECORD_SPACED, subject, fields.spaced(VERSION), todo))
    for name in reading.repeated:
        message = f"the field {name} is given again; the first counts, though some senders take the last"
        findings.append(
            Finding.of(codes.RECORD_REPEATED, subject, message, "keep only the one that is meant")
        )
    for name in reading.unknown:
        todo = "take it out unless you know of its use"
        findings.append(Finding.of(codes.RECORD_UNKNOWN, subject, fields.unknown(name), todo))
    return few(findings)


def _problem(problem: Problem, subject: str) -> Finding:
    lenient = _LENIENT.get(problem.fault)
    message = f"{problem.text}; {lenient}" if lenient else problem.text
    return Finding.of(_CODES[problem.fault], subject, message, _TODO[problem.fault])
