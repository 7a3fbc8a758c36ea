"""The alias and the transport for TLS reports, created and removed by real passes against a simulated mailcow."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from demo.simulated import Fault
from sidecar.daemon.wiring import Parts, read_settings
from sidecar.observed import Seen
from sidecar.observed.notice import NoticeCode
from sidecar.observed.report_route import INTERNAL_ADDRESS, INTERNAL_DOMAIN
from sidecar.plan.actions import ChangeReportRoute
from sidecar.plan.records import MailDomain, RecordNeed, RecordState, needed, questions
from sidecar.plan.report_way import ANNOUNCED_S
from sidecar.reconcile.apply import Result
from sidecar.reconcile.passes import PassReport
from tests.stage import Stage, stage

HOP = "[172.22.1.247]:2526"
ADDRESS = "tls-reports@example.org"
OWNER = "_smtp._tls.example.org"


@contextlib.asynccontextmanager
async def daemon(on: Stage, nexthop: str | None = HOP) -> AsyncIterator[Parts]:
    """A sidecar whose port for reports is open there."""
    async with on.sidecar() as parts:
        parts.passes.observer.nexthop = lambda: nexthop
        yield parts


async def passes(on: Stage, count: int = 6, nexthop: str | None = HOP) -> PassReport:
    """So many passes of one process; the report of the last."""
    async with daemon(on, nexthop) as parts:
        for _ in range(count - 1):
            await parts.passes.reconcile()
        return await parts.passes.reconcile()


def rows(on: Stage) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """The aliases with their targets and the transports with their next hops that mailcow has."""
    routes = on.mailcow.world.routes
    aliases = [(row["address"], row["goto"]) for row in routes.aliases.values()]
    return aliases, [(row["destination"], row["nexthop"]) for row in routes.transports.values()]


def changes(report: PassReport) -> list[str]:
    """What was done to the route."""
    return [type(o.action.step).__name__ for o in report.outcomes if isinstance(o.action, ChangeReportRoute)]


async def made(on: Stage) -> None:
    """Until the route is in place."""
    await passes(on, 1)
    on.clock.ahead += ANNOUNCED_S + 1
    await passes(on)
    assert rows(on) == ([(ADDRESS, INTERNAL_ADDRESS)], [(INTERNAL_DOMAIN, HOP)])


async def test_route_is_announced_first_and_then_created_step_by_step(tmp_path: Path) -> None:
    """The transport before the alias; each step is in the history with its reason, and then there is nothing to do."""
    async with stage(tmp_path) as on:
        report = await passes(on, 1)
        assert NoticeCode.REPORTS_ANNOUNCED in {n.code for n in report.plan.notices}
        (held,) = [h for h in report.plan.held if isinstance(h.action, ChangeReportRoute)]
        assert held.until == report.observed.now + ANNOUNCED_S
        assert "receive: off" in str(held.remedy)
        assert rows(on) == ([], [])
        on.clock.ahead = ANNOUNCED_S + 1
        async with daemon(on) as parts:
            assert changes(await parts.passes.reconcile()) == ["AddTransport"]
            assert changes(await parts.passes.reconcile()) == ["AddAlias"]
            last = await parts.passes.reconcile()
            history = parts.state.history(ADDRESS, 10)
        assert changes(last) == []
        assert [h for h in last.plan.held if isinstance(h.action, ChangeReportRoute)] == []
        assert rows(on) == ([(ADDRESS, INTERNAL_ADDRESS)], [(INTERNAL_DOMAIN, HOP)])
        assert [event.what for event in history] == ["change report route"]


async def test_record_with_the_address_is_missing_only_once_the_route_is_in_place(tmp_path: Path) -> None:
    """Before that, reports would bounce; a person's own record is left as it is."""
    async with stage(tmp_path) as on:
        first = await passes(on, 1)
        assert need(on, first).standing is RecordState.NOT_SET
        await made(on)
        on.dns[f"{OWNER}.", "TXT"] = []
        missing = need(on, await asked(on))
        assert missing.standing is RecordState.MISSING
        assert missing.record is not None
        assert missing.record.value == f"v=TLSRPTv1; rua=mailto:{ADDRESS}"
        on.dns[f"{OWNER}.", "TXT"] = [f'"v=TLSRPTv1; rua=mailto:{ADDRESS}"']
        assert need(on, await asked(on)).standing is RecordState.PRESENT
        on.dns[f"{OWNER}.", "TXT"] = ['"v=TLSRPTv1; rua=mailto:me@example.net"']
        other = need(on, await asked(on))
        assert (other.standing, other.record) == (RecordState.PRESENT, None)


async def asked(on: Stage) -> PassReport:
    """A pass that asked for the record."""
    async with daemon(on) as parts:
        observed, plan = await parts.passes.look()
        observed = await parts.passes.observer.look_up(observed, questions("", ["example.org"]))
    return PassReport(observed, plan, ())


def need(on: Stage, report: PassReport) -> RecordNeed:
    """What the TLSRPT record of example.org should be."""
    (found,) = needed(report.observed, read_settings(on.env, on.clock), [MailDomain("example.org")])
    return found.report


@pytest.mark.parametrize("config", ["reports: {receive: off}\n", "tls_report: mailto:me@example.net\n"])
async def test_route_is_removed_when_reports_are_no_longer_wanted_here(tmp_path: Path, config: str) -> None:
    """The alias before the transport; afterwards mailcow is not even asked for them."""
    async with stage(tmp_path) as on:
        await made(on)
        on.configure(config)
        report = await passes(on, 3, None)
        assert rows(on) == ([], [])
        assert changes(report) == []
        on.mailcow.requests.clear()
        await passes(on, 2, None)
        assert on.mailcow.asked("get/transport/all") == []


def forget(on: Stage) -> None:
    """As if somebody had deleted the state."""
    for name in ("state.sqlite", "state.sqlite-wal", "state.sqlite-shm"):
        Path(on.env["MTA_STS_STATE_DIR"], name).unlink(missing_ok=True)


async def test_route_is_removed_also_after_the_state_was_lost(tmp_path: Path) -> None:
    """Our own port and address are known by their values: otherwise reports would wait in postfix forever."""
    async with stage(tmp_path) as on:
        await made(on)
        forget(on)
        await passes(on, 2)
        on.configure("reports: {receive: off}\n")
        await passes(on, 3, None)
        assert rows(on) == ([], [])


@pytest.mark.parametrize("config", ["reports: {receive: off}\n", "tls_report: mailto:me@example.net\n"])
async def test_route_is_not_created_unless_it_is_wanted(tmp_path: Path, config: str) -> None:
    """Neither written nor read."""
    async with stage(tmp_path, config=config) as on:
        await passes(on, 2)
        on.clock.ahead = ANNOUNCED_S + 1
        await passes(on)
        assert rows(on) == ([], [])
        assert on.mailcow.asked("get/transport/all") == []


@pytest.mark.parametrize("more", [{"MTA_STS_DRY_RUN": "1"}, {}])
async def test_route_is_held_in_a_dry_run_and_when_it_is_not_managed(
    tmp_path: Path, more: dict[str, str]
) -> None:
    """And the plan shows it with the reason."""
    async with stage(tmp_path, **more) as on:
        if not more:
            on.configure("manage: {reports: false}\n")
        await passes(on, 1)
        on.clock.ahead = ANNOUNCED_S + 1
        report = await passes(on)
        held = [h.reason for h in report.plan.held if isinstance(h.action, ChangeReportRoute)]
        assert held == ["dry run" if more else "the settings say `manage: {reports: false}`"]
        assert rows(on) == ([], [])


async def test_alias_of_a_person_with_that_name_is_left_unchanged_and_reported(tmp_path: Path) -> None:
    """An alias with a target of their own; the transport is ours and may stay."""
    async with stage(tmp_path) as on:
        alias(on, ADDRESS, "admin@example.org")
        await passes(on, 1)
        on.clock.ahead = ANNOUNCED_S + 1
        report = await passes(on)
        assert (ADDRESS, "admin@example.org") in rows(on)[0]
        assert NoticeCode.REPORTS_FOREIGN in {n.code for n in report.plan.notices}
        assert need(on, report).standing is RecordState.NOT_SET


def alias(on: Stage, address: str, goto: str) -> None:
    """A person adds an alias in mailcow's page."""
    routes = on.mailcow.world.routes
    routes.last_alias += 1
    row = {"id": routes.last_alias, "address": address, "goto": goto, "active": 1}
    routes.aliases[routes.last_alias] = row


async def test_a_sidecar_with_a_new_address_changes_its_transport(tmp_path: Path) -> None:
    """The record stays valid meanwhile: postfix keeps what arrives."""
    async with stage(tmp_path) as on:
        await made(on)
        other = "[172.22.1.9]:2526"
        await passes(on, 1, other)
        assert (await asked(on)).observed.memory.report_way.ready == ADDRESS
        on.clock.ahead += ANNOUNCED_S + 1
        await passes(on, 3, other)
        assert rows(on)[1] == [(INTERNAL_DOMAIN, other)]


async def test_a_row_that_a_person_changed_since_it_was_read_is_not_changed(tmp_path: Path) -> None:
    """Rows are read once an hour: they are read again before one is deleted."""
    async with stage(tmp_path) as on:
        await made(on)
        on.configure("reports: {receive: off}\n")
        async with daemon(on, None) as parts:
            observed, plan = await parts.passes.look()
            (row,) = on.mailcow.world.routes.aliases.values()
            row["goto"] = "admin@example.org"
            outcomes = await parts.passes.applier.apply(plan.actions, observed)
        assert [o.result for o in outcomes] == [Result.FAILED]
        assert rows(on)[0] == [(ADDRESS, "admin@example.org")]


async def test_mailcow_that_does_not_list_its_transports_changes_nothing(tmp_path: Path) -> None:
    """What was in place before still counts: its record stays valid."""
    async with stage(tmp_path) as on:
        await made(on)
        on.mailcow.fail("get/transport/all", Fault.HTML_500)
        report = await passes(on, 2)
        assert not isinstance(report.observed.report_route, Seen)
        assert report.observed.memory.report_way.ready == ADDRESS
        assert changes(report) == []
