"""From acceptance to evidence: proofs are stored, a silent DNS only delays, and trouble with one message stays there."""

import asyncio
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from sidecar.formats.report_message import LARGEST_MESSAGE
from sidecar.observed import Question, Sight
from sidecar.observed.reports import ReportWay
from sidecar.reports import intake as intake_module
from sidecar.reports.digest import Digest, digest
from sidecar.reports.intake import FIRST_WAIT_S, MOST_TRIES, Intake
from sidecar.reports.rows import SettledReport
from sidecar.reports.store import DAY_S, ReportStore
from tests.formats.tls_report_corpus import about, attached, message, packed, policy, report
from tests.reports.signed import Keys, signed

NOW = 1_795_600_000.0
SINCE = NOW - 30 * DAY_S
MESSAGE = message(attached(packed(report())))
NAME = "s1._domainkey.sender.example"


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


def senders(store: ReportStore) -> list[str | None]:
    """Who proved to have sent what is stored of example.org."""
    return [one.sender for one in store.reported("example.org", SINCE)]


async def test_a_signed_report_is_stored_with_its_sender(tmp_path: Path) -> None:
    """`on_new` is called once."""
    store, news = ReportStore(tmp_path), list[SettledReport]()
    intake = Intake(store, Keys(), Clock(), news.append)
    assert await intake.accept(signed(MESSAGE), ReportWay.SMTP)
    assert await intake.accept(signed(MESSAGE), ReportWay.SMTP)
    assert await intake.work() == 2
    assert senders(store) == ["sender.example"]
    assert news == [SettledReport(1, 0, ("example.org",))]


async def test_by_https_nothing_is_proven_whatever_is_posted(tmp_path: Path) -> None:
    """Not even a whole signed message: it may have been sent to somebody else."""
    store = ReportStore(tmp_path)
    intake = Intake(store, Keys(), Clock())
    await intake.accept(signed(MESSAGE), ReportWay.HTTPS)
    await intake.work()
    assert senders(store) == [None]


async def test_a_report_waits_while_the_dns_is_silent(tmp_path: Path) -> None:
    """Then its key is asked for again, and at last it counts as unproven."""
    store, clock = ReportStore(tmp_path), Clock()
    silent = Keys({NAME: None})
    intake = Intake(store, silent, clock)
    await intake.accept(signed(MESSAGE), ReportWay.SMTP)
    assert await intake.work() == 0
    assert await intake.work() == 0
    assert len(silent.asked) == 1
    clock.now += FIRST_WAIT_S
    assert await Intake(store, Keys(), clock).work() == 1
    assert senders(store) == ["sender.example"]


async def test_a_silent_dns_delays_a_report_for_a_limited_time(tmp_path: Path) -> None:
    """After some hours it is stored without proof."""
    store, clock = ReportStore(tmp_path), Clock()
    intake = Intake(store, Keys({NAME: None}), clock)
    await intake.accept(signed(MESSAGE), ReportWay.SMTP)
    for _ in range(MOST_TRIES):
        assert await intake.work() == 0
        clock.now += DAY_S
    assert await intake.work() == 1
    assert senders(store) == [None]


async def test_a_silent_dns_of_one_sender_holds_up_no_other(tmp_path: Path) -> None:
    """Keys are asked for together: each may take its whole deadline."""
    store, keys, others = ReportStore(tmp_path), Keys(), asyncio.Event()

    async def ask(questions: Iterable[Question], deadline_s: float) -> dict[Question, Sight[Any]]:
        wanted = list(questions)
        if any("slow.example" in one.name for one in wanted):
            await others.wait()
        else:
            others.set()
        return await keys(wanted, deadline_s)

    intake = Intake(store, ask, Clock())
    slow = message(attached(packed(report(report_id="slow")))).replace(b"sender.example", b"slow.example")
    await intake.accept(signed(slow, "slow.example"), ReportWay.SMTP)
    await intake.accept(signed(MESSAGE), ReportWay.SMTP)
    async with asyncio.timeout(30):
        assert await intake.work() == 2


async def test_a_flood_is_tidied_before_the_hour_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a clock that was set back does not put it off."""
    monkeypatch.setattr(intake_module, "TIDY_OCTETS", 3 * len(MESSAGE))
    store, clock, tidied = ReportStore(tmp_path), Clock(), list[float]()
    monkeypatch.setattr(store, "tidy", lambda now, _days: tidied.append(now))
    intake = Intake(store, Keys(), clock)
    await intake.work()
    await intake.work()
    assert len(tidied) == 1
    for _ in range(4):
        await intake.accept(MESSAGE, ReportWay.SMTP)
    await intake.work()
    assert len(tidied) == 2
    clock.now -= 400 * DAY_S
    await intake.work()
    assert tidied[2:] == [clock.now]


async def test_what_is_about_other_domains_is_not_kept_as_evidence(tmp_path: Path) -> None:
    """Anybody can invent a thousand; the message is kept as one that could not be used."""
    store = ReportStore(tmp_path)
    foreign = policy(policy=about(policy_domain="other.example"))
    intake = Intake(store, Keys(), Clock(), domains=lambda: {"example.org"})
    await intake.accept(packed(report(foreign, policy())), ReportWay.SMTP)
    await intake.work()
    assert store.domains() == ("example.org",)
    assert "not on this mailcow: other.example" in store.unreadable()[0].problem


async def test_a_bug_in_reading_one_message_holds_up_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is kept as unreadable."""
    store = ReportStore(tmp_path)
    intake = Intake(store, Keys(), Clock())
    await intake.accept(b"{1", ReportWay.SMTP)
    await intake.accept(packed(report()), ReportWay.SMTP)

    def fails(data: bytes) -> Digest:
        if data == b"{1":
            raise RuntimeError("a bug")
        return digest(data)

    monkeypatch.setattr(intake_module, "digest", fails)
    assert await intake.work() == 2
    assert store.domains() == ("example.org",)
    assert "RuntimeError" in store.unreadable()[0].problem


async def test_a_message_that_is_too_large_is_not_taken(tmp_path: Path) -> None:
    """Nothing of it is stored."""
    store = ReportStore(tmp_path)
    assert not await Intake(store, Keys(), Clock()).accept(b"x" * (LARGEST_MESSAGE + 1), ReportWay.SMTP)
    assert store.waiting(NOW) == ()


async def test_the_loop_reads_what_comes_in_and_what_waited(tmp_path: Path) -> None:
    """What an earlier process accepted is read at the start."""
    store = ReportStore(tmp_path)
    store.accept(MESSAGE, ReportWay.SMTP, NOW)
    came = asyncio.Event()
    intake = Intake(store, Keys(), Clock(), lambda _: came.set())
    running = asyncio.create_task(intake.run())
    await came.wait()
    came.clear()
    await intake.accept(packed(report(report_id="second")), ReportWay.SMTP)
    await came.wait()
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert store.days("example.org", SINCE)[0].ok == 24


async def test_a_store_that_fails_does_not_end_the_loop(tmp_path: Path) -> None:
    """It is tried again."""
    folder = tmp_path / "state"
    folder.write_text("a file where the folder should be")
    running = asyncio.create_task(Intake(ReportStore(folder), Keys(), Clock()).run())
    done, _ = await asyncio.wait([running], timeout=0.3)
    assert not done
    running.cancel()


@pytest.mark.integration
def test_what_few_use_is_not_imported_with_the_store() -> None:
    """The libraries for signatures, mailboxes and the SMTP port cost time and memory at the start of the daemon."""
    code = (
        "import sys, sidecar.reports.intake, sidecar.reports.store, sidecar.reports.receive_imap, sidecar.rollout.reports;"
        "print([name for name in ('dkim', 'imap_tools', 'aiosmtpd') if name in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert said.strip() == "[]"
