"""The JSON API, version 1: what the pages show, for programs.

Rules for every editor: `openapi.py` describes this to the letter, and tests hold both together. A field may be added
in version 1; none is taken away, and none changes its meaning. What is not known is null or a 503, never empty.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict

from aiohttp import hdrs, web

from sidecar.formats.domain_name import to_ascii
from sidecar.host.errors import SidecarError
from sidecar.observed import FILE
from sidecar.rollout import Stage
from sidecar.status.light import Cell, Line
from sidecar.status.wording import Light
from sidecar.web import act
from sidecar.web.detail import Detail, detail_of
from sidecar.web.history import shown_event
from sidecar.web.kit import KIT, visitor_of
from sidecar.web.openapi import DOCUMENT
from sidecar.web.render import iso
from sidecar.web.table import MODES, MOST_PER_PAGE, SORTS, Asked, page_of, slug
from sidecar.web.view import Item, Pending, Site

MOST_EVENTS = 1_000
_LONGEST_NUMBER = 6


def _json(body: object, status: int = 200) -> web.Response:
    return web.Response(
        text=json.dumps(body, ensure_ascii=True), status=status, content_type="application/json"
    )


def _time(at: float | None) -> str | None:
    return None if at is None else iso(at)


async def _site(request: web.Request) -> Site:
    site = await request.app[KIT].snapshots.site()
    if site is None:
        raise web.HTTPServiceUnavailable(
            reason="Nothing is known yet: the first pass is under way", headers={hdrs.RETRY_AFTER: "5"}
        )
    return site


# --- what is known ---------------------------------------------------------------------------------------


async def status(request: web.Request) -> web.Response:
    """How all stands."""
    kit = request.app[KIT]
    site = await kit.snapshots.site()
    trouble, progress = kit.source.trouble(), kit.source.progress()
    return _json(
        {
            "release": kit.release,
            "started_at": iso(kit.source.started_at),
            "seen_at": _time(site.at) if site else None,
            "dry_run": kit.source.settings.dry_run,
            "headline": site.headline if site else None,
            "mailcow": _mailcow(site),
            "trouble": trouble
            and {"message": trouble.message, "todo": trouble.todo, "since": iso(trouble.since)},
            "progress": progress
            and {
                "doing": progress.doing,
                "done": progress.done,
                "total": progress.total,
                "since": iso(progress.since),
            },
            "domains": {light.value: site.counts.get(light, 0) for light in Light}
            if site and site.listed
            else None,
            "needs": [_item(item) for item in site.items] if site else [],
            "pending": [_pending(one) for one in site.pending] if site else [],
        }
    )


def _mailcow(site: Site | None) -> dict[str, object] | None:
    if site is None or site.mailcow is None:
        return None
    version = site.mailcow.version
    return {
        "version": str(version) if version else None,
        "backend": site.mailcow.backend.value,
        "hostname": site.hostname or None,
    }


def _item(item: Item) -> dict[str, object]:
    return {
        "status": item.light.value,
        "code": item.code,
        "message": item.message,
        "todo": item.todo,
        "domains": list(item.names),
    }


def _pending(one: Pending) -> dict[str, object]:
    return {
        "action": one.what,
        "reason": one.why,
        "remedy": one.remedy,
        "until": _time(one.until),
        "held": not one.planned,
        "subjects": list(one.subjects),
    }


async def domains(request: web.Request) -> web.Response:
    """A page of the table."""
    site = await _site(request)
    if not site.listed:
        raise web.HTTPServiceUnavailable(
            reason="Which domains there are is not known: mailcow could not be read",
            headers={hdrs.RETRY_AFTER: "30"},
        )
    page = page_of(site.lines, Asked.of(_checked(request.query)))
    return _json(
        {
            "seen_at": iso(site.at),
            "total": page.total,
            "page": page.asked.page,
            "pages": page.pages,
            "per_page": page.asked.per_page,
            "items": [_line(line) for line in page.lines],
        }
    )


_CHOICES: Mapping[str, frozenset[str]] = {
    "status": frozenset(light.value for light in Light),
    "mode": frozenset(MODES),
    "stage": frozenset(slug(stage) for stage in Stage),
    "sort": frozenset(SORTS),
    "order": frozenset({"asc", "desc"}),
}
_NUMBERS = {"page": 100_000, "per_page": MOST_PER_PAGE}
_TEXTS = {"q": 253, "cause": 100}


def _checked(query: Mapping[str, str]) -> Mapping[str, str]:
    """The same query; a page may shrug at what means nothing, a program is told. Raises HTTPBadRequest."""
    for name, value in query.items():
        if name in _CHOICES and value not in _CHOICES[name]:
            raise web.HTTPBadRequest(reason=f"{name}: accepted are {', '.join(sorted(_CHOICES[name]))}")
        if name in _NUMBERS:
            _number(name, value, _NUMBERS[name])
        if name in _TEXTS and len(value) > _TEXTS[name]:
            raise web.HTTPBadRequest(reason=f"{name}: accepted are {_TEXTS[name]} characters at most")
        if name not in {*_CHOICES, *_NUMBERS, *_TEXTS}:
            raise web.HTTPBadRequest(reason="There is no such parameter")
    return query


def _number(name: str, value: str, most: int) -> int:
    good = value.isascii() and value.isdigit() and len(value) <= _LONGEST_NUMBER and 1 <= int(value) <= most
    if not good:
        raise web.HTTPBadRequest(reason=f"{name}: accepted is a whole number from 1 to {most}")
    return int(value)


def _line(line: Line) -> dict[str, object]:
    return {
        "name": line.name,
        "unicode": line.shown,
        "alias_of": line.target,
        "status": line.light.value,
        "code": line.cause.code,
        "message": line.cause.message,
        "todo": line.cause.todo,
        "mode": line.mode.value if line.mode else None,
        "stage": slug(line.stage) if line.stage else None,
        "since": _time(line.since),
        "policy": _cell(line.policy),
        "certificate": _cell(line.certificate),
        "dns": _cell(line.dns),
        "mx": _cell(line.mx),
        "tlsrpt": _cell(line.report),
    }


def _cell(cell: Cell) -> dict[str, object]:
    return {"status": cell.light.value, "text": cell.text, "hint": cell.hint or None}


async def domain(request: web.Request) -> web.Response:
    """One domain with its findings and records."""
    site = await _site(request)
    try:
        name = to_ascii(request.match_info["name"])
    except ValueError:
        name = ""
    if name not in site.rows:
        raise web.HTTPNotFound(reason="This mailcow has no such domain")
    return _json(_detail(detail_of(site, name)))


def _detail(detail: Detail) -> dict[str, object]:
    return {
        **_line(detail.line),
        "seen_at": iso(detail.at),
        "checked_at": _time(detail.checked_at),
        "explained": detail.explained,
        "next": list(detail.next),
        "policy_text": detail.policy_text,
        "adopt_key": detail.adopt_key,
        "steps": [
            {"title": s.title, "status": s.light.value, "text": s.text, "since": _time(s.since)}
            for s in detail.steps
        ],
        "findings": [
            {**asdict(view.finding), "severity": view.finding.severity.value}
            for view in (*detail.findings, *detail.fine)
        ],
        "records": [
            {
                "owner": record.owner,
                "record": record.line,
                "standing": _cell(record.cell),
                "note": record.note or None,
                "found": record.found or None,
            }
            for record in detail.records
        ],
    }


async def events(request: web.Request) -> web.Response:
    """The history, newest first."""
    subject: str | None = None
    limit = 100
    for name, value in request.query.items():
        match name:
            case "limit":
                limit = _number(name, value, MOST_EVENTS)
            case "subject" if len(value) <= _TEXTS["q"]:
                subject = value or None
            case "subject":
                raise web.HTTPBadRequest(reason=f"subject: accepted are {_TEXTS['q']} characters at most")
            case _:
                raise web.HTTPBadRequest(reason="There is no such parameter")
    try:
        found = await request.app[KIT].source.history(subject, limit)
    except SidecarError as error:
        reason = " ".join(str(error).split())
        raise web.HTTPServiceUnavailable(reason=reason, headers={hdrs.RETRY_AFTER: "10"}) from error
    views = [shown_event(event) for event in reversed(found)]
    return _json(
        {
            "items": [
                {
                    "at": iso(view.at),
                    "subject": view.subject,
                    "what": view.what,
                    "reason": view.reason,
                    "outcome": view.outcome,
                    "detail": view.detail,
                }
                for view in views
            ]
        }
    )


async def openapi(_request: web.Request) -> web.Response:
    """The description of all this."""
    return _json(DOCUMENT)


# --- the three actions -----------------------------------------------------------------------------------


async def action(request: web.Request) -> web.Response:
    """An action asked for by a program: with the token in a header, never with a cookie."""
    kit = request.app[KIT]
    if kit.token is None:
        raise web.HTTPForbidden(reason=act.HOW)
    if not visitor_of(request).program:
        raise web.HTTPForbidden(reason="Programs show the token as Authorization: Bearer")
    key = _key(await request.read())
    name = request.match_info["action"]
    if name == "apply" and key is not None:
        raise web.HTTPBadRequest(reason="A pass is about all domains")
    if name == "adopt" and key is None:
        raise web.HTTPBadRequest(reason=f"domain is needed: a domain, or {FILE} for the policy file")
    await act.perform(kit, name, key)
    return _json({"noted": name, "domain": key}, 202)


def _key(body: bytes) -> str | None:
    if not body:
        return None
    try:
        given = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise web.HTTPBadRequest(reason="The body is no JSON") from error
    if not isinstance(given, dict) or set(given) - {"domain"}:
        raise web.HTTPBadRequest(reason="The body is an object with no other key than domain")
    domain_ = given.get("domain")
    if domain_ is not None and not (isinstance(domain_, str) and 0 < len(domain_) <= _TEXTS["q"]):
        raise web.HTTPBadRequest(reason="domain is a name, or null")
    return domain_
