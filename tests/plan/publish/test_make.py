"""Each rule of publishing, one by one: whose a set is, the order, the shared scheme, and what is held."""

from dataclasses import replace

import pytest

from sidecar.dns.publish.port import Remove, Replace
from sidecar.observed import Unseen
from sidecar.observed.record_sets import AccountState, Key, Origin, RecordSet, record_set
from sidecar.plan.publish import guards
from sidecar.plan.publish.ledger import adopted, intended
from sidecar.plan.publish.order import expires_at
from sidecar.plan.publish.values import (
    Leaving,
    PublishedDomain,
    PublishPlan,
    RecordEvidence,
    RecordOwner,
    RecordPlace,
    Role,
    Unplaced,
)
from sidecar.settings.dns import HostForm, Publish, Scheme
from tests.plan.publish.worlds import (
    ALL_WELL,
    FACTS,
    HOSTNAME,
    NOW,
    KilledError,
    World,
    cname,
    key,
    txt,
    well,
)

HOST, ID = key("mta-sts.example.org", "CNAME"), key("_mta-sts.example.org", "TXT")
REPORT = key("_smtp._tls.example.org", "TXT")
SETTLED = {
    HOST: cname(HOSTNAME),
    ID: txt("v=STSv1;id=1;"),
    REPORT: txt("v=TLSRPTv1; rua=mailto:tls@example.org"),
}


def written(plan: PublishPlan) -> list[str]:
    """What is written, in its order."""
    return [f"{'-' if isinstance(write.change, Remove) else '+'}{write.key}" for write in plan.writes]


def held(plan: PublishPlan) -> dict[Key, str]:
    """Why something is held."""
    return {one.key: f"{one.reason}; {one.remedy}" for one in plan.held}


def test_a_domain_that_is_well_gets_its_three_records_the_id_last() -> None:
    """In the form that mailcow's own page accepts."""
    world = World((well("example.org"),))
    assert written(world.plan()) == [f"+{HOST}", f"+{REPORT}", f"+{ID}"]
    world.settle()
    assert world.zone == SETTLED
    assert {row.whose for row in world.plan().rows} == {RecordOwner.OURS}
    assert all(row.right for row in world.plan().rows)


@pytest.mark.parametrize(
    ("evidence", "said"),
    [
        (RecordEvidence(None, True, True), "not every authoritative server"),
        (RecordEvidence(False, True, True), "not every authoritative server"),
        (RecordEvidence(True, None, True), "the certificate does not have"),
        (RecordEvidence(True, True, None), "was not yet seen as senders see it"),
        (RecordEvidence(True, True, False), "was not yet seen as senders see it"),
    ],
)
def test_the_id_waits_for_each_piece_of_evidence(evidence: RecordEvidence, said: str) -> None:
    """The address and the report record do not."""
    plan = World((PublishedDomain("example.org", "1", evidence),)).plan()
    assert written(plan) == [f"+{HOST}", f"+{REPORT}"]
    assert said in held(plan)[ID]


def test_a_new_id_waits_for_its_policy() -> None:
    """The old one stays until then."""
    world = World((well("example.org"),), zone=dict(SETTLED))
    world.settle()
    world.domains = (PublishedDomain("example.org", "2", replace(ALL_WELL, policy_verified=False)),)
    assert written(world.plan()) == []
    world.domains = (well("example.org", "2"),)
    world.settle()
    assert world.zone[ID] == txt("v=STSv1;id=2;")


def test_a_domain_leaves_step_by_step() -> None:
    """The id of `none`, the longest max_age, `_mta-sts`, the rest."""
    world = World((well("example.org"),))
    world.settle()
    world.domains = (PublishedDomain("example.org", "9", leaving=Leaving(none_verified=True)),)
    world.settle()
    assert world.zone[ID] == txt("v=STSv1;id=9;")
    end = world.now + 604_800
    world.domains = (PublishedDomain("example.org", "9", leaving=Leaving(True, end)),)
    assert written(world.plan()) == []
    world.now = end
    assert written(world.run()) == [f"-{ID}"]
    assert written(world.run()) == [f"-{REPORT}", f"-{HOST}"]
    assert world.zone == {}


def test_a_policy_is_held_by_senders_for_the_longest_max_age() -> None:
    """A week at least, for nobody may know what was served before."""
    assert expires_at(None, [86_400]) is None
    assert expires_at(NOW, [86_400]) == NOW + 604_800
    assert expires_at(NOW, [86_400, 31_536_000]) == NOW + 31_536_000
    assert expires_at(NOW, []) == NOW + 604_800


def test_upsert_never_removes() -> None:
    """It says what is left to do."""
    world = World((well("example.org"),), replace(FACTS, publish=Publish.UPSERT))
    world.settle()
    world.domains = (PublishedDomain("example.org", "9", leaving=Leaving(True, NOW)),)
    world.settle()
    assert set(world.zone) == set(SETTLED)
    assert "removing needs `dns.publish: sync`" in held(world.plan())[ID]


def test_a_set_that_was_only_equal_is_kept_right_and_never_removed() -> None:
    """Nobody knows whether a person wants it still."""
    world = World((well("example.org"),), zone=dict(SETTLED))
    world.settle()
    assert {entry.origin for entry in world.ledger.values()} == {Origin.EQUAL}
    world.domains = (PublishedDomain("example.org", "9", leaving=Leaving(True, NOW)),)
    world.settle()
    assert set(world.zone) == set(SETTLED)


@pytest.mark.parametrize(
    "foreign", [txt("v=spf1 -all"), txt("v=STSv1;id=1;", "v=STSv1;id=2;"), txt("v=STSv1;id=77;")]
)
def test_a_foreign_set_is_shown_and_waits_for_adopt(foreign: RecordSet) -> None:
    """After it, the set is as any of ours."""
    world = World((well("example.org"),), zone={**SETTLED, ID: foreign})
    world.settle()
    assert world.zone[ID] == foreign
    (waits,) = world.plan().held
    assert waits.foreign
    assert "sidecar adopt --dns _mta-sts.example.org" in waits.remedy
    assert "wanted: TXT v=STSv1;id=1;" in waits.reason
    world.ledger = adopted(world.ledger, ID, foreign, world.now)
    world.settle()
    assert world.zone[ID] == SETTLED[ID]


def test_a_foreign_record_that_says_the_same_is_right() -> None:
    """It is not ours, and nothing is missing."""
    world = World((well("example.org"),), zone={**SETTLED, ID: txt("v=STSv1; id=1")})
    plan = world.plan()
    assert (plan.writes, plan.held) == ((), ())
    assert [row.whose for row in plan.rows if row.role is Role.ID] == [RecordOwner.FOREIGN]


def test_another_address_for_reports_is_right_where_nobody_asked_for_ours() -> None:
    """It is a person's; without any, ours is published. Where the settings name an address, it is shown as another."""
    zone = {**SETTLED, REPORT: txt("v=TLSRPTv1; rua=mailto:me@example.net")}
    world = World((well("example.org"),), facts=replace(FACTS, any_report=True), zone=zone)
    assert (world.plan().writes, world.plan().held) == ((), ())
    world.facts = FACTS
    assert REPORT in held(world.plan())
    world = World((well("example.org"),), facts=replace(FACTS, any_report=True))
    world.settle()
    assert world.zone[REPORT] == SETTLED[REPORT]


def test_an_address_that_a_person_set_for_the_host_is_right() -> None:
    """No CNAME is put in its place."""
    zone = {**SETTLED, key("mta-sts.example.org", "A"): record_set(key("x", "A").type, ["192.0.2.1"], 60)}
    del zone[HOST]
    plan = World((well("example.org"),), zone=zone).plan()
    assert (plan.writes, plan.held) == ((), ())


def test_addresses_stand_where_a_cname_cannot() -> None:
    """Because of another record, or because the administrator says so."""
    beside = World((well("example.org"),), zone={key("mta-sts.example.org", "TXT"): txt("verification")})
    addresses = World((well("example.org"),), replace(FACTS, host=HostForm.ADDRESSES))
    for world in (beside, addresses):
        world.settle()
        assert world.zone[key("mta-sts.example.org", "A")].values == ("192.0.2.1",)
        assert world.zone[key("mta-sts.example.org", "AAAA")].values == ("2001:db8::1",)
        assert HOST not in world.zone


def test_our_other_form_is_replaced_in_one_go() -> None:
    """Both changes of the name follow each other, so that they are made in one step."""
    world = World((well("example.org"),), replace(FACTS, host=HostForm.ADDRESSES))
    world.settle()
    world.facts = replace(FACTS, publish=Publish.UPSERT)
    assert written(world.plan()) == ["-mta-sts.example.org A", "-mta-sts.example.org AAAA", f"+{HOST}"]
    world.settle()
    assert world.zone == SETTLED


def test_a_written_value_is_ours_also_when_the_process_ended_right_after_it() -> None:
    """The wanted value changes before anything else was noted: the intent is enough."""
    world = World((well("example.org"),), zone=dict(SETTLED))
    world.settle()
    world.domains = (well("example.org", "2"),)
    world.kill_in = 4
    with pytest.raises(KilledError):
        world.run()
    world.kill_in = None
    assert world.zone[ID] == txt("v=STSv1;id=2;")
    world.domains = (well("example.org", "3"),)
    world.settle()
    assert world.zone[ID] == txt("v=STSv1;id=3;")


def test_what_was_not_seen_is_held_with_its_reason() -> None:
    """Nothing is written at that name."""
    world = World((well("example.org"),))
    plan = world.plan(found={**world.picture().found, ID: Unseen("the server is silent", NOW)})
    assert written(plan) == [f"+{HOST}", f"+{REPORT}"]
    assert "the server is silent" in held(plan)[ID]


def test_a_domain_that_no_account_serves_stays_a_manual_task() -> None:
    """And is reported as one."""
    world = World((well("example.org"),))
    unplaced = Unplaced("no account serves the zone example.org", known=True)
    plan = world.plan(places=dict.fromkeys(world.picture().places, unplaced))
    assert plan.writes == ()
    assert all("no account serves the zone example.org; publish it" in text for text in held(plan).values())
    assert len(plan.held) == 3


@pytest.mark.parametrize("publish", [Publish.OFF, Publish.DRY_RUN])
def test_nothing_is_written_where_it_is_only_planned(publish: Publish) -> None:
    """Everything is shown as held."""
    plan = World((well("example.org"),), replace(FACTS, publish=publish)).plan()
    assert plan.writes == ()
    assert len(plan.held) == 3


def test_a_floor_of_the_host_is_not_written_against() -> None:
    """The TTL that was asked for is noted; the host uses its minimum."""
    world = World((well("example.org"),), floor=3_600)
    world.settle()
    assert world.zone[ID].ttl == 3_600
    world.domains = (replace(well("example.org"), settled=True),)
    assert written(world.plan()) == []


def test_a_settled_domain_gets_the_long_ttl() -> None:
    """Once."""
    world = World((well("example.org"),))
    world.settle()
    world.domains = (replace(well("example.org"), settled=True),)
    world.settle()
    assert {found.ttl for found in world.zone.values()} == {3_600}


# --- the shared scheme ------------------------------------------------------------------------------------


def shared(*domains: PublishedDomain) -> World:
    """Domains whose records point to those of example.org."""
    return World(domains, replace(FACTS, scheme=Scheme.SHARED, shared_base="example.org"))


def test_three_aliases_per_domain_and_one_zone_that_changes() -> None:
    """An id is written once for all domains."""
    world = shared(well("example.org"), well("example.net"))
    world.settle()
    assert world.zone[key("_mta-sts.example.net", "CNAME")] == cname("_mta-sts.example.org")
    assert world.zone[key("_smtp._tls.example.net", "CNAME")] == cname("_smtp._tls.example.org")
    assert world.zone[key("mta-sts.example.net", "CNAME")] == cname(HOSTNAME)
    assert world.zone[ID] == txt("v=STSv1;id=1;")
    world.domains = (well("example.org"), well("example.net", "2"))
    assert written(world.run()) == [f"+{ID}"]
    assert world.zone[ID] != txt("v=STSv1;id=1;")


def test_the_shared_id_waits_for_every_domain_that_points_to_it() -> None:
    """One whose policy is not served yet would send senders to nothing."""
    world = shared(well("example.org"), well("example.net"))
    world.settle()
    before = world.zone[ID]
    world.domains = (
        well("example.org"),
        PublishedDomain("example.net", "2", replace(ALL_WELL, policy_verified=None)),
    )
    world.settle()
    assert world.zone[ID] == before
    assert "the policy of example.net was not yet seen" in held(world.plan())[ID]


def test_a_new_domain_points_to_the_id_only_when_it_is_well() -> None:
    """The others are not kept waiting by it."""
    world = shared(
        well("example.org"), PublishedDomain("example.net", "5", RecordEvidence(True, False, False))
    )
    world.settle()
    assert ID in world.zone
    assert key("_mta-sts.example.net", "CNAME") not in world.zone


def test_the_shared_id_does_not_wait_for_a_domain_that_is_gone() -> None:
    """Under `upsert` its CNAME is never removed, and the other domains would never get a new id."""
    world = shared(well("example.org"), well("example.net"), well("example.com"))
    world.settle()
    world.facts = replace(world.facts, publish=Publish.UPSERT)
    gone = PublishedDomain("example.com", None, leaving=Leaving(False, NOW))
    world.domains = (well("example.org", "2"), well("example.net", "2"), gone)
    assert written(world.plan()) == [f"+{ID}"]
    unknown = replace(gone, leaving=Leaving(False, None))
    world.domains = (well("example.org", "2"), well("example.net", "2"), unknown)
    assert world.plan().writes == ()


# --- guards -----------------------------------------------------------------------------------------------


def test_a_plan_that_changes_much_at_once_is_held_until_a_person_lets_it_through() -> None:
    """Creating is not changing."""
    world = World(tuple(well(f"d{n}.example.org") for n in range(6)), override=False)
    world.settle()
    world.facts = replace(FACTS, tls_report="mailto:other@example.org")
    plan = world.plan()
    assert plan.writes == ()
    assert "6 of 18 published record sets would change at once" in plan.held[0].reason
    assert plan.held[0].large
    assert not plan.let_through
    let_through = world.plan(override=True)
    assert len(let_through.writes) == 6
    assert let_through.let_through


def test_new_ids_of_checked_policies_are_no_large_plan() -> None:
    """One change of the settings gives all domains another policy, and with it another id."""
    world = World(tuple(well(f"d{n}.example.org") for n in range(6)), override=False)
    world.settle()
    world.domains = tuple(well(f"d{n}.example.org", "2") for n in range(6))
    assert len(world.plan().writes) == 6
    assert world.plan(override=True).let_through is False


def test_replacing_a_value_that_was_not_published_here_counts_as_a_change() -> None:
    """It counts as any other change, although the sidecar may change it by its ledger."""
    world = World(tuple(well(f"d{n}.example.org") for n in range(6)), override=False)
    world.settle()
    odd = txt("v=spf1 -all")
    for number in range(6):
        one = key(f"_mta-sts.d{number}.example.org", "TXT")
        world.zone[one] = odd
        world.ledger = adopted(world.ledger, one, odd, NOW)
    assert world.plan().writes == ()
    assert all(held.large for held in world.plan().held)


def in_other_form(count: int) -> World:
    """Settled domains whose policy hosts are to have addresses in the place of their CNAMEs: three writes a name."""
    world = World(tuple(well(f"d{n}.example.org") for n in range(count)), override=False)
    world.settle()
    world.facts = replace(FACTS, host=HostForm.ADDRESSES)
    return world


def test_a_large_plan_holds_all_writes_of_a_name() -> None:
    """An address beside a CNAME that stays is refused by every server, again and again."""
    plan = in_other_form(10).plan()
    assert plan.writes == ()
    assert len(plan.held) == 30


def test_the_rate_does_not_part_the_writes_of_a_name() -> None:
    """A CNAME that is removed while its addresses wait would leave the policy host with nothing."""
    world = in_other_form(2)
    for free in range(7):
        state = AccountState(writes=(world.now,) * (guards.WRITES - free))
        plan = world.plan(accounts={"home": state})
        assert len(plan.writes) == free // 3 * 3
        assert len(plan.held) == 6 - len(plan.writes)


def test_a_host_name_without_an_address_takes_no_working_alias_away() -> None:
    """A slip in mailcow.conf would lead all policy hosts nowhere."""
    world = World((well("example.org"),))
    world.settle()
    world.facts = replace(FACTS, hostname="mial.example.org", addresses=None)
    assert world.plan().writes == ()
    assert any("no address of mial.example.org is known" in why for why in held(world.plan()).values())
    world.facts = replace(FACTS, hostname="mx.example.org")
    assert written(world.plan()) == [f"+{HOST}"]


def test_an_account_writes_so_many_in_five_minutes() -> None:
    """The rest follows in later passes."""
    world = World(tuple(well(f"d{n}.example.org") for n in range(120)))
    plan = world.plan()
    assert len(plan.writes) == guards.WRITES
    assert len(plan.held) == 360 - guards.WRITES
    world.settle()
    assert len(world.zone) == 360


def test_a_failing_account_waits_longer_each_time_and_no_other_does() -> None:
    """Up to an hour."""
    world = World((well("example.org"), well("example.net")))
    looked = world.picture().places
    places = {
        name: RecordPlace("other", "example.net") if "net" in name else place
        for name, place in looked.items()
    }
    state = guards.failed(None, NOW)
    assert guards.tried_again_at(state) == NOW + 60
    plan = world.plan(accounts={"home": state}, places=places)
    assert {write.place.account for write in plan.writes} == {"other"}
    assert {one.until for one in plan.held} == {NOW + 60}
    for _ in range(20):
        state = guards.failed(state, NOW)
    assert guards.tried_again_at(state) == NOW + 3_600
    assert guards.tried_again_at(guards.succeeded(state)) is None
    assert guards.wrote(AccountState(writes=(NOW - 400, NOW - 10)), NOW).writes == (NOW - 10, NOW)


def test_only_the_last_values_are_kept() -> None:
    """A ledger does not grow with each id."""
    world = World((well("example.org"),))
    for n in range(40):
        world.domains = (well("example.org", str(n)),)
        world.settle()
    entry = world.ledger[ID]
    assert len(entry.published) == 16
    assert entry.published[-1] == ("v=STSv1;id=39;",)
    write = next(
        write
        for write in World((well("example.org", "x"),)).plan().writes
        if isinstance(write.change, Replace)
    )
    assert intended({}, write, NOW)[write.key].origin is Origin.WROTE
