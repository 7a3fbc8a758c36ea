"""How long an event loop is kept from everything else: the time of the processor that its longest step took.

A step is one callback of a loop. The processor's time of the step's own thread says the same on a busy machine as on
an idle one, which the time on the wall does not.
"""

import asyncio
import gc
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch


class Steps:
    """The longest step of each thread that has a loop, in seconds."""

    def __init__(self) -> None:
        self._longest: defaultdict[int, float] = defaultdict(float)
        self._here = threading.get_ident()

    def took(self, seconds: float) -> None:
        thread = threading.get_ident()
        self._longest[thread] = max(self._longest[thread], seconds)

    @property
    def longest(self) -> float:
        """On any loop."""
        return max(self._longest.values())

    @property
    def longest_here(self) -> float:
        """On the loop of the thread that measures."""
        return self._longest[self._here]


@contextmanager
def measured() -> Iterator[Steps]:
    """Measures all loops of the process meanwhile."""
    steps, run = Steps(), asyncio.Handle._run

    def timed(handle: asyncio.Handle) -> None:
        before = time.thread_time()
        try:
            run(handle)
        finally:
            steps.took(time.thread_time() - before)

    # Garbage of earlier tests must not be collected within a step.
    gc.collect()
    gc.freeze()
    with patch.object(asyncio.Handle, "_run", timed):
        yield steps
