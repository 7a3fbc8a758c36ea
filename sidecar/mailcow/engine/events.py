"""The Docker engine's events about the containers of a compose project, as they come.

Rule for every editor: the stream is read by aiohttp, never in a thread, so that cancelling ends it at once.
An event is only a reason to observe (`Engine.containers`); no state is derived from it. The caller reconnects.
"""

import asyncio
import json
import ssl
from collections.abc import AsyncGenerator, Collection
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from sidecar.host.errors import PermanentError, TemporaryError

CONNECT_S = 10.0
ACTIONS = (
    "create",
    "start",
    "restart",
    "die",
    "stop",
    "kill",
    "oom",
    "pause",
    "unpause",
    "rename",
    "destroy",
    "health_status",
)
"""Events after which `containers` returns something else; an `exec` for a health check is not among them."""


@dataclass(frozen=True, slots=True)
class EngineEvent:
    """An event of a container of a service; `action` is the Engine's word, `at` Unix seconds."""

    service: str
    action: str
    at: float


async def events(
    docker_host: str,
    project: str,
    *,
    services: Collection[str] | None = None,
    since: float | None = None,
    cert_path: Path | None = None,
) -> AsyncGenerator[EngineEvent, None]:
    """The events of a project's containers, without end; with `since` (Unix seconds) those since then first.

    `services` None means all. Raises PermanentError for an unsupported kind of address and if the Engine
    refuses, TemporaryError if it cannot be reached and when the stream ends: there is no other end.
    """
    connector, base = await _connector(docker_host, cert_path)
    parameters = {
        "filters": json.dumps(
            {"type": ["container"], "event": ACTIONS, "label": [f"com.docker.compose.project={project}"]}
        )
    }
    if since is not None:
        parameters["since"] = f"{since:.6f}"
    timeout = aiohttp.ClientTimeout(total=None, connect=CONNECT_S)
    try:
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
            session.get(f"{base}/events", params=parameters) as response,
        ):
            if response.status != 200:
                said = f"the Docker engine at {docker_host} answered {response.status} when asked for events"
                if response.status in {401, 403}:
                    raise PermanentError(f"{said}; is there a proxy before its socket that must allow them?")
                raise TemporaryError(f"{said}; it is tried again")
            async for line in response.content:
                match json.loads(line) if line.strip() else None:
                    case {
                        "Action": str(action),
                        "timeNano": int(nanoseconds),
                        "Actor": {"Attributes": {**attributes}},
                    }:
                        service = attributes.get("com.docker.compose.service")
                        if service and (services is None or service in services):
                            yield EngineEvent(str(service), action, nanoseconds / 1e9)
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise TemporaryError(
            f"reading the events of the Docker engine at {docker_host} failed: "
            f"{type(error).__name__}: {error}; it is tried again"
        ) from error
    raise TemporaryError(f"the Docker engine at {docker_host} ended the stream of events; it is tried again")


async def _connector(docker_host: str, cert_path: Path | None) -> tuple[aiohttp.BaseConnector, str]:
    scheme, _, rest = docker_host.partition("://")
    match scheme:
        case "unix":
            return aiohttp.UnixConnector(path=rest), "http://docker"
        case "tcp" | "http" | "https" if cert_path is not None:
            context = await asyncio.to_thread(_tls, cert_path)
            return aiohttp.TCPConnector(ssl=context), f"https://{rest.rstrip('/')}"
        case "tcp" | "http":
            return aiohttp.TCPConnector(), f"http://{rest.rstrip('/')}"
        case _:
            raise PermanentError(f"DOCKER_HOST={docker_host} is not supported; use unix:// or tcp://")


def _tls(cert_path: Path) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=str(cert_path / "ca.pem"))
        context.load_cert_chain(cert_path / "cert.pem", cert_path / "key.pem")
    except OSError as error:
        raise PermanentError(
            f"the certificates for the Docker engine in {cert_path} cannot be read: {error}; "
            "is DOCKER_CERT_PATH right?"
        ) from error
    return context
