"""The DNS records that the sidecar publishes, as they are shown: wanted, found at each place, and whose they are; pure.

Rule for every editor: nothing is decided here. A record that no account serves is not here: it is a task by hand.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from sidecar.observed import Seen
from sidecar.observed.record_sets import NameObservation, RecordLedger, RecordObservations, Values, expected
from sidecar.plan.publish.values import HeldWrite, PublishPlan, RecordOwner, RecordRow, Role
from sidecar.plan.records import DomainRecords, RecordNeed, RecordState

BY_ITSELF = "the sidecar publishes it"


class Agreement(StrEnum):
    """Whether the authoritative servers have what is at the source."""

    SAME = "same"
    DIFFERENT = "different"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class PublishedRecord:
    """One record of a domain; texts are such as `TXT v=STSv1;id=1;`, empty where there is none."""

    role: Role
    owner: str
    account: str
    wanted: str
    found: str
    """At the source; or why it was not seen."""
    servers: str
    """The answers of the authoritative servers, and why some gave none."""
    agreement: Agreement
    whose: RecordOwner
    right: bool
    held: str
    """Why nothing is changed now; empty if nothing has to change."""
    since: float = 0.0
    """When the sidecar published its present values, or found them there (Unix seconds); 0 if it did not."""

    @property
    def adoptable(self) -> bool:
        """Whether a person decides: the record is somebody else's, and not as wanted."""
        return self.whose is RecordOwner.FOREIGN and not self.right


def published(
    plan: PublishPlan | None, looks: RecordObservations, ledger: RecordLedger
) -> dict[str, tuple[PublishedRecord, ...]]:
    """By domain, in the order of their names; the records that all domains share are under the empty name."""
    if plan is None:
        return {}
    held = {one.key.name: one for one in plan.held if not one.by_hand}
    by_name: dict[tuple[str, Role, str], list[RecordRow]] = {}
    for row in plan.rows:
        by_name.setdefault((row.domain, row.role, row.key.name), []).append(row)
    found: dict[str, list[PublishedRecord]] = {}
    for (domain, role, name), rows in by_name.items():
        look = looks.of(name)
        if look.account is not None:
            since = max((ledger[row.key].at for row in rows if row.key in ledger), default=0.0)
            one = _one(role, name, look, rows, held.get(name))
            found.setdefault(domain, []).append(replace(one, since=since))
    return {domain: tuple(records) for domain, records in found.items()}


_WORST = (RecordOwner.FOREIGN, RecordOwner.UNKNOWN, RecordOwner.OURS, RecordOwner.NOBODY)


def _one(
    role: Role, name: str, look: NameObservation, rows: Iterable[RecordRow], held: HeldWrite | None
) -> PublishedRecord:
    sets = tuple(rows)
    there = [
        _text(str(row.key.type), row.found.value.values)
        for row in sets
        if isinstance(row.found, Seen) and not row.found.value.absent
    ]
    unseen = [row.found.reason for row in sets if not isinstance(row.found, Seen)]
    servers, agreement = "", Agreement.UNKNOWN
    if (say := look.servers) is not None:
        answers = [", ".join(answer) or "nothing" for answer in say.answers]
        servers = "; ".join([*answers, *(f"no answer: {reason}" for reason in say.silent)])
        if isinstance(look.found, Seen) and not say.silent:
            agreement = Agreement.SAME if say.answers == (expected(look),) else Agreement.DIFFERENT
    return PublishedRecord(
        role,
        name,
        look.account or "",
        "; ".join(_text(str(row.key.type), row.wanted) for row in sets if row.wanted),
        "; ".join(there) or (f"not seen: {unseen[0]}" if unseen else ""),
        servers,
        agreement,
        min((row.whose for row in sets), key=_WORST.index),
        all(row.right for row in sets),
        "" if held is None else held.reason,
    )


def _text(type_: str, values: Values) -> str:
    return f"{type_} {', '.join(values)}"


# --- the needs of a domain --------------------------------------------------------------------------------


def without_own_tasks(
    records: DomainRecords | None, mine: Iterable[PublishedRecord], looks: RecordObservations
) -> DomainRecords | None:
    """The records that a domain needs, where those that the sidecar publishes are nothing to do for a person."""
    if records is None:
        return None
    foreign = {one.owner for one in mine if one.adoptable}

    def judged(need: RecordNeed) -> RecordNeed:
        if not need.lacking or need.owner in foreign or not looks.served(need.owner):
            return need
        return replace(need, standing=RecordState.NOT_YET, note=BY_ITSELF)

    return replace(records, host=judged(records.host), id=judged(records.id), report=judged(records.report))


def by_role(records: Iterable[PublishedRecord]) -> Mapping[str, PublishedRecord]:
    """By the word for the role."""
    return {one.role.value: one for one in records}
