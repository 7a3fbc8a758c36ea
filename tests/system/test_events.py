"""The event stream of a real Docker engine."""

import asyncio
import time
from contextlib import aclosing

import pytest

from sidecar.mailcow.engine.events import EngineEvent, events
from tests.system.engine import Engine

PROJECT = "eventful"
LABELS = ("--label", f"com.docker.compose.project={PROJECT}", "--label")


def run(engine: Engine, image: str, *options: str) -> None:
    """A container that ends at once and is removed."""
    engine.run_cli("run", "--rm", *options, image, "true")


async def test_events_of_the_project_come_as_they_happen(engine: Engine, busybox_image: str) -> None:
    """Those of the wanted services alone; others', and other projects', do not wake anybody."""
    began = time.time()
    found: list[EngineEvent] = []
    async with aclosing(
        events(engine.docker_host, PROJECT, services={"acme-mailcow"}, since=began)
    ) as stream:
        reading = asyncio.ensure_future(anext(stream))
        await asyncio.to_thread(run, engine, busybox_image, "--label", "com.docker.compose.project=other")
        await asyncio.to_thread(
            run, engine, busybox_image, *LABELS, "com.docker.compose.service=nginx-mailcow"
        )
        await asyncio.to_thread(
            run, engine, busybox_image, *LABELS, "com.docker.compose.service=acme-mailcow"
        )
        async with asyncio.timeout(10):
            found.append(await reading)
            while found[-1].action != "destroy":
                found.append(await anext(stream))
    assert [event.action for event in found] == ["create", "start", "die", "destroy"]
    assert {event.service for event in found} == {"acme-mailcow"}
    assert began <= found[0].at <= found[-1].at <= time.time()


async def test_events_missed_while_away_can_be_had(engine: Engine, busybox_image: str) -> None:
    """With `since` a reader that comes back misses nothing."""
    began = time.time()
    await asyncio.to_thread(run, engine, busybox_image, *LABELS, "com.docker.compose.service=acme-mailcow")
    async with asyncio.timeout(10), aclosing(events(engine.docker_host, PROJECT, since=began)) as stream:
        assert (await anext(stream)).action == "create"


async def test_cancelling_ends_the_stream_at_once(engine: Engine) -> None:
    """A sidecar that ends does not wait for the next event."""
    task = asyncio.ensure_future(anext(events(engine.docker_host, PROJECT)))
    done, _ = await asyncio.wait([task], timeout=0.5)  # it is connected by then, and nothing comes
    assert not done
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
