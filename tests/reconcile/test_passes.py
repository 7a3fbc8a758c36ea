"""Whole passes against a simulated mailcow: what is served, written and restarted in the end."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from demo.simulated import API, EVERYTHING, POLICY, Fault
from sidecar.daemon.wiring import Parts
from sidecar.formats.mtasts_policy import Mode, parse
from sidecar.mailcow.challenge import Challenges
from sidecar.observed import OLD_SUFFIX, Addresses, Answered, Challenge, RedisRefuses, Seen, Sight
from sidecar.observed.notice import Level, NoticeCode
from sidecar.plan.actions import AddPolicy, HealAcme, RecreateAcme, RestartAcme, WriteFile
from sidecar.reconcile import observe as observer
from sidecar.reconcile.apply import Result
from tests.reconcile.test_observe import at_work
from tests.stage import HOST, Stage, stage
from tests.worlds import policy, text

NAME = "mta-sts.example.org"


def writes_of(on: Stage) -> list[object]:
    """The writes that were sent; the probe of the route sends an empty body."""
    return [request.body for request in on.mailcow.asked("add") + on.mailcow.asked("edit") if request.body]


async def test_domain_is_served_a_policy_after_one_pass(tmp_path: Path) -> None:
    """One write, read back and in the history; the next pass only waits for the DNS."""
    async with stage(tmp_path) as on:
        report = await on.once()
        assert on.served() == {"example.org": text()}
        assert [(type(o.action), o.result) for o in report.outcomes] == [(AddPolicy, Result.DONE)]
        async with on.sidecar() as parts:
            (event,) = parts.state.history("example.org")
        assert (event.what, event.outcome) == ("add policy", "done")
        assert "the domain has no policy" in event.reason
        again = await on.once()
        assert again.outcomes == ()
        assert f"publish: {NAME}. 120 IN CNAME {HOST}." in str(again.plan.held)


async def test_name_that_resolves_is_restarted_for_after_the_quiet_period(tmp_path: Path) -> None:
    """The real Engine calls: top, inspect, restart."""
    async with stage(tmp_path) as on:
        await on.once()
        on.resolves(NAME)
        await on.once()
        assert on.engine.count("/restart") == 0
        on.clock.ahead = 31
        report = await on.once()
        assert [type(o.action) for o in report.outcomes] == [RestartAcme]
        assert on.engine.count("/restart") == 1
        on.clock.ahead = 120
        held = (await on.once()).plan.held
        assert on.engine.count("/restart") == 1
        assert "60 min between two restarts" in str(held)


async def test_file_generation_writes_the_file_and_the_settings(tmp_path: Path) -> None:
    """mta-sts.txt, both keys, every other byte as it was, and the command for a new environment."""
    async with stage(tmp_path, version="2025-07") as on:
        before = on.conf.read_bytes()
        await on.once()
        assert on.policy_file.read_text() == text()
        after = on.conf.read_bytes()
        wanted = before.replace(b"SAN=\n", b"SAN=mta-sts.*\n").replace(b"NAMES=\n", b"NAMES=mta-sts.*\n")
        assert after == wanted
        assert on.conf.stat().st_mode & 0o777 == 0o600
        on.resolves(NAME)
        on.clock.ahead = 3_700
        report = await on.once()
        planned = (*report.plan.actions, *(held.action for held in report.plan.held))
        assert type(planned[-1]) is RecreateAcme


async def test_broken_policy_file_is_repaired_and_kept_in_the_state(tmp_path: Path) -> None:
    """Senders can make nothing of it; a person may want it back."""
    async with stage(tmp_path, version="2025-07") as on:
        await on.once()
        on.policy_file.write_text("nonsense\n")
        await on.once()
        assert on.policy_file.read_text() == text()
        assert [p.read_text() for p in (tmp_path / "state").glob("mta-sts.txt.*")] == ["nonsense\n"]


def all_written(on: Stage) -> tuple[object, ...]:
    """All that the sidecar may write."""
    file = on.policy_file.read_text() if on.policy_file.exists() else None
    return (dict(on.served()), file, on.conf.read_text())


@pytest.mark.parametrize(
    "fault",
    [Fault.EMPTY_BODY, Fault.EMPTY_OBJECT, Fault.EMPTY_PAGE, Fault.HTML_500, Fault.HTML_502, Fault.KEY_GONE],
)
@pytest.mark.parametrize("version", ["2026-07a", "2025-07"])
async def test_odd_answer_changes_nothing(tmp_path: Path, fault: Fault, version: str) -> None:
    """Whatever mailcow answers in an outage, on either generation."""
    async with stage(tmp_path, version=version) as on:
        on.mailcow.add_alias("alias.example", "example.org")
        await on.once()
        before = all_written(on)
        on.mailcow.fail(API, fault)
        for _ in range(3):
            on.clock.ahead += 700
            await on.once()
        assert all_written(on) == before


async def test_write_whose_answer_was_lost_counts_as_ours(tmp_path: Path) -> None:
    """The row was written, the answer got lost: the next pass sees its own intent and does nothing."""
    async with stage(tmp_path) as on:
        async with on.sidecar() as parts:
            observed, plan = await parts.passes.look()
            on.mailcow.fail("add/mta-sts", Fault.LOST_ANSWER)
            (outcome,) = await parts.passes.applier.apply(plan.actions, observed)
        assert outcome.result is Result.FAILED
        on.mailcow.heal()
        again = await on.once()
        assert again.outcomes == ()
        assert [n.code for n in again.plan.notices if n.code == "policy.foreign"] == []


@pytest.mark.parametrize("fault", [Fault.NOT_LOGGED, Fault.UPGRADED], ids=["Redis", "after an upgrade"])
async def test_write_without_a_clear_answer_is_read_back(tmp_path: Path, fault: Fault) -> None:
    """mailcow answers only that its Redis refuses writes, or that its tables are new; the row is there."""
    async with stage(tmp_path) as on:
        on.mailcow.fail("add/mta-sts", fault)
        report = await on.once()
        assert [(type(o.action), o.result) for o in report.outcomes] == [(AddPolicy, Result.DONE)]
        assert on.served() == {"example.org": text()}


async def test_redis_that_refuses_writes_is_named_and_the_write_is_sent_once(tmp_path: Path) -> None:
    """The first write meets it; from then on it is known, and after it the row is found to be ours."""
    async with stage(tmp_path) as on, on.sidecar() as parts:
        on.mailcow.fail("add/mta-sts", Fault.NOT_LOGGED)
        on.mailcow.fail(POLICY, Fault.NOT_LOGGED)
        (outcome,) = (await parts.passes.reconcile()).outcomes
        assert outcome.result is Result.FAILED
        assert "Redis refuses writes (READONLY You can't write against a read only" in str(outcome.detail)
        sent = writes_of(on)
        on.mailcow.add_domain("new.example")
        for _ in range(4):
            on.clock.ahead += 61
            report = await parts.passes.reconcile()
            assert report.outcomes == ()
            (notice,) = [n for n in report.plan.notices if n.level is Level.ERROR]
            assert notice.code == "mailcow.redis"
        assert writes_of(on) == sent
        on.mailcow.heal()
        on.clock.ahead += 61
        report = await parts.passes.reconcile()
        assert [outcome.action.about for outcome in report.outcomes] == ["new.example"]
        assert on.served() == {"example.org": text(), "new.example": text()}
        assert "mailcow.redis" not in {n.code for n in report.plan.notices}


async def test_redis_is_named_for_domains_that_were_not_even_read(tmp_path: Path) -> None:
    """After three in a row the rest is not read, and the reason stays Redis."""
    async with stage(tmp_path) as on:
        for number in range(12):
            on.mailcow.add_domain(f"d{number}.example")
        await on.once()
        on.mailcow.fail(POLICY, Fault.NOT_LOGGED)
        report = await on.once()
        assert {type(sight) for sight in report.observed.served.values()} == {RedisRefuses}
        assert len({notice for notice in report.plan.notices if notice.level is Level.ERROR}) == 1


async def test_policy_that_is_not_served_as_sent_is_a_failure(tmp_path: Path) -> None:
    """What was written is read back and compared."""
    async with stage(tmp_path) as on:
        async with on.sidecar() as parts:
            observed, plan = await parts.passes.look()
            on.mailcow.fail(POLICY, Fault.NO_POLICY)
            outcomes = await parts.passes.applier.apply(plan.actions, observed)
        assert [(o.result, "mailcow serves: nothing" in str(o.detail)) for o in outcomes] == [
            (Result.FAILED, True)
        ]


async def test_row_switched_off_by_a_person_is_left_and_handed_back_by_adopt(tmp_path: Path) -> None:
    """A row is there although nothing is served."""
    async with stage(tmp_path) as on:
        on.mailcow.person_sets_policy("example.org", mode="enforce", mx=HOST, max_age=604_800, active=False)
        assert [o.result for o in (await on.once()).outcomes] == [Result.REFUSED]
        assert (await on.once()).outcomes == ()
        assert on.served() == {}
        async with on.sidecar() as parts:
            parts.state.request_adopt(["example.org"], on.clock.now())
        await on.once()
        assert on.served() == {"example.org": text()}


async def test_adopt_hands_a_foreign_policy_over_once(tmp_path: Path) -> None:
    """An earlier request does not cover a later change by a person."""
    async with stage(tmp_path) as on:
        on.mailcow.person_sets_policy("example.org", mode="testing", mx="mx.example.net", max_age=86_400)
        assert (await on.once()).outcomes == ()
        async with on.sidecar() as parts:
            parts.state.request_adopt(["example.org"], on.clock.now())
        await on.once()
        assert on.served() == {"example.org": text()}
        on.mailcow.person_sets_policy("example.org", mode="testing", mx="mx.example.com", max_age=86_400)
        assert (await on.once()).outcomes == ()


async def test_updated_mailcow_is_noticed_while_the_sidecar_runs(tmp_path: Path) -> None:
    """File becomes native: the policy is written through the API, and the entries are removed."""
    async with stage(tmp_path, version="2025-07") as on, on.sidecar() as parts:
        await parts.passes.reconcile()
        assert "mta-sts.*" in on.conf.read_text()
        on.mailcow.update_to("2026-07a")
        on.clock.ahead = 3_700
        await parts.passes.reconcile()
        assert on.served() == {"example.org": text()}
        assert "mta-sts.*" not in on.conf.read_text()


async def test_version_that_contradicts_the_routes_stops_everything(tmp_path: Path) -> None:
    """An update under way: nothing is done until both agree."""
    async with stage(tmp_path) as on:
        on.mailcow.says_version = "2025-07"
        report = await on.once()
        assert (report.outcomes, report.readable) == ((), False)


async def test_wrong_key_is_tried_once_and_then_after_minutes(tmp_path: Path) -> None:
    """mailcow counts refusals."""
    async with stage(tmp_path, MTA_STS_API_KEY="WRONG") as on, on.sidecar() as parts:
        await parts.passes.reconcile()
        asked = len(on.mailcow.requests)
        for _ in range(5):
            on.clock.ahead += 30
            await parts.passes.reconcile()
        assert len(on.mailcow.requests) == asked
        on.clock.ahead += 300
        await parts.passes.reconcile()
        assert len(on.mailcow.requests) > asked


async def test_read_only_key_is_reported_and_not_tried_for_every_domain(tmp_path: Path) -> None:
    """One refused write, and then none for minutes; reading continues. A person has to act: the page reads notices."""
    async with stage(tmp_path) as on:
        on.more["MTA_STS_API_KEY"] = str(on.mailcow.read_only_key)
        for number in range(20):
            on.mailcow.add_domain(f"d{number}.example")
        async with on.sidecar() as parts:
            report = await parts.passes.reconcile()
            assert {outcome.denied for outcome in report.outcomes} == {True}
            assert len(report.outcomes) <= 4
            refused = len(writes_of(on))
            for _ in range(5):
                on.clock.ahead += 30
                report = await parts.passes.reconcile()
            assert len(writes_of(on)) == refused
            assert {h.reason for h in report.plan.held} == {"mailcow refuses the key for writes"}
            (notice,) = [notice for notice in report.plan.notices if notice.code == "api.denied"]
            assert notice.level is Level.ERROR
            assert "API_KEY_READ_ONLY" in (notice.todo or "")


async def test_new_domain_of_a_deleted_name_gets_a_policy(tmp_path: Path) -> None:
    """The row that a person had switched off was deleted with the domain."""
    async with stage(tmp_path) as on:
        on.mailcow.add_domain("other.example")
        on.mailcow.add_domain("third.example")
        on.mailcow.person_sets_policy("example.org", mode="enforce", mx=HOST, max_age=604_800, active=False)
        await on.once()
        on.mailcow.delete_domain("example.org")
        await on.once()
        on.mailcow.add_domain("example.org")
        await on.once()
        assert "example.org" in on.served()


async def test_unchanged_pass_asks_only_cheap_questions(tmp_path: Path) -> None:
    """Counts, and the short list of aliases; never the whole list."""
    async with stage(tmp_path) as on, on.sidecar() as parts:
        await parts.passes.reconcile()
        on.clock.ahead = 30
        await parts.passes.reconcile()  # the whole list once more, after an own write
        on.mailcow.requests.clear()
        for _ in range(5):
            on.clock.ahead += 30
            await parts.passes.reconcile()
        assert {r.route for r in on.mailcow.requests} == {"search/domain", "get/alias-domain/all"}


async def test_no_cookie_and_no_key_go_where_they_do_not_belong(tmp_path: Path) -> None:
    """mailcow's session cookie carries the key's rights; the policy is asked for without the key."""
    async with stage(tmp_path) as on, on.sidecar() as parts:
        for _ in range(3):
            await parts.passes.reconcile()
        assert not any(request.cookie for request in on.mailcow.requests)
        assert {
            request.key.value for request in on.mailcow.requests if request.path.startswith("/.well-known")
        } == {"none"}


async def test_one_domain_that_fails_stops_no_other(tmp_path: Path) -> None:
    """Each is written independently."""
    async with stage(tmp_path) as on:
        on.mailcow.add_domain("bad.example")
        on.configure(
            "domains: {bad.example: {mx: ['*.bad.example', "
            + ", ".join(f"m{n}.{'x' * 60}.example" for n in range(9))
            + "]}}"
        )
        report = await on.once()
        assert on.served().keys() == {"example.org"}
        assert {o.result for o in report.outcomes} == {Result.DONE, Result.REFUSED}


async def test_dry_run_changes_nothing(tmp_path: Path) -> None:
    """Neither through the API nor in a file."""
    async with stage(tmp_path, MTA_STS_DRY_RUN="1") as on:
        before = on.conf.read_bytes()
        report = await on.once()
        assert (on.served(), on.conf.read_bytes(), report.outcomes) == ({}, before, ())
        (held,) = [h for h in report.plan.held if isinstance(h.action, AddPolicy)]
        assert held.reason == "dry run"


async def test_without_docker_everything_else_works(tmp_path: Path) -> None:
    """And a notice says so."""
    async with stage(tmp_path, DOCKER_HOST="unix:///nowhere/docker.sock") as on:
        report = await on.once()
        assert on.served() == {"example.org": text()}
        assert "unseen.docker" in {n.code for n in report.plan.notices}


async def test_lost_state_leads_to_no_write(tmp_path: Path) -> None:
    """What is served is what the sidecar would write: it is adopted silently."""
    async with stage(tmp_path) as on:
        await on.once()
        for path in (tmp_path / "state").iterdir():
            path.unlink()
        writes = writes_of(on)
        await on.once()
        assert writes_of(on) == writes


async def test_idn_domain_is_served_in_its_ascii_form(tmp_path: Path) -> None:
    """A-labels wherever a name is served or compared."""
    async with stage(tmp_path) as on:
        on.mailcow.add_domain("bücher.example")
        on.configure("domains: {BÜCHER.example: {mx: [mx.bücher.example]}}")
        await on.once()
        assert parse(on.served()["xn--bcher-kva.example"].encode()) == policy().__class__(
            policy().mode, 86_400, ("mx.xn--bcher-kva.example",)
        )


# --- asking mailcow -------------------------------------------------------------------------------------


async def settled(on: Stage, parts: Parts) -> None:
    """Everything is written, and the whole list was asked for after that."""
    for _ in range(2):
        await parts.passes.reconcile()
        on.clock.ahead += 30


def aliases(parts: Parts) -> list[str]:
    """The alias domains that are believed."""
    believed = parts.passes.ledger.memory.believed
    return [alias.name for alias in believed.aliases] if believed else []


async def test_list_that_is_doubted_is_asked_for_no_more_often_than_it_takes(tmp_path: Path) -> None:
    """One of one alias domain was deleted: ten answers in half an hour, and then it is believed."""
    async with stage(tmp_path) as on, on.sidecar() as parts:
        on.mailcow.add_alias("alias.example", "example.org")
        await settled(on, parts)
        on.mailcow.delete_alias("alias.example")
        on.mailcow.requests.clear()
        for _ in range(62):
            on.clock.ahead += 30
            await parts.passes.reconcile()
        assert len(on.mailcow.asked("get/domain/all")) == 11
        assert aliases(parts) == []


async def test_list_that_keeps_failing_is_asked_for_less_and_less_often(tmp_path: Path) -> None:
    """Each costs mailcow seconds of work, also when its answer comes too late."""
    async with stage(tmp_path) as on, on.sidecar() as parts:
        await settled(on, parts)
        on.mailcow.fail("get/domain/all", Fault.HTML_502)
        on.clock.ahead += 3_700
        on.mailcow.requests.clear()
        for _ in range(60):
            on.clock.ahead += 30
            await parts.passes.reconcile()
        assert len(on.mailcow.asked("get/domain/all")) <= 6


@pytest.mark.parametrize("version", ["2026-07a", "2025-07"])
async def test_list_is_asked_for_as_soon_as_mailcow_answers_again(tmp_path: Path, version: str) -> None:
    """A list that failed in the middle of an update does not matter after it, on either generation."""
    async with stage(tmp_path, version=version) as on, on.sidecar() as parts:
        await settled(on, parts)
        on.mailcow.fail("get/domain/all", Fault.HTML_502)
        for seconds in (3_700, 40, 70):
            on.clock.ahead += seconds
            await parts.passes.reconcile()
        on.mailcow.fail(EVERYTHING, Fault.HTML_502)
        on.clock.ahead += 5
        await parts.passes.reconcile()
        assert parts.session.away_since is not None
        on.mailcow.heal()
        on.mailcow.update_to("2026-07a")
        on.mailcow.add_domain("new.example")
        on.clock.ahead += 5
        await parts.passes.reconcile()
        assert on.served().keys() == {"example.org", "new.example"}
        assert parts.session.away_since is None


async def test_mailcow_that_was_started_is_asked_for_its_list_at_once(tmp_path: Path) -> None:
    """Docker reports the start; what failed before was another container."""
    async with stage(tmp_path) as on, on.sidecar() as parts:
        await settled(on, parts)
        on.mailcow.fail("get/domain/all", Fault.HTML_502)
        on.clock.ahead += 3_700
        await parts.passes.reconcile()
        on.mailcow.heal()
        on.mailcow.add_domain("new.example")
        parts.session.restarted()
        on.clock.ahead += 5
        await parts.passes.reconcile()
        assert "new.example" in on.served()


async def test_one_slow_answer_of_the_alias_domains_does_not_end_their_polling(tmp_path: Path) -> None:
    """A new alias domain is seen within the time that such an answer costs, and not when the whole list is old."""
    async with stage(tmp_path) as on, on.sidecar() as parts:
        await settled(on, parts)
        on.mailcow.slow("get/alias-domain/all", 0.3)
        await parts.passes.reconcile()
        on.mailcow.slow("get/alias-domain/all", 0)
        asked = len(on.mailcow.asked("get/alias-domain/all"))
        await parts.passes.reconcile()
        assert len(on.mailcow.asked("get/alias-domain/all")) == asked
        on.mailcow.add_alias("alias.example", "example.org")
        on.clock.ahead += 60
        await parts.passes.reconcile()
        assert aliases(parts) == ["alias.example"]


async def test_unknown_mailcow_is_not_asked_for_the_whole_list_at_each_poll(tmp_path: Path) -> None:
    """Each poll asks which mailcow it is, and not for its domains."""
    async with stage(tmp_path) as on, on.sidecar() as parts:
        on.mailcow.says_version = "2025-07"
        await parts.passes.reconcile()
        on.mailcow.requests.clear()
        for _ in range(10):
            on.clock.ahead += 30
            await parts.passes.reconcile()
        assert len(on.mailcow.asked("get/domain/all")) == 0
        on.mailcow.says_version = "2026-07a"
        on.clock.ahead += 30
        await parts.passes.reconcile()
        assert on.served() == {"example.org": text()}


async def test_policies_that_could_not_be_read_are_all_read_a_minute_later(tmp_path: Path) -> None:
    """nginx was not ready at the start: hundreds of domains must not be read ten at a time."""
    async with stage(tmp_path) as on, on.sidecar() as parts:
        on.conf.write_text(on.conf.read_text() + "ENABLE_SSL_SNI=y\n")
        for number in range(40):
            on.mailcow.add_domain(f"d{number}.example")
        on.mailcow.fail(POLICY, Fault.HTML_502)
        await parts.passes.reconcile()
        assert on.served() == {}
        on.mailcow.heal()
        on.clock.ahead = 61
        await parts.passes.reconcile()
        assert len(on.served()) == 41


async def test_after_a_clock_was_set_back_everything_is_observed_again(tmp_path: Path) -> None:
    """It was ten days ahead: policies, containers and the list are read again at once."""
    async with stage(tmp_path) as on, on.sidecar() as parts:
        on.clock.ahead = 10 * 86_400
        await settled(on, parts)
        on.clock.ahead = 0
        on.mailcow.person_sets_policy("example.org", mode="none", mx=HOST, max_age=86_400)
        looked = on.engine.count("/containers/json")
        report = await parts.passes.reconcile()
        assert on.engine.count("/containers/json") > looked
        assert "policy.foreign" in {notice.code for notice in report.plan.notices}


async def test_refused_key_is_tried_again_after_a_clock_was_set_back(tmp_path: Path) -> None:
    """Within an hour, and not only when that day comes again."""
    async with stage(tmp_path, MTA_STS_API_KEY="WRONG") as on, on.sidecar() as parts:
        on.clock.ahead = 10 * 86_400
        await parts.passes.reconcile()
        on.clock.ahead = 0
        await parts.passes.reconcile()
        asked = len(on.mailcow.requests)
        assert asked == 1
        on.clock.ahead = 3_700
        await parts.passes.reconcile()
        assert len(on.mailcow.requests) > asked


# --- a person was faster -------------------------------------------------------------------------------


async def test_policy_that_a_person_changed_since_it_was_read_is_not_overwritten(tmp_path: Path) -> None:
    """Served policies are read every ten minutes, and once more before a write."""
    async with stage(tmp_path) as on, on.sidecar() as parts:
        await settled(on, parts)
        on.mailcow.person_sets_policy("example.org", mode="none", mx=HOST, max_age=86_400)
        on.conf.write_text(on.conf.read_text().replace(f"={HOST}", "=new.example.org"))
        report = await parts.passes.reconcile()
        assert "mode: none" in on.served()["example.org"]
        assert [o.result for o in report.outcomes] == [Result.FAILED]
        on.clock.ahead += 60
        again = await parts.passes.reconcile()
        assert again.outcomes == ()
        assert "policy.foreign" in {notice.code for notice in again.plan.notices}


async def test_file_that_a_person_wrote_in_the_middle_of_a_pass_is_not_overwritten(tmp_path: Path) -> None:
    """A pass may wait for mailcow's list for a minute."""
    async with stage(tmp_path, version="2025-07") as on, on.sidecar() as parts:
        await parts.passes.reconcile()
        on.conf.write_text(on.conf.read_text().replace(f"={HOST}", "=new.example.org"))
        observed, plan = await parts.passes.look()
        assert [type(action) for action in plan.actions] == [WriteFile]
        on.policy_file.write_text(text(Mode.NONE))
        (outcome,) = await parts.passes.applier.apply(plan.actions, observed)
        assert (outcome.result, on.policy_file.read_text()) == (Result.FAILED, text(Mode.NONE))


async def test_file_that_cannot_be_seen_any_more_is_not_overwritten(tmp_path: Path) -> None:
    """Unknown never permits a write."""
    async with stage(tmp_path, version="2025-07") as on, on.sidecar() as parts:
        observed, plan = await parts.passes.look()
        shutil.rmtree(on.policy_file.parent)
        on.policy_file.parent.write_text("no folder")
        (outcome, *_) = await parts.passes.applier.apply(plan.actions, observed)
        assert outcome.result is Result.FAILED
        assert "was not changed" in str(outcome.detail)


async def test_restart_that_was_not_carried_out_is_not_counted(tmp_path: Path) -> None:
    """acme-mailcow woke up just before: no order was caused, so the next pass does not wait for one."""
    async with stage(tmp_path) as on, on.sidecar() as parts:
        await parts.passes.reconcile()
        on.resolves(NAME)
        await parts.passes.reconcile()
        on.clock.ahead = 3_700
        observed, plan = await parts.passes.look(probing=True)
        assert [type(action) for action in plan.actions] == [RestartAcme]
        on.engine.containers[0].commands = ["/srv/acme.sh"]
        (outcome,) = await parts.passes.applier.apply(plan.actions, observed)
        assert (outcome.result, on.engine.count("/restart")) == (Result.FAILED, 0)
        assert parts.passes.ledger.memory.restarts == ()


async def test_write_that_waits_does_not_delay_a_certificate(tmp_path: Path) -> None:
    """A key that may no longer write: each pass plans that policy again, and acme-mailcow is still restarted."""
    async with stage(tmp_path) as on:
        await on.once()
        on.more["MTA_STS_API_KEY"] = str(on.mailcow.read_only_key)
        on.mailcow.add_domain("late.example")
        on.resolves(NAME)
        async with at_work(on) as parts:
            for _ in range(3):
                await parts.passes.reconcile()
                on.clock.ahead += 30
            report = await parts.passes.reconcile()
        assert any(isinstance(h.action, AddPolicy) for h in report.plan.held)
        assert on.engine.count("/restart") == 1


async def test_held_restart_asks_again_about_the_name_that_failed_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One probe in each pass, and not one for each name of the certificate."""
    other, elsewhere, asked = "autoconfig.example.org", True, []
    real = Challenges.probe

    async def probe(
        self: Challenges, names: Mapping[str, Addresses], nginx: tuple[str, int]
    ) -> dict[str, Sight[Challenge]]:
        asked.append(sorted(names))
        found = await real(self, names, nginx)
        if elsewhere and other in found:
            found[other] = Seen(Challenge(Answered.NO, "it answers 404 for the file"), on.clock.now())
        return found

    monkeypatch.setattr(Challenges, "probe", probe)
    async with stage(tmp_path) as on:
        on.certify(HOST, other)
        on.resolves(NAME, other)
        async with on.sidecar() as parts:
            await parts.passes.reconcile()
            for _ in range(3):
                on.clock.ahead += 31
                await parts.passes.reconcile()
            on.clock.ahead += 31
            report = await parts.passes.reconcile()
            assert f"{other} is in the certificate and would be dropped" in str(report.plan.held)
            assert asked == [sorted((HOST, NAME, other)), [other], [other]]
            elsewhere = False
            on.clock.ahead += 31
            await parts.passes.reconcile()
            assert on.engine.count("/restart") == 1


async def test_run_with_a_long_log_is_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run for thousands of names: its beginning has the public addresses."""
    monkeypatch.setattr(observer, "ACME_LOG_LINES", 4)
    async with stage(tmp_path) as on:
        on.acme_confirmed(HOST, "a.example", "b.example")
        await on.once()
        on.resolves(NAME)
        await on.once()
        on.clock.ahead = 31
        report = await on.once()
        assert [type(o.action) for o in report.outcomes] == [RestartAcme], report.plan.held


async def test_interrupted_re_creation_is_repaired_by_an_action(tmp_path: Path) -> None:
    """It is planned, done once, and in the history; it does not count as a restart."""
    async with stage(tmp_path) as on:
        usual = on.acme.name
        on.acme.renamed = usual + OLD_SUFFIX
        report = await on.once()
        (done,) = [o for o in report.outcomes if isinstance(o.action, HealAcme)]
        assert (done.result, on.acme.name) == (Result.DONE, usual)
        async with on.sidecar() as parts:
            assert [event.what for event in parts.state.history("acme-mailcow")] == ["repair"]
            assert parts.passes.ledger.memory.restarts == ()
            assert not [a for a in (await parts.passes.reconcile()).plan.actions if isinstance(a, HealAcme)]
        assert on.engine.count("/rename") == 1


@pytest.mark.parametrize("config", ["manage: {acme: false}", "dry_run: true"], ids=["not managed", "dry run"])
async def test_repair_that_is_not_managed_is_shown_and_not_done(tmp_path: Path, config: str) -> None:
    """Like any other action."""
    async with stage(tmp_path, config=config) as on:
        on.acme.renamed = on.acme.name + OLD_SUFFIX
        report = await on.once()
        assert [type(h.action) for h in report.plan.held].count(HealAcme) == 1
        assert on.engine.count("/rename") == 0


async def test_repair_that_fails_is_an_error_until_it_works(tmp_path: Path) -> None:
    """It waits longer after each failure, and the next attempt starts from what is there."""
    async with stage(tmp_path) as on, on.sidecar() as parts:
        usual = on.acme.name
        on.acme.renamed = usual + OLD_SUFFIX
        on.engine.failing[f"/containers/{on.acme.id}/rename"] = (500, "no space left")
        report = await parts.passes.reconcile()
        (failed,) = [o for o in report.outcomes if isinstance(o.action, HealAcme)]
        assert failed.result is Result.FAILED
        report = await parts.passes.reconcile()
        assert [type(h.action) for h in report.plan.held].count(HealAcme) == 1
        (notice,) = [n for n in report.plan.notices if n.code is NoticeCode.ACME_NOT_HEALED]
        assert (notice.level, notice.message) == (Level.ERROR, failed.detail)
        on.engine.failing.clear()
        on.clock.ahead = 3_700
        await parts.passes.reconcile()
        assert on.acme.name == usual
        report = await parts.passes.reconcile()
        assert NoticeCode.ACME_NOT_HEALED not in {n.code for n in report.plan.notices}
