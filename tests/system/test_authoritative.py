"""Each authoritative server asked directly: real BINDs, two families, and an address without a route."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from sidecar.dns.answers import NameServer, ServerAddress, ServerRecordSet, Zone
from sidecar.dns.authoritative import Asker
from sidecar.host.unexpected import Unexpected
from sidecar.observed import Seen, Unseen
from tests.system.components import program
from tests.system.dnsserver import DnsServer, running_dns_server

NOW = 1_700_000_000.0
PORT = 5300
NAME = "_mta-sts.example.test"
OLD, NEW = '"v=STSv1;id=1;"', '"v=STSv1;id=2;"'


@pytest.fixture
def pair() -> Iterator[tuple[DnsServer, DnsServer]]:
    """Two servers of the zone `test`, which hold different files."""
    with ExitStack() as stack:
        for address in ("127.0.0.11", "127.0.0.12"):  # BIND listens only at addresses that an interface has
            ip = [program("ip"), "address"]
            subprocess.run([*ip, "add", f"{address}/32", "dev", "lo"], check=True)
            stack.callback(subprocess.run, [*ip, "del", f"{address}/32", "dev", "lo"], check=True)
        yield (
            stack.enter_context(running_dns_server("127.0.0.11", PORT)),
            stack.enter_context(running_dns_server("127.0.0.12", PORT)),
        )


def asker(resolver: DnsServer) -> Asker:
    """It finds the zone at one of the servers, which stands for a resolver."""
    return Asker((resolver.address, resolver.port), lambda: NOW, Unexpected(), try_s=1.0, port=PORT)


async def test_each_real_server_tells_what_it_has(pair: tuple[DnsServer, DnsServer]) -> None:
    """One still has the old record, nobody is at one address, another has no route, a server has no address."""
    first, second = pair
    zone = (
        "test. NS ns2.test.",
        "test. NS ns3.example.invalid.",
        "ns2.test. A 127.0.0.12",
        "ns.test. AAAA 2001:db8::1",
    )
    first.serve(*zone, f"{NAME}. TXT {NEW}", "ns.test. A 127.0.0.11", "alias.test. CNAME mail.test.")
    second.serve(*zone, f"{NAME}. TXT {OLD}")
    asking = asker(first)
    found = await asking.zone_of(NAME)
    assert isinstance(found, Seen)
    assert [(server.name, server.trouble) for server in found.value.servers] == [
        ("ns.test", None),
        ("ns2.test", None),
        ("ns3.example.invalid", "asking for A of ns3.example.invalid, the resolver answered REFUSED"),
    ]
    assert (found.value.name, found.value.primary) == ("test", "ns.test")
    seen = await asking.ask_each(found.value, NAME, "TXT")
    assert seen[ServerAddress("ns.test", "127.0.0.11")] == Seen(ServerRecordSet(NAME, "TXT", (NEW,), 60), NOW)
    assert seen[ServerAddress("ns2.test", "127.0.0.12")] == Seen(
        ServerRecordSet(NAME, "TXT", (OLD,), 60), NOW
    )
    no_way = seen[ServerAddress("ns.test", "2001:db8::1")]
    assert isinstance(no_way, Unseen)
    assert "cannot be reached from here" in no_way.reason
    assert isinstance(seen[ServerAddress("ns3.example.invalid", "")], Unseen)
    nobody = seen[ServerAddress("ns.test", "127.0.0.1")]
    assert nobody == Unseen("ns.test (127.0.0.1): no answer within 1 s", NOW)


async def test_real_answers_are_told_apart(pair: tuple[DnsServer, DnsServer]) -> None:
    """No such name, no such record, an alias, many records by TCP, and a zone that is not served."""
    first, _ = pair
    texts = tuple(sorted(f'"{number:02} {"x" * 200}"' for number in range(20)))
    first.serve(
        "mail.test. A 192.0.2.1",
        "alias.test. CNAME mail.test.",
        *(f"many.test. TXT {text}" for text in texts),
    )
    server = NameServer("ns.test", ("127.0.0.11",))
    asking = asker(first)

    async def asked(zone: str, name: str, type_: str) -> object:
        (sight,) = (await asking.ask_each(Zone(zone, "ns.test", (server,)), name, type_)).values()
        return sight.value if isinstance(sight, Seen) else sight.reason

    assert await asked("test", "none.test", "TXT") == ServerRecordSet(
        "none.test", "TXT", (), None, exists=False
    )
    assert await asked("test", "mail.test", "TXT") == ServerRecordSet("mail.test", "TXT", (), None)
    assert await asked("test", "alias.test", "A") == ServerRecordSet(
        "alias.test", "A", (), None, alias="mail.test"
    )
    assert await asked("test", "many.test", "TXT") == ServerRecordSet("many.test", "TXT", texts, 60)
    assert await asked("example.invalid", "example.invalid", "TXT") == (
        "ns.test (127.0.0.11): it answered REFUSED: it does not serve this zone"
    )
    assert await asked("broken.test", "broken.test", "TXT") == "ns.test (127.0.0.11): it answered SERVFAIL"
