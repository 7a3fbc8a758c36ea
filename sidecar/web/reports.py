"""The pages of TLS reports: sessions by day, failures with their meaning, the policy of each sender, unreadable reports.

Rules for every editor: texts of senders are shown as text and never as a link or markup. A raw report is a download
that no browser renders. The chart is plain SVG without inline styles, as the content security policy demands.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import hdrs, web

from sidecar.formats.domain_name import to_ascii
from sidecar.host.errors import SidecarError
from sidecar.observed.reports import DaySum
from sidecar.status.reports import Failure
from sidecar.web.kit import KIT
from sidecar.web.pages import render

SHOWN_FAILURES = 40
SHOWN_HOLDINGS = 40
HEIGHT = 60
"""The height of the chart; a day is 10 wide, with a gap of 2."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One day of the chart: the position of its bar, and the height of its two parts."""

    day: str
    ok: int
    failed: int
    x: int
    ok_height: int
    failed_height: int


@dataclass(frozen=True, slots=True)
class Chart:
    """Sessions by day; `width` in the same units as the bars."""

    bars: tuple[Bar, ...]
    width: int


def chart_of(days: Sequence[DaySum]) -> Chart:
    """The bars; failures are at least one unit high, however many sessions succeeded."""
    most = max((one.ok + one.failed for one in days), default=0) or 1
    bars = []
    for number, one in enumerate(days):
        failed = max(1, round(HEIGHT * one.failed / most)) if one.failed else 0
        ok = min(HEIGHT - failed, round(HEIGHT * one.ok / most))
        bars.append(Bar(one.day, one.ok, one.failed, number * 12, ok, failed))
    return Chart(tuple(bars), max(12, len(days) * 12))


async def reports(request: web.Request) -> web.Response:
    """The page of one domain, or of all domains."""
    kit = request.app[KIT]
    given = request.match_info.get("name")
    site = await kit.snapshots.site()
    name, clean = None, None
    if given is not None:
        try:
            name = to_ascii(given)
        except ValueError:
            raise web.HTTPNotFound(reason="This is not the name of a domain") from None
        row = site.rows.get(name) if site else None
        if row is None:
            raise web.HTTPNotFound(reason="This mailcow has no such domain")
        clean = row.reports.clean
    trouble, view = None, None
    try:
        view = await kit.source.reports(name)
    except SidecarError as error:
        trouble = str(error)
    failures: Sequence[Failure] = view.failures if view else ()
    values: dict[str, object] = {
        "name": name,
        "clean": clean,
        "view": view,
        "chart": chart_of(view.days) if view else None,
        "failures": failures[:SHOWN_FAILURES],
        "more_failures": max(0, len(failures) - SHOWN_FAILURES),
        "holdings": view.holdings[:SHOWN_HOLDINGS] if view else (),
        "reports_trouble": trouble,
    }
    return await render(request, "reports.html", values)


async def raw(request: web.Request) -> web.Response:
    """The download of an unchanged report."""
    number = request.match_info["id"]
    try:
        data = await request.app[KIT].source.raw_report(int(number)) if len(number) < 16 else None
    except SidecarError as error:
        raise web.HTTPServiceUnavailable(reason="The reports cannot be read now") from error
    if data is None:
        raise web.HTTPNotFound(reason="This report is not stored (any more)")
    headers = {hdrs.CONTENT_DISPOSITION: f'attachment; filename="tls-report-{int(number)}.bin"'}
    return web.Response(body=data, content_type="application/octet-stream", headers=headers)
