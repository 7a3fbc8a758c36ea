"""The stand-in DNS of the demo: answers on loopback, over UDP and TCP, with the records that it was given.

Rule for every editor: a name without a record does not exist (NXDOMAIN), in any zone: no question of the
demo may reach the real DNS. Faults of the DNS do not belong here.
"""

import asyncio
import contextlib
from typing import Self, cast

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

_HOST = "127.0.0.1"
_TTL = 1
_ATTEMPTS = 20
_LONGEST_CHAIN = 8


class DemoDns:
    """A running server; records may be published and withdrawn while it runs."""

    def __init__(self) -> None:
        self.port = 0
        self._records: dict[tuple[dns.name.Name, str], tuple[str, ...]] = {}
        self._udp: asyncio.DatagramTransport | None = None
        self._tcp: asyncio.Server | None = None

    @classmethod
    async def start(cls) -> Self:
        """Listens on a port that is free for UDP and TCP; raises OSError if there is none."""
        self = cls()
        for attempt in range(_ATTEMPTS):
            try:
                await self._listen()
            except OSError:
                await self.close()
                if attempt == _ATTEMPTS - 1:
                    raise
            else:
                break
        return self

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        while self._tcp is None:
            self._udp, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self), (_HOST, 0))
            self.port = int(self._udp.get_extra_info("sockname")[1])
            try:
                self._tcp = await asyncio.start_server(self._stream, _HOST, self.port)
            except OSError:  # a port that is free for UDP may be in use for TCP
                self._udp.close()

    async def close(self) -> None:
        """Ends the server."""
        if self._udp is not None:
            self._udp.close()
        if self._tcp is not None:
            self._tcp.close()
        await asyncio.sleep(0)  # a transport is closed by the loop's next turn

    def __str__(self) -> str:
        """In the form of MTA_STS_RESOLVER."""
        return f"{_HOST}:{self.port}"

    def publish(self, name: str, kind: str, *values: str) -> None:
        """Sets the records of a name, as in a zone file; replaces those of the same type."""
        self._records[_name(name), kind] = values

    async def short(self, name: str, kind: str) -> tuple[str, ...]:
        """As `short` alone, asked through the server itself."""
        return await short(_HOST, self.port, name, kind)

    def answer(self, wire: bytes) -> bytes | None:
        """The answer to a question; None for bytes that are not a question."""
        try:
            query = dns.message.from_wire(wire)
        except dns.exception.DNSException:
            return None
        if not query.question or query.flags & dns.flags.QR:
            return None
        response = dns.message.make_response(query)
        response.flags |= dns.flags.AA | dns.flags.RA
        name, kind = query.question[0].name, dns.rdatatype.to_text(query.question[0].rdtype)
        for _ in range(_LONGEST_CHAIN):
            alias = self._records.get((name, "CNAME"))
            if alias is None or kind == "CNAME":
                break
            response.answer.append(dns.rrset.from_text_list(name, _TTL, "IN", "CNAME", alias))
            name = _name(alias[0])
        if found := self._records.get((name, kind)):
            response.answer.append(dns.rrset.from_text_list(name, _TTL, "IN", kind, found))
        elif not any(known.is_subdomain(name) for known, _ in self._records):
            response.set_rcode(dns.rcode.NXDOMAIN)
        return response.to_wire(want_shuffle=False)

    async def _stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            while True:
                size = int.from_bytes(await reader.readexactly(2))
                answer = self.answer(await reader.readexactly(size))
                if answer is None:
                    break
                writer.write(len(answer).to_bytes(2) + answer)
                await writer.drain()
        writer.close()


async def short(server: str, port: int, name: str, kind: str) -> tuple[str, ...]:
    """The values in a server's answer, aliases on the way included, in its order; none if it failed."""
    try:
        query = dns.message.make_query(_name(name), kind)
        answer, _ = await dns.asyncquery.udp_with_fallback(query, server, timeout=2.0, port=port)
    except (dns.exception.DNSException, OSError):
        return ()
    return tuple(record.to_text() for rrset in answer.answer for record in rrset)


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: DemoDns) -> None:
        self._server = server
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        answer = self._server.answer(data)
        if answer is not None and self._transport is not None:
            self._transport.sendto(answer, addr)


def _name(text: str) -> dns.name.Name:
    return dns.name.from_text(text)
