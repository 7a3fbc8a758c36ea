"""Live updates as server-sent events: a page is notified of a change and fetches itself again.

Rule for every editor: the stream contains no state. It ends when the server ends, when the visitor leaves, or
when too many streams are open.
"""

import asyncio
from contextlib import suppress

from aiohttp import hdrs, web

from sidecar.host.tasks import end_tasks
from sidecar.web.kit import KIT

MOST_STREAMS = 100
BEAT_S = 15.0
"""Seconds between two comments: proxies close connections that are silent for a minute."""
GATHER_S = 0.5
"""Seconds in which several changes are reported as one."""

CLOSING = web.AppKey("closing", asyncio.Event)
OPEN = web.AppKey("open", set[int])


async def stream(request: web.Request) -> web.StreamResponse:
    """Sends the number of the latest change whenever it changes."""
    kit, closing, streams = request.app[KIT], request.app[CLOSING], request.app[OPEN]
    if len(streams) >= MOST_STREAMS:
        raise web.HTTPServiceUnavailable(
            reason="Too many live pages are open", headers={hdrs.RETRY_AFTER: "60"}
        )
    response = web.StreamResponse(
        headers={hdrs.CONTENT_TYPE: "text/event-stream; charset=utf-8", "X-Accel-Buffering": "no"}
    )
    streams.add(id(request))
    try:
        await response.prepare(request)
        number = kit.source.changes.number
        await response.write(_event(number))
        while not closing.is_set():
            changed = await _next(request, number)
            await response.write(b": \n\n" if changed is None else _event(changed))
            number = number if changed is None else changed
    except ConnectionResetError:
        pass
    finally:
        streams.discard(id(request))
    return response


async def _next(request: web.Request, number: int) -> int | None:
    """The next change; None if there was none for a while or the server ends."""
    kit, closing = request.app[KIT], request.app[CLOSING]
    change = asyncio.create_task(kit.source.changes.after(number))
    end = asyncio.create_task(closing.wait())
    try:
        await asyncio.wait({change, end}, timeout=BEAT_S, return_when=asyncio.FIRST_COMPLETED)
        if not change.done():
            return None
        with suppress(TimeoutError):
            await asyncio.wait_for(closing.wait(), GATHER_S)
        # reported when the pages can show it
        await kit.snapshots.site(patient=True)
        return kit.source.changes.number
    finally:
        await end_tasks(change, end)


def _event(number: int) -> bytes:
    return f"event: changed\ndata: {number}\n\n".encode()
