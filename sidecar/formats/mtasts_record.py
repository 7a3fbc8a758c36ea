"""The TXT record of RFC 8461 §3.1 at `_mta-sts.<domain>`, without I/O: its octets in, its id or all problems out.

Rule for every editor: the grammar is the RFC's, octet by octet. Looking up a record, choosing among several and
judging whether an id is stale do not belong here.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from sidecar.formats.mtasts_policy import Invalid
from sidecar.formats.text import shown
from sidecar.formats.txt_fields import Field, FieldFault, RecordProblem, is_extension_value, missing, split

VERSION = b"v=STSv1"

#   sts-id = %s"id=" 1*32(ALPHA / DIGIT)
_ID = re.compile(rb"[A-Za-z0-9]{1,32}\Z")


class IdFault(StrEnum):
    """The kinds of problems of an id."""

    ID = "id"
    LENGTH = "id-length"


@dataclass(frozen=True, slots=True)
class StsRecord:
    """A record as senders understand it."""

    id: str


@dataclass(frozen=True, slots=True)
class StsReading:
    """What the grammar makes of the octets: the id if it is valid, even if the octets are not a record."""

    problems: tuple[RecordProblem, ...]
    id: str | None
    spaced: bool
    """Whether white space stands before the first semicolon: valid, but senders that follow the prose discard the record."""
    repeated: tuple[str, ...]
    """Repeated names, of which only the first counts (RFC 8461 §3.2)."""
    unknown: tuple[str, ...]

    @property
    def record(self) -> StsRecord | None:
        return None if self.problems or self.id is None else StsRecord(self.id)


def is_id(text: str) -> bool:
    """Whether a text can be a policy id (RFC 8461 §3.1)."""
    return _ID.match(text.encode("utf-8", "replace")) is not None


def parse(data: bytes) -> StsRecord | Invalid:
    """The record in `data` (a TXT record's strings joined), or all that is wrong with it; never raises."""
    reading = read(data)
    return reading.record or Invalid(tuple(problem.text for problem in reading.problems))


def read(data: bytes) -> StsReading:
    """What the grammar makes of `data` (a TXT record's strings joined), right or wrong; never raises."""
    parts = split(data, VERSION, frozenset({b"id"}))
    problems = list(parts.problems)
    first: dict[str, Field] = {}
    repeated: list[str] = []
    for field in parts.fields:
        if first.setdefault(field.name, field) is field:
            continue
        repeated.append(field.name)
        # It does not count as the id, so it must be a valid extension.
        if not is_extension_value(field.value):
            problems.append(RecordProblem(FieldFault.FIELD, f"{shown(field.value)} is not a field value"))
    found = first.get("id")
    if found is not None:
        if re.match(rb"[A-Za-z0-9]{33,}\Z", found.value):
            length = len(found.value)
            problems.append(
                RecordProblem(IdFault.LENGTH, f"its id has {length} characters instead of up to 32")
            )
        elif not _ID.match(found.value):
            problems.append(
                RecordProblem(
                    IdFault.ID, f"its id is {shown(found.value)} instead of letters and digits alone"
                )
            )
    elif b"id" not in parts.tried and (parts.tried or not problems):
        problems.append(missing("id", first))
    return StsReading(
        tuple(problems),
        found.value.decode() if found is not None and _ID.match(found.value) else None,
        parts.spaced,
        tuple(dict.fromkeys([*repeated, *(["v"] if "v" in first else [])])),
        tuple(name for name in first if name not in {"id", "v"}),
    )
