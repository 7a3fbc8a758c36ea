"""The interface of the daemon that the web page uses.

Rule for every editor: the page never waits for mailcow. All methods except `history` answer at once from memory. The
actions store a request and return; the passes do the work.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from sidecar.observed.history import HistoryEvent
from sidecar.reconcile.passes import PassReport
from sidecar.status.once import Once
from sidecar.status.reports import ReportsView


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why the data is not current, what to do about it, and since when (Unix seconds)."""

    message: str
    since: float
    todo: str | None = None
    title: str = "mailcow cannot be reached"


@dataclass(frozen=True, slots=True)
class Progress:
    """A long task: what it does, how much is done, and since when (Unix seconds)."""

    doing: str
    done: int
    total: int
    since: float


class Changes:
    """Wakes those who wait for a change; belongs to one event loop."""

    def __init__(self) -> None:
        self.number = 0
        self._event = asyncio.Event()

    def note(self) -> None:
        """Something changed."""
        self.number += 1
        event, self._event = self._event, asyncio.Event()
        event.set()

    async def after(self, number: int) -> int:
        """Waits until there is a change later than `number`; returns the latest."""
        while self.number <= number:
            await self._event.wait()
        return self.number


class Source(Protocol):
    """What the daemon knows, and the actions that can be requested; times in Unix seconds."""

    @property
    def dry_run(self) -> bool:
        """Whether the settings allow no change."""
        ...

    @property
    def checks_on(self) -> bool: ...

    @property
    def started_at(self) -> float:
        """When the daemon was started."""
        ...

    @property
    def changes(self) -> Changes:
        """Notified whenever one of the answers below may have changed."""
        ...

    def latest(self) -> tuple[PassReport, Once] | None:
        """The last report in which mailcow could be read, else the last one, with the status of the domains in it.

        None before the end of the first pass. The first call of the status computes it, so call it in a thread.
        """
        ...

    def trouble(self) -> Trouble | None:
        """Why the last pass could not read everything (mailcow cannot be reached, for example); None if it could."""
        ...

    def progress(self) -> Progress | None:
        """The progress of the first checks of many domains; None when they are done."""
        ...

    async def history(self, subject: str | None, limit: int) -> tuple[HistoryEvent, ...]:
        """The last `limit` events of a subject (None: of all), oldest first; raises SidecarError."""
        ...

    async def reports(self, domain: str | None) -> ReportsView | None:
        """What senders reported about a domain (None: about all); None if no reports are received. Raises SidecarError."""
        ...

    async def raw_report(self, number: int) -> bytes | None:
        """An unchanged report; None if it is not stored. Raises SidecarError."""
        ...

    async def check_now(self, domain: str | None) -> None:
        """Request a sender check of a domain (None: of all)."""
        ...

    async def apply_now(self) -> None:
        """Request a pass now, even during a wait after failures."""
        ...

    async def adopt_records(self, names: Iterable[str]) -> None:
        """Request that the DNS records at these names, made by a person, are adopted; raises SidecarError."""
        ...

    async def let_through(self, guard: str) -> None:
        """Request that a guard (`LARGE_DNS_PLAN`) is lifted once; raises SidecarError."""
        ...

    async def adopt(self, keys: Iterable[str]) -> None:
        """Request that the policies of these domains (or `FILE`), made by a person, are adopted; raises SidecarError."""
        ...
