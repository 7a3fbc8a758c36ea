"""Actions in whole passes: the edit of mailcow.conf, key by key, and writes that take long."""

import dataclasses
from pathlib import Path

import pytest

from sidecar.observed import ConfEvent
from sidecar.plan.actions import EditConf
from sidecar.plan.conf_entries import SAN, SERVER_NAMES
from sidecar.reconcile.apply import Outcome, Result, policies
from tests.stage import Stage, stage
from tests.worlds import text

TAB = b"ADDITIONAL_SERVER_NAMES=\t# none yet\n"


def with_a_tab(on: Stage) -> bytes:
    """A mailcow.conf whose second list cannot be edited safely."""
    text = on.conf.read_bytes().replace(b"ADDITIONAL_SERVER_NAMES=\n", TAB)
    assert TAB in text
    on.conf.write_bytes(text)
    return text


def edits(outcomes: tuple[Outcome, ...]) -> list[tuple[list[str], Result, str]]:
    """The keys, how it ended, and why it was done."""
    return [
        (list(o.action.edits), o.result, o.action.reason) for o in outcomes if isinstance(o.action, EditConf)
    ]


async def test_key_that_cannot_be_edited_stops_no_other(tmp_path: Path) -> None:
    """Each has its own outcome with its own reason; the file is written once, and what was refused is not ours."""
    async with stage(tmp_path, version="2025-07") as on:
        before = with_a_tab(on)
        async with on.sidecar() as parts:
            report = await parts.passes.reconcile()
            memory = parts.passes.ledger.memory
        assert edits(report.outcomes) == [
            ([SAN], Result.DONE, "ADDITIONAL_SAN lacks mta-sts.*"),
            ([SERVER_NAMES], Result.REFUSED, "ADDITIONAL_SERVER_NAMES lacks mta-sts.*"),
        ]
        assert on.conf.read_bytes() == before.replace(b"_SAN=\n", b"_SAN=mta-sts.*\n")
        (refused,) = [o for o in report.outcomes if o.result is Result.REFUSED]
        assert "ADDITIONAL_SERVER_NAMES in line" in str(refused.detail)
        assert "has a tab in front of its comment" in str(refused.detail)
        last = {entry.key: entry.event for entry in memory.conf}
        assert last == {SAN: ConfEvent.ADDED, SERVER_NAMES: ConfEvent.REMOVED}


async def test_key_that_was_refused_waits_alone(tmp_path: Path) -> None:
    """The other key is edited in the very next pass; what was refused waits, longer each time."""
    async with stage(tmp_path, version="2025-07") as on, on.sidecar() as parts:
        before = with_a_tab(on)
        await parts.passes.reconcile()
        on.conf.write_bytes(before)
        report = await parts.passes.reconcile()
        assert edits(report.outcomes) == [([SAN], Result.DONE, "ADDITIONAL_SAN lacks mta-sts.*")]
        held = [h for h in report.plan.held if isinstance(h.action, EditConf)]
        assert [(list(h.action.edits), h.reason) for h in held if isinstance(h.action, EditConf)] == [
            ([SERVER_NAMES], "failed 1 times in a row")
        ]


async def test_key_that_a_person_put_right_is_edited(tmp_path: Path) -> None:
    """After its wait, without a restart of the sidecar."""
    async with stage(tmp_path, version="2025-07") as on, on.sidecar() as parts:
        before = with_a_tab(on)
        await parts.passes.reconcile()
        on.conf.write_bytes(before.replace(b"\t#", b" #"))
        on.clock.ahead += 31
        report = await parts.passes.reconcile()
        assert {key: result for keys, result, _ in edits(report.outcomes) for key in keys} == {
            SAN: Result.DONE,
            SERVER_NAMES: Result.DONE,
        }
        assert b"ADDITIONAL_SERVER_NAMES=mta-sts.* # none yet\n" in on.conf.read_bytes()


async def test_spaces_before_a_comma_are_repaired(tmp_path: Path) -> None:
    """acme-mailcow takes `smtp.* ` for a name; one edit, and the next pass has nothing to repair."""
    async with stage(tmp_path, version="2025-07") as on, on.sidecar() as parts:
        before = on.conf.read_bytes().replace(b"_SAN=\n", b"_SAN=mta-sts.* ,smtp.*\n")
        on.conf.write_bytes(before)
        report = await parts.passes.reconcile()
        assert b"ADDITIONAL_SAN=mta-sts.*,smtp.*\n" in on.conf.read_bytes()
        assert "ADDITIONAL_SAN has spaces before a comma" in str(edits(report.outcomes))
        again = await parts.passes.reconcile()
        assert edits(again.outcomes) == []
        assert [n.code for n in again.plan.notices if n.code.startswith("conf.")] == []


async def test_policies_that_are_not_written_in_time_are_left_to_the_next_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if they had not been meant: a pass that goes on for many minutes hears of nothing that comes meanwhile."""
    async with stage(tmp_path) as on, on.sidecar() as parts:
        monkeypatch.setattr(policies, "MOST_WRITES_S", 0.0)
        report = await parts.passes.reconcile()
        assert (report.outcomes, len(report.plan.actions)) == ((), 1)
        assert on.served() == {}
        assert parts.passes.ledger.memory.policy("example.org").writes == ()
        monkeypatch.undo()
        await parts.passes.reconcile()
        assert on.served() == {"example.org": text()}


def test_edit_of_some_keys_alone_keeps_their_reasons() -> None:
    """Without reasons by key, the whole reason stays."""
    action = EditConf({"A": None, "B": None}, "a; b", {"A": "a", "B": "b"})  # type: ignore[dict-item]
    assert action.only({"B"}) == EditConf({"B": None}, "b", {"B": "b"})  # type: ignore[dict-item]
    assert dataclasses.replace(action, reasons={}).only({"B"}).reason == "a; b"
