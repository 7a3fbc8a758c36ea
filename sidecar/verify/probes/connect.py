"""Connections to a server: at each of its public addresses, or, for mailcow's own, at one inside the network.

All addresses of a host count, since a sender may use any of them. From inside mailcow's network the public address is
often not reachable (hairpin NAT), although others reach it.
Rule for every editor: the address used is part of the result; a connection that failed proves nothing about the server.
"""

import asyncio
import errno
import socket
import time
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain, zip_longest
from typing import Self, TypeAlias, TypeVar

from sidecar.dns.answers import NoAnswer
from sidecar.dns.ask import DnsClient
from sidecar.observed import Unseen
from sidecar.verify.seen import Barrier, NoAddress, ProbedWay, Unreachable

T = TypeVar("T")

CONNECT_S = 10.0
MOST_ADDRESSES = 8
"""Addresses of one host that are probed; both families get a share."""
ADDRESSES_AT_ONCE = 2
"""Of one host."""
MOST_CONNECTIONS = 190
"""In any hour, to all hosts of one domain; 20 MX hosts and a policy host have at most 168 addresses that are probed."""
HOUR_S = 3_600.0
TRIES = 2
"""Failed connections to an address; after these it is not tried again in this run."""
_NO_ROUTE = frozenset({errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})

Take: TypeAlias = Callable[[], None]
"""Counts one more connection; raises SpentError if none is left."""


class SpentError(Exception):
    """No connection was made, because too many were made this hour; the text is a sentence."""


class Allowance:
    """At most `most` connections in any hour to all hosts that a domain names, whatever its zone says.

    A zone decides whom this server connects to: without a limit, a stranger's zone would turn it into a port scanner.
    The counts are kept from one run of checks to the next. A host that several domains share counts for the first.
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
class InsideHost:
    """A host (name or address) and a port inside mailcow's network."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Reached:
    """A connected socket, non-blocking; leaving the `with` closes it."""

    connection: socket.socket
    way: ProbedWay
    address: str
    port: int
    take: Take

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def handle(self) -> socket.socket:
        """The same connection for a transport, which closes its socket later."""
        return self.connection.dup()

    async def again(self) -> socket.socket:
        """A second connection to the same end; raises OSError, TimeoutError or SpentError."""
        self.take()
        return await _connect(self.address, self.port, CONNECT_S)


class HostLimits:
    """At most `per_host` conversations with one address at a time, for all domains; one object for a run.

    It remembers addresses that accepted no connection: 1,000 domains of one server do not each wait for it.
    """

    def __init__(self, per_host: int) -> None:
        self._places: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(per_host))
        self._closed: defaultdict[tuple[str, int], list[Unreachable]] = defaultdict(list)

    def of(self, address: str) -> asyncio.Semaphore:
        """The limit of this address: one conversation holds one place."""
        return self._places[address]

    def closed(self, address: str, port: int) -> Unreachable | None:
        """The last failure at an address that accepted no connection, once it was tried often enough."""
        found = self._closed[address, port]
        return found[-1] if len(found) >= TRIES else None

    def note(self, address: str, port: int, failed: Unreachable | None) -> None:
        """Remembers how the last try went (None: it succeeded)."""
        if failed is None:
            self._closed[address, port].clear()
        else:
            self._closed[address, port].append(failed)


def chosen(addresses: Sequence[str]) -> tuple[str, ...]:
    """The addresses of a host that are probed: 8 at most, the two families in turn, so that both get a share."""
    four = [address for address in addresses if ":" not in address]
    six = [address for address in addresses if ":" in address]
    in_turn = (address for address in chain.from_iterable(zip_longest(four, six)) if address is not None)
    return tuple(in_turn)[:MOST_ADDRESSES]


@dataclass(frozen=True, slots=True)
class Connector:
    """Connects to the addresses of hosts in one run; `timeout_s` is the time for a connection to one address."""

    dns: DnsClient
    limits: HostLimits
    clock: Callable[[], float]
    port: int
    timeout_s: float
    replacement: str | None
    """An address that replaces those of every host (for tests)."""

    async def at_each(
        self, host: str, inside: InsideHost | None, take: Take, talk: Callable[[Reached], Awaitable[T]]
    ) -> tuple[T | Unreachable | Unseen | NoAnswer | NoAddress, ...]:
        """What `talk` returns for each address of a host, two at a time.

        An address without a connection is `Unreachable`; one that was not tried, because `take` refused or because
        there are too many, is `Unseen`. `inside` is tried where no public address accepted a connection. An address
        family that the DNS did not answer for is `NoAnswer`.
        """
        answer = await self.dns.addresses(host)
        if isinstance(answer, NoAnswer):
            return (answer,)
        if not answer.records:
            return (NoAddress(self.clock()),)
        addresses = (self.replacement,) if self.replacement else answer.records
        turns = asyncio.Semaphore(ADDRESSES_AT_ONCE)
        tried = chosen(addresses)
        found = await asyncio.gather(
            *(self._at(address, turns, take, talk) for address in tried), return_exceptions=True
        )
        for result in found:
            if isinstance(result, BaseException):
                raise result
        results: tuple[T | Unreachable | Unseen, ...] = tuple(
            result for result in found if not isinstance(result, BaseException)
        )
        failed = [result for result in results if isinstance(result, Unreachable | Unseen)]
        if inside is not None and len(failed) == len(results):
            results = await self._inside(inside, take, talk, failed)
        elif left_out := [address for address in addresses if address not in tried]:
            reason = f"{', '.join(left_out[:4])}{' …' if len(left_out) > 4 else ''} not probed: "
            reason += f"the host has {len(addresses)} addresses, and {MOST_ADDRESSES} of a host are probed"
            results = (*results, Unseen(reason, self.clock()))
        return (*results, *await self.dns.unanswered(host))

    async def _at(
        self, address: str, turns: asyncio.Semaphore, take: Take, talk: Callable[[Reached], Awaitable[T]]
    ) -> T | Unreachable | Unseen:
        async with turns, self.limits.of(address):
            if (closed := self.limits.closed(address, self.port)) is not None:
                return closed
            try:
                take()
            except SpentError as error:
                return Unseen(f"{address} not probed: {error}", self.clock())
            try:
                connection = await _connect(address, self.port, self.timeout_s)
            except (OSError, TimeoutError) as error:
                if isinstance(error, ConnectionRefusedError):
                    barrier, what = Barrier.REFUSED, f"port {self.port} refused the connection"
                elif not routed(address):
                    family = "IPv6" if ":" in address else "IPv4"
                    barrier = Barrier.NO_ROUTE
                    what = f"cannot be reached: this machine has no {family} route to it"
                else:
                    barrier = Barrier.UNREACHABLE
                    what = f"port {self.port} cannot be reached ({_reason(error, self.timeout_s)})"
                failed = Unreachable(barrier, f"{address} {what}", self.clock(), address)
                self.limits.note(address, self.port, failed)
                return failed
            self.limits.note(address, self.port, None)
            with Reached(connection, ProbedWay(address), address, self.port, take) as reached:
                return await talk(reached)

    async def _inside(
        self,
        inside: InsideHost,
        take: Take,
        talk: Callable[[Reached], Awaitable[T]],
        failed: Sequence[Unreachable | Unseen],
    ) -> tuple[T | Unreachable | Unseen, ...]:
        """What is found at the place inside; where it cannot be reached either, the failed ones with that added."""
        reason = "; ".join(one.reason for one in failed)
        trouble = "has no address"
        async with self.limits.of(inside.host):
            try:
                # Only Docker's own DNS knows the name.
                async with asyncio.timeout(self.timeout_s):
                    found = await asyncio.get_running_loop().getaddrinfo(
                        inside.host, None, type=socket.SOCK_STREAM
                    )
                for address in (str(sockaddr[0]) for *_, sockaddr in found):
                    connection = await _connect(address, inside.port, self.timeout_s)
                    way = ProbedWay(f"{inside.host} ({address})", reason)
                    with Reached(connection, way, address, inside.port, take) as reached:
                        return (await talk(reached),)
            except (OSError, TimeoutError) as error:
                trouble = f"did not take a connection either ({_reason(error, self.timeout_s)})"
        last = failed[-1]
        reason = f"{last.reason}; {inside.host} inside mailcow's network {trouble}"
        return (*failed[:-1], replace(last, reason=reason))


def routed(address: str) -> bool:
    """Whether this machine has a route to the address; no packet is sent."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 9))
    except OSError as error:
        return error.errno not in _NO_ROUTE
    return True


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
