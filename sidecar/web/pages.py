"""The pages: from a request to a template and its values.

Rule for every editor: a page changes nothing. It works without JavaScript, and shows what is known even when
a part (the history, mailcow) is not available.
"""

import asyncio
import re
import time
from contextlib import suppress
from urllib.parse import quote

from aiohttp import hdrs, web

from sidecar.formats.domain_name import to_ascii
from sidecar.host.errors import SidecarError
from sidecar.observed import FILE
from sidecar.observed.history import HistoryEvent
from sidecar.status.wording import Light
from sidecar.web.auth import same_origin
from sidecar.web.detail import detail_of
from sidecar.web.guard import host_known, try_token
from sidecar.web.history import EventView, shown_event
from sidecar.web.kit import COOKIE, KIT, name_in, root_of, templates, visitor_of
from sidecar.web.table import COLUMNS, MODES, STAGES, TableQuery, page_of

ON_OVERVIEW = 15
"""Lines of the table on the overview; for a small mailcow this is the whole table."""
ITEMS = 8
EVENTS = (50, 200, 1_000)
SAID = {
    "check": "The check has been requested. Findings appear here as they arrive.",
    "apply": "A pass has been requested. Its actions appear here shortly.",
    "adopt": "The next pass adopts the policy.",
    "adopt-dns": "The next pass adopts the record.",
    "large-dns-plan": "The next pass makes the changes.",
    "in": "You are logged in.",
    "out": "You are logged out.",
}
TILES = {
    Light.FAILING: "mail may be refused",
    Light.ATTENTION: "usually a DNS record",
    Light.UNKNOWN: "could not be checked",
    Light.WORKING: "the sidecar is working on it",
    Light.GOOD: "nothing to do",
    Light.OFF: "excluded, switched off, or served elsewhere",
}
"""What the count of each light means. A count of 0 is not shown for those that a healthy mailcow lacks."""
WHOSE_RECORD = {
    "nobody": "nobody's: it is not there",
    "ours": "the sidecar's",
    "foreign": "somebody else's",
    "unknown": "not known",
}
_PLACE = re.compile(r"[A-Za-z0-9_-]+(?:/[A-Za-z0-9._-]+)?")


async def render(
    request: web.Request, template: str, values: dict[str, object], status: int = 200
) -> web.Response:
    """Renders a page with the values that all pages share."""
    kit = request.app[KIT]
    visitor = visitor_of(request)
    site = await kit.snapshots.site()
    hidden = not host_known(request) or (kit.token is not None and not visitor.known)
    everywhere: dict[str, object] = {
        "root": root_of(request),
        "path": request.path,
        "now": kit.clock.now(),
        "release": kit.release,
        "assets": kit.assets,
        # a page that needs no token or no known host name (log-in, error) shows nothing about this mailcow
        "site": None if hidden else site,
        "trouble": None if hidden else kit.source.trouble(),
        "progress": None if hidden else kit.source.progress(),
        "hidden": hidden,
        "protected": kit.token is not None,
        "logged_in": visitor.session is not None,
        "may_act": visitor.session is not None,
        "csrf": visitor.session.csrf if visitor.session else "",
        "said": SAID.get(request.query.get("said", "")),
        "dry_run": kit.source.dry_run,
        "number": kit.source.changes.number,
    }
    environment = await asyncio.to_thread(templates)  # loading them must not hold up `/healthz`
    text = environment.get_template(template).render({**everywhere, **values})
    return web.Response(text=text, status=status, content_type="text/html")


async def failure(request: web.Request, status: int, reason: str) -> web.Response:
    """The page for an error."""
    return await render(request, "error.html", {"status": status, "reason": reason}, status)


# --- what is known ---------------------------------------------------------------------------------------


async def overview(request: web.Request) -> web.Response:
    """The first page."""
    kit = request.app[KIT]
    site = await kit.snapshots.site()
    events, events_trouble = await history(request, None, 8)
    query = TableQuery.of({**request.query, "per_page": str(ON_OVERVIEW), "page": "1"})
    trouble = kit.source.trouble()
    # the banner on top says why mailcow cannot be reached
    items = (
        [item for item in site.summary.needs if trouble is None or item.message != trouble.message]
        if site
        else []
    )
    values: dict[str, object] = {
        "tiles": [
            (light, site.counts.get(light, 0), TILES[light])
            for light in Light
            if light not in {Light.UNKNOWN, Light.OFF} or site.counts.get(light, 0)
        ]
        if site
        else (),
        "items": items[:ITEMS],
        "more_items": max(0, len(items) - ITEMS),
        "table": page_of(site.lines, query) if site else None,
        "columns": COLUMNS,
        "events": events,
        "events_trouble": events_trouble,
        "started_at": kit.source.started_at,
    }
    return await render(request, "overview.html", values)


async def domains(request: web.Request) -> web.Response:
    """The whole table."""
    site = await request.app[KIT].snapshots.site()
    query = TableQuery.of(request.query)
    values: dict[str, object] = {
        "query": query,
        "table": page_of(site.lines, query) if site else None,
        "columns": COLUMNS,
        "modes": MODES,
        "stages": STAGES,
    }
    return await render(request, "domains.html", values)


async def domain(request: web.Request) -> web.Response:
    site = await request.app[KIT].snapshots.site()
    if site is None:
        return await render(request, "loading.html", {"title": request.match_info["name"]})
    name = name_in(request, site)
    if name != request.match_info["name"]:
        raise web.HTTPFound(name)
    events, events_trouble = await history(request, name, 100)
    values: dict[str, object] = {
        "detail": detail_of(site, name),
        "events": events,
        "events_trouble": events_trouble,
        "file_key": FILE,
        "checks_on": request.app[KIT].source.checks_on,
        "whose_words": WHOSE_RECORD,
    }
    return await render(request, "domain.html", values)


async def events(request: web.Request) -> web.Response:
    """What the sidecar did, newest first."""
    wanted = request.query.get("limit", "")
    limit = int(wanted) if wanted in {str(number) for number in EVENTS} else EVENTS[0]
    q = request.query.get("q", "").strip()[:253]
    subject = q or None
    with suppress(ValueError):  # what is not a domain may be a container
        subject = to_ascii(q) if q else None
    found, trouble = await history(request, subject, limit)
    values: dict[str, object] = {
        "events": found,
        "events_trouble": trouble,
        "q": q,
        "limit": limit,
        "limits": EVENTS,
        "more": len(found) == limit and limit != EVENTS[-1],
    }
    return await render(request, "events.html", values)


async def history(
    request: web.Request, subject: str | None, limit: int
) -> tuple[tuple[EventView, ...], str | None]:
    """The last events, newest first, or the reason why they cannot be read."""
    try:
        found: tuple[HistoryEvent, ...] = await request.app[KIT].source.history(subject, limit)
    except SidecarError as error:
        return (), str(error)
    return tuple(shown_event(event) for event in reversed(found)), None


# --- log-in ----------------------------------------------------------------------------------------------


async def login_page(request: web.Request) -> web.Response:
    """The form for the token."""
    kit = request.app[KIT]
    if kit.token is None or visitor_of(request).known:
        raise web.HTTPFound("./")
    return await render(request, "login.html", {"next": _place(request.query.get("next")), "mistake": None})


async def login(request: web.Request) -> web.Response:
    """The token, sent by the form."""
    kit = request.app[KIT]
    if kit.token is None:
        raise web.HTTPNotFound
    if not from_here(request):
        raise web.HTTPForbidden(reason="The form did not come from this page")
    form = await request.post()
    place = _place(form.get("next"))
    given = form.get("token")
    try:
        right = try_token(request, kit, given if isinstance(given, str) else "")
    except web.HTTPTooManyRequests as error:
        answer = await render(request, "login.html", {"next": place, "mistake": error.reason}, 429)
        answer.headers[hdrs.RETRY_AFTER] = error.headers[hdrs.RETRY_AFTER]
        return answer
    if not right:
        return await render(request, "login.html", {"next": place, "mistake": "This is not the token."}, 401)
    response = web.HTTPSeeOther(f"./{quote(place)}" if place else "./?said=in")
    secret = kit.sessions.begin(time.monotonic())
    response.set_cookie(
        COOKIE,
        secret,
        # no path: then the cookie belongs to the folder of this page, below whatever path a proxy has
        path="",
        httponly=True,
        samesite="Strict",
        # the browser reports the scheme itself (Origin), so no proxy header is needed; the Host was compared before
        secure=request.headers.get(hdrs.ORIGIN, "").startswith("https:") or None,
    )
    raise response


async def logout(request: web.Request) -> web.Response:
    """Ends the session, on request of a form of this page."""
    kit = request.app[KIT]
    if not from_here(request):
        raise web.HTTPForbidden(reason="The form did not come from this page")
    kit.sessions.end(request.cookies.get(COOKIE, ""))
    response = web.HTTPSeeOther("./login?said=out")
    response.set_cookie(COOKIE, "", path="", max_age=0, httponly=True, samesite="Strict")
    raise response


def from_here(request: web.Request) -> bool:
    """Whether this form was sent by our own page."""
    return same_origin(
        request.headers.get(hdrs.ORIGIN),
        request.headers.get("Sec-Fetch-Site"),
        request.headers.get(hdrs.HOST, ""),
    )


def _place(text: object) -> str:
    """The page to show after the log-in, if it is one of ours; else empty."""
    return text if isinstance(text, str) and _PLACE.fullmatch(text) else ""


async def static(request: web.Request) -> web.Response:
    asset = request.app[KIT].assets.get(request.match_info["name"])
    if asset is None:
        raise web.HTTPNotFound
    forever = request.query.get("v") == asset.digest
    headers = {
        hdrs.CACHE_CONTROL: "public, max-age=31536000, immutable" if forever else "no-cache",
        hdrs.ETAG: f'"{asset.digest}"',
    }
    if request.headers.get(hdrs.IF_NONE_MATCH) == headers[hdrs.ETAG]:
        return web.Response(status=304, headers=headers)
    text = asset.content_type.startswith("text/")
    charset = "utf-8" if text else None
    return web.Response(body=asset.body, content_type=asset.content_type, charset=charset, headers=headers)
