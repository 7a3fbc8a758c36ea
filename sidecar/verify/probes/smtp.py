"""Speaking with an MX host as a sender that wants TLS does: greeting, EHLO, STARTTLS, certificate; no mail.

Rule for every editor: a host that does not talk to us (outgoing port 25 closed, a block list, a limit) shows nothing
about what it does for other senders.
"""

import asyncio
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from sidecar.dns.ask import DnsClient
from sidecar.verify.probes.connect import Connector, HostLimits, InsideHost, Reached, SpentError, Take
from sidecar.verify.probes.tls import accepting_all, closing, handshake, peer_certificate, trouble
from sidecar.verify.seen import MxNoStartTls, MxProbe, MxTls, MxWontTalk, PresentedCertificate, TlsFailure

CONNECT_SHARE = 4
_MOST_LINES = 100
_LONGEST_LINE = 4096
"""RFC 5321 §4.5.3.1.5 has 512 octets."""
_QUIT_S = 2.0


class _WontTalkError(Exception):
    """The other end does not continue the conversation."""


class _TurnedAwayError(_WontTalkError):
    """The other end refused with a 4xx or 5xx reply."""


class _NoStartTlsError(Exception):
    """STARTTLS is not offered, or refused with the reply in the text."""


@dataclass(frozen=True, slots=True)
class SmtpProbe:
    """Probes MX hosts; `timeout_s` is for one whole conversation (mailcow's postscreen waits 6 s before it greets).

    `inside`: for MX hosts that are this mailcow, where they are inside its network. `connect` replaces the
    addresses of every host (for tests).
    """

    dns: DnsClient
    context: ssl.SSLContext
    limits: HostLimits
    clock: Callable[[], float]
    inside: Mapping[str, InsideHost]
    port: int = 25
    timeout_s: float = 40.0
    connect: str | None = None

    async def probe(self, host: str, take: Take) -> tuple[MxProbe, ...]:
        """What a sender would see at each address of this MX host; `take` is asked before each connection.

        Of a reply 100 lines of 4,096 octets are read at most: beyond that, it is not a conversation.
        """
        connect_s = self.timeout_s / CONNECT_SHARE
        connector = Connector(self.dns, self.limits, self.clock, self.port, connect_s, self.connect)
        return await connector.at_each(
            host, self.inside.get(host), take, lambda reached: self._converse(reached, host)
        )

    async def _converse(self, reached: Reached, host: str) -> MxProbe:
        way, timeout_s = reached.way, self.timeout_s * (1 - 1 / CONNECT_SHARE)
        try:
            async with asyncio.timeout(timeout_s):
                reader, writer = await asyncio.open_connection(sock=reached.handle(), limit=_LONGEST_LINE)
                with closing(writer):
                    version = await _start_tls(reader, writer, self.context, host)
                    seen = MxTls(way, version, peer_certificate(writer), self.clock())
                    # Some servers count connections that are dropped without QUIT.
                    with suppress(OSError, TimeoutError, _WontTalkError, ValueError):
                        async with asyncio.timeout(_QUIT_S):
                            await _say(reader, writer, "QUIT", "221")
                    return seen
        except TimeoutError:
            return MxWontTalk(way, f"the conversation was not over within {timeout_s:g} s", self.clock())
        except _NoStartTlsError as error:
            return MxNoStartTls(way, str(error) or None, self.clock())
        except ssl.SSLError as error:
            kind, detail = trouble(error)
            return TlsFailure(way, kind, detail, await self._refused_certificate(reached, host), self.clock())
        except _TurnedAwayError as error:
            return MxWontTalk(way, str(error), self.clock(), turned_away=True)
        except (_WontTalkError, OSError, ValueError) as error:
            return MxWontTalk(way, str(error) or type(error).__name__, self.clock())

    async def _refused_certificate(self, reached: Reached, host: str) -> PresentedCertificate | None:
        """The certificate that was refused; None where the host does not show it a second time."""
        try:
            async with asyncio.timeout(self.timeout_s / CONNECT_SHARE):
                reader, writer = await asyncio.open_connection(
                    sock=await reached.again(), limit=_LONGEST_LINE
                )
                with closing(writer):
                    await _start_tls(reader, writer, accepting_all(), host)
                    return peer_certificate(writer)
        except (_WontTalkError, _NoStartTlsError, SpentError, OSError, ValueError):
            return None  # TimeoutError is an OSError


async def _start_tls(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: ssl.SSLContext, host: str
) -> str:
    """Greeting to handshake (RFC 3207); the TLS version spoken."""
    await _reply(reader, "220", "our connection")
    # Without a host name of our own we give our address (RFC 5321 §4.1.4).
    address = str(writer.get_extra_info("sockname")[0])
    literal = f"[IPv6:{address}]" if ":" in address else f"[{address}]"
    offered = await _say(reader, writer, f"EHLO {literal}", "250")
    if "STARTTLS" not in {line[4:].strip().upper() for line in offered}:
        raise _NoStartTlsError
    try:
        await _say(reader, writer, "STARTTLS", "220")
    except _WontTalkError as error:
        raise _NoStartTlsError(str(error)) from error
    with handshake():
        await writer.start_tls(context, server_hostname=host)
    return str(writer.get_extra_info("ssl_object").version())


async def _say(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, command: str, expected: str
) -> list[str]:
    writer.write(f"{command}\r\n".encode("ascii"))
    await writer.drain()
    return await _reply(reader, expected, command.partition(" ")[0])


async def _reply(reader: asyncio.StreamReader, expected: str, what: str) -> list[str]:
    """The lines of a reply (RFC 5321 §4.2.1)."""
    lines: list[str] = []
    while not lines or (lines[-1][3:4] == "-" and lines[-1][:3].isdigit()):
        if len(lines) == _MOST_LINES:
            raise _WontTalkError(f"more than {_MOST_LINES} lines came as a reply to {what}")
        try:
            raw = await reader.readline()
        except ValueError as error:
            message = f"a line of more than {_LONGEST_LINE} octets came as a reply to {what}"
            raise _WontTalkError(message) from error
        if not raw.endswith(b"\n"):
            raise _WontTalkError(f"the connection was closed without an answer to {what}")
        lines.append(raw.decode("utf-8", "replace").rstrip("\r\n"))
    if lines[-1][:3] != expected:
        refuses = len(lines[-1]) >= 3 and lines[-1][:3].isdigit() and lines[-1][0] in "45"
        kind = _TurnedAwayError if refuses else _WontTalkError
        raise kind(f"{what} was answered with {lines[-1][:200]!r}")
    return lines
