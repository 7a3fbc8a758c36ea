"""A Docker engine as far as the sidecar calls it, out of a table, on loopback."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

LOOPBACK = "127.0.0.1"
API = "1.45"
TITLES = ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]


@dataclass
class FakeContainer:
    """One container, in the Engine's own words."""

    id: str
    service: str
    project: str | None = "mailcowdockerized"
    oneoff: str = "False"
    state: str = "running"
    status: str = "Up 3 hours"
    created: str = "2026-08-01T10:00:00.5Z"
    started: str = "2026-08-01T10:00:01.123456789Z"
    env: list[str] | None = field(default_factory=list)
    commands: list[str] = field(default_factory=lambda: ["/sbin/tini -g -- /srv/acme.sh", "sleep 1d"])
    log: str = ""
    """As old as the container's start."""
    said: list[tuple[float, str]] = field(default_factory=list)
    """More lines, each with the time at which it was written."""
    renamed: str | None = None

    def logged(self, query: Mapping[str, str]) -> str:
        """What the Engine gives of the log for these parameters of a request."""
        since, tail = float(query.get("since", 0)), query.get("tail", "all")
        first = [(self.started, line) for line in self.log.splitlines()]
        more = [(_engine_time(at), line) for at, line in self.said if at >= since]
        lines = [f"{at} {line}" if query.get("timestamps") == "1" else line for at, line in first + more]
        kept = lines if tail == "all" else lines[max(0, len(lines) - int(tail)) :]
        return "".join(f"{line}\n" for line in kept)

    @property
    def name(self) -> str:
        return self.renamed or f"{self.project}-{self.service}-1"

    @property
    def labels(self) -> dict[str, str]:
        if self.project is None:
            return {}
        return {
            "com.docker.compose.project": self.project,
            "com.docker.compose.service": self.service,
            "com.docker.compose.oneoff": self.oneoff,
        }


@dataclass
class FakeEngine:
    """Answers for `containers`; `failing` maps the start of a path to a status and a message."""

    containers: list[FakeContainer] = field(default_factory=list)
    failing: dict[str, tuple[int, str]] = field(default_factory=dict)
    broken: bool = False
    """Answers with what no engine answers."""
    calls: list[str] = field(default_factory=list)
    """Method and path of each call, without the version."""
    port: int = 0

    @property
    def docker_host(self) -> str:
        return f"tcp://{LOOPBACK}:{self.port}"

    def count(self, call: str) -> int:
        """How many calls have this in them."""
        return sum(call in made for made in self.calls)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        path = request.path.removeprefix(f"/v{API}")
        self.calls.append(f"{request.method} {path}")
        for start, (status, message) in self.failing.items():
            if path.startswith(start):
                return web.json_response({"message": message}, status=status)
        match [request.method, *path.strip("/").split("/")]:
            case ["GET", "version"]:
                return web.json_response({"ApiVersion": API})
            case ["GET", "containers", "json"] if self.broken:
                return web.json_response([{"Id": "x"}])
            case ["GET", "containers", "json"]:
                return web.json_response(self._list(request.query))
            case [method, "containers", wanted, action]:
                found = [c for c in self.containers if c.id.startswith(wanted) or c.name == wanted]
                if not found:
                    return web.json_response({"message": f"No such container: {wanted}"}, status=404)
                return self._container(method, action, found[0], request.query)
            case _:
                return web.json_response({"message": "page not found"}, status=404)

    def _list(self, query: Mapping[str, str]) -> list[dict[str, Any]]:
        wanted = set(json.loads(query["filters"])["label"])
        everything = [c for c in self.containers if query["all"] == "1" or c.state == "running"]
        return [
            {"Id": c.id, "Names": [f"/{c.name}"], "Labels": c.labels, "State": c.state, "Status": c.status}
            for c in everything
            if wanted <= {f"{key}={value}" for key, value in c.labels.items()}
        ]

    def _container(
        self, method: str, action: str, found: FakeContainer, query: Mapping[str, str]
    ) -> web.Response:
        match method, action:
            case "GET", "json":
                return web.json_response(
                    {
                        "Id": found.id,
                        "Name": f"/{found.name}",
                        "Created": found.created,
                        "State": {"Status": found.state, "StartedAt": found.started},
                        "Config": {"Labels": found.labels, "Env": found.env, "Tty": False},
                    }
                )
            case "GET", "top":
                rows = [
                    ["root", "1", "0", "0", "10:00", "?", "00:00:00", command] for command in found.commands
                ]
                return web.json_response({"Titles": TITLES, "Processes": rows})
            case "POST", "restart":
                return web.Response(status=204)
            case "POST", "rename":
                found.renamed = query["name"]
                return web.Response(status=204)
            case "GET", "logs":
                text = found.logged(query).encode()
                return web.Response(body=b"\x01\0\0\0" + len(text).to_bytes(4, "big") + text)
            case _:
                return web.json_response({"message": "page not found"}, status=404)


def _engine_time(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%S.%f}000Z"


@asynccontextmanager
async def serving(*containers: FakeContainer) -> AsyncIterator[FakeEngine]:
    """A running engine with these containers."""
    engine = FakeEngine(list(containers))
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", engine.handle)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        site = web.TCPSite(runner, LOOPBACK, 0)
        await site.start()
        engine.port = runner.addresses[0][1]
        yield engine
    finally:
        await runner.cleanup()
