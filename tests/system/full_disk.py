"""Scenarios of full disks, each as a process of its own: `python -m tests.system.full_disk SCENARIO FOLDER`.

Its disks are file systems in memory that it mounts for itself: it must run in a mount namespace of its own
(`unshare --mount`), so that nobody else ever sees them.
"""

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sidecar.formats.mtasts_policy import Invalid, parse
from sidecar.host.errors import NoSpaceError
from sidecar.plan.actions import EditConf, WriteFile
from sidecar.reconcile.apply import Result
from sidecar.reconcile.passes import PassReport
from tests.running import process
from tests.stage import Stage, stage

POLL_S = 30
POLLS = 20
PAGE = 4_096
BROKEN = b"nonsense\n"
MANY_MX = [f"mail{number}.a-rather-long-name-of-a-host.example.org" for number in range(200)]
"""So many that the policy does not fit into the one page that is left: a part of it is written before the disk is full."""


class Disk:
    """A small file system in memory."""

    def __init__(self, folder: Path, size: str) -> None:
        folder.mkdir(exist_ok=True)
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "tmpfs", str(folder)], check=True
        )
        self._filler = folder / "filler"

    def fill(self, *, left: int = 0) -> None:
        """Only `left` pages stay free."""
        with self._filler.open("ab", buffering=0) as file:
            with suppress(OSError):
                while True:
                    file.write(b"x" * PAGE)
            if left:
                file.truncate(file.seek(0, os.SEEK_END) - left * PAGE)

    def clear(self) -> None:
        """There is space again."""
        self._filler.unlink()


def results(report: PassReport, kind: type) -> list[Result]:
    """How the actions of this kind ended."""
    return [outcome.result for outcome in report.outcomes if isinstance(outcome.action, kind)]


@contextmanager
def read_all_the_time(path: Path) -> Iterator[set[bytes]]:
    """What a web server would have sent meanwhile."""
    seen: set[bytes] = set()
    ended = threading.Event()

    def read() -> None:
        while not ended.is_set():
            seen.add(path.read_bytes())

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()


async def _settled(on: Stage) -> None:
    on.resolves("mta-sts.example.org")
    for _ in range(2):
        await on.once()


async def policy_file(folder: Path) -> None:
    """The folder of the policy file is full, but for a page."""
    disk = None
    async with stage(folder, version="2025-07") as on:
        disk = Disk(on.policy_file.parent, "256k")
        on.configure(f"mx: [{', '.join(MANY_MX)}]\n")
        await _settled(on)
        right = on.policy_file.read_bytes()
        assert len(right) > 2 * PAGE
        async with on.sidecar() as sidecar:
            on.policy_file.write_bytes(BROKEN)
            disk.fill(left=1)
            with read_all_the_time(on.policy_file) as seen:
                for _ in range(POLLS):
                    report = await sidecar.passes.reconcile()
                    assert results(report, WriteFile) == [Result.FAILED], report.outcomes
                    on.clock.ahead += POLL_S
                assert sorted(p.name for p in on.policy_file.parent.iterdir()) == ["filler", "mta-sts.txt"]
                disk.clear()
                report = await sidecar.passes.reconcile()
                assert results(report, WriteFile) == [Result.DONE], report.outcomes
            assert on.policy_file.read_bytes() == right
            assert seen <= {BROKEN, right}, "a file was served that nobody wrote"
            assert not isinstance(parse(right), Invalid)


async def mailcow_conf(folder: Path) -> None:
    """The whole mailcow directory is full."""
    disk = Disk(folder / "mailcow", "1m")
    async with stage(folder, version="2025-07") as on:
        await _settled(on)
        with_entry = on.conf.read_bytes()
        without = with_entry.replace(b"SERVER_NAMES=mta-sts.*", b"SERVER_NAMES=")
        assert without != with_entry
        async with on.sidecar() as sidecar:
            on.conf.write_bytes(without)
            disk.fill()
            with read_all_the_time(on.conf) as seen:
                for _ in range(POLLS):
                    report = await sidecar.passes.reconcile()
                    assert results(report, EditConf) == [Result.FAILED], report.outcomes
                    on.clock.ahead += POLL_S
                disk.clear()
                report = await sidecar.passes.reconcile()
                assert results(report, EditConf) == [Result.DONE], report.outcomes
            assert on.conf.read_bytes() == with_entry
            assert seen <= {without, with_entry}, "mailcow.conf was seen half written"


async def state(folder: Path) -> None:
    """The state's disk is full: nothing is written anywhere, for no intent can be stored, and then all is."""
    disk = Disk(folder / "state", "1m")
    async with stage(folder, version="2025-07") as on:
        await _settled(on)
        right = on.policy_file.read_bytes()
        async with on.sidecar() as sidecar:
            on.policy_file.write_bytes(BROKEN)
            disk.fill()
            for _ in range(POLLS):
                try:
                    report = await sidecar.passes.reconcile()
                except NoSpaceError:
                    pass
                else:
                    assert results(report, WriteFile) == [Result.FAILED], report.outcomes
                assert on.policy_file.read_bytes() == BROKEN
                on.clock.ahead += POLL_S
            disk.clear()
            report = await sidecar.passes.reconcile()
            assert results(report, WriteFile) == [Result.DONE], report.outcomes
        assert on.policy_file.read_bytes() == right
        assert (await on.once()).outcomes == (), "what was stored is what was done"


async def start(folder: Path) -> None:
    """`sidecar run` on a full disk: it waits, says so once, and goes on where there is space."""
    disk = Disk(folder / "state", "1m")
    disk.fill()
    async with stage(folder, MTA_STS_POLL="5") as on, process(on.env, "run") as sidecar:
        await sidecar.says("pass failed", "state.sqlite")
        sidecar.hang_up()
        sidecar.hang_up()
        assert on.served() == {}
        disk.clear()
        await sidecar.says("done: add policy")
        assert len(sidecar.lines("pass failed")) == 1
        disk.fill()
        on.mailcow.add_domain("new.example")
        sidecar.hang_up()
        await sidecar.says("the disk")
        disk.clear()
        await sidecar.says("done: add policy", "domain=new.example")
        assert (await sidecar.end())[0] == 0
        assert not [line for line in sidecar.out if "Traceback" in line]


SCENARIOS: dict[str, Callable[[Path], Awaitable[None]]] = {
    "policy_file": policy_file,
    "mailcow_conf": mailcow_conf,
    "state": state,
    "start": start,
}


async def main(name: str, folder: str) -> None:
    """Plays one."""
    await SCENARIOS[name](Path(folder))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
