"""Measures real `sidecar run` processes against a mailcow on loopback, and prints a table with the aims.

Rule for every editor: CPU is that of the sidecar's process alone; mailcow, DNS and Docker engine are this process.
"""

import asyncio
import re
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import psutil
from rich.console import Console
from rich.table import Table

from sidecar.daemon.state_log import INTERVAL_S
from tests.bench.settled import add_domain, settled
from tests.running import Running, process, until
from tests.stage import Stage

SIZES = (10, 1_000)
PASSES = 10
NEW_DOMAINS = 5
IDLE_S = 60.0
QUIET_S = 2.0
LIMIT_S = 240.0
"""For one number of domains; on two idle cores 1,000 domains take half of it."""
POLLS_AN_HOUR = 120
LISTS_AN_HOUR = 6
LOOKS_AN_HOUR = 3_600 / INTERVAL_S
LONG = 3_600
MEBIBYTE = 2**20


@dataclass
class Measured:
    """What was measured with one number of domains; times in seconds, sizes in bytes."""

    start: float
    start_cpu: float
    unchanged: float
    reading: float
    looking_up: float
    listing: float
    judging: float
    resting: float
    rss: int
    uss: int
    served: float
    hour: float


@dataclass
class Watched:
    """A running sidecar, the stage it is on, and its process as psutil sees it."""

    sidecar: Running
    on: Stage
    seen: psutil.Process

    @property
    def state(self) -> Path:
        return self.on.root.parent / "state"

    def cpu(self) -> float:
        """Seconds of CPU so far, in user and kernel."""
        times = self.seen.cpu_times()
        return times.user + times.system

    async def one_pass(self, *, by_hand: bool = False) -> None:
        """Makes it pass once, by its own trigger, and waits for the end: the sign of life after it."""
        requests = self.on.mailcow.requests
        before = len(requests)
        if by_hand:
            self.sidecar.hang_up()
        else:
            (self.state / "wake").touch()
        await self.on.mailcow.until(lambda: len(requests) > before, seconds=30)
        # Only now: the sidecar gives a sign of life when it wakes, too.
        heartbeat = self.state / "heartbeat"
        heartbeat.unlink(missing_ok=True)
        await until(heartbeat.exists, 120)

    async def cost(self, *, by_hand: bool = False) -> float:
        """Seconds of CPU for one pass, as a mean of several (the kernel counts in steps of 10 ms)."""
        await self.one_pass(by_hand=by_hand)
        before = self.cpu()
        for _ in range(PASSES):
            await self.one_pass(by_hand=by_hand)
        return (self.cpu() - before) / PASSES


@asynccontextmanager
async def watched(on: Stage, config: str = "") -> AsyncIterator[tuple[Watched, float]]:
    """A sidecar just after its first pass, and how many seconds it took to get there."""
    on.configure(config)
    (on.root.parent / "state/heartbeat").unlink(missing_ok=True)
    start = time.perf_counter()
    # As the image sets them.
    image = {
        "MALLOC_ARENA_MAX": "1",
        "MALLOC_MMAP_THRESHOLD_": "131072",
        "PYTHONNODEBUGRANGES": "1",
        "PYTHONOPTIMIZE": "2",
    }
    async with process({**on.env, **image, "MTA_STS_POLL": str(LONG)}, "run") as sidecar:
        found = Watched(sidecar, on, psutil.Process(sidecar.process.pid))
        await until((found.state / "heartbeat").exists, 120)
        yield found, time.perf_counter() - start
        await sidecar.end()


async def begun(found: Watched) -> None:
    """Waits until all names were looked up and the log's first lines are complete, which only a start costs."""
    asked = -1
    while asked != len(found.on.asked):  # another process's questions set no event of ours
        asked = len(found.on.asked)
        await asyncio.sleep(QUIET_S)
    while not found.sidecar.lines("state: "):
        await asyncio.sleep(QUIET_S)
        await found.one_pass()


async def judged(found: Watched) -> float:
    """Seconds of CPU to judge all domains after a pass, as the log does in its looks for tasks: here a page asks for it."""
    url = re.search(r"at=(\S+)", await found.sidecar.says("web page started"))
    if url is None:
        raise AssertionError("the page has no address")
    spent: list[float] = []
    async with aiohttp.ClientSession() as session:
        for _ in range(PASSES):
            await found.one_pass()
            before = found.cpu()
            async with session.get(f"{url[1]}api/v1/domains?q=no-such-domain") as answer:
                answer.raise_for_status()
            spent.append(found.cpu() - before)
    return statistics.mean(spent)


async def served_after(found: Watched, name: str) -> float:
    """Seconds from the request for the list that shows a new domain to the reading back of its policy."""
    on = found.on
    add_domain(on, name)
    await found.one_pass()
    (listed,) = [request.at for request in on.mailcow.asked("get/domain/all")[-1:]]
    host = f"mta-sts.{name}"
    read = [request.at for request in on.mailcow.asked("policy") if request.host == host]
    if name not in on.served():
        raise AssertionError(f"{name} is not served")
    return max(read) - listed


@dataclass
class Progress:
    """Says what is being measured, and after how many seconds."""

    domains: int
    console: Console
    began: float = field(default_factory=time.perf_counter)
    step: str = ""

    def at(self, step: str) -> None:
        self.step = step
        self.console.print(f"{self.domains} domains, {time.perf_counter() - self.began:3.0f} s: {step} …")


async def measured(folder: Path, domains: int, progress: Progress) -> Measured:
    """Everything, with so many domains."""
    progress.at("creating them")
    async with settled(folder, domains) as on:
        progress.at("passes that read policies")
        async with watched(on, "intervals: {policies: 1}") as (found, _):
            await begun(found)
            reading = await found.cost()
        progress.at("passes that look names up")
        async with watched(on, "intervals: {dns: 1}") as (found, _):
            looking_up = await found.cost()
        progress.at("start, unchanged passes, whole lists")
        async with watched(on) as (found, start):
            start_cpu = found.cpu()
            await begun(found)
            unchanged = await found.cost()
            listing = await found.cost(by_hand=True)
            progress.at(f"{IDLE_S:.0f} s of rest")
            before = found.cpu()
            await asyncio.sleep(IDLE_S)
            resting = (found.cpu() - before) / IDLE_S
            memory = found.seen.memory_full_info()
            progress.at("all domains judged")
            judging = await judged(found)
            progress.at("new domains")
            served = [await served_after(found, f"new{number}.example") for number in range(NEW_DOMAINS)]
    hour = (
        3_600 * resting
        + POLLS_AN_HOUR * reading
        + LISTS_AN_HOUR * max(0.0, listing - unchanged)
        + max(0.0, looking_up - unchanged)
        + LOOKS_AN_HOUR * judging
    )
    return Measured(
        start=start,
        start_cpu=start_cpu,
        unchanged=unchanged,
        reading=reading,
        looking_up=looking_up,
        listing=listing,
        judging=judging,
        resting=resting,
        rss=memory.rss,
        uss=memory.uss,
        served=statistics.median(served),
        hour=hour,
    )


def table(found: dict[int, Measured]) -> Table:
    """One line a figure."""
    made = Table(title="sidecar run, native generation, a certificate per domain", title_justify="left")
    made.add_column("figure")
    for domains in found:
        made.add_column(f"{domains} domains", justify="right")
    made.add_column("aim")
    rows = (
        ("list shows a domain → its policy served", "served", 1_000, "ms", ""),
        ("start → first pass done", "start", 1, "s", "< 2 s"),
        ("CPU until then", "start_cpu", 1, "s", ""),
        ("CPU of an unchanged pass", "unchanged", 1_000, "ms", "< 100 ms"),
        ("  … that reads 10 served policies again", "reading", 1_000, "ms", ""),
        ("  … that looks up every name (each hour)", "looking_up", 1_000, "ms", ""),
        ("  … that reads the whole list", "listing", 1_000, "ms", ""),
        (
            "  … judging all domains after it (for the page, and the log now and then)",
            "judging",
            1_000,
            "ms",
            "",
        ),
        ("CPU between passes, an hour", "resting", 3_600, "s", ""),
        ("CPU of an idle hour, added up", "hour", 1, "s", "≤ 8 s"),
        ("resident (RSS)", "rss", 1 / MEBIBYTE, "MB", "≤ 75, ≤ 90 MB"),
        ("its own (USS)", "uss", 1 / MEBIBYTE, "MB", ""),
    )
    for label, name, factor, unit, aim in rows:
        values = [
            f"{getattr(one, name) * factor:.{1 if unit == 's' else 0}f} {unit}" for one in found.values()
        ]
        made.add_row(label, *values, aim)
    return made


async def main(sizes: list[int]) -> int:
    """Measures with so many domains, one after the other; the exit code: 1 where one took longer than LIMIT_S."""
    console = Console()
    found: dict[int, Measured] = {}
    with tempfile.TemporaryDirectory() as folder:
        for domains in sizes:
            progress = Progress(domains, console)
            try:
                async with asyncio.timeout(LIMIT_S):
                    found[domains] = await measured(Path(folder) / str(domains), domains, progress)
            except TimeoutError:
                console.print(f"{domains} domains: given up after {LIMIT_S:.0f} s, at: {progress.step}")
    if found:
        console.print(table(found))
    return 0 if len(found) == len(sizes) else 1


sys.exit(asyncio.run(main([int(word) for word in sys.argv[1:]] or list(SIZES))))
