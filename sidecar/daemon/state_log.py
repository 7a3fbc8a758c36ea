"""What the log says of the present state. First, in this order: what works, what was done, what only a person can do.

Later it says each new task once, and when it is over.

Rule for every editor: nothing here is remembered over a restart. Whoever restarts the sidecar wants to read the first
lines again.
"""

import asyncio
from collections.abc import Iterable

from sidecar.daemon.event_log import EventLog
from sidecar.host.lean import structlog
from sidecar.observed import Observed, Seen
from sidecar.observed.notice import Notice
from sidecar.observed.notice_codes import NoticeCode
from sidecar.observed.words import command
from sidecar.reconcile.passes import Report
from sidecar.settings import Settings
from sidecar.status.log_lines import known, tasks, working
from sidecar.status.needs import summary_of
from sidecar.status.once import Once

PATIENCE_S = 60.0
"""Seconds after which the first lines end although not everything is known."""
INTERVAL_S = 600.0
"""Seconds between two looks for tasks while nothing was done: with thousands of domains one takes a moment."""


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
        self._hosts: frozenset[str] = frozenset()
        """The policy hosts whose record is a task in the log."""
        self._looked_at = 0.0
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
        """The notices that ask for nothing that is a task in the log."""
        return [n for n in notices if n.code is not NoticeCode.NAME_NOT_READY or n.subject not in self._hosts]

    async def passed(self, report: Report, status: Once, settings: Settings) -> None:
        """After a pass and its notices: logs new tasks, and at the end of the first lines the state of all domains."""
        if not report.readable or not isinstance(report.observed.domains, Seen):
            return
        listed, now = report.observed.domains.value, report.observed.now
        # What decides which records are due; all else can wait for the next look.
        certificates = report.observed.certificates
        basis = listed, certificates.value if isinstance(certificates, Seen) else None
        idle = self._opened and not report.outcomes and basis == self._basis
        if idle and 0 <= now - self._looked_at < INTERVAL_S:
            return
        self._looked_at, self._basis = now, basis
        current = await asyncio.to_thread(status)
        found = tasks(current, self._hosts)
        self._hosts = found.hosts
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
