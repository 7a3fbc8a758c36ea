"""The time, handed in where it is needed, so that tests and the demo can have their own."""

import time
import uuid
from functools import cache
from pathlib import Path
from typing import Protocol

from sidecar.host.elapsed import UptimeReading

_BOOT = Path("/proc/sys/kernel/random/boot_id")


class Clock(Protocol):
    """Gives the time, and a counter of elapsed time."""

    def now(self) -> float:
        """Unix seconds; the clock may be set forwards and backwards."""
        ...

    def reading(self) -> UptimeReading:
        """A counter that cannot be set; the same for all processes until the machine restarts."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        """Unix seconds."""
        return time.time()

    def reading(self) -> UptimeReading:
        """The seconds since this machine was started, suspend included."""
        return UptimeReading(_boot(), time.clock_gettime(time.CLOCK_BOOTTIME))


@cache
def _boot() -> str:
    """The id of this boot; if the kernel does not give one, an id of this process, which counts less time."""
    try:
        return _BOOT.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return uuid.uuid4().hex
