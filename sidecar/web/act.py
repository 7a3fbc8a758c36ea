"""The actions that a person may request: check now, apply now, adopt a policy or a DNS record, a large DNS plan.

Rule for every editor: every action needs the token. A browser must also send the form of its own session from our
page. A program sends the token in a header; a foreign page cannot make a browser do that.
"""

from contextlib import suppress

from aiohttp import web

from sidecar.formats.domain_name import to_ascii
from sidecar.host.errors import SidecarError
from sidecar.observed import FILE, LARGE_DNS_PLAN
from sidecar.plan.requests import Basis, adopt_records_refusal, adopt_refusal, record_domain
from sidecar.web.auth import same_secret
from sidecar.web.guard import unavailable
from sidecar.web.kit import KIT, Kit, root_of, visitor_of
from sidecar.web.pages import from_here
from sidecar.web.view import Site

HOW = "Set MTA_STS_WEB_TOKEN to enable this"


async def act(request: web.Request) -> web.Response:
    """An action requested by a form; redirects to the page of the form."""
    form = {key: value for key, value in (await request.post()).items() if isinstance(value, str)}
    kit, visitor = request.app[KIT], visitor_of(request)
    if kit.token is None:
        raise web.HTTPForbidden(reason=HOW)
    if not visitor.program and (
        visitor.session is None
        or not from_here(request)
        or not same_secret(form.get("csrf", ""), visitor.session.csrf)
    ):
        raise web.HTTPForbidden(reason="The form has expired or did not come from this page: reload the page")
    action = request.match_info["action"]
    domain = await perform(kit, action, form.get("domain") or None)
    place = f"domains/{domain}" if domain and domain != FILE and form.get("back") == "domain" else ""
    raise web.HTTPSeeOther(f"{root_of(request)}{place}?said={action}")


async def perform(kit: Kit, action: str, key: str | None) -> str | None:
    """Stores the request; returns its domain (or `FILE`). Raises HTTP errors for requests that are not possible."""
    site = await kit.snapshots.site()
    if action in {"adopt-dns", "large-dns-plan"}:
        return await _about_records(kit, site, action, key)
    if key is not None and key != FILE:
        with suppress(ValueError):  # an invalid name is not a domain of this mailcow
            key = to_ascii(key)
        if site is None or key not in site.rows:
            raise web.HTTPNotFound(reason="This mailcow has no such domain")
    try:
        match action:
            case "check":
                await kit.source.check_now(None if key == FILE else key)
            case "apply":
                await kit.source.apply_now()
            case "adopt":
                if key is None or site is None:
                    raise web.HTTPBadRequest(
                        reason="Name a domain that the sidecar manages, or * for the file"
                    )
                if refusal := adopt_refusal([key], Basis.seen(site.status.observed, site.status.settings)):
                    raise web.HTTPBadRequest(reason=str(refusal))
                await kit.source.adopt([key])
            case _:
                raise web.HTTPNotFound
    except SidecarError as error:
        raise unavailable(error) from error
    return key


async def _about_records(kit: Kit, site: Site | None, action: str, name: str | None) -> str | None:
    """A request about DNS records; returns the domain of the record."""
    domain: str | None = None
    try:
        if action == "large-dns-plan":
            await kit.source.let_through(LARGE_DNS_PLAN)
            return None
        domain = record_domain(name or "")
        if name is None or domain is None or site is None:
            raise web.HTTPNotFound(
                reason="No domain of this mailcow has such a record: name one such as _mta-sts.example.org"
            )
        basis = Basis.seen(site.status.observed, site.status.settings)
        if refusal := adopt_records_refusal([name], basis):
            raise web.HTTPNotFound(reason=str(refusal))
        await kit.source.adopt_records([name])
    except SidecarError as error:
        raise unavailable(error) from error
    return domain if domain in site.rows else None
