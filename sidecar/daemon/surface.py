"""What the running daemon shows: to the page, to Prometheus and in notifications.

Rule for every editor: everything here comes from the results of passes; readers never make a pass wait. The three
actions of the page are requests: the passes do the work.
"""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack

from aiohttp import web

from sidecar.daemon.receiving import own_address
from sidecar.daemon.wiring import Parts
from sidecar.host.clock import Clock
from sidecar.host.errors import SidecarError
from sidecar.host.lean import structlog
from sidecar.host.release import release
from sidecar.notify.notifier import Notifier
from sidecar.observed.history import HistoryEvent
from sidecar.observed.notice import Level, NoticeCode
from sidecar.observed.reports import ReportTotals
from sidecar.reconcile.passes import PassReport
from sidecar.reports.store import ReportStore
from sidecar.settings import Settings
from sidecar.status.once import Once
from sidecar.status.reports import ReportsView, page_view
from sidecar.web import WebServer, WebSettings, start_web
from sidecar.web.health import Pulse, healthz, readyz
from sidecar.web.metrics import Metrics, handler
from sidecar.web.source import Changes, Progress, Trouble

log = structlog.get_logger()

REPORT_DAYS = 30
"""How far back the pages of reports go."""
TOTAL_DAYS = 14
UNREAD = frozenset(
    {
        NoticeCode.MAILCOW_API,
        NoticeCode.UNSEEN_MAILCOW,
        NoticeCode.UNSEEN_DOMAINS,
        NoticeCode.UNSEEN_CONF,
    }
)
"""Notices of a pass that could not read mailcow."""
PROGRESS_FROM = 20
"""Domains to check from which progress is shown; fewer are done too fast."""


_ELSEWHERE = ("192.0.2.1",)
"""Any address that is not on this machine (RFC 5737); nothing is sent to it."""


def reached_at(page: WebServer) -> str:
    """The address of the page for a person: on all addresses of a container, it is the container's own."""
    everywhere = page.address in {"0.0.0.0", "::"}  # noqa: S104 - is compared, not bound
    own = own_address(_ELSEWHERE) if everywhere else None
    return page.url if own is None else f"http://{own}:{page.port}/"


class Live:
    """The daemon for its page; belongs to one event loop, and stays over a change of settings."""

    def __init__(self, clock: Clock, wake: Callable[[], None]) -> None:
        self._clock = clock
        self._wake = wake
        self._started_at = clock.now()
        self._changes = Changes()
        self._settings = Settings()
        self._parts: Parts | None = None
        self._latest: tuple[PassReport, Once] | None = None
        self._readable: tuple[PassReport, Once] | None = None
        self._failed: Trouble | None = None
        self._looking_since = 0.0
        self._open = AsyncExitStack()
        self._notifier: Notifier | None = None
        self.pulse = Pulse()
        self.metrics = Metrics(release())
        self.served: WebServer | None = None

    # --- what the page asks -------------------------------------------------------------------------

    @property
    def dry_run(self) -> bool:
        return self._settings.dry_run

    @property
    def checks_on(self) -> bool:
        return self._settings.verify

    @property
    def settings(self) -> Settings:
        return self._settings

    @property
    def started_at(self) -> float:
        return self._started_at

    @property
    def changes(self) -> Changes:
        return self._changes

    def latest(self) -> tuple[PassReport, Once] | None:
        return self._readable or self._latest

    def trouble(self) -> Trouble | None:
        return self._failed

    def progress(self) -> Progress | None:
        checker = self._parts.passes.observer.checks.checker if self._parts else None
        if checker is None or not checker.busy or checker.total < PROGRESS_FROM:
            return None
        return Progress("Sender checks of the domains", checker.done, checker.total, self._looking_since)

    async def history(self, subject: str | None, limit: int) -> tuple[HistoryEvent, ...]:
        if self._parts is None:
            return ()
        return await asyncio.to_thread(self._parts.state.history, subject, limit)

    @property
    def _store(self) -> ReportStore | None:
        store = self._parts.reports if self._parts else None
        return store if store is not None and store.exists else None

    async def reports(self, domain: str | None) -> ReportsView | None:
        if (store := self._store) is None:
            return None
        since = self._clock.now() - REPORT_DAYS * 86_400.0
        return await asyncio.to_thread(
            lambda: page_view(
                domain,
                store.days(domain, since),
                store.failures(domain, since),
                store.holdings(domain, since),
                store.unreadable(20) if domain is None else (),
            )
        )

    def _report_totals(self) -> ReportTotals | None:
        if (store := self._store) is None:
            return None
        try:
            return store.totals(self._clock.now() - TOTAL_DAYS * 86_400.0)
        except SidecarError:
            return None

    async def raw_report(self, number: int) -> bytes | None:
        store = self._store
        return None if store is None else await asyncio.to_thread(store.raw, number)

    async def check_now(self, domain: str | None) -> None:
        latest = self.latest()
        if self._parts is None or latest is None:
            return
        names = [domain] if domain is not None else sorted(latest[0].observed.memory.domains)
        self._parts.passes.observer.check_first(names)
        self._wake()

    async def apply_now(self) -> None:
        if self._parts is not None:
            self._parts.passes.back_off.forget()
            self._parts.session.try_again()
        self._wake()

    async def adopt_records(self, names: Iterable[str]) -> None:
        if self._parts is not None:
            await asyncio.to_thread(self._parts.state.request_adopt_records, tuple(names), self._clock.now())
        self._wake()

    async def let_through(self, guard: str) -> None:
        if self._parts is not None:
            await asyncio.to_thread(self._parts.state.request_let_through, guard, self._clock.now())
        self._wake()

    async def adopt(self, keys: Iterable[str]) -> None:
        if self._parts is not None:
            await asyncio.to_thread(self._parts.state.request_adopt, tuple(keys), self._clock.now())
        self._wake()

    # --- what the daemon reports --------------------------------------------------------------------

    async def begin(self, parts: Parts) -> None:
        """Starts to show these parts."""
        await self.end()
        self._parts, self._settings = parts, parts.settings
        parts.session.on_call = self._called
        self.metrics.reports = self._report_totals
        parts.passes.applier.tried = self._moved
        parts.passes.observer.on_moved(self._moved)
        self._notifier = Notifier(parts.settings, self._clock, parts.state)
        notifying = asyncio.create_task(self._notifier.run())
        self._open.push_async_callback(lambda: asyncio.gather(notifying, return_exceptions=True))
        self._open.callback(notifying.cancel)
        settings = parts.settings
        routes = [
            *parts.receiving.routes(),
            web.get("/metrics", handler(self.metrics)),
            web.get("/healthz", healthz(self.pulse, settings.state_dir, self._clock)),
            web.get("/readyz", readyz(self.pulse)),
        ]
        if settings.web.listen is None:
            return
        address, port = settings.web.listen
        wanted = WebSettings(address, port, settings.web_token, settings.web.names, settings.web.proxies)
        try:
            self.served = await start_web(self, wanted, self._clock, extra_routes=routes)
        except SidecarError as error:
            log.error("web page failed", detail=str(error))
            return
        self._open.push_async_callback(self.served.close)
        log.info(
            "web page started",
            at=reached_at(self.served),
            token="set" if settings.web_token else "none: read-only",
        )

    def _called(self, route: str, seconds: float, status: int | None) -> None:
        self.metrics.called(route, seconds, status)
        if status is not None:
            self._moved()

    def _moved(self) -> None:
        self.pulse.moved(self._clock.now())

    async def end(self) -> None:
        """Stops the page and the notifications."""
        await self._open.aclose()
        self._open = AsyncExitStack()
        self._parts, self.served = None, None

    def pass_begins(self) -> None:
        now = self._clock.now()
        self.pulse.begins(now)
        if self.progress() is None:  # checks that this pass starts begin now
            self._looking_since = now

    async def pass_ended(
        self, report: PassReport | None, seconds: float, error: Exception | None = None
    ) -> None:
        """After each pass; `report` is None if it failed."""
        now = self._clock.now()
        self.pulse.ends(report)
        if report is None:
            self.metrics.failed(seconds)
            self._failed = self._since(Trouble(str(error) or "the last pass failed", now))
        else:
            status = Once(report.observed, report.plan, self._settings)
            self._latest = report, status
            troubles = (n for n in report.plan.notices if n.code in UNREAD and n.level is not Level.INFO)
            unread = next(troubles, None)
            if unread is None:
                self._readable = report, status
            self._failed = None if unread is None else self._since(Trouble(unread.message, now, unread.todo))
            self.metrics.passed(report, status, seconds, now)
            if self._notifier is not None:
                await self._notifier.saw(report.observed, report.plan, status)
        self._changes.note()

    def _since(self, trouble: Trouble) -> Trouble:
        """The trouble; with the earlier start if it is the same as before."""
        before = self._failed
        return before if before is not None and before.message == trouble.message else trouble
