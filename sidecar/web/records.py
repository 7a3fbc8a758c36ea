"""The page of DNS records: the missing records of all domains, to be copied or downloaded as a zone file.

Rule for every editor: the text is the one that `sidecar records --missing` prints. With thousands of domains the page
shows its beginning only; the download has all of it.
"""

import asyncio

from aiohttp import hdrs, web

from sidecar.observed.words import day
from sidecar.status.record_exports import zone_text
from sidecar.web.kit import KIT
from sidecar.web.pages import render
from sidecar.web.view import Site

SHOWN = 150
"""Lines of the zone file on the page."""


def zone_of(site: Site, *, missing: bool) -> str:
    """The records of all domains as a zone file; `missing`: only those that the DNS does not have."""
    found = [row.records for row in site.rows.values() if row.records is not None]
    what = "missing DNS records" if missing else "DNS records"
    return zone_text(
        found, [f"{what} for {site.status.hostname}, seen {day(site.status.at)}"], missing=missing
    )


async def records(request: web.Request) -> web.Response:
    site = await request.app[KIT].snapshots.site()
    if site is None or not site.status.listed:
        return await render(request, "records.html", {"known": False})
    missing = request.query.get("all") != "1"
    lines = (await asyncio.to_thread(zone_of, site, missing=missing)).splitlines()
    values: dict[str, object] = {
        "known": True,
        "missing": missing,
        "text": "\n".join(lines[:SHOWN]),
        "lines": len(lines),
        "shown": SHOWN,
        "file": "records.zone" if missing else "records.zone?all=1",
    }
    return await render(request, "records.html", values)


async def zone_file(request: web.Request) -> web.Response:
    """The download."""
    site = await request.app[KIT].snapshots.site()
    if site is None or not site.status.listed:
        raise web.HTTPServiceUnavailable(
            reason="The list of domains is unknown: mailcow has not been read yet",
            headers={hdrs.RETRY_AFTER: "30"},
        )
    missing = request.query.get("all") != "1"
    text = await asyncio.to_thread(zone_of, site, missing=missing)
    name = "missing-records.zone" if missing else "records.zone"
    return web.Response(
        text=text,
        content_type="text/plain",
        charset="utf-8",
        headers={hdrs.CONTENT_DISPOSITION: f'attachment; filename="{name}"'},
    )
