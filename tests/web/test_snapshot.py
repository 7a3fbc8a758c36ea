"""When the view of the page is computed, and how long it is kept."""

import asyncio
import threading

import pytest

from sidecar.host.tasks import end_tasks
from sidecar.reconcile.passes import PassReport
from sidecar.status.domains import CurrentStatus
from sidecar.status.once import Once
from sidecar.web.snapshot import Snapshots
from tests.running import until
from tests.web.fakes import FakeSource, GivenDomain, report_of


class Counting(FakeSource):
    """Counts how often a view is computed."""

    made = 0

    def latest(self) -> tuple[PassReport, Once] | None:
        self.made += 1
        return super().latest()


class Slow(FakeSource):
    """Its views are computed when `go_on` is set."""

    def __init__(self, report: PassReport) -> None:
        super().__init__(report)
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.go_on.set()

    def latest(self) -> tuple[PassReport, Once] | None:
        found = super().latest()
        if found is None:
            return None
        report, status = found

        def computed() -> CurrentStatus:
            if not self.go_on.is_set():
                self.begun.set()
                self.go_on.wait(10)
            return status()

        return report, computed  # type: ignore[return-value] # called like a `Once`


async def test_view_that_nobody_asks_for_is_forgotten_at_the_next_change_and_computed_again() -> None:
    """It holds all that its pass knew."""
    source = Counting(report_of((GivenDomain("example.org"),)))
    snapshots = Snapshots(source)
    warm = asyncio.create_task(snapshots.warm())
    try:
        source.changes.note()
        await until(lambda: snapshots._site is not None, 10)
        source.changes.note()
        await until(lambda: snapshots._site is None, 10)
        made = source.made
        site = await snapshots.site()
        assert site is not None
        assert "example.org" in site.rows
        assert source.made == made + 1
    finally:
        await end_tasks(warm)
        await snapshots.close()


async def test_view_that_is_asked_for_is_kept() -> None:
    """The next page shows it at once if a newer one takes long."""
    source = Counting(report_of((GivenDomain("example.org"),)))
    snapshots = Snapshots(source)
    warm = asyncio.create_task(snapshots.warm())
    try:
        source.changes.note()
        await until(lambda: snapshots._site is not None, 10)
        for _ in range(3):
            await snapshots.site()
            source.changes.note()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert snapshots._site is not None
    finally:
        await end_tasks(warm)
        await snapshots.close()


async def test_view_that_is_forgotten_while_a_page_waits_for_a_newer_one_is_still_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Never as if there had been no pass yet."""
    monkeypatch.setattr("sidecar.web.snapshot.PATIENCE_S", 10)
    source = Slow(report_of((GivenDomain("example.org"),)))
    snapshots = Snapshots(source)
    warm = asyncio.create_task(snapshots.warm())
    try:
        source.changes.note()
        await until(lambda: snapshots._site is not None, 10)
        await snapshots.site()
        source.go_on.clear()
        snapshots._not_before = 0.0
        source.changes.note()
        page = asyncio.create_task(snapshots.site())
        await until(source.begun.is_set, 10)
        for _ in range(2):
            source.changes.note()
            await until(lambda: not snapshots._asked, 10)
        assert snapshots._making is not None
        snapshots._making.add_done_callback(lambda _: source.changes.note())
        source.go_on.set()
        assert await page is not None
    finally:
        source.go_on.set()
        await end_tasks(warm)
        await snapshots.close()
