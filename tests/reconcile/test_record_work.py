"""What authoritative servers said, as it is compared with what is at the source."""

from sidecar.dns.answers import ServerAddress, ServerRecordSet
from sidecar.observed import Seen, Unseen
from sidecar.reconcile.record_work import said

V4, V6 = ServerAddress("ns1.example.net", "192.0.2.1"), ServerAddress("ns1.example.net", "2001:db8::1")
OTHER = ServerAddress("ns2.example.net", "192.0.2.2")
NO_ROUTE = Unseen("ns1.example.net (2001:db8::1): it cannot be reached from here", 1.0)


def answer(*values: str, alias: str | None = None, type_: str = "TXT") -> Seen[ServerRecordSet]:
    """What a server has, in presentation form."""
    return Seen(ServerRecordSet("_mta-sts.example.org", type_, values, 300, alias=alias), 1.0)


def test_server_with_one_address_that_cannot_be_reached_has_answered_by_the_other() -> None:
    """A host without IPv6 would else never publish an id."""
    say = said({V4: answer('"v=STSv1;id=1;"'), V6: NO_ROUTE}, 2.0)
    assert say.answers == (("v=STSv1;id=1;",),)
    assert say.agree


def test_server_none_of_whose_addresses_answers_is_silent() -> None:
    """What it has is not known."""
    say = said({V6: NO_ROUTE, OTHER: answer('"v=STSv1;id=1;"')}, 2.0)
    assert say.silent == (NO_ROUTE.reason,)
    assert not say.agree


def test_two_addresses_of_one_server_may_disagree() -> None:
    """Behind them may be different machines."""
    say = said({V4: answer('"v=STSv1;id=1;"'), V6: answer()}, 2.0)
    assert say.answers == ((), ("v=STSv1;id=1;",))
    assert not say.agree


def test_values_are_as_they_are_at_the_source() -> None:
    """Strings joined, names without a final dot, addresses in their usual form."""
    assert said({V4: answer('"v=STSv1;" "id=1;"')}, 2.0).answers == (("v=STSv1;id=1;",),)
    assert said({V4: answer(alias="Mail.Example.Org.")}, 2.0).answers == (("CNAME mail.example.org",),)
    six = said({V4: answer("2001:DB8::0:1", type_="AAAA")}, 2.0)
    assert six.answers == (("2001:db8::1",),)
