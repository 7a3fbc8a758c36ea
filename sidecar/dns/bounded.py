"""DNS answers of a sane size only: the others are not decoded.

Rule for every editor: a zone's owner chooses what a resolver hands on. dnspython needs several seconds for 64 KB of
MX records whose names have 120 labels each; nothing that this program asks for needs as much.
"""

import socket
from typing import Any

import dns.asyncbackend
import dns.exception

LARGEST = 16 * 1024
"""Octets of an answer by TCP; one by UDP is no larger than EDNS_PAYLOAD."""


class TooLargeError(dns.exception.FormError):
    """The answer was not read; as for any malformed one, the next name server is asked."""

    msg = f"The answer has more than {LARGEST} octets."


class Bounded(dns.asyncbackend.Backend):
    """asyncio as dnspython uses it, but for TCP answers of more than LARGEST octets: TooLargeError."""

    def __init__(self) -> None:
        self._inner = dns.asyncbackend.get_backend("asyncio")

    def name(self) -> str:
        return self._inner.name()

    async def make_socket(self, *args: Any, **kwargs: Any) -> Any:
        made = await self._inner.make_socket(*args, **kwargs)
        return _Stream(made) if made.type == socket.SOCK_STREAM else made

    def datagram_connection_required(self) -> bool:
        return bool(self._inner.datagram_connection_required())

    async def sleep(self, interval: float) -> None:
        await self._inner.sleep(interval)

    def get_transport_class(self) -> Any:
        return self._inner.get_transport_class()

    async def wait_for(self, awaitable: Any, timeout: float | None) -> Any:
        return await self._inner.wait_for(awaitable, timeout)


class _Stream(dns.asyncbackend.StreamSocket):
    """A connection that is asked for as many octets as an answer announces (RFC 1035 §4.2.2)."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner.family, inner.type)
        self._inner = inner

    async def sendall(self, what: bytes, timeout: float | None) -> None:
        await self._inner.sendall(what, timeout)

    async def recv(self, size: int, timeout: float | None) -> bytes:
        if size > LARGEST:
            raise TooLargeError
        return bytes(await self._inner.recv(size, timeout))

    async def close(self) -> None:
        await self._inner.close()

    async def getpeername(self) -> Any:
        return await self._inner.getpeername()

    async def getsockname(self) -> Any:
        return await self._inner.getsockname()
