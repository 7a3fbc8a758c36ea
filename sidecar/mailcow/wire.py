"""How one request reaches mailcow's web server: the connection, whom it accepts there, its deadline and its limit.

Rules for every editor. No cookie is kept: mailcow's session cookie carries the key's rights, and the messages of a call
that died come first in the next answer of its session. No redirect is followed, no proxy asked. `X-Forwarded-For`
and `Sec-Fetch-*` are not sent (mailcow believes the one and refuses the other). No byte of a request is sent before
the server is accepted. What is requested does not belong here.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeAlias

import aiohttp

from sidecar.mailcow.endpoint import CONNECTIONS, Endpoint, Trust, Way, connector
from sidecar.mailcow.response import Answer, NotReadable

API_PATH = "/api/v1/"

OnCall: TypeAlias = Callable[[str, float, int | None], None]
"""Called after each request with its route, the seconds it took, and the HTTP status; None if no answer came."""


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """What is sent; `asked` says it in words. `deadline` in seconds, `limit` of the answer in bytes."""

    asked: str
    method: str
    path: str
    headers: Mapping[str, str]
    deadline: float
    limit: int
    query: Mapping[str, str] | None = None
    body: Mapping[str, object] | Sequence[str] | None = None


class Wire:
    """The connections to one endpoint, used with `async with`. `pins` and `roots`: see `Trust`; `connect_s` in seconds."""

    def __init__(
        self,
        endpoint: Endpoint,
        pins: Iterable[str],
        *,
        connect_s: float,
        roots: str | None = None,
        on_call: OnCall | None = None,
    ) -> None:
        self.endpoint = endpoint
        self._pins = tuple(pins)
        self._connect_s = connect_s
        self._roots = roots
        self._on_call = on_call
        self._slots = asyncio.Semaphore(CONNECTIONS)
        self._trust: Trust | None = None
        self._last_way: Way | None = None
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        # reads the system's roots
        self._trust = await asyncio.to_thread(Trust, self.endpoint, self._pins, roots=self._roots)
        self._session = aiohttp.ClientSession(
            connector=connector(),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            headers={"Accept-Encoding": "gzip", "User-Agent": "mta-sts-sidecar"},
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    def pin(self, pins: Iterable[str]) -> None:
        """Replaces the fingerprints that are accepted: after a renewal the new one and the one before."""
        self._pins = tuple(pins)
        if self._trust is not None:
            self._trust.pin(self._pins)

    async def exchange(self, request: ApiRequest) -> Answer:
        """One request and its answer, over the first way on which the server is accepted. Raises NotReadable."""
        if self._trust is None:
            raise RuntimeError("Wire is used with `async with`")
        refused: list[aiohttp.ClientConnectorCertificateError] = []
        # the deadline begins when it is our turn, else many calls at once would only wait for each other
        async with self._slots:
            start, status = time.monotonic(), None
            try:
                for way in sorted(self._trust.ways(), key=lambda way: way != self._last_way):
                    try:
                        async with asyncio.timeout(request.deadline):
                            answer = await self._over(way, request)
                    except aiohttp.ClientConnectorCertificateError as error:
                        refused.append(error)
                    except (aiohttp.ClientError, OSError) as error:
                        raise _no_answer(request, error) from error
                    else:
                        self._last_way, status = way, answer.status
                        return answer
            finally:
                if self._on_call is not None:
                    self._on_call(request.path.removeprefix(API_PATH), time.monotonic() - start, status)
        reasons = "; ".join(dict.fromkeys(str(error.certificate_error) for error in refused))
        raise NotReadable(
            f"{request.asked}: the certificate is not accepted, nothing was sent ({reasons}). It has to be valid "
            "for MAILCOW_HOSTNAME or the one in data/assets/ssl/cert.pem that nginx-mailcow has loaded"
        ) from refused[-1]

    async def _over(self, way: Way, request: ApiRequest) -> Answer:
        if self._session is None:
            raise RuntimeError("Wire is used with `async with`")
        async with self._session.request(
            request.method,
            self.endpoint.url + request.path,
            headers={"Host": way.name, **request.headers},
            params=request.query,
            json=request.body,
            ssl=way.context or True,
            server_hostname=way.name if way.context else None,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._connect_s),
        ) as response:
            body = bytearray()
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > request.limit:
                    raise NotReadable(
                        f"{request.asked}: more than {request.limit} bytes, which is not an answer of mailcow"
                    )
            return Answer(
                request.asked, response.status, response.headers.get("Content-Type", ""), bytes(body)
            )


def _no_answer(request: ApiRequest, error: Exception) -> NotReadable:
    match error:
        case aiohttp.ServerTimeoutError():
            what = "no connection in time"
        case TimeoutError():
            what = f"no whole answer within {request.deadline:g} s"
        case aiohttp.ClientConnectorDNSError():
            what = "the name does not resolve to an IPv4 address: is nginx-mailcow up, in the same network?"
        case aiohttp.ClientConnectorError():
            what = f"no connection ({error.os_error})"
        case aiohttp.ClientPayloadError() | aiohttp.ServerDisconnectedError():
            what = "the connection ended in the middle of the answer"
        case _:
            what = f"{type(error).__name__}: {str(error)[:200]}"
    return NotReadable(
        f"{request.asked}: {what}. mailcow may be starting, being updated, or busy; it is asked again"
    )
