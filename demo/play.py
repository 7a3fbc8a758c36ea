"""Plays the stories: builds the stage, runs the real sidecar, plays the story, removes everything, prints a summary.

Rule for every editor: the sidecar is `daemon.loop.Daemon` as `sidecar run` starts it. The demo ends automatically: every
promise has a time limit, and so has a whole story.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace

import structlog

from demo import dns_story, file_story, native_story
from demo.promises import BrokenPromiseError, Promise
from demo.screen import LogStream, Screen
from demo.stage import SHORTENED, Stage, staged, staged_with_dns
from demo.story import Telling
from sidecar.daemon.loop import Daemon
from sidecar.host import log
from sidecar.observed import Backend

ENDS_WITHIN_S = 2.0


@dataclass(frozen=True, slots=True)
class _Story:
    title: str
    tell: Callable[[Telling], Awaitable[None]]
    limit_s: float
    stage: Callable[[], AbstractAsyncContextManager[Stage]]


_STORIES: Mapping[str, _Story] = {
    "native": _Story(native_story.TITLE, native_story.tell, 90.0, lambda: staged(Backend.NATIVE)),
    "file": _Story(file_story.TITLE, file_story.tell, 90.0, lambda: staged(Backend.FILE)),
    "dns": _Story(dns_story.TITLE, dns_story.tell, 90.0, staged_with_dns),
}
"""In their order: what a new mailcow is comes first."""


async def play(backend: str, spoil: Callable[[Stage], None] | None, *, stay: bool = False) -> bool:
    """Plays "native", "file", "dns" or "all" (KeyError for another); whether every promise was kept.

    `stay`: after the last story the sidecar and its page stay open until a person ends the demo.
    """
    chosen = list(_STORIES) if backend == "all" else [backend]
    screen = Screen()
    begun = time.monotonic()
    promises: list[Promise] = []
    before = structlog.get_config()
    try:
        # Native first: a new mailcow is of this generation; last if its page stays open.
        played = chosen[1:] + chosen[:1] if stay else chosen
        for one in played:
            promises += await _one(one, _STORIES[one], screen, spoil, stay=stay and one is played[-1])
    finally:
        screen.quiet()
        structlog.configure(**before)
    screen.summary(promises, time.monotonic() - begun)
    return bool(promises) and all(promise.kept for promise in promises)


async def _one(
    name: str, chosen: _Story, screen: Screen, spoil: Callable[[Stage], None] | None, *, stay: bool
) -> list[Promise]:
    screen.waiting("setting the stage")
    async with chosen.stage() as stage:
        screen.quiet()
        stream = LogStream(screen)
        log.configure(json=False, stream=stream, secrets=[stage.mailcow.key or ""])
        screen.chapter(
            chosen.title,
            [
                ("mailcow", f"simulated, at {stage.mailcow.url}, its directory {stage.mailcow_dir}"),
                ("DNS", f"a stand-in, at {stage.dns}"),
                ("containers", stage.containers.described),
                ("waits", f"shortened for the demo: {SHORTENED}"),
            ],
        )
        if spoil is not None:
            spoil(stage)
        daemon = Daemon(
            stage.env, stage.clock, engine=stage.containers.engine, on_report=stage.reports.append
        )
        story = Telling(name, stage, daemon, screen, stream)
        running = asyncio.create_task(daemon.run())
        telling = asyncio.create_task(_told(chosen, story))
        try:
            await asyncio.wait({running, telling}, return_when=asyncio.FIRST_COMPLETED)
            if stay and not running.done() and daemon.live.served is not None:
                screen.stays(daemon.live.served.url)
                await asyncio.wait({running})  # the sidecar has the signal handlers: a Ctrl-C ends it
                if running.exception() is None:
                    return story.promises
            interrupted = running.done() and not telling.done() and running.exception() is None
            if running.done() and not interrupted:
                story.promises.append(_failed(story, "the sidecar runs", repr(running.exception())))
        finally:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)
            await _ended(daemon, running, story)
        if interrupted:
            # The sidecar has the signal handlers while it runs: a Ctrl-C ended it, and with it the demo.
            raise KeyboardInterrupt
        return story.promises


async def play_dns(stage: Callable[[], AbstractAsyncContextManager[Stage]]) -> list[Promise]:
    """The story of DNS on a stage of the caller's; all promises, kept or not."""
    screen = Screen()
    before = structlog.get_config()
    try:
        return await _one("dns", replace(_STORIES["dns"], stage=stage), screen, None, stay=False)
    finally:
        screen.quiet()
        structlog.configure(**before)


async def _told(story: _Story, telling: Telling) -> None:
    try:
        async with asyncio.timeout(story.limit_s):
            await story.tell(telling)
            await telling.promise(
                "no bug appeared in the sidecar",
                lambda: _no_bug(telling),
                expected="no line about a bug",
                within_s=0,
            )
    except BrokenPromiseError:
        pass
    except TimeoutError:
        telling.screen.quiet()
        limit = f"{story.limit_s:g} s"
        telling.promises.append(_failed(telling, f"the story ends within {limit}", "it was still running"))
    except Exception as error:
        telling.screen.quiet()
        telling.promises.append(_failed(telling, "the demo itself works", repr(error)))
        raise


async def _no_bug(telling: Telling) -> str | None:
    return next(
        (line for line in telling.log.lines if "bug in the sidecar" in line or "Traceback" in line), None
    )


async def _ended(daemon: Daemon, running: "asyncio.Task[None]", story: Telling) -> None:
    """Ends the sidecar, and promises that it ends in time."""
    text = f"the sidecar stops within {ENDS_WITHIN_S:g} s when asked"
    story.screen.quiet()
    begun = time.monotonic()
    daemon.stop()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(asyncio.gather(running, return_exceptions=True), 3 * ENDS_WITHIN_S)
    took = time.monotonic() - begun
    made = Promise(story.name, text, took <= ENDS_WITHIN_S, took, f"{ENDS_WITHIN_S:g} s", f"{took:.1f} s")
    story.promises.append(made)
    story.screen.promise(made)


def _failed(story: Telling, text: str, found: str) -> Promise:
    broken = Promise(story.name, text, False, 0.0, text, found)
    story.screen.promise(broken)
    return broken
