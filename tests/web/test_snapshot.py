"""When the view of the page is computed, and how long it is kept."""

import asyncio

from sidecar.host.tasks import end_tasks
from sidecar.reconcile.passes import PassReport
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


async def test_view_that_nobody_asks_for_is_forgotten_at_the_next_change_and_computed_again() -> None:
    """It holds all that its pass knew."""
    source = Counting(report_of((GivenDomain("example.org"),)))
    snapshots = Snapshots(source)
    warm = asyncio.create_task(snapshots.warm())
    try:
        source.changes.note()
        await until(lambda: snapshots.kept, 10)
        source.changes.note()
        await until(lambda: not snapshots.kept, 10)
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
        await until(lambda: snapshots.kept, 10)
        for _ in range(3):
            await snapshots.site()
            source.changes.note()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert snapshots.kept
    finally:
        await end_tasks(warm)
        await snapshots.close()
