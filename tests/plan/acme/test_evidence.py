"""What a restart of acme-mailcow must have seen in the same pass, so that it never costs a name."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar

import pytest

from sidecar.observed import (
    NOT_ASKED,
    AcmeRun,
    Answered,
    Caa,
    Challenge,
    Fact,
    FactKind,
    Kind,
    LostName,
    Memory,
    Observed,
    Question,
    Refusal,
    RefusedFor,
    Seen,
    Sight,
    Unseen,
)
from sidecar.plan import decide
from sidecar.plan.acme import evidence
from sidecar.plan.actions import Plan, RecreateAcme, RestartAcme
from sidecar.settings import Settings
from tests.worlds import (
    ADDRESS,
    DAY,
    FILE_MAILCOW,
    HOST,
    NOW,
    RUN,
    World,
    advance,
    given_settings,
    look,
    observed,
    plan,
    text,
)

T = TypeVar("T")

NAME = "mta-sts.example.org"
OLD = "autoconfig.example.org"
FOREIGN_V6 = "2001:db8:bad::1"


def waiting(**changes: object) -> World:
    """A domain whose policy is served and whose name has been missing for an hour; OLD is in the certificate."""
    world = World(
        served={"example.org": text()},
        names=frozenset({HOST, OLD}),
        memory=Memory(since={Fact(FactKind.MISSING, NAME): NOW - 3_600}),
    )
    return replace(world, **changes)  # type: ignore[arg-type]


def restarts(found: Plan) -> list[tuple[str, ...]]:
    """The names of each run that is planned."""
    return [action.names for action in found.actions if isinstance(action, RestartAcme | RecreateAcme)]


def held(found: Plan) -> str:
    """Why runs are held."""
    waiting_ones = [h for h in found.held if isinstance(h.action, RestartAcme | RecreateAcme)]
    return "; ".join(h.reason if h.remedy is None else f"{h.reason}; {h.remedy}" for h in waiting_ones)


@pytest.mark.parametrize("name", [HOST, OLD, NAME])
@pytest.mark.parametrize(
    ("change", "check"),
    [
        (lambda n: {"addresses": {n: frozenset({ADDRESS, FOREIGN_V6})}}, "no public IPv6"),
        (lambda n: {"addresses": {n: frozenset({ADDRESS, "203.0.113.9"})}}, "not always the same"),
        (lambda n: {"addresses": {n: frozenset({"203.0.113.9"})}}, "203.0.113.9"),
        (lambda n: {"addresses": {n: frozenset()}}, "no address"),
        (lambda n: {"dns_unseen": frozenset({n})}, "SERVFAIL"),
        (lambda n: {"caa": {n: Caa("x.test", ("other.test",))}}, "CAA"),
        (lambda n: {"challenges": {n: Challenge(Answered.NO, "it answers 404 for the file")}}, "404"),
        (
            lambda n: {
                "run": replace(
                    RUN, refused={n: Refusal(RefusedFor.HTTP, "HTTP validation failed", NOW - 60, ADDRESS)}
                )
            },
            "HTTP validation failed",
        ),
    ],
    ids=["aaaa", "two", "foreign", "none", "unknown", "caa", "http", "log"],
)
def test_one_name_that_would_not_pass_holds_the_restart(
    name: str, change: Callable[[str], dict[str, object]], check: str
) -> None:
    """The hostname, an old name or the new one: which name, which check, and acme-mailcow's words."""
    found = plan(waiting(**change(name)))
    assert restarts(found) == []
    assert name in held(found)
    assert check in held(found)


def test_caa_at_the_parent_alone_holds_it_too() -> None:
    """acme-mailcow looks there, and not at the name."""
    found = plan(waiting(caa_at={"example.org": Caa("example.org", ("other.test",))}))
    assert restarts(found) == []
    assert "the CAA records at example.org forbid" in held(found)


def test_without_the_log_nothing_is_restarted_and_a_person_is_warned() -> None:
    """It is not known with which addresses acme-mailcow compares."""
    found = plan(waiting(run=None))
    assert restarts(found) == []
    assert "log could not be read" in held(found)
    assert [n.code for n in found.notices if n.subject == "acme-mailcow"] == ["acme.no_log"]


def test_nobody_is_warned_before_the_log_was_asked_for() -> None:
    """The first pass after a start."""
    seen = observed(waiting())
    assert isinstance(seen.project, Seen)
    found = decide(
        replace(seen, project=Seen(replace(seen.project.value, acme_run=NOT_ASKED), NOW)), Settings()
    )
    assert (restarts(found), [n for n in found.notices if n.subject == "acme-mailcow"]) == ([], [])


def test_log_without_the_detected_addresses_permits_nothing() -> None:
    """A log that was cut off."""
    assert restarts(plan(waiting(run=AcmeRun(NOW - 60)))) == []


def test_without_probes_nothing_is_restarted_and_the_reason_says_so() -> None:
    """`sidecar plan` and a dry run make none."""
    found = plan(waiting(probed=False))
    assert restarts(found) == []
    assert "the HTTP probe is missing" in held(found)
    assert {q.name for q in found.questions if q.kind is Kind.CHALLENGE} == {HOST, OLD, NAME}


def test_strangers_are_not_probed() -> None:
    """A name with another address fails before: nobody there is asked for the file."""
    found = plan(waiting(probed=False, addresses={NAME: frozenset({"203.0.113.9"})}))
    assert not [q for q in found.questions if q.kind is Kind.CHALLENGE]


def test_log_is_read_again_before_a_restart() -> None:
    """The run may be hours old in the cache."""
    seen = observed(waiting())
    assert isinstance(seen.project, Seen)
    project = replace(seen.project.value, acme_run=Seen(RUN, NOW - 60))
    found = decide(replace(seen, project=Seen(project, NOW)), Settings())
    assert restarts(found) == []
    assert {q.kind for q in found.questions} == {Kind.ACME_LOG}
    assert "the names are being looked up again" in held(found)


def test_hopeless_new_name_does_not_hold_a_good_one() -> None:
    """The restart is for the good one alone."""
    world = waiting(
        domains=("example.net", "example.org"),
        served={"example.net": text(), "example.org": text()},
        challenges={"mta-sts.example.net": Challenge(Answered.NO, "404")},
    )
    world = replace(
        world,
        memory=Memory(
            since={
                Fact(FactKind.MISSING, NAME): NOW - 3_600,
                Fact(FactKind.MISSING, "mta-sts.example.net"): NOW - 3_600,
            }
        ),
    )
    found = plan(world)
    assert restarts(found) == [(NAME,)]
    assert "mta-sts.example.net" in held(found)


def test_held_restart_names_five_at_most_and_a_count() -> None:
    """Twenty names of which the hostname's failure holds all."""
    domains = tuple(f"d{n:02}.example" for n in range(20))
    world = waiting(
        domains=domains,
        served={d: text() for d in domains},
        names=frozenset({HOST}),
        addresses={HOST: frozenset({"203.0.113.9"})},
        memory=Memory(since={Fact(FactKind.MISSING, f"mta-sts.{d}"): NOW - 3_600 for d in domains}),
    )
    (item,) = [h for h in plan(world).held if len(getattr(h.action, "names", ())) == 20]
    assert "and 15 more" in item.action.reason
    assert item.reason.count("example") < 6


def test_hostname_is_lost_where_the_evidence_is_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the guard is for: without it the restart makes a certificate without MAILCOW_HOSTNAME."""
    world = waiting(addresses={HOST: frozenset({ADDRESS, FOREIGN_V6})}, foreign_address=frozenset({HOST}))
    guarded = advance(world, plan(world).actions)
    assert HOST in guarded.names
    monkeypatch.setattr(evidence, "_troubles", lambda *_: {})
    monkeypatch.setattr("sidecar.plan.acme.restart.address_trouble", lambda *_: None)
    unguarded = advance(world, plan(world).actions)
    assert HOST not in unguarded.names


@pytest.mark.parametrize(
    ("failing", "reason"),
    [
        ({OLD}, f"{OLD} is in the certificate and would be dropped from it: "),
        (
            {OLD, "autodiscover.example.org"},
            f"{OLD} is in the certificate and would be dropped from it (and 1 more: autodiscover.example.org): ",
        ),
    ],
)
def test_names_that_would_be_dropped_are_reported_at_once(failing: set[str], reason: str) -> None:
    """A record that is gone does not come back on its own."""
    found = plan(waiting(names=frozenset({HOST, *failing}), without_address=frozenset(failing)))
    assert (restarts(found), held(found).startswith(reason)) == ([], True)
    assert [(n.code, n.subject) for n in found.notices] == [("name.would_drop", OLD)]


@pytest.mark.parametrize(
    ("conf", "acme_san"),
    [({}, "own.example"), ({"AUTODISCOVER_SAN": "n", "ADDITIONAL_SAN": f"{NAME},own.example"}, "")],
    ids=["restarted: acme-mailcow's own value", "re-created: the value of mailcow.conf"],
)
def test_names_that_the_next_order_asks_for_are_protected(conf: dict[str, str], acme_san: str) -> None:
    """The administrator's name is in the certificate, and does not resolve just now."""
    own = "own.example"
    found = plan(
        waiting(names=frozenset({HOST, own}), without_address=frozenset({own}), conf=conf, acme_san=acme_san)
    )
    assert not [a for a in found.actions if isinstance(a, RestartAcme | RecreateAcme)]
    assert [n.subject for n in found.notices if n.code == "name.would_drop"] == [own]


def test_lost_name_of_our_own_does_not_hold_up_another_domain() -> None:
    """It waits for its own record."""
    names = ("example.net", "example.org")
    world = waiting(domains=names, served=dict.fromkeys(names, text()), without_address=frozenset({NAME}))
    since = {Fact(FactKind.MISSING, "mta-sts.example.net"): NOW - 3_600}
    memory = replace(world.memory, since=since, lost=(LostName(NAME, NOW - 9_000),))
    assert restarts(plan(replace(world, names=frozenset({HOST}), memory=memory))) == [
        ("mta-sts.example.net",)
    ]


# --- after the restart ------------------------------------------------------------------------------------


def lost_world() -> World:
    """After a restart that cost the certificate OLD: its record went away in the very moment."""
    world = waiting()
    world = advance(world, plan(world).actions)
    return replace(world, names=frozenset({HOST, NAME}), without_address=frozenset({OLD}), now=NOW + 120)


def test_lost_name_is_an_error_at_once_and_first() -> None:
    """Which name, since when, and what to do."""
    world, found = look(lost_world())
    notice = found.notices[0]
    assert (notice.code, notice.level.value) == ("certificate.lost", "error")
    assert OLD in notice.message
    assert [item.name for item in world.memory.lost] == [OLD]


def test_lost_name_is_reported_with_the_backup_that_still_has_it() -> None:
    """The newest that has it."""
    seen = observed(waiting())
    assert isinstance(seen.certificates, Seen)
    server = seen.certificates.value.server
    assert server is not None
    backup = replace(
        server, folder="backups/mail.example.org/2027-01-15_07_00_00", names=frozenset({HOST, OLD})
    )
    _, found = look(replace(lost_world(), backups=(backup,)))
    assert backup.folder in found.notices[0].message
    assert f"cp data/assets/ssl/{backup.folder}/cert.pem" in (found.notices[0].todo or "")


def test_no_further_restart_until_all_lost_names_pass() -> None:
    """Even for a new domain whose name passes; then one for both."""
    world = replace(
        lost_world(),
        domains=("example.net", "example.org"),
        served={"example.net": text(), "example.org": text()},
    )
    found = Plan()
    for _ in range(3):
        world, found = look(replace(world, now=world.now + DAY))
        assert restarts(found) == []
        assert OLD in held(found)
    assert f"{OLD} would not be in the certificate: " in held(found)
    world = replace(world, without_address=frozenset(), now=world.now + DAY)
    world, found = look(world)
    assert restarts(found) == [(OLD, "mta-sts.example.net")] or restarts(found) == [
        ("mta-sts.example.net", OLD)
    ]
    world = replace(advance(world, found.actions), now=world.now + 120)
    world, found = look(world)
    assert (world.memory.lost, [n for n in found.notices if n.code == "certificate.lost"]) == ((), [])


def test_name_that_acme_mailcow_no_longer_asks_for_is_not_lost() -> None:
    """Its domain was deleted."""
    world = waiting()
    world = advance(world, plan(world).actions)
    world = replace(
        world, names=frozenset({HOST, NAME}), conf={"AUTODISCOVER_SAN": "n", "ADDITIONAL_SAN": NAME}
    )
    world, _ = look(replace(world, now=NOW + 120))
    assert world.memory.lost == ()


def in_vain(world: World) -> World:
    """The restart took place and did not bring the name."""
    world, found = look(world)
    assert restarts(found) == [(NAME,)]
    after = advance(world, found.actions)
    return replace(after, names=world.names, now=world.now + 7_200)


def test_name_that_two_restarts_did_not_bring_waits_a_day_or_for_its_dns() -> None:
    """And is reported with acme-mailcow's line for it."""
    world = in_vain(in_vain(waiting()))
    world = replace(world, run=replace(RUN, failure=("Challenge did not pass for it",)))
    world, found = look(world)
    assert restarts(found) == []
    assert "2 restarts of acme-mailcow did not bring" in held(found)
    assert [n.code for n in found.notices if n.subject == NAME] == ["name.in_vain"]
    after_a_day = replace(world, run=RUN, now=world.now + DAY)
    assert restarts(plan(after_a_day)) == [(NAME,)]
    changed = replace(
        world, addresses={NAME: frozenset({"203.0.113.10"})}, run=replace(RUN, ipv4="203.0.113.10")
    )
    changed = replace(changed, addresses={n: frozenset({"203.0.113.10"}) for n in (NAME, HOST, OLD)})
    assert restarts(plan(changed)) == [(NAME,)]


def test_name_that_restarts_do_not_bring_does_not_delay_another() -> None:
    """The good one has its restart at once."""
    world = in_vain(in_vain(waiting()))
    world = replace(
        world,
        domains=("example.net", "example.org"),
        served={"example.net": text(), "example.org": text()},
        memory=replace(
            world.memory,
            since={**world.memory.since, Fact(FactKind.MISSING, "mta-sts.example.net"): NOW - 3_600},
        ),
    )
    assert restarts(plan(world)) == [("mta-sts.example.net",)]


def test_run_that_never_began_is_not_held_against_a_name() -> None:
    """Killed between noting the restart and doing it."""
    world, found = look(waiting())
    world = replace(advance(world, found.actions), names=world.names, started_at=NOW - DAY, now=NOW + 7_200)
    world, found = look(world)
    assert (world.memory.in_vain, restarts(found)) == ({}, [(NAME,)])


# --- an environment with white space -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "conf", "missing", "brought", "why"),
    [
        ("webmail.example.org smtp.*", "webmail.example.org,smtp.*", "webmail.example.org", True, "a space"),
        ("imap.* ,webmail.example.org", "imap.*,webmail.example.org", "imap.example.org", True, "at the end"),
        (
            "imap.*",
            "imap.*,webmail.example.org",
            "webmail.example.org",
            False,
            "the administrator's own change",
        ),
        ("imap.* ", "imap.*", "webmail.example.org", False, "not in mailcow.conf either"),
    ],
)
def test_environment_is_renewed_after_a_repair_though_no_policy_host_is_missing(
    old: str, conf: str, missing: str, brought: bool, why: str
) -> None:
    """The administrator's names are what was lost."""
    seen = after_repair(old, conf, missing)
    found = decide(seen, Settings())
    assert restarts(found) == ([(missing,)] if brought else []), why
    assert all(isinstance(a, RecreateAcme) for a in found.actions if hasattr(a, "names"))


def after_repair(old: str, conf: str, missing: str, **changes: object) -> Observed:
    """White space in ADDITIONAL_SAN was corrected, acme-mailcow has the old value, and a name is missing."""
    names = frozenset({"webmail.example.org", "smtp.example.org", "imap.example.org"})
    world = waiting(names=(names | {HOST, NAME}) - {missing}, conf={"ADDITIONAL_SAN": conf}, acme_san=old)
    world = replace(world, **changes)  # type: ignore[arg-type]
    seen, extra = observed(world), observed(replace(world, names=names))
    return replace(seen, dns=extra.dns, challenges={**seen.challenges, **extra.challenges})


@pytest.mark.parametrize(
    ("missing", "held_back"), [("webmail.example.org", True), ("imap.example.org", False)]
)
def test_names_of_a_prefix_are_brought_back_only_where_they_have_an_address(
    missing: str, held_back: bool
) -> None:
    """A prefix stands for every domain, and few have the name; a full name that has no address is reported."""
    seen = after_repair(
        "webmail.example.org smtp.*,imap.* ",
        "webmail.example.org,smtp.*,imap.*",
        missing,
        without_address=frozenset({missing}),
    )
    found = decide(seen, Settings())
    assert (restarts(found), bool(held(found))) == ([], held_back)


@pytest.mark.parametrize("failed", [False, True])
def test_names_of_a_prefix_are_looked_up_once(failed: bool) -> None:
    """They are not among the routine questions; a lookup that failed is not repeated here in every pass."""
    name = "imap.example.org"
    seen = after_repair("imap.* ", "imap.*", name)
    lookups = {key: sight for key, sight in seen.dns.addresses.items() if key != name}
    if failed:
        lookups[name] = Unseen("SERVFAIL", NOW)
    found = decide(replace(seen, dns=replace(seen.dns, addresses=lookups)), Settings())
    asked = frozenset({Question(Kind.ADDRESSES, name)})
    assert (restarts(found), found.questions) == ([], frozenset() if failed else asked)


def test_lost_name_alone_needs_no_gathering() -> None:
    """It does not come with a new domain: as soon as it passes, it is brought back."""
    world, _ = look(replace(lost_world(), now=NOW + 120))
    world = replace(world, without_address=frozenset(), now=NOW + 7_200)
    assert restarts(plan(world)) == [(OLD,)]


# --- what must not be lost by the way -----------------------------------------------------------------------


def test_value_with_white_space_is_given_to_no_container() -> None:
    """acme-mailcow has a right one; with that of mailcow.conf it would no longer ask for the administrator's name."""
    world = waiting(
        mailcow=FILE_MAILCOW,
        served={},
        file=text().encode(),
        names=frozenset({HOST, "webmail.example.org"}),
        conf={"ADDITIONAL_SAN": "webmail.example.org mta-sts.*"},
        acme_san="webmail.example.org",
        locked="it is read-only",
    )
    found = plan(world)
    assert restarts(found) == []
    assert "ADDITIONAL_SAN in mailcow.conf has white space" in held(found)
    corrected = replace(world, conf={"ADDITIONAL_SAN": "webmail.example.org,mta-sts.*"}, locked=None)
    assert restarts(plan(corrected)) == [(NAME,)]


def test_alias_name_whose_policy_was_not_seen_is_kept_too() -> None:
    """Though the policy host of its target is in no certificate."""
    world = waiting(
        domains=("example.net", "example.org"),
        aliases={"alias.example": "example.net"},
        unseen=frozenset({"served:example.net"}),
        names=frozenset({HOST, "mta-sts.alias.example"}),
        addresses={"mta-sts.alias.example": frozenset({"203.0.113.9"})},
    )
    found = plan(world)
    assert restarts(found) == []
    assert "mta-sts.alias.example" in held(found)


def test_lost_name_of_an_unmanaged_domain_is_reported_too() -> None:
    """Its policy is not looked at; that the name was in the certificate is enough."""
    theirs = "mta-sts.example.net"
    given = given_settings({"exclude": ["example.net"]})
    world = waiting(
        domains=("example.net", "example.org"),
        served={"example.org": text(), "example.net": text()},
        names=frozenset({HOST, theirs}),
        unseen=frozenset({"served:example.net"}),
    )
    _, found = look(world, given)
    world = advance(look(world, given)[0], found.actions)
    world = replace(world, names=frozenset({HOST, NAME}), without_address=frozenset({theirs}), now=NOW + 120)
    world, found = look(world, given)
    assert [item.name for item in world.memory.lost] == [theirs]
    world, found = look(replace(world, now=NOW + 240), given)
    assert [item.name for item in world.memory.lost] == [theirs]
    refusal = Refusal(RefusedFor.POLICY, "MTA-STS is not enabled for example.net", NOW)
    world, found = look(replace(world, run=replace(RUN, refused={theirs: refusal})), given)
    assert world.memory.lost == ()


def test_certificates_of_their_own_are_kept_until_acme_mailcow_knows_of_the_change() -> None:
    """ENABLE_SSL_SNI=n is in mailcow.conf, and not yet in the container."""
    seen = observed(waiting(names=frozenset({HOST})))
    assert isinstance(seen.project, Seen)
    assert isinstance(seen.certificates, Seen)
    server = seen.certificates.value.server
    assert server is not None
    own = replace(server, folder="autoconfig.example.org", names=frozenset({OLD, NAME}), fingerprint="bb")
    acme, *others = seen.project.value.containers
    containers = (replace(acme, env={**acme.env, "ENABLE_SSL_SNI": "y"}), *others)
    seen = replace(
        seen,
        certificates=Seen(replace(seen.certificates.value, sni=(own,)), NOW),
        project=Seen(replace(seen.project.value, containers=containers), NOW),
    )
    found = decide(seen, Settings())
    assert (restarts(found), held(found)) == ([], "")


def test_backup_without_the_hostname_is_not_put_in_its_place() -> None:
    """With ENABLE_SSL_SNI there are backups of other certificates; and one that has ended helps nobody."""
    seen = observed(waiting())
    assert isinstance(seen.certificates, Seen)
    server = seen.certificates.value.server
    assert server is not None
    own = replace(server, folder="backups/autoconfig.example.org/2027-01-15_07_00_00", names=frozenset({OLD}))
    ended = replace(server, folder="backups/mail.example.org/2026-01-15_07_00_00", not_after=NOW - DAY)
    for backup in (own, replace(ended, names=frozenset({HOST, OLD}))):
        _, found = look(replace(lost_world(), backups=(backup,)))
        assert found.notices[0].code == "certificate.lost"
        assert "cp " not in (found.notices[0].todo or "")


def test_tries_for_a_name_that_nobody_wants_any_more_are_forgotten() -> None:
    """Its domain was deleted; a day later nothing of it is left."""
    world = in_vain(in_vain(waiting()))
    world, _ = look(world)
    assert set(world.memory.in_vain) == {NAME}
    world, _ = look(replace(world, domains=("example.net",), served={}, now=world.now + 3_600))
    assert set(world.memory.in_vain) == {NAME}
    world, _ = look(replace(world, now=world.now + DAY))
    assert world.memory.in_vain == {}


@pytest.mark.parametrize("name", [OLD, NAME])
@pytest.mark.parametrize("kind", ["addresses", "caa"])
def test_lookup_that_keeps_failing_is_reported(name: str, kind: str) -> None:
    """A lookup that fails for hours needs a person."""

    def codes(missing_for: float) -> list[str]:
        memory = Memory(since={Fact(FactKind.MISSING, NAME): NOW - missing_for})
        seen = observed(waiting(memory=memory))
        answers = dict(getattr(seen.dns, kind))
        answers[name] = Unseen("SERVFAIL", NOW)
        found = decide(replace(seen, dns=replace(seen.dns, **{kind: answers})), Settings())
        assert restarts(found) == []
        return [n.code for n in found.notices if n.subject == name]

    assert codes(21_600) == []
    assert codes(21_601) == ["name.not_ready" if name == NAME else "name.would_drop"]


# --- what a held restart costs ------------------------------------------------------------------------------


def hour_later(seen: Observed, *fresh: str) -> Observed:
    """The same answers, given an hour ago but for those about the names `fresh`."""

    def aged(table: Mapping[str, Sight[T]]) -> dict[str, Sight[T]]:
        return {n: s if n in fresh else replace(s, at=NOW - 3_600) for n, s in table.items()}

    dns = seen.dns
    parents = {name.partition(".")[2] for name in fresh}
    older = replace(dns, addresses=aged(dns.addresses), caa=aged(dns.caa), caa_at=aged(dns.caa_at))
    older = replace(older, caa_at={**older.caa_at, **{p: dns.caa_at[p] for p in parents}})
    return replace(seen, dns=older, challenges=aged(seen.challenges))


FAILING: tuple[dict[str, object], ...] = (
    {"addresses": {OLD: frozenset({"203.0.113.9"})}},
    {"dns_unseen": frozenset({OLD})},
    {"caa": {OLD: Caa("x.test", ("other.test",))}},
)


@pytest.mark.parametrize("change", FAILING)
def test_while_an_old_name_fails_nobody_else_is_asked_about(change: dict[str, object]) -> None:
    """There may be thousands, and a pass every half a minute."""
    seen = observed(waiting(**change))
    first = decide(hour_later(seen), Settings())
    assert restarts(first) == []
    assert {q.name for q in first.questions} == {OLD, "example.org"}
    second = decide(hour_later(seen, OLD), Settings())
    assert (restarts(second), second.questions) == ([], frozenset())
    assert OLD in held(second)


def test_while_the_probe_of_an_old_name_fails_only_that_one_is_made() -> None:
    """It was made in an earlier pass."""
    seen = observed(waiting(challenges={OLD: Challenge(Answered.NO, "404")}))
    before = hour_later(seen)
    assert {q.name for q in decide(before, Settings()).questions} == {OLD, "example.org"}
    asked = replace(hour_later(seen, OLD), challenges=before.challenges)
    assert decide(asked, Settings()).questions == {Question(Kind.CHALLENGE, OLD)}
    probed = hour_later(seen, OLD)
    found = decide(probed, Settings())
    assert (restarts(found), found.questions) == ([], frozenset())
    assert "404" in held(found)


def test_once_the_old_name_passes_all_are_asked_about() -> None:
    """What was seen in an earlier pass permits nothing."""
    seen = observed(waiting())
    found = decide(hour_later(seen, OLD), Settings())
    assert restarts(found) == []
    assert {q.name for q in found.questions if q.kind is Kind.ADDRESSES} == {HOST, NAME}


def test_while_all_new_names_fail_nobody_else_is_asked_about() -> None:
    """A site of somebody's own answers for the new name: the rest of the certificate is not probed for that."""
    seen = observed(waiting(challenges={NAME: Challenge(Answered.NO, "404")}))
    before = hour_later(seen)
    assert {q.name for q in decide(before, Settings()).questions} == {NAME, "example.org"}
    asked = replace(hour_later(seen, NAME), challenges=before.challenges)
    assert decide(asked, Settings()).questions == {Question(Kind.CHALLENGE, NAME)}
    found = decide(hour_later(seen, NAME), Settings())
    assert (restarts(found), found.questions) == ([], frozenset())
    assert "404" in held(found)


def test_lost_alias_name_is_forgotten_with_the_policy_of_its_target() -> None:
    """acme-mailcow's log says so of the target alone."""
    theirs = "mta-sts.alias.example"
    world = waiting(
        domains=("example.net", "example.org"),
        aliases={"alias.example": "example.net"},
        unseen=frozenset({"served:example.net"}),
        memory=Memory(lost=(LostName(theirs, NOW - 60),)),
    )
    assert [item.name for item in look(world)[0].memory.lost] == [theirs]
    refusal = Refusal(RefusedFor.POLICY, "MTA-STS is not enabled for example.net", NOW)
    world = replace(world, run=replace(RUN, refused={"mta-sts.example.net": refusal}))
    assert look(world)[0].memory.lost == ()
