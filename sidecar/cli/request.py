"""How `adopt`, `retire` and `move-mx` store a request: read the state, check, write, wake the running sidecar."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from sidecar.cli.look import names_of
from sidecar.cli.start import started
from sidecar.formats.domain_name import to_unicode
from sidecar.formats.tls_report_policy import HeldPolicy
from sidecar.host.errors import PermanentError, TemporaryError
from sidecar.host.heartbeat import wake
from sidecar.observed import FILE
from sidecar.observed.words import command
from sidecar.plan.requests import Basis, RequestRefusal
from sidecar.state.store import State


def shown(key: str) -> str:
    """The key of a policy as a person reads it: the domain, or all domains."""
    return "all domains" if key == FILE else to_unicode(key)


def records_command(key: str) -> str:
    """The command that shows the records to publish for the key of a policy."""
    return command("records" if key == FILE else f"records {key}")


@dataclass(frozen=True, slots=True)
class OpenRequest:
    """What a command needs to store a request of a person; `names` are the given domains, `now` is in Unix seconds."""

    names: tuple[str, ...]
    basis: Basis
    state: State
    now: float

    def still_held(self, keys: Sequence[str], matters: Callable[[HeldPolicy], bool]) -> list[str]:
        """Which organisations were seen with a policy that matters, by their own reports; a few, the latest first."""
        from sidecar.reports.store import DAY_S, ReportStore
        from sidecar.rollout.reports import HISTORY_DAYS, MOST_OLD, in_order

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
        return list(dict.fromkeys(one.seen_with_old(self.now) for one in in_order(found)))[:MOST_OLD]

    def refuse_if(self, refusal: RequestRefusal | None) -> None:
        """Raises PermanentError if there is a refusal; nothing is stored then."""
        if refusal is not None:
            raise PermanentError(str(refusal))


@contextmanager
def open_request(env: Mapping[str, str], domains: Sequence[str]) -> Iterator[OpenRequest]:
    """The open state; closed at the end. Wakes the running sidecar unless the request was refused."""
    clock, settings = started(env)
    names = names_of(domains)
    now = clock.now()
    state = State.open(settings.state_dir, now)
    try:
        memory = state.load()
        memory = replace(memory, tally=memory.tally.until(clock.reading()))
        yield OpenRequest(names, Basis.remembered(memory, settings), state, now)
    finally:
        state.close()
    wake(settings.state_dir)
