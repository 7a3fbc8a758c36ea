"""The alias and the transport in mailcow by which TLS reports come in."""

from sidecar.host.errors import PermanentError, TemporaryError
from sidecar.mailcow import report_route
from sidecar.mailcow.session import Session
from sidecar.plan.actions import ChangeReportRoute
from sidecar.plan.report_route import ended, meant, still_fits
from sidecar.reconcile.apply.handler import Handler, Shared


class ReportRouteHandler(Handler):
    """Changes one row of mailcow at a time."""

    def __init__(self, shared: Shared, session: Session) -> None:
        """`session` has mailcow's API."""
        super().__init__(shared)
        self._session = session

    async def change(self, action: ChangeReportRoute) -> None:
        """The rows may have been read an hour ago, so they are read again first. Raises SidecarError."""
        api = self._session.api
        if api is None:
            raise TemporaryError("mailcow's API cannot be asked")
        aliases, transports = await report_route.read_route(api)
        self._witness.changed_report_route()
        memory = self._ledger.memory.report_way
        if not still_fits(action.step, aliases, transports, memory.written):
            raise TemporaryError(
                "somebody changed the aliases or transports meanwhile; the next pass looks again"
            )
        self._ledger.report_way(meant(memory, action.step))
        await self._ledger.store()
        match await report_route.carry_out(api, action.step):
            case report_route.NotDone(reason, lasting):
                text = f"{action.verb} {action.about} was refused by mailcow: {reason}"
                raise PermanentError(text) if lasting else TemporaryError(text)
            case report_route.Done():
                self._ledger.report_way(ended(self._ledger.memory.report_way, action.step))
                await self._ledger.store()
