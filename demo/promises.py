"""The promises of the demo, and how one is checked: against the world, until it is true or its time is over.

Rule for every editor: a check asks the world (mailcow's web server, files, certificates, what the simulated
mailcow was asked), never the sidecar's own opinion of it; only that something was *said* is read from its log.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

Check: TypeAlias = Callable[[], Awaitable[str | None]]
"""None if it is true, else the value found instead."""
LOOK_EVERY_S = 0.02


@dataclass(frozen=True, slots=True)
class Promise:
    """One promise of a story, and whether it was kept; `took_s` seconds after it was made."""

    story: str
    text: str
    kept: bool
    took_s: float
    expected: str = ""
    found: str = ""


class BrokenPromiseError(Exception):
    """The story ends: its next steps depend on this promise."""


async def judged(story: str, text: str, check: Check, *, expected: str, within_s: float) -> Promise:
    """Repeats the check until it succeeds; the promise is broken if it does not within that time."""
    begun = time.monotonic()
    while True:
        found = await check()
        took = time.monotonic() - begun
        if found is None:
            return Promise(story, text, True, took)
        if took > within_s:
            return Promise(story, text, False, took, f"{expected}, within {within_s:g} s", found)
        await asyncio.sleep(LOOK_EVERY_S)
