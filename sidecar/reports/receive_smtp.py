"""The SMTP port to which mailcow's postfix delivers TLS reports (RFC 8460 §5.3), on the event loop of the program.

Rules for every editor: `250` is sent only after the message is on the disk. Only postfix-mailcow may connect, and only
one recipient is accepted; otherwise any container in mailcow-network could use the port. Size, time, and the number of
connections are bounded. Data from a peer is never logged.
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
"""Seconds of silence after which a connection is closed."""

log = structlog.get_logger()


class _Door(SMTP):
    """A connection; one from an address that is not allowed, or above the limit, is closed without a reply."""

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
        """None: the connection was refused, and its data is ignored."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - a stream server has no other
        peer = transport.get_extra_info("peername")
        # A dual-stack socket shows an IPv4 address as one of IPv6.
        known = peer is not None and peer[0].removeprefix("::ffff:") in self._handler.allowed()
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


class _Handler:
    """What aiosmtpd calls; `allowed` returns the addresses that may connect now."""

    def __init__(self, intake: Intake, recipient: str, allowed: Callable[[], frozenset[str]]) -> None:
        self._intake = intake
        self._recipient = recipient.lower()
        self.allowed = allowed

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Any, envelope: Any, address: str, _options: list[str]
    ) -> str:
        if address.lower() != self._recipient:
            return "550 5.1.1 only TLS reports are accepted here"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, _server: SMTP, _session: Any, envelope: Any) -> str:  # noqa: N802 - as above
        try:
            stored = await self._intake.accept(envelope.original_content or b"", ReportWay.SMTP)
        except SidecarError as error:
            log.warning("storing a TLS report failed; postfix keeps it", detail=str(error))
            return "451 4.3.0 it cannot be stored now"
        return "250 2.0.0 stored" if stored else "452 4.3.1 too many reports wait"


@asynccontextmanager
async def smtp_port(
    intake: Intake, recipient: str, allowed: Callable[[], frozenset[str]], address: tuple[str, int]
) -> AsyncIterator[int]:
    """The open port; port 0 in `address` means any free one. Raises OSError if the port is in use."""
    logging.getLogger("mail.log").setLevel(logging.CRITICAL + 1)  # it would log data from a peer
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
