"""Failures as programs read them: RFC 9457."""

import json
from http import HTTPStatus

from aiohttp import web


def is_api(request: web.BaseRequest) -> bool:
    """Whether a program asks."""
    return request.path.startswith("/api/")


def problem(status: int, detail: str) -> web.Response:
    """An answer that says what is wrong."""
    title = HTTPStatus(status).phrase
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return web.Response(text=json.dumps(body), status=status, content_type="application/problem+json")
