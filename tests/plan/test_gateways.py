"""A gateway or a backup MX in front of mailcow: reported in testing too, and `mx: dns` follows the MX records."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
import yaml

from sidecar.formats.mtasts_policy import Mode, Policy, policy_of
from sidecar.mailcow.api import check_policy
from sidecar.observed import Mailcow, Memory, Observed, PolicyMemory, Seen, Sight, Unseen, Validated, Write
from sidecar.observed.notice import Level, Notice
from sidecar.plan import decide
from sidecar.plan.actions import AddPolicy, EditPolicy, Plan, WriteFile
from sidecar.plan.native import text_of
from sidecar.settings import Settings
from tests.worlds import (
    FILE_MAILCOW,
    HOST,
    NATIVE,
    NOW,
    World,
    advance,
    given_settings,
    look,
    observed,
    plan,
    span,
    text,
)

GATEWAY = "gw.filter.example"
MX = {"example.org": (HOST, GATEWAY)}
DNS = given_settings({"mx": "dns"})


def reported(found: Plan, code: str) -> list[Notice]:
    """The notices of this code."""
    return [notice for notice in found.notices if notice.code == code]


def published(found: Plan) -> Policy | None:
    """The policy that the plan writes."""
    for action in found.actions:
        match action:
            case AddPolicy() | EditPolicy():
                return policy_of(text_of(action))
            case WriteFile(text=written):
                return policy_of(written)
            case _:
                pass
    return None


def policy_in(found: Plan) -> Policy:
    """The policy that the plan writes; it has to write one."""
    policy = published(found)
    assert policy is not None
    return policy


def with_mx(world: World, answers: Mapping[str, Sight[tuple[str, ...]]], settings: Settings = DNS) -> Plan:
    """The plan for a world whose MX records are these."""
    seen: Observed = observed(world)
    return decide(replace(seen, dns=replace(seen.dns, mx={**seen.dns.mx, **answers})), settings)


def serving(served: str) -> World:
    """A world in which this text is served, and is ours."""
    ours = PolicyMemory((Write(served, NOW - 10, True),), (span(served, NOW - 10, None),))
    return World(served={"example.org": served}, memory=Memory(policies={"example.org": ours}))


@pytest.mark.parametrize("mailcow", [NATIVE, FILE_MAILCOW])
def test_gateway_is_reported_by_name_in_testing(mailcow: Mailcow) -> None:
    """At once, with the line for config.yml; that line is what it takes."""
    world = World(mailcow=mailcow, mx=MX)
    (notice,) = reported(plan(world), "mx.uncovered")
    assert notice.level is Level.WARNING
    assert GATEWAY in notice.message
    assert notice.todo is not None
    line = notice.todo.partition("config.yml: ")[2].partition(", or `mx: dns`")[0]
    settings = given_settings(yaml.safe_load(line))
    assert settings.for_domain("example.org").mx == (HOST, GATEWAY)
    assert reported(plan(world, settings), "mx.uncovered") == []


def test_nothing_is_reported_of_what_is_covered_unknown_or_allowed() -> None:
    """Nor of a policy in `none`."""
    assert reported(plan(World()), "mx.uncovered") == []
    assert reported(plan(World(mx=MX), given_settings({"mode": "none"})), "mx.uncovered") == []
    allowed = given_settings({"domains": {"example.org": {"allow_uncovered": True}}})
    assert reported(plan(World(mx=MX), allowed), "mx.uncovered") == []
    unknown = with_mx(World(), {"example.org": Unseen("SERVFAIL", NOW)}, Settings())
    assert reported(unknown, "mx.uncovered") == []
    assert reported(with_mx(World(), {"example.org": Seen((), NOW)}, Settings()), "mx.uncovered") == []


@pytest.mark.parametrize("mailcow", [NATIVE, FILE_MAILCOW])
def test_mx_from_the_dns_is_what_the_records_say(mailcow: Mailcow) -> None:
    """And nothing is left uncovered."""
    found = plan(World(mailcow=mailcow, mx=MX), DNS)
    policy = policy_in(found)
    assert policy.mx == (HOST, GATEWAY)
    assert reported(found, "mx.uncovered") == []


def test_alias_domain_counts_with_its_target() -> None:
    """Its mail must be delivered by the same policy."""
    world = World(aliases={"alias.example": "example.org"}, mx={**MX, "alias.example": ("mx.alias.example",)})
    policy = policy_in(plan(world, DNS))
    assert set(policy.mx) == {HOST, GATEWAY, "mx.alias.example"}


def test_one_domain_follows_the_dns_and_others_do_not() -> None:
    """As its own setting."""
    settings = given_settings({"domains": {"example.org": {"mx": "dns"}}})
    assert settings.for_domain("example.org").mx_from_dns
    assert not settings.for_domain("example.net").mx_from_dns
    back = given_settings({"mx": "dns", "domains": {"example.org": {"mx": [HOST]}}})
    assert not back.for_domain("example.org").mx_from_dns
    assert back.for_domain("example.org").mx == (HOST,)


@pytest.mark.parametrize("records", [(), ("under_score.example",)])
def test_without_a_record_that_can_be_a_pattern_it_is_mailcows_host(records: tuple[str, ...]) -> None:
    """A policy needs one."""
    policy = policy_in(with_mx(World(), {"example.org": Seen(records, NOW)}))
    assert policy.mx == (HOST,)


def test_a_flood_of_records_is_bounded() -> None:
    """A customer's zone says what it likes."""
    many = tuple(f"mx{n}.example" for n in range(1_000))
    policy = policy_in(with_mx(World(), {"example.org": Seen(many, NOW)}))
    assert len(policy.mx) == 20


def test_while_the_dns_is_silent_what_is_served_stays() -> None:
    """Neither narrower nor wider."""
    served = text(Mode.TESTING, 86_400, HOST, GATEWAY)
    world = serving(served)
    assert published(with_mx(world, {"example.org": Unseen("SERVFAIL", NOW)})) is None
    after = published(with_mx(world, {"example.org": Seen((HOST,), NOW)}))
    assert after == Policy(Mode.TESTING, 86_400, (HOST,))


def test_in_enforce_a_new_host_is_added_at_once_and_an_old_one_is_kept() -> None:
    """Senders hold the old policy: it is dropped by the rule for every pattern that no MX matches."""
    served = text(Mode.ENFORCE, 604_800, HOST)
    world = serving(served)
    settings = given_settings({"mx": "dns", "mode": "enforce"})
    policy = published(with_mx(world, {"example.org": Validated((GATEWAY,), NOW)}, settings))
    assert policy == Policy(Mode.ENFORCE, 604_800, (GATEWAY, HOST))


def test_records_that_dnssec_does_not_protect_are_noted() -> None:
    """As long as a host of theirs is in the policy; mailcow's own host is no news."""
    (notice,) = reported(with_mx(World(), {"example.org": Seen((HOST, GATEWAY), NOW)}), "mx.unvalidated")
    assert notice.level is Level.INFO
    assert GATEWAY in notice.message
    assert f"{{example.org: {{mx: [{HOST}, {GATEWAY}]}}}}" in (notice.todo or "")
    assert (
        reported(with_mx(World(), {"example.org": Validated((HOST, GATEWAY), NOW)}), "mx.unvalidated") == []
    )
    assert reported(with_mx(World(), {"example.org": Seen((HOST,), NOW)}), "mx.unvalidated") == []
    assert (
        reported(with_mx(World(), {"example.org": Seen((GATEWAY,), NOW)}, Settings()), "mx.unvalidated") == []
    )


def test_passes_come_to_rest() -> None:
    """The policy that follows the DNS is not written twice."""
    world = World(mx=MX)
    for _ in range(3):
        seen, found = look(world, DNS)
        world = advance(seen, found.actions)
    assert published(plan(world, DNS)) is None


@pytest.mark.parametrize("wildcard", ["*.example", f"*.{HOST.partition('.')[2]}"])
def test_wildcard_as_the_host_of_an_mx_record_is_never_a_pattern(wildcard: str) -> None:
    """One forged answer would name every host of a domain; where a real MX matches it, it would stay there."""
    answers: dict[str, Sight[tuple[str, ...]]] = {"example.org": Seen((HOST, wildcard), NOW)}
    policy = policy_in(with_mx(World(), answers))
    assert policy.mx == (HOST,)
    for notice in reported(with_mx(World(), answers, Settings()), "mx.uncovered"):
        assert f"'{wildcard}'" not in (notice.todo or "")


def test_more_mx_hosts_than_mailcow_keeps_do_not_make_the_policy_unwritable() -> None:
    """The preferred ones are in it; it stays in testing, and can be set back to it."""
    hosts = (HOST, *(f"mx{number}.a-rather-long-name.gateway.example" for number in range(12)))
    answers: dict[str, Sight[tuple[str, ...]]] = {"example.org": Seen(hosts, NOW)}
    found = with_mx(World(), answers, given_settings({"mx": "dns", "mode": "enforce"}))
    policy = policy_in(found)
    assert policy.mode is Mode.TESTING
    assert policy.mx == hosts[: len(policy.mx)]
    assert len(",".join(policy.mx)) <= 255 < len(",".join(hosts[: len(policy.mx) + 1]))
    assert check_policy(policy, NATIVE) is None
    assert reported(found, "mx.uncovered")
    written = policy_in(with_mx(World(mailcow=FILE_MAILCOW), answers))
    assert written.mx == hosts
