"""The checks of every request, the headers of every answer, and failures as programs read them (RFC 9457).

Rules for every editor: if a token is set, every path that is not in OPEN needs it, new paths included. An error never
shows a stack trace or a secret.
"""

import json
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from sidecar.host.lean import structlog
from sidecar.web.auth import client_of, host_allowed
from sidecar.web.kit import COOKIE, KIT, VISITOR, Kit, Visitor, root_of


def is_api(request: web.BaseRequest) -> bool:
    """Whether the request is one of the JSON API."""
    return request.path.startswith("/api/")


def problem(status: int, detail: str) -> web.Response:
    """The answer for a failed request, with the reason."""
    title = HTTPStatus(status).phrase
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return web.Response(text=json.dumps(body), status=status, content_type="application/problem+json")


def unavailable(error: Exception) -> web.HTTPServiceUnavailable:
    """The answer for an error that may be over in some seconds; its reason is one line, as HTTP demands."""
    reason = " ".join(str(error).split())
    return web.HTTPServiceUnavailable(reason=reason, headers={hdrs.RETRY_AFTER: "10"})


log = structlog.get_logger()

REPORTS = "/tlsrpt"
"""Where senders post TLS reports, if the settings say so; by any name, and without a token."""
OPEN = frozenset({"/login", "/healthz", "/readyz", REPORTS})
"""Paths that need no token."""

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # not no-referrer: with that, browsers send `Origin: null` with our own forms
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Robots-Tag": "noindex, nofollow",
    "Server": "mta-sts-sidecar",
}


async def on_prepare(_request: web.BaseRequest, response: web.StreamResponse) -> None:
    """Sets the headers of every answer."""
    response.headers.update(HEADERS)
    response.headers.setdefault(hdrs.CACHE_CONTROL, "no-store")


ErrorPage = Callable[[web.Request, int, str], Awaitable[web.Response]]


def errors(page: ErrorPage) -> Middleware:
    """The outermost middleware: every failure becomes a page, or a problem (RFC 9457) for a program."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPException as error:
            if error.status < 400:
                raise
            status, reason, headers = error.status, error.reason, error.headers
        except Exception as error:
            log.error("web page bug", path=request.path, exc_info=error)
            status, reason, headers = 500, "Internal Server Error", None
        if is_api(request):
            answer = problem(status, reason)
        else:
            answer = await page(request, status, reason)
        if headers is not None:
            for name in (hdrs.ALLOW, hdrs.RETRY_AFTER, hdrs.WWW_AUTHENTICATE):
                if name in headers:
                    answer.headers[name] = headers[name]
        return answer

    return middleware


def host_known(request: web.Request) -> bool:
    """Whether the name in the Host header is accepted; with a token, every name is."""
    kit = request.app[KIT]
    return kit.token is not None or host_allowed(request.headers.get(hdrs.HOST, ""), kit.settings.names)


@web.middleware
async def hosts(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuses unknown host names while no token is set."""
    if request.path != REPORTS and not host_known(request):
        raise web.HTTPMisdirectedRequest(
            reason="This host name is not accepted: set a token, or add the name to `web.names` in config.yml"
        )
    return await handler(request)


@web.middleware
async def visitors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Identifies the visitor, and refuses visitors without the token."""
    kit = request.app[KIT]
    is_open = request.path in OPEN or request.path.startswith("/static/")
    visitor = Visitor()
    if kit.token is not None:
        secret = request.cookies.get(COOKIE)
        scheme, _, given = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        # On an open path no token is checked: a monitor with an outdated one gets the health answer, not a 429.
        if scheme.lower() == "bearer" and not is_open:
            visitor = Visitor(program=try_token(request, kit, given.strip()))
        elif secret:
            visitor = Visitor(kit.sessions.get(secret, time.monotonic()))
    request[VISITOR] = visitor
    if kit.token is None or visitor.known or is_open:
        return await handler(request)
    wants_page = request.method in {hdrs.METH_GET, hdrs.METH_HEAD} and not is_api(request)
    if wants_page and "text/html" in request.headers.get(hdrs.ACCEPT, ""):
        root = root_of(request)
        path = request.path.removeprefix("/")
        raise web.HTTPFound(f"{root}login?next={path}" if path else f"{root}login")
    raise web.HTTPUnauthorized(
        reason="A token is required", headers={hdrs.WWW_AUTHENTICATE: 'Bearer realm="mta-sts-sidecar"'}
    )


def try_token(request: web.Request, kit: Kit, given: str) -> bool:
    """Whether this is the token; raises HTTPTooManyRequests after too many wrong ones.

    The right token is always accepted, however many wrong ones were sent: it is checked before every limit.
    """
    now = time.monotonic()
    forwarded = ",".join(request.headers.getall("X-Forwarded-For", ()))
    address = client_of(request.remote or "", forwarded or None, kit.settings.proxies)
    if kit.token is not None and kit.token.matches(given):
        kit.attempts.succeeded(address)
        return True
    wait = kit.attempts.wait(address, now)
    if wait > 0:
        raise web.HTTPTooManyRequests(
            reason=f"Too many wrong tokens: try again in {wait:.0f} s",
            headers={hdrs.RETRY_AFTER: str(int(wait) + 1)},
        )
    kit.attempts.failed(address, now)
    log.warning("wrong token on the page", address=address)
    return False
