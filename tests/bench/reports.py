"""What TLS reports cost: `python -m tests.bench.reports` receives and reads 10,000 of them, and reads a page over them."""

import asyncio
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from sidecar.daemon.wiring import TEST_POSTFIX
from sidecar.observed.reports import ReportWay
from sidecar.reports.importing import import_reports
from sidecar.reports.intake import Intake
from sidecar.reports.store import DAY_S, ReportStore
from sidecar.status.reports import ReportsView, page_view
from tests.formats.tls_report_corpus import attached, dates, detail, failing, message, packed, report
from tests.reports.signed import Keys
from tests.running import process, until
from tests.stage import stage
from tests.web.fakes import FakeSource, source_of
from tests.web.visitor import visiting

NOW = 1_795_600_000.0
COUNT = 10_000


def messages(first: str, count: int) -> Iterator[bytes]:
    """Messages as a busy month brings them: some of 50 sending hosts failed on each day."""
    for n in range(count):
        day = f"2026-11-{1 + n % 25:02}"
        bad = failing(detail(sending_mta_ip=f"192.0.2.{n % 50}"))
        found = report(bad, report_id=f"{first}{n}", date_range=dates(f"{day}T00:00:00Z", f"{day}T23:59:59Z"))
        yield message(attached(packed(found)))


async def measure(folder: Path) -> None:
    """Prints the figures."""
    store = ReportStore(folder)
    me = psutil.Process()
    datas = list(messages("s", 2_000))
    intake = Intake(store, Keys({}), lambda: NOW)
    begun = time.monotonic(), time.process_time()
    for at in range(0, len(datas), 10):  # postfix delivers several at a time
        await asyncio.gather(*(intake.accept(data, ReportWay.SMTP) for data in datas[at : at + 10]))
    await intake.work()
    _tell("accepted one by one, then read", len(datas), *begun)
    datas = list(messages("i", COUNT))
    before = me.memory_full_info().uss
    begun = time.monotonic(), time.process_time()
    await import_reports(store, ((str(n), data) for n, data in enumerate(datas)), Keys({}), NOW)
    _tell("imported", len(datas), *begun)
    print(f"memory grew by {(me.memory_full_info().uss - before) / 2**20:.1f} MB")
    start, since = time.monotonic(), NOW - 90 * DAY_S
    store.days("example.org", since)
    store.failures("example.org", since)
    store.holdings("example.org", since)
    store.unreadable()
    print(f"the figures of a domain's page: {(time.monotonic() - start) * 1_000:.0f} ms")
    start = time.monotonic()
    store.reported("example.org", NOW - 35 * DAY_S)
    print(f"the evidence of a domain: {(time.monotonic() - start) * 1_000:.0f} ms")
    await page(store)
    store.close()


async def page(store: ReportStore) -> None:
    """Prints how long the page of the domain takes over HTTP, rendered."""
    since, name, source = NOW - 90 * DAY_S, "choir.example", source_of()

    class Stored(FakeSource):
        async def reports(self, domain: str | None) -> ReportsView | None:
            days, failures = store.days("example.org", since), store.failures("example.org", since)
            return page_view(
                domain, days, failures, store.holdings("example.org", since), store.unreadable(20)
            )

    async with visiting(Stored(source.report)) as visitor:
        await visitor.get("reports")
        start = time.monotonic()
        status, text, _ = await visitor.get(f"reports/{name}")
        print(f"its page: {(time.monotonic() - start) * 1_000:.0f} ms ({status}, {len(text)} characters)")


async def daemon(folder: Path, *, stored: bool) -> None:
    """Prints the memory of a daemon that receives reports, or of one that receives none, after its first passes."""
    async with stage(folder) as on:
        state = Path(on.env["MTA_STS_STATE_DIR"])
        state.mkdir(exist_ok=True)  # noqa: ASYNC240 - nothing else runs
        on.configure("" if stored else "reports: {receive: off}\n")
        on.more[TEST_POSTFIX] = "127.0.0.1" if stored else ""
        if stored:
            store = ReportStore(state)
            now = on.clock.now()
            await import_reports(
                store, ((str(n), data) for n, data in enumerate(messages("d", COUNT))), Keys({}), now
            )
            store.close()
        async with process({**on.env, "MTA_STS_POLL": "5"}, "run") as sidecar:
            await sidecar.says("started")
            await until((state / "heartbeat").exists)
            await asyncio.sleep(12)
            used = psutil.Process(sidecar.process.pid).memory_full_info()
            what = "10,000 reports stored, port open" if stored else "receiving off"
            print(f"daemon, {what}: {used.uss / 2**20:.1f} MB")
            await sidecar.end()


def _tell(what: str, count: int, wall: float, cpu: float) -> None:
    took, used = time.monotonic() - wall, time.process_time() - cpu
    print(f"{what}: {count / took:.0f} a second, {count / used:.0f} a second of CPU")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        asyncio.run(measure(Path(place)))
        print(f"file: {sum(path.stat().st_size for path in Path(place).iterdir()) / 2**20:.1f} MB")
    for stored in (False, True):
        with tempfile.TemporaryDirectory() as place:
            asyncio.run(daemon(Path(place), stored=stored))
