"""Reads mailcow's policy ids, once for each content: a few at a time beside the passes, or all that a command needs.

Rule for every editor: the page that tells an id makes mailcow look names up and ask servers outside. It is
asked seldom, never twice for one content, and nobody waits for it in a pass. Which ids are wanted is decided in
`policyid`.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sidecar.host.clock import Clock
from sidecar.mailcow.session import Session
from sidecar.observed import PolicyId, Seen
from sidecar.plan.schedule import wait_after

AT_A_TIME = 2
"""Pages asked for at once: the places for mailcow's API are four."""
RETRY_S = (60, 600, 3_600)
"""Waits after an id that could not be read."""


@dataclass
class PolicyIds:
    """The reader; what it read is kept until it is taken."""

    session: Session
    clock: Clock
    _found: dict[str, PolicyId] = field(default_factory=dict)
    _failed: dict[str, tuple[int, float]] = field(default_factory=dict)
    """By domain: how many times in a row, and when to try again (Unix seconds)."""
    _under_way: set[asyncio.Task[None]] = field(default_factory=set)

    def take(self) -> Mapping[str, PolicyId]:
        """What was read since the last call."""
        found, self._found = self._found, {}
        return found

    def begin(self, unread: Mapping[str, str]) -> None:
        """Begins to read a few of these, given as texts by domain, unless others are still being read."""
        if self._under_way:
            return
        now = self.clock.now()
        due = [
            name for name in unread if name not in self._found and self._failed.get(name, (0, 0.0))[1] <= now
        ]
        for name in due[:AT_A_TIME]:
            task = asyncio.create_task(self._one(name, unread[name]))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def _one(self, name: str, text: str) -> None:
        sight = await self.session.policy_id(name, text, self.clock.now())
        if isinstance(sight, Seen) and sight.value is not None:
            self._found[name] = sight.value
            self._failed.pop(name, None)
        else:
            count = self._failed.get(name, (0, 0.0))[0] + 1
            self._failed[name] = (count, self.clock.now() + wait_after(count, RETRY_S))

    async def read(
        self, unread: Mapping[str, str], told: Callable[[int], None]
    ) -> tuple[Mapping[str, PolicyId], Mapping[str, str]]:
        """Reads all of these: the ids by domain, and why others could not be read. `told` gets how many are done."""
        places = asyncio.Semaphore(AT_A_TIME)
        found: dict[str, PolicyId] = {}
        trouble: dict[str, str] = {}

        async def one(name: str, text: str) -> None:
            async with places:
                match await self.session.policy_id(name, text, self.clock.now()):
                    case Seen(PolicyId() as id_):
                        found[name] = id_
                    case Seen():
                        trouble[name] = "the policy was changed just now: ask again"
                    case unseen:
                        trouble[name] = unseen.reason
            told(len(found) + len(trouble))

        await asyncio.gather(*(one(name, text) for name, text in unread.items()))
        return found, trouble

    async def close(self) -> None:
        """Ends what is under way."""
        tasks = list(self._under_way)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
