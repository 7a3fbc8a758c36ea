"""Work beside the event loop's own: tasks, blocking calls in threads of their own, and an event loop in a thread of its own.

Rules for every editor: what may hang for long (a notification, the Docker engine, a name) never runs in the event loop's
pool, which has only a few threads that the passes need for reading and storing. The caller limits the number of its
running calls. Answers of strangers' servers may take long to decode (64 KB from the DNS, a policy of 8,000 patterns): the
passes must not wait for that, so it does not run on their loop (`apart`).
"""

import asyncio
import contextvars
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from threading import Thread
from typing import Any, TypeVar

T = TypeVar("T")


async def end_tasks(*tasks: "asyncio.Task[Any] | None") -> None:
    """Cancels them, and waits until each has ended, however it ends; None is one that was never started."""
    begun = [task for task in tasks if task is not None]
    for task in begun:
        task.cancel()
    await asyncio.gather(*begun, return_exceptions=True)


async def in_thread(call: Callable[[], T]) -> T:
    """Returns or raises what `call` does. If cancelled, the thread is abandoned; it does not delay the end of the process."""
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()  # from here on it runs to its end, whether someone waits or not

    def run() -> None:
        try:
            result = call()
        except BaseException as error:  # noqa: BLE001 - it is the caller's to judge
            future.set_exception(error)
        else:
            future.set_result(result)

    threading.Thread(target=run, name="in_thread", daemon=True).start()
    return await asyncio.wrap_future(future)


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
