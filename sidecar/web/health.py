"""`/healthz` (the loop runs and can write its state) and `/readyz` (a pass has run and mailcow can be read), for monitors.

Rules for every editor: `/healthz` and `sidecar healthy` give the same answer: both read the file that the loop writes.
Progress is a sign of life: a pass over many domains of a slow mailcow may take long while it makes progress.
No token is needed, so an answer has only a short reason; the log and the page have the details.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from aiohttp import hdrs, web

from sidecar.host.clock import Clock
from sidecar.host.heartbeat import STALE_AFTER_S, UNWRITABLE, trouble
from sidecar.reconcile.passes import PassReport
from sidecar.status.repeats import UNREAD

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Pulse:
    """What the loop reports: `begins` before each pass, `ends` after it and after its sign of life.

    `moved` for each answer read and each action tried in between.
    """

    pass_since: float | None = None
    """Unix seconds; None between passes."""
    moved_at: float = 0.0
    """When the last progress was made: a pass began, got an answer or did something."""
    moves: int = 0
    passes: int = 0
    report: PassReport | None = None
    """Of the last pass; None if it failed."""

    def begins(self, now: float) -> None:
        """A pass begins at `now` (Unix seconds)."""
        self.pass_since = self.moved_at = now

    def moved(self, now: float) -> None:
        """The running pass got an answer or did something."""
        self.moves += 1
        self.moved_at = now

    def ends(self, report: PassReport | None) -> None:
        """The pass is over; `report` is None if it failed."""
        self.pass_since = None
        self.passes += 1
        self.report = report


def unhealthy(pulse: Pulse, stale: str | None, now: float) -> str | None:
    """Why the loop is not alive; None if it is. `stale` is the problem with the sign of life (`trouble`).

    Before the end of the first pass, there is no sign of life, or one of an earlier process.
    """
    if pulse.pass_since is not None and now - pulse.moved_at > STALE_AFTER_S:
        return f"the running pass has made no progress for {now - pulse.moved_at:.0f} s: it hangs"
    return stale if pulse.passes else None


def unready(pulse: Pulse) -> str | None:
    """Why the sidecar cannot work (yet); None if it can."""
    if not pulse.passes:
        return "the first pass has not finished"
    if pulse.report is None:
        return "the last pass failed"
    return None if readable(pulse.report) else "mailcow cannot be read"


def readable(report: PassReport) -> bool:
    """Whether mailcow answered in this pass; otherwise the pass used an older list."""
    return report.readable and not any(notice.code == UNREAD for notice in report.plan.notices)


def healthz(pulse: Pulse, state_dir: Path, clock: Clock) -> Handler:
    """Answers `GET /healthz`: 200 while the loop is alive and can write its state, else 503."""

    async def handle(_request: web.Request) -> web.Response:
        now = clock.now()
        stale = await asyncio.to_thread(trouble, state_dir, now)
        # The text of `trouble` has a path, which is only for the user of `sidecar healthy`.
        if stale is not None:
            unwritable = stale.startswith(UNWRITABLE)
            stale = UNWRITABLE if unwritable else "no recent sign of life: the loop hangs"
        return _answer(unhealthy(pulse, stale, now), "alive")

    return handle


def readyz(pulse: Pulse) -> Handler:
    """Answers `GET /readyz`: 200 once mailcow was read, else 503."""

    async def handle(_request: web.Request) -> web.Response:
        return _answer(unready(pulse), "ready")

    return handle


def _answer(wrong: str | None, right: str) -> web.Response:
    return web.Response(
        text=f"{wrong or right}\n", status=503 if wrong else 200, headers={hdrs.CACHE_CONTROL: "no-store"}
    )
