"""How soon many domains get their first policies, and whether the sidecar answers meanwhile.

A mailcow of 5,000 domains without a policy and without ENABLE_SSL_SNI, with an acme-mailcow and a certificate: the
first day. Rule for every editor: mailcow, DNS and Docker engine are this process, the sidecar is another one; what is
measured is what the sidecar's own event loop and its page say.
"""

import asyncio
import json
import re
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from rich.console import Console
from rich.table import Table

from tests.bench.many_run import BLOCKS
from tests.bench.settled import PREFIXES
from tests.running import process, until
from tests.stage import ADDRESS, HOST, Stage, stage

DOMAINS = 5_000
WITH_RECORDS = 20
"""Domains whose names resolve and are in the certificate: within Let's Encrypt's 100 names."""
PATIENCE_S = 120.0
ASK_EVERY_S = 0.1
SETTLE_S = 30.0
"""Watched for this long after the first policy."""


@dataclass
class Measured:
    """Times in seconds; `blocks` are what the loop's own watch saw."""

    domains: int
    first_policy: float | None = None
    policies: int = 0
    answers: list[float] = field(default_factory=list)
    """How long `/healthz` took."""
    trouble: list[str] = field(default_factory=list)
    """What `/healthz` said where it was not 200."""
    blocks: list[tuple[float, float, str]] = field(default_factory=list)

    @property
    def longest(self) -> tuple[float, float, str]:
        return max(self.blocks, default=(0.0, 0.0, ""))


def fill(on: Stage, domains: int) -> None:
    """So many domains that receive, the first of them with all their records and names."""
    names = ["example.org", *(f"d{number:04}.example" for number in range(1, domains))]
    for name in names:
        if name not in on.mailcow.world.domains:
            on.mailcow.add_domain(name)
        on.receives(name)
        on.resolves(f"mta-sts.{name}")
    held = [f"{prefix}.{name}" for name in names[:WITH_RECORDS] for prefix in PREFIXES[1:]]
    on.resolves(*held)
    # acme-mailcow has been at work for long: its log has each name that it left out.
    on.acme_said(
        "Using existing domain rsa key /var/lib/acme/acme/key.pem",
        f"OK: {ADDRESS}, 0000:0000:0000:0000:0000:0000:0000:0000",
        f"Found A record for {HOST}: {ADDRESS}",
        f"Confirmed A record {ADDRESS}",
        *(
            f"No A or AAAA record found for hostname {prefix}.{name}"
            for name in names[WITH_RECORDS:]
            for prefix in PREFIXES[1:]
        ),
    )
    on.certify(HOST, *held)


async def measured(folder: Path, domains: int, settle_s: float = SETTLE_S) -> Measured:
    """One first start."""
    found = Measured(domains)
    say = Console().print
    say(f"{domains} domains: creating them …")
    async with stage(folder) as on:
        fill(on, domains)
        say(f"the first start, at most {PATIENCE_S:.0f} s until the first policy, then {settle_s:.0f} s …")
        async with process(on.env, module="tests.bench.many_run") as sidecar:
            line = await sidecar.says("web page started")
            url = re.search(r"at=(\S+)", line)
            if url is None:
                raise AssertionError(line)
            asking = asyncio.create_task(ask(f"{url[1].rstrip('/')}/healthz", found))
            found.first_policy = await first_policy(on)
            await asyncio.sleep(settle_s)
            found.policies = len(on.served())
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            await sidecar.end()
            said = await sidecar.says(BLOCKS)
        found.blocks = [
            (one["seconds"], one["cpu"], one["where"]) for one in json.loads(said.removeprefix(BLOCKS))
        ]
    return found


async def first_policy(on: Stage) -> float | None:
    """Seconds from the first list to the first write; None where none came."""
    try:
        await until(lambda: bool(on.mailcow.policies), PATIENCE_S)
    except TimeoutError:
        return None
    written = next(one.at for one in on.mailcow.asked("add") if one.body)
    return written - on.mailcow.asked("get/domain/all")[0].at


async def ask(url: str, found: Measured) -> None:
    """`/healthz`, again and again."""
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(timeout=timeout) as client:
        while True:
            began = time.perf_counter()
            try:
                async with client.get(url) as answer:
                    status, said = answer.status, await answer.text()
            except (aiohttp.ClientError, TimeoutError) as error:
                status, said = 0, repr(error)
            if status != 200:
                found.trouble.append(said.strip())
            found.answers.append(time.perf_counter() - began)
            await asyncio.sleep(ASK_EVERY_S)


def table(found: Measured) -> Table:
    """One line a figure."""
    made = Table(title=f"first start with {found.domains} domains, no SNI", title_justify="left")
    for head in ("figure", "measured", "aim"):
        made.add_column(head, justify="left" if head != "measured" else "right")
    longest, cpu, where = found.longest
    slow = max(found.answers, default=0.0)
    bad = len(found.trouble)
    first = "none" if found.first_policy is None else f"{found.first_policy:.1f} s"
    made.add_row("list → first policy written", first, "< 5 s")
    made.add_row("longest block of the event loop", f"{longest * 1000:.0f} ms", "< 250 ms")
    made.add_row("  … CPU of it", f"{cpu * 1000:.0f} ms", "")
    made.add_row("  … where", where, "")
    made.add_row("/healthz: asked, not 200", f"{len(found.answers)}, {bad}", "0")
    made.add_row("/healthz: slowest answer", f"{slow * 1000:.0f} ms", "")
    made.add_row("policies served in the end", str(found.policies), "")
    return made


async def main(domains: int, settle_s: float) -> None:
    """Measures and prints; with the blocks one by one."""
    console = Console()
    with tempfile.TemporaryDirectory() as folder:
        found = await measured(Path(folder), domains, settle_s)
    for seconds, cpu, where in sorted(found.blocks, reverse=True)[:20]:
        console.print(f"{seconds * 1000:8.0f} ms ({cpu * 1000:6.0f} ms CPU) {where}")
    for said in found.trouble[:5]:
        console.print(f"/healthz: {said}")
    console.print(table(found))


if __name__ == "__main__":
    words = sys.argv[1:]
    asyncio.run(main(int(words[0]) if words else DOMAINS, float(words[1]) if words[1:] else SETTLE_S))
