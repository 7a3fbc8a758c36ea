"""Reading thousands of policies: in parts, so that what is known is acted on, and nothing else is touched."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from demo.simulated import POLICY, Fault
from sidecar.daemon.loop import Daemon
from sidecar.daemon.wiring import Parts, assembled, read_settings
from sidecar.dns import questions as dns_questions
from sidecar.dns.ask import Lookups
from sidecar.mailcow import answers
from sidecar.observed import NOT_ASKED, Kind, Question, Seen, Sight, Unseen
from sidecar.reconcile import observe as observer
from sidecar.reconcile import passes as reconcile
from sidecar.reconcile import routine_dns
from sidecar.reconcile.observe import CONCURRENT_READS
from sidecar.reconcile.passes import PassReport
from tests.stage import HOST, Stage, stage
from tests.worlds import text

NAMES = tuple(f"d{number:02}.example" for number in range(18))


@asynccontextmanager
async def at_work(on: Stage) -> AsyncIterator[Parts]:
    """A sidecar as in `run`."""
    settings = read_settings(on.env, on.clock)
    async with assembled(settings, on.clock, on.env, on.event_log, patient=False) as parts:
        yield parts


@asynccontextmanager
async def many(folder: Path) -> AsyncIterator[Stage]:
    """A mailcow with more domains than are read at once."""
    async with stage(folder) as on:
        on.conf.write_text(on.conf.read_text() + "ENABLE_SSL_SNI=y\n")
        for name in NAMES:
            on.mailcow.add_domain(name)
        yield on


async def test_first_policies_are_written_before_all_were_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the time is over, what was read is acted on; the rest is unknown, and never overwritten."""
    monkeypatch.setattr(observer, "FIRST_READS_S", 0.0)
    async with many(tmp_path) as on, at_work(on) as parts:
        on.mailcow.person_sets_policy(NAMES[-1], mode="enforce", mx=HOST, max_age=86_400)
        report = await parts.passes.reconcile()
        seen = {name for name, sight in report.observed.served.items() if isinstance(sight, Seen)}
        assert len(seen) == CONCURRENT_READS
        assert report.observed.served.keys() == {*NAMES, "example.org"}
        assert set(on.served()) == {*seen, NAMES[-1]}
        assert report.looking
        passes = [report]
        while passes[-1].looking:
            passes.append(await parts.passes.reconcile())
        assert len(passes) == 5  # 19 domains, four in a pass
        assert {name: on.served()[name] for name in NAMES[:-1]} == dict.fromkeys(NAMES[:-1], text())
        assert "mode: enforce" in on.served()[NAMES[-1]]


async def test_pass_that_could_not_read_all_is_followed_by_a_longer_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each pass costs a plan for all domains, so few are better; once all was read, passes are short again."""
    monkeypatch.setattr(observer, "FIRST_READS_S", 1e-9)
    monkeypatch.setattr(observer, "MOST_READS_S", 3e-9)
    async with many(tmp_path) as on, at_work(on) as parts:
        found = [parts.passes.observer._reads_s]
        while (await parts.passes.reconcile()).looking:
            found.append(parts.passes.observer._reads_s)
        assert found == [1e-9, 2e-9, 3e-9, 3e-9, 3e-9]
        assert parts.passes.observer._reads_s == 1e-9


async def test_web_server_that_does_not_answer_is_not_asked_in_pass_after_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After some failures in a row the others count as failed, too, and are read a minute later."""
    monkeypatch.setattr(observer, "FIRST_READS_S", 0.0)
    async with many(tmp_path) as on, at_work(on) as parts:
        on.mailcow.fail(POLICY, Fault.HTML_502)
        report = await parts.passes.reconcile()
        assert not report.looking
        assert all(
            isinstance(sight, Unseen) and sight is not NOT_ASKED for sight in report.observed.served.values()
        )


async def test_command_reads_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`once`, `plan` and `status` have no next pass."""
    monkeypatch.setattr(observer, "FIRST_READS_S", 0.0)
    async with many(tmp_path) as on:
        await on.once()
        assert len(on.served()) == len(NAMES) + 1


async def test_daemon_goes_on_until_all_were_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without waiting for a poll, also where there was nothing to do for those that it read."""
    monkeypatch.setattr(observer, "FIRST_READS_S", 0.0)
    async with many(tmp_path) as on:
        await on.once()
        reports: list[PassReport] = []
        whole = asyncio.Event()

        def saw(report: PassReport) -> None:
            reports.append(report)
            if not report.looking:
                whole.set()

        daemon = Daemon({**on.env, "MTA_STS_POLL": "3600"}, on.clock, on_report=saw)
        running = asyncio.create_task(daemon.run())
        async with asyncio.timeout(30):
            await whole.wait()
        daemon.stop()
        await running
        assert [report.looking for report in reports[:5]] == [True, True, True, True, False]
        assert [outcome for report in reports for outcome in report.outcomes] == []


async def test_hostname_and_the_certificate_are_asked_for_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every other name is judged by them: after thousands of others, they would delay everything."""
    groups: list[set[str]] = []
    real = Lookups.ask

    async def ask(
        self: Lookups, questions: Iterable[Question], deadline_s: float
    ) -> dict[Question, Sight[object]]:
        asked = list(questions)
        groups.append({question.name for question in asked})
        return await real(self, asked, deadline_s)

    monkeypatch.setattr(Lookups, "ask", ask)
    monkeypatch.setattr(dns_questions, "IN_ONE_GROUP", 3)
    async with many(tmp_path) as on, at_work(on) as parts:
        on.certify(HOST, "one.example.org", "two.example.org")
        await parts.passes.reconcile()
    assert groups[0] == {HOST, "one.example.org", "two.example.org"}


async def test_event_loop_does_not_do_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long list is read, the picture is learned from and the plan is made in threads: the page answers meanwhile."""
    at: dict[str, threading.Thread] = {}

    def noted(module: object, name: str) -> None:
        real = getattr(module, name)

        def note(*given: object, **more: object) -> object:
            at[name] = threading.current_thread()
            return real(*given, **more)

        monkeypatch.setattr(module, name, note)

    work = [(answers, "read_domains"), (answers, "read_aliases")] + [
        (reconcile, n) for n in ("learn_all", "decide")
    ]
    for module, name in [*work, (routine_dns, "routine_questions")]:
        noted(module, name)
    async with stage(tmp_path) as on, at_work(on) as parts:
        await parts.passes.reconcile()
    assert len(at) == 5
    assert [name for name, thread in at.items() if thread is threading.main_thread()] == []


async def test_thousands_of_questions_are_asked_in_parts_and_the_pass_reports_progress(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a pass that judges a certificate with thousands of names would seem to hang."""
    monkeypatch.setattr(dns_questions, "LOOKED_UP_AT_ONCE", 2)
    async with stage(tmp_path) as on, at_work(on) as parts:
        on.resolves(*NAMES[:5])
        watched = parts.passes.observer
        moves: list[int] = []
        watched.on_moved(lambda: moves.append(1))
        observed, _ = await watched.observe(parts.passes.ledger.memory)
        asked = frozenset(Question(Kind.ADDRESSES, name) for name in NAMES[:5])
        found = await watched.look_up(observed, asked)
        assert {name for name in NAMES[:5] if isinstance(found.dns.addresses_of(name), Seen)} == {*NAMES[:5]}
        assert len(moves) == 3
