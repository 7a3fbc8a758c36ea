"""Sender checks beside the passes: which domains are checked, and how often."""

import asyncio
from pathlib import Path

import pytest

from sidecar.daemon.wiring import Parts
from sidecar.reconcile.sender_checks import CHECK_AGAIN_S
from tests.reconcile.test_observe import at_work
from tests.stage import stage


async def checked(parts: Parts) -> bool:
    """One pass, and the checks that it began, if any; whether it began some."""
    checker = parts.passes.observer.checks.checker
    before = checker._task
    await parts.passes.reconcile()
    began = checker._task is not before  # it may have ended by now
    for _ in range(1_000):
        if not checker.busy:
            return began
        await asyncio.sleep(0.01)
    pytest.fail("the checks do not end")


@pytest.mark.parametrize("verify", [True, False])
async def test_domains_are_checked_only_if_the_settings_say_so(tmp_path: Path, *, verify: bool) -> None:
    """And only those for which a policy is served, each once per interval."""
    async with stage(tmp_path, MTA_STS_VERIFY=str(int(verify))) as on, at_work(on) as parts:
        assert not await checked(parts)  # nothing is served yet
        on.dns["mta-sts.example.org.", "A"] = ["127.0.0.1"]
        on.dns["mail.example.org.", "A"] = ["127.0.0.1"]
        assert await checked(parts) is verify
        assert not await checked(parts)
        assert ("example.org" in parts.passes.ledger.memory.checks) is verify
        parts.passes.observer.check_first(["example.org", "unknown.example"])
        assert await checked(parts) is verify
        assert not await checked(parts)


async def test_checks_that_cannot_run_are_not_tried_in_every_pass(tmp_path: Path) -> None:
    """They are tried again after a while, or when a person asks."""
    finished: list[str] = []
    async with stage(tmp_path, MTA_STS_VERIFY="1") as on:
        on.configure("extra_roots: no.pem\n")
        async with at_work(on) as parts:
            checker = parts.passes.observer.checks.checker
            checker.finished = lambda: finished.append("finished")
            await checked(parts)
            assert await checked(parts)
            assert not await checked(parts)
            assert checker.trouble is not None
            parts.passes.observer.check_first(["example.org"])
            assert await checked(parts)
            on.clock.ahead += CHECK_AGAIN_S + 60
            assert await checked(parts)
            assert finished == []
