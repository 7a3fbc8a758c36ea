"""The stand-in DNS of the demo, asked by the sidecar's own resolver code and by plain queries."""

from collections.abc import AsyncIterator

import dns.asyncquery
import dns.message
import dns.rcode
import pytest

from demo.names import DemoDns
from sidecar.dns.ask import Lookups
from sidecar.observed import Addresses, Caa, Kind, Question, Seen

HOST = "mail.example.org"


@pytest.fixture
async def server() -> AsyncIterator[DemoDns]:
    """A server with one host, one alias, an MX and a CAA."""
    running = await DemoDns.start()
    running.publish(HOST, "A", "192.0.2.10")
    running.publish("mta-sts.example.org", "CNAME", f"{HOST}.")
    running.publish("example.org", "MX", f"10 {HOST}.")
    running.publish("example.org", "CAA", '0 issue "letsencrypt.org"')
    yield running
    await running.close()


async def test_sidecar_gets_its_answers_from_it(server: DemoDns) -> None:
    """Addresses behind an alias, MX, CAA above the name, and nothing for a name that is not there."""
    asked = {
        Question(Kind.ADDRESSES, "mta-sts.example.org"): Addresses(frozenset({"192.0.2.10"}), HOST),
        Question(Kind.MX, "example.org"): (HOST,),
        Question(Kind.CAA, "mta-sts.example.org"): Caa("example.org", ("letsencrypt.org",)),
        Question(Kind.ADDRESSES, "mta-sts.example.com"): Addresses(frozenset()),
    }
    lookups = Lookups(("127.0.0.1", server.port), lambda: 1.0)
    found = await lookups.ask(asked, 5.0)
    assert found == {question: Seen(value, 1.0) for question, value in asked.items()}


@pytest.mark.parametrize("over", [dns.asyncquery.udp, dns.asyncquery.tcp], ids=["udp", "tcp"])
@pytest.mark.parametrize(
    ("name", "code"),
    [
        (HOST, dns.rcode.NOERROR),
        ("org", dns.rcode.NOERROR),  # there is something below it
        ("nothing.example.org", dns.rcode.NXDOMAIN),
    ],
)
async def test_name_without_records_does_not_exist_unless_one_below_it_does(
    server: DemoDns, over: object, name: str, code: dns.rcode.Rcode
) -> None:
    """The difference between NXDOMAIN and an empty answer, over both transports."""
    assert callable(over)
    answer = await over(dns.message.make_query(name, "TXT"), "127.0.0.1", port=server.port, timeout=5)
    assert (answer.rcode(), list(answer.answer)) == (code, [])


async def test_published_record_is_answered_at_once(server: DemoDns) -> None:
    """That is how the demo lets a name appear."""
    assert await server.short("mta-sts.example.com", "A") == ()
    server.publish("mta-sts.example.com", "CNAME", f"{HOST}.")
    assert await server.short("mta-sts.example.com", "A") == (f"{HOST}.", "192.0.2.10")


async def test_records_are_answered_in_the_order_in_which_they_were_published(server: DemoDns) -> None:
    """Who takes the last one takes the same each time."""
    published = [f"192.0.2.{number}" for number in range(1, 9)]
    server.publish("many.example.org", "A", *published)
    assert [list(await server.short("many.example.org", "A")) for _ in range(5)] == [published] * 5


@pytest.mark.parametrize("rubbish", [b"", b"\x00" * 11, b"GET / HTTP/1.1\r\n\r\n"])
async def test_rubbish_is_not_answered(server: DemoDns, rubbish: bytes) -> None:
    """And does not end the server."""
    assert server.answer(rubbish) is None
