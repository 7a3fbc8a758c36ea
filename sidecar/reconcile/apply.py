"""Does what a plan says, each action by itself: one that fails never stops another.

Rule for every editor: every action is idempotent, its intent is stored before it, and what cannot be known of
its outcome stays unknown. Nothing is decided here.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol, TypeAlias, TypeVar, assert_never

from sidecar.formats.mtasts_policy import Policy, policy_of
from sidecar.host.clock import Clock
from sidecar.host.errors import NoSpaceError, PermanentError, SidecarError, TemporaryError
from sidecar.mailcow import conf as conf_file
from sidecar.mailcow import policy_file, report_route
from sidecar.mailcow.api import AccessDenied, Exists, NoSuchRow, WriteUntold, check_policy
from sidecar.mailcow.engine.acme import AcmeEngine
from sidecar.mailcow.engine.changes import RecreateRefused
from sidecar.mailcow.engine.client import Untouched
from sidecar.mailcow.engine.look import PATIENCE_S
from sidecar.mailcow.session import Session
from sidecar.observed import FILE, ConfEvent, Observed, PolicyMemory, Seen, Served, Unseen
from sidecar.observed.words import command
from sidecar.plan.acme.names import scene
from sidecar.plan.actions import (
    Action,
    AddPolicy,
    AdoptSame,
    ChangeReportRoute,
    EditConf,
    EditPolicy,
    HealAcme,
    RecreateAcme,
    RemoveFile,
    RestartAcme,
    SwitchOff,
    WriteFile,
)
from sidecar.plan.native import text_of
from sidecar.plan.report_route import ended, meant, still_fits
from sidecar.settings import Settings
from sidecar.state.ledger import Ledger, entries, intended, settled

_A = TypeVar("_A", bound=Action)
_PolicyAction: TypeAlias = AddPolicy | EditPolicy | SwitchOff
_AcmeAction: TypeAlias = RestartAcme | RecreateAcme | HealAcme

CONCURRENT_WRITES = 4
MOST_WRITES_S = 60.0
"""How long policies are written in a pass; the next one, which sees what came meanwhile, writes the rest."""
STORED_EVERY = 25
"""Outcomes of policy writes are stored in groups of this size; an unstored one counts as unknown."""


class Result(StrEnum):
    """How an action ended."""

    DONE = "done"
    FAILED = "failed"
    """for now"""
    REFUSED = "refused"
    """for good, until a person changes something"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """An action and how it ended; `detail` says why it did not work."""

    action: Action
    result: Result
    at: float
    detail: str | None = None
    denied: bool = False
    """Whether mailcow refused the key: to go on trying would only be counted against us."""
    no_space: bool = False
    """Whether a full disk was the reason, which only another try shows to be over."""


class Witness(Protocol):
    """Who has to know of a write before the next pass looks."""

    def forget_served(self, domains: Iterable[str]) -> None:
        """What these domains are served is read again."""
        ...

    def saw_served(self, domain: str, served: Seen[Served]) -> None:
        """What a domain is served was just read."""
        ...

    def check_now(self, domains: Iterable[str]) -> None:
        """These domains are to be checked soon, as senders see them."""
        ...

    def touched_containers(self) -> None:
        """A container was changed."""
        ...

    def changed_report_route(self) -> None:
        """The alias or the transport of TLS reports was changed."""
        ...


class Applier:
    """The hands of the sidecar."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        session: Session,
        witness: Witness,
        engine: AcmeEngine,
        ledger: Ledger,
        told: Callable[[Outcome], None],
        *,
        patient: bool,
    ) -> None:
        """`patient`: one pass alone waits for as long as the Docker engine takes."""
        self._settings = settings
        self._clock = clock
        self._session = session
        self._witness = witness
        self._engine = engine
        self._ledger = ledger
        self._told = told
        self._unstored = 0
        self.tried: Callable[[], None] = lambda: None
        """Called after each action, however it ended."""
        self.finished: Callable[[], None] = lambda: None
        """Called when the change of a container is over that no pass waited for."""
        self._patience_s = None if patient else PATIENCE_S
        self._under_way: tuple[_AcmeAction, asyncio.Task[None]] | None = None

    async def apply(self, actions: Sequence[Action], observed: Observed) -> tuple[Outcome, ...]:
        """Does all of them: policies first and several at a time, then the files, at last the container.

        The Docker engine holds up none of them, in this pass or the next: see `ended`.
        """
        policies = [a for a in actions if isinstance(a, AddPolicy | EditPolicy | SwitchOff)]
        outcomes = await self._policies(policies, observed)
        for action in actions:
            match action:
                case AddPolicy() | EditPolicy() | SwitchOff():
                    pass  # done above, together
                case AdoptSame():
                    outcomes.append(await self._one(action, self._adopt))
                case WriteFile():
                    outcomes.append(await self._one(action, lambda a: self._write_file(a, observed)))
                case RemoveFile():
                    outcomes.append(await self._one(action, lambda a: self._remove_file(a, observed)))
                case EditConf():
                    outcomes += await self._edit_conf(action)
                case ChangeReportRoute():
                    outcomes.append(await self._one(action, self._report_route))
                case RestartAcme() | RecreateAcme() | HealAcme():
                    outcomes += await self._container(action, observed)
                case _:
                    assert_never(action)
        return tuple(outcomes)

    async def _one(self, action: _A, do: Callable[[_A], Awaitable[None]]) -> Outcome:
        try:
            await do(action)
        except SidecarError as error:
            return self._ended(action, error)
        return self._ended(action)

    def _ended(self, action: Action, error: SidecarError | None = None) -> Outcome:
        now = self._clock.now()
        match error:
            case None:
                outcome = Outcome(action, Result.DONE, now)
            case PermanentError():
                outcome = Outcome(action, Result.REFUSED, now, str(error), isinstance(error, AccessDenied))
            case _:
                full = isinstance(error, NoSpaceError)
                outcome = Outcome(action, Result.FAILED, now, str(error), no_space=full)
        self._told(outcome)
        self.tried()
        return outcome

    # --- policies, native ---------------------------------------------------------------------------

    async def _policies(self, actions: Sequence[_PolicyAction], observed: Observed) -> list[Outcome]:
        if not actions:
            return []
        texts = {action.domain: text_of(action) for action in actions}
        now = self._clock.now()
        self._ledger.policies(texts, lambda key, memory: intended(memory, texts[key], now))
        await self._ledger.store()
        places = asyncio.Semaphore(CONCURRENT_WRITES)
        clock = asyncio.get_running_loop().time
        end = clock() + MOST_WRITES_S
        denied = False

        async def one(action: _PolicyAction) -> Outcome | None:
            nonlocal denied
            async with places:
                if denied or clock() >= end:
                    self._forget_intent(action)
                    return None
                outcome = await self._one(action, lambda a: self._write_policy(a, observed))
                if outcome.denied:
                    denied = True
                return outcome

        found = await asyncio.gather(*(one(action) for action in actions))
        outcomes = [outcome for outcome in found if outcome is not None]
        self._session.wrote()
        await self._ledger.store()
        return outcomes

    async def _write_policy(self, action: _PolicyAction, observed: Observed) -> None:
        domain, text = action.domain, text_of(action)
        try:
            if not isinstance(action, SwitchOff):
                self._check(domain, action.policy, observed)
            if not isinstance(action, AddPolicy):
                await self._check_unchanged(domain, observed)
            self._witness.forget_served([domain])
            await self._send(action)
        except (PermanentError, _ChangedMeanwhileError):
            # Refused for certain, or not even sent: nothing was written.
            self._forget_intent(action)
            raise
        except WriteUntold as untold:
            # The database may have it all the same: what is served tells.
            try:
                await self._read_back(domain, text)
            except TemporaryError as error:
                raise TemporaryError(f"{error}; {untold}") from untold
        else:
            await self._read_back(domain, text)
        self._settle(domain, text, done=True)
        self._ledger.fulfilled(domain)
        self._witness.check_now([domain])
        await self._store_now_and_then()

    def _forget_intent(self, action: _PolicyAction) -> None:
        self._settle(action.domain, text_of(action), done=False)

    def _settle(self, key: str, text: str | None, *, done: bool) -> None:
        """Notes how a write ended; senders could fetch what was there before until just now."""
        self._ledger.count(self._clock.reading())
        now, counted = self._clock.now(), self._ledger.memory.counted
        self._ledger.policy(key, lambda memory: settled(memory, text, now, counted, done=done))

    def _check(self, domain: str, policy: Policy, observed: Observed) -> None:
        if isinstance(observed.mailcow, Seen) and (trouble := check_policy(policy, observed.mailcow.value)):
            raise PermanentError(f"the policy for {domain} was not sent: {trouble}")

    async def _check_unchanged(self, domain: str, observed: Observed) -> None:
        """What is served was looked at some minutes ago; a person who changed it since then is not overruled."""
        before = observed.served_of(domain)
        now = await self._session.served(domain, self._clock.now())
        if isinstance(now, Unseen):
            raise _ChangedMeanwhileError(f"the policy of {domain} was not sent: {now.reason}")
        self._witness.saw_served(domain, now)
        if isinstance(before, Seen) and before.value != now.value:
            raise _ChangedMeanwhileError(
                f"the policy of {domain} was not sent: somebody changed it meanwhile; the next pass looks again"
            )

    async def _check_file_unchanged(self, observed: Observed) -> None:
        """A pass may take long; a person who wrote the file in the middle of it is not overruled."""
        now = await asyncio.to_thread(policy_file.observe, self._settings.mailcow_dir, self._clock.now())
        match observed.file, now:
            case Seen(before), Seen(after) if before.data == after.data:
                pass
            case _, Unseen(reason):
                raise TemporaryError(f"the policy file was left alone: {reason}")
            case _:
                raise TemporaryError(
                    "the policy file was left alone: somebody changed it meanwhile; the next pass looks again"
                )

    async def _send(self, action: _PolicyAction) -> None:
        api = self._session.api
        if api is None:
            raise TemporaryError("mailcow's API cannot be asked")
        match action:
            case AddPolicy(domain, policy):
                if isinstance(await api.add_policy(domain, policy), Exists):
                    await self._row_exists(domain)
            case EditPolicy(domain, policy):
                if isinstance(await api.edit_policy(domain, policy), NoSuchRow):
                    # Deleted and made anew since it was switched off: its row went with it.
                    await api.add_policy(domain, policy)
            case SwitchOff(domain):
                await api.switch_off(domain)

    async def _row_exists(self, domain: str) -> None:
        """Nothing is served, and yet there is a row: somebody switched it off, and the sidecar does not overrule that."""
        text = "a policy that is switched off in mailcow's page"
        self._ledger.policy(domain, lambda memory: _refused(memory, text))
        raise PermanentError(
            f"{domain} has {text}; it stays so. To let the sidecar manage it: {command(f'adopt {domain}')}"
        )

    async def _read_back(self, domain: str, text: str | None) -> None:
        seen = await self._session.served(domain, self._clock.now())
        if not isinstance(seen, Seen):
            raise TemporaryError(f"the policy of {domain} was sent, but cannot be read back: {seen.reason}")
        self._witness.saw_served(domain, seen)
        if seen.value.text != text and policy_of(seen.value.text) != policy_of(text):
            served = "nothing" if seen.value.text is None else seen.value.text.replace("\n", "; ")
            raise TemporaryError(f"the policy of {domain} was sent, but mailcow serves: {served}")

    async def _store_now_and_then(self) -> None:
        self._unstored += 1
        if self._unstored >= STORED_EVERY:
            self._unstored = 0
            await self._ledger.store()

    async def _adopt(self, action: AdoptSame) -> None:
        self._settle(action.key, action.text, done=True)
        self._ledger.fulfilled(action.key)
        await self._ledger.store()

    # --- files --------------------------------------------------------------------------------------

    async def _write_file(self, action: WriteFile, observed: Observed) -> None:
        await self._check_file_unchanged(observed)
        now = self._clock.now()
        self._ledger.policy(
            FILE, lambda memory: _with_floor(intended(memory, action.text, now), action.floor)
        )
        await self._ledger.store()
        backup = self._settings.state_dir if action.backup else None
        data = action.text.encode("utf-8", "surrogateescape")
        await asyncio.to_thread(policy_file.write, self._settings.mailcow_dir, data, backup)
        self._settle(FILE, action.text, done=True)
        self._ledger.fulfilled(FILE)
        await self._ledger.store()

    async def _remove_file(self, _action: RemoveFile, observed: Observed) -> None:
        await self._check_file_unchanged(observed)
        now = self._clock.now()
        self._ledger.policy(FILE, lambda memory: intended(memory, None, now))
        await self._ledger.store()
        await asyncio.to_thread(policy_file.remove, self._settings.mailcow_dir, self._settings.state_dir)
        self._settle(FILE, None, done=True)
        await self._ledger.store()

    async def _edit_conf(self, action: EditConf) -> list[Outcome]:
        """One write for all keys; a key that cannot be edited has an outcome of its own, and stops no other."""
        try:
            refused = await self._write_conf(action)
        except SidecarError as error:
            return [self._ended(action, error)]
        done = action.only(action.edits.keys() - refused.keys())
        outcomes = [self._ended(done)] if done.edits else []
        return outcomes + [self._ended(action.only({key}), PermanentError(refused[key])) for key in refused]

    async def _write_conf(self, action: EditConf) -> Mapping[str, str]:
        """What was refused, by key."""
        now = self._clock.now()
        for key, edit in action.edits.items():
            self._ledger.conf(entries(key, edit.add, ConfEvent.INTENDED, now))
        await self._ledger.store()
        edited = await asyncio.to_thread(
            conf_file.edit, self._settings.mailcow_dir, action.edits, self._settings.state_dir
        )
        for key, edit in action.edits.items():
            if key in edited.refused:
                # Nothing was written for certain: should somebody else put it there, it is not ours.
                self._ledger.conf(entries(key, edit.add, ConfEvent.REMOVED, now))
                continue
            self._ledger.conf(entries(key, edit.add, ConfEvent.ADDED, now))
            self._ledger.conf(entries(key, edit.remove, ConfEvent.REMOVED, now))
        await self._ledger.store()
        return edited.refused

    # --- the route of TLS reports -------------------------------------------------------------------

    async def _report_route(self, action: ChangeReportRoute) -> None:
        api = self._session.api
        if api is None:
            raise TemporaryError("mailcow's API cannot be asked")
        way = self._ledger.memory.report_way
        aliases, transports = await report_route.read_route(api)
        if not still_fits(action.step, aliases, transports, way.written):
            self._witness.changed_report_route()
            raise TemporaryError(
                "somebody changed the aliases or transports meanwhile; the next pass looks again"
            )
        self._ledger.report_way(meant(way, action.step))
        await self._ledger.store()
        self._witness.changed_report_route()
        match await report_route.carry_out(api, action.step):
            case report_route.NotDone(reason, lasting):
                text = f"{action.verb} {action.about} was refused by mailcow: {reason}"
                raise PermanentError(text) if lasting else TemporaryError(text)
            case report_route.Done():
                self._ledger.report_way(ended(self._ledger.memory.report_way, action.step))
                await self._ledger.store()

    # --- the container ------------------------------------------------------------------------------

    async def _container(self, action: _AcmeAction, observed: Observed) -> tuple[Outcome, ...]:
        """Begins it, and waits a moment; what takes longer goes on beside the passes, and `ended` has its outcome."""
        if not isinstance(action, HealAcme):
            # Counted before it is done: a crash in between may cost an hour of waiting, never a second order.
            found = scene(observed)
            before = () if isinstance(found, str) else tuple(sorted(found.held))
            self._ledger.restarted(self._clock.now(), action.names, before)
            await self._ledger.store()
        self._witness.touched_containers()
        task = asyncio.create_task(self._change(action, observed))
        self._under_way = action, task
        await asyncio.wait({task}, timeout=self._patience_s)
        if not task.done():
            task.add_done_callback(lambda _: self.finished())
        return await self.ended()

    async def _change(self, action: _AcmeAction, observed: Observed) -> None:
        match action:
            case RestartAcme():
                await self._engine.restart(action.container_id, action.started_at)
            case HealAcme():
                await self._engine.heal(action.project)
            case RecreateAcme():
                if not isinstance(observed.project, Seen):
                    raise Untouched(f"acme-mailcow was not re-created: {observed.project.reason}")
                await self._engine.recreate(
                    action.container_id,
                    expected=observed.project.value,
                    expected_started_at=action.started_at,
                    environment=action.environment,
                    now=self._clock.now(),
                )
            case _:
                assert_never(action)

    @property
    def changing(self) -> bool:
        """Whether a container is being changed, or the outcome of that is still to be noted."""
        return self._under_way is not None

    async def ended(self) -> tuple[Outcome, ...]:
        """The outcome of the change that is under way, once it is over; to be asked for in a pass."""
        if self._under_way is None or not self._under_way[1].done():
            return ()
        (action, task), self._under_way = self._under_way, None
        self._witness.touched_containers()
        return (await self._one(action, lambda _: self._noted(action, task)),)

    async def _noted(self, action: _AcmeAction, task: asyncio.Task[None]) -> None:
        try:
            await task
        except (RecreateRefused, Untouched):
            if not isinstance(action, HealAcme):
                # Refused, with nothing done: it counts for nothing.
                self._ledger.not_restarted()
                await self._ledger.store()
            raise

    async def close(self) -> None:
        """A change that is under way is left to itself."""
        if self._under_way is not None:
            self._under_way[1].cancel()
            await asyncio.gather(self._under_way[1], return_exceptions=True)


class _ChangedMeanwhileError(TemporaryError):
    """Nothing was sent, for the policy is not as it was when that was decided."""


def _refused(memory: PolicyMemory, why: str) -> PolicyMemory:
    return replace(memory, refused=why)


def _with_floor(memory: PolicyMemory, floor: str | None) -> PolicyMemory:
    return memory if floor is None else replace(memory, floor=floor)
