"""Whose a record set is, by its value, and what is noted of it; pure.

Rules for every editor. A set is ours when its present values are ones that were published here. A lost ledger makes
sets foreign, never the other way round. An intent is noted before its write, so that a kill between them costs nothing.
"""

from dataclasses import replace

from sidecar.dns.publish.port import Replace
from sidecar.observed import Seen, Sight
from sidecar.observed.record_sets import MOST_PUBLISHED, Entry, Key, Ledger, Origin, RecordSet, Values
from sidecar.plan.publish.values import PublishPlan, RecordOwner, RecordRow, RecordWrite


def whose(key: Key, found: Sight[RecordSet], wanted: Values, ledger: Ledger) -> RecordOwner:
    """`wanted` is empty where nothing is wanted, or it is not known what."""
    if not isinstance(found, Seen):
        return RecordOwner.UNKNOWN
    if found.value.absent:
        return RecordOwner.NOBODY
    entry = ledger.get(key)
    if entry is not None and found.value.values in entry.published:
        return RecordOwner.OURS
    return RecordOwner.OURS if wanted and found.value.values == wanted else RecordOwner.FOREIGN


def may_remove(key: Key, found: RecordSet, ledger: Ledger) -> bool:
    """Whether the ledger says that it was published here or handed over."""
    entry = ledger.get(key)
    return entry is not None and entry.origin is not Origin.EQUAL and found.values in entry.published


def intended(ledger: Ledger, write: RecordWrite, now: float) -> Ledger:
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


def removed(ledger: Ledger, key: Key) -> Ledger:
    """After a removal that is done."""
    return {one: entry for one, entry in ledger.items() if one != key}


def learned(ledger: Ledger, plan: PublishPlan, now: float) -> Ledger:
    """Notes sets that were found with the wanted values: they are kept right from now on, and not removed."""
    new = {row.key: _equal(row, now) for row in plan.rows if row.key not in ledger and _is_wanted(row)}
    moved = {
        row.key: replace(ledger[row.key], published=_kept((*ledger[row.key].published, row.wanted)), at=now)
        for row in plan.rows
        if row.key in ledger and _is_wanted(row) and row.wanted not in ledger[row.key].published
    }
    return {**ledger, **new, **moved} if new or moved else ledger


def adopted(ledger: Ledger, key: Key, found: RecordSet, now: float) -> Ledger:
    """A person hands a set over, with the values that it has now."""
    entry = ledger.get(key)
    published = _kept((*(entry.published if entry else ()), found.values))
    return {**ledger, key: Entry(key, published, Origin.ADOPTED, found.ttl, now)}


def _is_wanted(row: RecordRow) -> bool:
    return isinstance(row.found, Seen) and bool(row.wanted) and row.found.value.values == row.wanted


def _equal(row: RecordRow, now: float) -> Entry:
    ttl = row.found.value.ttl if isinstance(row.found, Seen) else 0
    return Entry(row.key, (row.wanted,), Origin.EQUAL, ttl, now)


def _kept(published: tuple[Values, ...]) -> tuple[Values, ...]:
    """Each once, the newest last."""
    return tuple(reversed(tuple(dict.fromkeys(reversed(published)))[:MOST_PUBLISHED]))
