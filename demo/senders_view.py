"""What senders reach: the policy by HTTPS, and the mail server by SMTP with STARTTLS, both with acme's certificate.

Rule for every editor: both serve what the simulated mailcow and the stand-in for acme-mailcow have at that moment.
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from demo.acme import StandInAcme

_HOST = "127.0.0.1"
_PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True)
class SenderPorts:
    """Where the two listen."""

    https: int
    smtp: int


@asynccontextmanager
async def serving(acme: StandInAcme, mailcow_url: str) -> AsyncIterator[SenderPorts]:
    """Both servers on free ports, ended at the end."""
    servers = _Servers(acme, mailcow_url)
    https = await asyncio.start_server(servers.https, _HOST, 0)
    smtp = await asyncio.start_server(servers.smtp, _HOST, 0)
    try:
        yield SenderPorts(https.sockets[0].getsockname()[1], smtp.sockets[0].getsockname()[1])
    finally:
        for server in (https, smtp):
            server.close()


@dataclass(frozen=True, slots=True)
class _Servers:
    acme: StandInAcme
    mailcow_url: str

    def _context(self) -> ssl.SSLContext:
        """With the certificate as it is now."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        folder: Path = self.acme.folder
        context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
        return context

    async def https(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, ssl.SSLError, TimeoutError, asyncio.IncompleteReadError):
            async with asyncio.timeout(_PATIENCE_S):
                await writer.start_tls(self._context())
                request = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                host = next(line[5:].strip() for line in request if line.lower().startswith("host:"))
                writer.write(await self._policy(request[0].split(" ")[1], host))
                await writer.drain()
        writer.close()

    async def _policy(self, path: str, host: str) -> bytes:
        async with (
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as client,
            client.get(self.mailcow_url + path, headers={"Host": host}) as answer,
        ):
            body = await answer.read()
            kind = answer.headers.get("Content-Type", "text/plain")
            head = f"HTTP/1.1 {answer.status} {answer.reason}\r\nContent-Type: {kind}\r\n"
            return f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body

    async def smtp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, ssl.SSLError, TimeoutError):
            async with asyncio.timeout(_PATIENCE_S):
                await self._talk(reader, writer)
        writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        secure = False
        writer.write(b"220 mail.example.org ESMTP\r\n")
        while line := (await reader.readline()).strip().upper():
            if line.startswith(b"EHLO"):
                writer.write(
                    b"250 mail.example.org\r\n" if secure else b"250-mail.example.org\r\n250 STARTTLS\r\n"
                )
            elif line == b"STARTTLS":
                writer.write(b"220 ready\r\n")
                await writer.drain()
                await writer.start_tls(self._context())
                secure = True
            elif line == b"QUIT":
                writer.write(b"221 bye\r\n")
                await writer.drain()
                return
            else:
                writer.write(b"250 ok\r\n")
            await writer.drain()
