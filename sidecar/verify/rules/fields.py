"""Texts for both kinds of TXT record, where they share their grammar.

Rule for every editor: only what `txt_fields` judges belongs here; the rules of an id are in `record`, of a rua in `tlsrpt`.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum

from sidecar.formats.txt_fields import FieldFault, RecordProblem
from sidecar.observed.checks import Code, Finding

TODO: Mapping[StrEnum, str] = {
    FieldFault.FOREIGN: "publish the record under its own name, beginning with its version",
    FieldFault.VERSION: "spell the version as the RFC does, in upper and lower case",
    FieldFault.QUOTED: "remove the quotation marks: they belong to a zone file, which joins its strings without them",
    FieldFault.ESCAPED: "remove the backslashes: the form of a DNS provider takes the text as it is, and so does a zone "
    "file between quotation marks",
    FieldFault.SEMICOLON: "put a semicolon after the version, and the fields after that",
    FieldFault.WHITE_SPACE: "use spaces and tabs only beside a semicolon, or a comma of rua",
    FieldFault.OCTET: "use only visible US-ASCII, on one line",
    FieldFault.EMPTY_FIELD: "leave one semicolon",
    FieldFault.FIELD: "write it as name=value without spaces, or remove it",
}
"""What to do about a fault that both records can have."""

LENIENT: Mapping[StrEnum, str] = {
    FieldFault.QUOTED: "no sender accepts that",
    FieldFault.ESCAPED: "senders read the backslash as part of the text",
    FieldFault.WHITE_SPACE: "lenient senders may strip it, strict ones treat the record as invalid",
    FieldFault.OCTET: "lenient senders may treat it as white space, strict ones treat the record as invalid",
    FieldFault.EMPTY_FIELD: "lenient senders skip it, strict ones treat the record as invalid",
    FieldFault.FIELD: "lenient senders skip it, strict ones treat the record as invalid",
}
"""What senders do with a fault when they are more lenient than the RFC."""


def problems(
    found: Iterable[RecordProblem],
    subject: str,
    codes: Mapping[StrEnum, Code],
    todo: Mapping[StrEnum, str],
    lenient: Mapping[StrEnum, str],
) -> list[Finding]:
    """A finding for each problem, with its code, what to do, and what lenient senders do (each by kind of problem)."""
    findings: list[Finding] = []
    for problem in found:
        senders = lenient.get(problem.fault)
        message = f"{problem.text}; {senders}" if senders else problem.text
        findings.append(Finding.of(codes[problem.fault], subject, message, todo[problem.fault]))
    return findings


def spaced(version: bytes) -> str:
    """The message about white space before the first semicolon."""
    return (
        f"white space stands before the first semicolon: the grammar allows it, but senders discard a record that "
        f"does not begin with '{version.decode()};'"
    )


def unknown(name: str) -> str:
    """The message about an extension."""
    return f"the field {name} is unknown to the RFC; senders ignore it"
