"""The one pass: observe, desire, plan, guard, apply, record.

Rule for every editor: `reconcile` reads from top to bottom like the picture in the design. It computes from
what is there now; killed between any two steps, the next pass ends in the same state.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from sidecar.host.clock import Clock
from sidecar.host.errors import SidecarError
from sidecar.host.files import remove_leftovers
from sidecar.mailcow import challenge, policy_file
from sidecar.mailcow import conf as conf_file
from sidecar.observed import FILE, NOT_ASKED, Memory, Observed, Seen
from sidecar.observed.notice import Level, Notice
from sidecar.observed.notice_codes import NoticeCode
from sidecar.plan import blind_spots, make_plan
from sidecar.plan.actions import (
    FILE_SUBJECT,
    Action,
    AddPolicy,
    AllowAccess,
    EditConf,
    EditPolicy,
    Held,
    Plan,
    RecreateAcme,
    RestartAcme,
    SwitchOff,
)
from sidecar.plan.progress import served_mode
from sidecar.plan.schedule import DENIED_S, RETRY_S, wait_after
from sidecar.reconcile.apply import Applier, Outcome, Result
from sidecar.reconcile.learn.acme import learn_acme
from sidecar.reconcile.learn.checks import learn_checks, learn_step_back
from sidecar.reconcile.learn.policies import learn
from sidecar.reconcile.observe import Observer
from sidecar.settings import Settings
from sidecar.state.ledger import Ledger
from sidecar.state.store import Event

MOST_QUESTIONS = 6
"""Rounds of questions in one pass: to count names, to judge them by the DNS and the log, to probe them; and before
that the names that failed in an earlier pass."""


@dataclass(frozen=True, slots=True)
class Report:
    """What one pass saw, planned and did."""

    observed: Observed
    plan: Plan
    outcomes: tuple[Outcome, ...]

    @property
    def failed(self) -> bool:
        """Whether an action did not work."""
        return any(outcome.result is not Result.DONE for outcome in self.outcomes)

    @property
    def looking(self) -> bool:
        """Whether there are policies that nobody looked at yet, for want of time."""
        return any(sight is NOT_ASKED for sight in self.observed.served.values())

    @property
    def readable(self) -> bool:
        """Whether mailcow told what it is and which domains it has."""
        return isinstance(self.observed.mailcow, Seen) and isinstance(self.observed.domains, Seen)


@dataclass
class BackOff:
    """Actions that failed wait, longer each time, before they are tried again."""

    failures: dict[tuple[str, str], tuple[int, float]] = field(default_factory=dict)
    full: dict[tuple[str, str], str | None] = field(default_factory=dict)
    """What a full disk stopped the last time, and what was said of it."""
    denials: int = 0
    denied_until: float = 0.0
    denied_because: str = ""

    def hold(self, plan: Plan, now: float) -> Plan:
        """The plan with the actions held whose wait is not over."""
        passed: list[Action] = []
        held = list(plan.held)
        for action in plan.actions:
            parts = _parts(action)
            waiting = [h for part in parts if (h := self._held(part, now)) is not None]
            held += waiting
            if not waiting:
                passed.append(action)
            elif isinstance(action, EditConf) and len(waiting) < len(parts):
                waits = {key for h in waiting if isinstance(h.action, EditConf) for key in h.action.edits}
                passed.append(action.only(action.edits.keys() - waits))
        told = () if not self._denied(now) else (_refused_key(self.denied_because),)
        return replace(plan, actions=tuple(passed), held=tuple(held), notices=told + plan.notices)

    def _denied(self, now: float) -> bool:
        # A wait longer than any is one that began before the clock was set back.
        return now < self.denied_until <= now + DENIED_S[-1]

    def _held(self, action: Action, now: float) -> Held | None:
        if self._denied(now) and isinstance(action, AddPolicy | EditPolicy | SwitchOff):
            return Held(action, "mailcow refuses the key for writes", self.denied_until)
        count, until = self.failures.get(_what(action), (0, 0.0))
        waits = now < until <= now + RETRY_S[-1]
        return Held(action, f"failed {count} times in a row", until) if waits else None

    def forget(self) -> None:
        """A person asked for it: what failed is tried again at once."""
        self.failures.clear()
        self.denials, self.denied_until = 0, 0.0

    def news(self, outcomes: Sequence[Outcome]) -> tuple[Outcome, ...]:
        """Those that say more than the last ones did: a disk that stays full would fill the history."""
        return tuple(
            o
            for o in outcomes
            if not o.no_space or any(self.full.get(_what(p), "") != o.detail for p in _parts(o.action))
        )

    def note(self, outcomes: Sequence[Outcome], now: float) -> None:
        """Counts failures; success begins anew. What a full disk stopped is tried at every pass: that costs next
        to nothing, and a broken policy must not stay broken once there is space again.
        """
        if any(outcome.denied for outcome in outcomes):
            self.denials += 1
            self.denied_until = now + wait_after(self.denials, DENIED_S)
            self.denied_because = next((o.detail or "" for o in outcomes if o.denied), "")
        elif outcomes:
            self.denials = 0
        for outcome in outcomes:
            for key in map(_what, _parts(outcome.action)):
                self.full.pop(key, None)
                if outcome.no_space:
                    self.full[key] = outcome.detail
                if outcome.result is Result.DONE or outcome.no_space:
                    self.failures.pop(key, None)
                else:
                    count = self.failures.get(key, (0, 0.0))[0] + 1
                    self.failures[key] = (count, now + wait_after(count, RETRY_S))


def _refused_key(detail: str) -> Notice:
    """Nothing is written until a person sets another key: that must stand where people look."""
    return Notice(
        Level.ERROR,
        NoticeCode.API_DENIED,
        "mailcow",
        f"mailcow refuses the API key for writes, so no policy is added or changed: {detail}",
        "set API_KEY (not API_KEY_READ_ONLY) in mailcow.conf, and let API_ALLOW_FROM name the sidecar's address",
    )


def _parts(action: Action) -> Sequence[Action]:
    """What can fail by itself: each key of mailcow.conf."""
    return [action.only({key}) for key in action.edits] if isinstance(action, EditConf) else (action,)


def _what(action: Action) -> tuple[str, str]:
    return action.verb, ",".join(action.edits) if isinstance(action, EditConf) else action.about


@dataclass
class Passes:
    """All that a pass works with."""

    settings: Settings
    clock: Clock
    observer: Observer
    applier: Applier
    ledger: Ledger
    back_off: BackOff = field(default_factory=BackOff)
    _tidied: bool = False

    async def look(self, *, probing: bool = False) -> tuple[Observed, Plan]:
        """Observe and plan, without changing anything in the world; `probing` allows HTTP probes, which write a file."""
        observed, notices = await self.observer.observe(self.ledger.memory)
        observed, plan = await self._decided(observed)
        for _ in range(MOST_QUESTIONS):
            if not plan.questions or (self.observer.hurried and self._writes(plan, observed.now)):
                # What is to be written does not wait for what is only asked for the certificate: the next pass asks.
                break
            observed = await self.observer.answer(observed, plan.questions, probing=probing)
            observed, plan = await self._decided(replace(observed, views=()))
        told = _one_for_each_reason(_without_what_ends_now(notices + blind_spots(observed), plan))
        return observed, plan + Plan(notices=told)

    def _writes(self, plan: Plan, now: float) -> bool:
        """Whether there is anything to do but at acme-mailcow; what failed, and waits for another try, is nothing."""
        actions = self.back_off.hold(plan, now).actions
        return any(not isinstance(action, RestartAcme | RecreateAcme) for action in actions)

    async def _decided(self, observed: Observed) -> tuple[Observed, Plan]:
        """What the picture teaches, and what follows from it.

        In a thread: it is all pure, it takes a second where there are thousands of domains, and nobody who asks the
        page or `/healthz` is to wait for it.
        """

        def decide() -> tuple[Observed, Plan]:
            known = taught(observed, self.settings)
            return known, make_plan(known, self.settings)

        return await asyncio.to_thread(decide)

    async def _tidy(self) -> None:
        """Files that a killed run left half written go, once: they may never be written again under that name."""
        if self._tidied or self.settings.dry_run:
            return
        self._tidied = True
        await asyncio.to_thread(conf_file.tidy, self.settings.mailcow_dir)
        await asyncio.to_thread(policy_file.tidy, self.settings.mailcow_dir)
        await asyncio.to_thread(challenge.tidy, self.settings.mailcow_dir)
        await asyncio.to_thread(remove_leftovers, self.settings.state_dir)

    async def _heal(self) -> Plan:
        """What a re-creation that was cut off left is mended first; said, and written into the history."""
        if self.settings.dry_run or not self.settings.manage.acme or self.applier.changing:
            return Plan()
        try:
            done = await self.observer.heal()
        except SidecarError as error:
            return Plan(
                notices=(Notice(Level.ERROR, NoticeCode.ACME_NOT_HEALED, "acme-mailcow", str(error)),)
            )
        if done is None:
            return Plan()
        now = self.clock.now()
        await self.ledger.record([Event(now, "acme-mailcow", "heal", done, Result.DONE.value, None)])
        return Plan(
            notices=(Notice(Level.WARNING, NoticeCode.ACME_HEALED, "acme-mailcow", done, passing=True),)
        )

    async def reconcile(self) -> Report:
        """One whole pass."""
        await self.ledger.refresh()
        await self._tidy()
        ended = await self.applier.ended()
        healed = await self._heal()
        probing = self.settings.manage.acme and not self.settings.dry_run
        observed, plan = await self.look(probing=probing)
        plan += healed
        self.ledger.memory = without_moot_wishes(observed, plan)
        await self.ledger.store()
        plan = self.back_off.hold(plan, observed.now)
        if self.applier.changing:
            plan = _one_at_a_time(plan)
        outcomes = ended + await self.applier.apply(plan.actions, observed)
        news = self.back_off.news(outcomes)
        self.back_off.note(outcomes, self.clock.now())
        await self.ledger.record(event_of(outcome) for outcome in news)
        return Report(observed, plan, outcomes)


def _one_at_a_time(plan: Plan) -> Plan:
    """While acme-mailcow is being started anew, beside the passes, nothing else is done to it."""
    waits = [action for action in plan.actions if isinstance(action, RestartAcme | RecreateAcme)]
    rest = tuple(action for action in plan.actions if action not in waits)
    held = tuple(Held(action, "acme-mailcow is being started anew", None) for action in waits)
    return replace(plan, actions=rest, held=plan.held + held)


def _without_what_ends_now(notices: Sequence[Notice], plan: Plan) -> tuple[Notice, ...]:
    """Without the refusal of mailcow's API, where an action of this pass ends it: nobody is to be alarmed."""
    if not any(isinstance(action, AllowAccess) and action.database is not None for action in plan.actions):
        return tuple(notices)
    refusals = {notice.message for notice in notices if notice.code is NoticeCode.MAILCOW_API}
    return tuple(notice for notice in notices if notice.message not in refusals)


def _one_for_each_reason(notices: Sequence[Notice]) -> tuple[Notice, ...]:
    """What cannot be seen for one and the same reason is told once."""
    told: list[Notice] = []
    for notice in notices:
        if not any(notice.message in before.message for before in told):
            told.append(notice)
    return tuple(told)


def taught(observed: Observed, settings: Settings) -> Observed:
    """The same picture with the memory that it teaches."""
    observed = replace(observed, memory=learn(observed, settings))
    observed = replace(observed, memory=learn_acme(observed))
    observed = replace(observed, memory=learn_checks(observed, settings))
    modes = {key: served_mode(observed, key) for key in observed.memory.rollouts}
    return replace(observed, memory=learn_step_back(observed, modes, settings))


def without_moot_wishes(observed: Observed, plan: Plan) -> Memory:
    """The memory without wishes to adopt that leave nothing to do: a later change by a person is not meant by them."""
    memory = observed.memory
    if not memory.adopt or not isinstance(observed.domains, Seen):
        return memory
    busy = {action.about for action in plan.actions} | {held.action.about for held in plan.held}
    known = {domain.name for domain in observed.domains.value.domains}
    moot = {key for key in memory.adopt if _moot(key, observed, busy, known)}
    return replace(memory, adopt=memory.adopt - moot) if moot else memory


def _moot(key: str, observed: Observed, busy: set[str], known: set[str]) -> bool:
    if key == FILE:
        return isinstance(observed.file, Seen) and FILE_SUBJECT not in busy
    if key not in known:
        return True
    return isinstance(observed.served_of(key), Seen) and key not in busy


def event_of(outcome: Outcome) -> Event:
    """An outcome for the history."""
    action = outcome.action
    return Event(outcome.at, action.about, action.verb, action.reason, outcome.result.value, outcome.detail)
