"""The access to mailcow's API, read from its database while the API itself gives none, and the address to allow.

Rule for every editor: the database is asked only if mailcow refused, or no key is known; what the answer means is
decided in `plan.access`. A key that is found is kept in memory only.
"""

import asyncio
import socket
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from sidecar.host.errors import SidecarError, TemporaryError
from sidecar.mailcow.database import Database
from sidecar.mailcow.session import Session
from sidecar.observed import NOT_ASKED, Conf, Seen, Sight, Unseen
from sidecar.observed.mailcow import Access
from sidecar.plan.access import own_key, usable_key
from sidecar.settings import Settings

NGINX_NAMES = ("nginx-mailcow", "nginx")
"""mailcow's web server in mailcow's network."""


@dataclass
class Door:
    """What an observer knows of the access."""

    settings: Settings
    session: Session
    database: Database = field(default_factory=Database)
    address: Sight[str] = NOT_ASKED
    """The own address, as mailcow sees it."""
    access: Sight[Access] = NOT_ASKED
    """The keys; not asked while the API gives access."""
    _tried: Access | None = None
    """The access that the API refused last, although it should be enough."""

    async def look(self, conf: Sight[Conf], now: float, *, denied: bool) -> bool:
        """Observes at `now` (Unix seconds); returns whether the session should ask again, because there is access now."""
        api_url = self.settings.api_url
        if api_url and (urlsplit(api_url.strip()).hostname or "") not in NGINX_NAMES:
            reason = "MTA_STS_API_URL leads to another server than nginx-mailcow, so mailcow may see another address"
            self.address = Unseen(reason, now)
        else:
            try:
                self.address = Seen(await asyncio.to_thread(own_address, NGINX_NAMES[0]), now)
            except SidecarError as error:
                self.address = Unseen(str(error), now)
        self.access = NOT_ASKED
        if not denied:
            self._tried = None
            return False
        if not isinstance(conf, Seen):
            return False
        if not isinstance(self.address, Seen):
            self.access = Unseen(self.address.reason, now)
            return False
        try:
            keys = await self.database.keys(conf.value)
        except SidecarError as error:
            self.access = Unseen(str(error), now)
            return False
        found = Access(keys, self.address.value)
        self.access = Seen(found, now)
        own = own_key(self.settings, conf.value)
        key = usable_key(found, own)
        if key is None or found == self._tried:
            return False
        self._tried = found
        self.session.use(key if own is None else None)
        return True


_ANY_PORT = 9


def own_address(host: str) -> str:
    """The local address of the route to `host`, a name or an IPv4 address. Blocks; raises TemporaryError."""
    try:
        found = socket.getaddrinfo(host, _ANY_PORT, socket.AF_INET, socket.SOCK_DGRAM)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            # Connecting a datagram socket only looks up the route.
            probe.connect(found[0][4])
            return str(probe.getsockname()[0])
    except OSError as error:
        raise TemporaryError(
            f"the sidecar's own address towards {host} is not known ({error.strerror or error}): is the sidecar in "
            "mailcow's network?"
        ) from error
