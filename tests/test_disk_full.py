"""A disk that is full stops writes and nothing else, and what it stopped is done in the next pass after it is over.

Here the disk is full by a fault put in between; `system/test_disk_full` has real ones.
"""

import asyncio
import errno
import io
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sidecar.daemon.event_log import EventLog
from sidecar.daemon.loop import Daemon
from sidecar.formats.dotenv import ListEdit
from sidecar.host import log
from sidecar.host.errors import NoSpaceError
from sidecar.plan.actions import Action, EditConf, RemoveFile, WriteFile
from sidecar.reconcile.apply import Outcome, Result
from sidecar.reconcile.back_off import BackOff
from sidecar.reconcile.passes import PassReport
from sidecar.state.store import State
from tests.stage import Stage, stage
from tests.worlds import NOW, text

pytestmark = pytest.mark.integration

POLL_S = 30
POLLS = 40
"""So many that a wait that grows with each failure would have become an hour."""
BROKEN = "nonsense\n"


class FullDisk:
    """While it is full, what is written into this folder does not get to the disk."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.full = False
        real: Callable[[int], None] = os.fsync

        def fsync(descriptor: int) -> None:
            place = Path(f"/proc/self/fd/{descriptor}").readlink()
            if self.full and place.is_relative_to(folder):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            real(descriptor)

        monkeypatch.setattr(os, "fsync", fsync)


def results(report: PassReport, kind: type[Action]) -> list[Result]:
    """How the actions of this kind ended."""
    return [outcome.result for outcome in report.outcomes if isinstance(outcome.action, kind)]


async def file_generation(on: Stage) -> None:
    """The policy file is served, the settings have their entries."""
    on.resolves("mta-sts.example.org")
    await on.once()
    await on.once()
    assert on.policy_file.read_text() == text()


async def test_broken_policy_file_is_right_in_the_first_pass_after_there_is_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long the disk was full; meanwhile nothing changes, and the history has it once."""
    async with stage(tmp_path, version="2025-07") as on:
        await file_generation(on)
        disk = FullDisk(on.policy_file.parent, monkeypatch)
        disk.full = True
        on.policy_file.write_text(BROKEN)
        async with on.sidecar() as sidecar:
            for _ in range(POLLS):
                report = await sidecar.passes.reconcile()
                assert results(report, WriteFile) == [Result.FAILED]
                files = [entry.name for entry in on.policy_file.parent.iterdir() if entry.is_file()]
                assert files == [on.policy_file.name]
                assert on.policy_file.read_text() == BROKEN
                on.clock.ahead += POLL_S
            lines = [
                event.detail for event in sidecar.state.history("mta-sts.txt") if event.outcome == "failed"
            ]
            assert len(lines) == 1
            disk.full = False
            report = await sidecar.passes.reconcile()
            assert results(report, WriteFile) == [Result.DONE]
        assert on.policy_file.read_text() == text()


async def test_lost_entry_is_back_in_the_first_pass_after_there_is_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """mailcow.conf is as it was, to the byte, for as long as the disk is full."""
    async with stage(tmp_path, version="2025-07") as on:
        await file_generation(on)
        with_entry = on.conf.read_bytes()
        without = with_entry.replace(b"SERVER_NAMES=mta-sts.*", b"SERVER_NAMES=")
        assert without != with_entry
        on.conf.write_bytes(without)
        disk = FullDisk(on.root, monkeypatch)
        disk.full = True
        async with on.sidecar() as sidecar:
            for _ in range(POLLS):
                report = await sidecar.passes.reconcile()
                assert results(report, EditConf) == [Result.FAILED]
                assert on.conf.read_bytes() == without
                on.clock.ahead += POLL_S
            disk.full = False
            await sidecar.passes.reconcile()
        assert on.conf.read_bytes() == with_entry


@pytest.mark.parametrize(
    "action", [WriteFile("text", "why"), RemoveFile("why"), EditConf({"KEY": ListEdit()}, "why")]
)
def test_what_a_full_disk_stopped_is_not_held_and_other_failures_are(action: Action) -> None:
    """A wait that another failure began ends with it, too: the disk is what is in the way now."""
    full = Outcome(action, Result.FAILED, NOW, "full", no_space=True)
    other = Outcome(action, Result.FAILED, NOW, "else")
    back_off = BackOff()
    for _ in range(POLLS):
        back_off.note([full], NOW)
        assert bool(back_off.waits(NOW, changing=False).failures) is False
    back_off.note([other], NOW)
    assert bool(back_off.waits(NOW + 1, changing=False).failures) is True
    back_off.note([full], NOW)
    assert bool(back_off.waits(NOW + 1, changing=False).failures) is False


def test_disk_that_stays_full_is_news_once() -> None:
    """Another text, and the same after it went well in between, are news again."""
    action = RemoveFile("why")

    def full(detail: str) -> list[Outcome]:
        return [Outcome(action, Result.FAILED, NOW, detail, no_space=True)]

    done, back_off = [Outcome(action, Result.DONE, NOW)], BackOff()
    passes = (full("a"), full("a"), full("b"), full("b"), done, done, full("b"))
    assert [len(back_off.note(outcomes, NOW)) for outcomes in passes] == [1, 0, 1, 0, 1, 1, 1]


async def test_start_waits_for_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No state can be made yet: to end would be no help."""
    async with stage(tmp_path, MTA_STS_POLL="5") as on:
        real, tries = State.open.__func__, []  # type: ignore[attr-defined]

        def opened(state_dir: Path, now: float) -> State:
            tries.append(now)
            if len(tries) == 1:
                raise NoSpaceError("opening the state failed: full")
            made: State = real(State, state_dir, now)
            return made

        monkeypatch.setattr(State, "open", opened)
        daemon: Daemon = Daemon(on.env, on.clock, on_report=lambda _: daemon.stop())
        await asyncio.wait_for(daemon.run(), 30)
        assert len(tries) == 2
        assert on.served() != {}


async def test_start_that_waits_for_space_ends_when_told_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The poll is an hour away."""
    async with stage(tmp_path, MTA_STS_POLL="3600") as on:
        daemon = Daemon(on.env, on.clock)
        loop = asyncio.get_running_loop()

        def opened(state_dir: Path, now: float) -> State:
            loop.call_soon_threadsafe(loop.call_later, 0.2, daemon.stop)
            raise NoSpaceError("opening the state failed: full")

        monkeypatch.setattr(State, "open", opened)
        await asyncio.wait_for(daemon.run(), 30)


def test_disk_that_stays_full_is_said_once() -> None:
    """In the log as in the history."""
    stream = io.StringIO()
    log.configure(json=False, stream=stream)
    try:
        event_log, full = EventLog(), Outcome(RemoveFile("why"), Result.FAILED, NOW, "full", no_space=True)
        for _ in range(POLLS):
            event_log.outcome(full)
        event_log.outcome(Outcome(full.action, Result.DONE, NOW))
        event_log.outcome(full)
    finally:
        log.configure(json=False, stream=io.StringIO())
    said = [line.split()[2] for line in stream.getvalue().splitlines()]
    assert said == ["warning", "info", "warning"]
