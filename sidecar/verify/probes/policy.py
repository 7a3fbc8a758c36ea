"""Fetching a policy as RFC 8461 §3.3 has a sender do it: HTTPS, PKIX, no redirect, no cache, 64 KB, a minute.

The answer is returned as it came: the rules decide whether status, media type and text are right.
"""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass

from sidecar.dns.ask import DnsClient
from sidecar.formats.domain_name import policy_host
from sidecar.verify.probes.connect import Connector, HostLimits, InsideHost, Reached, Take
from sidecar.verify.probes.http import HttpError, get
from sidecar.verify.probes.tls import closing, handshake, peer_certificate, shown_certificate, trouble
from sidecar.verify.seen import PolicyAnswer, PolicyFailure, PolicyFetch, TlsFailure

PATH = "/.well-known/mta-sts.txt"
CONNECT_SHARE = 6
"""A sixth of the minute for a connection to one address: 10 s."""


@dataclass(frozen=True, slots=True)
class PolicyProbe:
    """Fetches policies; `timeout_s` is for connection, TLS and answer together.

    `connect` replaces the addresses of every policy host (for tests).
    """

    dns: DnsClient
    context: ssl.SSLContext
    limits: HostLimits
    clock: Callable[[], float]
    port: int = 443
    timeout_s: float = 60.0
    connect: str | None = None

    async def fetch(self, domain: str, inside: InsideHost | None, take: Take) -> tuple[PolicyFetch, ...]:
        """What each address of the domain's policy host serves, or `inside` where none of them can be reached.

        `take` is asked before each connection.
        """
        host = policy_host(domain)
        connect_s = self.timeout_s / CONNECT_SHARE
        connector = Connector(self.dns, self.limits, self.clock, self.port, connect_s, self.connect)
        return await connector.at_each(host, inside, take, lambda reached: self._ask(reached, host))

    async def _ask(self, reached: Reached, host: str) -> PolicyFetch:
        way, timeout_s = reached.way, self.timeout_s * (1 - 1 / CONNECT_SHARE)
        try:
            async with asyncio.timeout(timeout_s):
                with handshake():
                    reader, writer = await asyncio.open_connection(
                        sock=reached.handle(), ssl=self.context, server_hostname=host
                    )
                with closing(writer):
                    certificate = peer_certificate(writer)
                    found = await get(reader, writer, host, PATH)
        except TimeoutError:
            return PolicyFailure(way, True, f"no answer within {timeout_s:g} s", self.clock())
        except ssl.SSLError as error:
            kind, detail = trouble(error)
            return TlsFailure(way, kind, detail, await shown_certificate(reached, host), self.clock())
        except (HttpError, OSError) as error:
            return PolicyFailure(way, False, str(error) or type(error).__name__, self.clock())
        return PolicyAnswer(
            way,
            certificate,
            found.status,
            found.media_type,
            found.location,
            found.body,
            found.whole,
            self.clock(),
        )
