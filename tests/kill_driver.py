"""A sidecar that kills itself before the N-th operation on the outside world; for `test_kills`, as a process.

It reads one order (JSON) a line, forks a child for it, and answers with one line: how the child ended. The
child makes passes with the sidecar's own parts. Counted is what the world can see: each request to mailcow and
to the Docker engine, each step of a change of a file, each transaction of the state.

Rule for every editor: nothing of the sidecar is replaced; what is counted goes on to the real thing.
"""

import asyncio
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import requests

from sidecar.daemon.event_log import EventLog
from sidecar.daemon.wiring import assembled, read_settings
from sidecar.host import log
from sidecar.host.elapsed import UptimeReading
from sidecar.host.lock import PassLock
from sidecar.state.store import State


@dataclass
class Countdown:
    """Counts operations, and kills this process before the one with this number (0: never)."""

    deadly: int
    done: list[str] = field(default_factory=list)
    guard: threading.Lock = field(default_factory=threading.Lock)

    def before(self, name: str) -> None:
        """An operation is about to begin; threads come here too."""
        with self.guard:
            if len(self.done) + 1 == self.deadly:
                os.kill(os.getpid(), signal.SIGKILL)
            self.done.append(name)

    def watch(self, owner: Any, name: str) -> None:
        """Every call of this function counts."""
        real: Callable[..., Any] = getattr(owner, name)

        def counted(*arguments: Any, **keywords: Any) -> Any:
            self.before(f"{getattr(owner, '__name__', owner)}.{name}")
            return real(*arguments, **keywords)

        setattr(owner, name, counted)


@dataclass
class Clock:
    """The machine's clock, set forward."""

    ahead: float

    def now(self) -> float:
        return time.time() + self.ahead

    def reading(self) -> UptimeReading:
        return UptimeReading("this machine", self.now())


async def passes(env: dict[str, str], ahead: list[float]) -> None:
    """One pass at each of these times (seconds from now), all of one sidecar that was just started."""
    clock = Clock(ahead[0])
    settings = read_settings(env, clock)
    async with assembled(settings, clock, env, EventLog(), patient=True) as parts:
        parts.session.whole_list_always = True
        for clock.ahead in ahead:
            async with PassLock(settings.state_dir):
                await parts.passes.reconcile()


def child(order: dict[str, Any], answer: int) -> None:
    """Carries an order out, in a process of its own."""
    count = Countdown(int(order["deadly"]))
    for owner, name in (
        (aiohttp.ClientSession, "_request"),
        (requests.Session, "send"),
        (State, "save"),
        (State, "record"),
        (os, "fsync"),
        (os, "fchmod"),
        (os, "replace"),
        (Path, "chmod"),
    ):
        count.watch(owner, name)
    asyncio.run(passes(order["env"], order["ahead"]))
    os.write(answer, json.dumps(count.done).encode())


def main() -> None:
    """Forks while there is one thread only, so that nothing is inherited half done."""
    log.configure(json=False, stream=sys.stderr, level="error")
    for line in sys.stdin:
        reading, writing = os.pipe()
        number = os.fork()
        if number == 0:
            code = 1
            try:
                child(json.loads(line), writing)
                code = 0
            finally:
                sys.stderr.flush()
                os._exit(code)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            done = pipe.read()
        _, status = os.waitpid(number, 0)
        ended = {"code": os.waitstatus_to_exitcode(status), "done": json.loads(done) if done else None}
        print(json.dumps(ended), flush=True)


if __name__ == "__main__":
    main()
