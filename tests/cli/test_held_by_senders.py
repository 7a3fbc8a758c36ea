"""Policies that senders still hold, when a person moves an MX or leaves MTA-STS; and the route of reports in `plan`."""

from pathlib import Path

import pytest

from sidecar.host.exits import Exit
from tests.cli.test_rollout import cli
from tests.reconcile.test_report_way import HOP, daemon
from tests.reconcile.test_tls_reports import sent
from tests.stage import stage

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    "command", [["retire", "example.org"], ["retire", "--all"], ["move-mx", "new.example.org"]]
)
async def test_a_sender_that_was_seen_with_the_old_policy_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    """If its report says so; without reports nothing is printed."""
    async with stage(tmp_path, MTA_STS_MODE="enforce") as on:
        await on.once()
        assert await cli(on, *command) == Exit.OK
        assert "was seen with" not in capsys.readouterr().out
        if command[0] == "retire":
            assert await cli(on, "retire", "--undo", command[1]) == Exit.OK
        sent(on, "google.example", mode="enforce")
        assert await cli(on, *command) == Exit.OK
        assert "google.example was seen with the old policy yesterday" in capsys.readouterr().out


async def test_a_sender_that_holds_nothing_strict_is_not_named_by_retire(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A policy in testing refuses nothing."""
    async with stage(tmp_path) as on:
        await on.once()
        sent(on, "google.example", mode="testing")
        assert await cli(on, "retire", "example.org") == Exit.OK
        assert "was seen with" not in capsys.readouterr().out


async def test_the_plan_shows_the_route_of_reports_that_the_daemon_will_create(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As held, with the reason and how to prevent it; `plan` changes nothing."""
    async with stage(tmp_path) as on:
        async with daemon(on) as parts:
            await parts.passes.reconcile()
        assert await cli(on, "plan") == Exit.OK
        said = capsys.readouterr().out
        assert "change report route tlsrpt.sidecar.internal: TLS reports of senders will be received" in said
        assert HOP in said
        assert "receive: off" in said
        assert on.mailcow.world.routes.transports == {}
        async with on.sidecar() as parts:
            assert parts.passes.ledger.memory.report_way.nexthop == HOP
