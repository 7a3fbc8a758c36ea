"""The way to a server: its public addresses, or, for mailcow's own, one inside the network.

From inside mailcow's network the public address is often not reachable (hairpin NAT), although the world reaches it.
Rule for every editor: which way was taken is part of what is brought; a way that failed says nothing of the server.
"""

import asyncio
import socket
import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self, TypeAlias

from sidecar.verify.seen import Barrier, Unreachable, Way

CONNECT_S = 10.0
MOST_ADDRESSES = 4
"""Addresses of one host that are tried."""
MOST_CONNECTIONS = 120
"""In any hour, to all hosts of one domain; a look at 20 MX hosts and a policy host takes 105 at the most."""
HOUR_S = 3_600.0

Take: TypeAlias = Callable[[], None]
"""Asks whether one more connection may be made; raises SpentError."""


class SpentError(Exception):
    """No connection was made, for too many were made this hour; the text is a sentence."""


class Allowance:
    """At most `most` connections in any hour to all hosts that a domain names, whatever its zone says.

    A zone says whom this server connects to: without a bound, a stranger's would make a port scanner of it. It is
    kept from one run of checks to the next. A host that several domains share is on the account of the first.
    """

    def __init__(self, most: int = MOST_CONNECTIONS, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._made: dict[str, deque[float]] = {}

    def of(self, domain: str) -> Take:
        """What to call before each connection to a host of this domain."""

        def take() -> None:
            now = self._clock()
            made = self._made.setdefault(domain, deque())
            while made and now - made[0] >= HOUR_S:
                made.popleft()
            if len(made) >= self._most:
                raise SpentError(f"{self._most} connections to hosts of {domain} were made within an hour")
            made.append(now)

        return take

    def forget_old(self) -> None:
        """Domains without a connection in the last hour are forgotten."""
        now = self._clock()
        self._made = {domain: made for domain, made in self._made.items() if now - made[-1] < HOUR_S}


@dataclass(frozen=True, slots=True)
class Place:
    """A host (name or address) and a port inside mailcow's network."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Reached:
    """A connected socket, non-blocking; leaving the `with` closes it."""

    connection: socket.socket
    way: Way
    address: str
    port: int
    take: Take

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def handle(self) -> socket.socket:
        """The same connection for a transport, which closes what it is given in its own time."""
        return self.connection.dup()

    async def again(self, timeout_s: float = CONNECT_S) -> socket.socket:
        """A second connection to the same end; raises OSError, TimeoutError or SpentError."""
        self.take()
        return await _connect(self.address, self.port, timeout_s)


class Doors:
    """At most `per_host` conversations with one address at a time, whoever wants them."""

    def __init__(self, per_host: int) -> None:
        self._doors: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(per_host))

    def of(self, addresses: tuple[str, ...]) -> asyncio.Semaphore:
        """The door of the server with these addresses."""
        return self._doors[addresses[0] if addresses else ""]


async def reach(
    addresses: tuple[str, ...],
    port: int,
    inside: Place | None,
    clock: Callable[[], float],
    take: Take,
    timeout_s: float = CONNECT_S,
) -> Reached | Unreachable:
    """The first of 4 addresses that takes a TCP connection; `inside` is tried when no public one does.

    `timeout_s` is the time for one address. Raises SpentError when `take` does, before each connection.
    """
    refused: list[str] = []
    silent: list[str] = []
    for address in addresses[:MOST_ADDRESSES]:
        take()
        try:
            return Reached(await _connect(address, port, timeout_s), Way(address), address, port, take)
        except ConnectionRefusedError:
            refused.append(f"{address} port {port} refused the connection")
        except (OSError, TimeoutError) as error:
            silent.append(_said(address, port, error, timeout_s))
    reason = "; ".join(refused + silent)
    barrier = Barrier.REFUSED if refused else Barrier.UNREACHABLE
    if inside is None:
        return Unreachable(barrier, reason, clock())
    try:
        for address in await _resolve(inside.host, timeout_s):
            connection = await _connect(address, inside.port, timeout_s)
            return Reached(connection, Way(f"{inside.host} ({address})", reason), address, inside.port, take)
        trouble = "has no address"
    except (OSError, TimeoutError) as error:
        trouble = f"did not take a connection either ({_reason(error, timeout_s)})"
    return Unreachable(barrier, f"{reason}; {inside.host} inside mailcow's network {trouble}", clock())


def _said(address: str, port: int, error: OSError, timeout_s: float) -> str:
    return f"{address} port {port} cannot be reached ({_reason(error, timeout_s)})"


def _reason(error: OSError, timeout_s: float) -> str:
    if isinstance(error, TimeoutError) and not error.strerror:
        return f"no answer within {timeout_s:g} s"
    return error.strerror or str(error)


async def _connect(address: str, port: int, timeout_s: float) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.setblocking(False)
        async with asyncio.timeout(timeout_s):
            await asyncio.get_running_loop().sock_connect(connection, (address, port))
    except BaseException:
        connection.close()
        raise
    return connection


async def _resolve(host: str, timeout_s: float) -> list[str]:
    """The addresses of a name that only Docker's own DNS knows."""
    async with asyncio.timeout(timeout_s):
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [str(address[0]) for _, _, _, _, address in found]
