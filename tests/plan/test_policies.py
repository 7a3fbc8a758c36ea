"""The native generation: what is written for a domain, and what is left alone."""

from dataclasses import replace

import pytest

from sidecar.mtasts import Mode
from sidecar.observed import Memory, PolicyMemory, Span, Write
from sidecar.plan.actions import AddPolicy, AdoptSame, EditPolicy, SwitchOff
from sidecar.settings import Settings
from tests.worlds import DAY, HOST, NOW, World, given_settings, look, plan, policy, text


def ours(served: str | None, *earlier: str | None, since: float = NOW - 30 * DAY) -> PolicyMemory:
    """A memory of a domain that had no policy before the sidecar wrote these, the last of which is served now."""
    writes = [*earlier, served]
    spans = [Span(None, since, since + 1)]
    for number, written in enumerate(writes):
        last = number == len(writes) - 1
        spans.append(Span(written, since + 1 + number, None if last else since + 2 + number))
    return PolicyMemory(tuple(Write(w, since + n, True) for n, w in enumerate(writes)), tuple(spans))


def remembering(memory: PolicyMemory, domain: str = "example.org") -> Memory:
    """A memory of one domain."""
    return Memory(policies={domain: memory})


def test_domain_without_policy_gets_one_in_testing_for_a_day() -> None:
    """The safe default: nothing is refused, and a change is noticed within a day."""
    assert [a.policy for a in plan(World()).actions if isinstance(a, AddPolicy)] == [
        policy(Mode.TESTING, 86_400)
    ]


def test_alias_domain_never_gets_a_row() -> None:
    """mailcow accepts a row for an alias domain, and serves it once the alias is gone: never write one."""
    actions = plan(World(aliases={"alias.example": "example.org"})).actions
    assert [a.domain for a in actions if isinstance(a, AddPolicy)] == ["example.org"]


@pytest.mark.parametrize("gone", ["domains", "mailcow", "conf", "served:example.org"])
def test_nothing_is_written_for_what_was_not_seen(gone: str) -> None:
    """An unseen part leaves every policy as it is."""
    world = World(
        unseen=frozenset({gone}), served={} if gone != "served:example.org" else {"example.org": text()}
    )
    assert plan(world).actions == ()


def test_own_policy_that_is_right_leaves_an_empty_plan() -> None:
    """Applying twice changes nothing."""
    world = World(
        served={"example.org": text()},
        memory=remembering(ours(text())),
        names=frozenset({HOST, "mta-sts.example.org"}),
    )
    found = plan(world)
    assert (found.actions, found.held, found.notices) == ((), (), ())


def test_foreign_policy_is_reported_and_left_alone() -> None:
    """A person's policy stays until it is handed over."""
    found = plan(World(served={"example.org": text(Mode.ENFORCE, 604_800)}))
    assert found.actions == ()
    assert [held.action.policy for held in found.held if isinstance(held.action, EditPolicy)] == [policy()]
    assert "sidecar adopt example.org" in str([n.todo for n in found.notices if n.code == "policy.foreign"])


def test_adopted_foreign_policy_is_changed() -> None:
    """`sidecar adopt DOMAIN` hands it over."""
    world = World(
        served={"example.org": text(Mode.ENFORCE, 604_800)}, memory=Memory(adopt=frozenset({"example.org"}))
    )
    assert [a.policy.mode for a in plan(world).actions if isinstance(a, EditPolicy)] == [Mode.TESTING]


def test_identical_foreign_policy_is_adopted_silently() -> None:
    """What already says the same needs no write and no word."""
    found = plan(World(served={"example.org": text()}, names=frozenset({HOST, "mta-sts.example.org"})))
    assert [type(a) for a in found.actions] == [AdoptSame]
    assert found.notices == ()


def test_person_who_changes_our_policy_wins() -> None:
    """What the sidecar wrote last is its own, anything else is a person's."""
    world = World(served={"example.org": text(Mode.NONE)}, memory=remembering(ours(text())))
    assert plan(world).actions == ()


def test_earlier_looser_text_of_ours_is_a_persons() -> None:
    """Who goes back from enforce to testing by hand wants it so."""
    enforce = text(Mode.ENFORCE, 604_800)
    world = World(served={"example.org": text()}, memory=remembering(ours(enforce, text())))
    assert plan(world, Settings(mode=Mode.ENFORCE)).actions == ()


def test_intent_of_unknown_outcome_is_ours() -> None:
    """Killed between the write and its note, the next pass goes on."""
    memory = replace(
        ours(text()), writes=(Write(text(), NOW - DAY, True), Write(text(Mode.ENFORCE, 604_800), NOW, None))
    )
    world = World(served={"example.org": text(Mode.ENFORCE, 604_800)}, memory=remembering(memory))
    assert [a.policy.mode for a in plan(world).actions if isinstance(a, EditPolicy)] == [Mode.TESTING]


def test_enforce_is_published_only_where_every_mx_is_covered() -> None:
    """An uncovered MX would be refused: testing, and a warning that names it."""
    settings = Settings(mode=Mode.ENFORCE)
    covered = plan(World(), settings)
    uncovered = plan(World(mx={"example.org": (HOST, "other.example.net")}), settings)
    assert [a.policy for a in covered.actions if isinstance(a, AddPolicy)] == [policy(Mode.ENFORCE, 604_800)]
    assert [a.policy.mode for a in uncovered.actions if isinstance(a, AddPolicy)] == [Mode.TESTING]
    assert any("other.example.net" in notice.message for notice in uncovered.notices)


def test_enforce_waits_for_the_dns() -> None:
    """An MX that could not be looked up is unknown, and unknown never makes a policy stricter."""
    found = plan(World(dns_unseen=frozenset({"example.org"})), Settings(mode=Mode.ENFORCE))
    assert [a.policy.mode for a in found.actions if isinstance(a, AddPolicy)] == [Mode.TESTING]


def test_enforced_domain_with_an_uncovered_mx_stays_with_an_error() -> None:
    """It is not lowered here; the error names the MX."""
    enforce = text(Mode.ENFORCE, 604_800)
    world = World(
        served={"example.org": enforce},
        memory=remembering(ours(enforce)),
        mx={"example.org": ("new.example.net",)},
    )
    found = plan(world, Settings(mode=Mode.ENFORCE))
    assert not [a for a in found.actions if isinstance(a, EditPolicy)]
    assert [n.level for n in found.notices if n.code == "mx.uncovered"] == ["error"]


def test_uncovered_mx_is_enforced_where_the_domains_own_settings_say_so() -> None:
    """`allow_uncovered` is the administrator's word for that domain."""
    settings = given_settings({"domains": {"example.org": {"mode": "enforce", "allow_uncovered": True}}})
    found = plan(World(mx={"example.org": ("new.example.net",)}), settings)
    assert [a.policy.mode for a in found.actions if isinstance(a, AddPolicy)] == [Mode.ENFORCE]


def test_mx_pattern_served_in_enforce_is_dropped_only_after_the_longest_max_age() -> None:
    """A moved host: both patterns are served until no sender can need the old one."""
    enforce = text(Mode.ENFORCE, 604_800, "old.example.org")
    settings = Settings(mode=Mode.ENFORCE)
    world = World(served={"example.org": enforce}, memory=remembering(ours(enforce)))
    world, first = look(world, settings)
    assert [a.policy.mx for a in first.actions if isinstance(a, EditPolicy)] == [(HOST, "old.example.org")]
    _, later = look(replace(world, now=NOW + 7 * DAY - 1), settings)
    assert [a.policy.mx for a in later.actions if isinstance(a, EditPolicy)] == [(HOST, "old.example.org")]
    _, after = look(replace(world, now=NOW + 7 * DAY + 1), settings)
    assert [a.policy.mx for a in after.actions if isinstance(a, EditPolicy)] == [(HOST,)]


@pytest.mark.parametrize("why", ["inactive", "backup"])
def test_enforced_domain_that_leaves_is_served_none_first(why: str) -> None:
    """Senders apply what they cached: none until every max_age ran out, then off (RFC 8461 §8.3)."""
    enforce = text(Mode.ENFORCE, 604_800)
    leaving = {why: frozenset({"example.org"})}
    world = World(served={"example.org": enforce}, memory=remembering(ours(enforce)), **leaving)  # type: ignore[arg-type]
    first = plan(world, Settings(mode=Mode.ENFORCE))
    assert [a.policy for a in first.actions if isinstance(a, EditPolicy)] == [policy(Mode.NONE, 86_400)]


def test_none_is_switched_off_once_every_max_age_ran_out() -> None:
    """Seven days after enforce was last served nobody can hold it."""
    enforce, none = text(Mode.ENFORCE, 604_800), text(Mode.NONE)
    memory = PolicyMemory(
        (Write(enforce, NOW - 20 * DAY, True), Write(none, NOW - 7 * DAY, True)),
        (
            Span(None, NOW - 30 * DAY, NOW - 20 * DAY),
            Span(enforce, NOW - 20 * DAY, NOW - 7 * DAY),
            Span(none, NOW - 7 * DAY, None),
        ),
    )
    world = World(
        served={"example.org": none}, memory=remembering(memory), inactive=frozenset({"example.org"})
    )
    assert plan(replace(world, now=NOW - 1)).actions == ()
    assert [type(a) for a in plan(replace(world, now=NOW + 1)).actions] == [SwitchOff]


def test_domain_only_ever_in_testing_may_go_at_once() -> None:
    """Nobody refuses mail for a policy in testing."""
    world = World(
        served={"example.org": text()}, memory=remembering(ours(text())), inactive=frozenset({"example.org"})
    )
    assert [type(a) for a in plan(world).actions] == [SwitchOff]


def test_without_history_a_leaving_domain_is_served_none_first() -> None:
    """A lost state costs a longer wait, never a wrong write."""
    adopted = Settings(adopt=True)
    world = World(served={"example.org": text()}, inactive=frozenset({"example.org"}))
    assert [a.policy.mode for a in plan(world, adopted).actions if isinstance(a, EditPolicy)] == [Mode.NONE]


def test_row_that_a_person_switched_off_stays_off() -> None:
    """The API said that there is a row although nothing is served."""
    memory = replace(ours(None, text()), refused="a policy that is switched off")
    found = plan(World(memory=remembering(memory)))
    assert found.actions == ()
    assert any(n.code == "policy.foreign" for n in found.notices)


def test_row_that_the_sidecar_switched_off_is_switched_on_by_an_edit() -> None:
    """The row is still there: to add it would fail."""
    found = plan(World(memory=remembering(ours(None, text()))))
    assert [type(a) for a in found.actions] == [EditPolicy]


def test_excluded_domain_is_left_as_it_is() -> None:
    """Hands off: neither written nor judged."""
    settings = given_settings({"exclude": ["example.org"]})
    found = plan(World(served={"example.org": text(Mode.ENFORCE, 604_800)}), settings)
    assert (found.actions, found.held, found.notices) == ((), (), ())


def test_deleted_domain_is_told_what_senders_will_do_and_until_when() -> None:
    """The row went with the domain; the cached policy did not."""
    enforce = text(Mode.ENFORCE, 604_800)
    world = World(domains=("example.net",), memory=remembering(ours(enforce)))
    gone = [n for n in plan(world).notices if n.code == "domain.gone"]
    assert len(gone) == 1
    assert "2027-01-22" in gone[0].message


def test_dry_run_holds_everything() -> None:
    """`dry_run` says, and does not."""
    found = plan(World(), Settings(dry_run=True))
    assert found.actions == ()
    assert {held.reason for held in found.held} == {"dry run"}


def test_policy_that_would_bring_the_101st_name_is_held() -> None:
    """All names go into one request: one more breaks every renewal, too."""
    domains = tuple(f"d{n:02}.example" for n in range(34))
    found = plan(World(domains=domains))
    held = [h for h in found.held if isinstance(h.action, AddPolicy)]
    assert len([a for a in found.actions if isinstance(a, AddPolicy)]) == 100 - 1 - 2 * 34
    assert all("ENABLE_SSL_SNI=y" in h.reason for h in held)
    assert (
        len(
            [
                a
                for a in plan(World(domains=domains, conf={"ENABLE_SSL_SNI": "y"})).actions
                if isinstance(a, AddPolicy)
            ]
        )
        == 34
    )
