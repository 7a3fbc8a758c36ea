"""Templates, read at their first use, and static files, read once at the start.

Rule for every editor: everything is escaped. Templates do not decide anything. Addresses in a page are relative,
so that the page works below any path of a proxy.
"""

import hashlib
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from sidecar.formats.domain_name import to_unicode
from sidecar.observed.words import day, iso, span
from sidecar.status.wording import Light, count
from sidecar.web.view import named, when

if TYPE_CHECKING:
    from jinja2 import Environment

FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Asset:
    """A static file; `digest` changes with its content."""

    body: bytes
    content_type: str
    digest: str


def assets() -> Mapping[str, Asset]:
    """All static files by name."""
    found: dict[str, Asset] = {}
    for path in sorted((FOLDER / "static").iterdir()):
        body = path.read_bytes()
        kind = {".js": "text/javascript", ".svg": "image/svg+xml"}.get(path.suffix)
        guessed = kind or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        found[path.name] = Asset(body, guessed, hashlib.sha256(body).hexdigest()[:12])
    return found


@cache
def templates() -> "Environment":
    """The environment for all pages."""
    # Loaded with the first page: a daemon whose page nobody opens needs 2 MB less.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415

    environment = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters.update(
        unicode=to_unicode, prose=prose, day=day, iso=iso, ago=ago, named=named, when=when, span=span
    )
    environment.globals.update(count=count, Light=Light)
    return environment


def prose(text: str) -> Markup:
    """A sentence in which text in backquotes is marked as code."""
    parts = [escape(part) for part in text.split("`")]
    if len(parts) % 2 == 0:
        return escape(text)
    return Markup("").join(Markup(f"<code>{part}</code>") if n % 2 else part for n, part in enumerate(parts))  # noqa: S704 - escaped above


def ago(at: float, now: float) -> str:
    """How long ago, in the same words as app.js."""
    passed = now - at
    if passed < 60:
        return "just now" if passed >= -60 else f"in {span(-passed)}"
    return f"{span(passed)} ago"
