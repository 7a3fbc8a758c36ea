"""Carries out the actions of a plan, each independently: one that fails never stops another.

Rule for every editor: every action is idempotent, its intent is stored before it, and an outcome that cannot be known
stays unknown. Nothing is decided here. One handler for each kind of action: in `access` (also for the
route of TLS reports), `policies`, `files` and `containers`; `publishing` writes DNS records.
"""

from collections.abc import Callable, Sequence
from typing import assert_never

from sidecar.host.clock import Clock
from sidecar.mailcow.access import Door
from sidecar.mailcow.engine.acme import AcmeEngine
from sidecar.observed import Observed
from sidecar.plan.actions import (
    Action,
    AddPolicy,
    AdoptSame,
    AllowAccess,
    ChangeReportRoute,
    EditConf,
    EditPolicy,
    HealAcme,
    PublishRecords,
    RecreateAcme,
    RemoveFile,
    RestartAcme,
    SwitchOff,
    WriteFile,
)
from sidecar.reconcile.apply.access import AccessHandler, ReportRouteHandler
from sidecar.reconcile.apply.containers import ContainerHandler
from sidecar.reconcile.apply.files import FileHandler
from sidecar.reconcile.apply.handler import Handler, Outcome, Result, Shared, Witness
from sidecar.reconcile.apply.policies import PolicyHandler
from sidecar.settings import Settings
from sidecar.state.ledger import Ledger

__all__ = ["Applier", "Outcome", "Result", "Witness"]


class Applier(Handler):
    """Gives each action to its handler."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        door: Door,
        witness: Witness,
        engine: AcmeEngine,
        ledger: Ledger,
        report: Callable[[Outcome], None],
        *,
        patient: bool,
    ) -> None:
        """`patient`: a single pass waits for as long as the Docker engine takes."""
        self.tried: Callable[[], None] = lambda: None
        """Called after each action, however it ended."""
        self._on_outcome = report
        shared = Shared(settings, clock, witness, ledger, self._ended)
        super().__init__(shared)
        self._access = AccessHandler(shared, door)
        self._policies = PolicyHandler(shared, door.session)
        self._files = FileHandler(shared)
        self._report_route = ReportRouteHandler(shared, door.session)
        self.containers = ContainerHandler(shared, engine, patient=patient)
        """Changes acme-mailcow's container; a change may take longer than a pass."""

    def _ended(self, outcome: Outcome) -> None:
        self._on_outcome(outcome)
        self.tried()

    async def apply(self, actions: Sequence[Action], observed: Observed) -> tuple[Outcome, ...]:
        """Carries out all of them: access first, then policies, several at a time, then the files, the container last.

        The Docker engine delays none of them, in this pass or the next: see `containers.ended`.
        """
        policies = [a for a in actions if isinstance(a, AddPolicy | EditPolicy | SwitchOff)]
        access = [action for action in actions if isinstance(action, AllowAccess)]
        outcomes = [await self._attempt(action, self._access.allow(action, observed)) for action in access]
        outcomes += await self._policies.write(policies, observed)
        for action in actions:
            match action:
                case AllowAccess() | AddPolicy() | EditPolicy() | SwitchOff():
                    pass  # done above
                case AdoptSame():
                    outcomes.append(await self._attempt(action, self._policies.adopt(action)))
                case WriteFile():
                    outcomes.append(await self._attempt(action, self._files.write(action, observed)))
                case RemoveFile():
                    outcomes.append(await self._attempt(action, self._files.remove(observed)))
                case EditConf():
                    outcomes += await self._files.edit_conf(action)
                case ChangeReportRoute():
                    outcomes.append(await self._attempt(action, self._report_route.change(action)))
                case RestartAcme() | RecreateAcme() | HealAcme():
                    outcomes += await self.containers.change(action, observed)
                case PublishRecords():
                    pass  # handed over beside the others (`publishing`)
                case _:
                    assert_never(action)
        return tuple(outcomes)
