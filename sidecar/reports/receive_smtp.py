"""The SMTP port that mailcow's postfix hands TLS reports to (RFC 8460 §5.3), on the event loop of the program.

Rules for every editor: `250` is said only when the message is on the disk. Only postfix-mailcow may connect, and only
one recipient is taken: all else would make this an open door of mailcow-network. Size, time, and the number of
connections are bounded. What a peer sent is never logged.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import structlog
from aiosmtpd.smtp import SMTP

from sidecar.formats.report_message import LARGEST_MESSAGE
from sidecar.host.errors import SidecarError
from sidecar.observed.reports import ReportWay
from sidecar.reports.intake import Intake

MOST_CONNECTIONS = 10
PATIENCE_S = 120
"""Seconds of silence after which a connection is ended."""

log = structlog.get_logger()


class _Door(SMTP):
    """A connection; one of a stranger, or one too many, is ended before anything is said."""

    def __init__(self, handler: "_Handler", open_now: set[asyncio.Transport]) -> None:
        super().__init__(
            handler,
            data_size_limit=LARGEST_MESSAGE,
            hostname="mta-sts-mailcow",
            ident="mta-sts-sidecar",
            timeout=PATIENCE_S,
            enable_SMTPUTF8=True,
            loop=asyncio.get_running_loop(),
        )
        self._open_now = open_now
        self._handler = handler
        self._mine: asyncio.Transport | None = None
        """None: the connection was refused, and nothing of it is heard."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - a server of streams has no other
        peer = transport.get_extra_info("peername")
        known = peer is not None and _plain(peer[0]) in self._handler.allowed()
        if not known or len(self._open_now) >= MOST_CONNECTIONS:
            transport.abort()
            return
        self._open_now.add(transport)
        self._mine = transport
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        if self._mine is not None:
            self._open_now.discard(self._mine)
            super().connection_lost(error)

    def eof_received(self) -> bool | None:
        return None if self._mine is None else super().eof_received()

    def data_received(self, data: bytes) -> None:
        if self._mine is not None:
            super().data_received(data)


def _plain(address: str) -> str:
    """An IPv4 address as such, where a dual-stack socket shows it as one of IPv6."""
    return address.removeprefix("::ffff:")


class _Handler:
    """What aiosmtpd calls; `allowed` says from which addresses a connection may come now."""

    def __init__(self, intake: Intake, recipient: str, allowed: Callable[[], frozenset[str]]) -> None:
        self._intake = intake
        self._recipient = recipient.lower()
        self.allowed = allowed

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Any, envelope: Any, address: str, _options: list[str]
    ) -> str:
        if address.lower() != self._recipient:
            return "550 5.1.1 only TLS reports are taken here"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, _server: SMTP, _session: Any, envelope: Any) -> str:  # noqa: N802 - as above
        try:
            stored = await self._intake.accept(envelope.original_content or b"", ReportWay.SMTP)
        except SidecarError as error:
            log.warning("a TLS report cannot be stored; postfix keeps it", detail=str(error))
            return "451 4.3.0 it cannot be stored now"
        return "250 2.0.0 stored" if stored else "452 4.3.1 too many reports wait"


@asynccontextmanager
async def smtp_port(
    intake: Intake, recipient: str, allowed: Callable[[], frozenset[str]], address: tuple[str, int]
) -> AsyncIterator[int]:
    """The port while it is open; it is 0 in `address` for any free one. Raises OSError where it is taken."""
    logging.getLogger("mail.log").setLevel(logging.CRITICAL + 1)  # it would log what a peer says
    handler = _Handler(intake, recipient, allowed)
    open_now: set[asyncio.Transport] = set()
    server = await asyncio.get_running_loop().create_server(lambda: _Door(handler, open_now), *address)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for transport in tuple(open_now):
            transport.abort()
        await server.wait_closed()
