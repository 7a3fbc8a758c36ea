"""Start a server that stays in the foreground, wait until it answers, end it by its pid."""

import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path


def wait_until(answers: Callable[[], bool], what: str, seconds: float = 15) -> None:
    """Return as soon as it answers; fail with what was waited for when it never does."""
    deadline = time.monotonic() + seconds
    while not answers():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:g} s in vain: {what}")
        time.sleep(0.02)


@contextmanager
def serving(
    command: Sequence[str],
    *,
    answers: Callable[[], bool],
    log: Path,
    environment: Mapping[str, str] | None = None,
    end_within: float = 15,
) -> Iterator[subprocess.Popen[bytes]]:
    """The running server; when it ends early or never answers, the failure quotes the end of its log."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment
        )
    try:
        try:
            wait_until(lambda: process.poll() is not None or answers(), f"{command[0]} answers")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{_tail(log)}") from None
        if process.poll() is not None:
            raise AssertionError(f"{command[0]} ended with {process.returncode} at its start\n{_tail(log)}")
        yield process
    finally:
        end(process, within=end_within)


def end(process: subprocess.Popen[bytes], within: float = 15) -> None:
    """Ask the process to end, and kill it when it takes longer than this, which is then a failure."""
    process.terminate()
    try:
        process.wait(within)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise


def _tail(log: Path) -> str:
    return "".join(log.read_text(errors="replace").splitlines(keepends=True)[-30:])
