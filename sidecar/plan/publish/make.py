"""From what is known to what is written now: one pass over all domains, the guards, and the result as actions; pure.

Rules for every editor. A name is judged as a whole, since nothing may stand beside a CNAME: a set that was not seen, or
that is foreign and in the way, holds all of the name. Nothing is planned for a name that no account serves. A task by
hand is not held: it is listed where the records of a domain are shown.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from sidecar.dns.publish.port import Remove, Replace
from sidecar.formats.text import cut
from sidecar.observed import NOT_ASKED, Seen, Sight, Unseen
from sidecar.observed.notice import Level, Notice, NoticeCode
from sidecar.observed.record_sets import (
    ABSENT,
    Key,
    Origin,
    RecordObservations,
    RecordSet,
    RecordType,
    Values,
)
from sidecar.observed.words import command
from sidecar.plan.actions import Held, Plan, PublishRecords
from sidecar.plan.policy_ids import record_of
from sidecar.plan.publish import guards, values
from sidecar.plan.publish.guards import tried_again_at
from sidecar.plan.publish.ledger import may_remove, whose
from sidecar.plan.publish.names import MANAGED, ORDER, is_right, owner, report_record, shared_id, wanted
from sidecar.plan.publish.order import Gone, Keep, Stand, Want, pointing_stand, shared_id_stand, stand
from sidecar.plan.publish.values import (
    HeldWrite,
    Picture,
    PublishPlan,
    RecordOwner,
    RecordPlace,
    RecordRow,
    RecordWrite,
    Role,
    Unplaced,
)
from sidecar.settings.dns import Publish, Scheme

WantedSets: TypeAlias = Mapping[RecordType, Values]
Step: TypeAlias = RecordWrite | HeldWrite


def make_plan(picture: Picture) -> PublishPlan:
    """What to write now, what is held, and how every record set stands."""
    rows: list[RecordRow] = []
    steps: list[Step] = []
    for subject in _subjects(picture):
        rows += subject.rows()
        steps += subject.steps()
    writes = [step for step in steps if isinstance(step, RecordWrite)]
    put = {write.key.name for write in writes if isinstance(write.change, Replace)}

    def rank(write: RecordWrite) -> tuple[bool, int, str, str, bool]:
        """Set up: address and reports, what is shared, the id last. Take away: the id first. All of a name together."""
        takes_away, at = write.key.name not in put, ORDER.index(write.role)
        first = isinstance(write.change, Remove)
        return takes_away, -at if takes_away else at, write.domain, write.key.name, not first

    writes.sort(key=rank)
    held = [step for step in steps if isinstance(step, HeldWrite)]
    large = guards.too_large(writes, picture)
    for guard in (guards.share, guards.back_off, guards.rate):
        writes, more = guard(writes, picture)
        held += more
    if picture.facts.publish in {Publish.OFF, Publish.DRY_RUN}:
        said, remedy = f"`dns.publish` is {picture.facts.publish}", "set it to upsert or sync"
        held += [
            HeldWrite(write.key, write.domain, write.role, f"{said}; it would be written", remedy)
            for write in writes
        ]
        writes = []
    return PublishPlan(tuple(writes), tuple(held), tuple(rows), large and picture.override)


@dataclass(frozen=True, slots=True)
class RowsOf(Collection[RecordRow]):
    """The rows of a picture, computed when they are read: a settled picture of thousands of names is not kept twice."""

    picture: Picture

    def __iter__(self) -> Iterator[RecordRow]:
        return (row for subject in _subjects(self.picture) for row in subject.rows())

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, row: object) -> bool:
        return any(one == row for one in self)


def _subjects(picture: Picture) -> Iterator["_Subject"]:
    facts = picture.facts
    shared = facts.scheme is Scheme.SHARED and bool(facts.shared_base)
    for domain in picture.domains:
        for role in Role:
            name = owner(role, domain.name)
            if name == facts.hostname:
                continue  # mailcow's own host name has its address already
            if shared and domain.name == facts.shared_base and role is not Role.HOST:
                continue
            judge = pointing_stand if shared and role is Role.ID else partial(stand, role)
            want = wanted(role, domain, picture)
            ttl = facts.settled_ttl if domain.settled else facts.ttl
            yield _Subject(picture, domain.name, role, name, want, judge(domain, picture), ttl)
    if not shared or all(domain.leaving is not None for domain in picture.domains):
        return
    # The records that all domains point to.
    id_name, report_name = owner(Role.ID, facts.shared_base), owner(Role.REPORT, facts.shared_base)
    id_ = shared_id(picture)
    text = None if id_ is None else {RecordType.TXT: (record_of(id_),)}
    yield _Subject(picture, "", Role.ID, id_name, text, shared_id_stand(picture), facts.ttl)
    if facts.tls_report is not None:
        report = {RecordType.TXT: (report_record(facts.tls_report),)}
        why = Want("senders of all domains send reports to this address")
        yield _Subject(picture, "", Role.REPORT, report_name, report, why, facts.settled_ttl)


class _Subject:
    """The record sets at one name, for one role."""

    def __init__(
        self,
        picture: Picture,
        domain: str,
        role: Role,
        name: str,
        want: WantedSets | None,
        stands: Stand,
        ttl: int,
    ) -> None:
        self.picture, self.domain, self.role, self.name, self.ttl = picture, domain, role, name, ttl
        self.stands = stands
        self.want: WantedSets = {} if isinstance(stands, Gone) else dict(want or {})
        self.undecided = want is None and isinstance(stands, Want)

    def found(self, type_: RecordType) -> Sight[RecordSet]:
        return self.picture.found.get(Key(self.name, type_), NOT_ASKED)

    def whose(self, type_: RecordType) -> RecordOwner:
        return whose(Key(self.name, type_), self.found(type_), self.want.get(type_, ()), self.picture.ledger)

    # --- how it stands --------------------------------------------------------------------------------

    def rows(self) -> Iterator[RecordRow]:
        """The sets that are wanted, and those of the same role that are there."""
        right = self._right()
        for type_ in MANAGED[self.role]:
            found = self.found(type_)
            there = isinstance(found, Seen) and not found.value.absent
            if type_ in self.want or there:
                yield RecordRow(
                    self.domain,
                    self.role,
                    Key(self.name, type_),
                    self.want.get(type_, ()),
                    found,
                    self.whose(type_),
                    right,
                )

    def _right(self) -> bool:
        at_name = {type_: sight.value for type_ in RecordType if isinstance(sight := self.found(type_), Seen)}
        if len(at_name) < len(RecordType) or not self.want:
            return False
        return is_right(self.role, at_name, dict(self.want), self.picture.facts)

    # --- what to do -----------------------------------------------------------------------------------

    def steps(self) -> Iterator[Step]:
        """What to write, or why nothing is written although something is missing or in the way."""
        place = self.picture.places.get(self.name, Unplaced("its zone was not looked for yet", known=False))
        match self.stands:
            case Keep(reason, remedy, until):
                if not self._right():
                    yield self._held(self._first_key(), reason, remedy, until)
            case Gone(reason):
                yield from self._removals(place, reason)
            case Want(reason, create):
                yield from self._wanted(place, reason, create=create)

    def _wanted(self, place: RecordPlace | Unplaced, reason: str, *, create: bool) -> Iterator[Step]:
        if self.undecided:
            if self.role is Role.HOST:
                reason = f"no address of {self.picture.facts.hostname} is known"
                yield self._held(self._first_key(), reason, "wait; if it stays so, check MAILCOW_HOSTNAME")
            elif self.role is Role.ID:
                yield self._held(self._first_key(), "it is not known yet what should be there", "wait")
            return
        if isinstance(place, Unplaced):
            if not self._right():
                remedy = "publish it by hand, or name an account for its zone" if place.known else "wait"
                yield self._held(self._first_key(), place.reason, remedy, by_hand=place.known)
            return
        unseen = [type_ for type_ in RecordType if not isinstance(self.found(type_), Seen)]
        if unseen:
            sight = self.found(unseen[0])
            why = "" if isinstance(sight, Seen) else sight.reason
            yield self._held(
                Key(self.name, unseen[0]),
                f"what is there could not be read: {why}",
                f"see `{command('dns test')}`",
            )
            return
        # A foreign set is in the way where the wanted ones cannot replace it or stand beside it. Addresses belong
        # together: a foreign AAAA beside our A would lead half of the senders elsewhere.
        addresses = {RecordType.A, RecordType.AAAA} if self.role is Role.HOST else set()
        for type_ in RecordType:
            in_the_way = RecordType.CNAME in {type_, *self.want} or type_ in {*self.want, *addresses}
            if not in_the_way or self.whose(type_) is not RecordOwner.FOREIGN:
                continue
            if not self._right():
                has = _shown(type_, self._there(type_).values)
                wants = "; ".join(_shown(one, values) for one, values in self.want.items())
                yield self._held(
                    Key(self.name, type_),
                    f"{self.name} has somebody else's record: {has}; wanted: {wants}",
                    f"to let the sidecar manage it: `{command(f'adopt --dns {self.name}')}`; or change it by hand",
                    foreign=True,
                )
            return
        if not create and all(self._there(type_).absent for type_ in MANAGED[self.role]):
            return
        yield from self._changes(place, reason)

    def _changes(self, place: RecordPlace, reason: str) -> Iterator[RecordWrite]:
        for type_ in MANAGED[self.role]:
            key, there, values = Key(self.name, type_), self._there(type_), self.want.get(type_)
            if values is None:
                if not there.absent:  # ours, in the other form
                    why = f"{reason}; in another form now"
                    yield RecordWrite(place, Remove(key, there), self.domain, self.role, why)
                continue
            entry, why = self.picture.ledger.get(key), ""
            if there.values != values:
                why = reason
            elif entry is not None and entry.origin is not Origin.EQUAL:
                # The TTL that was asked for counts, not what a host made of it: a host with a minimum would
                # otherwise get the same write again and again.
                why = "" if self.ttl in {entry.ttl, there.ttl} else "its TTL changes"
            if why:
                change = Replace(key, there, RecordSet(values, self.ttl))
                yield RecordWrite(place, change, self.domain, self.role, why, self.ttl)

    def _removals(self, place: RecordPlace | Unplaced, reason: str) -> Iterator[Step]:
        for type_ in MANAGED[self.role]:
            key, sight = Key(self.name, type_), self.found(type_)
            if not isinstance(sight, Seen) or sight.value.absent:
                continue
            if not may_remove(key, sight.value, self.picture.ledger):
                continue
            if isinstance(place, Unplaced):
                yield self._held(key, place.reason, "remove it by hand", by_hand=place.known)
            elif self.picture.facts.publish is not Publish.SYNC:
                yield self._held(
                    key, f"{reason}; removing needs `dns.publish: sync`", "set it, or remove it by hand"
                )
            else:
                yield RecordWrite(place, Remove(key, sight.value), self.domain, self.role, reason)

    # --- texts ----------------------------------------------------------------------------------------

    def _there(self, type_: RecordType) -> RecordSet:
        sight = self.found(type_)
        return sight.value if isinstance(sight, Seen) else ABSENT

    def _first_key(self) -> Key:
        return Key(self.name, next(iter(self.want), MANAGED[self.role][-1]))

    def _held(
        self,
        key: Key,
        reason: str,
        remedy: str,
        until: float | None = None,
        *,
        foreign: bool = False,
        by_hand: bool = False,
    ) -> HeldWrite:
        return HeldWrite(key, self.domain, self.role, reason, remedy, until, foreign, by_hand=by_hand)


def _shown(type_: RecordType, values: Iterable[str]) -> str:
    return f"{type_} " + ", ".join(cut(value, 80) for value in values)


MOST_SHOWN = 80
"""Characters of a value in a reason."""


def as_plan(found: PublishPlan, looks: RecordObservations) -> Plan:
    """What is written now, what waits, and what a person should know; names that are being written are left alone."""
    by_domain: dict[str, list[values.RecordWrite]] = {}
    for write in found.writes:
        if write.key.name not in looks.under_way:
            by_domain.setdefault(write.domain, []).append(write)
    actions: list[PublishRecords] = []
    for domain, writes in by_domain.items():
        sets: dict[str, list[str]] = {}
        for write in writes:
            new = write.change.wanted.values if isinstance(write.change, Replace) else ()
            shown = cut(", ".join(new), MOST_SHOWN)
            sets.setdefault(write.reason, []).append(f"{write.key} {shown}" if shown else f"no {write.key}")
        reason = "; ".join(f"{', '.join(changed)} ({why})" for why, changed in sets.items())
        actions.append(PublishRecords(domain, tuple(writes), reason))
    waiting: list[values.HeldWrite] = []
    for held in found.held:
        look = looks.of(held.key.name)
        never_read = look.zone is NOT_ASKED or (look.account is not None and look.found is NOT_ASKED)
        if not held.by_hand and not never_read and held.key.name not in looks.under_way:
            waiting.append(held)
    each_once: dict[tuple[str, str], Held] = {}
    for one in waiting:
        action = PublishRecords(one.domain, (), f"{one.key.name} is to be published")
        each_once.setdefault((one.domain, one.reason), Held(action, one.reason, one.until, one.remedy))
    return Plan(tuple(actions), tuple(each_once.values()), _notices(waiting, looks), records=found)


def _notices(waiting: Iterable[values.HeldWrite], looks: RecordObservations) -> tuple[Notice, ...]:
    """Records of somebody else, changes held as a whole, and accounts that cannot be used: their zones get no writes."""

    def warning(code: NoticeCode, subject: str, message: str, todo: str | None) -> Notice:
        return Notice(Level.WARNING, code, subject, message, todo)

    notices = [
        warning(NoticeCode.RECORD_FOREIGN, held.domain or held.key.name, held.reason, held.remedy)
        for held in waiting
        if held.foreign
    ]
    if (large := next((held for held in waiting if held.large), None)) is not None:
        notices.append(warning(NoticeCode.RECORDS_HELD, "dns", large.reason, large.remedy))
    for account, zones in looks.zones.items():
        state = looks.accounts.get(account)
        if isinstance(zones, Unseen) and zones is not NOT_ASKED:
            trouble = zones.reason
        elif state is not None and tried_again_at(state) is not None:
            trouble = state.trouble
        else:
            continue
        message = f"the DNS account {account} cannot be used: {trouble}"
        todo = f"see `{command('dns test')}`; it is tried again automatically"
        notices.append(warning(NoticeCode.ACCOUNT_FAILING, account, message, todo))
    return tuple(notices)
