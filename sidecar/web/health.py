"""`/healthz` (the loop moves, and can store) and `/readyz` (it has made a pass and can read mailcow), for who watches it.

Rules for every editor: `/healthz` and `sidecar healthy` say the same, so both go by the file that the loop writes.
Progress counts as life: a pass over many domains of a slow mailcow may take long, as long as something in it moves.
Anybody may ask: no answer tells more than a word of why; the log and the page tell the rest.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from aiohttp import hdrs, web

from sidecar.clock import Clock
from sidecar.heartbeat import STALE_AFTER_S, UNWRITABLE, trouble
from sidecar.reconcile import Report
from sidecar.telling import UNREAD

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Pulse:
    """What the loop says of itself: `begins` before each pass, `ends` after it and after its sign of life.

    `moved` for each answer that was read and each action that was tried in between.
    """

    pass_since: float | None = None
    """Unix seconds; None between passes."""
    moved_at: float = 0.0
    """When something moved last: a pass began, was answered or did something."""
    moves: int = 0
    passes: int = 0
    report: Report | None = None
    """Of the last pass; None where that did not work."""

    def begins(self, now: float) -> None:
        """A pass begins at `now` (Unix seconds)."""
        self.pass_since = self.moved_at = now

    def moved(self, now: float) -> None:
        """Something in the pass under way was answered, or done."""
        self.moves += 1
        self.moved_at = now

    def ends(self, report: Report | None) -> None:
        """It is over; without a report where it did not work."""
        self.pass_since = None
        self.passes += 1
        self.report = report


def unhealthy(pulse: Pulse, stale: str | None, now: float) -> str | None:
    """Why the loop is not alive, None where it is; `stale` is what is wrong with the sign of life (`trouble`).

    Before the end of the first pass there is none, or that of an earlier process.
    """
    if pulse.pass_since is not None and now - pulse.moved_at > STALE_AFTER_S:
        return f"in the pass under way nothing has moved for {now - pulse.moved_at:.0f} s: it hangs"
    return stale if pulse.passes else None


def unready(pulse: Pulse) -> str | None:
    """Why the sidecar cannot do its work (yet), None where it can."""
    if not pulse.passes:
        return "the first pass is not over"
    if pulse.report is None:
        return "the last pass did not work"
    return None if readable(pulse.report) else "mailcow cannot be read"


def readable(report: Report) -> bool:
    """Whether mailcow answered in this pass: without an answer it goes by an older list."""
    return report.readable and not any(notice.code == UNREAD for notice in report.plan.notices)


def healthz(pulse: Pulse, state_dir: Path, clock: Clock) -> Handler:
    """Answers `GET /healthz`: 200 while the loop is alive and can write its state, else 503."""

    async def handle(_request: web.Request) -> web.Response:
        now = clock.now()
        stale = await asyncio.to_thread(trouble, state_dir, now)
        # The text of `trouble` names a path and is for the one who runs `sidecar healthy`.
        if stale is not None:
            unwritable = stale.startswith(UNWRITABLE)
            stale = UNWRITABLE if unwritable else "no fresh sign of life: the loop hangs"
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
