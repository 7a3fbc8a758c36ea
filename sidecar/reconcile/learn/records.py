"""What the looks at DNS records teach: sets that a person handed over, that are as wanted, or that are gone; pure.

Rule for every editor: only a set that was seen is taken over or forgotten.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace

from sidecar.dns.publish.port import Outcome, Remove, WriteDone
from sidecar.observed import LARGE_DNS_PLAN, NOT_ASKED, Memory, Observed, Seen
from sidecar.observed.record_looks import RecordLooks
from sidecar.observed.record_sets import Entry, Key, RecordType
from sidecar.plan.actions import PublishRecords
from sidecar.plan.publish.ledger import adopted, intended, learned, removed
from sidecar.plan.publish.picture import domain_of
from sidecar.plan.publish.values import Picture, PublishPlan


def handed_over(observed: Observed, looked_at: Collection[str]) -> Memory:
    """With the sets at the names that a person handed over; a name that is not looked at is no wish any more."""
    memory, looks = observed.memory, observed.records
    if not memory.adopt_records:
        return memory
    ledger: Mapping[Key, Entry] = memory.published
    open_: set[str] = set()
    for name in memory.adopt_records:
        look = looks.of(name)
        if isinstance(look.found, Seen):
            for type_, found in look.found.value:
                if _ours_to_decide(name, type_):
                    ledger = adopted(ledger, Key(name, type_), found, observed.now)
        elif name in looked_at:
            open_.add(name)
    return replace(memory, published=ledger, adopt_records=frozenset(open_))


def _ours_to_decide(name: str, type_: RecordType) -> bool:
    """A TXT record beside the address of a policy host is never changed."""
    return type_ is not RecordType.TXT if name.startswith("mta-sts.") else type_ in _TEXTS


_TEXTS = (RecordType.TXT, RecordType.CNAME)


def learn_records(observed: Observed, picture: Picture, plan: PublishPlan) -> Memory:
    """With what was found as it should be, without what is gone of domains that left."""
    memory = observed.memory
    ledger = _without_gone(learned(memory.published, plan, observed.now), picture, observed.records)
    lifted = memory.let_through
    if LARGE_DNS_PLAN in lifted and not plan.let_through and not _awaited(plan, observed.records):
        lifted = lifted - {LARGE_DNS_PLAN}
    if ledger is memory.published and lifted is memory.let_through:
        return memory
    return replace(memory, published=ledger, let_through=lifted)


def _awaited(plan: PublishPlan, looks: RecordLooks) -> bool:
    """Whether a first look is still to come, which may make the plan large.

    A name that no account serves, or that could not be read, is not waited for: consent would last for ever, and count
    for a later plan that nobody has seen.
    """
    if not plan.rows or NOT_ASKED in looks.zones.values():
        return True
    names = {row.key.name for row in plan.rows}
    return any(looks.of(name).found is NOT_ASKED and looks.served(name) for name in names)


def _without_gone(ledger: Mapping[Key, Entry], picture: Picture, looks: RecordLooks) -> Mapping[Key, Entry]:
    leaving = {domain.name for domain in picture.domains if domain.leaving is not None}
    if not leaving:
        return ledger
    gone = [
        key
        for key in ledger
        if domain_of(key) in leaving
        and key.name not in looks.under_way
        and isinstance(sight := picture.found.get(key), Seen)
        and sight.value.absent
    ]
    for key in gone:
        ledger = removed(ledger, key)
    return ledger


def with_intents(memory: Memory, actions: Collection[PublishRecords], now: float) -> Memory:
    """With what is about to be written: to be stored before the first write."""
    ledger: Mapping[Key, Entry] = memory.published
    for action in actions:
        for write in action.writes:
            ledger = intended(ledger, write, now)
    return replace(memory, published=ledger)


def with_outcomes(memory: Memory, action: PublishRecords, outcomes: Mapping[Key, Outcome]) -> Memory:
    """Without the sets that were removed."""
    ledger: Mapping[Key, Entry] = memory.published
    for write in action.writes:
        if isinstance(write.change, Remove) and isinstance(outcomes.get(write.key), WriteDone):
            ledger = removed(ledger, write.key)
    return memory if ledger is memory.published else replace(memory, published=ledger)
