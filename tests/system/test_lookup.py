"""Questions to a real name server."""

from sidecar.dns.ask import Lookups
from sidecar.observed import Addresses, Caa, Kind, Question, Seen, Unseen
from tests.system.dnsserver import DnsServer

NOW = 1_700_000_000.0


async def test_real_answers_become_values(dns_server: DnsServer) -> None:
    """Addresses over an alias, MX, CAA of the parent, nothing at all, and two ways not to know."""
    dns_server.serve(
        "mail.example.test. A 192.0.2.1",
        "mail.example.test. AAAA 2001:db8::1",
        "mta-sts.example.test. CNAME mail.example.test.",
        "example.test. MX 20 second.example.test.",
        "example.test. MX 10 Mail.example.test.",
        'example.test. CAA 0 issue "letsencrypt.org; validationmethods=http-01"',
        "null.test. MX 0 .",
    )
    both = frozenset({"192.0.2.1", "2001:db8::1"})
    expected = {
        Question(Kind.ADDRESSES, "mail.example.test"): Addresses(both),
        Question(Kind.ADDRESSES, "mta-sts.example.test"): Addresses(both, "mail.example.test"),
        Question(Kind.ADDRESSES, "mta-sts.none.test"): Addresses(frozenset()),
        Question(Kind.MX, "example.test"): ("mail.example.test", "second.example.test"),
        Question(Kind.MX, "mail.example.test"): (),
        Question(Kind.MX, "null.test"): (),
        Question(Kind.CAA, "autoconfig.example.test"): Caa(
            "example.test", ("letsencrypt.org; validationmethods=http-01",)
        ),
    }
    servfail = Question(Kind.MX, "a.broken.test")
    refused = Question(Kind.ADDRESSES, "example.invalid")
    lookups = Lookups((dns_server.address, dns_server.port), lambda: NOW)
    found = await lookups.ask([*expected, servfail, refused], 10)
    assert {question: found[question] for question in expected} == {
        question: Seen(value, NOW) for question, value in expected.items()
    }
    assert found[servfail] == Unseen("asking for MX of a.broken.test, the resolver answered SERVFAIL", NOW)
    assert found[refused] == Unseen("asking for A of example.invalid, the resolver answered REFUSED", NOW)


async def test_records_that_appear_are_seen_at_once(dns_server: DnsServer) -> None:
    """Nothing is remembered between two questions."""
    question = Question(Kind.ADDRESSES, "mta-sts.new.test")
    lookups = Lookups((dns_server.address, dns_server.port), lambda: NOW)
    assert (await lookups.ask([question], 10))[question] == Seen(Addresses(frozenset()), NOW)
    dns_server.serve("mta-sts.new.test. A 192.0.2.7")
    assert (await lookups.ask([question], 10))[question] == Seen(Addresses(frozenset({"192.0.2.7"})), NOW)
