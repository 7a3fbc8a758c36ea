"""Reads the DNS records that are published, and writes them, beside the passes: one task for each account.

Rules for every editor. No pass waits for a DNS host, and no account for another. What is to be written was decided in a
pass, and its intent is stored before `write` is called. Which names are due is decided in `plan.publish.looking`.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias, TypeVar

from sidecar.dns.answers import Zone
from sidecar.dns.authoritative import Asker
from sidecar.dns.publish.port import Change, Outcome, Publisher, Unclear, WriteDone, WriteRefused, after
from sidecar.host.clock import Clock
from sidecar.host.errors import PermanentError
from sidecar.host.lean import structlog
from sidecar.host.tasks import end_tasks
from sidecar.observed import NOT_ASKED, Seen, Sight, Unseen
from sidecar.observed.record_sets import (
    NO_OBSERVATION,
    AccountState,
    Key,
    NameObservation,
    RecordObservations,
)
from sidecar.observed.words import command
from sidecar.plan.actions import PublishRecords
from sidecar.plan.publish import guards, looking
from sidecar.plan.publish.values import RecordWrite
from sidecar.reconcile.record_work import (
    NO_SERVERS,
    account_of,
    ask_servers,
    read_names,
    up_to_date,
    zones_of,
)

log = structlog.get_logger()

T = TypeVar("T")

BATCH = 60
"""Names of one zone that are read, or written, in one call: each call has a deadline."""
ZONES_AT_ONCE = 200
"""Names whose zones are found before the next pass sees them."""
MOST_SHARED = 2_000
"""Equal values of many names that are kept once."""
SOON_S = (0.0, 0.3, 0.7, 1.5)
"""Pauses before the servers are asked after a write; what takes longer is read from later passes."""
REPORT_S = 3.0
"""Long work wakes a pass this often."""

Maker: TypeAlias = Callable[[str], Publisher]
"""Makes the account of this name; raises PermanentError. May block."""


@dataclass
class _Pending:
    """An action that is being carried out, and how its finished writes ended."""

    action: PublishRecords
    ended: dict[Key, Outcome] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        return len(self.ended) == len(self.action.writes)


@dataclass(frozen=True, slots=True)
class Ended:
    """How each write of an action ended."""

    action: PublishRecords
    outcomes: Mapping[Key, Outcome]


class Records:
    """What is known of the records, and the work that is under way."""

    def __init__(
        self, accounts: Sequence[str], make: Maker, clock: Clock, asker: Asker, *, writing: bool = True
    ) -> None:
        self._writing = writing
        self._make = make
        self._clock = clock
        self._asker = asker
        self._names: dict[str, NameObservation] = {}
        self._listed: dict[str, Sight[tuple[str, ...]]] = dict.fromkeys(accounts, NOT_ASKED)
        self._asked: dict[str, frozenset[str]] = {}
        """The zones that each account was asked about."""
        self._states: dict[str, AccountState] = {}
        self._zones: dict[str, Zone] = {}
        self._tries: dict[str, int] = {}
        """How often in a row the servers were found behind the source."""
        self._wrong: frozenset[str] = frozenset()
        self._shared: dict[object, Any] = {}
        """Equal values of many names are kept once."""
        self._rushed: set[str] = set()
        self._writes: dict[str, list[tuple[_Pending, RecordWrite]]] = defaultdict(list)
        self._ended: list[Ended] = []
        self._under_way: frozenset[str] = frozenset()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        """By account; the empty name finds zones."""
        self._version = 1
        self._shown = RecordObservations()
        self._reported_at = 0.0
        self.finished: Callable[[], None] = lambda: None
        """Called when there is something new for a pass."""

    # --- what passes see ------------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        return any(not task.done() for task in self._tasks.values())

    def looks(self) -> RecordObservations:
        """All that is known; the same object while nothing changes."""
        if self._shown.version != self._version:
            self._shown = RecordObservations(
                self._version,
                dict(self._names),
                dict(self._listed),
                dict(self._states),
                self._under_way,
                self._writing,
            )
        return self._shown

    def ended(self) -> tuple[Ended, ...]:
        """The actions that ended since the last call."""
        found, self._ended = tuple(self._ended), []
        return found

    # --- what passes ask for --------------------------------------------------------------------------

    def begin(self, names: Sequence[str], wrong: frozenset[str]) -> None:
        """Reads what is due of these names; those that are not `wrong` are read rarely."""
        self._wrong = wrong
        gone = self._names.keys() - set(names)
        for name in gone:
            del self._names[name]
            self._tries.pop(name, None)
        for name in names:
            self._names.setdefault(name, NO_OBSERVATION)
        if gone:
            self._changed()
        self._start_due()

    def rush(self, names: Sequence[str]) -> None:
        """These are read again at once, since they changed in the DNS."""
        self._rushed |= self._names.keys() & set(names)

    def write(self, actions: Sequence[PublishRecords]) -> None:
        """Begins to carry these out."""
        for action in actions:
            pending = _Pending(action)
            for write in action.writes:
                self._writes[write.place.account].append((pending, write))
        self._under_way |= {write.key.name for action in actions for write in action.writes}
        self._changed()
        for account in {write.place.account for action in actions for write in action.writes}:
            self._start(account)

    async def settle(self, seconds: float) -> None:
        """Waits until nothing is under way, so many seconds at most."""
        try:
            async with asyncio.timeout(seconds):
                while tasks := [task for task in self._tasks.values() if not task.done()]:
                    await asyncio.wait(tasks)
        except TimeoutError:
            pass

    async def close(self) -> None:
        """Ends what is under way; a write whose answer did not come is read again by the next start."""
        await end_tasks(*self._tasks.values())

    # --- scheduling -----------------------------------------------------------------------------------

    def _start_due(self) -> None:
        now = self._clock.now()
        if self._zones_due(now):
            self._start("")
        for account in self._listed:
            if self._may_ask(account, now) and (self._list_due(account, now) or self._due(account, now)):
                self._start(account)

    def _start(self, account: str) -> None:
        task = self._tasks.get(account)
        if task is None or task.done():  # a running task takes up what was added
            self._tasks[account] = asyncio.create_task(self._work(account))

    async def _work(self, account: str) -> None:
        try:
            await (self._account(account) if account else self._find_zones())
        except Exception as error:  # the top of this task: no one awaits it
            log.error("bug in DNS publishing; publishing continues", account=account, exc_info=error)
            self._fail(account, "a bug in the sidecar: see its log")
        self._report()

    def _zones_due(self, now: float) -> list[str]:
        return [name for name, look in self._names.items() if looking.zone_due(look.zone, now)]

    def _may_ask(self, account: str, now: float) -> bool:
        again = guards.tried_again_at(self._states.get(account))
        return again is None or again <= now

    def _wanted_zones(self) -> frozenset[str]:
        return frozenset(look.zone.value for look in self._names.values() if isinstance(look.zone, Seen))

    def _list_due(self, account: str, now: float) -> bool:
        wanted = self._wanted_zones()
        if not wanted:
            return False
        served = {zone for one in self._listed.values() if isinstance(one, Seen) for zone in one.value}
        new = not wanted <= self._asked.get(account, frozenset())
        return looking.list_due(self._listed[account], now, new=new, unserved=not wanted <= served)

    def _due(self, account: str, now: float) -> list[str]:
        """Names of this account to be read."""
        count = len(self._names)
        return [
            name
            for name, look in self._names.items()
            if look.account == account
            and name not in self._under_way
            and (
                name in self._rushed
                or looking.read_due(look, now, right=name not in self._wrong, count=count)
                or looking.servers_due(look, now, self._tries.get(name, 0))
            )
        ]

    # --- work -----------------------------------------------------------------------------------------

    async def _find_zones(self) -> None:
        while batch := self._zones_due(self._clock.now())[:ZONES_AT_ONCE]:
            # Most zones have the same servers.
            found = await zones_of(
                self._asker, batch, self._zones, lambda zone: replace(zone, servers=self._once(zone.servers))
            )
            for name, zone in found.items():
                if name not in self._names:
                    continue
                before = self._names[name].zone
                if isinstance(zone, Unseen) and isinstance(before, Seen):
                    # One question that was not answered moves no name; it is asked again as soon as any other.
                    self._served_by(name, Seen(before.value, zone.at - looking.ZONE_S + looking.FAILED_S))
                else:
                    self._served_by(name, zone)
        self._start_due()

    async def _account(self, account: str) -> None:
        try:
            publisher = await asyncio.to_thread(self._make, account)
        except PermanentError as error:
            self._listed[account] = Unseen(str(error), self._clock.now())
            self._fail(account, str(error))
            for pending, write in self._writes.pop(account, []):  # none of them was sent
                self._under_way -= {write.key.name}
                self._wrote(pending, write, WriteRefused(str(error), f"see `{command('dns test')}`"))
            return
        while True:
            now = self._clock.now()
            if self._writes[account]:
                await self._write(account, publisher)
            elif not self._may_ask(account, now):
                return
            elif self._list_due(account, now):
                await self._list(account, publisher)
            elif due := self._due(account, now):
                await self._read(account, publisher, due)
            else:
                return

    async def _list(self, account: str, publisher: Publisher) -> None:
        wanted = self._wanted_zones()
        found = await publisher.zones(sorted(wanted))
        # The time of the answer by our clock: a name server with another one would be asked again and again.
        now = self._clock.now()
        self._asked[account] = wanted
        self._listed[account] = Seen(found.value, now) if isinstance(found, Seen) else found
        if isinstance(found, Unseen):
            self._fail(account, found.reason)
        for name, look in tuple(self._names.items()):
            self._served_by(name, look.zone)
        self._changed()

    def _served_by(self, name: str, zone: Sight[str]) -> None:
        """A name that moved to another zone or account is read again: what was read before does not apply there."""
        before, serving = self._names[name], account_of(zone, self._listed)
        unknown = serving is None and any(isinstance(one, Unseen) for one in self._listed.values())
        moved = isinstance(before.zone, Seen) and isinstance(zone, Seen) and before.zone.value != zone.value
        if moved or (before.account is not None and serving != before.account and not unknown):
            self._note(name, zone=zone, account=serving, found=NOT_ASKED, servers=None)
            self._tries.pop(name, None)
        elif (zone, serving) != (before.zone, before.account):
            self._note(name, zone=zone, account=serving)

    async def _read(self, account: str, publisher: Publisher, due: Sequence[str]) -> None:
        """Reads names of one zone at the source, and asks its servers."""
        zone = self._names[due[0]].zone
        if not isinstance(zone, Seen):
            return
        zones = {name: self._names[name].zone for name in due}
        here = [name for name, one in zones.items() if isinstance(one, Seen) and one.value == zone.value]
        names = here[:BATCH]
        found = await read_names(publisher, zone.value, names)
        now = self._clock.now()
        troubles = [sight.reason for sight in found.values() if isinstance(sight, Unseen)]
        for name, sight in found.items():
            self._rushed.discard(name)
            if name in self._names:
                kept = (
                    Seen(self._once(sight.value), now) if isinstance(sight, Seen) else replace(sight, at=now)
                )
                self._note(name, found=kept)
        if len(troubles) == len(found):
            self._fail(account, troubles[0])
            return
        self._states[account] = guards.succeeded(self._states.get(account))
        await self._ask_servers(names)
        if asyncio.get_running_loop().time() - self._reported_at >= REPORT_S:
            self._report()

    async def _ask_servers(self, names: Sequence[str]) -> None:
        looks = {name: self._names[name] for name in names if name in self._names}
        answers = await ask_servers(self._asker, self._zones, looks)
        now = self._clock.now()
        for name in looks:
            if name in self._names:
                servers = answers.get(name, NO_SERVERS)
                self._note(name, servers=replace(servers, answers=self._once(servers.answers), at=now))
                behind = not up_to_date(self._names[name])
                self._tries[name] = self._tries.get(name, 0) + 1 if behind else 0

    async def _write(self, account: str, publisher: Publisher) -> None:
        """Writes of one zone at once, those of a name together."""
        waiting = self._writes[account]
        zone = waiting[0][1].place.zone
        here = dict.fromkeys(write.key.name for _, write in waiting if write.place.zone == zone)
        chosen = frozenset(list(here)[:BATCH])
        now = [one for one in waiting if one[1].key.name in chosen]
        self._writes[account] = [one for one in waiting if one[1].key.name not in chosen]
        changes: list[Change] = [write.change for _, write in now]
        outcomes = await publisher.write(zone, changes)
        state = self._states.get(account)
        for _ in changes:
            state = guards.wrote(state, self._clock.now())
        unclear = [one for one in outcomes.values() if isinstance(one, Unclear)]
        self._states[account] = guards.succeeded(state)
        if len(unclear) == len(changes):
            self._states[account] = guards.failed(state, self._clock.now(), unclear[0].reason)
        names = list(dict.fromkeys(write.key.name for _, write in now))
        for pending, write in now:
            self._wrote(pending, write, outcomes.get(write.key, Unclear("the DNS host did not say")))
        known = [name for name in names if name not in self._rushed]
        for pause in SOON_S:  # secondary servers take a moment
            await asyncio.sleep(pause)
            behind = [name for name in known if name in self._names and not up_to_date(self._names[name])]
            if not behind:
                break
            await self._ask_servers(behind)
        self._under_way -= set(names)
        self._changed()
        self._report()

    def _wrote(self, pending: _Pending, write: RecordWrite, outcome: Outcome) -> None:
        name = write.key.name
        look = self._names.get(name, NO_OBSERVATION)
        if isinstance(outcome, WriteDone) and isinstance(look.found, Seen):
            sets = {type_: one for type_, one in look.found.value if type_ is not write.key.type}
            if not after(write.change).absent:
                sets[write.key.type] = outcome.now
            self._note(name, found=Seen(tuple(sorted(sets.items())), self._clock.now()))
        else:
            self._rushed.add(name)
        pending.ended[write.key] = outcome
        if pending.over:
            self._ended.append(Ended(pending.action, pending.ended))

    # --- notes ----------------------------------------------------------------------------------------

    def _note(self, name: str, **changed: object) -> None:
        self._names[name] = replace(self._names[name], **changed)  # type: ignore[arg-type]
        self._changed()

    def _once(self, value: T) -> T:
        """The same object for equal values."""
        if len(self._shared) >= MOST_SHARED:
            self._shared.clear()
        found: T = self._shared.setdefault(value, value)
        return found

    def _changed(self) -> None:
        self._version += 1

    def _fail(self, account: str, reason: str) -> None:
        if account:
            self._states[account] = guards.failed(self._states.get(account), self._clock.now(), reason)
        self._changed()

    def _report(self) -> None:
        self._reported_at = asyncio.get_running_loop().time()
        self.finished()
