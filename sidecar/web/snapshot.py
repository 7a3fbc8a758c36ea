"""Keeps the latest view, so that a page of 5,000 domains costs no more than the lines that it shows.

Rule for every editor: the view is computed in a thread, at most once for each change. A page shows the previous view
rather than wait, if somebody asked for it since the change before: the newer one follows live. Nothing is decided here.
"""

import asyncio
import time
from contextlib import suppress

from sidecar.host.tasks import end_tasks
from sidecar.web.source import Source
from sidecar.web.view import Site, site_of

PATIENCE_S = 0.25
"""How long a page waits for the latest view when there is an older one."""
SHARE = 5
"""After computing a view, wait this many times as long as it took before computing the next one."""


class Snapshots:
    """The latest view."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._site: Site | None = None
        self._number = -1
        self._asked = False
        """Whether somebody asked for the view since the last change."""
        self._making: asyncio.Task[None] | None = None
        self._not_before = 0.0

    async def site(self, *, patient: bool = False) -> Site | None:
        """What the daemon knows; None before the first pass. `patient` waits for the latest view."""
        self._asked = True
        wanted = self._source.changes.number  # not later changes: they may never end
        while self._number < wanted:
            if self._making is None:
                self._making = asyncio.create_task(self._make())
                self._making.add_done_callback(self._made)
            making, before = asyncio.shield(self._making), self._site
            if before is None or patient:
                await making
                continue
            with suppress(TimeoutError):
                await asyncio.wait_for(making, PATIENCE_S)
            return self._site or before  # it may have been forgotten just now
        return self._site

    async def warm(self) -> None:
        """Computes the first view as soon as there is data, so that the first page does not wait.

        Later, forgets a view for which nobody asks between two changes: it holds all that its pass knew.
        """
        while await self.site(patient=True) is None:
            await self._source.changes.after(self._number)
        number = self._number
        while True:
            self._asked = False
            number = await self._source.changes.after(number)
            if not self._asked and self._making is None:
                self._site, self._number = None, -1

    async def close(self) -> None:
        await end_tasks(self._making)

    def _made(self, task: "asyncio.Task[None]") -> None:
        self._making = None
        if not task.cancelled():
            task.exception()  # raised in those who wait for it; without a waiter, the next page computes again

    async def _make(self) -> None:
        await asyncio.sleep(max(0.0, self._not_before - time.monotonic()))
        number, began = self._source.changes.number, time.monotonic()
        latest = self._source.latest()
        site = None
        if latest is not None:
            report, status = latest
            site = await asyncio.to_thread(lambda: site_of(report, status()))
        self._site, self._number = site, number
        took = time.monotonic() - began
        self._not_before = began + SHARE * took
