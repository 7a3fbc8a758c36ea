"""Reports from a mailbox while the daemon runs: each is fetched once, and trouble is a notice until it ends."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from sidecar.daemon import receiving
from sidecar.daemon.receiving import Receiving
from sidecar.dns.ask import Lookups
from sidecar.host.errors import PermanentError
from sidecar.observed.notice import NoticeCode
from sidecar.reports import receive_imap
from sidecar.reports.receive_imap import Mailbox, MailboxPlace
from sidecar.reports.store import ReportStore
from sidecar.settings.load import load
from tests.formats.tls_report_corpus import attached, message, packed, report
from tests.reports.conftest import closed_stores
from tests.stage import Clock

__all__ = ["closed_stores"]  # used by every test here

IMAP = {"reports": {"receive": "imap", "imap": {"host": "mail.example.org", "user": "reports@example.org"}}}
Answer = Callable[[Callable[[bytes], bool], Callable[[MailboxPlace], None]], int]


async def visits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *answers: Answer, password: bool = True
) -> tuple[Receiving, ReportStore, list[MailboxPlace]]:
    """So many visits, each answered so; with the places from which they went on."""
    places: list[MailboxPlace] = []
    left = list(answers)
    done = asyncio.Event()
    loop = asyncio.get_running_loop()

    def fetch(
        _box: Mailbox,
        place: MailboxPlace,
        take: Callable[[bytes], bool],
        reached: Callable[[MailboxPlace], None],
    ) -> int:
        places.append(place)
        answer = left.pop(0)
        if not left:
            loop.call_soon_threadsafe(done.set)
        return answer(take, reached)

    monkeypatch.setattr(receive_imap, "fetch", fetch)
    monkeypatch.setattr(receiving, "MAILBOX_S", 0.01)
    monkeypatch.setattr(receiving, "MAILBOX_AGAIN_S", (0.01,))
    env = {"MTA_STS_STATE_DIR": str(tmp_path), **({"MTA_STS_IMAP_PASSWORD": "secret"} if password else {})}
    settings = load(env, yaml.safe_dump(IMAP).encode(), {})
    store, clock = ReportStore(tmp_path), Clock()
    made = Receiving(settings, clock, Lookups(None, clock.now), store, lambda: {"example.org"})
    task = asyncio.create_task(made.run())
    if answers:
        await asyncio.wait_for(done.wait(), 10)
    await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return made, store, places


def takes(uid: int) -> Answer:
    """A new message of this number."""

    def answer(take: Callable[[bytes], bool], reached: Callable[[MailboxPlace], None]) -> int:
        assert take(message(attached(packed(report(report_id=f"r{uid}")))))
        reached(MailboxPlace(1, uid))
        return 1

    return answer


def empty(_take: Callable[[bytes], bool], _reached: Callable[[MailboxPlace], None]) -> int:
    """Nothing new."""
    return 0


def refuses(_take: Callable[[bytes], bool], _reached: Callable[[MailboxPlace], None]) -> int:
    """A wrong password."""
    raise PermanentError("the name or the password was refused")


async def test_each_visit_continues_where_the_last_one_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stored before it is noted; the next start would go on there as well."""
    made, store, places = await visits(tmp_path, monkeypatch, takes(4), takes(9), empty)
    assert places[:3] == [MailboxPlace(), MailboxPlace(1, 4), MailboxPlace(1, 9)]
    assert len(store.kept()) == 2
    assert made.trouble() == ()


async def test_trouble_with_the_mailbox_is_a_notice_until_it_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Visits go on, and the notice goes."""
    made, _, _ = await visits(tmp_path, monkeypatch, refuses)
    (notice,) = made.trouble()
    assert notice.code is NoticeCode.REPORTS_NOT_RECEIVED
    assert "the password was refused" in notice.message
    made, _, places = await visits(tmp_path, monkeypatch, refuses, empty)
    assert (len(places) >= 2, made.trouble()) == (True, ())


async def test_a_missing_password_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the variable that it belongs in."""
    made, _, places = await visits(tmp_path, monkeypatch, password=False)
    (notice,) = made.trouble()
    assert (places, notice.todo) == ([], "set MTA_STS_IMAP_PASSWORD")
