"""The memory during a pass: changed as a value, saved in the state store, together with the history.

Rules for every editor: the intent of a write is stored before the write. A store that cannot be written is reported
once; it stops writes, but not observing. The memory here has the same limits as the store (`kept`).
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from sidecar.host.elapsed import UptimeReading
from sidecar.host.errors import SidecarError
from sidecar.observed import ConfEntry, ConfEvent, Memory, PolicyMemory, Restart, Write
from sidecar.observed.history import HistoryEvent
from sidecar.observed.memory import seen_served
from sidecar.observed.report_route import RouteMemory
from sidecar.state.kept import kept_writes, without_old_policies
from sidecar.state.parts import bounded
from sidecar.state.store import State

STORED_EVERY_S = 600.0
"""A pass in which nothing happened writes nothing: its counted time is stored with the next write."""


class Ledger:
    """The memory, and the store behind it."""

    def __init__(self, state: State, memory: Memory) -> None:
        self._state = state
        self._take_over(memory)
        self.trouble: str | None = None
        """Why the store could not be used when it was last needed; None after a write that worked."""

    @classmethod
    async def open(cls, state: State) -> "Ledger":
        """Reads the store."""
        return cls(state, await asyncio.to_thread(state.load))

    def _take_over(self, memory: Memory) -> None:
        self._stored = memory
        self.memory = without_old_policies(bounded(Memory(), memory))

    async def refresh(self) -> None:
        """Reads what another process (`adopt`, `once`) stored since."""
        with self._noting():
            if await asyncio.to_thread(self._state.changed_elsewhere):
                self._take_over(await asyncio.to_thread(self._state.load))

    def count(self, reading: UptimeReading) -> None:
        """Counts the time until now: later notes did not happen before."""
        self.memory = replace(self.memory, tally=self.memory.tally.until(reading))

    async def store(self) -> None:
        """Writes rows that differ from the store; counted time alone is written only now and then."""
        self.memory = bounded(self._stored, self.memory)
        if self.memory is self._stored:
            return
        before, after = self._stored.tally, self.memory.tally
        if (
            (before.last is not None and after.last is not None and before.last.run == after.last.run)
            and after.seconds - before.seconds < STORED_EVERY_S
            and replace(self.memory, tally=before) == self._stored
        ):
            return  # only a short time has passed
        with self._noting():
            await asyncio.to_thread(self._state.save, self._stored, self.memory)
        self._stored = self.memory
        self.trouble = None

    async def record(self, events: Iterable[HistoryEvent]) -> None:
        """Adds to the history."""
        if found := tuple(events):
            with self._noting():
                await asyncio.to_thread(self._state.record, found)
            self.trouble = None

    @contextmanager
    def _noting(self) -> Iterator[None]:
        try:
            yield
        except SidecarError as error:
            self.trouble = str(error)
            raise

    def policy(self, key: str, change: Callable[[PolicyMemory], PolicyMemory]) -> None:
        """Changes the memory of one policy."""
        changed = change(self.memory.policy(key))
        self.memory = replace(self.memory, policies={**self.memory.policies, key: changed})

    def policies(self, keys: Iterable[str], change: Callable[[str, PolicyMemory], PolicyMemory]) -> None:
        """Changes the memory of many policies at once."""
        changed = {key: change(key, self.memory.policy(key)) for key in keys}
        self.memory = replace(self.memory, policies={**self.memory.policies, **changed})

    def conf(self, entries: Iterable[ConfEntry]) -> None:
        """Notes events of entries in mailcow.conf."""
        self.memory = replace(self.memory, conf=(*self.memory.conf, *entries))

    def restarted(self, at: float, names: tuple[str, ...], before: tuple[str, ...] = ()) -> None:
        """Notes a restart of acme-mailcow, and the names in the certificates before it."""
        restart = Restart(at, names, before, judged=False)
        self.memory = replace(self.memory, restarts=(*self.memory.restarts, restart))

    def not_restarted(self) -> None:
        """The last restart was refused and nothing was done: it is not counted."""
        self.memory = replace(self.memory, restarts=self.memory.restarts[:-1])

    def report_way(self, changed: RouteMemory) -> None:
        """Notes what is ours of the route of TLS reports."""
        self.memory = replace(self.memory, report_way=changed)

    def fulfilled(self, key: str) -> None:
        """A request to adopt was fulfilled."""
        if key in self.memory.adopt:
            self.memory = replace(self.memory, adopt=self.memory.adopt - {key})


def intended(memory: PolicyMemory, text: str | None, at: float) -> PolicyMemory:
    """The memory with an intent whose outcome is unknown; a repeated intent counts once."""
    rest = [write for write in memory.writes if not (write.done is None and write.text == text)]
    return replace(memory, writes=kept_writes((*rest, Write(text, at, None))))


def settled(memory: PolicyMemory, text: str | None, at: float, counted: float, *, done: bool) -> PolicyMemory:
    """The memory with the outcome of the last intent for `text`, at Unix second `at` and `Memory.counted` of that time.

    If it is done, the text is served from now on; if it was refused, the intent is removed.
    """
    rest = [write for write in memory.writes if not (write.done is None and write.text == text)]
    if not done:
        return replace(memory, writes=tuple(rest))
    return seen_served(replace(memory, writes=kept_writes((*rest, Write(text, at, True)))), text, at, counted)


def entries(key: str, names: Iterable[str], event: ConfEvent, at: float) -> list[ConfEntry]:
    """One event for each of several entries."""
    return [ConfEntry(key, name, event, at) for name in names]
