"""Delivers one message to one receiver: JSON to a webhook, or by Apprise to one of its URLs.

Rules for every editor: each delivery ends within its deadline and raises only `TemporaryError` (a person may
repair a receiver that refuses today). Texts contain nothing of a URL except a host name. A receiver never waits for
another one, and a pass never waits for a receiver: blocking calls run in a thread of their own, at most one for each
receiver.
"""

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Protocol, Self, TypeVar
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from pydantic import SecretStr

from sidecar.host.errors import TemporaryError
from sidecar.host.tasks import in_thread
from sidecar.notify.digest import Message, as_json
from sidecar.notify.secret import hidden
from sidecar.settings import Notify

T = TypeVar("T")

WEBHOOK_S = 15.0
APPRISE_S = 60.0
"""Apprise has its own deadlines for each connection, and some services take several."""
LONGEST_SAID = 300

_under_way: set[str] = set()
"""What threads still work for, possibly after their caller gave up: URLs of Apprise, host names of webhooks."""


@dataclass(frozen=True, slots=True)
class NotificationReceiver:
    """A receiver: `id` is its name in the outbox, `label` in texts; neither reveals the URL."""

    id: str
    label: str
    url: SecretStr


class Deliver(Protocol):
    """Delivers a message, or raises TemporaryError."""

    async def __call__(self, receiver: NotificationReceiver, digest: Message) -> None:
        """Delivers `digest` to `receiver`."""
        ...


def receivers_of(notify: Notify) -> tuple[NotificationReceiver, ...]:
    """All receivers of the settings, the webhook first."""
    found = [] if notify.webhook is None else [_receiver("webhook", "webhook", notify.webhook)]
    for number, url in enumerate(notify.apprise, 1):
        scheme = url.get_secret_value().partition("://")[0].lower()
        found.append(_receiver("apprise", f"apprise {number} ({scheme})", url))
    return tuple(found)


def _receiver(kind: str, label: str, url: SecretStr) -> NotificationReceiver:
    return NotificationReceiver(
        f"{kind}-{sha256(url.get_secret_value().encode()).hexdigest()[:16]}", label, url
    )


async def deliver(receiver: NotificationReceiver, digest: Message) -> None:
    """Delivers `digest`; raises TemporaryError, within a deadline, if that fails."""
    if receiver.id.startswith("webhook-"):
        await post(receiver.url.get_secret_value(), digest)
    else:
        await apprise(receiver.label, receiver.url.get_secret_value(), digest)


async def post(url: str, digest: Message, deadline: float = WEBHOOK_S) -> None:
    """Posts the message as JSON, to this address only (redirects are not followed); any status 2xx is a success."""
    tried = f"posting to the webhook at {urlsplit(url).hostname}"
    try:
        async with (
            asyncio.timeout(deadline),
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(resolver=_Resolver()),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
            ) as session,
            session.post(
                url,
                json=as_json(digest),
                allow_redirects=False,
                headers={"User-Agent": "mta-sts-sidecar"},
            ) as response,
        ):
            status = response.status
    except TimeoutError as error:
        raise TemporaryError(f"{tried} got no answer within {deadline:g} s; it is tried again") from error
    except (aiohttp.ClientError, OSError, ValueError) as error:
        match error:
            case aiohttp.ClientConnectorDNSError():
                why = "its name does not resolve"
            case aiohttp.ClientConnectorCertificateError():
                why = "its certificate is not accepted"
            case aiohttp.ClientConnectorError():
                why = f"no connection ({error.os_error.strerror})"
            case _:
                why = hidden(f"{type(error).__name__}: {error}"[:LONGEST_SAID], url)
        # The chained cause may quote the URL, so it is dropped.
        raise TemporaryError(f"{tried} failed: {why}; it is tried again") from None
    if not 200 <= status < 300:
        raise TemporaryError(
            f"{tried} got status {status}; check whether its URL in config.yml is still right"
        )


async def apprise(label: str, url: str, digest: Message, deadline: float = APPRISE_S) -> None:
    """Passes the message to Apprise, which blocks in a thread; after the deadline, the thread is abandoned.

    While that thread runs, this URL is not tried again.
    """
    tried = f"notifying by {label}"
    try:
        said = await asyncio.wait_for(in_thread(_alone(url, lambda: _blocking(url, digest))), deadline)
    except TimeoutError as error:
        raise TemporaryError(f"{tried} did not end within {deadline:g} s; it is tried again") from error
    except _UnderWayError as error:
        raise TemporaryError(f"{tried} was still running from the last try; it is tried again") from error
    except Exception as error:  # noqa: BLE001 - plugins of a hundred services raise what they please
        text = hidden(f"{type(error).__name__}: {error}"[:LONGEST_SAID], url)
        raise TemporaryError(f"{tried} failed: {text}; it is tried again") from None
    if said is not None:
        why = hidden(said, url)[:LONGEST_SAID] or "Apprise gives no reason"
        raise TemporaryError(f"{tried} failed: {why}; if this continues, check this URL in config.yml")


class _UnderWayError(OSError):
    """An earlier try has not come back yet."""


def _alone(what: str, call: Callable[[], T]) -> Callable[[], T]:
    """Runs the call, unless an earlier one for the same key hangs: each try would leave one more thread."""
    if what in _under_way:
        raise _UnderWayError("an earlier try hangs")
    _under_way.add(what)

    def run() -> T:
        try:
            return call()
        finally:
            _under_way.discard(what)

    return run


class _Resolver(AbstractResolver):
    """Resolves names with the system's resolver, as aiohttp does, but not in the threads of the passes."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        def ask() -> Sequence[tuple[int, int, int, str, tuple[Any, ...]]]:
            return socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)

        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=int(address[1]),
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, _, protocol, _, address in await in_thread(_alone(host, ask))
        ]

    async def close(self) -> None:
        """Nothing is open."""


def _blocking(url: str, digest: Message) -> str | None:
    """Why Apprise could not deliver; None if it did."""
    # Not at the top: this takes a tenth of a second, and most have no such URL.
    from apprise import Apprise, AppriseAsset, NotifyFormat, NotifyType  # noqa: PLC0415

    kind = NotifyType.INFO
    if digest.failing:
        kind = NotifyType.FAILURE
    elif digest.healing:
        kind = NotifyType.SUCCESS
    asset = AppriseAsset(
        app_id="MTA-STS", app_desc="MTA-STS sidecar for mailcow", app_url="", async_mode=False
    )
    # With its own deadline, Apprise sends from a few shared threads; hanging receivers would fill them.
    asset._service_timeout = 0.0  # noqa: SLF001 - its argument is younger than the oldest Apprise that will do
    with _Overheard() as heard:
        service = Apprise(asset=asset)
        if not service.add(url):
            return "Apprise does not support this URL, or a part of it is missing"
        if service.notify(
            body=digest.text, title=digest.title, notify_type=kind, body_format=NotifyFormat.TEXT
        ):
            return None
    return "; ".join(dict.fromkeys(heard.lines))


_overhearing: ContextVar["_Overheard | None"] = ContextVar("overhearing", default=None)


class _Overheard(logging.Handler):
    """Catches what Apprise logs for this delivery: the lines quote tokens, which must not appear elsewhere."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []
        self._logger = logging.getLogger("apprise")

    def emit(self, record: logging.LogRecord) -> None:
        # Apprise passes the context to its own threads; lines of other threads are dropped.
        if _overhearing.get() is self:
            self.lines.append(record.getMessage())

    def __enter__(self) -> Self:
        self._logger.propagate = False  # and stays off: an abandoned thread may log later
        self._logger.addHandler(self)
        _overhearing.set(self)  # the thread is of this delivery alone, so it is never set back
        return self

    def __exit__(self, *_: object) -> None:
        self._logger.removeHandler(self)
