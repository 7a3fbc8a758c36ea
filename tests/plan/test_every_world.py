"""Claims about every small world: passes come to rest, and a missing answer never withdraws anything."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.formats.mtasts_policy import Mode, Policy, policy_of, render
from sidecar.observed import FILE, OLD_SUFFIX, Backend, Issuer, Mailcow, Memory, PolicyMemory, Version, Write
from sidecar.plan import make_plan
from sidecar.plan.actions import Action, AddPolicy, EditConf, EditPolicy, Plan, RemoveFile, SwitchOff
from sidecar.plan.desire import desire
from sidecar.settings import Settings
from tests.worlds import (
    DAY,
    HOST,
    NOW,
    World,
    advance,
    container,
    given_settings,
    look,
    observed,
    settle,
    span,
)

pytestmark = pytest.mark.integration

DOMAINS = ("a.example", "b.example", "example.org")
LEFT_OVER = replace(container("acme-mailcow", state="exited"), id="old", name="acme-mailcow-1" + OLD_SUFFIX)

versions = st.sampled_from(
    [
        Mailcow(Backend.FILE, Version(2025, 7)),
        Mailcow(Backend.NATIVE, Version(2025, 9)),
        Mailcow(Backend.NATIVE, Version(2026, 3)),
        Mailcow(Backend.NATIVE, Version(2026, 7, "a")),
        Mailcow(Backend.NATIVE, None),
    ]
)
policies = st.builds(
    Policy,
    st.sampled_from(Mode),
    st.sampled_from([86_400, 604_800, 1_209_600]),
    st.sampled_from([(HOST,), ("old.example.org",), (HOST, "old.example.org")]),
).map(render)
hosts = st.sampled_from([(HOST,), (), ("old.example.org",), (HOST, "foreign.example")])
entries = st.sampled_from(
    ["", "mta-sts.*", "webmail.example.org", "webmail.example.org mta-sts.*", "a.example.org,mta-sts.x.test"]
)


@st.composite
def memories(draw: st.DrawFn, served: dict[str, str], file: str | None) -> Memory:
    """Nothing at all, or a memory in which some of what is served is ours."""
    kept: dict[str, PolicyMemory] = {}
    for key, text in [*served.items(), *([(FILE, file)] if file else [])]:
        since = NOW - draw(st.sampled_from([1, 3, 20])) * DAY
        match draw(st.sampled_from(["nothing", "ours", "ours since the beginning", "intended"])):
            case "ours":
                kept[key] = PolicyMemory((Write(text, since, True),), (span(text, since, None),))
            case "ours since the beginning":
                kept[key] = PolicyMemory(
                    (Write(text, since, True),), (span(None, since - 1, since), span(text, since, None))
                )
            case "intended":
                kept[key] = PolicyMemory((Write(text, since, None),), (span(None, since - 1, None),))
            case _:
                pass
    return Memory(
        policies=kept, adopt=draw(st.sets(st.sampled_from([*DOMAINS, FILE]), max_size=2).map(frozenset))
    )


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Up to three domains, everything else as odd as it gets."""
    domains = tuple(draw(st.sets(st.sampled_from(DOMAINS), max_size=3)))
    some = st.sets(st.sampled_from(DOMAINS), max_size=2).map(frozenset)
    served = draw(st.dictionaries(st.sampled_from(domains), policies, max_size=3)) if domains else {}
    file = draw(st.none() | policies | st.just("nonsense"))
    names = [HOST, *(f"mta-sts.{d}" for d in DOMAINS)]
    return World(
        mailcow=draw(versions),
        domains=domains,
        inactive=draw(some),
        backup=draw(some),
        aliases=draw(st.sampled_from([{}, {"alias.example": domains[0]}])) if domains else {},
        conf={
            "ADDITIONAL_SAN": draw(entries),
            "ADDITIONAL_SERVER_NAMES": draw(entries),
            "AUTODISCOVER_SAN": draw(st.sampled_from(["y", "n", ""])),
            "ENABLE_SSL_SNI": draw(st.sampled_from(["y", "n"])),
            "SKIP_LETS_ENCRYPT": draw(st.sampled_from(["n", "n", "y"])),
        },
        served=served,
        file=None if file is None else file.encode(),
        names=frozenset({HOST, *draw(st.sets(st.sampled_from(names)))}),
        issuer=draw(st.sampled_from(Issuer)),
        without_address=frozenset(draw(st.sets(st.sampled_from(names[1:]), max_size=1))),
        dns_unseen=frozenset(draw(st.sets(st.sampled_from([*names[1:], *DOMAINS]), max_size=1))),
        mx={d: draw(hosts) for d in domains},
        others=draw(st.sampled_from([(), (), (LEFT_OVER,)])),
        memory=draw(memories(served, file)),
    )


all_settings = st.builds(
    lambda mode, max_age, adopt, own: given_settings(
        {"mode": mode, "max_age": max_age, "adopt": adopt, "domains": {"a.example": own} if own else {}}
    ),
    st.sampled_from(["testing", "enforce", "none"]),
    st.sampled_from([86_400, 604_800]),
    st.booleans(),
    st.sampled_from([None, {"mode": "enforce"}, {"mode": "testing", "mx": ["mx.a.example"]}]),
)


@given(worlds(), all_settings)
@settings(max_examples=300, deadline=None)
def test_repeated_passes_end_in_an_empty_plan_and_stay_there(world: World, chosen: Settings) -> None:
    """From every world."""
    rested, plan = settle(world, chosen)
    assert plan.actions == ()
    again, plan = look(replace(rested, now=rested.now + DAY), chosen)
    assert plan.actions == ()
    assert again.served == rested.served
    assert again.file == rested.file


def withdrawn(world: World, plan: Plan) -> list[Action]:
    """Actions after which senders, nginx or the certificate have less than before."""
    found: list[Action] = []
    for action in plan.actions:
        match action:
            case SwitchOff() | RemoveFile():
                found.append(action)
            case EditPolicy(domain=domain, policy=policy):
                before = policy_of(world.served.get(domain))
                if before is not None and policy.mode is Mode.NONE and before.mode is not Mode.NONE:
                    found.append(action)
            case EditConf(edits=edits) if any(edit.remove for edit in edits.values()):
                found.append(action)
            case _:
                pass
    return found


@given(
    worlds(),
    all_settings,
    st.sampled_from(["conf", "mailcow", "domains", "served:example.org", "project", "certificates", "file"]),
)
@settings(max_examples=300, deadline=None)
def test_missing_answer_never_leads_to_a_withdrawing_action(
    world: World, chosen: Settings, part: str
) -> None:
    """What is withdrawn without an answer would have been withdrawn with it too."""
    with_answer = withdrawn(world, look(world, chosen)[1])
    without = withdrawn(world, look(replace(world, unseen=frozenset({part})), chosen)[1])
    assert [a for a in without if a not in with_answer] == []


@given(worlds(), all_settings)
@settings(max_examples=300, deadline=None)
def test_enforce_is_never_published_where_an_mx_is_not_seen_to_be_covered(
    world: World, chosen: Settings
) -> None:
    """But where it was served before."""
    for action in look(world, chosen)[1].actions:
        if isinstance(action, AddPolicy) and action.policy.mode is Mode.ENFORCE:
            assert action.domain not in world.dns_unseen
            assert world.mx[action.domain]
            assert all(action.policy.covers(host) for host in world.mx[action.domain])


@given(worlds(), all_settings)
@settings(max_examples=300, deadline=None)
def test_policy_served_in_enforce_is_never_switched_off_directly(world: World, chosen: Settings) -> None:
    """First none, and off only when nobody can hold it."""
    for action in look(world, chosen)[1].actions:
        if isinstance(action, SwitchOff):
            before = policy_of(world.served[action.domain])
            assert before is not None
            assert before.mode is not Mode.ENFORCE


@given(worlds(), all_settings)
@settings(max_examples=200, deadline=None)
def test_applying_a_plan_twice_is_applying_it_once(world: World, chosen: Settings) -> None:
    """Killed after the writes and before the notes, the same plan does no harm."""
    learned, plan = look(world, chosen)
    once = advance(learned, plan.actions)
    twice = advance(once, plan.actions)
    assert (twice.served, twice.file) == (once.served, once.file)


@given(worlds())
@settings(deadline=None)
def test_nothing_is_held_but_by_a_guard(world: World) -> None:
    """The plan before the guards is only the difference."""
    seen = observed(world)
    for given_ in (Settings(), Settings(dry_run=True)):
        assert make_plan(seen, desire(seen, given_), given_).held == ()
