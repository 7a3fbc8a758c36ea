"""The look at mailcow's containers, beside the passes: the Docker engine never holds up a policy.

Rules for every editor. A pass waits a moment only. Until the Engine has answered, the containers are `Unseen`, which
permits nothing; what it says late is there for the next pass. One look at a time is under way.
"""

import asyncio
from collections.abc import Awaitable, Callable

from sidecar.mailcow.engine.acme import AcmeEngine
from sidecar.observed import NOT_ASKED, Project, Seen, Sight, Unseen

FRESH_S = 60.0
AT_WORK_FRESH_S = 5.0
"""Less than any poll; and more than nothing, or a slow answer would be out of date for the pass that it wakes."""
PATIENCE_S = 1.0
"""How long a pass waits for a look, counted from its begin; one that hangs holds up one pass, and once."""
LEFT_ALONE = "Until then acme-mailcow is left alone, and all else goes on"


class ProjectLook:
    """Looks when that is due; `finished` is called when a look ends that a pass did not wait for."""

    def __init__(
        self,
        engine: AcmeEngine,
        hint: str | None,
        completed: Callable[[Sight[Project]], Awaitable[Sight[Project]]],
        *,
        patient: bool,
    ) -> None:
        """`hint` is the project's name where labels do not tell it; `completed` adds to a look what it needs besides.

        `patient`: one pass alone waits for as long as the Engine takes.
        """
        self._engine = engine
        self._hint = hint
        self._completed = completed
        self._patience_s = None if patient else PATIENCE_S
        self._seen: Sight[Project] = NOT_ASKED
        self._looking: asyncio.Task[Sight[Project]] | None = None
        self._began_s = 0.0
        """By the loop's clock."""
        self.touched = True
        """Set by events, and by who changes a container: it is looked at again in the next pass."""
        self.finished: Callable[[], None] = lambda: None

    @property
    def project_name(self) -> str | None:
        """The compose project, once it was seen."""
        return self._seen.value.name if isinstance(self._seen, Seen) else None

    async def close(self) -> None:
        """Ends what is under way; a call to the Engine is left to itself."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)

    async def sight(self, now: float, *, patience_s: float | None = None) -> Sight[Project]:
        """The containers as the last look saw them; `Unseen` while a newer one is due and not answered.

        `patience_s`: how long to wait for that, where it is longer than a pass usually waits.
        """
        if self._looking is None and self._due(now):
            self.touched = False
            self._looking = asyncio.create_task(self._look(now))
            self._began_s = asyncio.get_running_loop().time()
        if self._looking is not None and await self._over(self._looking, self._began_s, patience_s):
            task, self._looking = self._looking, None
            self._seen = task.result()
        if self._looking is not None:
            return self._not_answered(now)
        return self._seen

    def _due(self, now: float) -> bool:
        # A run of acme-mailcow ends without an event: while it is at work it is looked at in every pass.
        fresh_s = AT_WORK_FRESH_S if _at_work(self._seen) else FRESH_S
        return self.touched or now - self._seen.at >= fresh_s

    async def _look(self, now: float) -> Sight[Project]:
        return await self._completed(await self._engine.observe(now, self._hint))

    def _not_answered(self, now: float) -> Unseen:
        """The last trouble goes on until there is an answer: an Engine that hangs gives one reason, not two in turn."""
        if isinstance(self._seen, Unseen) and self._seen is not NOT_ASKED:
            return self._seen
        return Unseen(f"the Docker engine has not answered yet. {LEFT_ALONE}", now)

    async def _over(
        self,
        task: asyncio.Task[Sight[Project]],
        began_s: float,
        patience_s: float | None = None,
    ) -> bool:
        """Waits for the rest of a pass's patience; whether it is over. Who is not waited for tells when it is."""
        if task.done():
            return True
        timeout = None
        if self._patience_s is not None:
            patience_s = self._patience_s if patience_s is None else patience_s
            timeout = max(0.0, began_s + patience_s - asyncio.get_running_loop().time())
        await asyncio.wait({task}, timeout=timeout)
        if task.done():
            return True
        task.remove_done_callback(self._tell)
        task.add_done_callback(self._tell)
        return False

    def _tell(self, task: asyncio.Task[Sight[Project]]) -> None:
        if not task.cancelled():
            self.finished()


def _at_work(project: Sight[Project]) -> bool:
    match project:
        case Seen(Project(acme_sleep=Seen(None))):
            return True
        case _:
            return False
