"""A small internet on loopback, for checks: one domain that is all right, and everything about it that can go wrong.

Real TLS, a real SMTP server (aiosmtpd), and DNS out of a table. Change a `World`, then see what `check` finds.
"""

import asyncio
import errno
import logging
import socket
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Any, NoReturn, cast
from unittest.mock import patch

import dns.flags
import dns.message
from aiosmtpd.smtp import SMTP
from dns.rcode import Rcode

from sidecar.formats.mtasts_policy import Mode, Policy
from sidecar.verify.probes import connect
from sidecar.verify.run import Checked, Probing, check
from sidecar.verify.seen import Meant
from tests.dns.faulty import LOOPBACK, FaultyDns, Reply, Silence
from tests.verify.certificates import Kind, root_file, server_context

logging.getLogger("mail.log").setLevel(logging.CRITICAL)  # else each refused handshake logs a trace

DOMAIN, POLICY_HOST, MX_HOST = "example.test", "mta-sts.example.test", "mail.example.test"
POLICY = "version: STSv1\nmode: {mode}\nmax_age: 604800\nmx: {mx}\n"
SHORT_S = 0.6
SECOND = "127.0.0.2"
"""Where the servers of `World.second` are."""
NOWHERE = "255.255.255.255"
"""Never takes a TCP connection, and says so at once."""


class Web(Enum):
    """What the web server does once TLS stands."""

    ANSWER = auto()
    HANG = auto()
    CLOSE = auto()


class Mail(Enum):
    """What the SMTP server is like."""

    STARTTLS = auto()
    PLAIN = auto()
    NOT_NOW = auto()
    """STARTTLS is offered, and answered with 454."""
    RUDE = auto()
    """Greets with 554."""
    OTHER_SERVICE = auto()
    """Greets as another service does."""
    SLOW_GREETING = auto()
    """As postscreen: a teaser first, and what the client says before the end of it is counted against it."""


@dataclass
class World:
    """All of it; the defaults are a domain in `enforce` with nothing wrong."""

    mode: str = "enforce"
    dns: dict[tuple[str, str], Reply] = field(default_factory=lambda: dict(GOOD_DNS))
    authentic: set[str] = field(default_factory=set)
    """Owner names (with a final dot) whose answers carry AD."""
    bogus: set[str] = field(default_factory=set)
    """Owner names that fail validation: SERVFAIL unless CD is set."""
    body: bytes | None = None
    """The policy's text, where it is not the right one."""
    status: str = "200 OK"
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "text/plain"})
    web: Web = Web.ANSWER
    web_tls: Kind = Kind.GOOD
    mail: Mail = Mail.STARTTLS
    mail_tls: Kind = Kind.GOOD
    mx: str = MX_HOST
    """The mx pattern of the policy."""
    meant: Meant | None = None
    ours: bool = False
    probing: dict[str, Any] = field(default_factory=dict)
    """Options over those that lead to this internet."""
    bug: str | None = None
    """The function below `sidecar` that raises an error which nobody foresaw."""
    second: "World | None" = None
    """The servers at a second address (`SECOND`) of the policy host and the MX host, where there is one."""
    only_loopback: bool = False
    """This machine has no route to an address that is not on loopback (nothing leaves the machine)."""
    inside: bool = False
    """The public addresses cannot be reached, those inside mailcow's network can."""

    def txt(self, *records: str, name: str = f"_mta-sts.{DOMAIN}.") -> None:
        """The TXT records at this name."""
        self.dns[name, "TXT"] = [f'"{record}"' for record in records]

    def at_second(self, **values: Any) -> None:
        """Both hosts have a second address, where the servers are the same but for these fields."""
        self.second = replace(self, **values)
        for host in (POLICY_HOST, MX_HOST):
            self.dns[f"{host}.", "A"] = [LOOPBACK, SECOND]

    def without(self, *prefixes: str) -> None:
        """Take all records away whose name begins so."""
        for key in [key for key in self.dns if key[0].startswith(prefixes)]:
            del self.dns[key]

    @property
    def answer(self) -> bytes:
        """What the web server says."""
        body = POLICY.format(mode=self.mode, mx=self.mx).encode() if self.body is None else self.body
        headers = {"Content-Length": str(len(body)), **self.headers}
        head = [f"HTTP/1.1 {self.status}", *(f"{name}: {value}" for name, value in headers.items())]
        return "\r\n".join([*head, "", ""]).encode() + body


GOOD_DNS: Mapping[tuple[str, str], Reply] = {
    (f"_mta-sts.{DOMAIN}.", "TXT"): ['"v=STSv1; id=20260101;"'],
    (f"_smtp._tls.{DOMAIN}.", "TXT"): ['"v=TLSRPTv1; rua=mailto:reports@elsewhere.test"'],
    (f"{DOMAIN}.", "MX"): [f"10 {MX_HOST}."],
    (f"{DOMAIN}.", "TXT"): ['"v=spf1 mx -all"'],
    (f"{POLICY_HOST}.", "A"): [LOOPBACK],
    (f"{POLICY_HOST}.", "AAAA"): [],
    (f"{MX_HOST}.", "A"): [LOOPBACK],
    (f"{MX_HOST}.", "AAAA"): [],
}


def meant(mode: Mode = Mode.ENFORCE, mx: str = MX_HOST, *, shared: bool = False) -> Meant:
    """A policy that somebody means."""
    return Meant(Policy(mode, 604800, (mx,)), shared)


# --- servers ---------------------------------------------------------------------------------------------


class Dnssec(FaultyDns):
    """A resolver that validates: it sets AD where the world says so, and answers bogus names only with CD."""

    def __init__(self, world: World) -> None:
        super().__init__(world.dns)
        self._world = world

    def reply(self, wire: bytes, transport: str) -> dns.message.Message | None:
        answer = super().reply(wire, transport)
        query = dns.message.from_wire(wire)
        name = query.question[0].name.to_text()
        if answer is not None and name in self._world.authentic and query.flags & dns.flags.AD:
            answer.flags |= dns.flags.AD
        if answer is not None and name in self._world.bogus and not query.flags & dns.flags.CD:
            answer.answer.clear()
            answer.set_rcode(Rcode.SERVFAIL)
        return answer


class _Sink:
    async def handle_DATA(self, *_: object) -> str:  # noqa: N802 - aiosmtpd's name
        return "250 OK"


class _NotNow(SMTP):
    async def smtp_STARTTLS(self, arg: str) -> None:  # noqa: N802 - aiosmtpd's name
        await self.push("454 TLS not available due to temporary reason")


RAW = {
    Kind.OLD: b"\x15\x03\x01\x00\x02\x02\x46",
    Kind.NONSENSE: b"this is no TLS at all\r\n",
    Kind.CLOSED: b"",
}
"""What is sent instead of a handshake; the first is the alert protocol_version (RFC 8446 §6)."""


class _Raw(SMTP):
    """Answers the handshake with octets of the test's."""

    raw: bytes

    async def smtp_STARTTLS(self, arg: str) -> None:  # noqa: N802 - aiosmtpd's name
        await self.push("220 go ahead")
        await self._reader.read(1000)
        self._writer.write(self.raw)
        self._writer.close()


@asynccontextmanager
async def web_server(world: World, address: str = LOOPBACK, port: int = 0) -> AsyncIterator[int]:
    """The policy host's port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if world.web_tls in RAW:
                await reader.read(1000)
                writer.write(RAW[world.web_tls])
                return
            await reader.readuntil(b"\r\n\r\n")
            if world.web is Web.HANG:
                await reader.read()
            elif world.web is Web.ANSWER:
                writer.write(world.answer)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    context = None if world.web_tls in RAW else server_context(world.web_tls, POLICY_HOST)
    server = await asyncio.start_server(serve, address, port, ssl=context)
    try:
        yield port_of(server)
    finally:
        server.close()
        await server.wait_closed()


@asynccontextmanager
async def mail_server(world: World, address: str = LOOPBACK, port: int = 0) -> AsyncIterator[int]:
    """The MX host's port."""
    server: asyncio.Server
    if world.mail in BY_HAND:
        server = await asyncio.start_server(BY_HAND[world.mail], address, port)
    else:
        context = None if world.mail is Mail.PLAIN else server_context(_tls_of(world), MX_HOST)
        kind = _NotNow if world.mail is Mail.NOT_NOW else SMTP
        if world.mail_tls in RAW:
            kind = cast("type[SMTP]", type("_RawOfThis", (_Raw,), {"raw": RAW[world.mail_tls]}))
        server = await asyncio.get_running_loop().create_server(
            lambda: kind(_Sink(), hostname=MX_HOST, tls_context=context), address, port
        )
    try:
        yield port_of(server)
    finally:
        server.close()
        await server.wait_closed()


def _tls_of(world: World) -> Kind:
    return Kind.GOOD if world.mail_tls in RAW else world.mail_tls


async def _rude(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"554 5.7.1 not you\r\n")
    writer.close()


async def _slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220-mail.example.test ESMTP, wait\r\n")
    early = True
    try:
        async with asyncio.timeout(0.1):
            early = bool(await reader.read(1))
    except TimeoutError:
        early = False
    writer.write(b"521 you spoke first\r\n" if early else b"220 mail.example.test ESMTP\r\n")
    await reader.readline()
    writer.write(b"250-mail.example.test\r\n250 PIPELINING\r\n")
    await reader.read()
    writer.close()


async def _other_service(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
    writer.close()


BY_HAND = {Mail.RUDE: _rude, Mail.SLOW_GREETING: _slow, Mail.OTHER_SERVICE: _other_service}


def port_of(server: asyncio.Server) -> int:
    """The port that it listens on."""
    return int(server.sockets[0].getsockname()[1])


@asynccontextmanager
async def dns_server(server: FaultyDns) -> AsyncIterator[tuple[str, int]]:
    """The resolver's address and port."""
    tcp = await asyncio.start_server(server.stream, LOOPBACK, 0)
    address = LOOPBACK, port_of(tcp)
    udp, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: server, local_addr=address)
    try:
        yield address
    finally:
        udp.close()
        tcp.close()
        await tcp.wait_closed()


@asynccontextmanager
async def _second(world: World, https_port: int, smtp_port: int) -> AsyncIterator[None]:
    if world.second is None:
        yield
        return
    async with web_server(world.second, SECOND, https_port), mail_server(world.second, SECOND, smtp_port):
        yield


@asynccontextmanager
async def internet(world: World) -> AsyncIterator[Probing]:
    """The running servers, and how to ask them."""
    async with (
        dns_server(Dnssec(world)) as resolver,
        web_server(world) as https_port,
        mail_server(world) as smtp_port,
        _second(world, https_port, smtp_port),
    ):
        probing = Probing(
            resolver=resolver,
            extra_root=root_file(),
            # A busy machine may answer late; only for silence a short wait is enough.
            dns_s=SHORT_S if Silence.FOREVER in world.dns.values() else 10.0,
            https_port=https_port,
            smtp_port=smtp_port,
        )
        with (
            patch(f"sidecar.{world.bug}", broken) if world.bug else nullcontext(),
            loopback_alone() if world.only_loopback else nullcontext(),
        ):
            yield replace(probing, **world.probing)


@contextmanager
def loopback_alone() -> Iterator[None]:
    """The kernel has no route to any address that does not begin with 127, as in a container without a network."""
    real, routed = connect._connect, connect.routed

    async def no_route(address: str, port: int, timeout_s: float) -> socket.socket:
        if not address.startswith("127."):
            raise OSError(errno.ENETUNREACH, "Network is unreachable")
        return await real(address, port, timeout_s)

    with (
        patch.object(connect, "_connect", no_route),
        patch.object(connect, "routed", lambda address: address.startswith("127.") and routed(address)),
    ):
        yield


def broken(*_: object, **__: object) -> NoReturn:
    """Nobody foresaw this."""
    raise LookupError("a bug of the tests")


async def seen_in(world: World) -> Checked:
    """What a check of the domain finds in this world, now."""
    async with internet(world) as probing:
        return await check(DOMAIN, probing, time.time, world.meant, ours=world.ours)


def closed_port() -> int:
    """A port of loopback at which nobody listens."""
    with socket.socket() as chosen:
        chosen.bind((LOOPBACK, 0))
        return int(cast("tuple[str, int]", chosen.getsockname())[1])
