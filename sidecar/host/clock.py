"""The time, handed in where it is needed, so that tests and the demo can have their own."""

import time
import uuid
from functools import cache
from pathlib import Path
from typing import Protocol

from sidecar.host.elapsed import UptimeReading

_BOOT = Path("/proc/sys/kernel/random/boot_id")


class Clock(Protocol):
    """Says what time it is, and how much has passed."""

    def now(self) -> float:
        """Unix seconds; anybody may set them, forwards and backwards."""
        ...

    def reading(self) -> UptimeReading:
        """A counter that nobody sets; of the same run as long as the machine runs, whichever process asks."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        """Unix seconds."""
        return time.time()

    def reading(self) -> UptimeReading:
        """The seconds since this machine was started, those in which it slept included."""
        return UptimeReading(_boot(), time.clock_gettime(time.CLOCK_BOOTTIME))


@cache
def _boot() -> str:
    """Names this start of the machine; where the kernel does not tell, this process, which counts less."""
    try:
        return _BOOT.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return uuid.uuid4().hex
