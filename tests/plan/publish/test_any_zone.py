"""From any zone and any evidence: nothing foreign ever changes, passes come to an end, and a kill changes nothing."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from sidecar.dns.publish.port import Replace
from sidecar.observed import Unseen
from sidecar.observed.record_sets import Key, RecordSet, RecordType, record_set
from sidecar.plan.policy_ids import record_of
from sidecar.plan.publish.names import report_record, shared_base
from sidecar.plan.publish.values import Leaving, PublishedDomain, RecordEvidence
from sidecar.settings.dns import HostForm, Publish, Scheme
from tests.plan.publish.worlds import FACTS, HOSTNAME, NOW, World, all_names, values

NAMES = ("example.org", "sub.example.org", "example.net")
TRI = st.sampled_from([True, False, None])
IDS = st.sampled_from(["1", "2", "3", None])
OUR_TEXTS = [*(record_of(id_) for id_ in "123"), report_record("mailto:tls@example.org")]
TEXTS = st.sampled_from([*OUR_TEXTS, "v=spf1 -all", "v=STSv1; id=1", "v=STSv1;id=9;", "x"])
TARGETS = st.sampled_from([HOSTNAME, "_mta-sts.example.org", "_smtp._tls.example.org", "else.where.test"])


@st.composite
def sets(draw: st.DrawFn, name: str) -> dict[Key, RecordSet]:
    """What a name may have: nothing, a CNAME, or other sets."""
    match draw(st.sampled_from(["nothing", "cname", "others"])):
        case "cname":
            return {Key(name, RecordType.CNAME): record_set(RecordType.CNAME, [draw(TARGETS)], 60)}
        case "others":
            found: dict[Key, RecordSet] = {}
            texts = draw(st.lists(TEXTS, max_size=2))
            if texts:
                found[Key(name, RecordType.TXT)] = record_set(RecordType.TXT, texts, 60)
            four = draw(st.lists(st.sampled_from(["192.0.2.1", "192.0.2.9"]), max_size=2))
            if four:
                found[Key(name, RecordType.A)] = record_set(RecordType.A, four, 60)
            return found
        case _:
            return {}


@st.composite
def domains(draw: st.DrawFn) -> tuple[PublishedDomain, ...]:
    """Up to three, in any state."""
    chosen = draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True))
    return tuple(draw(domain(name)) for name in sorted(chosen))


@st.composite
def domain(draw: st.DrawFn, name: str) -> PublishedDomain:
    """A domain that stays or leaves."""
    leaving = draw(
        st.none() | st.builds(Leaving, TRI, st.none() | st.sampled_from([NOW - 1, NOW + 1_000, NOW + 1e9]))
    )
    return PublishedDomain(
        name, draw(IDS), RecordEvidence(draw(TRI), draw(TRI), draw(TRI)), leaving, draw(st.booleans())
    )


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """A zone with all kinds of records, also at our names."""
    found = draw(domains())
    zone: dict[Key, RecordSet] = {}
    for name in (
        "www.example.org",
        *sorted(set(all_names(found)) | set(all_names([PublishedDomain("example.org", None)]))),
    ):
        zone |= draw(sets(name))
    facts = replace(
        FACTS,
        publish=draw(st.sampled_from([Publish.SYNC, Publish.UPSERT])),
        scheme=draw(st.sampled_from(Scheme)),
        host=draw(st.sampled_from(HostForm)),
        shared_base=shared_base(HOSTNAME, [one.name for one in found]),
        tls_report=draw(st.sampled_from([None, FACTS.tls_report])),
    )
    return World(found, facts, zone, floor=draw(st.sampled_from([0, 3_600])))


def copied(world: World) -> World:
    """The same world once more."""
    return World(world.domains, world.facts, dict(world.zone), dict(world.ledger), floor=world.floor)


@given(worlds(), st.lists(domains(), max_size=3))
def test_only_our_own_sets_ever_change(world: World, later: list[tuple[PublishedDomain, ...]]) -> None:
    """What was there before is ours only where it is exactly what was wanted, at a name of a domain."""
    before = values(world.zone)
    wanted: dict[Key, set[tuple[str, ...]]] = {}
    touched = {
        world.facts.shared_base and f"{label}.{world.facts.shared_base}"
        for label in ("_mta-sts", "_smtp._tls")
    }
    for now in (world.domains, *later):
        world.domains = now
        touched |= set(all_names(now))
        for row in world.plan().rows:
            wanted.setdefault(row.key, set()).add(row.wanted)
        world.settle()
    for key, there in before.items():
        if values(world.zone).get(key) != there:
            assert key.name in touched
            assert there in wanted[key], f"{key} had {there}, which nobody wanted"
    for key in values(world.zone).keys() - before.keys():
        assert key.name in touched


@given(worlds(), domains())
def test_passes_end_in_an_empty_plan(world: World, later: tuple[PublishedDomain, ...]) -> None:
    """And stay there."""
    for now in (world.domains, later):
        world.domains = now
        world.settle()
        assert world.plan().writes == ()


@given(worlds(), st.lists(domains(), max_size=2), st.lists(st.integers(1, 30), max_size=4))
def test_a_kill_between_any_two_steps_ends_in_the_same_zone(
    world: World, later: list[tuple[PublishedDomain, ...]], kills: list[int]
) -> None:
    """Intents are noted first, so that a value that was written is known as ours."""
    killed = copied(world)
    for now in (world.domains, *later):
        world.domains = killed.domains = now
        world.settle()
        killed.settle_with_kills(kills)
        # A pass takes a while here, and the two made not the same number: a wait may be over in one of them alone.
        world.now = killed.now = max(world.now, killed.now) + 1_000
        world.settle()
        killed.settle()
        assert values(killed.zone) == values(world.zone)


@given(worlds(), domains())
def test_without_the_ledger_less_is_written_and_nothing_else(
    world: World, later: tuple[PublishedDomain, ...]
) -> None:
    """Each write of a world that lost its ledger is one that it would have made with it, or of an equal set."""
    world.settle()
    lost = copied(world)
    lost.ledger = {}
    world.domains = lost.domains = later
    with_it = {(write.key, write.change) for write in world.plan().writes}
    without = {(write.key, write.change) for write in lost.plan().writes}
    assert without <= with_it


@given(worlds(), st.data())
def test_what_was_not_seen_is_never_written(world: World, data: st.DataObject) -> None:
    """One set of a name is enough to leave the name alone."""
    picture = world.picture()
    unseen = data.draw(st.sampled_from(sorted(picture.found)))
    plan = world.plan(found={**picture.found, unseen: Unseen("no answer", world.now)})
    for write in plan.writes:
        assert write.key != unseen
        assert write.key.name != unseen.name or not isinstance(write.change, Replace)
