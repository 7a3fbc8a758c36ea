"""`sidecar run` with an eye on its event loop; a process of its own. Prints one line of JSON at its end.

Rule for every editor: the eye costs next to nothing, and changes nothing of what is run.
"""

import asyncio
import json
import os
import sys
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType

from sidecar.cli.run import spare_collector
from sidecar.cli.start import configure
from sidecar.daemon.loop import Daemon
from sidecar.host.clock import SystemClock

BLOCKS = "blocks of the loop: "
TICK_S = 0.01
SUSPICIOUS_S = 0.1
"""A loop that has not ticked for this long is looked at, to know where it is."""
PACKAGE = Path(sys.modules["sidecar"].__file__ or "").parent


@dataclass
class Block:
    """A time in which the loop did nothing else; in seconds, by the clock and by the CPU of its thread."""

    seconds: float
    cpu: float
    where: str


@dataclass
class Eye:
    """Ticks in the loop; a thread beside it notes where a loop is that does not."""

    ticked: float = field(default_factory=time.perf_counter)
    ticked_cpu: float = field(default_factory=time.thread_time)
    blocks: list[Block] = field(default_factory=list)
    seen: dict[str, int] = field(default_factory=dict)
    """Places in the sidecar's code, by how often the loop was found there since the last tick."""
    over: bool = False

    async def tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            now, cpu = time.perf_counter(), time.thread_time()
            late = now - self.ticked - TICK_S
            if late > SUSPICIOUS_S:
                where = max(self.seen, key=lambda place: self.seen[place]) if self.seen else ""
                self.blocks.append(Block(late, cpu - self.ticked_cpu, where))
            self.seen.clear()
            self.ticked, self.ticked_cpu = now, cpu

    def look(self, loop_thread: int) -> None:
        """The thread: until the end."""
        while not self.over:
            time.sleep(TICK_S)
            if time.perf_counter() - self.ticked > SUSPICIOUS_S / 2:
                place = _place(sys._current_frames().get(loop_thread))
                self.seen[place] = self.seen.get(place, 0) + 1


def _place(frame: FrameType | None) -> str:
    """The way through the sidecar's code, outermost first."""
    names: list[str] = []
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(PACKAGE):
            names.append(f"{path.relative_to(PACKAGE).with_suffix('')}.{frame.f_code.co_name}")
        frame = frame.f_back
    return " > ".join(reversed(names[:4]))


async def main() -> Eye:
    """Runs until SIGTERM."""
    spare_collector()
    eye = Eye()
    thread = threading.Thread(target=eye.look, args=(threading.get_ident(),), daemon=True)
    thread.start()
    ticking = asyncio.create_task(eye.tick())
    clock = SystemClock()
    await Daemon(os.environ, clock, on_settings=lambda settings: configure(settings, sys.stdout)).run()
    eye.over = True
    ticking.cancel()
    return eye


if __name__ == "__main__":
    found = asyncio.run(main())
    print(BLOCKS + json.dumps([asdict(block) for block in found.blocks]), flush=True)
    os._exit(0)  # as the command itself ends
