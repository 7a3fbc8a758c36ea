"""Blocking calls in threads of their own.

Rule for every editor: what may hang for long (a notification, the Docker engine, a name) never runs in the
event loop's pool, which has only a few threads that the passes need for reading and storing. The caller limits the
number of its running calls.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


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
