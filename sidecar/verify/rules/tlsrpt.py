"""Findings about the octets of a TLSRPT record (RFC 8460 §3).

Rule for every editor: `tlsrpt_record.read` judges the grammar, and nothing here judges it again. A mailto to another domain
is valid: RFC 8460 has no authorisation record as DMARC does, so there is no finding about it.
"""

from collections.abc import Mapping
from enum import StrEnum

from sidecar.formats.tlsrpt_record import VERSION, TlsrptReading, UriFault
from sidecar.formats.txt_fields import FieldFault
from sidecar.observed.checks import Code, Finding
from sidecar.verify import codes
from sidecar.verify.rules import fields
from sidecar.verify.rules.few import few

_CODES: Mapping[StrEnum, Code] = {
    FieldFault.FOREIGN: codes.TLSRPT_FOREIGN,
    FieldFault.VERSION: codes.TLSRPT_VERSION,
    FieldFault.QUOTED: codes.TLSRPT_QUOTED,
    FieldFault.ESCAPED: codes.TLSRPT_ESCAPED,
    FieldFault.SEMICOLON: codes.TLSRPT_SEMICOLON,
    FieldFault.WHITE_SPACE: codes.TLSRPT_WHITE_SPACE,
    FieldFault.OCTET: codes.TLSRPT_OCTET,
    FieldFault.EMPTY_FIELD: codes.TLSRPT_EMPTY_FIELD,
    FieldFault.FIELD: codes.TLSRPT_FIELD,
    FieldFault.MISSING: codes.TLSRPT_RUA_MISSING,
    UriFault.URI: codes.TLSRPT_URI,
    UriFault.ENCODING: codes.TLSRPT_URI_ENCODING,
    UriFault.SCHEME: codes.TLSRPT_URI_SCHEME,
    UriFault.MAILTO: codes.TLSRPT_MAILTO,
    UriFault.HTTPS: codes.TLSRPT_HTTPS,
}

_TODO: Mapping[StrEnum, str] = {
    **fields.TODO,
    FieldFault.MISSING: "add rua=mailto: and the address for the reports",
    UriFault.URI: "write a URI as mailto:tlsrpt@example.org; between several stands a comma, within one %2C",
    UriFault.ENCODING: "write %21; a size limit, as DMARC has it, does not exist here",
    UriFault.SCHEME: "write mailto: or https:",
    UriFault.MAILTO: "write one whole address, as mailto:tlsrpt@example.org",
    UriFault.HTTPS: "write the whole URI, as https://reports.example.org/tlsrpt",
}

_LENIENT: Mapping[StrEnum, str] = {
    **fields.LENIENT,
    UriFault.URI: "lenient senders use the other destinations, strict ones treat the record as invalid",
    UriFault.ENCODING: "lenient senders may accept it, strict ones treat the record as invalid",
}


def judge(reading: TlsrptReading, subject: str = "the record") -> tuple[Finding, ...]:
    """All findings of a record that `tlsrpt_record.read` read as `reading`; none where all is right."""
    findings = fields.problems(reading.problems, subject, _CODES, _TODO, _LENIENT)
    if reading.spaced:
        todo = "put the semicolon directly after v=TLSRPTv1"
        findings.append(Finding.of(codes.TLSRPT_SPACED, subject, fields.spaced(VERSION), todo))
    if reading.rua:
        for uri in reading.unusable:
            message = (
                f"no report goes to {uri[:60]!r}, which is neither mailto nor https; the others are used"
            )
            findings.append(Finding.of(codes.TLSRPT_URI_UNUSABLE, subject, message, "remove it"))
    for name in reading.repeated:
        if name == "rua":
            message = "the field rua is given again; more than one is allowed, but some senders use only one of them"
            todo = "write all destinations into one rua, with commas between"
        else:
            message = f"the field {name} is given again"
            todo = "keep only the intended one"
        findings.append(Finding.of(codes.TLSRPT_REPEATED, subject, message, todo))
    for name in reading.unknown:
        todo = "remove it unless you know its use"
        findings.append(Finding.of(codes.TLSRPT_UNKNOWN, subject, fields.unknown(name), todo))
    return few(findings)
