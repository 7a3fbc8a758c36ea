"""Takes TLS reports by HTTPS POST (RFC 8460 §5.4): as evidence that nobody vouches for.

Rules for every editor: anybody may post here. What does not begin as a report is refused and not stored; size, number
and time are bounded for all callers together, so that no list of callers grows. Nothing of the body is in an answer.
"""

import time
from collections.abc import Callable

import structlog
from aiohttp import web

from sidecar.formats.report_message import LARGEST_MESSAGE
from sidecar.formats.tls_report import looks_like_report
from sidecar.host.errors import SidecarError
from sidecar.observed.reports import ReportWay
from sidecar.reports.intake import Intake

PATH = "/tlsrpt"
LARGEST_POST = 2 * 1024 * 1024
"""Octets of one report; real ones have a few KB."""
PER_HOUR = 300
"""Reports, of all senders together: large receivers get some dozens a day for each domain."""
BURST = 60
AT_ONCE = 4

log = structlog.get_logger()

assert LARGEST_POST <= LARGEST_MESSAGE  # noqa: S101 - what is taken here is taken by the store


class PostAllowance:
    """A bucket of tokens that fills with time; `clock` gives seconds that never go back."""

    def __init__(self, per_hour: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = per_hour / 3_600
        self._burst = burst
        self._clock = clock
        self._left = burst
        self._at = clock()

    def take(self) -> bool:
        """Whether one more is allowed now."""
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._at) * self._rate)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Receiver:
    """The handler of `POST /tlsrpt`."""

    def __init__(self, intake: Intake, allowance: PostAllowance | None = None) -> None:
        self._intake = intake
        self._allowance = allowance or PostAllowance(PER_HOUR, BURST)
        self._under_way = 0

    async def post(self, request: web.Request) -> web.Response:
        """201 for a report that is stored; 400, 413, 429 or 503 else."""
        if (request.content_length or 0) > LARGEST_POST:
            return _said(413, "too large")
        if self._under_way >= AT_ONCE or not self._allowance.take():
            return _said(429, "too many reports; try again later", {"Retry-After": "3600"})
        self._under_way += 1
        try:
            return await self._receive(request)
        finally:
            self._under_way -= 1

    async def _receive(self, request: web.Request) -> web.Response:
        data = bytearray()
        async for chunk in request.content.iter_chunked(64 * 1024):
            data += chunk
            if len(data) > LARGEST_POST:
                return _said(413, "too large")
        if not looks_like_report(bytes(data)):
            return _said(400, "not a TLS report")
        try:
            stored = await self._intake.accept(bytes(data), ReportWay.HTTPS)
        except SidecarError as error:
            log.warning("a TLS report that was posted cannot be stored", detail=str(error))
            return _said(503, "it cannot be stored now")
        return _said(201, "stored") if stored else _said(503, "too many reports wait")


def _said(status: int, text: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        status=status, text=text + "\n", headers={"Cache-Control": "no-store", **(headers or {})}
    )
