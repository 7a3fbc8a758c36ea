"""The event stream where an engine misbehaves; `tests/system/test_events.py` has a real one."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from sidecar.host.errors import PermanentError, SidecarError, TemporaryError
from sidecar.mailcow.engine.events import EngineEvent, events

LOOPBACK = "127.0.0.1"


def line(action: str, **attributes: str) -> bytes:
    """A line of the stream, in the Engine's words."""
    event = {
        "Type": "container",
        "Action": action,
        "Actor": {"Attributes": attributes},
        "timeNano": 1_500_000_000,
    }
    return json.dumps(event).encode() + b"\n"


ACME = {"com.docker.compose.service": "acme-mailcow"}


@asynccontextmanager
async def answering(body: bytes, status: int = 200) -> AsyncIterator[str]:
    """An address that answers each question with this and ends the answer."""

    async def handle(request: web.Request) -> web.Response:
        assert request.path == "/events"
        assert json.loads(request.query["filters"])["label"] == ["com.docker.compose.project=p"]
        return web.Response(body=body, status=status)

    application = web.Application()
    application.router.add_get("/{path:.*}", handle)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        await web.TCPSite(runner, LOOPBACK, 0).start()
        yield f"tcp://{LOOPBACK}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def read(docker_host: str) -> tuple[list[EngineEvent], SidecarError]:
    """The events until the stream ended, and how it ended."""
    found: list[EngineEvent] = []
    try:
        async for event in events(docker_host, "p"):
            found.append(event)  # noqa: PERF401  kept when the stream breaks
    except SidecarError as error:
        return found, error
    raise AssertionError("the stream ended without a word")


async def test_events_are_passed_on_until_the_stream_ends() -> None:
    """The Engine's words stay; what is of no service or strange is left out. The end is temporary trouble."""
    body = line("start", **ACME) + b"\n" + line("start") + b"[]\n" + line("health_status: healthy", **ACME)
    async with answering(body) as docker_host:
        found, error = await read(docker_host)
    assert found == [
        EngineEvent("acme-mailcow", "start", 1.5),
        EngineEvent("acme-mailcow", "health_status: healthy", 1.5),
    ]
    assert isinstance(error, TemporaryError)
    assert "ended the stream of events" in str(error)


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (403, b"", PermanentError, "answered 403 when asked for events; is there a proxy"),
        (500, b"", TemporaryError, "answered 500"),
        (200, b"<html>", TemporaryError, "JSONDecodeError"),
    ],
)
async def test_bad_answer_is_reported(status: int, body: bytes, kind: type[SidecarError], words: str) -> None:
    """A proxy that forbids events stays; everything else may pass."""
    async with answering(body, status) as docker_host:
        found, error = await read(docker_host)
    assert (found, type(error)) == ([], kind)
    assert words in str(error)


async def test_missing_engine_is_temporary() -> None:
    """It may come back."""
    _, error = await read("unix:///tmp/there-is-no-such.sock")
    assert isinstance(error, TemporaryError)
    assert "/tmp/there-is-no-such.sock" in str(error)


async def test_unsupported_address_is_permanent() -> None:
    """The SDK knows `ssh:`; the stream does not."""
    _, error = await read("ssh://host")
    assert isinstance(error, PermanentError)
    assert "DOCKER_HOST=ssh://host is not supported" in str(error)
