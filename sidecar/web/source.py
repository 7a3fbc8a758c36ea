"""What the web page needs of the daemon, and nothing else of it.

Rule for every editor: the page asks and never waits for mailcow. All methods but `history` answer at once, from
what is in memory; the three actions note a wish and return, the passes do the work.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from sidecar.reconcile.passes import Report
from sidecar.settings import Settings
from sidecar.state.store import HistoryEvent
from sidecar.status.once import Once


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why nothing new can be seen now, what to do about it, and since when (Unix seconds)."""

    message: str
    since: float
    todo: str | None = None
    title: str = "mailcow cannot be reached"


@dataclass(frozen=True, slots=True)
class Progress:
    """Long work: what is being done, how much of it is done, and since when (Unix seconds)."""

    doing: str
    done: int
    total: int
    since: float


class Changes:
    """Tells those who wait that something changed; belongs to one event loop."""

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
    """What the daemon knows, and the three things that it can be asked for; times in Unix seconds."""

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        ...

    @property
    def started_at(self) -> float:
        """When the daemon was started."""
        ...

    @property
    def changes(self) -> Changes:
        """Noted whenever one of the answers below may be another."""
        ...

    def latest(self) -> tuple[Report, Once] | None:
        """The last report in which mailcow could be read, else the last one, with the status of the domains in it.

        None before the end of the first pass. The first to ask for the status works it out, so it is asked in a thread.
        """
        ...

    def trouble(self) -> Trouble | None:
        """Why the last pass saw less than it should (mailcow cannot be reached, say); None where all is well."""
        ...

    def progress(self) -> Progress | None:
        """The first look at many domains, while it goes on."""
        ...

    async def history(self, subject: str | None, limit: int) -> tuple[HistoryEvent, ...]:
        """The last `limit` events of a subject (None: of all), oldest first; raises SidecarError."""
        ...

    async def check_now(self, domain: str | None) -> None:
        """Look at a domain (None: at all) as a sender, soon."""
        ...

    async def apply_now(self) -> None:
        """Make a pass now, also where a wait after failures is not over."""
        ...

    async def adopt(self, keys: Iterable[str]) -> None:
        """Take over the policies of these domains (or `FILE`) from the person who made them; raises SidecarError."""
        ...
