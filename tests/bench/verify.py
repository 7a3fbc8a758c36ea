"""How quickly domains are verified, beside checkdmarc doing the same checks against the same servers.

Rule for every editor: both get the same input and must find the same domains wrong; where they differ, the run fails.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

MEBIBYTE = 2**20
DELAY_S = 0.02
"""How long the DNS and the policy host take to answer, as on a short way through the internet. Without any way at all
there is nothing to wait for, and one domain after the other is as quick; the table shows that, too.
"""
SAMPLE = 100
"""Domains that checkdmarc is given: its time grows evenly with their number."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run: times in seconds, memory in bytes (the peak of the process)."""

    count: int
    seconds: float
    cpu: float
    peak: int
    wrong: tuple[str, ...]

    @property
    def rate(self) -> float:
        """Domains a second."""
        return self.count / self.seconds


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table."""

    figure: str
    ours: str
    checkdmarc: str
    aim: str = ""


async def bench(count: int = 1_000, sample: int = SAMPLE, delay_s: float = DELAY_S) -> list[Row]:
    """Measures `count` domains by us and `sample` of them by checkdmarc.

    Raises AssertionError where the two find different domains wrong.
    """
    async with _servers(delay_s, count) as ports:
        ours = await _run("ours", count, ports)
        theirs = await _run("checkdmarc", min(sample, count), ports)
    async with _servers(0, count) as ports:
        ours_near = await _run("ours", count, ports)
        theirs_near = await _run("checkdmarc", min(sample, count), ports)
    known = [name for name in ours.wrong if int(name[1:5]) < theirs.count]
    if list(theirs.wrong) != known or not known:
        raise AssertionError(f"checkdmarc finds {theirs.wrong} wrong, we {known}")
    return [
        Row("domains checked", str(ours.count), str(theirs.count)),
        Row(
            f"domains a second, {delay_s * 1000:.0f} ms an answer",
            f"{ours.rate:.0f}",
            f"{theirs.rate:.1f}",
            "ten times checkdmarc's",
        ),
        Row("times checkdmarc's rate", f"{ours.rate / theirs.rate:.0f}", "1", ">= 10"),
        Row("  … answers without delay", f"{ours_near.rate:.0f}", f"{theirs_near.rate:.0f}"),
        Row("CPU for a domain", _milliseconds(ours), _milliseconds(theirs)),
        Row("peak of memory (RSS)", f"{ours.peak / MEBIBYTE:.0f} MB", f"{theirs.peak / MEBIBYTE:.0f} MB"),
        Row("domains found wrong", str(len(ours.wrong)), str(len(theirs.wrong)), "the same ones"),
    ]


def _milliseconds(run: Run) -> str:
    return f"{run.cpu / run.count * 1000:.1f} ms"


@asynccontextmanager
async def _servers(delay_s: float, count: int) -> AsyncIterator[dict[str, Any]]:
    command = [sys.executable, "-m", "tests.bench.verify_servers", str(delay_s), str(count)]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
    if process.stdout is None or process.stdin is None:
        raise AssertionError("no pipes")
    try:
        yield json.loads(await process.stdout.readline())
    finally:
        process.stdin.close()
        await process.wait()


async def _run(which: str, count: int, ports: dict[str, Any]) -> Run:
    command = [sys.executable, "-m", "tests.bench.verify_runs", which, str(count), json.dumps(ports)]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    if process.returncode:
        raise AssertionError(f"the run of {which} ended with {process.returncode}")
    run = json.loads(out.splitlines()[-1])
    return Run(count, run["seconds"], run["cpu"], run["peak"], tuple(run["wrong"]))


if __name__ == "__main__":
    for row in asyncio.run(bench(*(int(word) for word in sys.argv[1:3]))):
        print(f"{row.figure:36}{row.ours:>12}{row.checkdmarc:>14}   {row.aim}")
