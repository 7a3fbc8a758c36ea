"""Blocking calls in threads of their own.

Rule for every editor: what may hang for long (a notification, the Docker engine, a name) never takes a place in the
event loop's pool, which has a few threads only and is what the passes read and store with. Whoever calls this bounds
how many of its calls are under way.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


async def in_thread(call: Callable[[], T]) -> T:
    """What `call` returns or raises; cancelled, its thread is left to itself, and holds up no end of the process."""
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()  # from here on it runs to its end, whoever still waits for it

    def run() -> None:
        try:
            result = call()
        except BaseException as error:  # noqa: BLE001 - it is the caller's to judge
            future.set_exception(error)
        else:
            future.set_result(result)

    threading.Thread(target=run, name="in_thread", daemon=True).start()
    return await asyncio.wrap_future(future)
