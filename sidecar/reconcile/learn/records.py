"""Learns from the DNS records that were read: sets that a person asked to adopt, that are as wanted, or gone; pure.

Rule for every editor: only a set that was seen is adopted or forgotten.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace

from sidecar.dns.publish.port import Outcome, Remove, WriteDone
from sidecar.observed import LARGE_DNS_PLAN, NOT_ASKED, Memory, Observed, Seen
from sidecar.observed.record_sets import Entry, Key, RecordType
from sidecar.plan.actions import PublishRecords
from sidecar.plan.publish.ledger import adopted, intended, learned, removed
from sidecar.plan.publish.picture import domain_of
from sidecar.plan.publish.values import Picture, PublishPlan


def with_adopted(observed: Observed, looked_at: Collection[str]) -> Memory:
    """With the sets at the names that a person asked to adopt; the request ends when the name is no longer read."""
    memory, looks = observed.memory, observed.records
    if not memory.adopt_records:
        return memory
    ledger: Mapping[Key, Entry] = memory.published
    open_: set[str] = set()
    for name in memory.adopt_records:
        look = looks.of(name)
        if isinstance(look.found, Seen):
            for type_, found in look.found.value:
                # A TXT record beside the address of a policy host is never changed.
                if type_ is not RecordType.TXT if name.startswith("mta-sts.") else type_ in _TEXTS:
                    ledger = adopted(ledger, Key(name, type_), found, observed.now)
        elif name in looked_at:
            open_.add(name)
    return replace(memory, published=ledger, adopt_records=frozenset(open_))


_TEXTS = (RecordType.TXT, RecordType.CNAME)


def learn_records(observed: Observed, picture: Picture, plan: PublishPlan) -> Memory:
    """With what was found as it should be, without what is gone of domains that left."""
    memory, looks = observed.memory, observed.records
    ledger = learned(memory.published, plan, observed.now)
    leaving = {domain.name for domain in picture.domains if domain.leaving is not None}
    for key in tuple(ledger) if leaving else ():
        sight = picture.found.get(key)
        gone = isinstance(sight, Seen) and sight.value.absent and key.name not in looks.under_way
        if gone and domain_of(key) in leaving:
            ledger = removed(ledger, key)
    lifted = memory.let_through
    if LARGE_DNS_PLAN in lifted and not plan.let_through:
        # Consent lasts until all names were read once, which may make the plan large. A name that no account serves, or
        # that could not be read, does not count: consent would last forever, and apply to a plan that nobody has seen.
        names = {row.key.name for row in plan.rows}
        unread = any(looks.of(name).found is NOT_ASKED and looks.served(name) for name in names)
        if plan.rows and not unread and NOT_ASKED not in looks.zones.values():
            lifted = lifted - {LARGE_DNS_PLAN}
    if ledger is memory.published and lifted is memory.let_through:
        return memory
    return replace(memory, published=ledger, let_through=lifted)


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
