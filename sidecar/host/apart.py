"""Work on an event loop of its own, in a thread of its own.

Rule for every editor: answers of strangers' servers may take long to decode (64 KB from the DNS, a policy of 8,000
patterns). The passes must not wait for that, so it does not run on their loop.
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
    """Returns or raises what `work()` does; a cancelled caller also waits until the work has ended."""
    loop = asyncio.new_event_loop()
    outcome: Future[T] = Future()

    def cancel_all() -> None:
        for task in asyncio.all_tasks(loop):
            task.cancel()

    def run() -> None:
        try:
            try:
                result = loop.run_until_complete(work())
            finally:
                # As `asyncio.run` ends its loop, but without waiting for a thread that still resolves a name.
                if left := asyncio.all_tasks(loop):
                    cancel_all()
                    loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
                loop.run_until_complete(loop.shutdown_asyncgens())
                loop.close()
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
            loop.call_soon_threadsafe(cancel_all)
        await asyncio.wait([waiting])
        waiting.cancelled() or waiting.exception()  # no one waits for the result
        raise
