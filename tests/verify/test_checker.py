"""Checks beside the passes: what a failure does to them, that progress ends, and how soon they can be ended."""

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sidecar.formats.mtasts_policy import Mode, Policy
from sidecar.host.elapsed import UptimeReading
from sidecar.verify.background import Checker
from sidecar.verify.run import Probing
from tests.dns import faulty

POLICY = Policy(Mode.TESTING, 86_400, ("mail.example.org",))
END_S = 1.0


@dataclass
class Clock:
    """Any time will do; or none, as a bug would have it."""

    broken: bool = False

    def now(self) -> float:
        if self.broken:
            raise RuntimeError("there is no time")
        return 1_700_000_000.0

    def reading(self) -> UptimeReading:
        return UptimeReading("this machine", self.now())


@pytest.fixture
async def nothing() -> AsyncIterator[Probing]:
    """A DNS in which there is nothing: checks end at once."""
    async with faulty.serving({}) as (_, resolver):
        yield Probing(resolver=resolver)


async def over(checker: Checker) -> None:
    """The batch under way is over."""
    for _ in range(1_000):
        if not checker.busy:
            return
        await asyncio.sleep(0.01)
    pytest.fail("the batch does not end")


async def test_finished_batch_is_reported_and_taken_once(nothing: Probing) -> None:
    """Nothing is applied twice."""
    calls: list[str] = []
    checker = Checker(Clock(), finished=lambda: calls.append("finished"))
    checker.begin({"example.org": POLICY}, nothing, shared=False, waiting=1)
    await over(checker)
    assert calls == ["finished"]
    assert [view.domain for view in checker.take()] == ["example.org"]
    assert checker.take() == ()


async def test_failed_batch_wakes_nobody(tmp_path: Path) -> None:
    """A pass that it woke would start the same batch again at once, and so on."""
    calls: list[str] = []
    checker = Checker(Clock(), finished=lambda: calls.append("finished"))
    lacking = Probing(extra_root=tmp_path / "no.pem")
    checker.begin({"example.org": POLICY}, lacking, shared=False, waiting=1)
    await over(checker)
    assert checker.trouble is not None
    assert "no.pem" in checker.trouble
    assert (calls, checker.take(), checker.done) == ([], (), 1)


async def test_bug_in_a_check_is_reported_and_the_next_batch_runs(nothing: Probing) -> None:
    """As if nothing had happened."""
    clock = Clock()
    calls: list[str] = []
    checker = Checker(clock, finished=lambda: calls.append("finished"))
    clock.broken = True
    checker.begin({"example.org": POLICY}, nothing, shared=False, waiting=1)
    await over(checker)
    assert checker.trouble is not None
    assert "bug" in checker.trouble
    assert calls == []
    clock.broken = False
    checker.begin({"example.org": POLICY}, nothing, shared=False, waiting=1)
    await over(checker)
    assert (calls, len(checker.take())) == (["finished"], 1)
    assert not checker.trouble


async def test_progress_reaches_its_end_though_domains_were_removed_meanwhile(nothing: Probing) -> None:
    """And the count starts again with what is checked later."""
    checker = Checker(Clock())
    checker.begin({"a.example": POLICY}, nothing, shared=False, waiting=3)
    await over(checker)
    assert (checker.done, checker.total) == (1, 3)
    checker.begin({"b.example": POLICY}, nothing, shared=False, waiting=1)
    await over(checker)
    assert (checker.done, checker.total) == (2, 2)
    checker.begin({"c.example": POLICY, "d.example": POLICY}, nothing, shared=False, waiting=5)
    await over(checker)
    assert (checker.done, checker.total) == (2, 5)
    checker.begin({}, nothing, shared=False, waiting=0)
    checker.begin({"e.example": POLICY}, nothing, shared=False, waiting=1)
    assert (checker.done, checker.total) == (0, 1)
    await checker.close()


async def test_end_is_quick_while_a_hundred_domains_of_silent_hosts_are_checked() -> None:
    """And no task outlives it."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.setblocking(False)
        port = silent.getsockname()[1]
        domains = {f"d{n}.example": POLICY for n in range(100)}
        table: dict[tuple[str, str], faulty.Reply] = {
            (f"d{n}.example.", "MX"): [f"10 mx{n}.example."] for n in range(100)
        }
        table |= {(f"mx{n}.example.", "A"): ["127.0.0.1"] for n in range(100)}
        async with faulty.serving(table) as (_, resolver):
            probing = Probing(
                resolver=resolver, https_port=port, smtp_port=port, connect="127.0.0.1", per_host=40
            )
            before = asyncio.all_tasks()
            checker = Checker(Clock())
            checker.begin(domains, probing, shared=False, waiting=100)
            taken, _ = await asyncio.wait_for(asyncio.get_running_loop().sock_accept(silent), 10)
            busy = checker.busy
            started = asyncio.get_running_loop().time()
            await checker.close()
            assert asyncio.get_running_loop().time() - started < END_S
            assert (busy, checker.busy) == (True, False)
            assert asyncio.all_tasks() - before == set()
            taken.close()
