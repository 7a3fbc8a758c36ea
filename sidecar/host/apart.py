"""Work on an event loop of its own, in a thread of its own.

Rule for every editor: what strangers' servers answer may take long to decode (an answer of 64 KB from the DNS, a
policy of 8,000 patterns). Nothing that the passes do may wait for it, so it is not done on their loop.
"""

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from threading import Thread
from typing import Any, TypeVar

T = TypeVar("T")


async def apart(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """What `work()` gives or raises; a caller that is cancelled waits until the work is ended, too."""
    loop = asyncio.new_event_loop()
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            try:
                result = loop.run_until_complete(work())
            finally:
                _end(loop)
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            outcome.set_exception(error)
        else:
            outcome.set_result(result)

    thread = Thread(target=contextvars.copy_context().run, args=(run,), name="apart", daemon=True)
    thread.start()
    waiting = asyncio.wrap_future(outcome)
    try:
        return await asyncio.shield(waiting)
    except asyncio.CancelledError:
        with suppress(RuntimeError):  # it is over already
            loop.call_soon_threadsafe(_cancel_all, loop)
        await asyncio.wait([waiting])
        waiting.cancelled() or waiting.exception()  # nobody is left to be told
        raise


def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    for task in asyncio.all_tasks(loop):
        task.cancel()


def _end(loop: asyncio.AbstractEventLoop) -> None:
    """As `asyncio.run` ends a loop, but for a thread that still asks for a name: nobody waits for that."""
    loop.run_until_complete(_left())
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


async def _left() -> None:
    """Ends what still runs on this loop."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
