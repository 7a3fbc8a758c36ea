"""DNS, policy host and MX on loopback for the verification benchmark; a process of its own, so that it costs nobody else.

Prints one line of JSON with its ports once it serves, and ends with its standard input. Rule for every editor: it has
to be quicker than what is measured, so answers are made once.
"""

import asyncio
import json
import ssl
import sys
from dataclasses import dataclass, field
from typing import cast

import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
from aiosmtpd.smtp import SMTP

from tests.dns.faulty import LOOPBACK
from tests.verify.certificates import Kind, authority, root_file, server_context
from tests.verify.internet import POLICY, port_of

MX_HOST = "mail.bench.test"
NAMES = 100
HEAD = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n"


def domains(count: int) -> list[str]:
    """The names that are checked; every tenth has something wrong."""
    return [f"d{number:04}.bench.test" for number in range(count)]


def records(name: str, kind: str) -> list[str] | None:
    """The texts of the records of this name and type; None: NXDOMAIN."""
    first, _, domain = name.partition(".")
    number = int(domain[1:5]) if first.startswith("_mta-sts") and domain[:1] == "d" else 0
    match first, kind:
        case "_mta-sts", "TXT":
            return ['"v=STSv1; id=1;"', '"v=STSv1; id=2;"'] if number % 10 == 5 else ['"v=STSv1; id=1;"']
        case "_smtp", "TXT":
            return ['"v=TLSRPTv1; rua=mailto:reports@bench.test"']
        case ("mta-sts", "A") | ("mail", "A"):
            return [LOOPBACK]
        case (("mta-sts" | "mail" | "_mta-sts" | "_smtp"), _):
            return []
        case (("_25" | "1"), _):
            return None
        case _, "MX":
            return [f"10 {MX_HOST}."]
        case _:
            return []


@dataclass
class QuickDns(asyncio.DatagramProtocol):
    """Answers after `delay_s`, as a resolver does that has to ask somebody."""

    delay_s: float
    made: dict[bytes, bytes] = field(default_factory=dict)
    transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        body = self.made.get(data[2:])
        if body is None:
            body = self.made[data[2:]] = _answer(data)[2:]
        asyncio.get_running_loop().call_later(self.delay_s, self._send, data[:2] + body, addr)

    async def stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """By TCP, as checkdmarc asks for DNSSEC."""
        size = int.from_bytes(await reader.readexactly(2), "big")
        wire = _answer(await reader.readexactly(size))
        await asyncio.sleep(self.delay_s)
        writer.write(len(wire).to_bytes(2, "big") + wire)
        await writer.drain()
        writer.close()

    def _send(self, wire: bytes, addr: tuple[str, int]) -> None:
        if self.transport is not None:
            self.transport.sendto(wire, addr)


def _answer(wire: bytes) -> bytes:
    query = dns.message.from_wire(wire)
    name, kind = query.question[0].name, dns.rdatatype.to_text(query.question[0].rdtype)
    answer = dns.message.make_response(query, recursion_available=True)
    found = records(name.to_text(omit_final_dot=True).lower(), kind)
    if found is None:
        answer.set_rcode(dns.rcode.NXDOMAIN)
    elif found:
        answer.answer.append(dns.rrset.from_text_list(name, 60, "IN", kind, found))
    return answer.to_wire()


def _by_name(count: int) -> ssl.SSLContext:
    """Certificates of 100 names, as mailcow has them, chosen by the name that the client wants."""
    contexts: dict[str, ssl.SSLContext] = {}
    for start in range(0, count, NAMES):
        names = [f"mta-sts.{domain}" for domain in domains(count)[start : start + NAMES]]
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with authority().issue_cert(*names).private_key_and_cert_chain_pem.tempfile() as path:
            context.load_cert_chain(path)
        contexts |= dict.fromkeys(names, context)
    first = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)

    def choose(connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: ssl.SSLContext) -> int | None:
        if name not in contexts:
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        connection.context = contexts[name]
        return None

    first.sni_callback = choose
    return first


async def main(delay_s: float, count: int) -> None:
    """Serves until its standard input ends."""
    loop = asyncio.get_running_loop()
    body = POLICY.format(mode="enforce", mx=MX_HOST).encode()
    answer = HEAD.format(len(body)).encode() + body

    async def policy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            await asyncio.sleep(delay_s)
            writer.write(answer)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        writer.close()

    web = await asyncio.start_server(policy, LOOPBACK, 0, ssl=await asyncio.to_thread(_by_name, count))
    tls = server_context(Kind.GOOD, MX_HOST)
    mail = await loop.create_server(lambda: SMTP(object(), hostname=MX_HOST, tls_context=tls), LOOPBACK, 0)
    quick = QuickDns(delay_s)
    tcp = await asyncio.start_server(quick.stream, LOOPBACK, 0)
    await loop.create_datagram_endpoint(lambda: quick, local_addr=(LOOPBACK, port_of(tcp)))
    ports = {"dns": port_of(tcp), "https": port_of(web), "smtp": port_of(mail), "root": str(root_file())}
    print(json.dumps(ports), flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]), int(sys.argv[2])))
