"""Reads mailcow's policy ids, once for each content: from its database all at once, or page by page.

Rule for every editor: the page that shows an id makes mailcow look names up and ask servers outside. It is asked only
for what the database did not give, never twice for one content, and nobody waits for it in a pass. An id counts only
together with the text that is served for it. Which ids are wanted is decided in `plan.policy_ids`.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sidecar.host.clock import Clock
from sidecar.host.errors import SidecarError
from sidecar.host.tasks import end_tasks
from sidecar.mailcow.database import Database
from sidecar.mailcow.retry import Retry
from sidecar.mailcow.session import Session
from sidecar.observed import Conf, PolicyId, Seen

AT_A_TIME = 2
"""Pages asked for at once: the places for mailcow's API are four."""
RETRY_S = (60, 600, 3_600)
"""Waits after an id that could not be read."""


@dataclass
class PolicyIds:
    """The reader; what it read is kept until it is taken."""

    session: Session
    clock: Clock
    database: Database | None = None
    conf: Conf | None = None
    """mailcow.conf, which has the login to the database; None: not known (yet)."""
    _found: dict[str, PolicyId] = field(default_factory=dict)
    _failed: dict[str, Retry] = field(default_factory=dict)
    """By domain."""
    _database_failed: Retry = field(default_factory=Retry)
    _under_way: set[asyncio.Task[None]] = field(default_factory=set)

    def take(self) -> Mapping[str, PolicyId]:
        """What was read since the last call."""
        found, self._found = self._found, {}
        return found

    def begin(self, unread: Mapping[str, str]) -> None:
        """Begins to read these, given as texts by domain, unless others are still being read."""
        if self._under_way:
            return
        wanted = {name: text for name, text in unread.items() if name not in self._found}
        if not wanted:
            return
        task = asyncio.create_task(self._some(wanted))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _some(self, wanted: Mapping[str, str]) -> None:
        """All that the database gives, and a few of the others by the page."""
        found = await self._by_database(wanted)
        self._found |= found
        now = self.clock.now()
        due = [name for name in wanted if name not in found and self._failed.get(name, Retry()).until <= now]
        await asyncio.gather(*(self._one(name, wanted[name]) for name in due[:AT_A_TIME]))

    async def _by_database(self, wanted: Mapping[str, str]) -> Mapping[str, PolicyId]:
        """The ids of those that are served exactly what their row says; nothing if the database cannot be asked."""
        database, conf = self.database, self.conf
        if database is None or conf is None or not database.known(conf):
            return {}
        if self.clock.now() < self._database_failed.until:
            return {}
        try:
            rows = await database.policies(conf)
        except SidecarError:
            self._database_failed = self._database_failed.failed(self.clock.now(), RETRY_S)
            return {}
        self._database_failed = Retry()
        return {
            name: PolicyId(text, row.id)
            for name, text in wanted.items()
            if (row := rows.get(name)) is not None and row.text == text
        }

    async def _one(self, name: str, text: str) -> None:
        sight = await self.session.policy_id(name, text, self.clock.now())
        if isinstance(sight, Seen) and sight.value is not None:
            self._found[name] = sight.value
            self._failed.pop(name, None)
        else:
            self._failed[name] = self._failed.get(name, Retry()).failed(self.clock.now(), RETRY_S)

    async def read(
        self, unread: Mapping[str, str], progress: Callable[[int], None]
    ) -> tuple[Mapping[str, PolicyId], Mapping[str, str]]:
        """Reads all of these: the ids by domain, and why others could not be read. `progress` gets how many are done."""
        places = asyncio.Semaphore(AT_A_TIME)
        found: dict[str, PolicyId] = dict(await self._by_database(unread))
        if found:
            progress(len(found))
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
            progress(len(found) + len(trouble))

        left = {name: text for name, text in unread.items() if name not in found}
        await asyncio.gather(*(one(name, text) for name, text in left.items()))
        return found, trouble

    async def close(self) -> None:
        await end_tasks(*self._under_way)
