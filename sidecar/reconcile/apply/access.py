"""Access to mailcow's API: a key in its database, and the own address in the allow list of mailcow.conf."""

import asyncio
from typing import assert_never

from sidecar.formats.dotenv import ListEdit
from sidecar.host.errors import PermanentError, TemporaryError
from sidecar.mailcow import conf as conf_file
from sidecar.mailcow.access import Door
from sidecar.observed import Observed, Seen
from sidecar.plan.access import ALLOW_FROM
from sidecar.plan.actions import AllowAccess, CreateKey, WidenKey
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
