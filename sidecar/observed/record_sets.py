"""DNS record sets as values: in the one form in which they are compared, as published, and as read; pure.

They are read at their source and at each authoritative server.

Rules for every editor: a set without values is an answer ('there is none'); what was not seen is `Unseen`. There may be
thousands of names, so a look holds only the sets that are there.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import ip_address
from types import MappingProxyType
from typing import TypeAlias

from sidecar.observed.sight import NOT_ASKED, Seen, Sight, Unseen

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
    """A person asked to adopt it."""
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


@dataclass(frozen=True, slots=True)
class ServerAnswers:
    """The answers of the authoritative servers of a name, at Unix second `at`."""

    at: float
    answers: tuple[Values, ...]
    """The different answers, the most frequent first; the target of a CNAME is given as `CNAME target`. One: they agree."""
    silent: tuple[str, ...] = ()
    """Why servers gave no answer; a bounded number of reasons."""


@dataclass(frozen=True, slots=True)
class NameObservation:
    """One name: the zone that it lies in by SOA, the account that serves the zone, and what is there."""

    zone: Sight[str] = NOT_ASKED
    account: str | None = None
    found: Sight[tuple[tuple[RecordType, RecordSet], ...]] = NOT_ASKED
    """At the source: the sets that are there, and no others."""
    servers: ServerAnswers | None = None


def expected(look: NameObservation) -> Values:
    """What the servers should answer once they have what is at the source."""
    sets = dict(look.found.value) if isinstance(look.found, Seen) else {}
    if (alias := sets.get(RecordType.CNAME)) is not None:
        return (f"{RecordType.CNAME} {alias.values[0]}",)
    for type_ in (RecordType.TXT, RecordType.A, RecordType.AAAA):
        if type_ in sets:
            return sets[type_].values
    return ()


NO_OBSERVATION = NameObservation()
_PREFIXES = ("mta-sts.", "_mta-sts.", "_smtp._tls.")


@dataclass(frozen=True, slots=True)
class AccountState:
    """What happened at one account: failures since the last success, and when writes were made (Unix times)."""

    failures: int = 0
    failed_at: float = 0.0
    writes: tuple[float, ...] = ()
    trouble: str = ""
    """What the last failure was."""


@dataclass(frozen=True, slots=True)
class RecordObservations:
    """Everything that was read; `version` changes whenever anything does."""

    version: int = 0
    names: Mapping[str, NameObservation] = field(default_factory=lambda: MappingProxyType({}))
    zones: Mapping[str, Sight[tuple[str, ...]]] = field(default_factory=lambda: MappingProxyType({}))
    """The zones that each account serves, in the order of the settings."""
    accounts: Mapping[str, AccountState] = field(default_factory=lambda: MappingProxyType({}))
    under_way: frozenset[str] = frozenset()
    """Names that are being written."""
    writing: bool = True
    """Whether records are written at all (not so in a dry run)."""

    def of(self, name: str) -> NameObservation:
        """What is known of a name."""
        return self.names.get(name, NO_OBSERVATION)

    def served(self, name: str) -> bool:
        """Whether an account serves the zone of this name, so that no person has to publish its records.

        This is assumed for a name whose zone was not looked up yet: that takes only moments.
        """
        if not self.writing or not self.zones:
            return False
        look = self.names.get(name)
        if look is None:
            return name.startswith(_PREFIXES)
        if look.account is not None or look.zone is NOT_ASKED:
            return True
        # Accounts that were listed before this zone was found are asked again at once.
        return isinstance(look.zone, Seen) and any(one.at < look.zone.at for one in self.zones.values())


@dataclass(frozen=True, slots=True)
class FoundSets(Mapping[Key, Sight[RecordSet]]):
    """What was read, by key: what is at the source under each type of each name."""

    looks: RecordObservations

    def __getitem__(self, key: Key) -> Sight[RecordSet]:
        look = self.looks.names[key.name]
        match look.found:
            case Unseen() as unseen:
                return unseen
            case Seen(sets, at):
                return Seen(next((one for type_, one in sets if type_ is key.type), ABSENT), at)

    def __iter__(self) -> Iterator[Key]:
        return (Key(name, type_) for name in self.looks.names for type_ in RecordType)

    def __len__(self) -> int:
        return len(self.looks.names) * len(RecordType)
