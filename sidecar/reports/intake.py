"""Turns accepted messages into evidence: reads waiting messages, checks their signatures, and stores the result.

Rules for every editor: a message waits in the store from its acceptance until its result is stored, so after an
interruption it is read again. A message that causes an error does not delay others.
"""

import asyncio
from collections.abc import Callable, Collection

import structlog

from sidecar.formats.report_message import LARGEST_MESSAGE
from sidecar.formats.tls_report import looks_like_report
from sidecar.host.errors import SidecarError
from sidecar.host.unexpected import Unexpected
from sidecar.observed.reports import UNSIGNED, Dkim, Proof, ReportWay
from sidecar.reports.digest import Digest, digest, only
from sidecar.reports.dkim_check import Ask, check
from sidecar.reports.rows import SettledReport
from sidecar.reports.store import DAY_S, ReportStore, Waiting

MOST_TRIES = 6
FIRST_WAIT_S = 600.0
"""Seconds until the key of a signature is looked up again; doubled each time."""
IDLE_S = 60.0
TIDY_S = DAY_S / 24
TIDY_OCTETS = 50 * 1024 * 1024
"""The store is also tidied after this many octets were read, so that a flood does not fill it within an hour."""

log = structlog.get_logger()


async def proof_of(message: bytes, way: ReportWay, ask: Ask) -> Proof:
    """The proof of origin of a message that was received this way."""
    if way is ReportWay.HTTPS or looks_like_report(message):
        return UNSIGNED
    return await check(message, ask)


class Intake:
    """Accepts messages and reads them.

    `clock` returns Unix seconds. `on_new` is called after each message with a new report. `domains` returns our domains
    (None: unknown): reports about others are not stored.
    """

    def __init__(
        self,
        store: ReportStore,
        ask: Ask,
        clock: Callable[[], float],
        on_new: Callable[[SettledReport], None] = lambda _: None,
        *,
        keep_days: int = 90,
        domains: Callable[[], Collection[str] | None] = lambda: None,
    ) -> None:
        self._store = store
        self._ask = ask
        self._clock = clock
        self._on_new = on_new
        self._keep_days = keep_days
        self._domains = domains
        self._unexpected = Unexpected()
        self._wake = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()
        self._tidied = float("-inf")
        self._untidy = 0

    async def accept(self, data: bytes, way: ReportWay) -> bool:
        """Whether the message is on the disk now; False if too many messages wait, or it is too large.

        Raises TemporaryError if it cannot be stored.
        """
        if len(data) > LARGEST_MESSAGE:
            return False
        number = await asyncio.to_thread(self._store.accept, data, way, self._clock())
        self._wake.set()
        return number is not None

    def wake(self) -> None:
        """Another process stored a message: read it soon."""
        self._wake.set()

    async def work(self) -> int:
        """Reads the waiting messages; returns how many were settled."""
        count = 0
        while waiting := await asyncio.to_thread(self._store.waiting, self._clock()):
            # In parallel: otherwise a key that the DNS does not return would delay all later messages.
            answers = await asyncio.gather(*map(self._read, waiting), return_exceptions=True)
            read: list[tuple[int, Digest, Proof]] = []
            for answer in answers:
                if isinstance(answer, BaseException):
                    raise answer
                if answer is not None:
                    read.append(answer)
            settled = await asyncio.to_thread(self._store.settle, read)
            count += len(settled)
            for one in settled:
                if one.new:
                    self._on_new(one)
            self._untidy += sum(len(message.data) for message in waiting)
            await self._tidy()
        await self._tidy()
        return count

    async def _tidy(self) -> None:
        now = self._clock()
        if self._untidy < TIDY_OCTETS and 0 <= now - self._tidied < TIDY_S:
            return
        await asyncio.to_thread(self._store.tidy, now, self._keep_days)
        self._tidied, self._untidy = now, 0

    async def run(self) -> None:
        """Reads new messages and deletes old ones, until it is cancelled."""
        while True:
            self._wake.clear()
            try:
                await self.work()
            except SidecarError as error:
                log.warning("storing TLS reports failed; it is tried again", detail=str(error))
            try:
                await asyncio.wait_for(self._wake.wait(), IDLE_S)
            except TimeoutError:
                continue

    async def _read(self, one: Waiting) -> tuple[int, Digest, Proof] | None:
        """Its number, content and proof; None if it is read again later."""
        try:
            proof = await proof_of(one.data, one.way, self._ask)
            if proof.dkim is Dkim.UNKNOWN and proof.again and one.tries < MOST_TRIES:
                until = self._clock() + FIRST_WAIT_S * 2**one.tries
                if await asyncio.to_thread(self._store.put_off, one.id, until):
                    return None
            async with self._one_at_a_time:  # reading one may need some ten MB of memory
                return one.id, only(await asyncio.to_thread(digest, one.data), self._domains()), proof
        except SidecarError:
            raise
        except Exception as error:  # noqa: BLE001 - it must not delay the others; it is kept as unreadable
            return one.id, Digest((), (self._unexpected.reason("a TLS report", error),)), UNSIGNED
