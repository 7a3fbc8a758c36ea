"""Receives TLS reports while the daemon runs: the SMTP port for mailcow's postfix, the mailbox, and `POST /tlsrpt`.

Rules for every editor. What only this needs (aiosmtpd, imap-tools) is imported when it is switched on. A failure here
never ends the passes or another way in: it becomes a notice, and a retry follows. Only postfix-mailcow may connect.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from sidecar.dns.ask import Lookups
from sidecar.host.clock import Clock
from sidecar.host.errors import PermanentError, SidecarError
from sidecar.host.lean import structlog
from sidecar.host.tasks import in_thread
from sidecar.observed.notice import Level, Notice, NoticeCode
from sidecar.observed.report_route import INTERNAL_ADDRESS
from sidecar.observed.reports import ReportWay
from sidecar.plan.schedule import wait_after
from sidecar.settings import Settings
from sidecar.settings.reports import Receive

if TYPE_CHECKING:
    from aiohttp import web

    from sidecar.reports.intake import Intake
    from sidecar.reports.store import ReportStore

POSTFIX = "postfix-mailcow"
PORT = 2526
LOOK_S = 60.0
"""Until postfix-mailcow's addresses are looked up again: a re-created container may have others."""
LOOKUP_S = 5.0
MAILBOX_S = 300.0
MAILBOX_AGAIN_S = (300, 900, 3_600)
"""Between two visits of the mailbox, and after visits that failed in a row."""
WAKE_S = 20.0
"""Reports that come in cause at most one pass in this time."""

log = structlog.get_logger()


class Receiving:
    """The ways in; `domains` says which domains are ours, and `store` is where messages go."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        lookups: Lookups,
        store: "ReportStore",
        domains: Callable[[], Collection[str] | None],
        *,
        postfix: str | None = None,
    ) -> None:
        """`postfix` replaces postfix-mailcow: an address, or empty for none."""
        self._settings = settings
        self._clock = clock
        self._lookups = lookups
        self._store = store
        self._domains = domains
        self._postfix = postfix
        self._allowed: frozenset[str] = frozenset()
        self._intake: Intake | None = None
        self._trouble: dict[str, Notice] = {}
        self._woken = float("-inf")
        self.nexthop: str | None = None
        """Where the SMTP port is open, as a transport of mailcow names it."""
        self.wake: Callable[[], None] = lambda: None
        """Called when there is something new for a pass."""

    @property
    def wanted(self) -> bool:
        """Whether any way to receive reports automatically is switched on."""
        return self._settings.receive is not Receive.OFF or self._settings.reports.https

    def trouble(self) -> tuple[Notice, ...]:
        """Why reports cannot be received."""
        return tuple(self._trouble.values())

    def routes(self) -> "Iterator[web.RouteDef]":
        """Additional routes for the server of the page."""
        if self._settings.reports.https:
            from aiohttp import web  # noqa: PLC0415 - see the rule above

            from sidecar.reports.receive_https import PATH, Receiver  # noqa: PLC0415 - as above

            yield web.post(PATH, Receiver(self._made()).post)

    async def run(self) -> None:
        """Runs until it is cancelled."""
        # Without a way in, earlier reports are still read, and deleted when they were kept for long enough.
        if not self.wanted and not self._store.exists:
            return
        intake = self._made()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._guarded("store", intake.run))
            if self._settings.receive is Receive.MAILCOW:
                group.create_task(self._guarded("port", lambda: self._port(intake)))
            if self._settings.receive is Receive.IMAP:
                group.create_task(self._guarded("mailbox", lambda: self._visit(intake)))

    async def _guarded(self, what: str, loop: Callable[[], object]) -> None:
        """The top of a loop: a bug in it ends neither the other ways nor the passes."""
        while True:
            try:
                await loop()  # type: ignore[misc] # a coroutine function
            except Exception as bug:
                log.error(
                    "bug in receiving TLS reports; receiving continues in a minute", way=what, exc_info=bug
                )
            await asyncio.sleep(LOOK_S)

    def _made(self) -> "Intake":
        if self._intake is None:
            from sidecar.reports.intake import Intake  # noqa: PLC0415 - see the rule above

            self._intake = Intake(
                self._store,
                self._lookups.ask,
                self._clock.now,
                lambda _: self._news(),
                keep_days=self._settings.reports.keep,
                domains=self._domains,
            )
        return self._intake

    def _news(self) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._woken >= WAKE_S:
            self._woken = now
            self.wake()

    # --- by mailcow

    async def _port(self, intake: "Intake") -> None:
        from sidecar.reports.receive_smtp import smtp_port  # noqa: PLC0415 - see the rule above

        while True:
            own = await self._own_address()
            if own is None:
                self._report(
                    "port", f"{POSTFIX} is not found", f"run the sidecar in mailcow's network, or {_OR}"
                )
            else:
                port = PORT if self._postfix is None else 0
                try:
                    async with smtp_port(
                        intake, INTERNAL_ADDRESS, lambda: self._allowed, (own, port)
                    ) as opened:
                        self._trouble.pop("port", None)
                        host = f"IPv6:{own}" if ":" in own else own
                        self.nexthop = f"[{host}]:{opened}"
                        self.wake()
                        while await self._own_address() in {own, None}:  # noqa: ASYNC110 - no event of ours
                            await asyncio.sleep(LOOK_S)
                except OSError as error:
                    why = error.strerror or type(error).__name__
                    self._report(
                        "port", f"port {port} of {own} cannot be opened ({why})", f"free it, or {_OR}"
                    )
                finally:
                    self.nexthop = None
            await asyncio.sleep(LOOK_S)

    async def _own_address(self) -> str | None:
        """Our own address towards postfix-mailcow, whose addresses may connect then; None if it was not found."""
        found = {self._postfix} if self._postfix else set()
        if self._postfix is None:
            with suppress(OSError, TimeoutError):
                lookup = in_thread(lambda: socket.getaddrinfo(POSTFIX, None, type=socket.SOCK_STREAM))
                found = {str(entry[4][0]) for entry in await asyncio.wait_for(lookup, LOOKUP_S)}
        if not found:
            return None
        self._allowed = frozenset(found)
        return own_address(found)

    # --- out of a mailbox

    async def _visit(self, intake: "Intake") -> None:
        from sidecar.reports.receive_imap import Mailbox, MailboxPlace, fetch  # noqa: PLC0415 - see the rule above

        imap, password = self._settings.reports.imap, self._settings.imap_password
        if imap is None or password is None:
            self._report("mailbox", "there is no password for it", "set MTA_STS_IMAP_PASSWORD")
            await asyncio.Event().wait()
            return
        roots: str | None = None
        if self._settings.extra_roots is not None:
            with suppress(OSError, ValueError):
                roots = (self._settings.mailcow_dir / self._settings.extra_roots).read_text()
        box = Mailbox(imap.host, imap.user, password, imap.port, imap.folder, imap.move_to, roots)
        failures = 0
        while True:
            place = MailboxPlace.of(await asyncio.to_thread(self._store.mark, box.name))
            try:
                taken = await in_thread(
                    lambda place=place: fetch(  # type: ignore[misc] # bound now
                        box,
                        place,
                        lambda data: self._store.accept(data, ReportWay.IMAP, self._clock.now()) is not None,
                        lambda at: self._store.set_mark(box.name, str(at)),
                    )
                )
            except SidecarError as error:
                failures += 1
                todo = None if isinstance(error, PermanentError) else "it is tried again"
                self._report("mailbox", str(error), todo)
            else:
                failures = 0
                self._trouble.pop("mailbox", None)
                if taken:
                    intake.wake()
            await asyncio.sleep(wait_after(failures, MAILBOX_AGAIN_S) if failures else MAILBOX_S)

    def _report(self, way: str, why: str, todo: str | None) -> None:
        """Only if the settings ask for reports: with the default, nobody misses them."""
        if self._settings.reports.receive is Receive.AUTO:
            return
        text = f"TLS reports cannot come in: {why}"
        self._trouble[way] = Notice(Level.WARNING, NoticeCode.REPORTS_NOT_RECEIVED, "TLS reports", text, todo)


_OR = "set `reports: {receive: imap}` or `reports: {receive: off}`"


def own_address(others: Collection[str]) -> str | None:
    """The address that this machine has towards one of these, IPv4 first; nothing is sent. None if there is no route."""
    for other in sorted(others, key=lambda text: (":" in text, text)):
        family = (
            socket.AF_INET6 if ipaddress.ip_address(other.partition("%")[0]).version == 6 else socket.AF_INET
        )
        with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((other, 25))
            return str(probe.getsockname()[0])
    return None
