"""Answers that are too large to be decoded."""

import time
from unittest.mock import patch

from sidecar.dns import ask as lookup
from sidecar.dns.ask import Lookups
from sidecar.dns.bounded import LARGEST
from sidecar.observed import Kind, Question, Seen, Txt, Unseen
from tests.dns.faulty import serving
from tests.dns.prepared import SLOW, Prepared
from tests.verify.internet import dns_server
from tests.verify.steps import measured

LAG_S = 0.1

ASKED = Question(Kind.TXT, "example.test")


async def asked(size: int) -> object:
    """What is seen of a TXT record of this many octets, by TCP."""
    strings = " ".join(f'"{"x" * 250}"' for _ in range(size // 251))
    async with serving({("example.test.", "TXT"): [strings]}) as (server, resolver):
        found = (await Lookups(resolver, time.time).ask([ASKED], 10.0))[ASKED]
    assert [transport for _, _, transport in server.asked] == ["udp", "tcp"]
    return found


async def test_large_answer_is_seen_up_to_the_limit() -> None:
    """16 KB are more than any of the records asked for has."""
    found = await asked(LARGEST - 600)
    assert isinstance(found, Seen)
    assert isinstance(found.value, Txt)


async def test_larger_answer_is_unseen_and_not_decoded() -> None:
    """It says why."""
    found = await asked(LARGEST + 600)
    assert isinstance(found, Unseen)
    assert str(LARGEST) in found.reason


async def test_answer_is_decoded_outside_the_callers_loop() -> None:
    """A zone's owner may choose names that take dnspython long."""
    question = Question(Kind.MX, "example.test")
    server = Prepared({("example.test.", "MX"): []}, "example.test", SLOW)
    async with dns_server(server) as resolver:
        lookups = Lookups(resolver, time.time, patience_s=10)
        with measured() as steps:
            found = (await lookups.ask([question], 20))[question]
    assert isinstance(found, Seen)
    assert len(found.value) == len(SLOW)
    assert steps.longest_here < LAG_S


async def test_an_unforeseen_error_is_unseen() -> None:
    """Of this question alone."""
    other = Question(Kind.MX, "example.test")
    table = {("example.test.", "TXT"): ['"x"'], ("example.test.", "MX"): ["10 mx.test."]}
    async with serving(table) as (_, resolver):
        with patch.object(lookup.DnsClient, "mx", side_effect=LookupError("a bug of the tests")):
            found = await Lookups(resolver, time.time).ask([ASKED, other], 10.0)
    assert isinstance(found[ASKED], Seen)
    unseen = found[other]
    assert isinstance(unseen, Unseen)
    assert "LookupError" in unseen.reason
