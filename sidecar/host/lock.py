"""The pass lock: never two writers. A file lock (flock) in the state folder, held for one pass.

Rule for every editor: the kernel's lock decides, and ends with its process; what is written in the file only
tells people who has it. Waiting can be cancelled at any moment and leaves nothing behind.
"""

import asyncio
import fcntl
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from sidecar.host.errors import TemporaryError
from sidecar.host.files import folder_error
from sidecar.host.plain_file import open_plain

NAME = "lock"
_FIRST_WAIT_S = 0.05
_LONGEST_WAIT_S = 0.2
_LONGEST_TEXT = 200
"""Characters of the holder's text that are read; it comes from a file."""


class Locked(TemporaryError):  # noqa: N818 - it is what happened, and the caller's word for it
    """Another process has the lock; `holder` says which, in words."""

    def __init__(self, message: str, holder: str) -> None:
        super().__init__(message)
        self.holder = holder


class PassLock:
    """The lock in `state_dir`; not shared between tasks: each pass or command that needs it makes its own.

    `async with` waits `timeout_s` seconds for it (None: forever). `command` is how this process is called.
    """

    def __init__(
        self,
        state_dir: Path,
        timeout_s: float | None = None,
        *,
        command: str | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._path = state_dir / NAME
        self._timeout_s = timeout_s
        # The program and its first word, `sidecar run`: the rest may be long and does not help.
        program = Path(sys.argv[0]).name if sys.argv and sys.argv[0] else "python"
        words = [word for word in sys.argv[1:2] if not word.startswith("-")]
        self._command = command or " ".join([program, *words])
        self._now = now
        self._fd: int | None = None

    @property
    def held(self) -> bool:
        """Whether this object has the lock."""
        return self._fd is not None

    async def acquire(self, timeout_s: float | None = None) -> None:
        """Takes the lock; waits up to `timeout_s` seconds (0: tries once; None: forever).

        Raises Locked with who has it when the time is over, PermanentError or TemporaryError if the lock
        file cannot be used.
        """
        if self._fd is not None:
            raise RuntimeError("this lock is held already")
        loop = asyncio.get_running_loop()
        deadline = None if timeout_s is None else loop.time() + timeout_s
        wait = _FIRST_WAIT_S
        # Not in a thread: no call in here waits, and one that is abandoned could come back with the lock.
        while not self._try():
            left = _LONGEST_WAIT_S if deadline is None else deadline - loop.time()
            if left <= 0:
                holder = self.holder()
                raise Locked(
                    f"waited {timeout_s or 0:g} s for the lock {self._path}: {holder} has it; "
                    "try again when it has ended",
                    holder,
                )
            await asyncio.sleep(min(wait, left))
            wait = min(2 * wait, _LONGEST_WAIT_S)

    def release(self) -> None:
        """Releases the lock; does nothing if it is not held."""
        if self._fd is None:
            return
        fd, self._fd = self._fd, None
        with suppress(OSError):
            os.ftruncate(fd, 0)
        os.close(fd)

    def holder(self) -> str:
        """The holder of the lock, in words; the last holder if it was not released."""
        try:
            with os.fdopen(open_plain(self._path, os.O_RDONLY), "rb") as file:
                text = file.read(4 * _LONGEST_TEXT).decode("utf-8", "replace")
        except OSError:
            text = ""
        clean = "".join(c if c.isprintable() else "?" for c in text.strip())[:_LONGEST_TEXT]
        return clean or "another process"  # it has not written yet

    def _try(self) -> bool:
        """Takes the lock if nobody has it; raises PermanentError or TemporaryError."""
        while True:
            try:
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                # Not inherited by child processes: one that outlives this process would keep the lock.
                fd = open_plain(self._path, os.O_RDWR | os.O_CREAT)
                try:
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BaseException:
                    os.close(fd)
                    raise
            except BlockingIOError:
                return False
            except OSError as error:
                tried = f"locking {self._path} gave {error.strerror}"
                raise folder_error(tried, self._path.parent, error) from error
            with suppress(OSError):
                if os.path.samestat(os.fstat(fd), self._path.stat()):
                    break
            os.close(fd)  # it was removed after it was opened: the next process locks another file
        self._fd = fd
        since = datetime.fromtimestamp(self._now(), UTC).astimezone().isoformat(" ", "seconds")
        text = f"process {os.getpid()} ({self._command}) since {since}\n"
        with suppress(OSError):  # on a full disk the holder cannot be written, but the lock is held anyway
            os.ftruncate(fd, 0)
            os.pwrite(fd, text.encode("utf-8", "replace"), 0)
        return True

    async def __aenter__(self) -> Self:
        await self.acquire(self._timeout_s)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
