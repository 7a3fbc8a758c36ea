"""What the log says of the present state. First, in this order: what works, what was done, what only a person can do.

Later it says each new task once, and when it is over.

Rule for every editor: nothing here is remembered over a restart. Whoever restarts the sidecar wants to read the first
lines again.
"""

import asyncio
import time
from collections.abc import Iterable

from sidecar.daemon.event_log import EventLog
from sidecar.host.lean import structlog
from sidecar.observed import Observed, Seen
from sidecar.observed.notice import Notice
from sidecar.observed.words import command
from sidecar.reconcile.passes import PassReport
from sidecar.settings import Settings
from sidecar.status.log_lines import known, tasks, working
from sidecar.status.needs import summary_of
from sidecar.status.once import Once

PATIENCE_S = 60.0
"""Seconds after which the first lines end although not everything is known."""
INTERVAL_S = 1_200.0
"""Seconds between two looks for tasks while nothing was done."""
REST = 20.0
"""After a look, the rest before the next one, in multiples of its own time: with thousands of domains one takes seconds."""


class StateLog:
    """Logs what works, and the tasks.

    `tasks_log` is not the one of the notices: whatever is absent from its list is over.
    """

    def __init__(self, tasks_log: EventLog) -> None:
        self._log = structlog.get_logger()
        self._tasks_log = tasks_log
        self._working: set[str] = set()
        self._basis: object = None
        """The domains and the certificates of the last look for tasks."""
        self._asks: frozenset[tuple[str, str]] = frozenset()
        """Subject and to-do of each task in the log."""
        self._looked_at = 0.0
        self._rest_s = 0.0
        """Seconds from the last look to the next one, whatever happens."""
        self._due = False
        """Whether something happened since the last look."""
        self._began: float | None = None
        self._opened = False
        """Whether the first lines are complete."""

    def observed(self, observed: Observed, settings: Settings) -> None:
        """Logs what works, before anything is changed; in the first lines only."""
        if self._opened:
            return
        for part in working(observed, settings):
            if part.subject not in self._working:
                self._working.add(part.subject)
                self._log.info(f"works: {part.subject}", **part.values)

    def without_tasks(self, notices: Iterable[Notice]) -> list[Notice]:
        """The notices without those that ask for the same as a task in the log."""
        return [notice for notice in notices if (notice.subject, notice.todo) not in self._asks]

    async def passed(self, report: PassReport, status: Once, settings: Settings) -> None:
        """After a pass and its notices: logs new tasks, and at the end of the first lines the state of all domains."""
        if not report.readable or not isinstance(report.observed.domains, Seen):
            return
        listed, now = report.observed.domains.value, report.observed.now
        # What decides which records are due; all else can wait for the next look.
        certificates = report.observed.certificates
        basis = listed, certificates.value if isinstance(certificates, Seen) else None
        self._due |= not self._opened or bool(report.outcomes) or basis != self._basis
        # After a pass without an answer of mailcow, `report` is the one before, again: it proves nothing new.
        if 0 <= now - self._looked_at < (self._rest_s if self._due else INTERVAL_S):
            return
        self._looked_at, self._basis, self._due = now, basis, False
        self._rest_s = INTERVAL_S  # if the status raises an error
        began_s = time.monotonic()
        current = await asyncio.to_thread(status)
        self._rest_s = REST * (time.monotonic() - began_s)
        found = tasks(current, self._asks)
        self._asks = found.asks
        self._tasks_log.notices(found.all, lambda _code, subject: subject in found.unknown)
        if self._opened:
            return
        self._began = now if self._began is None else min(self._began, now)
        if all(known(row, settings) for row in current.rows) or now - self._began >= PATIENCE_S:
            self._opened = True
            summary = summary_of(current)
            more = {"records": command("records --missing")} if found.records else {}
            more |= {"more": command("status")} if summary.needs else {}
            self._log.info(f"state: {summary.headline}", **more)
