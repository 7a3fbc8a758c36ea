"""Delivers one message to one receiver: JSON to a webhook, or by Apprise to one of its URLs.

Rules for every editor: each delivery ends within its deadline, and raises nothing but `TemporaryError` (a receiver
that says no for good today is mended by a person tomorrow). No text holds anything of a URL but a host's name.
"""

import asyncio
import logging
import threading
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol, Self
from urllib.parse import urlsplit

import aiohttp
from pydantic import SecretStr

from sidecar.errors import TemporaryError
from sidecar.notify.digest import Digest, as_json
from sidecar.notify.secret import hidden
from sidecar.settings import Notify

WEBHOOK_S = 15.0
APPRISE_S = 60.0
"""Apprise has its own deadlines for each connection, and some services take several."""
LONGEST_SAID = 300

_one_at_a_time = threading.Lock()
"""Apprise has one logger and threads of its own: else one URL's tokens would stand in what is said of another."""


@dataclass(frozen=True, slots=True)
class Receiver:
    """Who is told: `id` stands for it in the outbox, `label` in texts; neither tells the URL."""

    id: str
    label: str
    url: SecretStr


class Deliver(Protocol):
    """Delivers a message, or raises TemporaryError."""

    async def __call__(self, receiver: Receiver, digest: Digest) -> None:
        """`digest` to `receiver`."""
        ...


def receivers_of(notify: Notify) -> tuple[Receiver, ...]:
    """All receivers of the settings, the webhook first."""
    found = [] if notify.webhook is None else [_receiver("webhook", "webhook", notify.webhook)]
    for number, url in enumerate(notify.apprise, 1):
        scheme = url.get_secret_value().partition("://")[0].lower()
        found.append(_receiver("apprise", f"apprise {number} ({scheme})", url))
    return tuple(found)


def _receiver(kind: str, label: str, url: SecretStr) -> Receiver:
    return Receiver(f"{kind}-{sha256(url.get_secret_value().encode()).hexdigest()[:16]}", label, url)


async def deliver(receiver: Receiver, digest: Digest) -> None:
    """Delivers `digest`; raises TemporaryError, within a deadline, where that did not work."""
    if receiver.id.startswith("webhook-"):
        await post(receiver.url.get_secret_value(), digest)
    else:
        await apprise(receiver.label, receiver.url.get_secret_value(), digest)


async def post(url: str, digest: Digest, deadline: float = WEBHOOK_S) -> None:
    """Posts the message as JSON, to this address and to no other that it redirects to; any status 2xx is a yes."""
    asked = f"posting to the webhook at {urlsplit(url).hostname}"
    try:
        async with (
            asyncio.timeout(deadline),
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), trust_env=False) as session,
            session.post(
                url,
                json=as_json(digest),
                allow_redirects=False,
                headers={"User-Agent": "mta-sts-sidecar"},
            ) as response,
        ):
            status = response.status
    except TimeoutError as error:
        raise TemporaryError(f"{asked} got no answer within {deadline:g} s; it is tried again") from error
    except (aiohttp.ClientError, OSError, ValueError) as error:
        # The chained cause may quote the URL: it is cut off.
        raise TemporaryError(f"{asked} failed: {_why(error, url)}; it is tried again") from None
    if not 200 <= status < 300:
        raise TemporaryError(
            f"{asked} got status {status}; look whether its URL in config.yml is still right"
        )


def _why(error: Exception, url: str) -> str:
    match error:
        case aiohttp.ClientConnectorDNSError():
            return "its name does not resolve"
        case aiohttp.ClientConnectorCertificateError():
            return "its certificate is not accepted"
        case aiohttp.ClientConnectorError():
            return f"no connection ({error.os_error.strerror})"
        case _:
            return hidden(f"{type(error).__name__}: {error}"[:LONGEST_SAID], url)


async def apprise(label: str, url: str, digest: Digest, deadline: float = APPRISE_S) -> None:
    """Hands the message to Apprise, which blocks in a thread; at the deadline the thread is left to itself."""
    asked = f"notifying by {label}"
    try:
        said = await asyncio.wait_for(asyncio.to_thread(_blocking, url, digest), deadline)
    except TimeoutError as error:
        raise TemporaryError(f"{asked} was not over within {deadline:g} s; it is tried again") from error
    except Exception as error:  # noqa: BLE001 - plugins of a hundred services raise what they please
        text = hidden(f"{type(error).__name__}: {error}"[:LONGEST_SAID], url)
        raise TemporaryError(f"{asked} failed: {text}; it is tried again") from None
    if said is not None:
        why = hidden(said, url)[:LONGEST_SAID] or "Apprise gives no reason"
        raise TemporaryError(f"{asked} failed: {why}; if it stays so, look at this URL in config.yml")


def _blocking(url: str, digest: Digest) -> str | None:
    """What Apprise says of why it could not deliver, None where it did."""
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
    with _one_at_a_time, _Overheard() as heard:
        service = Apprise(asset=asset)
        if not service.add(url):
            return "Apprise does not know such a URL, or something is missing in it"
        if service.notify(
            body=digest.text, title=digest.title, notify_type=kind, body_format=NotifyFormat.TEXT
        ):
            return None
    return "; ".join(dict.fromkeys(heard.lines))


class _Overheard(logging.Handler):
    """Keeps to itself what Apprise logs meanwhile: it quotes tokens."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []
        self._logger = logging.getLogger("apprise")

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())

    def __enter__(self) -> Self:
        self._logger.propagate = False  # and stays so: a thread that was left to itself may log later
        self._logger.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._logger.removeHandler(self)
