"""What every handler needs, and what it knows about the visitor."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from aiohttp import web

from sidecar.formats.domain_name import to_ascii
from sidecar.host.clock import Clock
from sidecar.web.auth import Attempts, LoginSession, Sessions, Token
from sidecar.web.render import Asset
from sidecar.web.settings import WebSettings
from sidecar.web.snapshot import Snapshots
from sidecar.web.source import Source
from sidecar.web.view import Site


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
