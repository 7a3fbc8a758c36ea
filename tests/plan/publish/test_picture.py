"""From the picture of the world to what is known of the records: evidence is of the policy that is served now."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from sidecar.formats.mtasts_policy import Mode, Policy, render
from sidecar.observed import LARGE_DNS_PLAN, CheckRecord, Observed, PolicyMemory, Seen, Span
from sidecar.observed.checks import Condition, ConditionType, Rollout, Status
from sidecar.observed.record_sets import (
    ABSENT,
    Entry,
    Key,
    NameObservation,
    Origin,
    RecordObservations,
    RecordSet,
    RecordType,
    ServerAnswers,
)
from sidecar.plan.publish.make import as_plan, make_plan
from sidecar.plan.publish.picture import awaits_a_check, picture_of
from sidecar.plan.publish.values import Picture, PublishedDomain
from sidecar.reconcile.learn.records import learn_records, with_adopted
from sidecar.settings import Settings
from tests.worlds import DAY, HOST, NOW, World, given_settings, observed

NAME = "example.org"
HOST_NAME, ID_NAME, REPORT_NAME = f"mta-sts.{NAME}", f"_mta-sts.{NAME}", f"_smtp._tls.{NAME}"
TESTING = render(Policy(Mode.TESTING, 86_400, (HOST,)))
NONE = render(Policy(Mode.NONE, 86_400, (HOST,)))
ENFORCE = render(Policy(Mode.ENFORCE, 604_800, (HOST,)))
ID_RECORD = RecordSet(("v=STSv1;id=7;",), 300)


def settings(publish: str = "sync", **more: object) -> Settings:
    """With one account."""
    account = {"type": "rfc2136", "server": "192.0.2.53", "key_name": "k", "secret_file": "/run/secret"}
    return given_settings({"dns": {"publish": publish, "accounts": {"home": account}}, **more})


def look(*sets: tuple[RecordType, RecordSet], servers: Iterable[tuple[str, ...]] = ()) -> NameObservation:
    """A name that the account serves."""
    answers = tuple(servers)
    say = ServerAnswers(NOW, answers) if answers else None
    return NameObservation(Seen(NAME, NOW), "home", Seen(sets, NOW), say)


LED_HERE = look((RecordType.CNAME, RecordSet((HOST,), 300)), servers=[(f"CNAME {HOST}",)])


def seen(
    served: str | None = TESTING,
    names: Mapping[str, NameObservation] | None = None,
    *,
    checked: float | None = NOW,
    status: Status = Status.TRUE,
    **world: Any,
) -> Observed:
    """A mailcow whose policy was served for an hour, and was checked `checked`."""
    made = observed(
        World(served={} if served is None else {NAME: served}, names=frozenset({HOST, HOST_NAME}), **world)
    )
    conditions = (Condition(ConditionType.POLICY_SERVED, status, "", "", NOW),)
    memory = replace(
        made.memory,
        policies={NAME: PolicyMemory(spans=(Span(served, NOW - 3_600, None),), id_text=served, id="7")},
        checks={} if checked is None else {NAME: CheckRecord(checked, ())},
        rollouts={NAME: Rollout(conditions)},
    )
    looks = RecordObservations(
        1, names if names is not None else {HOST_NAME: LED_HERE}, {"home": Seen((NAME,), NOW)}
    )
    return replace(made, memory=memory, records=looks)


def picture(found: Observed, config: Settings | None = None) -> Picture:
    """What the plan is made from."""
    made = picture_of(found, config or settings())
    assert made is not None
    return made


def domain(found: Observed, config: Settings | None = None) -> PublishedDomain:
    """The one domain of it."""
    (one,) = picture(found, config).domains
    return one


# --- whether there is one --------------------------------------------------------------------------------


@pytest.mark.parametrize("config", [settings("off"), given_settings({"dns": {"publish": "sync"}})])
def test_nothing_is_planned_without_consent_or_account(config: Settings) -> None:
    """Then nothing is looked at either."""
    assert picture_of(seen(), config) is None


def test_nothing_is_planned_where_mailcow_was_not_seen() -> None:
    """Unknown domains are not domains that left."""
    assert picture_of(seen(unseen=frozenset({"domains"})), settings()) is None


# --- evidence ---------------------------------------------------------------------------------------------


def test_policy_that_was_checked_since_it_is_served_is_verified() -> None:
    """With address and certificate, that is all that the id waits for."""
    found = domain(seen())
    assert found.id == "7"
    assert found.evidence.address_visible is True
    assert found.evidence.certificate is True
    assert found.evidence.policy_verified is True
    assert not awaits_a_check(found)


@pytest.mark.parametrize("checked", [None, NOW - 3_600, NOW - DAY])
def test_check_of_an_earlier_policy_proves_nothing(checked: float | None) -> None:
    """Only a sender check stands between this policy and its id, so one is asked for."""
    found = domain(seen(checked=checked))
    assert found.evidence.policy_verified is None
    assert awaits_a_check(found)


def test_policy_that_senders_do_not_get_is_known_not_to_be_verified() -> None:
    """The check failed."""
    assert domain(seen(status=Status.FALSE)).evidence.policy_verified is False
    assert domain(seen(status=Status.UNKNOWN)).evidence.policy_verified is None


@pytest.mark.parametrize(
    ("say", "visible"),
    [
        (None, None),
        (ServerAnswers(NOW, ((f"CNAME {HOST}",),)), True),
        (ServerAnswers(NOW, (("127.0.0.1",),)), False),
        (ServerAnswers(NOW, ((f"CNAME {HOST}",), ())), False),
        (ServerAnswers(NOW, ((f"CNAME {HOST}",),), ("ns2: no answer",)), None),
    ],
)
def test_every_server_has_to_lead_to_the_mail_host(say: ServerAnswers | None, visible: bool | None) -> None:
    """A server that is behind sends a part of the senders nowhere; one that is silent is not known."""
    names = {HOST_NAME: replace(LED_HERE, servers=say)}
    assert domain(seen(names=names)).evidence.address_visible is visible


@pytest.mark.parametrize(
    ("world", "visible"),
    [
        ({}, True),
        ({"foreign_address": frozenset({HOST_NAME})}, False),
        ({"without_address": frozenset({HOST_NAME})}, False),
        ({"dns_unseen": frozenset({HOST_NAME})}, None),
        ({"dns_unseen": frozenset({HOST})}, None),
    ],
)
def test_name_that_no_account_serves_is_judged_by_the_resolver(
    world: dict[str, Any], visible: bool | None
) -> None:
    """It needs an answer for the name and for the mail host: what was not answered is unknown."""
    found = seen(names={HOST_NAME: NameObservation(Seen("net", NOW), None)}, **world)
    assert domain(found).evidence.address_visible is visible


def test_alias_domain_is_judged_by_its_own_address_and_its_targets_policy() -> None:
    """It is served the same text by the same server."""
    found = seen(aliases={"alias.example": NAME})
    by_name = {one.name: one for one in picture(found).domains}
    alias = by_name["alias.example"]
    assert alias.id == "7"
    assert alias.evidence.policy_verified is True
    assert alias.evidence.certificate is False


# --- leaving ----------------------------------------------------------------------------------------------


def published(at: float = NOW - DAY) -> dict[Key, Entry]:
    """All three records of the domain, written by the sidecar."""
    keys = (Key(HOST_NAME, RecordType.CNAME), Key(ID_NAME, RecordType.TXT), Key(REPORT_NAME, RecordType.TXT))
    values = ((HOST,), ID_RECORD.values, ("v=TLSRPTv1; rua=mailto:t@example.org",))
    return {key: Entry(key, (value,), Origin.WROTE, 300, at) for key, value in zip(keys, values, strict=True)}


def left(served: str | None, *, spans: tuple[Span, ...], counted: float = 0.0) -> Observed:
    """The domain is gone from mailcow; its records are there."""
    ledger = published()
    names = {key.name: look((key.type, RecordSet(entry.published[0], 300))) for key, entry in ledger.items()}
    found = seen(served, names, domains=("other.example",), counted=counted or None)
    memory = replace(
        found.memory, published=ledger, policies={NAME: PolicyMemory(spans=spans)}, checks={}, rollouts={}
    )
    return replace(found, memory=memory)


def test_deleted_domain_keeps_its_records_while_senders_hold_its_policy() -> None:
    """Its policy in enforce ended an hour ago: it is held for a week."""
    spans = (Span(None, 0, 1, 0, 1), Span(ENFORCE, 1, NOW - 3_600, 1, NOW - 3_600))
    found = left(None, spans=spans)
    one = next(one for one in picture(found).domains if one.name == NAME)
    assert one.leaving is not None
    assert one.leaving.expires_at == NOW + 604_800 - 3_600
    assert [write for write in make_plan(picture(found)).writes if write.domain == NAME] == []


def test_deleted_domain_loses_its_records_once_nobody_holds_its_policy() -> None:
    """The id first; the rest only once it is seen to be gone."""
    spans = (Span(None, 0, 1, 0, 1), Span(ENFORCE, 1, 2, 1, 2))
    found = left(None, spans=spans)
    writes = [write for write in make_plan(picture(found)).writes if write.domain == NAME]
    assert [write.key.name for write in writes] == [ID_NAME]
    without_id = dict(found.records.names) | {ID_NAME: look()}
    found = replace(found, records=replace(found.records, names=without_id))
    writes = [write for write in make_plan(picture(found)).writes if write.domain == NAME]
    assert {write.key.name for write in writes} == {HOST_NAME, REPORT_NAME}


def test_domain_that_left_before_the_state_was_lost_waits_for_the_longest_time() -> None:
    """Nothing is known of its policy: a week since the state began."""
    assert expires(left(None, spans=(), counted=60.0)) == NOW + 604_800 - 60
    assert expires(left(None, spans=(), counted=700_000.0)) == NOW


def test_domain_that_is_missing_since_just_now_keeps_its_records() -> None:
    """Senders need not wait for a policy in testing, but an answer of mailcow may have left it out by mistake."""
    spans = (Span(None, 0, 1, 0, 1), Span(TESTING, 1, NOW - 60, 1, NOW - 60))
    assert expires(left(None, spans=spans)) == NOW - 60 + settings().intervals.doubt_seconds
    assert [one for one in make_plan(picture(left(None, spans=spans))).writes if one.domain == NAME] == []


def aliased(found: Observed, alias: str = "alias.example") -> Observed:
    """With records of this alias domain that the sidecar published."""
    id_key = Key(f"_mta-sts.{alias}", RecordType.TXT)
    ledger = {id_key: Entry(id_key, (ID_RECORD.values,), Origin.WROTE, 300, NOW - DAY)}
    return replace(found, memory=replace(found.memory, published=ledger))


def test_alias_of_a_domain_that_is_not_managed_is_left_alone() -> None:
    """Its policy is still served, as its target's is."""
    found = aliased(seen(ENFORCE, aliases={"alias.example": NAME}, counted=90 * DAY))
    assert picture(found, settings(exclude=[NAME])).domains == ()


def test_record_that_our_aliases_lead_to_stays() -> None:
    """The mail host got another name, and the domains do not point to the new records yet."""
    base, pointing = Key("_mta-sts.old.example", RecordType.TXT), Key(ID_NAME, RecordType.CNAME)
    ledger = {
        base: Entry(base, (ID_RECORD.values,), Origin.WROTE, 300, NOW),
        pointing: Entry(pointing, ((base.name,),), Origin.WROTE, 300, NOW),
    }
    found = seen(names={ID_NAME: look((RecordType.CNAME, RecordSet((base.name,), 300)))}, counted=90 * DAY)
    found = replace(found, memory=replace(found.memory, published=ledger))
    assert [one.name for one in picture(found).domains] == [NAME]
    unseen = replace(found, records=replace(found.records, names={}))
    assert [one.name for one in picture(unseen).domains] == [NAME]
    elsewhere = replace(found, records=replace(found.records, names={ID_NAME: look()}))
    assert [one.name for one in picture(elsewhere).domains] == [NAME, "old.example"]


def expires(found: Observed) -> float | None:
    """From when no sender holds the policy of the domain."""
    one = next(one for one in picture(found).domains if one.name == NAME)
    assert one.leaving is not None
    return one.leaving.expires_at


def test_records_that_a_person_removed_are_forgotten() -> None:
    """Otherwise the domain would be checked without end."""
    spans = (Span(None, 0, 1, 0, 1), Span(ENFORCE, 1, 2, 1, 2))
    found = left(None, spans=spans)
    names = dict.fromkeys(found.records.names, look())
    found = replace(found, records=replace(found.records, names=names))
    made = picture(found)
    assert learn_records(found, made, make_plan(made)).published == {}


# --- what a person asks to adopt --------------------------------------------------------------------------


def test_record_that_was_adopted_is_ours_with_the_value_that_it_has() -> None:
    """A later change by a person makes it theirs again."""
    theirs = RecordSet(("v=TLSRPTv1; rua=mailto:x@example.com",), 60)
    found = seen(names={HOST_NAME: LED_HERE, REPORT_NAME: look((RecordType.TXT, theirs))})
    found = replace(found, memory=replace(found.memory, adopt_records=frozenset({REPORT_NAME})))
    memory = with_adopted(found, [REPORT_NAME])
    assert memory.adopt_records == frozenset()
    assert memory.published[Key(REPORT_NAME, RecordType.TXT)].published == (theirs.values,)


def test_request_waits_until_the_record_was_seen() -> None:
    """And is dropped for a name that is not looked at."""
    found = seen(names={})
    found = replace(found, memory=replace(found.memory, adopt_records=frozenset({ID_NAME, "other.example"})))
    memory = with_adopted(found, [ID_NAME])
    assert memory.adopt_records == {ID_NAME}
    assert memory.published == {}


def test_texts_beside_a_policy_host_are_not_taken_over() -> None:
    """They are nothing of MTA-STS."""
    texts = look((RecordType.TXT, RecordSet(("verification=1",), 60)))
    found = seen(names={HOST_NAME: texts})
    found = replace(found, memory=replace(found.memory, adopt_records=frozenset({HOST_NAME})))
    assert with_adopted(found, [HOST_NAME]).published == {}


# --- as actions -------------------------------------------------------------------------------------------


def test_one_action_for_each_domain_and_none_for_what_is_under_way() -> None:
    """Otherwise a slow host would get the same write at each pass."""
    names = {HOST_NAME: look(), ID_NAME: look(), REPORT_NAME: look()}
    found = seen(names=names)
    plan = make_plan(picture(found, settings(tls_report="mailto:t@example.org")))
    (action,) = as_plan(plan, found.records).actions
    assert action.about == NAME
    assert f"{HOST_NAME} CNAME {HOST}" in action.reason
    under_way = replace(found.records, under_way=frozenset({HOST_NAME, REPORT_NAME}))
    assert as_plan(plan, under_way).actions == ()


def test_foreign_record_is_reported_with_the_command_that_hands_it_over() -> None:
    """The notice is of the domain, so that it stands where the domain does."""
    theirs = look((RecordType.TXT, RecordSet(("v=STSv1;id=theirs;",), 60)), servers=[("x",)])
    found = seen(names={HOST_NAME: LED_HERE, ID_NAME: theirs, REPORT_NAME: look()})
    plan = as_plan(make_plan(picture(found)), found.records)
    (notice,) = plan.notices
    assert notice.code == "record.foreign"
    assert notice.subject == NAME
    assert f"sidecar adopt --dns {ID_NAME}" in str(notice.todo)


def test_absent_record_set_is_a_known_value() -> None:
    """What was looked at and is not there can be created; what was not looked at cannot."""
    made = picture(seen(names={ID_NAME: look()}))
    assert made.found[Key(ID_NAME, RecordType.TXT)] == Seen(ABSENT, NOW)
    assert Key(REPORT_NAME, RecordType.TXT) not in made.found


def test_consent_to_a_large_plan_ends_where_a_zone_is_served_by_nobody() -> None:
    """What no account serves is never read: the consent would never end."""
    names = {HOST_NAME: LED_HERE, ID_NAME: look(), REPORT_NAME: NameObservation(Seen("net", NOW), None)}
    config = settings(tls_report="mailto:t@example.org")
    found = seen(names=names)
    found = replace(found, memory=replace(found.memory, let_through=frozenset({LARGE_DNS_PLAN})))
    made = picture(found, config)
    assert learn_records(found, made, make_plan(made)).let_through == frozenset()
    for still_due in (
        NameObservation(),
        NameObservation(Seen("net", NOW + 1), None),
        NameObservation(Seen(NAME, NOW), "home"),
    ):
        first = replace(found, records=replace(found.records, names={**names, REPORT_NAME: still_due}))
        made = picture(first, config)
        assert learn_records(first, made, make_plan(made)).let_through == {LARGE_DNS_PLAN}
