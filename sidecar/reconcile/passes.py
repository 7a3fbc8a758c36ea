"""The one pass: observe, desire, plan, guard, apply, record.

Rule for every editor: `reconcile` reads from top to bottom like the flow in docs/architecture.md. It computes from
the present state; if it is killed between any two steps, the next pass ends in the same state.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from sidecar.host.clock import Clock
from sidecar.host.files import remove_leftovers
from sidecar.mailcow import challenge, policy_file
from sidecar.mailcow import conf as conf_file
from sidecar.observed import FILE, NOT_ASKED, Memory, Observed, Seen
from sidecar.observed.history import HistoryEvent
from sidecar.observed.notice import Notice, NoticeCode
from sidecar.plan import blind_spots, decide
from sidecar.plan.actions import FILE_SUBJECT, AllowAccess, Plan, PublishRecords
from sidecar.reconcile.apply import Applier, Outcome, Result
from sidecar.reconcile.back_off import BackOff
from sidecar.reconcile.learn.checks import learn_checks, learn_step_back
from sidecar.reconcile.learn.observations import learn, learn_acme, learn_report_way
from sidecar.reconcile.observe import Observer
from sidecar.reconcile.publishing import Publishing
from sidecar.settings import Managed, Settings
from sidecar.state.ledger import Ledger

MOST_QUESTIONS = 6
"""Rounds of questions in one pass: about names that failed in an earlier pass, then to count names, to judge them by
the DNS and by acme-mailcow's log, and to probe them."""
MOST_RECORD_LOOKS = 3
"""Rounds of reading DNS records in a single pass: their zones, what is there, and what follows from that."""


@dataclass(frozen=True, slots=True)
class PassReport:
    """What one pass observed, planned and did."""

    observed: Observed
    plan: Plan
    outcomes: tuple[Outcome, ...]

    @property
    def failed(self) -> bool:
        return any(outcome.result is not Result.DONE for outcome in self.outcomes)

    @property
    def looking(self) -> bool:
        """Whether some policies were not read yet because time ran out."""
        return any(sight is NOT_ASKED for sight in self.observed.served.values())

    @property
    def readable(self) -> bool:
        """Whether mailcow reported its version and its domains."""
        return isinstance(self.observed.mailcow, Seen) and isinstance(self.observed.domains, Seen)


@dataclass
class Passes:
    """The parts that a pass uses."""

    settings: Settings
    clock: Clock
    observer: Observer
    applier: Applier
    ledger: Ledger
    publishing: Publishing
    back_off: BackOff = field(default_factory=BackOff)
    on_observed: Callable[[Observed], None] = field(default=lambda _: None)
    """Called in each pass before anything is changed."""
    _tidied: bool = False

    async def look(self, *, probing: bool = False) -> tuple[Observed, Plan]:
        """Observe and plan, without changing anything in the world; `probing` allows HTTP probes, which write a file."""
        observed, notices = await self.observer.observe(self.ledger.memory)
        observed = self.publishing.seen(observed, self.observer.take_changed())
        observed, plan = await self._decided(observed)
        patient = self.observer.patient
        # A single pass has no later one: it reads the DNS records before anything is decided on them.
        for _ in range(MOST_RECORD_LOOKS if self.publishing.active and patient else 0):
            before = observed.records.version
            await self.publishing.settle()
            observed = self.publishing.seen(observed)
            if observed.records.version == before:
                break
            observed, plan = await self._decided(replace(observed, views=()))
        for _ in range(MOST_QUESTIONS):
            writes = any(action.managed_by is not Managed.ACME for action in plan.actions)
            if not plan.questions or (writes and not patient):
                # Writes do not wait for questions that only concern the certificate: the next pass asks them.
                break
            observed = await self.observer.answer(observed, plan.questions, probing=probing)
            observed, plan = await self._decided(replace(observed, views=()))
        self.publishing.begin()
        if wanted := self.publishing.checks_wanted(observed):
            self.observer.check_at_once(wanted, observed)
        return observed, plan + Plan(notices=_without_repeats(notices + blind_spots(observed), plan))

    async def _decided(self, observed: Observed) -> tuple[Observed, Plan]:
        """Learns from the picture, and makes the plan.

        In a thread: all of it is pure, it takes a second with thousands of domains, and requests to the page or
        `/healthz` must not wait for it.
        """
        waits = self.back_off.waits(observed.now, changing=self.applier.containers.changing)

        def decided() -> tuple[Observed, Plan]:
            known, records = self.publishing.decided(learn_all(observed, self.settings))
            return known, decide(known, self.settings, waits, records)

        return await asyncio.to_thread(decided)

    async def reconcile(self) -> PassReport:
        """One whole pass: observe, learn, desire, plan, guard (all in `look`), then apply and record."""
        # What other processes and the last run left.
        await self.ledger.refresh()
        await self.publishing.restore()
        if not (self._tidied or self.settings.dry_run):
            # Temporary files of a killed run are removed once: no later write would replace them.
            self._tidied = True
            for tidy in (conf_file.tidy, policy_file.tidy, challenge.tidy):
                await asyncio.to_thread(tidy, self.settings.mailcow_dir)
            await asyncio.to_thread(remove_leftovers, self.settings.state_dir)
        ended = await self.applier.containers.ended() + await self.publishing.ended()
        # Observe, learn, desire, plan and guard.
        observed, plan = await self.look(probing=self.settings.manage.acme and not self.settings.dry_run)
        self.ledger.memory = without_moot_requests(observed, plan)
        await self.ledger.store()
        self.on_observed(observed)
        # Apply.
        outcomes = ended + await self.applier.apply(plan.actions, observed)
        outcomes += await self.publishing.write(plan.actions)
        done = [outcome.action for outcome in outcomes if outcome.result is Result.DONE]
        published = [action for action in done if isinstance(action, PublishRecords)]
        self.observer.check_first(name for action in published for name in action.concerns)
        # Record.
        news = self.back_off.note(outcomes, self.clock.now())
        await self.ledger.record(
            HistoryEvent(o.at, o.action.about, o.action.verb, o.action.reason, o.result.value, o.detail)
            for o in news
        )
        return PassReport(observed, plan, outcomes)


def _without_repeats(notices: Sequence[Notice], plan: Plan) -> tuple[Notice, ...]:
    """Without a refusal of mailcow's API that an action of this pass ends; parts that could not be observed for the
    same reason are reported once.
    """
    ends = any(isinstance(action, AllowAccess) and action.database is not None for action in plan.actions)
    refusals = {notice.message for notice in notices if ends and notice.code is NoticeCode.MAILCOW_API}
    reported: list[Notice] = []
    for notice in notices:
        if notice.message not in refusals and not any(notice.message in n.message for n in reported):
            reported.append(notice)
    return tuple(reported)


def learn_all(observed: Observed, settings: Settings) -> Observed:
    """The same picture with the memory after learning from it."""
    observed = replace(observed, memory=learn(observed, settings))
    observed = replace(observed, memory=learn_acme(observed))
    observed = replace(observed, memory=learn_checks(observed, settings))
    observed = replace(observed, memory=learn_report_way(observed, settings))
    return replace(observed, memory=learn_step_back(observed, settings))


def without_moot_requests(observed: Observed, plan: Plan) -> Memory:
    """The memory without adopt requests that are fulfilled: they do not cover a later change by a person."""
    memory = observed.memory
    if not memory.adopt or not isinstance(observed.domains, Seen):
        return memory
    busy = {action.about for action in plan.actions} | {held.action.about for held in plan.held}
    known = {domain.name for domain in observed.domains.value.domains}
    moot = {
        key
        for key in memory.adopt - {FILE}
        if key not in known or (isinstance(observed.served_of(key), Seen) and key not in busy)
    }
    if isinstance(observed.file, Seen) and FILE_SUBJECT not in busy:
        moot.add(FILE)
    return memory if memory.adopt.isdisjoint(moot) else replace(memory, adopt=memory.adopt - moot)
