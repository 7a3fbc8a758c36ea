"""A `sidecar` command as a process of its own, as a test or a benchmark needs it: its output line by line, its end.

Rule for every editor: a process is ended by its own id and waited for; nothing here waits for the passage of time.
"""

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d (?:info|warning|error|critical) +\S.*")
"""How a line for people begins."""
PATIENCE_S = 15.0
"""Until a test gives up; what a test claims about a time it measures itself."""


@dataclass
class Running:
    """A process, and every line it wrote so far."""

    process: asyncio.subprocess.Process
    out: list[str] = field(default_factory=list)
    err: list[str] = field(default_factory=list)
    more: asyncio.Condition = field(default_factory=asyncio.Condition)
    silent: bool = False
    """It wrote its last line."""

    def lines(self, *texts: str) -> list[str]:
        """The lines of the log that have all these texts in them."""
        return [line for line in self.out if all(text in line for text in texts)]

    async def says(self, *texts: str, times: int = 1, seconds: float = PATIENCE_S) -> str:
        """Waits until a line with these texts was written so many times; gives the last of them."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds), self.more:
                await self.more.wait_for(lambda: self.silent or len(self.lines(*texts)) >= times)
        said = self.lines(*texts)
        assert len(said) >= times, f"{len(said)} lines with {texts} in:\n" + "\n".join([*self.out, *self.err])
        return said[times - 1]

    async def read(self, stream: asyncio.StreamReader | None, into: list[str]) -> None:
        """Takes in the lines of a stream until its end."""
        assert stream is not None
        async for line in stream:
            async with self.more:
                into.append(line.decode().rstrip("\n"))
                self.more.notify_all()
        async with self.more:
            self.silent = True
            self.more.notify_all()

    def hang_up(self) -> None:
        """Sends SIGHUP."""
        self.process.send_signal(signal.SIGHUP)

    async def end(self) -> tuple[int, float]:
        """Sends SIGTERM; gives the exit code and how many seconds the end took."""
        clock = asyncio.get_running_loop().time
        start = clock()
        self.process.terminate()
        async with asyncio.timeout(PATIENCE_S):
            code = await self.process.wait()
        return code, clock() - start


@asynccontextmanager
async def process(env: Mapping[str, str], *arguments: str, module: str = "sidecar") -> AsyncIterator[Running]:
    """A running `sidecar` command with this environment alone; at the end it is killed if it still runs.

    SIDECAR_PYTHON may name a Python that has only what the image has: what else is installed costs memory (`make bench`).
    """
    started = await asyncio.create_subprocess_exec(
        *(os.environ.get("SIDECAR_PYTHON") or sys.executable, "-m", module, *arguments),
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONWARNINGS": "default", **env},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    found = Running(started)
    readers = [
        asyncio.create_task(found.read(started.stdout, found.out)),
        asyncio.create_task(found.read(started.stderr, found.err)),
    ]
    try:
        yield found
    finally:
        if started.returncode is None:
            started.kill()
        await started.wait()
        await asyncio.gather(*readers)


@dataclass(frozen=True, slots=True)
class Ended:
    """What a command left: its exit code and all it wrote."""

    code: int
    out: str
    err: str


async def command(env: Mapping[str, str], *arguments: str) -> Ended:
    """A `sidecar` command from its start to its end."""
    async with process(env, *arguments) as running:
        code = await running.process.wait()
    return Ended(code, "\n".join(running.out), "\n".join(running.err))


async def until(true: Callable[[], bool], seconds: float = PATIENCE_S) -> None:
    """Waits for something in the file system that announces itself by no line and no request."""
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110 - another process's file sets no event of ours
            await asyncio.sleep(0.02)
