"""The JSON API, version 1: the document that `sidecar status --json` prints, for programs.

Rules for every editor: the models are the description, and tests hold both together (`python -m tests.docs_tables` makes
`openapi.json` from them).
A field may be added in version 1; none is taken away, and none changes its meaning. Unknown values are null or a
503, never empty.
"""

import asyncio

from aiohttp import hdrs, web
from pydantic import BaseModel, Field

from sidecar.host.errors import SidecarError
from sidecar.status import document
from sidecar.status.document import Model, Time
from sidecar.status.to_document import as_json, document_of, domain_of, moment, page
from sidecar.web import act
from sidecar.web.guard import unavailable
from sidecar.web.history import shown_event
from sidecar.web.kit import FOLDER, KIT, name_in, visitor_of
from sidecar.web.queries import (
    AdoptBody,
    AdoptDnsBody,
    ApplyBody,
    CheckBody,
    DomainsQuery,
    EventsQuery,
    body_of,
    query_of,
)
from sidecar.web.table import page_of
from sidecar.web.view import Site


def _json(body: BaseModel, status: int = 200) -> web.Response:
    return web.Response(text=as_json(body), status=status, content_type="application/json")


async def _site(request: web.Request) -> Site:
    site = await request.app[KIT].snapshots.site()
    if site is None:
        raise web.HTTPServiceUnavailable(
            reason="No data yet: the first pass has not finished", headers={hdrs.RETRY_AFTER: "5"}
        )
    return site


# --- what is known ---------------------------------------------------------------------------------------


async def status(request: web.Request) -> web.Response:
    """The whole document, with a page of domains."""
    query = query_of(DomainsQuery, request.query)
    kit = request.app[KIT]
    site = await kit.snapshots.site()
    trouble, progress = kit.source.trouble(), kit.source.progress()
    return _json(
        document_of(
            site.status if site else None,
            site.summary if site else None,
            _page(site, query) if site and site.status.listed else None,
            release=kit.release,
            dry_run=kit.source.dry_run,
            started_at=kit.source.started_at,
            trouble=None
            if trouble is None
            else document.TroubleJson(
                message=trouble.message, todo=trouble.todo, since=moment(trouble.since)
            ),
            progress=None
            if progress is None
            else document.ProgressJson(
                doing=progress.doing, done=progress.done, total=progress.total, since=moment(progress.since)
            ),
        )
    )


def _page(site: Site, query: DomainsQuery) -> document.Domains:
    found = page_of(site.lines, query.table)
    rows = [site.rows[line.name] for line in found.lines]
    return page(site.status, rows, total=found.total, number=found.query.page, size=found.query.per_page)


async def domains(request: web.Request) -> web.Response:
    """A page of the table."""
    query = query_of(DomainsQuery, request.query)
    site = await _site(request)
    if not site.status.listed:
        raise web.HTTPServiceUnavailable(
            reason="The list of domains is unknown: mailcow could not be read",
            headers={hdrs.RETRY_AFTER: "30"},
        )
    return _json(_page(site, query))


async def domain(request: web.Request) -> web.Response:
    site = await _site(request)
    return _json(domain_of(site.rows[name_in(request, site)]))


async def events(request: web.Request) -> web.Response:
    """The history, newest first."""
    query = query_of(EventsQuery, request.query)
    try:
        found = await request.app[KIT].source.history(query.subject or None, query.limit)
    except SidecarError as error:
        raise unavailable(error) from error
    views = [shown_event(event) for event in reversed(found)]
    return _json(
        Events(
            items=[
                EventJson(
                    at=moment(view.at),
                    subject=view.subject,
                    what=view.what,
                    reason=view.reason,
                    outcome=view.outcome,
                    detail=view.detail,
                )
                for view in views
            ]
        )
    )


async def openapi(_request: web.Request) -> web.Response:
    """The OpenAPI description; a file, because the image runs without the texts that it is made from."""
    body = await asyncio.to_thread((FOLDER / "openapi.json").read_bytes)
    return web.Response(body=body, content_type="application/json")


# --- the actions -----------------------------------------------------------------------------------------


async def action(request: web.Request) -> web.Response:
    """An action requested by a program: with the token in a header, never with a cookie."""
    kit = request.app[KIT]
    if kit.token is None:
        raise web.HTTPForbidden(reason=act.HOW)
    if not visitor_of(request).program:
        raise web.HTTPForbidden(reason="Programs must send the token as Authorization: Bearer")
    body, name = await request.read(), request.match_info["action"]
    key: str | None = None
    match name:
        case "apply":
            body_of(ApplyBody, body)
        case "adopt":
            key = body_of(AdoptBody, body).domain
        case "adopt-dns":
            key = body_of(AdoptDnsBody, body).name
        case "large-dns-plan":
            body_of(ApplyBody, body)
        case _:
            key = body_of(CheckBody, body).domain
    await act.perform(kit, name, key)
    return _json(Noted(noted=name, domain=key), 202)


class EventJson(Model):
    """Something that the sidecar did."""

    at: Time | None
    subject: str
    what: str
    reason: str
    outcome: str
    detail: str | None


class Events(Model):
    """The history, newest first."""

    items: list[EventJson]


class Noted(Model):
    """A request that the next pass carries out."""

    noted: str
    domain: str | None


class ProblemJson(Model):
    """RFC 9457."""

    type: str
    title: str
    status: int = Field(ge=400, le=599)
    detail: str
