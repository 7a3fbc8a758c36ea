"""The common form of the TXT records of RFC 8461 §3.1 and RFC 8460 §3: a version, then fields between semicolons.

Rule for every editor: both RFCs have the same grammar, and it is here once, octet by octet. The content of an id or a
rua belongs to `mtasts_record` and `tlsrpt_record`; the lookup decides which of several records counts.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from sidecar.formats.text import WSP, shown

# Both RFCs, with the names of RFC 8461 §3.1. Departures: none.
#   sts-text-record = sts-version 1*(sts-field-delim sts-field) [sts-field-delim]
#   sts-field-delim = *WSP ";" *WSP
# RFC 8461's erratum 6285 (reported, not verified) would take the white space before ";" away, because the prose
# discards what does not begin with "v=STSv1;": such a record is valid here, and the finding says that it is discarded.
_DELIMITER = re.compile(rb"[ \t]*;")
#   sts-ext-name = (ALPHA / DIGIT) *31(ALPHA / DIGIT / "_" / "-" / ".")
_NAME = re.compile(rb"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}\Z")
#   sts-ext-value = 1*(%x21-3A / %x3C / %x3E-7E) ; chars excluding "=", ";", SP, and CTLs
_VALUE = re.compile(rb"[\x21-\x3a\x3c\x3e-\x7e]+\Z")
_NOT_TEXT = re.compile(rb"[^\x20-\x7e\t]")


class FieldFault(StrEnum):
    """The kinds of problems of a record."""

    FOREIGN = "foreign"
    VERSION = "version"
    QUOTED = "quoted"
    ESCAPED = "escaped"
    SEMICOLON = "semicolon"
    WHITE_SPACE = "white-space"
    OCTET = "octet"
    EMPTY_FIELD = "empty-field"
    FIELD = "field"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class RecordProblem:
    """One problem of a record: its kind (a `FieldFault`, or one of the record's own) and a sentence."""

    fault: StrEnum
    text: str


@dataclass(frozen=True, slots=True)
class Field:
    """One field; the `value` of an extension is already checked, the value of a field of the RFC is not."""

    name: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Split:
    """A record taken apart at its semicolons."""

    fields: tuple[Field, ...]
    problems: tuple[RecordProblem, ...]
    spaced: bool
    """Whether there is white space before the first semicolon, which the grammar allows and the prose forbids."""
    tried: frozenset[bytes]
    """The names of all fields, even of invalid ones: those are not reported as missing."""


def joined(strings: Iterable[bytes]) -> bytes:
    """The octets of a TXT record: its strings with nothing between them (RFC 8461 §3.1, RFC 8460 §3)."""
    return b"".join(strings)


def begins(data: bytes, version: bytes) -> bool:
    """Whether a record begins with this `version` (`v=STSv1`) and a semicolon; senders discard all others."""
    return data.startswith(version + b";")


def split(data: bytes, version: bytes, own: frozenset[bytes]) -> Split:
    """The fields of `data`, and its problems; never raises. `own` are the names of fields that are not extensions.

    A record with another beginning is another kind of record, and is not checked further.
    """
    if b"\\;" in data and data.lower().lstrip().startswith(version.lower()):
        problem = RecordProblem(FieldFault.ESCAPED, f"a backslash stands before a semicolon: {shown(data)}")
        return Split((), (problem,), spaced=False, tried=frozenset())
    rest = data[len(version) :]
    found = _DELIMITER.match(rest) if data.startswith(version) else None
    if found is None:
        return Split((), (_beginning(data, version),), spaced=False, tried=frozenset())
    fields: list[Field] = []
    problems: list[RecordProblem] = []
    tried: set[bytes] = set()
    parts = rest[found.end() :].split(b";")
    for number, part in enumerate(parts, 1):
        text = part.strip(WSP)
        if number == len(parts):
            if not text:
                break  # the optional delimiter at the end
            if part.rstrip(WSP) != part:
                problems.append(
                    RecordProblem(
                        FieldFault.WHITE_SPACE, "there is white space at its end, after no semicolon"
                    )
                )
        tried.add(_NOT_TEXT.sub(b"", text.partition(b"=")[0]).strip(WSP))
        match _field(text, own):
            case Field() as field:
                fields.append(field)
            case problem:
                problems.append(problem)
    return Split(tuple(fields), tuple(problems), found[0] != b";", frozenset(tried))


def _beginning(data: bytes, version: bytes) -> RecordProblem:
    """The most helpful reason why `data` does not begin with the version and a semicolon."""
    name = version.decode()
    loose = re.compile(rb"\s*v\s*=\s*" + version[2:] + rb"(?![a-z0-9])", re.IGNORECASE)
    if data.startswith(version):
        follows = data[len(version) :]
        if follows[:1].isalnum():
            return RecordProblem(FieldFault.FOREIGN, f"it is of another version: {shown(data)}")
        if not follows.strip(WSP):
            return RecordProblem(FieldFault.SEMICOLON, f"nothing follows {name!r}")
        return RecordProblem(FieldFault.SEMICOLON, f"no semicolon follows {name!r}: {shown(data)}")
    if data.startswith(b'"'):
        return RecordProblem(FieldFault.QUOTED, f"it begins with a quotation mark: {shown(data)}")
    if found := loose.match(data):
        if b"".join(found[0].split()) == version:
            return RecordProblem(
                FieldFault.WHITE_SPACE, f"there is white space in or before its {name!r}: {shown(data)}"
            )
        return RecordProblem(
            FieldFault.VERSION, f"it begins with {shown(found[0])} instead of {name!r}, which has case"
        )
    return RecordProblem(
        FieldFault.FOREIGN, f"it does not begin with {name!r}: {shown(data) if data else 'it is empty'}"
    )


def _field(text: bytes, own: frozenset[bytes]) -> Field | RecordProblem:
    if not text:
        return RecordProblem(FieldFault.EMPTY_FIELD, "there is nothing between two of its semicolons")
    if found := _NOT_TEXT.search(text):
        return RecordProblem(
            FieldFault.OCTET, f"there is the octet {found[0][0]:02X} in its field {shown(text)}"
        )
    name, equals, value = text.partition(b"=")
    if not equals:
        return RecordProblem(FieldFault.FIELD, f"there is no '=' in its field {shown(text)}")
    if name.rstrip(WSP) != name or value.lstrip(WSP) != value:
        return RecordProblem(
            FieldFault.WHITE_SPACE, f"there is white space beside the '=' of its field {shown(text)}"
        )
    if not _NAME.match(name):
        return RecordProblem(FieldFault.FIELD, f"{shown(name)} is not a field name")
    if name not in own and not _VALUE.match(value):
        return RecordProblem(FieldFault.FIELD, f"{shown(value)} is not a field value")
    return Field(name.decode(), value)


def is_extension_value(value: bytes) -> bool:
    """Whether `value` is valid in a field that the RFC does not define."""
    return bool(_VALUE.match(value))


def missing(name: str, names: Iterable[str]) -> RecordProblem:
    """The problem of a record without the field `name`; `names` are those of its fields."""
    alike = next((other for other in names if other.lower() == name), None)
    hint = f" ({alike!r} is another field: names have case)" if alike else ""
    return RecordProblem(FieldFault.MISSING, f"there is no {name} in it{hint}")
