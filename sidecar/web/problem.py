"""Failures as programs read them: RFC 9457."""

import json
from http import HTTPStatus

from aiohttp import hdrs, web


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
