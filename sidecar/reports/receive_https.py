"""Receives TLS reports by HTTPS POST (RFC 8460 §5.4): evidence without proof of its origin.

Rules for every editor: anyone may post here. A body that does not begin like a report is refused and not stored. Size,
number and time are bounded for all callers together, so no list of callers is needed. Answers never quote the body.
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
"""Reports of all senders together: large receivers get a few dozen a day for each domain."""
BURST = 60
AT_ONCE = 4

log = structlog.get_logger()

assert LARGEST_POST <= LARGEST_MESSAGE  # noqa: S101 - what is accepted here must fit into the store


class PostAllowance:
    """A token bucket; `clock` returns monotonic seconds."""

    def __init__(self, per_hour: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = per_hour / 3_600
        self._burst = burst
        self._clock = clock
        self._left = burst
        self._at = clock()

    def take(self) -> bool:
        """Takes a token; False if none is left."""
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
        """201 if the report is stored; otherwise 400, 413, 429 or 503."""
        if (request.content_length or 0) > LARGEST_POST:
            return _said(413, "too large")
        if self._under_way >= AT_ONCE or not self._allowance.take():
            return _said(429, "too many reports; try again later", {"Retry-After": "3600"})
        self._under_way += 1
        try:
            data = bytearray()
            async for chunk in request.content.iter_chunked(64 * 1024):
                data += chunk
                if len(data) > LARGEST_POST:
                    return _said(413, "too large")
            if not looks_like_report(bytes(data)):
                return _said(400, "not a TLS report")
            stored = await self._intake.accept(bytes(data), ReportWay.HTTPS)
        except SidecarError as error:
            log.warning("storing a posted TLS report failed", detail=str(error))
            return _said(503, "it cannot be stored now")
        finally:
            self._under_way -= 1
        return _said(201, "stored") if stored else _said(503, "too many reports wait")


def _said(status: int, text: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        status=status, text=text + "\n", headers={"Cache-Control": "no-store", **(headers or {})}
    )
