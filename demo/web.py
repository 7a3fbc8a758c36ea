"""Port 80 of the names in the demo's world: a name with this server's address reaches the simulated nginx.

Rule for every editor: connections go only to the simulated mailcow on loopback; a name with any other
address is unreachable.
"""

from dataclasses import dataclass
from urllib.parse import urlsplit

import aiohttp

from demo.acme_checks import Dns

_REDIRECTS = 5
_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class DemoWeb:
    """`addresses` are those at which the world reaches the server at `url`."""

    dns: Dns
    url: str
    addresses: frozenset[str]

    async def get(self, name: str, family: int, path: str) -> str | None:
        """The text at http://<name><path>, redirects followed; None if nothing answers."""
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
        jar = aiohttp.DummyCookieJar()
        async with aiohttp.ClientSession(cookie_jar=jar, timeout=timeout) as session:
            for _ in range(_REDIRECTS):
                found = await self.dns.short(name, "AAAA" if family == 6 else "A")
                if self.addresses.isdisjoint(found):
                    return None
                try:
                    async with session.get(
                        self.url + path, headers={"Host": name}, allow_redirects=False
                    ) as answer:
                        if location := answer.headers.get("Location"):
                            target = urlsplit(location)
                            name, path = target.hostname or name, target.path
                            continue
                        return await answer.text()
                except (aiohttp.ClientError, TimeoutError):
                    return None
        return None
