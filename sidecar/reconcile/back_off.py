"""Counts what failed in earlier passes; the guards derive from it which actions wait (`sidecar.plan.guards.Waits`).

Rule for every editor: nothing is held here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sidecar.plan.actions import HealAcme
from sidecar.plan.guards import RepeatedFailure, Waits, key_of, parts_of
from sidecar.plan.schedule import DENIED_S, RETRY_S, wait_after
from sidecar.reconcile.apply import Outcome, Result


@dataclass(slots=True)
class FullDisk:
    """Which actions a full disk stopped last time, and the message about each.

    Such an action is tried in every pass: that is cheap, and a broken policy must be repaired as soon as there is space
    again. The same outcome again is no news, since a disk may stay full for long.
    """

    _stopped: dict[tuple[str, str], str | None] = field(default_factory=dict)

    def news(self, outcome: Outcome) -> bool:
        """Whether this outcome is news; it is remembered."""
        keys = [key_of(part) for part in parts_of(outcome.action)]
        before = [self._stopped.pop(key, "") for key in keys]
        if outcome.no_space:
            self._stopped.update(dict.fromkeys(keys, outcome.detail))
        return not outcome.no_space or any(detail != outcome.detail for detail in before)


@dataclass
class BackOff:
    """Actions that failed wait, longer each time, before they are tried again."""

    failures: dict[tuple[str, str], tuple[int, float]] = field(default_factory=dict)
    full: FullDisk = field(default_factory=FullDisk)
    denials: int = 0
    denied_until: float = 0.0
    denied_because: str = ""
    not_healed: str = ""
    """Why the last repair of acme-mailcow did not work."""

    def waits(self, now: float, *, changing: bool) -> Waits:
        """What makes actions wait at this moment; `changing`: acme-mailcow is being changed."""
        # A wait that is longer than the longest one began before the clock was set back.
        denied = now < self.denied_until <= now + DENIED_S[-1]
        return Waits(
            {
                key: RepeatedFailure(count, until)
                for key, (count, until) in self.failures.items()
                if now < until <= now + RETRY_S[-1]
            },
            self.denied_until if denied else None,
            self.denied_because,
            self.not_healed,
            changing,
        )

    def forget(self) -> None:
        """A person asked for it: failed actions are tried again at once."""
        self.failures.clear()
        self.denials, self.denied_until = 0, 0.0

    def note(self, outcomes: Sequence[Outcome], now: float) -> tuple[Outcome, ...]:
        """Counts failures; a success resets the count. Returns the outcomes that belong into the history."""
        news = tuple(outcome for outcome in outcomes if self.full.news(outcome))
        if any(outcome.denied for outcome in outcomes):
            self.denials += 1
            self.denied_until = now + wait_after(self.denials, DENIED_S)
            self.denied_because = next((o.detail or "" for o in outcomes if o.denied), "")
        elif outcomes:
            self.denials = 0
        for outcome in outcomes:
            if isinstance(outcome.action, HealAcme):
                self.not_healed = outcome.detail or ""
            for key in map(key_of, parts_of(outcome.action)):
                if outcome.result is Result.DONE or outcome.no_space:
                    self.failures.pop(key, None)
                else:
                    count = self.failures.get(key, (0, 0.0))[0] + 1
                    self.failures[key] = (count, now + wait_after(count, RETRY_S))
        return news
