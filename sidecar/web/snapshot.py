"""Keeps the view of the latest moment, so that a page with 5,000 domains costs no more than its lines.

Rule for every editor: the view is made in a thread, once for each change, and under load seldom enough that passes
are not held up. Nothing is decided here.
"""

import asyncio
import time

from sidecar.web.source import Source
from sidecar.web.view import Site, site_of

SHARE = 10
"""A view is made anew at most once in this many times as long as making it took."""


class Snapshots:
    """The latest view."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._lock = asyncio.Lock()
        self._site: Site | None = None
        self._number = -1
        self._not_before = 0.0

    async def site(self) -> Site | None:
        """What the daemon knows; None before the first pass."""
        async with self._lock:
            number = self._source.changes.number
            began = time.monotonic()
            if number != self._number and (self._site is None or began >= self._not_before):
                report = self._source.latest()
                if report is None:
                    self._site = None
                else:
                    self._site = await asyncio.to_thread(
                        site_of, report, self._source.settings, self._source.checked
                    )
                self._number = number
                took = time.monotonic() - began
                self._not_before = began + SHARE * took
            return self._site
