"""Whose a record set is, by its value, and what is noted about it; pure.

Rules for every editor. A set is ours when its present values are ones that were published here. A lost ledger makes
sets foreign, never the other way round. An intent is noted before its write: being killed between them costs nothing.
"""

from dataclasses import replace

from sidecar.dns.publish.port import Replace
from sidecar.observed import Seen, Sight
from sidecar.observed.record_sets import MOST_PUBLISHED, Entry, Key, Origin, RecordLedger, RecordSet, Values
from sidecar.plan.publish.values import PublishPlan, RecordOwner, RecordWrite


def whose(key: Key, found: Sight[RecordSet], wanted: Values, ledger: RecordLedger) -> RecordOwner:
    """`wanted` is empty where nothing is wanted, or it is not known what."""
    if not isinstance(found, Seen):
        return RecordOwner.UNKNOWN
    if found.value.absent:
        return RecordOwner.NOBODY
    entry = ledger.get(key)
    if entry is not None and found.value.values in entry.published:
        return RecordOwner.OURS
    return RecordOwner.OURS if wanted and found.value.values == wanted else RecordOwner.FOREIGN


def may_remove(key: Key, found: RecordSet, ledger: RecordLedger) -> bool:
    """Whether the ledger says that it was published here or adopted."""
    entry = ledger.get(key)
    return entry is not None and entry.origin is not Origin.EQUAL and found.values in entry.published


def intended(ledger: RecordLedger, write: RecordWrite, now: float) -> RecordLedger:
    """To be stored before the write."""
    wanted = write.change.wanted.values if isinstance(write.change, Replace) else ()
    entry = ledger.get(write.key)
    before = (
        *(entry.published if entry else ()),
        *((write.change.seen.values,) if write.change.seen.values else ()),
    )
    published = _kept((*before, wanted) if wanted else before)
    return {
        **ledger,
        write.key: Entry(write.key, published, Origin.WROTE, write.ttl or (entry.ttl if entry else 0), now),
    }


def removed(ledger: RecordLedger, key: Key) -> RecordLedger:
    """After a removal that is done."""
    return {one: entry for one, entry in ledger.items() if one != key}


def learned(ledger: RecordLedger, plan: PublishPlan, now: float) -> RecordLedger:
    """Notes sets that were found with the wanted values: they are kept right from now on, and not removed."""
    noted: dict[Key, Entry] = {}
    for row in plan.rows:
        if not isinstance(row.found, Seen) or not row.wanted or row.found.value.values != row.wanted:
            continue
        entry = ledger.get(row.key)
        if entry is None:
            noted[row.key] = Entry(row.key, (row.wanted,), Origin.EQUAL, row.found.value.ttl, now)
        elif row.wanted not in entry.published:
            noted[row.key] = replace(entry, published=_kept((*entry.published, row.wanted)), at=now)
    return {**ledger, **noted} if noted else ledger


def adopted(ledger: RecordLedger, key: Key, found: RecordSet, now: float) -> RecordLedger:
    """A person hands a set over, with the values that it has now."""
    entry = ledger.get(key)
    published = _kept((*(entry.published if entry else ()), found.values))
    return {**ledger, key: Entry(key, published, Origin.ADOPTED, found.ttl, now)}


def _kept(published: tuple[Values, ...]) -> tuple[Values, ...]:
    """Each once, the newest last."""
    return tuple(reversed(tuple(dict.fromkeys(reversed(published)))[:MOST_PUBLISHED]))
