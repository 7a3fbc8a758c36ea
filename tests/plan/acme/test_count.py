"""How many names the certificate would have: those in it or known to pass, and policy hosts before they resolve."""

from dataclasses import replace

import pytest

from sidecar.formats.mtasts_policy import Mode
from sidecar.observed import (
    Certificates,
    Fact,
    FactKind,
    Issuer,
    Kind,
    Memory,
    Observed,
    PolicyMemory,
    Question,
    Refusal,
    RefusedFor,
    Seen,
    Unseen,
    Write,
)
from sidecar.plan import decide
from sidecar.plan.acme.names import ASKED_AT_ONCE, Count, count, scene
from sidecar.plan.actions import AddPolicy, EditConf, EditPolicy, Plan
from sidecar.settings import Settings
from tests.worlds import DAY, FILE_MAILCOW, HOST, NOW, RUN, World, observed, plan, span, text


def many(count: int) -> World:
    """So many domains without policies, none with autodiscover records."""
    domains = tuple(f"d{n:03}.example" for n in range(count))
    without = frozenset(f"{p}.{d}" for d in domains for p in ("autodiscover", "autoconfig"))
    return World(domains=domains, without_address=without)


def added(found: Plan) -> int:
    """How many policies are planned."""
    return sum(isinstance(action, AddPolicy) for action in found.actions)


def without_answers(seen: Observed, prefix: str) -> Observed:
    """As before the first look at the DNS."""
    kept = {n: s for n, s in seen.dns.addresses.items() if not n.startswith(prefix)}
    return replace(seen, dns=replace(seen.dns, addresses=kept))


def test_51_domains_without_autodiscover_records_get_their_policies() -> None:
    """Names that do not exist do not count."""
    assert added(plan(many(51))) == 51


def test_names_that_were_never_looked_up_are_looked_up_and_then_decided() -> None:
    """The first plan asks, the next one decides."""
    seen = without_answers(observed(many(60)), "auto")
    first = decide(seen, Settings())
    assert added(first) < 60
    asked = {q.name for q in first.questions if q.kind is Kind.ADDRESSES}
    assert asked == {f"{p}.d{n:03}.example" for n in range(60) for p in ("autodiscover", "autoconfig")}
    assert any("being looked up" in h.reason for h in first.held)


@pytest.mark.parametrize(
    ("certain", "asked", "words"),
    [
        (99, False, None),
        (100, True, "with it the certificate could have 101 names"),
        (101, False, "with it the certificate would have 101 names"),
    ],
)
def test_limit_is_a_hundred_names(certain: int, asked: bool, words: str | None) -> None:
    """A lookup is made only where its answer would decide."""
    counted = Count(certain, ("a.example",))
    assert counted.questions() == ({Question(Kind.ADDRESSES, "a.example")} if asked else frozenset())
    held, unlabelled = counted.trouble("it"), counted.trouble()
    assert (held and held.reason.partition(",")[0]) == words
    assert (unlabelled and unlabelled.reason.partition(" certificate")[0]) == (words and "the")


def test_name_in_the_certificate_counts_though_it_no_longer_resolves() -> None:
    """It may resolve again in the next order."""
    world = World(names=frozenset({HOST, "old.example"}), without_address=frozenset({"old.example"}))
    seen = observed(world)
    found = scene(seen)
    assert not isinstance(found, str)
    assert count(["old.example"], found, seen) == Count(1)


def test_policy_hosts_count_before_they_resolve() -> None:
    """Their records are about to come: the 100th name with the hostname is the end."""
    world = many(120)
    hosts = frozenset(f"mta-sts.{d}" for d in world.domains)
    found = plan(replace(world, without_address=world.without_address | hosts))
    assert added(found) == 99
    assert any("would have 101 names" in h.reason for h in found.held)


def test_no_more_is_asked_where_it_would_not_help() -> None:
    """Over the limit anyway, or under it whatever the answers are."""
    few = decide(without_answers(observed(many(3)), "auto"), Settings())
    assert not few.questions
    assert added(few) == 3


def test_name_whose_lookups_fail_counts_for_a_day() -> None:
    """A resolver that is down for an hour must not lift the certificate over the limit."""
    seen = observed(many(60))
    names = [n for n in seen.dns.addresses if n.startswith("auto")]
    failing = {**seen.dns.addresses, **{n: Unseen("SERVFAIL", NOW) for n in names}}
    seen = replace(seen, dns=replace(seen.dns, addresses=failing))
    assert added(decide(seen, Settings())) < 60
    for failing_for, all_added in ((DAY, False), (DAY + 1, True)):
        since = {Fact(FactKind.FAILING, n): NOW - failing_for for n in names}
        seen = replace(seen, memory=replace(seen.memory, since=since))
        assert (added(decide(seen, Settings())) == 60) is all_added


def test_certificate_for_each_domain_has_no_such_limit() -> None:
    """ENABLE_SSL_SNI=y."""
    assert added(plan(replace(many(200), conf={"ENABLE_SSL_SNI": "y"}))) == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"conf": {"SKIP_LETS_ENCRYPT": "y"}},
        {"conf": {"ONLY_MAILCOW_HOSTNAME": "y"}},
        {"issuer": Issuer.OTHER},
    ],
)
def test_certificate_that_acme_mailcow_does_not_order_has_no_such_limit(changes: dict[str, object]) -> None:
    """No policy brings a name into it."""
    assert added(plan(replace(many(120), **changes))) == 120  # type: ignore[arg-type]


def test_without_any_certificate_the_limit_counts() -> None:
    """acme-mailcow is about to order the first."""
    seen = observed(many(120))
    assert added(decide(replace(seen, certificates=Seen(Certificates(None), NOW)), Settings())) == 99


def test_edit_that_brings_no_name_into_the_certificate_is_not_counted() -> None:
    """What nginx-mailcow answers for, alone."""
    domains = tuple(f"d{n:03}.example" for n in range(120))
    found = plan(World(mailcow=FILE_MAILCOW, domains=domains, conf={"ADDITIONAL_SAN": "mta-sts.*"}))
    assert [list(a.edits) for a in found.actions if isinstance(a, EditConf)] == [["ADDITIONAL_SERVER_NAMES"]]


def test_alias_domains_count_with_the_policy_of_their_target() -> None:
    """One policy may bring many names."""
    aliases = {f"a{n:03}.example": "d000.example" for n in range(120)}
    world = replace(many(1), aliases=aliases)
    found = plan(world)
    assert added(found) == 0
    assert any("122 names" in h.reason for h in found.held)


def test_alias_domain_without_a_policy_of_its_target_to_come_does_not_count() -> None:
    """One that is switched off, and one whose target has a policy already."""
    seen = observed(replace(many(1), aliases={f"a{n:03}.example": "d000.example" for n in range(120)}))
    assert isinstance(seen.domains, Seen)
    off = tuple(replace(alias, active=False) for alias in seen.domains.value.aliases)
    listed = replace(seen.domains.value, aliases=off)
    assert added(decide(replace(seen, domains=Seen(listed, NOW)), Settings())) == 1
    served = {"d000.example": text(Mode.TESTING, 604_800)}
    world = replace(many(2), aliases={"alias.example": "d000.example"}, served=served)
    assert added(plan(world)) == 1


# --- nothing is checked at all ------------------------------------------------------------------------------

UNCHECKED = {"SKIP_IP_CHECK": "y", "SKIP_HTTP_VERIFICATION": "y"}


def test_policy_waits_for_its_record_where_acme_mailcow_checks_nothing() -> None:
    """The policy alone would bring a wrong name into the order, and fail it."""
    host = "mta-sts.example.org"
    for changes, reason in (
        ({"without_address": frozenset({host})}, "has no address"),
        ({"foreign_address": frozenset({host})}, "203.0.113.9"),
        ({"dns_unseen": frozenset({host})}, "SERVFAIL"),
    ):
        found = plan(replace(World(conf=UNCHECKED), **changes))  # type: ignore[arg-type]
        assert added(found) == 0
        assert any(reason in h.reason and "SKIP_IP_CHECK=y" in h.reason for h in found.held)
    assert added(plan(World(conf=UNCHECKED))) == 1
    assert (
        added(
            plan(replace(World(conf=UNCHECKED | {"ENABLE_SSL_SNI": "y"}), without_address=frozenset({host})))
        )
        == 0
    )


@pytest.mark.parametrize(
    ("changes", "asked"),
    [
        ({"dns_unseen": frozenset({"mta-sts.example.org"})}, True),
        ({"without_address": frozenset({"mta-sts.example.org"})}, False),
    ],
)
def test_only_what_is_not_known_is_asked_for(changes: dict[str, object], asked: bool) -> None:
    """A record that is missing is waited for."""
    questions = plan(replace(World(conf=UNCHECKED), **changes)).questions  # type: ignore[arg-type]
    names = {q.name for q in questions if q.kind is Kind.ADDRESSES}
    assert ({"mta-sts.example.org", HOST} <= names) is asked


def test_so_many_names_are_asked_for_at_once_and_no_more() -> None:
    """The host name, which they are compared with, is one of them."""
    world = many(ASKED_AT_ONCE + 1)
    hosts = frozenset(f"mta-sts.{domain}" for domain in world.domains)
    found = plan(replace(world, conf=UNCHECKED, dns_unseen=hosts))
    assert added(found) == 0
    assert len(found.questions) == ASKED_AT_ONCE


def test_policy_that_is_there_already_does_not_wait_where_acme_mailcow_checks_nothing() -> None:
    """Its name is asked for anyway: to hold back an edit would help nobody."""
    enforced = text(Mode.ENFORCE, 604_800)
    memory = PolicyMemory((Write(enforced, NOW - DAY, True),), (span(enforced, NOW - DAY, None),))
    world = World(
        conf=UNCHECKED,
        without_address=frozenset({"mta-sts.example.org"}),
        served={"example.org": enforced},
        inactive=frozenset({"example.org"}),
        memory=Memory(policies={"example.org": memory}),
    )
    for inactive in (world.inactive, frozenset[str]()):
        found = plan(replace(world, inactive=inactive))
        assert [type(a) for a in found.actions if isinstance(a, EditPolicy)] == [EditPolicy]


def test_person_is_warned_of_the_setting() -> None:
    """Once, as long as it is so."""
    reported = [n.code for n in plan(World(conf=UNCHECKED)).notices if n.subject == "mailcow.conf"]
    assert reported == ["acme.unchecked"]
    assert not [n for n in plan(World(conf={"SKIP_IP_CHECK": "y"})).notices if n.code == "acme.unchecked"]


def test_names_whose_lookups_fail_keep_no_other_from_being_asked_for() -> None:
    """More than are asked for at once: the next pass asks for those whose answer is the oldest."""
    seen = observed(many(ASKED_AT_ONCE))
    names = sorted(n for n in seen.dns.addresses if n.startswith("auto"))
    failing = {n: Unseen("SERVFAIL", NOW) for n in names[:ASKED_AT_ONCE]}
    kept = {n: s for n, s in seen.dns.addresses.items() if not n.startswith(("auto", "mta-sts"))}
    found = decide(replace(seen, dns=replace(seen.dns, addresses=kept | failing)), Settings())
    assert {q.name for q in found.questions} & set(names) == set(names[ASKED_AT_ONCE:])


def test_names_that_acme_mailcow_refused_in_its_last_run_are_not_there_until_the_dns_says_so() -> None:
    """Thousands of names need no lookup before the first policy: the log of the last run has them."""
    world = many(60)
    names = [f"{p}.{d}" for d in world.domains for p in ("autodiscover", "autoconfig")]
    refused = {n: Refusal(RefusedFor.NO_ADDRESS, f"No A or AAAA record found for {n}", NOW) for n in names}
    seen = without_answers(observed(replace(world, run=replace(RUN, refused=refused))), "auto")
    found = decide(seen, Settings())
    assert (added(found), found.questions) == (60, frozenset())
    # A restart asks for them all the same: what refused them may be repaired by now.
    names_there = [*names, *(f"mta-sts.{d}" for d in world.domains)]
    view = scene(seen)
    assert not isinstance(view, str)
    assert set(names) <= set(count(names_there, view, seen).unknown)
    assert not set(names) & set(count(names_there, view, seen, hoped_for=True).unknown)
    in_the_order = {n: replace(said, why=RefusedFor.ORDER) for n, said in refused.items()}
    seen = without_answers(observed(replace(world, run=replace(RUN, refused=in_the_order))), "auto")
    assert added(decide(seen, Settings())) < 60
