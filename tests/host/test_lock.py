"""The pass lock: one holder at a time among real processes, and a wait that can end at any moment."""

import asyncio
import errno
import os
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sidecar.host.errors import NoSpaceError, PermanentError, SidecarError, TemporaryError
from sidecar.host.lock import Locked, PassLock
from sidecar.host.plain_file import open_plain

pytestmark = pytest.mark.integration

HOLD = """
import asyncio, sys
from pathlib import Path
from sidecar.host.lock import PassLock

async def main():
    async with PassLock(Path(sys.argv[1]), command="sidecar run", now=lambda: 1_700_000_000.0):
        print("held", flush=True)
        sys.stdin.readline()
    print("released", flush=True)
    sys.stdin.readline()

asyncio.run(main())
"""

COUNT = """
import asyncio, sys
from pathlib import Path
from sidecar.host.lock import PassLock

async def main():
    counter = Path(sys.argv[1]) / "counter"
    for _ in range(10):
        async with PassLock(Path(sys.argv[1])):
            number = int(counter.read_text())
            await asyncio.sleep(0)
            counter.write_text(str(number + 1))

asyncio.run(main())
"""


@asynccontextmanager
async def process(code: str, folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Another process; ended at the end, however it stands."""
    started = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, str(folder), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    try:
        yield started
    finally:
        if started.returncode is None:
            started.kill()
        await started.communicate()


@asynccontextmanager
async def holder(folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Another process that has the lock until it reads a line."""
    async with process(HOLD, folder) as started:
        assert started.stdout is not None
        assert await started.stdout.readline() == b"held\n"
        yield started


async def let_go(other: asyncio.subprocess.Process) -> None:
    """The other process gives the lock back, and lives on."""
    assert other.stdin is not None
    other.stdin.write(b"\n")
    await other.stdin.drain()


async def test_the_error_says_who_has_the_lock(tmp_path: Path) -> None:
    """Process, command and since when, in the error's text."""
    async with holder(tmp_path) as other:
        lock = PassLock(tmp_path)
        with pytest.raises(Locked) as caught:
            await lock.acquire(timeout_s=0)
    named = f"process {other.pid} (sidecar run) since 2023-11-14 22:13:20+00:00"
    assert caught.value.holder == named
    assert str(caught.value) == (
        f"waited 0 s for the lock {tmp_path / 'lock'}: {named} has it; try again when it has ended"
    )
    assert isinstance(caught.value, TemporaryError)
    assert not lock.held


async def test_the_wait_ends_when_the_lock_is_given_back(tmp_path: Path) -> None:
    """Within the time-out, and also where there is none."""
    for timeout_s in (20, None):
        async with holder(tmp_path) as other:
            waiting = asyncio.create_task(PassLock(tmp_path, timeout_s).__aenter__())
            await asyncio.sleep(0)
            assert not waiting.done()
            await let_go(other)
            lock = await asyncio.wait_for(waiting, 20)
            assert lock.held
            assert f"process {os.getpid()} (" in lock.holder()
            lock.release()


async def test_the_wait_is_bounded(tmp_path: Path) -> None:
    """By the loop's clock; it does not end early."""
    loop = asyncio.get_running_loop()
    async with holder(tmp_path):
        begun = loop.time()
        with pytest.raises(Locked, match=r"waited 0\.3 s"):
            async with PassLock(tmp_path, timeout_s=0.3):
                pytest.fail("two holders")
        assert loop.time() - begun >= 0.29


async def test_a_killed_holder_leaves_the_lock_free(tmp_path: Path) -> None:
    """The kernel gives it back; the name that is left in the file is overwritten."""
    async with holder(tmp_path) as other:
        other.kill()
        await other.wait()
        async with PassLock(tmp_path, 20) as lock:
            assert f"process {os.getpid()} (" in lock.holder()


async def test_a_cancelled_wait_leaves_nothing_behind(tmp_path: Path) -> None:
    """The waiter that was cancelled neither has the lock nor keeps it from the next."""
    async with holder(tmp_path) as other:
        cancelled = PassLock(tmp_path)
        waiting = asyncio.create_task(cancelled.acquire(None))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert not cancelled.held
        await let_go(other)
        async with PassLock(tmp_path, 20) as next_one:
            assert next_one.held


async def test_many_processes_never_hold_it_at_once(tmp_path: Path) -> None:
    """A counter that is read and written under the lock loses no step."""
    (tmp_path / "counter").write_text("0")

    async def one() -> None:
        async with process(COUNT, tmp_path) as started:
            assert await started.wait() == 0

    await asyncio.gather(*(one() for _ in range(3)))
    assert (tmp_path / "counter").read_text() == "30"


async def test_it_is_given_back_after_an_error(tmp_path: Path) -> None:
    """And the file no longer names anybody."""
    lock = PassLock(tmp_path, 0)
    with pytest.raises(ZeroDivisionError):
        async with lock:
            raise ZeroDivisionError
    assert not lock.held
    assert (tmp_path / "lock").read_text() == ""
    await lock.acquire(0)
    lock.release()
    lock.release()


async def test_two_of_one_process_exclude_each_other(tmp_path: Path) -> None:
    """Also on the same loop; taking one twice is the caller's mistake."""
    async with PassLock(tmp_path) as lock:
        with pytest.raises(Locked):
            await PassLock(tmp_path).acquire(0)
        with pytest.raises(RuntimeError, match="held already"):
            await lock.acquire(0)


async def test_a_removed_lock_file_does_not_make_two_holders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that locked a removed file has locked nothing: it locks the file that exists now."""
    removed: list[Path] = []

    def removed_once(path: Path, flags: int) -> int:
        descriptor = open_plain(path, flags)
        if not removed:
            path.unlink()
            removed.append(path)
        return descriptor

    monkeypatch.setattr("sidecar.host.lock.open_plain", removed_once)
    async with PassLock(tmp_path, 0):
        assert removed
        with pytest.raises(Locked):
            await PassLock(tmp_path).acquire(0)


async def test_a_child_process_does_not_keep_the_lock(tmp_path: Path) -> None:
    """One that was started under the lock and outlives it."""
    async with PassLock(tmp_path):
        child = await asyncio.create_subprocess_exec("sleep", "60", close_fds=False)
    try:
        async with PassLock(tmp_path, 0) as lock:
            assert lock.held
    finally:
        child.kill()
        await child.wait()


async def test_folder_and_file_are_made_private(tmp_path: Path) -> None:
    """700 and 600."""
    async with PassLock(tmp_path / "state", 0):
        assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
        assert stat.S_IMODE((tmp_path / "state" / "lock").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("content", "holder", "case"),
    [
        (b"", "another process", "not written yet"),
        (b"process 1 (x)\n", "process 1 (x)", "as written"),
        (
            b"a\x1b[31m\nb\xff",
            "a?[31m?b\N{REPLACEMENT CHARACTER}",
            "not ours: nothing that moves a terminal's cursor",
        ),
        (b"x" * 5000, "x" * 200, "not ours: too long"),
    ],
)
def test_the_holders_text_is_not_trusted(tmp_path: Path, content: bytes, holder: str, case: str) -> None:
    """It is shown on one line, and short."""
    (tmp_path / "lock").write_bytes(content)
    assert PassLock(tmp_path).holder() == holder


async def test_a_folder_that_cannot_be_used_is_permanent(tmp_path: Path) -> None:
    """The text says which, and what to do."""
    (tmp_path / "file").write_text("")
    with pytest.raises(
        PermanentError, match=r"locking .*file/lock gave .*; make .*file a folder that the sidecar"
    ):
        await PassLock(tmp_path / "file").acquire(0)


@pytest.mark.parametrize(
    ("number", "kind", "remedy"),
    [
        (errno.EMFILE, TemporaryError, "raise the sidecar's limit of open files (ulimits: nofile)"),
        (errno.ENFILE, TemporaryError, "raise this host's limit of open files (sysctl fs.file-max)"),
        (errno.EIO, TemporaryError, "check the disk of {} for errors"),
        (errno.ENOLCK, TemporaryError, "move {} to a file system that can lock files"),
        (errno.ENOSPC, NoSpaceError, "free some space on the disk of {}"),
        (errno.EROFS, PermanentError, "make {} a folder that the sidecar may write in"),
    ],
)
async def test_the_remedy_fits_what_the_system_reports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[SidecarError], remedy: str
) -> None:
    """Free space does not help where no more files can be opened."""

    def fails(path: Path, flags: int) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("sidecar.host.lock.open_plain", fails)
    with pytest.raises(kind) as caught:
        await PassLock(tmp_path).acquire(0)
    assert type(caught.value) is kind
    assert str(caught.value) == (
        f"locking {tmp_path / 'lock'} gave {os.strerror(number)}; {remedy.format(tmp_path)}"
    )
