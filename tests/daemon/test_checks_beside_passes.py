"""Looks as a sender beside the passes: which domains are looked at, and what keeps them from being so for ever."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sidecar.daemon.wiring import Parts, assembled, read_settings
from sidecar.reconcile.sender_checks import CHECK_AGAIN_S
from tests.stage import Stage, stage


@asynccontextmanager
async def at_work(on: Stage) -> AsyncIterator[Parts]:
    """A sidecar as `run` has it."""
    settings = read_settings(on.env, on.clock)
    async with assembled(settings, on.clock, on.env, on.event_log, patient=False) as parts:
        yield parts


async def looked(parts: Parts) -> bool:
    """One pass, and the looks that it began, if any; whether it began some."""
    checker = parts.passes.observer.checks.checker
    await parts.passes.reconcile()
    began = checker.busy
    for _ in range(1_000):
        if not checker.busy:
            return began
        await asyncio.sleep(0.01)
    pytest.fail("the looks do not end")


@pytest.mark.parametrize("verify", [True, False])
async def test_domains_are_looked_at_only_where_that_is_wanted(tmp_path: Path, *, verify: bool) -> None:
    """And only those that are served a policy, each once in its time."""
    async with stage(tmp_path, MTA_STS_VERIFY=str(int(verify))) as on, at_work(on) as parts:
        assert not await looked(parts)  # nothing is served yet
        on.dns["mta-sts.example.org.", "A"] = ["127.0.0.1"]
        on.dns["mail.example.org.", "A"] = ["127.0.0.1"]
        assert await looked(parts) is verify
        assert not await looked(parts)
        assert ("example.org" in parts.passes.ledger.memory.checks) is verify
        parts.passes.observer.check_now(["example.org", "unknown.example"])
        assert await looked(parts) is verify
        assert not await looked(parts)


async def test_looks_that_cannot_be_made_are_not_tried_in_every_pass(tmp_path: Path) -> None:
    """But again after a while, or when a person asks."""
    told: list[str] = []
    async with stage(tmp_path, MTA_STS_VERIFY="1") as on:
        on.configure("extra_roots: no.pem\n")
        async with at_work(on) as parts:
            checker = parts.passes.observer.checks.checker
            checker.finished = lambda: told.append("finished")
            await looked(parts)
            assert await looked(parts)
            assert not await looked(parts)
            assert checker.trouble is not None
            parts.passes.observer.check_now(["example.org"])
            assert await looked(parts)
            on.clock.ahead += CHECK_AGAIN_S + 60
            assert await looked(parts)
            assert told == []
