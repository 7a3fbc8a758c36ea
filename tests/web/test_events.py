"""Live updates: what a live page receives, and when its stream ends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from sidecar.reconcile.passes import PassReport
from sidecar.status.once import Once
from tests.web.fakes import FakeSource, loading, report_of, source_of
from tests.web.visitor import TOKEN, Visitor, visiting


@asynccontextmanager
async def following(visitor: Visitor) -> AsyncIterator[aiohttp.StreamReader]:
    """A page that follows."""
    async with visitor.session.get(visitor.web.url + "events/stream") as response:
        assert response.status == 200
        assert response.content_type == "text/event-stream"
        yield response.content


async def next_event(stream: aiohttp.StreamReader) -> bytes:
    """The next event of the stream."""
    async with asyncio.timeout(5):
        return await stream.readuntil(b"\n\n")


async def test_change_is_sent_to_every_live_page() -> None:
    """By its number alone."""
    source = source_of()
    async with visiting(source) as visitor, following(visitor) as one, following(visitor) as other:
        for stream in (one, other):
            assert await next_event(stream) == b"event: changed\ndata: 0\n\n"
        source.changes.note()
        for stream in (one, other):
            assert await next_event(stream) == b"event: changed\ndata: 1\n\n"


async def test_change_is_sent_when_the_pages_show_it() -> None:
    """From the first look on."""
    source = loading()
    async with visiting(source) as visitor, following(visitor) as stream:
        await next_event(stream)
        source.report = report_of(())
        source.changes.note()
        await next_event(stream)
        _, text, _ = await visitor.get("")
        assert "No domains yet" in text


async def test_page_made_before_a_change_learns_of_it() -> None:
    """The number in the page is older than the first one of the stream."""
    source = source_of()
    async with visiting(source) as visitor:
        _, text, _ = await visitor.get("")
        assert 'data-number="0"' in text
        source.changes.note()
        async with following(visitor) as stream:
            assert await next_event(stream) == b"event: changed\ndata: 1\n\n"


async def test_end_of_the_server_does_not_wait_for_live_pages() -> None:
    """They would never leave by themselves."""
    source = source_of()
    async with visiting(source) as visitor:
        async with following(visitor) as stream:
            await next_event(stream)
            async with asyncio.timeout(3):
                await visitor.web.close()
            rest = await stream.read()
        assert b"changed" not in rest


async def test_live_updates_need_the_token() -> None:
    """Even that something changes is nobody's business."""
    async with visiting(source_of(), token=TOKEN) as visitor:
        assert (await visitor.get("events/stream"))[0] == 401
        await visitor.log_in()
        async with following(visitor) as stream:
            assert await next_event(stream)


async def test_changes_without_end_do_not_keep_a_page_waiting() -> None:
    """It gets the view of the moment of its request."""

    class Restless(FakeSource):
        def latest(self) -> tuple[PassReport, Once] | None:
            self.changes.note()
            return super().latest()

    source = Restless(report_of(()))
    async with visiting(source) as visitor, following(visitor) as stream:
        await next_event(stream)
        source.changes.note()
        await next_event(stream)
        assert (await visitor.get(""))[0] == 200


async def test_view_is_computed_once_for_a_change_for_all_visitors() -> None:
    """The rest is shown from memory."""
    made: list[None] = []

    class Counting(FakeSource):
        def latest(self) -> None:
            made.append(None)

    source = Counting()
    async with visiting(source) as visitor:
        await asyncio.gather(*(visitor.get("") for _ in range(20)))
        before = len(made)
        source.changes.note()
        await asyncio.gather(*(visitor.get("") for _ in range(20)))
    assert before <= 2
    assert len(made) - before <= 2
