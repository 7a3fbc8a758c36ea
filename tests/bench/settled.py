"""A mailcow of many domains in which all is right: policies served, names in certificates, a certificate per domain."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.mailcow.test_certificates import issued, put
from tests.running import command
from tests.stage import HOST, Stage, stage

PREFIXES = ("mta-sts", "autodiscover", "autoconfig")
SNI = "ENABLE_SSL_SNI=y"


def add_domain(on: Stage, name: str) -> None:
    """A domain that is as it should be, but for its policy."""
    if name not in on.mailcow.world.domains:
        on.mailcow.add_domain(name)
    names = [f"{prefix}.{name}" for prefix in PREFIXES]
    on.resolves(*names)
    on.receives(name)
    folder = on.root / "data/assets/ssl" / name
    put(folder / "cert.pem", issued(*names))
    (folder / "domains").write_text(" ".join(names))


@asynccontextmanager
async def settled(folder: Path, domains: int) -> AsyncIterator[Stage]:
    """So many domains, each with its policy; `once` has nothing to do and nothing to say."""
    async with stage(folder) as on:
        on.conf.write_text(f"{on.conf.read_text()}{SNI}\n")
        on.engine.containers[0].env = ["ADDITIONAL_SAN=", SNI]
        on.certify(HOST)
        for name in ("example.org", *(f"d{number:04}.example" for number in range(1, domains))):
            add_domain(on, name)
        await command(on.env, "once")
        # Reads the ids of all policies: `run` reads two in a pass, and each would make the pass one that changes something.
        await command(on.env, "records")
        ended = await command(on.env, "once")
        if ended.code or not ended.out.endswith("Nothing to do."):
            raise AssertionError(f"not settled: {ended.out[-2_000:]} {ended.err[-2_000:]}")
        yield on
