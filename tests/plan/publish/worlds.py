"""Small worlds of DNS publishing: a zone as a dictionary, domains, and passes that may be killed between two steps."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from sidecar.dns.publish.port import Remove
from sidecar.observed import Seen
from sidecar.observed.record_sets import (
    ABSENT,
    AccountState,
    Key,
    RecordLedger,
    RecordSet,
    RecordType,
    Values,
    record_set,
)
from sidecar.plan.publish import guards
from sidecar.plan.publish.ledger import intended, learned, removed
from sidecar.plan.publish.make import make_plan
from sidecar.plan.publish.names import keys, names
from sidecar.plan.publish.values import (
    Facts,
    Picture,
    PublishedDomain,
    PublishPlan,
    RecordEvidence,
    RecordPlace,
    RecordWrite,
    Unplaced,
)
from sidecar.settings.dns import Publish

ZONE = "example.org"
HOSTNAME = "mail.example.org"
NOW = 1_000_000.0
HOME = RecordPlace("home", ZONE)
ALL_WELL = RecordEvidence(True, True, True)
FACTS = Facts(HOSTNAME, frozenset({"192.0.2.1", "2001:db8::1"}), "mailto:tls@example.org", Publish.SYNC)


class KilledError(Exception):
    """The process ended here."""


def well(name: str, id_: str = "1") -> PublishedDomain:
    """A domain that has all it needs."""
    return PublishedDomain(name, id_, ALL_WELL)


def txt(*values: str, ttl: int = 300) -> RecordSet:
    """A TXT record set."""
    return record_set(RecordType.TXT, values, ttl)


def cname(value: str, ttl: int = 300) -> RecordSet:
    """A CNAME record set."""
    return record_set(RecordType.CNAME, [value], ttl)


def key(name: str, type_: str) -> Key:
    """A key, such as of `_mta-sts.example.org` and TXT."""
    return Key(name, RecordType(type_))


@dataclass
class World:
    """What outlives the process: the zone and the ledger. `steps` are killed after when they reach zero."""

    domains: tuple[PublishedDomain, ...]
    facts: Facts = FACTS
    zone: dict[Key, RecordSet] = field(default_factory=dict)
    ledger: RecordLedger = field(default_factory=dict)
    accounts: dict[str, AccountState] = field(default_factory=dict)
    places: dict[str, RecordPlace | Unplaced] = field(default_factory=dict)
    now: float = NOW
    floor: int = 0
    kill_in: int | None = None
    override: bool = True
    wrote: dict[Key, set[Values]] = field(default_factory=dict)
    """What was really written, by key: an oracle of its own."""

    def picture(self, **changed: Any) -> Picture:
        """All of it seen."""
        looked = names((domain.name for domain in self.domains), self.facts)
        found = {one: Seen(self.zone.get(one, ABSENT), self.now) for name in looked for one in keys(name)}
        places = {name: self.places.get(name, HOME) for name in looked}
        made = Picture(
            self.now, self.facts, self.domains, found, places, self.ledger, self.accounts, self.override
        )
        return replace(made, **changed)

    def plan(self, **changed: Any) -> PublishPlan:
        """What would be done now."""
        return make_plan(self.picture(**changed))

    def run(self) -> PublishPlan:
        """One pass; returns its plan."""
        plan = self.plan()
        self._step()
        self.ledger = learned(self.ledger, plan, self.now)
        self._step()
        for write in plan.writes:
            self.ledger = intended(self.ledger, write, self.now)
            self._step()
            self._write(write)
            self._step()
            if isinstance(write.change, Remove):
                self.ledger = removed(self.ledger, write.key)
                self._step()
            self.accounts["home"] = guards.wrote(self.accounts.get("home"), self.now)
        return plan

    def settle(self, most: int = 12) -> None:
        """Passes until nothing is left to do; each is a while after the one before."""
        for _ in range(most):
            if not self.run().writes:
                return
            self.now += 400
        raise AssertionError("the passes do not come to an end")

    def settle_with_kills(self, kills: Iterable[int]) -> None:
        """The same, but the process ends after so many steps, and starts again."""
        for steps in kills:
            self.kill_in = steps
            try:
                self.settle()
            except KilledError:
                continue
            finally:
                self.kill_in = None
        self.settle()

    def _write(self, write: RecordWrite) -> None:
        there = self.zone.get(write.key, ABSENT)
        assert there.values == write.change.seen.values, "compare-and-set"
        if isinstance(write.change, Remove):
            del self.zone[write.key]
            return
        wanted = write.change.wanted
        beside = {one.type for one in self.zone if one.name == write.key.name} - {write.key.type}
        assert RecordType.CNAME not in beside
        assert write.key.type is not RecordType.CNAME or not beside
        self.zone[write.key] = RecordSet(wanted.values, max(wanted.ttl, self.floor))
        self.wrote.setdefault(write.key, set()).add(wanted.values)

    def _step(self) -> None:
        if self.kill_in is not None:
            self.kill_in -= 1
            if self.kill_in <= 0:
                raise KilledError


def values(zone: dict[Key, RecordSet]) -> dict[Key, Values]:
    """The zone without TTLs."""
    return {one: found.values for one, found in zone.items()}


def all_names(domains: Iterable[PublishedDomain]) -> Iterator[str]:
    """The names that may be touched."""
    for domain in domains:
        yield from (f"mta-sts.{domain.name}", f"_mta-sts.{domain.name}", f"_smtp._tls.{domain.name}")
