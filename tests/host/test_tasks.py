"""Tasks beside others are ended together."""

import asyncio

from sidecar.host.tasks import end_tasks


async def test_all_have_ended_when_it_returns_however_they_end() -> None:
    """One needs a moment, one fails while it is cancelled, one had failed before, and one was never started."""
    at_rest = asyncio.Event()

    async def slow() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            at_rest.set()

    async def fails_late() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError("late")

    async def fails() -> None:
        raise ValueError("early")

    tasks = [asyncio.create_task(one()) for one in (slow, fails_late, fails)]
    await asyncio.sleep(0)

    await end_tasks(*tasks, None)

    assert at_rest.is_set()
    assert [task.done() for task in tasks] == [True, True, True]
    assert [task.cancelled() for task in tasks] == [True, False, False]
