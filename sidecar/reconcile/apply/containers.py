"""acme-mailcow's container: restarted, re-created, or repaired after a re-creation that was interrupted.

Rule for every editor: a restart is counted before it is done. A crash in between may cost an hour of waiting, never a
second order.
"""

import asyncio
from collections.abc import Callable
from typing import TypeAlias, assert_never

from sidecar.host.tasks import end_tasks
from sidecar.mailcow.engine.acme import AcmeEngine
from sidecar.mailcow.engine.changes import RecreateRefused
from sidecar.mailcow.engine.client import Untouched
from sidecar.mailcow.engine.look import PATIENCE_S
from sidecar.observed import Observed, Seen
from sidecar.plan.acme.names import scene
from sidecar.plan.actions import HealAcme, RecreateAcme, RestartAcme
from sidecar.reconcile.apply.handler import Handler, Outcome, Shared

_AcmeAction: TypeAlias = RestartAcme | RecreateAcme | HealAcme


class ContainerHandler(Handler):
    """Changes one container at a time."""

    def __init__(self, shared: Shared, engine: AcmeEngine, *, patient: bool) -> None:
        """`patient`: a single pass waits for as long as the Docker engine takes."""
        super().__init__(shared)
        self._engine = engine
        self._patience_s = None if patient else PATIENCE_S
        self._under_way: tuple[_AcmeAction, asyncio.Task[None]] | None = None
        self.finished: Callable[[], None] = lambda: None
        """Called when a change of the container has ended that no pass waited for."""

    async def change(self, action: _AcmeAction, observed: Observed) -> tuple[Outcome, ...]:
        """Starts the change and waits a moment; a longer one continues beside the passes, and `ended` has its outcome."""
        if not isinstance(action, HealAcme):
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
        """Whether a container is being changed, or the outcome of a change is not noted yet."""
        return self._under_way is not None

    async def ended(self) -> tuple[Outcome, ...]:
        """The outcome of the change that is under way, once it has ended; called in a pass."""
        if self._under_way is None or not self._under_way[1].done():
            return ()
        (action, task), self._under_way = self._under_way, None
        self._witness.touched_containers()
        return (await self._attempt(action, self._noted(action, task)),)

    async def _noted(self, action: _AcmeAction, task: asyncio.Task[None]) -> None:
        try:
            await task
        except (RecreateRefused, Untouched):
            if not isinstance(action, HealAcme):
                # It was refused and nothing was done: it does not count as a restart.
                self._ledger.not_restarted()
                await self._ledger.store()
            raise

    async def close(self) -> None:
        """Stops waiting for a change that is under way; the Docker engine may still complete it."""
        if self._under_way is not None:
            await end_tasks(self._under_way[1])
