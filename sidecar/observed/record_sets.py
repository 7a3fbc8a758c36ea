"""DNS record sets as values: names, types and values in the one form in which they are compared, and what was published.

Rule for every editor: a set without values is an answer ('there is none'); what was not seen is `Unseen`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address
from typing import TypeAlias

Values: TypeAlias = tuple[str, ...]

MOST_VALUES = 100
"""Values of one record set that are kept; a set of ours has one, or a few addresses."""
MOST_PUBLISHED = 16
"""Values that are kept of one published record set: more than the changes that can be under way at once."""
LONGEST_TEXT = 4_096
"""Characters of one value."""


class RecordType(StrEnum):
    """The types that are read and written."""

    A = "A"
    AAAA = "AAAA"
    CNAME = "CNAME"
    TXT = "TXT"


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """Names a record set: a lower-case A-label name without a final dot, and a type."""

    name: str
    type: RecordType

    def __str__(self) -> str:
        return f"{self.name} {self.type}"


@dataclass(frozen=True, slots=True)
class RecordSet:
    """The values under one key, sorted, and their TTL in seconds; without values there is no such set.

    A name has no final dot, a TXT value is the text of its strings joined (ISO 8859-1), an address its usual form.
    """

    values: Values = ()
    ttl: int = 0

    @property
    def absent(self) -> bool:
        return not self.values

    def same_values(self, other: "RecordSet") -> bool:
        return self.values == other.values


ABSENT = RecordSet()


def record_set(type_: RecordType, values: Iterable[str], ttl: int) -> RecordSet:
    """A record set in the one form in which sets are compared; raises ValueError for what is not of this type."""
    return RecordSet(tuple(sorted({normal(type_, value) for value in values})), ttl)


def normal(type_: RecordType, value: str) -> str:
    """A value in the one form in which values are compared; raises ValueError."""
    match type_:
        case RecordType.A | RecordType.AAAA:
            return str(ip_address(value))
        case RecordType.CNAME:
            return value.rstrip(".").lower()
        case RecordType.TXT:
            return value


# --- the ledger -------------------------------------------------------------------------------------------


class Origin(StrEnum):
    """Why a record set counts as ours."""

    WROTE = "wrote"
    ADOPTED = "adopted"
    """A person handed it over."""
    EQUAL = "equal"
    """It was there with the wanted values: it is kept up to date, and never removed."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What was published under one key: the intent is noted before each write."""

    key: Key
    published: tuple[Values, ...]
    """The values of each time, the newest last; at most MOST_PUBLISHED."""
    origin: Origin
    ttl: int
    """The TTL that was requested, in seconds; the host may use another one."""
    at: float
    """Unix time of the last change of this entry."""


RecordLedger: TypeAlias = Mapping[Key, Entry]
