"""A DNS server on loopback that answers out of a table, by UDP and TCP, and fails where the table says so."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TypeAlias, cast

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
from dns.rcode import Rcode

LOOPBACK = "127.0.0.1"
UDP_LIMIT = 512
MOST_ALIASES = 20
"""A loop of aliases is answered with so many records."""


class Silence(Enum):
    """The server does not answer, by UDP or TCP."""

    FOREVER = auto()


Reply: TypeAlias = Sequence[str] | Rcode | Silence
"""The records' texts (none: the name exists without such a record), a code, or silence."""


@dataclass
class FaultyDns(asyncio.DatagramProtocol):
    """What is not in the table is NXDOMAIN; a CNAME in it is followed, as a resolver does."""

    table: Mapping[tuple[str, str], Reply]
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    """Name, type and transport of each question, in their order."""
    transport: asyncio.DatagramTransport | None = None
    was_asked: asyncio.Event = field(default_factory=asyncio.Event)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)  # in 3.11 it does not derive from it

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        reply = self.reply(data, "udp")
        if reply is not None and self.transport is not None:
            try:
                wire = reply.to_wire(max_size=UDP_LIMIT)
            except dns.exception.TooBig:
                reply.answer.clear()
                reply.flags |= dns.flags.TC
                wire = reply.to_wire()
            self.transport.sendto(wire, addr)

    async def stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One question by TCP (RFC 1035 §4.2.2: two octets of length first)."""
        size = int.from_bytes(await reader.readexactly(2), "big")
        reply = self.reply(await reader.readexactly(size), "tcp")
        if reply is not None:
            wire = reply.to_wire(max_size=65535)
            writer.write(len(wire).to_bytes(2, "big") + wire)
            await writer.drain()
        writer.close()

    def reply(self, wire: bytes, transport: str) -> dns.message.Message | None:
        query = dns.message.from_wire(wire)
        name, kind = query.question[0].name, dns.rdatatype.to_text(query.question[0].rdtype)
        self.asked.append((name.to_text(), kind, transport))
        self.was_asked.set()
        answer = dns.message.make_response(query, recursion_available=True)
        for _ in range(MOST_ALIASES):
            alias = self._alias(name)
            if alias is None:
                break
            answer.answer.append(dns.rrset.from_text(name, 60, "IN", "CNAME", alias))
            name = dns.name.from_text(alias)
        match self.table.get((name.to_text(), kind), Rcode.NXDOMAIN):
            case Silence():
                return None
            case Rcode() as code:
                answer.set_rcode(code)
            case texts:
                if texts:
                    answer.answer.append(dns.rrset.from_text_list(name, 60, "IN", kind, texts))
        return answer

    def _alias(self, name: dns.name.Name) -> str | None:
        match self.table.get((name.to_text(), "CNAME")):
            case [str(alias)]:
                return alias
            case _:
                return None


@asynccontextmanager
async def serving(table: Mapping[tuple[str, str], Reply]) -> AsyncIterator[tuple[FaultyDns, tuple[str, int]]]:
    """A running server, and its address and port (the same for UDP and TCP)."""
    server = FaultyDns(table)
    tcp, udp, address = await _both(server)
    try:
        yield server, address
    finally:
        udp.close()
        tcp.close()
        await tcp.wait_closed()


async def _both(server: FaultyDns) -> tuple[asyncio.Server, asyncio.DatagramTransport, tuple[str, int]]:
    """One port for UDP and TCP: what is free for the one may be taken for the other."""
    while True:
        tcp = await asyncio.start_server(server.stream, LOOPBACK, 0)
        address = LOOPBACK, tcp.sockets[0].getsockname()[1]
        try:
            loop = asyncio.get_running_loop()
            udp, _ = await loop.create_datagram_endpoint(lambda: server, local_addr=address)
        except OSError:
            tcp.close()
            await tcp.wait_closed()
        else:
            return tcp, udp, address
