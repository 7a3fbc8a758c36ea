"""A running sidecar beside 1,100 connections that ask for nothing, and without a file left to open."""

import asyncio
import os
import resource
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest

from sidecar.web.door import MOST_CONNECTIONS
from tests.running import Running, process
from tests.stage import Stage, stage

pytestmark = pytest.mark.integration

FILES = 1_024
"""What Docker and most systems let a process open."""
IDLE = 1_100


@pytest.fixture(autouse=True)
def many_files() -> Iterator[None]:
    """The test's own sockets are files, too."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8_192, before[1]), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@asynccontextmanager
async def sidecar_with(on: Stage, files: int) -> AsyncIterator[tuple[Running, str, int]]:
    """A running one that may open so many files, where its page is, and its port."""
    async with process({**on.env, "MTA_STS_POLL": "5"}, "run") as sidecar:
        resource.prlimit(sidecar.process.pid, resource.RLIMIT_NOFILE, (files, FILES))
        line = await sidecar.says("web page started")
        url = next(word.removeprefix("at=") for word in line.split() if word.startswith("at="))
        yield sidecar, url, urlsplit(url).port or 0
        await sidecar.end()


@contextmanager
def idle(port: int, number: int) -> Iterator[None]:
    """So many connections on which nothing is said."""
    found: list[socket.socket] = []
    try:
        for _ in range(number):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
            found.append(one)
        yield
    finally:
        for one in found:
            one.close()


def open_files(sidecar: Running) -> int:
    """How many it has open."""
    return len(os.listdir(f"/proc/{sidecar.process.pid}/fd"))  # noqa: PTH208 - a count, no paths


async def answered(url: str) -> int:
    """The status of the page."""
    timeout = aiohttp.ClientTimeout(20)
    async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as response:
        return response.status


async def test_idle_connections_stop_neither_passes_nor_the_page_nor_fill_the_log(tmp_path: Path) -> None:
    """A new domain is served, the page answers, and nothing is logged."""
    async with stage(tmp_path) as on, sidecar_with(on, FILES) as (sidecar, url, port):
        await sidecar.says("done: add policy", "domain=example.org")
        before = open_files(sidecar)
        said = len(sidecar.out)
        with idle(port, IDLE):
            on.mailcow.add_domain("new.example")
            await sidecar.says("done: add policy", "domain=new.example")
            assert await answered(url) == 200
            assert open_files(sidecar) <= before + MOST_CONNECTIONS + 20
        # Lines about the two domains do not matter here.
        news = [
            line for line in sidecar.out[said:] if "new.example" not in line and "example.org" not in line
        ]
        assert news == []


async def test_limit_of_files_is_reported_once(tmp_path: Path) -> None:
    """Not with each connection that waits, nor each second; and once there are files again, the page answers."""
    async with stage(tmp_path) as on, sidecar_with(on, FILES) as (sidecar, url, port):
        await sidecar.says("done: add policy")
        await asyncio.sleep(1)
        resource.prlimit(sidecar.process.pid, resource.RLIMIT_NOFILE, (open_files(sidecar), FILES))
        with idle(port, 300):
            await sidecar.says("error", "web page cannot accept connections", "Too many open files")
            await asyncio.sleep(3)
            lines = sidecar.lines("cannot accept connections")
            assert len(lines) == 1
            assert len(sidecar.out) < 50, sidecar.out
        resource.prlimit(sidecar.process.pid, resource.RLIMIT_NOFILE, (FILES, FILES))
        assert await answered(url) == 200
        on.mailcow.add_domain("new.example")
        await sidecar.says("done: add policy", "domain=new.example")


async def test_port_is_free_again(tmp_path: Path) -> None:
    """After all that, the end is an end."""
    async with stage(tmp_path) as on:
        async with sidecar_with(on, FILES) as (_, _, port):
            pass
        with closing(socket.socket()) as one:
            assert one.connect_ex(("127.0.0.1", port)) != 0
