"""The time, handed in where it is needed, so that tests and the demo can have their own."""

import time
from typing import Protocol


class Clock(Protocol):
    """Says what time it is."""

    def now(self) -> float:
        """Unix seconds."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        """Unix seconds."""
        return time.time()
