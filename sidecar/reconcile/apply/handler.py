"""What every handler of actions shares: what it works with, and how an ended action is reported and noted."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from sidecar.host.clock import Clock
from sidecar.host.errors import NoSpaceError, PermanentError, SidecarError
from sidecar.mailcow.api import AccessDenied
from sidecar.observed import Seen, Served
from sidecar.plan.actions import Action
from sidecar.settings import Settings
from sidecar.state.ledger import Ledger, settled


class Result(StrEnum):
    """How an action ended."""

    DONE = "done"
    FAILED = "failed"
    """for now"""
    REFUSED = "refused"
    """until a person changes something"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """An action and how it ended; `detail` says why it did not work."""

    action: Action
    result: Result
    at: float
    detail: str | None = None
    denied: bool = False
    """Whether mailcow refused the API key: mailcow would count every further attempt against this host."""
    no_space: bool = False
    """Whether a full disk was the reason; only another attempt shows that there is space again."""


class Witness(Protocol):
    """What has to know of a write before the next pass observes: the observer."""

    def forget_served(self, domains: Iterable[str]) -> None:
        """What is served for these domains has to be read again."""
        ...

    def saw_served(self, domain: str, served: Seen[Served]) -> None:
        """What is served for a domain was just read."""
        ...

    def check_first(self, domains: Iterable[str]) -> None:
        """These domains come first in the next sender checks."""
        ...

    def touched_containers(self) -> None: ...

    def changed_report_route(self) -> None:
        """The alias or the transport of TLS reports was changed."""
        ...


@dataclass(frozen=True, slots=True)
class Shared:
    """What every handler works with; `ended` is called with the outcome of each action."""

    settings: Settings
    clock: Clock
    witness: Witness
    ledger: Ledger
    ended: Callable[[Outcome], None]


class Handler:
    """The base of the handlers; the order of the actions, and which may run together, belongs to `Applier`."""

    def __init__(self, shared: Shared) -> None:
        self._settings = shared.settings
        self._clock = shared.clock
        self._witness = shared.witness
        self._ledger = shared.ledger
        self._report = shared.ended

    async def _attempt(self, action: Action, doing: Awaitable[None]) -> Outcome:
        try:
            await doing
        except SidecarError as error:
            return self._outcome(action, error)
        return self._outcome(action)

    def _outcome(self, action: Action, error: SidecarError | None = None) -> Outcome:
        now = self._clock.now()
        match error:
            case None:
                outcome = Outcome(action, Result.DONE, now)
            case PermanentError():
                outcome = Outcome(action, Result.REFUSED, now, str(error), isinstance(error, AccessDenied))
            case _:
                full = isinstance(error, NoSpaceError)
                outcome = Outcome(action, Result.FAILED, now, str(error), no_space=full)
        self._report(outcome)
        return outcome

    def _settle(self, key: str, text: str | None, *, done: bool) -> None:
        """Notes how the write of a policy ended; senders could fetch what was there before until just now."""
        self._ledger.count(self._clock.reading())
        now, counted = self._clock.now(), self._ledger.memory.counted
        self._ledger.policy(key, lambda memory: settled(memory, text, now, counted, done=done))
