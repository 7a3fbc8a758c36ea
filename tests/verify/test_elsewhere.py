"""Another server's policy, fetched as a sender does: real TLS, kept through an outage, and never guessed."""

from collections.abc import Mapping

import pytest

from sidecar.formats.mtasts_policy import Mode, Policy
from sidecar.observed import Seen, Sight, Unseen
from sidecar.verify.elsewhere import FRESH_S, Elsewhere
from sidecar.verify.run import Probing
from tests.verify.certificates import Kind
from tests.verify.internet import DOMAIN, MX_HOST, World, internet
from tests.web.fakes import FakeClock

POLICY = Policy(Mode.ENFORCE, 604_800, (MX_HOST,))


async def known(elsewhere: Elsewhere, probing: Probing) -> Sight[Policy | None]:
    """What a command that waits learns."""
    found: Mapping[str, Sight[Policy | None]] = await elsewhere.sight([DOMAIN], probing, patient=True)
    return found[DOMAIN]


async def test_valid_policy_is_seen_and_kept_through_an_outage() -> None:
    """An hour of trouble at the provider is not a reason to publish another policy; after its max_age it is."""
    clock, world = FakeClock(), World()
    elsewhere = Elsewhere(clock)
    async with internet(world) as probing:
        assert await known(elsewhere, probing) == Seen(POLICY, clock.at)
        world.status = "503 Service Unavailable"
        clock.at += FRESH_S
        found = await known(elsewhere, probing)
        assert isinstance(found, Seen)
        assert found.value == POLICY
        clock.at += POLICY.max_age
        assert isinstance(await known(elsewhere, probing), Unseen)
        await elsewhere.close()


async def test_a_pass_does_not_wait() -> None:
    """Until the check is over the policy is unknown."""
    elsewhere = Elsewhere(FakeClock())
    async with internet(World()) as probing:
        found = await elsewhere.sight([DOMAIN], probing, patient=False)
        assert isinstance(found[DOMAIN], Unseen)
        assert await known(elsewhere, probing) == Seen(POLICY, FakeClock().at)
        assert await elsewhere.sight([], probing, patient=False) == {}
        await elsewhere.close()


@pytest.mark.parametrize("announced", [True, False])
async def test_what_is_not_served_counts_only_where_nothing_announces_it(announced: bool) -> None:
    """A web site of the domain's, with or without a record that promises a policy."""
    world = World(status="404 Not Found")
    if not announced:
        world.without("_mta-sts.")
    async with internet(world) as probing:
        elsewhere = Elsewhere(FakeClock())
        found = await known(elsewhere, probing)
        await elsewhere.close()
    assert isinstance(found, Unseen) if announced else found == Seen(None, FakeClock().at)


async def test_certificate_that_senders_refuse_is_no_policy() -> None:
    """As any other failure of the fetch."""
    world = World(web_tls=Kind.EXPIRED)
    world.without("_mta-sts.")
    async with internet(world) as probing:
        elsewhere = Elsewhere(FakeClock())
        assert await known(elsewhere, probing) == Seen(None, FakeClock().at)
        await elsewhere.close()
