"""What answers for mailcow's names at their public addresses: mailcow's nginx, or a web server in front of it.

Rules for every editor: nothing is changed; any certificate is accepted, because it is what has to be observed, and
nothing here trusts it. The check runs beside the passes. A stranger's answer is bounded in time, size and characters.
"""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography import x509

from sidecar.formats.text import printable
from sidecar.formats.x509 import reading
from sidecar.host.clock import Clock
from sidecar.host.tasks import end_tasks
from sidecar.mailcow.certificates import described
from sidecar.observed import Seen, Sight, Unseen
from sidecar.observed.certificates import Front
from sidecar.verify.probes.http import HttpError, get
from sidecar.verify.probes.policy import PATH
from sidecar.verify.probes.tls import accepting_all, closing

DEADLINE_S = 5.0
"""For one address: connection, TLS and answer."""
PATIENCE_S = 2.0
"""How long a command that makes one pass waits for the checks."""
FRESH_S = 3_600.0
AT_ONCE = 4
LONGEST_MARK = 60


async def look_at_front(name: str, address: str, now: float, port: int = 443) -> Sight[Front]:
    """What is at this address for this name; Unseen if nothing speaks TLS there. Never raises."""
    try:
        async with asyncio.timeout(DEADLINE_S):
            reader, writer = await asyncio.open_connection(
                address, port, ssl=accepting_all(), server_hostname=name
            )
            with closing(writer):
                der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
                with reading():
                    certificate = described(x509.load_der_x509_certificate(der), "")
                try:
                    answer = await get(reader, writer, name, PATH)
                except (HttpError, OSError):
                    return Seen(Front(address, certificate, policy=False), now)
    except (OSError, TimeoutError, ssl.SSLError, ValueError, TypeError) as error:
        return Unseen(f"{name} could not be looked at on port {port} of {address}: {error}", now)
    served = answer.status == 200 and answer.media_type == "text/plain"
    mark = printable(answer.server or "", "")[:LONGEST_MARK].strip()
    return Seen(Front(address, certificate, served, mark), now)


@dataclass(slots=True)
class Fronts:
    """Checks names beside the passes; keeps each result until the next check."""

    clock: Clock
    port: int = 443
    _known: dict[str, tuple[Sight[Front], ...]] = field(default_factory=dict)
    """By name, one for each address."""
    _task: asyncio.Task[None] | None = None

    async def sight(
        self, targets: Mapping[str, tuple[str, ...]], *, patient: bool
    ) -> Mapping[str, tuple[Sight[Front], ...]]:
        """What is known about these names (addresses by name); starts a check if that is old or missing."""
        now = self.clock.now()
        self._known = {name: seen for name, seen in self._known.items() if name in targets}
        due = {
            name: addresses
            for name, addresses in targets.items()
            if not all(0 <= now - sight.at < FRESH_S for sight in self._known.get(name, ()))
            or len(self._known.get(name, ())) != len(addresses)
        }
        if due and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._check(due))
        if patient and self._task is not None:
            await asyncio.wait({self._task}, timeout=PATIENCE_S)
        return dict(self._known)

    async def _check(self, due: Mapping[str, tuple[str, ...]]) -> None:
        places = asyncio.Semaphore(AT_ONCE)

        async def one(name: str, address: str) -> Sight[Front]:
            async with places:
                return await look_at_front(name, address, self.clock.now(), self.port)

        async def all_of(name: str, addresses: tuple[str, ...]) -> None:
            self._known[name] = tuple(await asyncio.gather(*(one(name, address) for address in addresses)))

        await asyncio.gather(*(all_of(name, addresses) for name, addresses in due.items()))

    async def close(self) -> None:
        await end_tasks(self._task)
