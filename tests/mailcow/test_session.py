"""How many calls the conversation with mailcow takes, and what each is for."""

from pathlib import Path

import pytest

from demo.simulated import Fault
from sidecar.daemon.wiring import Parts
from sidecar.observed import Backend, Seen
from sidecar.plan.schedule import LIST_AT_LEAST_S
from tests.reconcile.test_observe import at_work
from tests.stage import Stage, stage

LIST = "get/domain/all"


def calls(on: Stage, since: int) -> list[str]:
    """The calls since then: the route, for a policy only that it is one."""
    return [
        "policy" if request.route.startswith("/.well-known") else request.route.removeprefix("/api/v1/")
        for request in on.mailcow.requests[since:]
        if "dns_diagnostics" not in request.route
    ]


async def quiet(on: Stage, parts: Parts) -> int:
    """Passes until the list is known and nothing is stale; how many requests there were."""
    for _ in range(3):
        await parts.passes.reconcile()
    return len(on.mailcow.requests)


@pytest.mark.parametrize(
    ("version", "counts"), [("2026-03", "search/domain"), ("2025-12", "get/domain/datatables")]
)
async def test_new_domain_costs_three_calls_before_the_list_and_three_after(
    tmp_path: Path, version: str, counts: str
) -> None:
    """Counts and alias domains before; what is served, the write and the reading back after."""
    async with stage(tmp_path, version=version) as on, at_work(on) as parts:
        since = await quiet(on, parts)
        on.mailcow.add_domain("new.example")
        await parts.passes.reconcile()
        assert "new.example" in on.served()
        found = calls(on, since)
    at = found.index(LIST)
    assert found[:at] == [counts, counts, "get/alias-domain/all"]
    assert found[at + 1 :] == ["policy", "add/mta-sts", "policy"]


async def test_domain_that_comes_while_the_list_is_asked_for_is_not_overlooked(tmp_path: Path) -> None:
    """The counts are older than the list: the next poll sees that they differ."""
    async with stage(tmp_path) as on, at_work(on) as parts:
        await quiet(on, parts)
        on.mailcow.add_domain("one.example")
        session = parts.session
        assert session.api is not None
        real = session.api.timed_domain_list

        async def later() -> object:
            found = await real()
            on.mailcow.add_domain("two.example")
            return found

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(session.api, "timed_domain_list", later)
            await parts.passes.reconcile()
        assert "two.example" not in on.served()
        await parts.passes.reconcile()
        assert {"one.example", "two.example"} <= on.served().keys()


async def test_list_that_failed_is_asked_for_again_with_new_counts(tmp_path: Path) -> None:
    """Counts without their list are not remembered."""
    async with stage(tmp_path) as on, at_work(on) as parts:
        await quiet(on, parts)
        on.mailcow.add_domain("new.example")
        on.mailcow.fail(LIST, Fault.HTML_502)
        await parts.passes.reconcile()
        assert "new.example" not in on.served()
        on.mailcow.heal()
        on.clock.ahead += 120
        await parts.passes.reconcile()
        assert "new.example" in on.served()


async def test_which_mailcow_it_is_is_asked_again_although_domains_keep_coming(tmp_path: Path) -> None:
    """An update is noticed as soon as with an unchanged list."""
    async with stage(tmp_path, version="2025-07") as on, at_work(on) as parts:
        await quiet(on, parts)
        on.mailcow.update_to("2025-09")
        seen = []
        for number in range(3):
            on.mailcow.add_domain(f"new{number}.example")
            on.clock.ahead += LIST_AT_LEAST_S / 2
            observed = (await parts.passes.reconcile()).observed
            assert isinstance(observed.mailcow, Seen)
            seen.append(observed.mailcow.value.backend)
        assert seen[-1] is Backend.NATIVE
