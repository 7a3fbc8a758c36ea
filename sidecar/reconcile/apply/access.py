"""Access to mailcow's API (a key in its database, the own address in the allow list of mailcow.conf), and the alias and
transport by which TLS reports come in.
"""

import asyncio
from typing import assert_never

from sidecar.formats.dotenv import ListEdit
from sidecar.host.errors import PermanentError, TemporaryError
from sidecar.mailcow import conf as conf_file
from sidecar.mailcow import report_route
from sidecar.mailcow.access import Door
from sidecar.mailcow.session import Session
from sidecar.observed import Observed, Seen
from sidecar.plan.access import ALLOW_FROM
from sidecar.plan.actions import AllowAccess, ChangeReportRoute, CreateKey, WidenKey
from sidecar.plan.report_route import ended, meant, still_fits
from sidecar.reconcile.apply.handler import Handler, Shared


class AccessHandler(Handler):
    """Gives the sidecar access to mailcow's API."""

    def __init__(self, shared: Shared, door: Door) -> None:
        """`door` has mailcow's database."""
        super().__init__(shared)
        self._door = door

    async def allow(self, action: AllowAccess, observed: Observed) -> None:
        """The database first: it gives access now, and mailcow.conf only keeps it. Raises SidecarError."""
        if not isinstance(observed.conf, Seen):
            raise TemporaryError("mailcow.conf cannot be read")
        conf = observed.conf.value
        match action.database:
            case CreateKey():
                await self._door.database.create_key(conf, action.address)
            case WidenKey(row=row, allowed=allowed):
                await self._door.database.widen_key(conf, row, allowed)
            case None:
                pass
            case _:
                assert_never(action.database)
        if action.in_conf:
            edit = {ALLOW_FROM: ListEdit(add=(action.address,), strict=True)}
            folder, backup = self._settings.mailcow_dir, self._settings.state_dir
            done = await asyncio.to_thread(conf_file.edit, folder, edit, backup)
            if ALLOW_FROM in done.refused:
                raise PermanentError(done.refused[ALLOW_FROM])


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
