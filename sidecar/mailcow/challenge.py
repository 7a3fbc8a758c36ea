"""The HTTP probe of a name, as acme-mailcow and Let's Encrypt make it: a random file below /.well-known/acme-challenge/.

Rules for every editor: the file is ours alone (a prefix that acme-mailcow never uses), lives for one call, and what
a killed run left is removed; www-data can write in the folders, so no link is followed. The answer of a stranger is
bounded in time, size and redirects, and only compared.
"""

import asyncio
import contextlib
import ipaddress
import os
import secrets
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from sidecar.host.plain_file import opened_folder
from sidecar.observed import Addresses, Answered, Challenge, Seen, Sight, Unseen
from sidecar.plan.acme.addresses import looked_at

WEB = Path("data/web")
FOLDER = WEB / ".well-known" / "acme-challenge"
PREFIX = "mta-sts-sidecar-"
CONNECT_S = 5.0
TOTAL_S = 10.0
"""For one address, redirects included."""
REDIRECTS = 10
"""As many as Let's Encrypt follows."""
CONCURRENT = 20
ADDRESSES = 4
"""Of a name with more, so many are probed."""
BODY_LIMIT = 256
HEADER_LIMIT = 8_190
PORTS = frozenset({80, 443})
"""Where a redirect may lead, as with Let's Encrypt."""

Resolve = Callable[[str], Awaitable[Sight[Addresses]]]


@dataclass(frozen=True, slots=True)
class _Trouble(Exception):  # noqa: N818 - it is one half of an answer, not a failure of ours
    said: str
    answered: bool
    """Whether there was an answer at all."""
    connected: bool = True
    """Whether somebody listens there."""


@dataclass(slots=True)
class _Ways:
    """What one call learned of addresses: if nobody listens there for so many names, nobody does for thousands more."""

    open: set[str] = field(default_factory=set)
    closed: dict[str, list[str]] = field(default_factory=dict)

    def known_closed(self, address: str) -> str | None:
        """Why this address need not be tried any more."""
        said = self.closed.get(address, [])
        return said[-1] if len(said) >= CONCURRENT and address not in self.open else None


class Challenges:
    """Makes the probes; `port` is another than 80 only where tests have their own."""

    def __init__(
        self, mailcow_dir: Path, clock: Callable[[], float], resolve: Resolve, port: int = 80
    ) -> None:
        self._mailcow_dir = mailcow_dir
        self._clock = clock
        self._resolve = resolve
        self._port = port

    async def probe(
        self, names: Mapping[str, Addresses], nginx: tuple[str, int]
    ) -> dict[str, Sight[Challenge]]:
        """The probe of each name at its addresses; where none of them can be reached, at `nginx` (host, port).

        Never raises: what could not be probed is Unseen.
        """
        token, file = secrets.token_hex(16), f"{PREFIX}{secrets.token_hex(8)}"
        ended = threading.Event()
        ways = _Ways()
        places = asyncio.Semaphore(CONCURRENT)

        async def one(name: str, addresses: Addresses) -> Sight[Challenge]:
            async with places:
                return await self._one(name, addresses, nginx, (file, token), ways)

        try:
            await asyncio.to_thread(_make, self._mailcow_dir, file, token, ended)
            found = await asyncio.gather(*(one(name, addresses) for name, addresses in names.items()))
        except OSError as error:
            reason = f"no file can be written in {FOLDER} of the mailcow directory: {error.strerror or error}"
            return dict.fromkeys(names, Unseen(reason, self._clock()))
        finally:
            # One small file: a thread for its removal could be cancelled, and it would stay.
            ended.set()
            _remove(self._mailcow_dir, file)
        return dict(zip(names, found, strict=True))

    async def _one(
        self, name: str, addresses: Addresses, nginx: tuple[str, int], file: tuple[str, str], ways: _Ways
    ) -> Sight[Challenge]:
        _, chosen = looked_at(addresses)
        closed: list[str] = []
        for address in sorted(chosen)[:ADDRESSES]:
            if (known := ways.known_closed(address)) is not None:
                closed.append(f"{address}: {known}")
                continue
            try:
                await self._fetch(name, (address,), self._port, *file)
            except _Trouble as trouble:
                if trouble.connected:
                    ways.open.add(address)
                    return Seen(Challenge(Answered.NO, f"{address}: {trouble.said}"), self._clock())
                ways.closed.setdefault(address, []).append(trouble.said)
                closed.append(f"{address}: {trouble.said}")
            else:
                ways.open.add(address)
        if not closed:
            return Seen(Challenge(Answered.YES), self._clock())
        said = "; ".join(closed)
        try:
            # By the system's own resolver: only Docker's knows this name.
            found = await asyncio.get_running_loop().getaddrinfo(nginx[0], None, type=socket.SOCK_STREAM)
            inside = tuple(dict.fromkeys(str(item[4][0]) for item in found))
            await self._fetch(name, inside, nginx[1], *file)
        except _Trouble as trouble:
            if trouble.answered:
                return Seen(Challenge(Answered.NO, f"nginx-mailcow: {trouble.said}"), self._clock())
            return Unseen(f"{said}; nginx-mailcow: {trouble.said}", self._clock())
        except OSError as error:
            return Unseen(f"{said}; nginx-mailcow: {error}", self._clock())
        return Seen(Challenge(Answered.INSIDE, said), self._clock())

    async def _fetch(self, name: str, addresses: tuple[str, ...], port: int, file: str, token: str) -> None:
        """Returns where the file's content came back; raises _Trouble."""
        answered = connected = False
        own = addresses

        async def note(*_: Any) -> None:
            nonlocal connected
            connected = True

        url = URL.build(scheme="http", host=name, port=port, path=f"/.well-known/acme-challenge/{file}")
        try:
            async with asyncio.timeout(TOTAL_S):
                for _ in range(REDIRECTS + 1):
                    status, body, target = await self._get(url, addresses, name if port != 80 else None, note)
                    answered = True
                    if target is None:
                        break
                    url, addresses = await self._redirected(url, target, name, own)
                    port = 80  # from here on the URL says all
                else:
                    raise _Trouble(f"more than {REDIRECTS} redirects", answered=True)
        except TimeoutError as error:
            said = f"no answer within {TOTAL_S:g} s" if connected else f"no connection within {CONNECT_S:g} s"
            raise _Trouble(said, answered, connected) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            said = str(error)[:200] or type(error).__name__
            if isinstance(error, aiohttp.ClientConnectorError):
                said = error.os_error.strerror or "no connection"
            raise _Trouble(said, answered, connected) from error
        if status != 200:
            raise _Trouble(f"it answers {status} for the file", answered=True)
        if body.strip() != token.encode():
            raise _Trouble("it answers with another file", answered=True)

    async def _get(
        self,
        url: URL,
        addresses: tuple[str, ...],
        host: str | None,
        connected: Callable[..., Awaitable[None]],
    ) -> tuple[int, bytes, str | None]:
        connector = aiohttp.TCPConnector(
            resolver=_Fixed(addresses), ssl=False, force_close=True, use_dns_cache=False
        )
        timeout = aiohttp.ClientTimeout(total=TOTAL_S, sock_connect=CONNECT_S)
        headers = {"Host": host} if host else {}
        trace = aiohttp.TraceConfig()
        trace.on_connection_create_end.append(connected)
        async with (
            aiohttp.ClientSession(
                connector=connector,
                timeout=timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
                max_line_size=HEADER_LIMIT,
                max_field_size=HEADER_LIMIT,
                auto_decompress=False,
                trace_configs=[trace],
            ) as session,
            session.get(url, allow_redirects=False, headers=headers) as response,
        ):
            target = (
                response.headers.get("Location") if response.status in {301, 302, 303, 307, 308} else None
            )
            body = b""
            while len(body) < BODY_LIMIT and (part := await response.content.read(BODY_LIMIT)):
                body += part
            return response.status, body, target

    async def _redirected(
        self, url: URL, target: str, name: str, own: tuple[str, ...]
    ) -> tuple[URL, tuple[str, ...]]:
        after = url.join(URL(target))
        if (
            after.scheme not in {"http", "https"}
            or after.host is None
            or after.port not in PORTS | {url.port}
        ):
            raise _Trouble(f"it redirects to {_shown(target)}", answered=True)
        if after.host == name:
            return after, own
        try:
            places: tuple[str, ...] = (str(ipaddress.ip_address(after.host)),)
        except ValueError:
            found = await self._resolve(after.host)
            if isinstance(found, Unseen) or not found.value.addresses:
                raise _Trouble(
                    f"it redirects to {_shown(target)}, which has no address", answered=True
                ) from None
            places = tuple(sorted(looked_at(found.value)[1]))
        inside = [place for place in places if place not in own and not ipaddress.ip_address(place).is_global]
        if inside:
            raise _Trouble(
                f"it redirects to {_shown(target)} at {inside[0]}, which is not public", answered=True
            )
        return after, places


class _Fixed(AbstractResolver):
    """Resolves every name to the addresses that were looked up before."""

    def __init__(self, addresses: tuple[str, ...]) -> None:
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        del family
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in self._addresses
        ]

    async def close(self) -> None:
        """Holds nothing."""


def tidy(mailcow_dir: Path) -> None:
    """Removes the files that a killed run left; what cannot be removed stays."""
    with contextlib.suppress(OSError), _folder(mailcow_dir) as folder:
        with os.scandir(folder) as entries:
            left = [e.name for e in entries if e.name.startswith(PREFIX) and e.is_file(follow_symlinks=False)]
        for name in left:
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=folder)


@contextlib.contextmanager
def _folder(mailcow_dir: Path) -> Iterator[int]:
    """A descriptor of the folder; raises OSError, also where there is a link on the way below data/web."""
    with (
        opened_folder(mailcow_dir / WEB) as web,
        opened_folder(mailcow_dir / FOLDER.parent, web) as known,
        opened_folder(mailcow_dir / FOLDER, known) as folder,
    ):
        yield folder


def _make(mailcow_dir: Path, name: str, token: str, ended: threading.Event) -> None:
    """Writes the file for everybody to read, and removes it where that has `ended` meanwhile; raises OSError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with _folder(mailcow_dir) as folder:
        descriptor = os.open(name, flags, 0o644, dir_fd=folder)
        try:
            os.fchmod(descriptor, 0o644)  # nginx is not root, whatever our umask is
            os.write(descriptor, token.encode())
        finally:
            os.close(descriptor)
    if ended.is_set():
        _remove(mailcow_dir, name)


def _remove(mailcow_dir: Path, name: str) -> None:
    with contextlib.suppress(OSError), _folder(mailcow_dir) as folder:
        os.unlink(name, dir_fd=folder)


def _shown(target: str) -> str:
    """A stranger's words, for a message: only scheme and host."""
    with contextlib.suppress(ValueError):
        parts = urlsplit(target)
        return f"{parts.scheme}://{parts.netloc}"[:100]
    return "something that is not a URL"
