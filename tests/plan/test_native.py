"""The native generation: what is written for a domain, and what is left alone."""

from dataclasses import replace

import pytest

from sidecar.formats.mtasts_policy import Mode
from sidecar.observed import FILE, Mailcow, Memory, PolicyMemory, Unseen, Write
from sidecar.observed.checks import ConditionType, Judgement, Rollout, Status
from sidecar.plan import blind_spots
from sidecar.plan.actions import AddPolicy, AdoptSame, EditPolicy, SwitchOff, WriteFile
from sidecar.plan.desired_policies.native import native_policies
from sidecar.rollout import checked
from sidecar.settings import Settings
from tests.worlds import (
    DAY,
    FILE_MAILCOW,
    HOST,
    NATIVE,
    NOW,
    OLD_NATIVE,
    World,
    advance,
    given_settings,
    look,
    observed,
    plan,
    policy,
    span,
    text,
)


def ours(served: str | None, *earlier: str | None, since: float = NOW - 30 * DAY) -> PolicyMemory:
    """A memory of a domain that had no policy before the sidecar wrote these, the last of which is served now."""
    writes = [*earlier, served]
    spans = [span(None, since, since + 1)]
    for number, written in enumerate(writes):
        last = number == len(writes) - 1
        spans.append(span(written, since + 1 + number, None if last else since + 2 + number))
    return PolicyMemory(tuple(Write(w, since + 1 + n, True) for n, w in enumerate(writes)), tuple(spans))


def remembering(memory: PolicyMemory, domain: str = "example.org") -> Memory:
    """A memory of one domain."""
    return Memory(policies={domain: memory})


def test_domain_without_policy_gets_one_in_testing_for_a_day() -> None:
    """The safe default: nothing is refused, and a change is noticed within a day."""
    added = [a.policy for a in plan(World()).actions if isinstance(a, AddPolicy)]
    assert added == [policy(Mode.TESTING, 86_400)]


def test_alias_domain_never_gets_a_row() -> None:
    """mailcow accepts a row for an alias domain, and serves it once the alias is gone: never write one."""
    actions = plan(World(aliases={"alias.example": "example.org"})).actions
    assert [a.domain for a in actions if isinstance(a, AddPolicy)] == ["example.org"]


@pytest.mark.parametrize("gone", ["domains", "mailcow", "conf", "served:example.org"])
def test_nothing_is_written_for_what_was_not_seen(gone: str) -> None:
    """An unseen part leaves every policy as it is."""
    served = {} if gone != "served:example.org" else {"example.org": text()}
    world = World(unseen=frozenset({gone}), served=served)
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
    """A person's policy stays until it is adopted."""
    found = plan(World(served={"example.org": text(Mode.ENFORCE, 604_800)}))
    assert found.actions == ()
    assert [held.action.policy for held in found.held if isinstance(held.action, EditPolicy)] == [policy()]
    assert "sidecar adopt example.org" in str([n.todo for n in found.notices if n.code == "policy.foreign"])


def test_adopted_foreign_policy_is_changed() -> None:
    """As `sidecar adopt DOMAIN` asks."""
    world = World(
        served={"example.org": text(Mode.ENFORCE, 604_800)}, memory=Memory(adopt=frozenset({"example.org"}))
    )
    assert [a.policy.mode for a in plan(world).actions if isinstance(a, EditPolicy)] == [Mode.TESTING]


@pytest.mark.parametrize(
    ("served", "memory", "words"),
    [
        (
            text(Mode.TESTING, 3_600),
            remembering(ours(text(Mode.TESTING, 3_600))),
            "; max_age 3600 becomes 86400",
        ),
        (text(Mode.ENFORCE), Memory(adopt=frozenset({"example.org"})), "; mode enforce becomes testing"),
        ("nonsense", Memory(adopt=frozenset({"example.org"})), "; served: a text that is not a policy"),
        (text(Mode.ENFORCE), Memory(), ""),
    ],
    ids=["our own", "adopted", "adopted, not a policy", "a person's: the hold says what differs"],
)
def test_reason_of_an_edit_says_what_changes(served: str, memory: Memory, words: str) -> None:
    """In the plan and in the history."""
    found = plan(World(served={"example.org": served}, memory=memory))
    edits = [a for a in (*found.actions, *(h.action for h in found.held)) if isinstance(a, EditPolicy)]
    assert [action.reason.partition(";")[1:] for action in edits] == [(";", words[1:]) if words else ("", "")]


def test_domain_that_is_retired_and_served_nothing_is_left_as_it_is() -> None:
    """There is nothing to switch off."""
    found = plan(World(memory=Memory(retired=frozenset({"example.org"}))))
    assert (found.actions, [h for h in found.held if isinstance(h.action, SwitchOff)]) == ((), [])


def test_identical_foreign_policy_is_adopted_silently() -> None:
    """What already says the same needs no write and no word."""
    found = plan(World(served={"example.org": text()}, names=frozenset({HOST, "mta-sts.example.org"})))
    assert [(a.key, a.text) for a in found.actions if isinstance(a, AdoptSame)] == [("example.org", text())]
    assert (len(found.actions), found.notices) == (1, ())


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


def test_leaving_domain_gets_no_policy_with_an_empty_mx_while_the_hosts_name_is_unseen() -> None:
    """What is served names no mx, and mailcow.conf was not read: nothing is known to write."""
    odd = "version: STSv1\nmode: none\nmax_age: 86400\n"
    world = World(
        served={"example.org": odd},
        memory=remembering(ours(text(Mode.ENFORCE), odd, since=NOW - DAY)),
        inactive=frozenset({"example.org"}),
    )
    seen = native_policies(observed(world), Settings(), world.listed())
    assert [w.policy and w.policy.mx for w in seen.values()] == [(HOST,)]
    unseen = replace(observed(world), conf=Unseen("gone", NOW))
    assert native_policies(unseen, Settings(), world.listed()) == {}


def test_none_is_switched_off_once_every_max_age_ran_out() -> None:
    """Seven days after enforce was last served nobody can hold it."""
    enforce, none = text(Mode.ENFORCE, 604_800), text(Mode.NONE)
    memory = PolicyMemory(
        (Write(enforce, NOW - 20 * DAY, True), Write(none, NOW - 7 * DAY, True)),
        (
            span(None, NOW - 30 * DAY, NOW - 20 * DAY),
            span(enforce, NOW - 20 * DAY, NOW - 7 * DAY),
            span(none, NOW - 7 * DAY, None),
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
    assert "a person's policy: a policy that is switched off" in [h.reason for h in found.held]


@pytest.mark.parametrize(
    ("served", "reported"),
    [
        ("nonsense", "a person's policy: a text that is not a policy"),
        (text(Mode.NONE), "a person's policy: mode none instead of testing"),
    ],
)
def test_policy_of_a_person_is_left_alone_with_a_reason(served: str, reported: str) -> None:
    """Whether it is a policy or not."""
    found = plan(World(served={"example.org": served}))
    assert found.actions == ()
    assert reported in [h.reason for h in found.held]


def test_row_that_the_sidecar_switched_off_is_switched_on_by_an_edit() -> None:
    """The row is still there: to add it would fail."""
    found = plan(World(memory=remembering(ours(None, text()))))
    assert [type(a) for a in found.actions] == [EditPolicy]


@pytest.mark.parametrize("theirs", [text(Mode.NONE, 172_800), text()], ids=["their text", "our text"])
def test_row_that_a_person_switched_on_and_off_again_is_added_to_so_that_mailcow_refuses_it(
    theirs: str,
) -> None:
    """The sidecar had switched it off, and a person took it from there: an edit would switch on what they switched off."""
    memory = ours(None, text())
    spans = (
        *memory.spans[:-1],
        span(None, NOW - 20 * DAY, NOW - 10 * DAY),
        span(theirs, NOW - 10 * DAY, NOW - 5 * DAY),
        span(None, NOW - 5 * DAY, None),
    )
    found = plan(World(memory=remembering(replace(memory, spans=spans))))
    assert [type(a) for a in found.actions] == [AddPolicy]


def test_row_that_was_switched_off_longer_ago_than_texts_are_kept_is_still_ours() -> None:
    """Only the write is remembered."""
    memory = replace(ours(None, text()), spans=(span(None, NOW - 500 * DAY, None),))
    assert [type(a) for a in plan(World(memory=remembering(memory))).actions] == [EditPolicy]


@pytest.mark.parametrize(("last", "kind"), [(text(), EditPolicy), (text(Mode.NONE, 172_800), AddPolicy)])
def test_switching_off_that_was_cut_off_counts_where_our_text_was_the_last(last: str, kind: type) -> None:
    """Killed before the outcome was known: nothing is served, and only the text before tells who did it."""
    memory = PolicyMemory(
        (Write(text(), NOW - 30 * DAY, True), Write(None, NOW - DAY, None)),
        (span(None, NOW - 31 * DAY, NOW - 30 * DAY), span(last, NOW - 30 * DAY, NOW), span(None, NOW, None)),
    )
    assert [type(a) for a in plan(World(memory=remembering(memory))).actions] == [kind]


def test_policy_of_a_person_is_not_switched_off_unless_it_is_adopted() -> None:
    """However long ago the last enforce was: only its author removes it, or allows the sidecar to."""
    none = text(Mode.NONE, 86_400)
    world = World(
        served={"example.org": none},
        memory=remembering(
            PolicyMemory(spans=(span(None, NOW - 40 * DAY, NOW - 30 * DAY), span(none, NOW - 30 * DAY, None)))
        ),
        inactive=frozenset({"example.org"}),
    )
    found = plan(world)
    assert found.actions == ()
    assert [type(h.action) for h in found.held] == [SwitchOff]
    assert [n.code for n in found.notices if n.subject == "example.org"] == ["policy.foreign"]
    adopted = replace(world, memory=replace(world.memory, adopt=frozenset({"example.org"})))
    assert [type(a) for a in plan(adopted).actions] == [SwitchOff]


def test_excluded_domain_is_left_as_it_is() -> None:
    """Hands off: neither written nor judged."""
    settings = given_settings({"exclude": ["example.org"]})
    found = plan(World(served={"example.org": text(Mode.ENFORCE, 604_800)}), settings)
    assert (found.actions, found.held, found.notices) == ((), (), ())


def test_policy_that_was_adopted_is_ours_though_it_stays_as_it_is() -> None:
    """It has a pattern that is not in the settings and may not be dropped yet."""
    both = text(Mode.ENFORCE, 604_800, HOST, "old.example.org")
    world = World(
        served={"example.org": both},
        mx={"example.org": (HOST, "old.example.org")},
        memory=replace(
            remembering(PolicyMemory(spans=(span(both, NOW - DAY, None),))), adopt=frozenset({"example.org"})
        ),
    )
    found = plan(world, Settings(mode=Mode.ENFORCE))
    assert [(a.key, a.text) for a in found.actions if isinstance(a, AdoptSame)] == [("example.org", both)]


def test_deleted_domain_that_was_only_in_testing_is_not_reported() -> None:
    """Nobody refuses mail for it."""
    world = World(domains=("example.net",), memory=remembering(ours(text())))
    assert [n for n in plan(world).notices if n.code == "domain.gone"] == []


def test_deleted_domain_is_reported_with_what_senders_do_and_until_when() -> None:
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
    assert found.held
    assert {held.reason for held in found.held} == {"dry run"}


def test_mx_pattern_is_not_dropped_by_way_of_testing() -> None:
    """Back to testing for a day and to enforce again: senders still hold what names the old host."""
    enforce = text(Mode.ENFORCE, 604_800, HOST, "old.example.org")
    spans = (
        span(None, NOW - 30 * DAY, NOW - 29 * DAY),
        span(enforce, NOW - 29 * DAY, NOW - DAY),
        span(text(), NOW - DAY, None),
    )
    memory = PolicyMemory((Write(enforce, NOW - 29 * DAY, True), Write(text(), NOW - DAY, True)), spans)
    world = World(served={"example.org": text()}, memory=remembering(memory))
    settings = Settings(mode=Mode.ENFORCE)
    world, found = look(world, settings)
    assert [a.policy.mx for a in found.actions if isinstance(a, EditPolicy)] == [(HOST, "old.example.org")]
    _, later = look(replace(world, now=NOW + 7 * DAY), settings)
    assert [a.policy.mx for a in later.actions if isinstance(a, EditPolicy)] == [(HOST,)]


# --- alias domains, which are served the same text ----------------------------------------------------


@pytest.mark.parametrize(
    ("mx", "mode", "why"),
    [
        ((HOST,), Mode.ENFORCE, "covered"),
        ((), Mode.ENFORCE, "no MX: it takes no mail"),
        (("foreign.example",), Mode.TESTING, "senders would refuse its mail"),
        ((HOST, "foreign.example"), Mode.TESTING, "one of two is not covered"),
    ],
)
def test_enforce_is_published_only_where_the_mx_of_alias_domains_are_covered(
    mx: tuple[str, ...], mode: Mode, why: str
) -> None:
    """They are served the policy of their target."""
    world = World(aliases={"alias.example": "example.org"}, mx={"alias.example": mx})
    found = plan(world, Settings(mode=Mode.ENFORCE))
    assert [a.policy.mode for a in found.actions if isinstance(a, AddPolicy)] == [mode], why
    assert [n.subject for n in found.notices if n.code == "mx.uncovered"] == (
        [] if mode is Mode.ENFORCE else ["alias.example"]
    )


@pytest.mark.parametrize(
    ("changes", "settings"),
    [({"mailcow": OLD_NATIVE}, {}), ({}, {"exclude": ["alias.example"]})],
    ids=["this mailcow serves none", "left alone"],
)
def test_alias_domain_without_a_policy_holds_nothing_back(
    changes: dict[str, object], settings: dict[str, object]
) -> None:
    """Its MX does not matter then."""
    world = World(aliases={"alias.example": "example.org"}, mx={"alias.example": ("foreign.example",)})
    found = plan(replace(world, **changes), given_settings({"mode": "enforce", **settings}))  # type: ignore[arg-type]
    assert [a.policy.mode for a in found.actions if isinstance(a, AddPolicy)] == [Mode.ENFORCE]


def test_mx_that_only_an_alias_domain_has_is_not_dropped() -> None:
    """Its mail would be refused."""
    both = text(Mode.ENFORCE, 604_800, HOST, "old.example.org")
    world = World(
        served={"example.org": both},
        memory=remembering(ours(both)),
        aliases={"alias.example": "example.org"},
        mx={"alias.example": ("old.example.org",)},
    )
    settings = Settings(mode=Mode.ENFORCE)
    world, _ = look(world, settings)
    _, later = look(replace(world, now=NOW + 30 * DAY), settings)
    assert [a for a in later.actions if isinstance(a, EditPolicy)] == []


def moving(now: float, mx: tuple[str, ...]) -> World:
    """The new host was served beside the old one for long; `mx` is what the DNS says now."""
    both = text(Mode.ENFORCE, 604_800, "old.example.org", HOST)
    return World(
        names=frozenset({HOST, "mta-sts.example.org"}),
        served={"example.org": both},
        memory=remembering(ours(both)),
        now=now,
        mx={"example.org": mx},
    )


@pytest.mark.parametrize("mx", [("old.example.org",), (HOST, "old.example.org"), (HOST,)], ids=" ".join)
def test_move_of_an_mx_raises_no_alarm_while_what_is_served_covers_it(mx: tuple[str, ...]) -> None:
    """The new host is the one in the settings, and the DNS, or its cache, still has the old one: it is served."""
    found = plan(moving(NOW, mx), Settings(mode=Mode.ENFORCE))
    assert [n.message for n in found.notices if n.code == "mx.uncovered"] == []
    assert found.actions == ()


def test_mx_that_nothing_served_covers_raises_the_alarm_in_the_middle_of_a_move() -> None:
    """Senders refuse it; what is served is named."""
    found = plan(moving(NOW, ("old.example.org", "other.example.org")), Settings(mode=Mode.ENFORCE))
    (reported,) = [n for n in found.notices if n.code == "mx.uncovered"]
    assert reported.level == "error"
    assert "has the MX other.example.org, which no mx pattern covers (mail.example.org" in reported.message


def test_what_was_served_in_testing_covers_nothing() -> None:
    """Enforce would be published without the host."""
    both = text(Mode.TESTING, 86_400, "old.example.org", HOST)
    world = replace(moving(NOW, ("old.example.org",)), served={"example.org": both}, memory=Memory())
    found = plan(replace(world, memory=remembering(ours(both))), Settings(mode=Mode.ENFORCE))
    assert [a.policy.mode for a in found.actions if isinstance(a, EditPolicy)] == [Mode.TESTING]


@pytest.mark.parametrize("mode", [Mode.NONE, Mode.TESTING])
def test_mx_of_a_policy_whose_history_is_lost_is_not_dropped(mode: Mode) -> None:
    """It may have been in enforce the day before: what it names stays for the longest max_age that is assumed."""
    settings = given_settings({"mode": "enforce", "adopt": True})
    world = World(served={"example.org": text(mode, 86_400, HOST, "old.example.org")})
    world, found = look(world, settings)
    assert [a.policy.mx for a in found.actions if isinstance(a, EditPolicy)] == [(HOST, "old.example.org")]
    world, found = look(replace(advance(world, found.actions), now=NOW + 7 * DAY - 1), settings)
    assert [a for a in found.actions if isinstance(a, EditPolicy)] == []


# --- a clock that is wrong -----------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [-365 * DAY, 30 * DAY], ids=["a year back", "a month ahead"])
def test_old_mx_is_kept_for_seven_days_that_really_passed(wrong: float) -> None:
    """However the clock is set meanwhile."""
    settings = Settings(mode=Mode.ENFORCE)
    world, _ = look(moving(NOW, (HOST,)), settings)
    for seconds, shown in ((60, NOW + wrong), (660, NOW + 660), (7 * DAY - 60, NOW + wrong)):
        world, found = look(replace(world, now=shown, counted=NOW + seconds), settings)
        assert found.actions == ()
    _, found = look(replace(world, now=NOW, counted=NOW + 7 * DAY), settings)
    assert [a.policy.mx for a in found.actions if isinstance(a, EditPolicy)] == [(HOST,)]


@pytest.mark.parametrize("wrong", [-365 * DAY, 30 * DAY], ids=["a year back", "a month ahead"])
def test_none_is_served_for_seven_days_that_really_passed(wrong: float) -> None:
    """The clock is wrong in the moment in which the domain is switched off, and right again 3 s later."""
    enforce = text(Mode.ENFORCE, 604_800)
    before = World(served={"example.org": enforce}, memory=remembering(ours(enforce)))
    left = replace(before, inactive=frozenset({"example.org"}), now=NOW + wrong, counted=NOW)
    world, found = look(left)
    world = advance(world, found.actions)
    assert world.served == {"example.org": text(Mode.NONE)}
    for seconds in (3, 660, 7 * DAY - 1):
        world, found = look(replace(world, now=NOW + seconds, counted=NOW + seconds))
        assert found.actions == ()
    _, found = look(replace(world, counted=NOW + 7 * DAY))
    assert [type(a) for a in found.actions] == [SwitchOff]


# --- mailcow was updated from the file generation ------------------------------------------------------


def updated(file: str) -> World:
    """A minute ago one file served this to every name."""
    spans = (span(None, NOW - 30 * DAY, NOW - 29 * DAY), span(file, NOW - 29 * DAY, None))
    memory = Memory(policies={FILE: PolicyMemory((Write(file, NOW - 29 * DAY, True),), spans)})
    before = World(mailcow=FILE_MAILCOW, file=file.encode(), memory=memory, now=NOW - 60)
    before, _ = look(before)
    return replace(before, mailcow=NATIVE, now=NOW)


def test_enforce_of_the_policy_file_is_not_forgotten_by_an_update() -> None:
    """Senders hold it for its max_age: a domain that leaves is served `none` first."""
    world, found = look(updated(text(Mode.ENFORCE, 604_800)))
    world = advance(world, [a for a in found.actions if isinstance(a, AddPolicy)])
    assert world.served == {"example.org": text()}
    left = replace(world, inactive=frozenset({"example.org"}), now=NOW + 60)
    assert [a.policy.mode for a in plan(left).actions if isinstance(a, EditPolicy)] == [Mode.NONE]
    later = replace(world, inactive=frozenset({"example.org"}), now=NOW + 8 * DAY)
    assert [type(a) for a in plan(later).actions] == [SwitchOff]


def test_mx_of_the_policy_file_is_not_dropped_by_an_update() -> None:
    """A moved host: the old one stays in the policy as it would have stayed in the file."""
    settings = Settings(mode=Mode.ENFORCE)
    world, found = look(updated(text(Mode.ENFORCE, 604_800, HOST, "old.example.org")), settings)
    added = [a for a in found.actions if isinstance(a, AddPolicy)]
    assert [a.policy.mx for a in added] == [(HOST, "old.example.org")]
    world, found = look(replace(advance(world, added), now=NOW + 60), settings)
    assert [a for a in found.actions if isinstance(a, EditPolicy)] == []
    _, later = look(replace(world, now=NOW + 9 * DAY), settings)
    assert [a.policy.mx for a in later.actions if isinstance(a, EditPolicy)] == [(HOST,)]


def test_mx_is_kept_for_as_long_as_an_earlier_policy_may_have_had() -> None:
    """What was there when the sidecar looked first had a max_age of a day; the one before it may have had a week."""
    settings = given_settings({"mode": "enforce", "max_age": 86_400})
    there = text(Mode.ENFORCE, 86_400, HOST, "old.example.org")
    memory = PolicyMemory((Write(there, NOW, True),), (span(there, NOW, None),))
    world, _ = look(World(served={"example.org": there}, memory=remembering(memory)), settings)
    for days in (2, 6.9):
        world, found = look(replace(world, now=NOW + days * DAY), settings)
        assert [a for a in found.actions if isinstance(a, EditPolicy)] == []
    _, found = look(replace(world, now=NOW + 7 * DAY), settings)
    assert [a.policy.mx for a in found.actions if isinstance(a, EditPolicy)] == [(HOST,)]


def test_policy_in_testing_has_no_mx_that_nobody_asked_for() -> None:
    """Nothing is refused for it."""
    both = text(Mode.ENFORCE, 604_800, HOST, "old.example.org")
    found = plan(World(served={"example.org": both}, memory=remembering(ours(both))))
    assert [a.policy for a in found.actions if isinstance(a, EditPolicy)] == [policy(Mode.TESTING, 86_400)]


def test_domain_that_takes_no_mail_and_has_no_policy_gets_none() -> None:
    """There is nothing to withdraw."""
    for unseen in (frozenset[str](), frozenset({"served:example.org"})):
        found = plan(World(inactive=frozenset({"example.org"}), unseen=unseen))
        assert [a for a in found.actions if isinstance(a, AddPolicy | EditPolicy | SwitchOff)] == []


@pytest.mark.parametrize(
    ("served", "mx"),
    [(text(Mode.ENFORCE, 86_400, "theirs.example.org"), "theirs.example.org"), ("nonsense", HOST)],
)
def test_none_says_what_was_said_before(served: str, mx: str) -> None:
    """But for the mode; of a text that is not a policy nothing can be taken."""
    world = World(served={"example.org": served}, inactive=frozenset({"example.org"}))
    edits = [a.policy for a in plan(world, Settings(adopt=True)).actions if isinstance(a, EditPolicy)]
    assert edits == [policy(Mode.NONE, 86_400, mx)]


def test_what_may_have_been_in_enforce_before_counts_with_its_own_max_age() -> None:
    """Two weeks, though a week is usual."""
    there = text(Mode.TESTING, 1_209_600)
    memory = PolicyMemory((Write(there, NOW, True),), (span(there, NOW, None),))
    world = World(
        served={"example.org": there}, inactive=frozenset({"example.org"}), memory=remembering(memory)
    )
    later = replace(world, now=NOW + 8 * DAY)
    assert [a.policy.mode for a in plan(later).actions if isinstance(a, EditPolicy)] == [Mode.NONE]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"inactive": frozenset({"example.org"})}, "example.org is switched off in mailcow"),
        ({"backup": frozenset({"example.org"})}, "example.org became a backup MX"),
        ({}, "example.org is retired by `sidecar retire`"),
    ],
)
def test_reason_says_why_a_domain_leaves(changes: dict[str, object], why: str) -> None:
    """In the history, too."""
    retired = frozenset() if changes else frozenset({"example.org"})
    memory = replace(remembering(ours(text())), retired=retired)
    world = replace(World(served={"example.org": text()}, memory=memory), **changes)  # type: ignore[arg-type]
    assert [a.reason.partition(",")[0] for a in plan(world).actions if isinstance(a, SwitchOff)] == [why]


# --- the host's name -----------------------------------------------------------------------------------


def test_hostname_is_served_as_an_a_label() -> None:
    """IDN in A-label form everywhere."""
    found = plan(World(conf={"MAILCOW_HOSTNAME": "mail.bücher.example"}))
    mx = [a.policy.mx for a in found.actions if isinstance(a, AddPolicy)]
    assert mx == [("mail.xn--bcher-kva.example",)]


@pytest.mark.parametrize("name", ["mail_1.example.org", "mail..example.org", "mail example.org"])
@pytest.mark.parametrize("mailcow", [NATIVE, FILE_MAILCOW], ids=["native", "file"])
def test_invalid_hostname_is_never_written_into_a_policy(name: str, mailcow: Mailcow) -> None:
    """The text would be invalid, and would be corrected in every pass."""
    world = World(mailcow=mailcow, conf={"MAILCOW_HOSTNAME": name})
    found = plan(world)
    assert [a for a in found.actions if isinstance(a, AddPolicy | WriteFile)] == []
    assert "hostname.invalid" in {notice.code for notice in blind_spots(observed(world))}


# --- proof and limits ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("age", "mode"),
    [(3_600.0, Mode.ENFORCE), (60 * DAY, Mode.TESTING), (-60 * DAY, Mode.TESTING)],
    ids=["recent", "the sidecar stood still for two months", "the clock was set back since"],
)
def test_only_recent_checks_allow_enforce(age: float, mode: Mode) -> None:
    """Certificates and MX may have changed since an old check; the age of one in the future is not known."""
    good = {kind: Judgement(Status.TRUE) for kind in ConditionType}
    rollout = replace(checked(Rollout(), good, NOW - age, 3_600), soaked=30 * DAY)
    world = World(served={"example.org": text()}, memory=remembering(ours(text())))
    world = replace(world, memory=replace(world.memory, rollouts={"example.org": rollout}))
    found = plan(world, given_settings({"mode": "auto"}))
    edits = [a.policy.mode for a in found.actions if isinstance(a, EditPolicy)]
    assert edits == ([mode] if mode is Mode.ENFORCE else [])


def test_policy_that_is_switched_on_again_counts_toward_100_names() -> None:
    """By an edit, as the row is there already."""
    domains = tuple(f"d{n:02}.example" for n in range(34))
    mine = dict.fromkeys(domains[:31], ours(text())) | dict.fromkeys(domains[31:], ours(None, text()))
    found = plan(
        World(domains=domains, served=dict.fromkeys(domains[:31], text()), memory=Memory(policies=mine))
    )
    assert [a for a in found.actions if isinstance(a, EditPolicy)] == []
    assert len([h for h in found.held if isinstance(h.action, EditPolicy)]) == 3
