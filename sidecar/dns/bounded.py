"""DNS answers of a limited size: larger ones are not decoded.

Rule for every editor: a zone's owner chooses what a server sends. dnspython needs several seconds for 64 KB of MX
records whose names have 120 labels each; no answer that this program needs is as large.
"""

import socket
from typing import Any, Self

import dns.asyncbackend
import dns.exception

LARGEST = 16 * 1024
"""Octets of an answer, by TCP and by UDP (a server may send more than the EDNS payload size of the query)."""


class TooLargeError(dns.exception.FormError):
    """The answer was not read; as for any malformed one, the next name server is asked."""

    msg = f"The answer has more than {LARGEST} octets."


class Bounded:
    """dnspython's backend for asyncio, but an answer of more than LARGEST octets raises TooLargeError."""

    def __init__(self) -> None:
        self._inner: Any = dns.asyncbackend.get_backend("asyncio")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def make_socket(self, *args: Any, **kwargs: Any) -> Any:
        made = await self._inner.make_socket(*args, **kwargs)
        return _Stream(made) if made.type == socket.SOCK_STREAM else _Datagrams(made)


class _Wrapped:
    """A socket of dnspython."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._inner.close()


class _Stream(_Wrapped):
    """A connection that is asked for as many octets as an answer announces (RFC 1035 §4.2.2)."""

    async def recv(self, size: int, timeout: float | None) -> Any:
        if size > LARGEST:
            raise TooLargeError
        return await self._inner.recv(size, timeout)


class _Datagrams(_Wrapped):
    """A socket that gives one datagram at a time."""

    async def recvfrom(self, size: int, timeout: float | None) -> Any:
        wire, sender = await self._inner.recvfrom(size, timeout)
        if len(wire) > LARGEST:
            raise TooLargeError
        return wire, sender
