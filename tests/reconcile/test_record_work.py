"""What authoritative servers summary, as it is compared with what is at the source."""

from sidecar.dns.answers import ServerAddress, ServerRecordSet
from sidecar.observed import Seen, Unseen
from sidecar.reconcile.record_work import summary

V4, V6 = ServerAddress("ns1.example.net", "192.0.2.1"), ServerAddress("ns1.example.net", "2001:db8::1")
OTHER = ServerAddress("ns2.example.net", "192.0.2.2")
NO_ROUTE = Unseen("ns1.example.net (2001:db8::1): it cannot be reached from here", 1.0)


def answer(*values: str, alias: str | None = None, type_: str = "TXT") -> Seen[ServerRecordSet]:
    """What a server has, in presentation form."""
    return Seen(ServerRecordSet("_mta-sts.example.org", type_, values, 300, alias=alias), 1.0)


def test_server_that_answers_at_one_of_its_addresses_is_not_silent() -> None:
    """Otherwise a host without IPv6 would never publish an id."""
    found = summary({V4: answer('"v=STSv1;id=1;"'), V6: NO_ROUTE}, 2.0)
    assert found.answers == (("v=STSv1;id=1;",),)
    assert found.silent == ()


def test_server_without_any_answer_is_silent() -> None:
    """What it has is not known."""
    found = summary({V6: NO_ROUTE, OTHER: answer('"v=STSv1;id=1;"')}, 2.0)
    assert found.silent == (NO_ROUTE.reason,)


def test_two_addresses_of_one_server_may_disagree() -> None:
    """Behind them may be different machines."""
    found = summary({V4: answer('"v=STSv1;id=1;"'), V6: answer()}, 2.0)
    assert found.answers == ((), ("v=STSv1;id=1;",))


def test_values_have_the_form_that_they_have_at_the_source() -> None:
    """Strings joined, names without a final dot, addresses in their usual form."""
    assert summary({V4: answer('"v=STSv1;" "id=1;"')}, 2.0).answers == (("v=STSv1;id=1;",),)
    assert summary({V4: answer(alias="Mail.Example.Org.")}, 2.0).answers == (("CNAME mail.example.org",),)
    six = summary({V4: answer("2001:DB8::0:1", type_="AAAA")}, 2.0)
    assert six.answers == (("2001:db8::1",),)
