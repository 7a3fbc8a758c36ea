"""A DNS server that needs no time for a large answer, so that a test measures only who decodes it."""

import asyncio
from collections.abc import Mapping, Sequence

import dns.flags
import dns.message
import dns.rrset
from dns.rdatatype import RdataType

from tests.dns.faulty import FaultyDns, Reply


class Prepared(FaultyDns):
    """Answers for MX of this domain, by TCP alone, with octets made before; for the rest out of the table."""

    def __init__(self, table: Mapping[tuple[str, str], Reply], domain: str, records: Sequence[str]) -> None:
        super().__init__(table)
        answer = dns.message.make_response(dns.message.make_query(domain, "MX"))
        answer.answer.append(dns.rrset.from_text_list(f"{domain}.", 60, "IN", "MX", records))
        self._octets = answer.to_wire(max_size=65_535)[2:]

    def reply(self, wire: bytes, transport: str) -> dns.message.Message | None:
        answer = super().reply(wire, transport)
        if answer is not None and answer.question[0].rdtype is RdataType.MX:
            answer.flags |= dns.flags.TC
        return answer

    async def stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        size = int.from_bytes(await reader.readexactly(2), "big")
        octets = (await reader.readexactly(size))[:2] + self._octets
        writer.write(len(octets).to_bytes(2, "big") + octets)
        writer.close()


SLOW = [f"10 {number}.{'a.' * 120}t." for number in range(150)]
"""MX records of few octets, over which dnspython sits for a while: their names have many labels."""
