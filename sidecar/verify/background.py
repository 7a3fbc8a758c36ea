"""Checks this mailcow's domains as a sender does, a batch at a time beside the passes.

Rule for every editor: no pass waits for a check. Which domains are due is decided in `schedule`, what a check means
in `learn_checks`.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sidecar.formats.mtasts_policy import Policy
from sidecar.host.clock import Clock
from sidecar.host.errors import SidecarError
from sidecar.host.lean import structlog
from sidecar.host.tasks import end_tasks
from sidecar.observed import Conf, SenderView
from sidecar.verify.probes.connect import InsideHost
from sidecar.verify.run import BetweenRuns, Checked, Probing, Wanted, check_many
from sidecar.verify.seen import Meant

log = structlog.get_logger()

BATCH = 100
"""Domains in one batch: its results are shown before the next begins."""


def probing_for(conf: Conf, resolver: tuple[str, int] | None, extra_root: Path | None = None) -> Probing:
    """How this mailcow's own domains are probed: inside its network where the public way does not work (hairpin NAT)."""
    return Probing(
        resolver=resolver,
        extra_root=extra_root,
        inside_https=InsideHost("nginx-mailcow", conf.port("HTTPS_PORT", 443) or 443),
        inside_smtp={conf.hostname: InsideHost("postfix-mailcow", 25)},
    )


@dataclass
class Checker:
    """Runs the checks; what they found is kept until it is taken."""

    clock: Clock
    finished: Callable[[], None] = lambda: None
    """Called when there are results to take; never after a failure, which would start the next batch at once."""
    trouble: str | None = None
    """Why the last batch could not be checked."""
    total: int = 0
    done: int = 0
    """Progress of the batches since no batch was due last."""
    _between: BetweenRuns = field(default_factory=BetweenRuns)
    _found: list[SenderView] = field(default_factory=list)
    _left: int = 0
    """Domains that were due beyond the last batch."""
    _task: asyncio.Task[None] | None = None

    @property
    def busy(self) -> bool:
        return self._task is not None and not self._task.done()

    def take(self) -> tuple[SenderView, ...]:
        """What was seen since the last call."""
        found, self._found = self._found, []
        return tuple(found)

    def begin(self, meant: Mapping[str, Policy], probing: Probing, *, shared: bool, waiting: int) -> None:
        """Begins to check these domains, with the policy each should be served; `waiting` are due in all.

        `shared`: one text serves all domains. Does nothing while a batch is under way.
        """
        if self.busy:
            return
        if not self._left:
            self.done = 0
        self._left = max(0, waiting - len(meant))
        if not meant:
            return
        self.total = self.done + waiting
        wanted = [Wanted(domain, Meant(policy, shared), ours=True) for domain, policy in meant.items()]
        self._task = asyncio.create_task(self._batch(wanted, probing))

    async def _batch(self, wanted: list[Wanted], probing: Probing) -> None:
        try:
            for checked in await check_many(wanted, probing, self.clock.now, self._between):
                self._found.append(view_of(checked))
            self.trouble = None
        except SidecarError as error:
            self.trouble = str(error)
        except Exception as error:  # the top of this task: nobody waits for it
            log.error("a bug in the checks; they go on", exc_info=error)
            self.trouble = "some domains could not be checked, for a bug in the sidecar: see its log"
        self.done += len(wanted)
        if self.trouble is None:
            self.finished()

    async def close(self) -> None:
        await end_tasks(self._task)


def view_of(checked: Checked) -> SenderView:
    """The part of a check that decisions need."""
    return SenderView(checked.domain, checked.at, checked.findings, checked.id, checked.has("txt-alias"))
