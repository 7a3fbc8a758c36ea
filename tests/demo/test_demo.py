"""`make demo`: both stories keep all they promise, a broken world is reported, and nothing is left behind.

Each runs as a process of its own, as a person would start it, with the containers in memory: no engine is asked.
"""

import asyncio
import os
import re
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

pytestmark = pytest.mark.integration

REPOSITORY = Path(__file__).parents[2]
SPOILED = """\
import asyncio, sys
from demo import run_demo
from demo.simulated import Fault

def spoil(stage):
    {how}

sys.exit(asyncio.run(run_demo("{backend}", spoil=spoil)))
"""


@dataclass(frozen=True, slots=True)
class Played:
    """How a demo ended: its exit code, and all that it printed."""

    code: int
    text: str


async def start(folder: Path, *arguments: str, **env: str) -> asyncio.subprocess.Process:
    """A demo whose temporary files are in `folder`."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("MTA_STS_", "DOCKER_"))}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        cwd=REPOSITORY,
        env={
            **kept,
            "DOCKER_HOST": f"unix://{folder}/there-is-none.sock",
            "TMPDIR": str(folder),
            "PYTHONIOENCODING": "utf-8",
            **env,
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


async def played(folder: Path, *arguments: str) -> Played:
    """A demo, played to its end."""
    process = await start(folder, *arguments)
    output, _ = await process.communicate()
    return Played(process.returncode or 0, output.decode())


def left_in(folder: Path) -> list[str]:
    """The temporary files that are still there."""
    return [entry.name for entry in folder.iterdir()]


def demo(backend: str) -> Sequence[str]:
    """The command."""
    return "-m", "demo", "--backend", backend


@pytest.mark.parametrize("backend", ["native", "file", "dns"])
async def test_story_keeps_every_promise_within_a_minute_and_leaves_nothing(
    tmp_path: Path, backend: str
) -> None:
    """Exit code 0, a tick for each promise, no temporary file, and no colours without a terminal."""
    async with asyncio.timeout(60):
        found = await played(tmp_path, *demo(backend))
    assert found.code == 0, found.text
    kept = re.search(r"✓ (\d+) of (\d+) promises kept", found.text)
    assert kept is not None, found.text
    assert kept[1] == kept[2]
    assert int(kept[1]) > 15
    assert "✗" not in found.text
    assert "\x1b" not in found.text
    assert left_in(tmp_path) == []


@pytest.mark.parametrize(
    ("backend", "how", "broken", "reason"),
    [
        pytest.param(
            "native",
            'stage.mailcow.fail("add/mta-sts", Fault.READ_ONLY)',
            "all three are served",
            "found:    example.org: nothing",
            id="mailcow refuses the policies",
        ),
        pytest.param(
            "dns",
            "stage.dns._keys.clear()",
            "mailcow's own domain has its three records",
            "found:    example.org: no CNAME, no TXT",
            id="the DNS does not know the key",
        ),
        pytest.param(
            "file",
            "stage.mailcow.policy_file = None",
            "nginx serves it under both names",
            "found:    example.org: nothing",
            id="nginx serves another folder",
        ),
        pytest.param(
            "file",
            "stage.acme.dns = type(stage.dns)()",
            "it was re-created",
            "found:    lacks mta-sts.example.net, mta-sts.example.org",
            id="acme-mailcow has no DNS",
        ),
    ],
)
async def test_broken_promise_ends_the_demo_with_1_and_what_was_there(
    tmp_path: Path, backend: str, how: str, broken: str, reason: str
) -> None:
    """What was expected and what was found, and still nothing is left behind."""
    found = await played(tmp_path, "-c", SPOILED.format(how=how, backend=backend))
    assert found.code == 1, found.text
    failed = [line for line in found.text.splitlines() if "✗" in line and broken in line]
    assert failed, found.text
    assert "expected: " in found.text
    assert reason in found.text
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_interrupted_demo_ends_at_once_and_leaves_nothing(
    tmp_path: Path, number: signal.Signals
) -> None:
    """Ctrl-C in the middle of a story: no trace, exit code 130, no temporary file."""
    process = await start(tmp_path, *demo("native"), PYTHONUNBUFFERED="1")
    assert process.stdout is not None
    seen = b""
    while b"all three are served" not in seen:
        line = await process.stdout.readline()
        assert line, seen.decode()
        seen += line
    process.send_signal(number)
    async with asyncio.timeout(10):
        rest, _ = await process.communicate()
    assert process.returncode == 130, (seen + rest).decode()
    assert b"Traceback" not in rest
    assert left_in(tmp_path) == []


async def test_what_is_not_real_is_said(tmp_path: Path) -> None:
    """The containers in memory, and the shortened waits."""
    process = await start(tmp_path, *demo("file"), PYTHONUNBUFFERED="1")
    assert process.stdout is not None
    head = b"".join([await process.stdout.readline() for _ in range(8)]).decode()
    process.send_signal(signal.SIGINT)
    await process.communicate()
    assert "recorded in memory, nothing is really restarted: no Docker engine answers at" in head
    assert "shortened for the demo" in head


async def test_page_stays_open_until_a_person_ends_the_demo(tmp_path: Path) -> None:
    """Its address is printed; a Ctrl-C ends it like any other end, and nothing is left behind."""
    process = await start(tmp_path, *demo("file"), "--stay")
    assert process.stdout is not None
    async with asyncio.timeout(90):
        while not (
            found := re.search(rb"stays open at (http://\S+)", line := await process.stdout.readline())
        ):
            assert line, "the demo ended by itself"
        async with aiohttp.ClientSession() as session, session.get(found[1].decode()) as page:
            assert page.status == 200
        process.send_signal(signal.SIGINT)
        rest, _ = await process.communicate()
    assert process.returncode == 0, rest
    assert left_in(tmp_path) == []
