"""Questions to the DNS: what counts as an answer, and what does not."""

import asyncio
import socket
from collections.abc import Mapping

import dns.flags
import dns.message
import pytest
from dns.rcode import Rcode

from sidecar.dns.ask import CONCURRENT, Lookups
from sidecar.observed import Addresses, Caa, Kind, Question, Seen, Sight, Txt, Unseen, Validated
from tests.dns.faulty import LOOPBACK, FaultyDns, Reply, Silence, serving
from tests.verify.internet import dns_server

NOW = 1_700_000_000.0
SHORT_S = 0.2

Table = Mapping[tuple[str, str], Reply]


def addresses(name: str) -> Question:
    """A question for A and AAAA."""
    return Question(Kind.ADDRESSES, name)


def mx(name: str) -> Question:
    """A question for MX."""
    return Question(Kind.MX, name)


def caa(name: str) -> Question:
    """A question for the CAA records that count."""
    return Question(Kind.CAA, name)


def txt(name: str) -> Question:
    """A question for TXT."""
    return Question(Kind.TXT, name)


async def answers(table: Table, *questions: Question) -> dict[Question, Sight[object]]:
    """What a server with this table makes us see."""
    async with serving(table) as (_, address):
        return await Lookups(address, lambda: NOW, SHORT_S).ask(questions, 5)


async def answer(table: Table, question: Question) -> Sight[object]:
    """What a server with this table makes us see of one question."""
    return (await answers(table, question))[question]


class Signed(FaultyDns):
    """Every answer is validated, as its resolver says."""

    def reply(self, wire: bytes, transport: str) -> dns.message.Message | None:
        """With AD."""
        answer = super().reply(wire, transport)
        if answer is not None:
            answer.flags |= dns.flags.AD
        return answer


async def test_mx_records_that_dnssec_validated_are_known_as_such() -> None:
    """`mx: dns` notes those that are not."""
    table: Table = {("a.test.", "MX"): ["10 mx.a.test."]}
    plain = await answer(table, mx("a.test"))
    assert type(plain) is Seen
    async with dns_server(Signed(table)) as address:
        signed = (await Lookups(address, lambda: NOW, SHORT_S).ask([mx("a.test")], 5))[mx("a.test")]
    assert signed == Validated(("mx.a.test",), NOW)
    assert isinstance(signed, Seen)


BOTH = {("a.test.", "A"): ["192.0.2.1", "192.0.2.2"], ("a.test.", "AAAA"): ["2001:db8::1"]}


@pytest.mark.parametrize(
    ("table", "question", "value"),
    [
        (BOTH, addresses("a.test"), Addresses(frozenset({"192.0.2.1", "192.0.2.2", "2001:db8::1"}))),
        # NXDOMAIN is an answer
        ({}, addresses("a.test"), Addresses(frozenset())),
        # a chain of aliases: its end is reported
        (
            {
                ("m.test.", "CNAME"): ["x.test."],
                ("x.test.", "CNAME"): ["A.test."],
                ("A.test.", "A"): ["192.0.2.1"],
            },
            addresses("m.test"),
            Addresses(frozenset({"192.0.2.1"}), "a.test"),
        ),
        # an alias that leads nowhere is still an alias
        ({("m.test.", "CNAME"): ["gone.test."]}, addresses("m.test"), Addresses(frozenset(), "gone.test")),
        # MX hosts by preference, in the form in which they are compared
        (
            {("d.test.", "MX"): ["20 B.test.", "10 mail.example.ORG.", "20 a.test."]},
            mx("d.test"),
            ("mail.example.org", "a.test", "b.test"),
        ),
        ({("d.test.", "MX"): []}, mx("d.test"), ()),
        # the strings of a TXT record are one text (RFC 8461 §3.1), an octet is a character; in a set order
        (
            {("_mta-sts.d.test.", "TXT"): ['"v=STSv1; " "id=1;"', '"\\233\\010 other"', '""']},
            txt("_mta-sts.d.test"),
            Txt(("", "v=STSv1; id=1;", "\xe9\n other")),
        ),
        # an alias is followed, and its end reported, whether or not a record is there
        (
            {("_mta-sts.d.test.", "CNAME"): ["_mta-sts.h.test."], ("_mta-sts.h.test.", "TXT"): ['"x"']},
            txt("_mta-sts.d.test"),
            Txt(("x",), "_mta-sts.h.test"),
        ),
        ({("_mta-sts.d.test.", "CNAME"): ["gone.test."]}, txt("_mta-sts.d.test"), Txt((), "gone.test")),
        ({}, txt("d.test"), Txt()),
        # a null MX (RFC 7505)
        ({("d.test.", "MX"): ["0 ."]}, mx("d.test"), ()),
        # CAA at the name itself, as it is written: parameters count (RFC 8657)
        (
            {("a.d.test.", "CAA"): ['0 issue " LetsEncrypt.org ; validationmethods=http-01"']},
            caa("a.d.test"),
            Caa("a.d.test", ("LetsEncrypt.org ; validationmethods=http-01",)),
        ),
        # only the name itself, where acme-mailcow looks
        ({("d.test.", "CAA"): ['0 issue "one.example"']}, Question(Kind.CAA_AT, "a.d.test"), Caa(None)),
        (
            {("d.test.", "CAA"): ['0 issue "one.example"', '128 future "x"']},
            Question(Kind.CAA_AT, "d.test"),
            Caa("d.test", ("one.example",)),
        ),
        # RFC 8659 §3: the first set on the way up counts, alone
        (
            {
                ("a.d.test.", "CAA"): [],
                ("d.test.", "CAA"): ['0 issue "one.example"', '0 issue "two.example"'],
                ("test.", "CAA"): ['0 issue "letsencrypt.org"'],
            },
            caa("a.d.test"),
            Caa("d.test", ("one.example", "two.example")),
        ),
        # a set without `issue` ends the way up, too, and restricts nothing
        (
            {("d.test.", "CAA"): ['0 iodef "mailto:a@d.test"'], ("test.", "CAA"): ['0 issue ";"']},
            caa("a.d.test"),
            Caa("d.test"),
        ),
        # nobody may issue
        ({("d.test.", "CAA"): ['0 issue ";"']}, caa("d.test"), Caa("d.test", (";",))),
        # for wildcards only
        ({("d.test.", "CAA"): ['0 issuewild ";"']}, caa("d.test"), Caa("d.test")),
        # RFC 8659 §4.1: a critical property that nobody knows
        ({("d.test.", "CAA"): ['128 future "x"', '0 issue "a.test"']}, caa("d.test"), Caa("d.test", ("",))),
        # the property is known, so critical changes nothing
        ({("d.test.", "CAA"): ['128 ISSUE "a.test"']}, caa("d.test"), Caa("d.test", ("a.test",))),
        ({}, caa("a.d.test"), Caa(None)),
    ],
)
async def test_answers_become_values(table: Table, question: Question, value: object) -> None:
    """What the DNS said is `Seen`, at the time of the clock."""
    assert await answer(table, question) == Seen(value, NOW)


@pytest.mark.parametrize(
    ("table", "question", "words"),
    [
        (
            {("a.test.", "A"): Rcode.SERVFAIL, ("a.test.", "AAAA"): []},
            addresses("a.test"),
            "A of a.test, the resolver answered SERVFAIL",
        ),
        # half an answer is not an answer
        (
            {("a.test.", "A"): ["192.0.2.1"], ("a.test.", "AAAA"): Rcode.SERVFAIL},
            addresses("a.test"),
            "AAAA of a.test",
        ),
        ({("d.test.", "MX"): Rcode.REFUSED}, mx("d.test"), "answered REFUSED"),
        (
            {("d.test.", "MX"): Silence.FOREVER},
            mx("d.test"),
            "MX of d.test, the resolver did not answer within 0.2 s",
        ),
        # what stands further up must not count while a name below it is unknown
        (
            {("a.d.test.", "CAA"): Rcode.SERVFAIL, ("d.test.", "CAA"): ['0 issue "letsencrypt.org"']},
            caa("a.d.test"),
            "CAA of a.d.test",
        ),
        ({}, mx("a..test"), "'a..test' cannot be asked"),
        ({}, mx("a" * 64 + ".test"), "cannot be asked"),
    ],
)
async def test_no_answer_is_unseen_with_its_reason(table: Table, question: Question, words: str) -> None:
    """What the DNS did not say is never taken for 'there is nothing'."""
    match await answer(table, question):
        case Unseen(reason, at):
            assert words in reason
            assert at == NOW
        case Seen(value):
            pytest.fail(f"seen: {value}")


async def test_truncated_answer_is_fetched_by_tcp() -> None:
    """An answer that does not fit into a datagram comes whole."""
    hosts = [f"10 a-rather-long-host-name-{number:03}.example.test." for number in range(60)]
    async with serving({("d.test.", "MX"): hosts}) as (server, address):
        found = await Lookups(address, lambda: NOW).ask([mx("d.test")], 5)
    match found[mx("d.test")]:
        case Seen(value):
            assert len(value) == len(hosts)
        case Unseen(reason):
            pytest.fail(reason)
    assert [transport for *_, transport in server.asked] == ["udp", "tcp"]


async def test_one_silent_name_does_not_hold_up_another() -> None:
    """At the deadline what is there is given, and the rest is unseen."""
    table: Table = {("a.test.", "MX"): ["10 mail.test."], ("b.test.", "MX"): Silence.FOREVER}
    async with serving(table) as (_, address):
        found = await Lookups(address, lambda: NOW).ask([mx("a.test"), mx("b.test")], SHORT_S)
    assert found[mx("a.test")] == Seen(("mail.test",), NOW)
    assert found[mx("b.test")] == Unseen("no answer from the DNS within 0.2 s", NOW)


async def test_nothing_is_left_running_after_the_deadline() -> None:
    """A query that was given up does not go on."""
    async with serving({("b.test.", "MX"): Silence.FOREVER}) as (_, address):
        await Lookups(address, lambda: NOW).ask([mx("b.test")], SHORT_S)
        # the server's own tasks have no connection open
        assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_cancelling_ends_all_questions() -> None:
    """A sidecar that ends leaves no question behind."""
    async with serving({("b.test.", "MX"): Silence.FOREVER}) as (server, address):
        task = asyncio.create_task(Lookups(address, lambda: NOW).ask([mx("b.test")], 60))
        await server.was_asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_shared_parents_are_asked_once() -> None:
    """Climbing from many names asks for their common parents only once."""
    names = [f"mta-sts.d{number}.test" for number in range(CONCURRENT * 3)]
    async with serving({("test.", "CAA"): ['0 issue "letsencrypt.org"']}) as (server, address):
        found = await Lookups(address, lambda: NOW).ask([caa(name) for name in names], 10)
    assert set(found.values()) == {Seen(Caa("test", ("letsencrypt.org",)), NOW)}
    assert sum(name == "test." for name, *_ in server.asked) == 1


async def test_no_search_list_is_tried() -> None:
    """A name is asked as it is: `mail.test` of the resolver's own domain would be another host."""
    async with serving({}) as (server, address):
        await Lookups(address, lambda: NOW).ask([mx("d")], 5)
    assert {name for name, *_ in server.asked} == {"d."}


async def test_questions_at_once_are_limited() -> None:
    """A thousand domains do not mean a thousand datagrams at the same moment."""
    table: Table = {(f"d{number}.test.", "MX"): Silence.FOREVER for number in range(CONCURRENT * 2)}
    async with serving(table) as (server, address):
        # Time enough for a busy machine to send them, and less than a silent one keeps its place.
        await Lookups(address, lambda: NOW).ask([mx(f"d{n}.test") for n in range(CONCURRENT * 2)], 2.5)
    assert len({name for name, *_ in server.asked}) == CONCURRENT


async def test_dead_resolver_is_unseen() -> None:
    """Nobody listens there."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind((LOOPBACK, 0))
        port = taken.getsockname()[1]
    found = await Lookups((LOOPBACK, port), lambda: NOW, SHORT_S).ask([mx("d.test")], 5)
    assert isinstance(found[mx("d.test")], Unseen)


async def test_strange_resolver_address_is_unseen() -> None:
    """A host name is not an address of a resolver; the reason says which setting it is."""
    found = await Lookups(("resolver.test", 53), lambda: NOW).ask([mx("d.test")], 5)
    match found[mx("d.test")]:
        case Unseen(reason):
            assert "MTA_STS_RESOLVER" in reason
        case Seen(value):
            pytest.fail(f"seen: {value}")


async def test_no_question_is_no_work() -> None:
    """Nothing asked, nothing answered."""
    assert await Lookups((LOOPBACK, 1), lambda: NOW).ask([], 5) == {}
