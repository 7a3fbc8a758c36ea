"""How a command stores a request: read the state, check, write, wake the running sidecar."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from sidecar.cli.look import names_of
from sidecar.cli.start import started
from sidecar.formats.tls_report_policy import HeldPolicy
from sidecar.host.errors import PermanentError, TemporaryError
from sidecar.host.heartbeat import wake
from sidecar.plan.wishes import Basis, RequestRefusal
from sidecar.state.store import State


@dataclass(frozen=True, slots=True)
class Wish:
    """What a command needs to store a request; `names` are the given domains, `now` is in Unix seconds."""

    names: tuple[str, ...]
    basis: Basis
    state: State
    now: float

    def still_held(self, keys: Sequence[str], matters: Callable[[HeldPolicy], bool]) -> list[str]:
        """Which organisations were seen with a policy that matters, by their own reports; a few, the latest first."""
        from sidecar.observed import FILE
        from sidecar.reports.store import DAY_S, ReportStore
        from sidecar.rollout.reports import HISTORY_DAYS, MOST_OLD, in_order, told

        store = ReportStore(self.basis.settings.state_dir)
        if not store.exists:
            return []
        since = self.now - HISTORY_DAYS * DAY_S
        try:
            found = [
                one
                for key in keys
                for one in store.holdings(None if key == FILE else key, since)
                if matters(one.held)
            ]
        except TemporaryError:
            return []  # it only informs
        finally:
            store.close()
        return list(dict.fromkeys(told(one, self.now) for one in in_order(found)))[:MOST_OLD]

    def refuse(self, refusal: RequestRefusal | None) -> None:
        """Raises PermanentError if there is a refusal; nothing is stored then."""
        if refusal is not None:
            raise PermanentError(str(refusal))


@contextmanager
def noting(env: Mapping[str, str], domains: Sequence[str]) -> Iterator[Wish]:
    """The open state; closed at the end. Wakes the running sidecar unless the request was refused."""
    clock, settings = started(env)
    names = names_of(domains)
    now = clock.now()
    state = State.open(settings.state_dir, now)
    try:
        memory = state.load()
        memory = replace(memory, tally=memory.tally.until(clock.reading()))
        yield Wish(names, Basis.remembered(memory, settings), state, now)
    finally:
        state.close()
    wake(settings.state_dir)
