"""Work on a loop of its own: what it gives, and that nothing of it is left."""

import asyncio
import threading

import pytest

from sidecar.host.tasks import apart


def others() -> set[str]:
    """The names of all threads that were made for work."""
    return {thread.name for thread in threading.enumerate()} & {"apart"}


async def test_result_is_given() -> None:
    """From another thread, and another loop."""

    async def work() -> tuple[int, asyncio.AbstractEventLoop]:
        return threading.get_ident(), asyncio.get_running_loop()

    thread, loop = await apart(work)
    assert thread != threading.get_ident()
    assert loop is not asyncio.get_running_loop()
    assert loop.is_closed()


async def test_exception_is_raised_here() -> None:
    """With its own type."""

    async def work() -> None:
        raise LookupError("nothing there")

    with pytest.raises(LookupError, match="nothing there"):
        await apart(work)


async def test_one_that_is_cancelled_leaves_nothing() -> None:
    """Tasks of the work are ended before the caller goes on."""
    begun, ended = threading.Event(), []

    async def child() -> None:
        try:
            await asyncio.sleep(3_600)
        finally:
            ended.append("child")

    async def work() -> None:
        left = asyncio.create_task(child())
        await asyncio.sleep(0)
        begun.set()
        try:
            await asyncio.sleep(3_600)
        finally:
            ended.append("work")
            assert not left.done()

    task = asyncio.create_task(apart(work))
    await asyncio.to_thread(begun.wait)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(ended) == ["child", "work"]


async def test_one_that_is_cancelled_at_once_never_begins() -> None:
    """Nor does it stay."""
    begun: list[str] = []

    async def work() -> None:
        await asyncio.sleep(3_600)
        begun.append("never")

    task = asyncio.create_task(apart(work))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert begun == []


async def test_work_that_takes_the_processor_keeps_nobody() -> None:
    """Others have their turn meanwhile."""
    over = threading.Event()

    async def work() -> int:
        turns = 0
        while not over.is_set():
            turns += 1
        return turns

    working = asyncio.create_task(apart(work))
    for _ in range(20):
        await asyncio.sleep(0.001)
    assert not working.done()
    over.set()
    assert await working > 0
