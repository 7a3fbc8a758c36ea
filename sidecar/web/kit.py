"""What every handler needs: where the page is served and who may see it, the templates, and the visitor.

Rules for every editor: the token is never shown, not even in an error. In templates everything is escaped, and nothing is
decided. Addresses in a page are relative, so that the page works below any path of a proxy.
"""

import hashlib
import ipaddress
import mimetypes
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import web
from markupsafe import Markup, escape
from pydantic import SecretStr

from sidecar.formats.domain_name import to_ascii, to_unicode
from sidecar.host.clock import Clock
from sidecar.observed.words import day, iso, span
from sidecar.status.wording import Light, count
from sidecar.web.auth import Attempts, LoginSession, Network, Sessions, Token
from sidecar.web.snapshot import Snapshots
from sidecar.web.source import Source
from sidecar.web.view import Site, named, when

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


SHORTEST_TOKEN = 12
"""Characters. Tokens must be long, because every guess is compared: a lock-out would hit the owner, too."""


@dataclass(frozen=True, slots=True)
class WebSettings:
    """Address (of an interface) and port to listen on; without a token everyone may read, and actions are disabled."""

    address: str = "127.0.0.1"
    port: int = 8480
    """0: any free port."""
    token: SecretStr | None = None
    names: frozenset[str] = frozenset()
    """Accepted host names; IP addresses and localhost are always accepted."""
    proxies: tuple[Network, ...] = ()
    """Proxies whose X-Forwarded-For header is used."""

    def __post_init__(self) -> None:
        """Raises ValueError with a sentence for people when a value is invalid."""
        ipaddress.ip_address(self.address)
        if not 0 <= self.port < 1 << 16:
            raise ValueError(f"{self.port} is not a port; accepted: 0 to 65535")
        if self.token is not None and len(self.token.get_secret_value()) < SHORTEST_TOKEN:
            raise ValueError(f"the token is too short; accepted: {SHORTEST_TOKEN} characters or more")


@dataclass
class Kit:
    """The parts of a running page."""

    source: Source
    settings: WebSettings
    clock: Clock
    assets: Mapping[str, Asset]
    snapshots: Snapshots
    token: Token | None
    release: str
    sessions: Sessions = field(default_factory=Sessions)
    attempts: Attempts = field(default_factory=Attempts)


@dataclass(frozen=True, slots=True)
class Visitor:
    """A visitor: a browser with a session, a program with the token in a header, or neither."""

    session: LoginSession | None = None
    program: bool = False

    @property
    def known(self) -> bool:
        """Whether the token was given."""
        return self.session is not None or self.program


KIT = web.AppKey("kit", Kit)
VISITOR = web.RequestKey("visitor", Visitor)
COOKIE = "mta_sts_sidecar"


def root_of(request: web.Request) -> str:
    """The relative path from the requested address to the overview; works below any path of a proxy."""
    return "../" * (request.path.count("/") - 1) or "./"


def name_in(request: web.Request, site: Site) -> str:
    """The domain in the address, as an A-label; raises HTTPNotFound for one that mailcow does not have."""
    with suppress(ValueError):
        name = to_ascii(request.match_info["name"])
        if name in site.rows:
            return name
    raise web.HTTPNotFound(reason="This mailcow has no such domain")


def visitor_of(request: web.Request) -> Visitor:
    found = request.get(VISITOR)
    return found if isinstance(found, Visitor) else Visitor()
