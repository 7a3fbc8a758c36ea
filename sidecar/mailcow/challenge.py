"""The HTTP probe of a name, as acme-mailcow and Let's Encrypt make it: a random file below /.well-known/acme-challenge/.

Rules for every editor: the file is ours alone (a prefix that acme-mailcow never uses), lives for one call, and what
a killed run left is removed. The answer of a stranger is bounded in time, size and redirects, and only compared.
"""

import asyncio
import contextlib
import ipaddress
import os
import secrets
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from sidecar.observed import Addresses, Answered, Challenge, Seen, Sight, Unseen
from sidecar.plan.acme.check import looked_at

FOLDER = Path("data/web/.well-known/acme-challenge")
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
    reached: bool
    """Whether something answered at all."""


class Challenges:
    """Makes the probes; `port` is another than 80 only where tests have their own."""

    def __init__(
        self, mailcow_dir: Path, clock: Callable[[], float], resolve: Resolve, port: int = 80
    ) -> None:
        self._folder = mailcow_dir / FOLDER
        self._clock = clock
        self._resolve = resolve
        self._port = port

    async def probe(
        self, names: Mapping[str, Addresses], nginx: tuple[str, int]
    ) -> dict[str, Sight[Challenge]]:
        """The probe of each name at its addresses; where none of them can be reached, at `nginx` (host, port).

        Never raises: what could not be probed is Unseen.
        """
        token = secrets.token_hex(16)
        try:
            with await asyncio.to_thread(_written, self._folder, token) as file:
                places = asyncio.Semaphore(CONCURRENT)

                async def one(name: str, addresses: Addresses) -> Sight[Challenge]:
                    async with places:
                        return await self._one(name, addresses, nginx, file.name, token)

                found = await asyncio.gather(*(one(name, addresses) for name, addresses in names.items()))
        except OSError as error:
            reason = f"no file can be written in {FOLDER} of the mailcow directory: {error.strerror or error}"
            return dict.fromkeys(names, Unseen(reason, self._clock()))
        return dict(zip(names, found, strict=True))

    async def _one(
        self, name: str, addresses: Addresses, nginx: tuple[str, int], file: str, token: str
    ) -> Sight[Challenge]:
        _, chosen = looked_at(addresses)
        closed: list[str] = []
        for address in sorted(chosen)[:ADDRESSES]:
            try:
                await self._fetch(name, (address,), self._port, file, token)
            except _Trouble as trouble:
                if trouble.reached:
                    return Seen(Challenge(Answered.NO, f"{address}: {trouble.said}"), self._clock())
                closed.append(f"{address}: {trouble.said}")
        if not closed:
            return Seen(Challenge(Answered.YES), self._clock())
        said = "; ".join(closed)
        try:
            await self._fetch(name, await _places(nginx[0]), nginx[1], file, token)
        except _Trouble as trouble:
            if trouble.reached:
                return Seen(Challenge(Answered.NO, f"nginx-mailcow: {trouble.said}"), self._clock())
            return Unseen(f"{said}; nginx-mailcow: {trouble.said}", self._clock())
        except OSError as error:
            return Unseen(f"{said}; nginx-mailcow: {error}", self._clock())
        return Seen(Challenge(Answered.INSIDE, said), self._clock())

    async def _fetch(self, name: str, addresses: tuple[str, ...], port: int, file: str, token: str) -> None:
        """Returns where the file's content came back; raises _Trouble."""
        reached = False
        url = URL.build(scheme="http", host=name, port=port, path=f"/.well-known/acme-challenge/{file}")
        try:
            async with asyncio.timeout(TOTAL_S):
                for _ in range(REDIRECTS + 1):
                    status, body, target = await self._get(url, addresses, name if port != 80 else None)
                    reached = True
                    if target is None:
                        break
                    url, addresses = await self._redirected(url, target, name, addresses)
                    port = 80  # from here on the URL says all
                else:
                    raise _Trouble(f"more than {REDIRECTS} redirects", reached=True)
        except TimeoutError as error:
            raise _Trouble(f"no answer within {TOTAL_S:g} s", reached) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise _Trouble(_said(error), reached) from error
        if status != 200:
            raise _Trouble(f"it answers {status} for the file", reached=True)
        if body.strip() != token.encode():
            raise _Trouble("it answers with another file", reached=True)

    async def _get(
        self, url: URL, addresses: tuple[str, ...], host: str | None
    ) -> tuple[int, bytes, str | None]:
        connector = aiohttp.TCPConnector(
            resolver=_Fixed(addresses), ssl=False, force_close=True, use_dns_cache=False
        )
        timeout = aiohttp.ClientTimeout(total=TOTAL_S, sock_connect=CONNECT_S)
        headers = {"Host": host} if host else {}
        async with (
            aiohttp.ClientSession(
                connector=connector,
                timeout=timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
                max_line_size=HEADER_LIMIT,
                max_field_size=HEADER_LIMIT,
                auto_decompress=False,
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
        self, url: URL, target: str, name: str, addresses: tuple[str, ...]
    ) -> tuple[URL, tuple[str, ...]]:
        after = url.join(URL(target))
        if (
            after.scheme not in {"http", "https"}
            or after.host is None
            or after.port not in PORTS | {url.port}
        ):
            raise _Trouble(f"it redirects to {_shown(target)}", reached=True)
        if after.host == name:
            return after, addresses
        with contextlib.suppress(ValueError):
            return after, (str(ipaddress.ip_address(after.host)),)
        found = await self._resolve(after.host)
        if isinstance(found, Unseen) or not found.value.addresses:
            raise _Trouble(f"it redirects to {_shown(target)}, which has no address", reached=True)
        return after, tuple(sorted(looked_at(found.value)[1]))


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
    with contextlib.suppress(OSError):
        for entry in os.scandir(mailcow_dir / FOLDER):
            if entry.name.startswith(PREFIX) and entry.is_file(follow_symlinks=False):
                with contextlib.suppress(OSError):
                    Path(entry.path).unlink()


@contextlib.contextmanager
def _file(path: Path) -> Iterator[Path]:
    try:
        yield path
    finally:
        # One small file: a thread for its removal could be cancelled, and it would stay.
        with contextlib.suppress(OSError):
            path.unlink()


def _written(folder: Path, token: str) -> contextlib.AbstractContextManager[Path]:
    """Writes the file for everybody to read, and removes it at the end; raises OSError."""
    path = folder / f"{PREFIX}{secrets.token_hex(8)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o644)
    try:
        os.fchmod(descriptor, 0o644)  # nginx is not root, whatever our umask is
        os.write(descriptor, token.encode())
    except OSError:
        path.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)
    return _file(path)


async def _places(host: str) -> tuple[str, ...]:
    """The addresses of nginx-mailcow, by the system's own resolver; raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(item[4][0]) for item in found))


def _said(error: BaseException) -> str:
    if isinstance(error, aiohttp.ClientConnectorError):
        return error.os_error.strerror or "no connection"
    return str(error)[:200] or type(error).__name__


def _shown(target: str) -> str:
    """A stranger's words, for a message: only scheme and host."""
    with contextlib.suppress(ValueError):
        parts = urlsplit(target)
        return f"{parts.scheme}://{parts.netloc}"[:100]
    return "what is no URL"
