"""Checks, beside the passes, whether another server serves a policy for a domain whose policy host leads there.

Rule for every editor: a policy that was seen there stays known while the host leads there, as long as senders may hold it:
an hour of trouble at a provider is not a reason to publish another policy. What was not seen is `Unseen`.
"""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from sidecar.formats.mtasts_policy import Policy
from sidecar.host.clock import Clock
from sidecar.host.errors import SidecarError
from sidecar.host.lean import structlog
from sidecar.host.tasks import end_tasks
from sidecar.observed import Seen, Sight, Unseen
from sidecar.verify.run import BetweenRuns, Probing, Wanted, check_many

log = structlog.get_logger()

FRESH_S = 3_600.0
PATIENCE_S = 10.0
"""How long a command that makes one pass waits for the checks."""
BATCH = 100
LEAST_KEPT_S = 86_400.0


@dataclass(slots=True)
class Elsewhere:
    """Checks domains, and keeps what was seen."""

    clock: Clock
    _known: dict[str, Sight[Policy | None]] = field(default_factory=dict)
    _begun: dict[str, float] = field(default_factory=dict)
    """When each was checked last (Unix seconds)."""
    _between: BetweenRuns = field(default_factory=BetweenRuns)
    _task: asyncio.Task[None] | None = None

    async def sight(
        self, domains: Collection[str], probing: Probing, *, patient: bool
    ) -> Mapping[str, Sight[Policy | None]]:
        """What is known of each of these domains: the valid policy that senders get, None where they get none."""
        now = self.clock.now()
        self._known = {name: seen for name, seen in self._known.items() if name in domains}
        self._begun = {name: at for name, at in self._begun.items() if name in domains}
        due = [name for name in domains if not 0 <= now - self._begun.get(name, -FRESH_S) < FRESH_S][:BATCH]
        if due and (self._task is None or self._task.done()):
            self._begun |= dict.fromkeys(due, now)
            self._task = asyncio.create_task(
                self._check(due, replace(probing, smtp=False, inside_https=None))
            )
        if patient and self._task is not None:
            await asyncio.wait({self._task}, timeout=PATIENCE_S)
        pending = Unseen("it is not known yet whether another server serves a policy for it", now)
        return {name: self._known.get(name, pending) for name in domains}

    async def _check(self, due: Collection[str], probing: Probing) -> None:
        try:
            found = await check_many([Wanted(name) for name in due], probing, self.clock.now, self._between)
        except SidecarError as error:
            self._known |= {
                name: Unseen(str(error), self.clock.now()) for name in due if name not in self._known
            }
            return
        except Exception as error:  # the top of this task: nobody waits for it
            log.error("a bug in the checks of other servers' policies; they go on", exc_info=error)
            return
        for checked in found:
            now = self.clock.now()
            before = self._known.get(checked.domain)
            still_held = (
                isinstance(before, Seen)
                and before.value is not None
                and 0 <= now - before.at < max(before.value.max_age, LEAST_KEPT_S)
            )
            if checked.policy is None and still_held:
                continue
            if checked.policy is None and checked.body is None and checked.record is not False:
                reason = "its DNS announces a policy, or is silent, and no policy can be fetched there"
                self._known[checked.domain] = Unseen(reason, now)
            else:
                self._known[checked.domain] = Seen(checked.policy, now)

    async def close(self) -> None:
        await end_tasks(self._task)
