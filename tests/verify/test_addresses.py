"""A host is all its addresses: each is probed, and one that fails keeps a domain from enforce."""

import time
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.observed.checks import ConditionType, Status
from sidecar.rollout.evidence import conditions_of
from sidecar.verify.probes import connect
from sidecar.verify.probes.connect import MOST_ADDRESSES, TRIES, chosen
from sidecar.verify.run import Wanted, check_many
from tests.dns.faulty import LOOPBACK
from tests.verify.cases import CASES
from tests.verify.internet import SECOND, World, closed_port, internet, seen_in
from tests.verify.test_check import found

SERVED, AUTHENTICATED = ConditionType.POLICY_SERVED, ConditionType.MX_AUTHENTICATED


async def statuses(world: World) -> tuple[Status, Status]:
    """Whether the policy is served, and whether the MX hosts are authenticated."""
    judged = conditions_of(await found(world))
    return judged[SERVED].status, judged[AUTHENTICATED].status


async def test_two_good_addresses_are_good() -> None:
    """The same as one."""
    world = World()
    world.at_second()
    assert await statuses(world) == (Status.TRUE, Status.TRUE)


@pytest.mark.parametrize(
    ("name", "served", "authenticated"),
    [
        ("mx-no-starttls-at-one-address", Status.TRUE, Status.FALSE),
        ("mx-cert-name-at-one-address", Status.TRUE, Status.FALSE),
        ("mx-refused-at-one-address", Status.TRUE, Status.UNKNOWN),
        ("mx-unasked-addresses", Status.TRUE, Status.UNKNOWN),
        ("mx-host-unknown-one-family", Status.TRUE, Status.UNKNOWN),
        ("policy-host-unknown-one-family", Status.UNKNOWN, Status.TRUE),
        ("mx-no-route", Status.UNKNOWN, Status.UNKNOWN),
        ("policy-status-at-one-address", Status.FALSE, Status.TRUE),
        ("policy-cert-name-at-one-address", Status.FALSE, Status.TRUE),
        ("policy-addresses-differ", Status.FALSE, Status.TRUE),
        ("mx-inside", Status.UNKNOWN, Status.UNKNOWN),
        ("policy-inside", Status.UNKNOWN, Status.UNKNOWN),
    ],
)
async def test_one_address_that_is_not_good_keeps_a_domain_from_enforce(
    name: str, served: Status, authenticated: Status
) -> None:
    """A failure is false; what was not seen from outside is unknown, and neither is true."""
    (case,) = [case for case in CASES if str(case) == name]
    world = World()
    case.change(world)
    assert await statuses(world) == (served, authenticated)


async def test_the_second_policy_counts_where_the_first_address_fails() -> None:
    """What senders may get is known, and so is the address where they do not get it."""
    world = World(status="404 Not Found")
    world.at_second(status="200 OK")
    checked = await seen_in(world)
    assert checked.policy is not None
    (failed,) = [finding for finding in checked.findings if finding.code == "policy-status"]
    assert LOOPBACK in failed.message
    assert SECOND not in failed.message


async def test_the_strictest_policy_decides_how_bad_an_mx_is() -> None:
    """A sender may hold the one with enforce, whichever address was asked first."""
    world = World(mode="testing", mx="other.example.test")
    world.at_second(mode="enforce")
    (uncovered,) = [f for f in (await seen_in(world)).findings if f.code == "mx-uncovered"]
    assert uncovered.severity == "critical"


async def test_a_closed_address_is_not_waited_for_by_each_domain() -> None:
    """After a few tries it is known for this run, and every domain has its finding."""
    names = [f"d{number}.test" for number in range(30)]
    world = World()
    for name in names:
        world.dns[f"mta-sts.{name}.", "A"] = [LOOPBACK]
    tried: list[str] = []
    real = connect._connect

    async def counting(address: str, port: int, timeout_s: float) -> object:
        tried.append(address)
        return await real(address, port, timeout_s)

    world.probing = {"https_port": closed_port(), "per_host": 1}
    async with internet(world) as probing:
        with patch.object(connect, "_connect", counting):
            results = await check_many([Wanted(name) for name in names], probing, time.time)
    assert len(tried) == TRIES
    assert all(result.has("policy-refused") for result in results)


@given(st.lists(st.integers(1, 200), unique=True, max_size=20), st.integers(0, 20))
def test_both_families_get_a_share(numbers: list[int], six: int) -> None:
    """Of many addresses eight are probed, half of each family where there are enough."""
    addresses = [f"2001:db8::{n}" if place < six else f"192.0.2.{n}" for place, n in enumerate(numbers)]
    tried = chosen(addresses)
    assert len(tried) == len(set(tried)) == min(MOST_ADDRESSES, len(addresses))
    assert set(tried) <= set(addresses)
    for family in (True, False):
        there = sum((":" in address) is family for address in addresses)
        used = sum((":" in address) is family for address in tried)
        assert used >= min(there, MOST_ADDRESSES // 2)
