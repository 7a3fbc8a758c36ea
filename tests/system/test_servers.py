"""The promises of the DNS and web server that other system tests stand on."""

import dns.message
import dns.query
import dns.rcode
import pytest

from tests.system.dnsserver import DnsServer
from tests.system.webserver import WebServer


def ask(server: DnsServer, name: str, kind: str) -> tuple[str, list[str]]:
    """The code and the records of an answer, as text."""
    answer = dns.query.udp(dns.message.make_query(name, kind), server.address, timeout=2, port=server.port)
    return dns.rcode.to_text(answer.rcode()), [str(record) for rrset in answer.answer for record in rrset]


def test_dns_server_answers_with_the_records_given_last(dns_server: DnsServer) -> None:
    """A test can change the records of a running server, and at once sees no old one."""
    dns_server.serve("mail.example.test. A 192.0.2.1", "example.test. MX 10 mail.example.test.")
    assert ask(dns_server, "mail.example.test.", "A") == ("NOERROR", ["192.0.2.1"])
    dns_server.serve("mail.example.test. A 192.0.2.2")
    assert ask(dns_server, "mail.example.test.", "A") == ("NOERROR", ["192.0.2.2"])
    assert ask(dns_server, "example.test.", "MX") == ("NOERROR", [])


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("none.test.", "NXDOMAIN"),  # an answer: there is no such name
        ("mail.broken.test.", "SERVFAIL"),  # no answer
        ("example.org.", "REFUSED"),  # no answer either
    ],
)
def test_dns_server_tells_no_such_name_from_no_answer(dns_server: DnsServer, name: str, code: str) -> None:
    """Both ways of not having records can be had from it."""
    assert ask(dns_server, name, "A") == (code, [])


def test_web_server_hides_a_file_that_only_root_may_read(nginx: WebServer) -> None:
    """A policy written with too narrow a mode shows as 403, and with the right one is served."""
    policy = nginx.root / ".well-known/mta-sts.txt"
    policy.write_bytes(b"version: STSv1\r\n")
    policy.chmod(0o600)
    assert nginx.policy("mta-sts.example.test")[0] == 403
    policy.chmod(0o644)
    assert nginx.policy("mta-sts.example.test") == (200, b"version: STSv1\r\n")
