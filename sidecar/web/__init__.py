"""The web server for the page, the JSON API, metrics and health: start and end.

Rule for every editor: the page reads what the daemon knows and never waits for mailcow. It runs in the daemon's
event loop, so every handler must be quick.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass

from aiohttp import web

from sidecar.host.clock import Clock
from sidecar.host.errors import PermanentError
from sidecar.host.release import release
from sidecar.host.tasks import end_tasks
from sidecar.web import act, api, events, guard, pages, records, reports
from sidecar.web.auth import Token
from sidecar.web.door import DOOR, ConnectionDoor, ListeningSite, at_the_door
from sidecar.web.kit import KIT, Kit, WebSettings, assets
from sidecar.web.snapshot import Snapshots
from sidecar.web.source import Changes, Progress, Source, Trouble

__all__ = ["Changes", "Progress", "Source", "Trouble", "WebServer", "WebSettings", "start_web"]

MOST_BODY = 16_384
END_S = 0.5
"""How long running requests may take when the server ends."""


@dataclass
class WebServer:
    """A running web server."""

    address: str
    port: int
    _runner: web.AppRunner
    _closing: asyncio.Event

    @property
    def url(self) -> str:
        """The URL for people on this machine."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.address, self.address)  # noqa: S104 - is shown, not bound
        return f"http://[{host}]:{self.port}/" if ":" in host else f"http://{host}:{self.port}/"

    async def close(self) -> None:
        """Ends the server and live pages; may be called twice."""
        self._closing.set()
        await self._runner.cleanup()


async def start_web(
    source: Source,
    settings: WebSettings,
    clock: Clock,
    *,
    extra_routes: Iterable[web.RouteDef] = (),
) -> WebServer:
    """Serves the page until `close`; raises PermanentError when the address is not available.

    `extra_routes` are served as well. They need the token, except for paths in `guard.OPEN`.
    """
    app, closing = make_app(source, settings, clock, extra_routes)
    quiet = logging.getLogger("sidecar.web.http")
    # this logger reports each request that is not HTTP with a trace; strangers could fill the log
    quiet.disabled = True
    runner = web.AppRunner(app, access_log=None, logger=quiet, handle_signals=False, shutdown_timeout=END_S)
    await runner.setup()
    try:
        await ListeningSite(runner, app[DOOR], settings.address, settings.port).start()
    except OSError as error:
        await runner.cleanup()
        raise PermanentError(
            f"serving the page on {settings.address} port {settings.port} failed: {error.strerror}; "
            "choose another address or port, or stop the program that uses it"
        ) from error
    return WebServer(settings.address, int(runner.addresses[0][1]), runner, closing)


def make_app(
    source: Source, settings: WebSettings, clock: Clock, extra_routes: Iterable[web.RouteDef] = ()
) -> tuple[web.Application, asyncio.Event]:
    """The application, and the event that ends its streams."""
    app = web.Application(
        middlewares=[guard.errors(pages.failure), at_the_door, guard.hosts, guard.visitors],
        client_max_size=MOST_BODY,
    )
    app[DOOR] = ConnectionDoor()
    token = settings.token.get_secret_value() if settings.token else None
    app[KIT] = Kit(
        source=source,
        settings=settings,
        clock=clock,
        assets=assets(),
        snapshots=Snapshots(source),
        token=Token.of(token) if token else None,
        release=release(),
    )
    closing = app[events.CLOSING] = asyncio.Event()
    app[events.OPEN] = set()
    app.on_response_prepare.append(guard.on_prepare)
    app.add_routes(
        [
            web.get("/", pages.overview),
            web.get("/domains", pages.domains),
            web.get("/domains/{name}", pages.domain),
            web.get("/records", records.records),
            web.get("/records.zone", records.zone_file),
            web.get("/reports", reports.reports),
            web.get("/reports/{name}", reports.reports),
            web.get("/reports/raw/{id:[0-9]+}", reports.raw),
            web.get("/events", pages.events),
            web.get("/events/stream", events.stream, allow_head=False),
            web.get("/login", pages.login_page),
            web.post("/login", pages.login),
            web.post("/logout", pages.logout),
            web.post("/actions/{action}", act.act),
            web.get("/static/{name}", pages.static),
            web.get("/api/v1/status", api.status),
            web.get("/api/v1/domains", api.domains),
            web.get("/api/v1/domains/{name}", api.domain),
            web.get("/api/v1/events", api.events),
            web.get("/api/v1/openapi.json", api.openapi),
            web.post("/api/v1/actions/{action}", api.action),
            *extra_routes,
        ]
    )

    async def end_streams(_: web.Application) -> None:
        closing.set()

    app.on_shutdown.append(end_streams)
    app.cleanup_ctx.append(_warmed)
    return app, closing


async def _warmed(app: web.Application) -> AsyncIterator[None]:
    snapshots = app[KIT].snapshots
    task = asyncio.create_task(snapshots.warm())
    yield
    await end_tasks(task)
    await snapshots.close()
