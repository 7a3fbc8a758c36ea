"""Observes mailcow's containers in the background: the Docker engine never delays a policy.

Rules for every editor. A pass waits only a moment. Until the Engine has answered, the containers are `Unseen`, which
permits nothing; the next pass uses a late answer. Only one observation runs at a time.
"""

import asyncio
from collections.abc import Awaitable, Callable

from sidecar.host.tasks import end_tasks
from sidecar.mailcow.engine.acme import AcmeEngine
from sidecar.observed import NOT_ASKED, Project, Seen, Sight, Unseen

FRESH_S = 60.0
AT_WORK_FRESH_S = 5.0
"""Shorter than any poll, but not 0: otherwise a slow answer would be outdated for the pass that it wakes."""
PATIENCE_S = 1.0
"""How long a pass waits for an observation, from its start; one that hangs delays only one pass, once."""
LEFT_ALONE = "Until then acme-mailcow is left unchanged; everything else continues"


class ProjectLook:
    """Observes when that is due; `finished` is called when an observation ends that no pass waited for."""

    def __init__(
        self,
        engine: AcmeEngine,
        hint: str | None,
        completed: Callable[[Sight[Project]], Awaitable[Sight[Project]]],
        *,
        patient: bool,
    ) -> None:
        """`hint` is the project's name if labels do not show it; `completed` adds further answers to an observation.

        `patient`: a single pass waits for as long as the Engine takes.
        """
        self._engine = engine
        self._hint = hint
        self._completed = completed
        self._patience_s = None if patient else PATIENCE_S
        self._seen: Sight[Project] = NOT_ASKED
        self._looking: asyncio.Task[Sight[Project]] | None = None
        self._began_s = 0.0
        """Seconds of the event loop's clock."""
        self.touched = True
        """Set by events, and after a change of a container: the next pass observes again."""
        self.finished: Callable[[], None] = lambda: None

    @property
    def project_name(self) -> str | None:
        """The compose project, once it was observed."""
        return self._seen.value.name if isinstance(self._seen, Seen) else None

    async def close(self) -> None:
        """Stops the observation; a call to the Engine may still run to its end."""
        await end_tasks(self._looking)

    async def sight(self, now: float, *, patience_s: float | None = None) -> Sight[Project]:
        """The containers as last observed; `Unseen` while a newer observation is due and has no answer.

        `patience_s`: how long to wait for that, if it is longer than a pass usually waits.
        """
        if self._looking is None:
            match self._seen:
                case Seen(Project(acme_sleep=Seen(None))):
                    # A run of acme-mailcow ends without an event: while it works, every pass observes it.
                    fresh_s = AT_WORK_FRESH_S
                case _:
                    fresh_s = FRESH_S
            if not self.touched and now - self._seen.at < fresh_s:
                return self._seen
            self.touched = False
            self._looking = asyncio.create_task(self._observe(now))
            self._began_s = asyncio.get_running_loop().time()
        task = self._looking
        if not task.done():
            timeout = None
            if self._patience_s is not None:
                patience_s = self._patience_s if patience_s is None else patience_s
                timeout = max(0.0, self._began_s + patience_s - asyncio.get_running_loop().time())
            await asyncio.wait({task}, timeout=timeout)
        if task.done():
            self._looking = None
            self._seen = task.result()
            return self._seen
        task.remove_done_callback(self._notify)
        task.add_done_callback(self._notify)
        if isinstance(self._seen, Unseen) and self._seen is not NOT_ASKED:
            # The last trouble stays until there is an answer: a hung Engine gives one reason, not two alternating ones.
            return self._seen
        return Unseen(f"the Docker engine has not answered yet. {LEFT_ALONE}", now)

    async def _observe(self, now: float) -> Sight[Project]:
        return await self._completed(await self._engine.observe(now, self._hint))

    def _notify(self, task: asyncio.Task[Sight[Project]]) -> None:
        if not task.cancelled():
            self.finished()
