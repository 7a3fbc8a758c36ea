"""Authoritative servers on loopback, each at an address of its own and all at one port, that fail in a chosen way."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial

import dns.flags
import dns.message
import dns.name
import dns.rrset
from dns.rcode import Rcode

from sidecar.dns.bounded import LARGEST
from tests.dns.faulty import FaultyDns, Reply, Silence


class Odd(Enum):
    """What is wrong with a server."""

    REFERRAL = auto()
    """It does not serve the zone, and names the servers of the root."""
    NOT_AUTHORITATIVE = auto()
    """It answers as a resolver does, without AA."""
    WRONG_ID = auto()
    WRONG_ID_BY_TCP = auto()
    WRONG_QUESTION = auto()
    """It answers for another name."""
    FORGED_FIRST = auto()
    """An answer with a wrong id comes before the right one."""
    GARBAGE = auto()
    HUGE_DATAGRAM = auto()
    HUGE_BY_TCP = auto()
    """It announces more octets than are read."""
    CLOSES = auto()
    """Truncated by UDP; by TCP it closes the connection without an answer."""
    HANGS_BY_TCP = auto()
    NO_EDNS = auto()
    """FORMERR for every question with EDNS (RFC 6891 §7)."""
    FAILS_ONCE = auto()
    """The first datagram is lost."""


BY_TCP_ALONE = frozenset({Odd.CLOSES, Odd.HANGS_BY_TCP, Odd.HUGE_BY_TCP, Odd.WRONG_ID_BY_TCP})


@dataclass
class Authority(FaultyDns):
    """Authoritative for all in its table; does not follow aliases."""

    odd: Odd | None = None
    edns: list[tuple[int, int]] | None = None
    """EDNS version and payload of each question."""

    def __post_init__(self) -> None:
        self.flags: list[dns.flags.Flag] = []
        self.edns = []

    def _alias(self, name: dns.name.Name) -> str | None:
        return None

    def reply(self, wire: bytes, transport: str) -> dns.message.Message | None:
        query = dns.message.from_wire(wire)
        assert self.edns is not None
        self.edns.append((query.edns, query.payload))
        self.flags.append(dns.flags.Flag(query.flags))
        answer = super().reply(wire, transport)
        if answer is None or (self.odd is Odd.FAILS_ONCE and len(self.asked) == 1):
            return None
        name = answer.question[0].name
        alias = self.table.get((name.to_text(), "CNAME"))
        if isinstance(alias, list) and alias:
            answer.set_rcode(Rcode.NOERROR)
            answer.answer.append(dns.rrset.from_text_list(name, 60, "IN", "CNAME", alias))
        answer.flags &= ~dns.flags.RA
        if self.odd not in {Odd.NOT_AUTHORITATIVE, Odd.REFERRAL}:
            answer.flags |= dns.flags.AA
        match self.odd:
            case Odd.REFERRAL:
                answer.answer.clear()
                answer.set_rcode(Rcode.NOERROR)
                answer.authority.append(dns.rrset.from_text(".", 60, "IN", "NS", "a.root-servers.net."))
            case Odd.WRONG_ID:
                answer.id ^= 1
            case Odd.WRONG_ID_BY_TCP if transport == "tcp":
                answer.id ^= 1
            case Odd.WRONG_QUESTION:
                answer.question[0].name = dns.name.from_text("other.test.")
            case Odd.NO_EDNS if query.edns >= 0:
                answer = dns.message.make_response(query)
                answer.use_edns(False)
                answer.set_rcode(Rcode.FORMERR)
            case _:
                pass
        if self.odd in BY_TCP_ALONE and transport == "udp":
            answer.answer.clear()
            answer.flags |= dns.flags.TC
        return answer

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        assert self.transport is not None
        match self.odd:
            case Odd.GARBAGE:
                self.transport.sendto(data[:2] + b"\xff" * 40, addr)
            case Odd.HUGE_DATAGRAM:
                self.transport.sendto(data[:2] + bytes(LARGEST), addr)
            case Odd.FORGED_FIRST:
                forged = dns.message.make_response(dns.message.from_wire(data))
                forged.flags |= dns.flags.AA
                forged.id ^= 1
                self.transport.sendto(forged.to_wire(), addr)
                super().datagram_received(data, addr)
            case _:
                super().datagram_received(data, addr)

    async def stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        match self.odd:
            case Odd.CLOSES:
                writer.close()
            case Odd.HUGE_BY_TCP:
                await reader.readexactly(2)
                writer.write((LARGEST + 1).to_bytes(2, "big") + bytes(LARGEST + 1))
                writer.close()
            case Odd.HANGS_BY_TCP:
                await reader.read()  # until the other side gives up
                writer.close()
            case _:
                await super().stream(reader, writer)


@asynccontextmanager
async def authorities(servers: Mapping[str, Authority]) -> AsyncIterator[int]:
    """These servers, by their address; gives the port that all of them listen at."""
    async with contextlib.AsyncExitStack() as stack:
        loop = asyncio.get_running_loop()
        while True:
            bound = await stack.enter_async_context(contextlib.AsyncExitStack())
            port = 0
            try:
                for address, server in servers.items():
                    tcp = await asyncio.start_server(server.stream, address, port)
                    bound.callback(tcp.close)
                    port = tcp.sockets[0].getsockname()[1]
                    udp, _ = await loop.create_datagram_endpoint(
                        partial(_itself, server), local_addr=(address, port)
                    )
                    bound.callback(udp.close)
            except OSError:  # the port is free at one address and taken at another
                await bound.aclose()
            else:
                yield port
                return


def _itself(server: Authority) -> Authority:
    return server


def lame() -> Authority:
    """A server that refuses everything."""
    return Authority(_Everything(Rcode.REFUSED))


def silent() -> Authority:
    """A server that never answers."""
    return Authority(_Everything(Silence.FOREVER))


class _Everything(dict[tuple[str, str], Reply]):
    """The same reply to every question."""

    def __init__(self, reply: Reply) -> None:
        super().__init__()
        self._reply = reply

    def get(self, key: tuple[str, str], default: object = None) -> Reply:
        return [] if key[1] == "CNAME" else self._reply
