"""When acme-mailcow is restarted, and what holds it back."""

from dataclasses import replace

import pytest

from sidecar.observed import (
    Caa,
    Fact,
    FactKind,
    Issuer,
    LostName,
    Memory,
    Observed,
    Refusal,
    RefusedFor,
    Restart,
    Seen,
    Sight,
    Unseen,
)
from sidecar.observed.notice import Level
from sidecar.observed.record_sets import RecordObservations
from sidecar.plan import decide
from sidecar.plan.acme.run import hold_run
from sidecar.plan.actions import Plan, RecreateAcme, RestartAcme
from sidecar.settings import Settings
from tests.worlds import DAY, HOST, NOW, RUN, World, container, given_settings, look, observed, plan, text

NAME = "mta-sts.example.org"


def waiting(**changes: object) -> World:
    """A domain whose policy is served and whose name has been missing from the certificate for an hour."""
    world = World(
        served={"example.org": text()}, memory=Memory(since={Fact(FactKind.MISSING, NAME): NOW - 3_600})
    )
    return replace(world, **changes)  # type: ignore[arg-type]


def with_environment(world: World, changes: dict[str, str]) -> Observed:
    """The world as it is seen, where acme-mailcow's own environment has these values."""
    seen = observed(world)
    assert isinstance(seen.project, Seen)
    acme, *others = seen.project.value.containers
    project = replace(seen.project.value, containers=(replace(acme, env={**acme.env, **changes}), *others))
    return replace(seen, project=Seen(project, NOW))


def restarts(found: Plan) -> list[tuple[str, ...]]:
    """The names of each restart that is planned."""
    return [action.names for action in found.actions if isinstance(action, RestartAcme)]


def held(found: Plan) -> str:
    """Why restarts are held."""
    waiting_ones = [h for h in found.held if isinstance(h.action, RestartAcme)]
    return "; ".join(h.reason if h.remedy is None else f"{h.reason}; {h.remedy}" for h in waiting_ones)


def test_missing_name_that_is_ready_is_restarted_for() -> None:
    """All is well: one restart, of the container that was seen."""
    (action,) = [a for a in plan(waiting()).actions if isinstance(a, RestartAcme)]
    assert (action.names, action.container_id, action.started_at) == (
        (NAME,),
        "id-acme-mailcow",
        NOW - 30 * DAY,
    )


@pytest.mark.parametrize("part", ["mailcow", "conf", "domains", "certificates"])
def test_guard_holds_a_planned_restart_for_which_a_part_was_not_seen(part: str) -> None:
    """Whoever planned it: unknown never permits."""
    unseen = replace(observed(waiting()), **{part: Unseen("no answer", NOW)})  # type: ignore[arg-type]
    found = hold_run(Plan((RestartAcme("id", NOW, (NAME,), "lacking"),)), unseen, Settings())
    assert (restarts(found), held(found)) == ([], "no answer")


@pytest.mark.parametrize("conf", [{}, {"SKIP_LETS_ENCRYPT": "y"}])
@pytest.mark.parametrize("name", [NAME, "*.example.org"])
def test_name_in_the_certificate_needs_nothing(name: str, conf: dict[str, str]) -> None:
    """Nor does one that a wildcard there covers; and nobody is asked to add it."""
    found = plan(waiting(names=frozenset({HOST, name}), conf=conf))
    assert (restarts(found), held(found), found.notices) == ([], "", ())


@pytest.mark.parametrize("part", ["mailcow", "conf", "domains", "certificates"])
def test_names_are_judged_only_by_what_was_observed(part: str) -> None:
    """Otherwise it is not known that a name is missing."""
    found = plan(waiting(unseen=frozenset({part})))
    assert (restarts(found), held(found)) == ([], "")


def test_name_that_the_certificate_lost_is_in_the_restart_once() -> None:
    """Though it is wanted for two reasons."""
    world = waiting()
    memory = replace(world.memory, lost=(LostName(NAME, NOW - 9_000),))
    assert restarts(plan(replace(world, memory=memory))) == [(NAME,)]


def test_name_that_acme_mailcow_knows_and_mailcow_conf_does_not_needs_no_re_creation() -> None:
    """The value in mailcow.conf cannot be corrected, and acme-mailcow's own brings the name."""
    conf = {"AUTODISCOVER_SAN": "n", "ADDITIONAL_SAN": ""}
    assert restarts(plan(waiting(conf=conf, acme_san=NAME, locked="it is read-only"))) == [(NAME,)]


def test_domain_that_is_retired_needs_no_new_certificate() -> None:
    """Its policy is switched off in the same pass: a restart of acme-mailcow would bring nothing."""
    leaving = waiting()
    found = plan(replace(leaving, memory=replace(leaving.memory, retired=frozenset({"example.org"}))))
    assert (restarts(found), held(found)) == ([], "")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"without_address": frozenset({NAME})}, f"publish: {NAME}. 120 IN CNAME {HOST}."),
        ({"caa": {NAME: Caa("example.org", ("other.example",))}}, 'CAA 0 issue "letsencrypt.org"'),
        ({"without_address": frozenset({HOST})}, "(MAILCOW_HOSTNAME) has no address"),
        ({"sleep": None}, "running its checks"),
        ({"sleep": "10"}, "running its checks"),
        ({"started_at": NOW - 30}, "started less than"),
        ({"others": (container("redis-mailcow", state="removing"),)}, "redis-mailcow: it is removing"),
        ({"others": (container("redis-mailcow", started_at=NOW - 5),)}, "redis-mailcow: it was started"),
        ({"orders": (NOW - 1_800,)}, "60 min between two restarts"),
        ({"orders": tuple(NOW - DAY + 60 + n * 3_700 for n in range(6))}, "6 of 6 restarts a day"),
        ({"orders": tuple(NOW - 7 * DAY + 60 + n * 20_000 for n in range(20))}, "20 of 20 restarts in 7"),
        ({"unseen": frozenset({"project"})}, "project was not seen"),
    ],
)
def test_restart_is_held_with_its_reason(changes: dict[str, object], reason: str) -> None:
    """Each thing that acme-mailcow would trip over, or that burns a limit."""
    found = plan(waiting(**changes))
    assert restarts(found) == []
    assert reason in held(found)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"conf": {"SKIP_LETS_ENCRYPT": "y"}}, "SKIP_LETS_ENCRYPT=y"),
        ({"conf": {"ONLY_MAILCOW_HOSTNAME": "yes"}}, "ONLY_MAILCOW_HOSTNAME=y"),
        ({"issuer": Issuer.OTHER}, "administrator's own"),
    ],
)
def test_restart_that_cannot_help_is_reported_and_not_planned(changes: dict[str, object], word: str) -> None:
    """A person has to add the name elsewhere."""
    found = plan(waiting(**changes))
    assert (restarts(found), held(found)) == ([], "")
    assert [n.code for n in found.notices if word in n.message] == ["certificate.not_acme"]


@pytest.mark.parametrize("key", ["SKIP_IP_CHECK", "ACME_DNS_CHALLENGE"])
def test_addresses_are_not_compared_where_mailcow_does_not(key: str) -> None:
    """acme-mailcow would take the name."""
    assert restarts(plan(waiting(foreign_address=frozenset({NAME}), conf={key: "y"}))) == [(NAME,)]


@pytest.mark.parametrize("old", ["autoconfig.example.org", HOST])
def test_needed_name_that_fails_holds_the_restart_however_long_it_fails(old: str) -> None:
    """acme-mailcow's own daily run may drop it; the sidecar's restart never does."""
    world = waiting(names=frozenset({HOST, old}), without_address=frozenset({old}))
    world = replace(
        world,
        memory=replace(
            world.memory, since={**world.memory.since, Fact(FactKind.FAILING, old): NOW - 9 * DAY}
        ),
    )
    assert restarts(plan(world)) == []
    assert f"{old} is in the certificate and would be dropped from it" in held(plan(world))


def test_names_are_collected_for_a_quiet_period() -> None:
    """A name that has just gone missing waits for others."""
    world, found = look(World(served={"example.org": text()}))
    assert "collected" in held(found)
    assert restarts(plan(replace(world, now=NOW + 31))) == [(NAME,)]


def test_new_names_hold_a_restart_for_a_limited_time_only() -> None:
    """Ten quiet periods are enough."""
    world = waiting(
        domains=("example.org", "example.net"), served={"example.org": text(), "example.net": text()}
    )
    assert restarts(plan(world)) == [("mta-sts.example.net", NAME)]


def test_ready_names_do_not_wait_for_others() -> None:
    """A name without DNS is left out of the restart."""
    world = waiting(
        domains=("example.org", "example.net"),
        served={"example.org": text(), "example.net": text()},
        without_address=frozenset({"mta-sts.example.net"}),
    )
    found = plan(world)
    assert restarts(found) == [(NAME,)]
    assert "publish: mta-sts.example.net. 120 IN CNAME" in held(found)


def test_name_that_is_not_ready_says_only_what_it_lacks() -> None:
    """Each on its own; whether acme-mailcow is at work does not matter yet."""
    names = ("example.net", "example.org")
    hosts = frozenset(f"mta-sts.{name}" for name in names)
    found = plan(
        waiting(domains=names, served=dict.fromkeys(names, text()), without_address=hosts, sleep=None)
    )
    assert {h.action.names for h in found.held if isinstance(h.action, RestartAcme)} == {(n,) for n in hosts}
    assert "running its checks" not in held(found)


@pytest.mark.parametrize("automatic", [False, True])
def test_record_that_the_sidecar_publishes_needs_no_person(automatic: bool) -> None:
    """Without an account for its zone, a person is warned."""
    zones: dict[str, Sight[tuple[str, ...]]] = {"home": Seen(("example.org",), NOW)} if automatic else {}
    seen = observed(waiting(without_address=frozenset({NAME})))
    found = decide(replace(seen, records=RecordObservations(zones=zones)), Settings())
    levels = [n.level for n in found.notices if n.code == "name.not_ready"]
    assert levels == [Level.INFO if automatic else Level.WARNING]


def test_certificate_is_never_lifted_over_100_names() -> None:
    """The 101st breaks every renewal."""
    domains = tuple(f"d{n:02}.example" for n in range(34))
    world = waiting(domains=domains, served={d: text() for d in domains})
    found = plan(world)
    assert restarts(found) == []
    assert "ENABLE_SSL_SNI=y" in held(found)
    assert [n.code for n in found.notices if n.subject == "certificate"] == ["certificate.full"]


def test_certificate_that_may_have_room_is_not_reported_as_full() -> None:
    """A hundred names, and one that is being looked up."""
    domains = tuple(f"d{n:02}.example" for n in range(33))
    world = waiting(
        domains=domains, served={d: text() for d in domains}, conf={"ADDITIONAL_SAN": "x.example"}
    )
    found = plan(world)
    assert restarts(found) == []
    assert "could have 101 names" in held(found)
    assert [n.code for n in found.notices if n.subject == "certificate"] == []


def test_container_that_keeps_restarting_stops_blocking_after_half_an_hour() -> None:
    """A broken service must not prevent certificates; it is reported."""
    world = waiting(others=(container("clamd-mailcow", state="restarting"),))
    facts = {**world.memory.since, Fact(FactKind.UNSETTLED, "clamd-mailcow"): NOW - 1_900}
    found = plan(replace(world, memory=replace(world.memory, since=facts)))
    assert restarts(found) == [(NAME,)]
    assert [n.subject for n in found.notices if n.code == "container.unsettled"] == ["clamd-mailcow"]


def test_container_seen_before_and_gone_now_blocks() -> None:
    """mailcow is being updated."""
    world = waiting()
    found = plan(replace(world, memory=replace(world.memory, services=frozenset({"redis-mailcow"}))))
    assert "redis-mailcow: its container is gone" in held(found)


def test_sidecars_own_container_does_not_count() -> None:
    """It was just started itself."""
    own = replace(container("mta-sts-mailcow", started_at=NOW - 1), own=True)
    assert restarts(plan(waiting(others=(own,)))) == [(NAME,)]


def test_container_older_than_mailcow_conf_is_re_created_with_its_environment() -> None:
    """A mere restart would not bring the name: acme-mailcow keeps its old environment."""
    world = waiting(conf={"AUTODISCOVER_SAN": "n", "ADDITIONAL_SAN": NAME}, acme_san="")
    (action,) = [a for a in plan(world).actions if isinstance(a, RecreateAcme)]
    assert (action.names, dict(action.environment)) == ((NAME,), {"ADDITIONAL_SAN": NAME})


def test_unmanaged_acme_with_an_old_environment_is_reported_with_the_command() -> None:
    """`manage: {acme: false}`: then it is for a person to do."""
    world = waiting(conf={"AUTODISCOVER_SAN": "n", "ADDITIONAL_SAN": NAME}, acme_san="")
    found = plan(world, given_settings({"manage": {"acme": False}}))
    assert not [a for a in found.actions if isinstance(a, RecreateAcme | RestartAcme)]
    assert [n.todo for n in found.notices if n.code == "acme.environment"] == [
        "in the mailcow directory: docker compose up -d acme-mailcow"
    ]


@pytest.mark.parametrize(
    "changes", [{"sleep": None}, {"orders": (NOW - 60,)}, {"without_address": frozenset({NAME})}]
)
def test_re_creation_has_the_guards_of_a_restart(changes: dict[str, object]) -> None:
    """It is an order, too."""
    found = plan(waiting(conf={"AUTODISCOVER_SAN": "n", "ADDITIONAL_SAN": NAME}, acme_san="", **changes))
    assert not [a for a in found.actions if isinstance(a, RecreateAcme | RestartAcme)]
    assert [h for h in found.held if isinstance(h.action, RecreateAcme)]


def test_run_that_fails_since_names_were_added_is_an_error_with_the_end_of_the_certificate() -> None:
    """The names, and until when the old certificate lasts."""
    memory = Memory(
        since={Fact(FactKind.MISSING, NAME): NOW - DAY}, restarts=(Restart(NOW - 4_000, (NAME,)),)
    )
    reported = [n for n in plan(waiting(memory=memory, sleep="30m")).notices if n.code == "acme.failed"]
    assert len(reported) == 1
    assert NAME in reported[0].message
    assert "2027-04-05" in reported[0].message


def test_run_that_failed_is_reported_with_what_the_log_says() -> None:
    """The reason, not just the fact."""
    memory = Memory(
        since={Fact(FactKind.MISSING, NAME): NOW - DAY}, restarts=(Restart(NOW - 4_000, (NAME,)),)
    )
    seen = observed(waiting(memory=memory, sleep="30m"))
    assert isinstance(seen.project, Seen)
    words = "Confirmed A record with IP 192.0.2.1, but HTTP validation failed"
    run = replace(RUN, refused={NAME: Refusal(RefusedFor.HTTP, words, NOW - 60, "192.0.2.1")})
    seen = replace(seen, project=Seen(replace(seen.project.value, acme_run=Seen(run, NOW)), NOW))
    seen = replace(
        seen, memory=replace(memory, since={**memory.since, Fact(FactKind.RUN_FAILED, "acme-mailcow"): NOW})
    )
    (reported,) = [n.message for n in decide(seen, Settings()).notices if n.code == "acme.failed"]
    assert "HTTP validation failed" in reported


@pytest.mark.parametrize(
    ("sleep", "fingerprint", "reported"),
    [("1d", "bb" * 32, ["nginx.old_certificate"]), (None, "bb" * 32, []), ("1d", "aa" * 32, [])],
    ids=["another one", "acme-mailcow is working", "the same"],
)
def test_nginx_that_presents_another_certificate_is_reported_with_the_command(
    sleep: str | None, fingerprint: str, reported: list[str]
) -> None:
    """Killed before the reload, acme-mailcow leaves nginx with the old one."""
    seen = observed(waiting(names=frozenset({HOST, NAME}), sleep=sleep))
    assert isinstance(seen.certificates, Seen)
    assert seen.certificates.value.server is not None
    shown = replace(seen.certificates.value.server, names=frozenset({HOST}), fingerprint=fingerprint)
    notices = decide(replace(seen, presented=Seen(shown, NOW)), Settings()).notices
    assert [n.code for n in notices] == reported
    assert all(NAME in n.message and "restart nginx-mailcow" in str(n.todo) for n in notices)


def test_two_certificates_that_have_both_expired_are_not_repaired_by_a_restart() -> None:
    """The old one that nginx presents and the new one on the disk: the order is what is missing."""
    seen = observed(waiting(names=frozenset({HOST, NAME}), sleep="1d"))
    assert isinstance(seen.certificates, Seen)
    assert seen.certificates.value.server is not None
    ended = replace(seen.certificates.value.server, not_after=NOW - 86_400)
    seen = replace(seen, certificates=Seen(replace(seen.certificates.value, server=ended), NOW))
    shown = replace(ended, fingerprint="other", not_after=NOW - 10 * 86_400)
    notices = decide(replace(seen, presented=Seen(shown, NOW)), Settings()).notices
    (reported,) = [notice for notice in notices if notice.code == "nginx.old_certificate"]
    assert reported.message.count("expired") == 2
    assert "a restart alone changes nothing" in reported.message
    assert (reported.todo or "").index("logs --tail=100 acme-mailcow") < (reported.todo or "").index(
        "restart"
    )


def test_certificates_of_sni_count_too() -> None:
    """With ENABLE_SSL_SNI=y the name may be in a certificate of its own."""
    seen = observed(waiting(conf={"ENABLE_SSL_SNI": "y"}))
    assert isinstance(seen.certificates, Seen)
    server = seen.certificates.value.server
    assert server is not None
    sni = replace(server, folder=NAME, names=frozenset({NAME}))
    found = decide(
        replace(seen, certificates=Seen(replace(seen.certificates.value, sni=(sni,)), NOW)), Settings()
    )
    assert (restarts(found), held(found)) == ([], "")


@pytest.mark.parametrize("why", ["not read in this pass", "left alone"])
def test_name_of_a_policy_that_was_not_looked_at_would_drop_out_too(why: str) -> None:
    """Its policy is served, its name is in the certificate, and it does not resolve just now."""
    other = "mta-sts.example.net"
    world = waiting(
        domains=("example.net", "example.org"),
        served={"example.net": text(), "example.org": text()},
        names=frozenset({HOST, other}),
        without_address=frozenset({other}),
    )
    world, _ = look(world)
    settings = Settings()
    if why == "left alone":
        settings = given_settings({"exclude": ["example.net"]})
        seen = observed(world)
        seen = replace(seen, served={"example.org": seen.served["example.org"]})
    else:
        seen = observed(replace(world, unseen=frozenset({"served:example.net"})))
    found = decide(seen, settings)
    assert restarts(found) == []
    assert f"{other} is in the certificate and would be dropped from it" in held(found)


@pytest.mark.parametrize(
    "key",
    [
        "AUTODISCOVER_SAN=n",
        "SKIP_LETS_ENCRYPT=y",
        "ONLY_MAILCOW_HOSTNAME=y",
        "MAILCOW_HOSTNAME=old.example.org",
    ],
)
def test_environment_that_mailcow_conf_no_longer_has_is_reported_with_the_command(key: str) -> None:
    """Neither a restart nor the sidecar's re-creation changes more than ADDITIONAL_SAN."""
    name, _, value = key.partition("=")
    found = decide(with_environment(waiting(), {name: value}), Settings())
    assert restarts(found) == []
    assert [n.todo for n in found.notices] == ["in the mailcow directory: docker compose up -d acme-mailcow"]


def test_only_names_that_the_new_environment_brings_are_reported_with_the_command() -> None:
    """The other one is in neither, so Compose would not bring it."""
    names = ("example.net", "example.org")
    conf = {"AUTODISCOVER_SAN": "n", "ADDITIONAL_SAN": NAME}
    world = waiting(domains=names, served=dict.fromkeys(names, text()), conf=conf, locked="it is read-only")
    found = decide(with_environment(world, {"ONLY_MAILCOW_HOSTNAME": "y"}), Settings())
    (message,) = [n.message for n in found.notices if n.code == "acme.environment"]
    assert f"does not know of {NAME} yet" in message
    without = plan(replace(world, conf={**conf, "ADDITIONAL_SAN": ""}))
    assert (restarts(without), [n for n in without.notices if n.code == "acme.environment"]) == ([], [])


def test_order_dated_in_another_time_zone_counts() -> None:
    """acme-mailcow was made before TZ was changed: its folders are some hours ahead."""
    for ahead in (7_200, DAY):
        assert "60 min between two restarts" in held(plan(waiting(orders=(NOW + ahead,))))
    assert restarts(plan(waiting(orders=(NOW + 2 * DAY,)))) == [(NAME,)]
