"""The containers of mailcow's compose project, through the Docker engine: observe, restart, read the end of a log.

Rules for every editor: the Engine is asked in a thread with its own time-out, because a thread cannot be cancelled,
and outside the thread pool of the passes, which a hung Engine would fill. A failed question is `Unseen` with a
remedy. Passwords in the containers' environment are not copied into our values. Which container this process runs in is a
guess until the Engine has confirmed it. When to restart is decided elsewhere; here a restart is only refused if the
container has changed since that decision. `events` reads the events.
"""

import os
import re
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from sidecar.host.errors import SidecarError, TemporaryError
from sidecar.host.tasks import in_thread
from sidecar.mailcow.engine.sdk import docker, explanation, requests, trouble
from sidecar.observed import Container, Project, Seen, Sight, Unseen
from sidecar.plan.acme.script import SLEEPS

_ID = re.compile(r"[0-9a-f]{12,64}\Z")
# The Engine writes these three files for each container and mounts them; other mounts below its folder may
# belong to other containers, and are seen by a process on the host.
_MOUNT = re.compile(r" \S*/containers/(?P<id>[0-9a-f]{64})/\S+ /etc/(?:hostname|hosts|resolv\.conf) ")


def own_ids() -> tuple[str, ...]:
    """Ids (whole or abbreviated) that our container may have, the most certain first; empty outside a container."""
    try:
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        mounts = ""
    return candidates(mounts, os.environ.get("HOSTNAME"))


def candidates(mountinfo: str, hostname: str | None) -> tuple[str, ...]:
    """The ids that a process with this /proc/self/mountinfo and this HOSTNAME may have.

    Compose's `hostname:` and `docker run --hostname` replace the id in HOSTNAME by anything.
    """
    found = [match["id"] for match in _MOUNT.finditer(mountinfo)]
    if hostname and _ID.match(hostname):
        found.append(hostname)
    return tuple(dict.fromkeys(found))


T = TypeVar("T")

ACME = "acme-mailcow"
NGINX = "nginx-mailcow"
DEFAULT_DOCKER_HOST = "unix:///var/run/docker.sock"
TIMEOUT_S = 20
LOG_LINE_LIMIT = 2000
"""Characters kept of a line of a log."""

_PROJECT = "com.docker.compose.project"
_SERVICE = "com.docker.compose.service"
_ONE_OFF = "com.docker.compose.oneoff"
_SECRET = re.compile(r"PASS|KEY|SECRET|TOKEN")
# The list has no start time. A container that has been up for an hour according to the list, and whose start time
# was read less than an hour ago, was not started since: it need not be inspected again.
_UP_FOR_AN_HOUR = re.compile(r"Up (?:About an hour|\d+ (?:hours|days|weeks|months|years))\b")
_TRUST_S = 45 * 60.0


class Untouched(TemporaryError):  # noqa: N818  it says what happened, as a sentence would
    """Nothing was done to the container: it has changed since the decision, or it is working."""


@dataclass(frozen=True, slots=True)
class _Known:
    """An inspected container, and when its start time was last confirmed."""

    container: Container
    at: float


class Engine:
    """The Docker engine at `docker_host` (as DOCKER_HOST has it; empty or None: the usual socket).

    With `cert_path` (as DOCKER_CERT_PATH) TLS is used for a TCP host, always verified.
    Creating an `Engine` sends no request, so no Docker engine has to run yet.
    """

    def __init__(
        self,
        docker_host: str | None = None,
        *,
        cert_path: Path | None = None,
        own_ids: Callable[[], Sequence[str]] = own_ids,
    ) -> None:
        self.docker_host = docker_host or DEFAULT_DOCKER_HOST
        self.cert_path = cert_path
        self._own_ids = own_ids
        self._client: docker.APIClient | None = None
        self._making_client = threading.Lock()
        self._own: tuple[str, str | None] | None = None
        self._known: dict[str, _Known] = {}

    async def observe(self, now: float, project_hint: str | None) -> Sight[Project]:
        """All containers of the sidecar's compose project, including stopped ones, and whether acme-mailcow sleeps.

        The project is that of the sidecar's own container; `project_hint` (COMPOSE_PROJECT_NAME, in any
        spelling) is used only if that is unknown. A project without containers is an answer.
        Never raises: an error of the Engine becomes `Unseen`.
        """
        try:
            return await self.ask(
                "looking at mailcow's containers", lambda client: self._observe(client, now, project_hint)
            )
        except SidecarError as error:
            return Unseen(
                f"{error}. Until then acme-mailcow is left unchanged; everything else continues", now
            )

    async def restart(self, container_id: str, expected_started_at: float, timeout_s: int = 10) -> None:
        """Restarts acme-mailcow, which has `timeout_s` to stop; returns when it is started again.

        Raises Untouched if it was started at another time (Unix seconds) than expected or is working;
        TemporaryError if it is gone, and, with an unknown outcome, if the Engine failed or did not answer in
        time; and PermanentError if the Engine refuses.
        """

        def look_and_restart(client: docker.APIClient) -> None:
            found = _container(client.inspect_container(container_id))
            if (found.state, found.started_at) != ("running", expected_started_at):
                raise Untouched(
                    f"container {found.name} was not restarted: meanwhile somebody started or stopped it "
                    f"(it is {found.state}); the next pass looks again"
                )
            if _sleep(client, container_id) is None:
                raise Untouched(
                    f"container {found.name} was not restarted: it is working now; the next pass looks again"
                )
            client.restart(container_id, timeout=timeout_s)

        await self.ask(f"restarting container {container_id[:12]}", look_and_restart)

    async def logs_tail(
        self, container_id: str, since: float, limit: int = 50, *, stamped: bool = False
    ) -> tuple[str, ...]:
        """The last `limit` lines that a container wrote since then (Unix seconds), oldest first.

        `stamped`: each begins with the time at which the Engine got it (RFC 3339) and a space.
        The first lines of a container can be some milliseconds older than its `started_at` by the Engine.
        Raises TemporaryError if the Engine cannot be asked, or the container is gone.
        """

        def read(client: docker.APIClient) -> tuple[str, ...]:
            log = client.logs(container_id, since=max(since, 1.0), tail=limit, timestamps=stamped)
            lines = log.decode("utf-8", errors="replace").splitlines()
            return tuple(line[:LOG_LINE_LIMIT] for line in lines[-limit:])

        return await self.ask(f"reading the log of container {container_id[:12]}", read)

    async def close(self) -> None:
        """Closes the connections; asking again opens new ones."""
        await in_thread(self._forget_client)

    async def ask(self, what: str, question: Callable[[docker.APIClient], T]) -> T:
        """The answer to `question`, which runs in a thread; every call to the Engine goes this way. Raises SidecarError."""

        def ask() -> T:
            try:
                return question(self._connected())
            except docker.errors.NotFound as error:
                raise TemporaryError(f"{what} failed: it is gone; the next pass looks again") from error
            except (docker.errors.DockerException, requests.RequestException, OSError) as error:
                if not isinstance(error, docker.errors.APIError):
                    self._forget_client()  # the next Engine at this address may have another API version
                raise trouble(what, self.docker_host, TIMEOUT_S, error) from error
            except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
                raise TemporaryError(
                    f"{what} failed: the answer of the Docker engine at {self.docker_host} is not understood "
                    f"({type(error).__name__}: {error}); is it a Docker engine?"
                ) from error

        return await in_thread(ask)

    def _connected(self) -> docker.APIClient:
        scheme, _, path = self.docker_host.partition("://")
        if scheme == "unix":
            # Raises OSError if no process listens at the socket: the SDK would leak an open socket each time.
            with socket.socket(socket.AF_UNIX) as trial:
                trial.settimeout(TIMEOUT_S)
                trial.connect(path)
        with self._making_client:
            if self._client is None:
                tls: docker.tls.TLSConfig | bool = False
                if self.cert_path and not self.docker_host.startswith("unix:"):
                    tls = docker.tls.TLSConfig(
                        client_cert=(str(self.cert_path / "cert.pem"), str(self.cert_path / "key.pem")),
                        ca_cert=str(self.cert_path / "ca.pem"),
                        verify=True,
                    )
                self._client = docker.APIClient(self.docker_host, version="auto", timeout=TIMEOUT_S, tls=tls)
            return self._client

    def _forget_client(self) -> None:
        with self._making_client:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _observe(self, client: docker.APIClient, now: float, project_hint: str | None) -> Sight[Project]:
        own_id, own_project = self._own_container(client)
        name = own_project or project_name(project_hint or "")
        if not name:
            return Unseen(
                "the compose project is not known: the sidecar's own container has no compose label, and "
                "COMPOSE_PROJECT_NAME is not set; start the sidecar with Docker Compose, or set it",
                now,
            )
        listed = client.containers(all=True, filters={"label": [f"{_PROJECT}={name}"]})
        rows = [row for row in listed if row["Labels"].get(_ONE_OFF, "").lower() != "true"]
        self._known = {known.container.id: known for known in self._inspected(client, rows, now)}
        containers = tuple(
            replace(known.container, own=known.container.id == own_id) for known in self._known.values()
        )
        project = Project(name, tuple(sorted(containers, key=lambda container: container.name)))
        acme = project.service(ACME)
        acme_sleep: Sight[str | None]
        if acme is None:
            acme_sleep = Unseen(f"there is no container of {ACME}", now)
        elif acme.state != "running":
            acme_sleep = Unseen(f"{ACME} is {acme.state}", now)
        else:
            try:
                acme_sleep = Seen(_sleep(client, acme.id), now)
            except docker.errors.APIError as error:
                reason = f"the processes of {ACME} cannot be listed: {explanation(error)}"
                acme_sleep = Unseen(reason, now)
        return Seen(replace(project, acme_sleep=acme_sleep), now)

    def _own_container(self, client: docker.APIClient) -> tuple[str | None, str | None]:
        """The id and the compose project of the container that this process runs in; asked once."""
        if self._own is None:
            for candidate in self._own_ids():
                try:
                    found = client.inspect_container(candidate)
                except docker.errors.NotFound:
                    continue
                if found["Id"].startswith(candidate):  # and not a container of that name
                    self._own = found["Id"], (found["Config"]["Labels"] or {}).get(_PROJECT)
                    break
        return self._own or (None, None)

    def _inspected(
        self, client: docker.APIClient, rows: Iterable[Mapping[str, Any]], now: float
    ) -> Iterator[_Known]:
        for row in rows:
            known = self._known.get(row["Id"])
            up_long = row["State"] == "running" and _UP_FOR_AN_HOUR.match(row["Status"])
            if known and up_long and known.container.state == "running" and 0 <= now - known.at < _TRUST_S:
                yield replace(known, at=now)
                continue
            try:
                yield _Known(_container(client.inspect_container(row["Id"])), now)
            except docker.errors.NotFound:
                continue  # removed since the list was read: then it is gone


def project_name(text: str) -> str:
    """The project name that Compose derives from COMPOSE_PROJECT_NAME or a folder's name."""
    return re.sub(r"[^a-z0-9_-]", "", text.lower()).lstrip("_-")


def sleep_argument(titles: Sequence[str], processes: Sequence[Sequence[str]]) -> str | None:
    """The argument of the `sleep` between two runs of acme-mailcow in an answer of `top`; None while it works."""
    column = next((i for i, title in enumerate(titles) if title in {"CMD", "COMMAND", "ARGS"}), -1)
    for process in processes:
        words = process[column].split()
        if words and words[0].rpartition("/")[2] == "busybox":
            del words[0]
        if len(words) == 2 and words[0].rpartition("/")[2] == "sleep" and words[1] in SLEEPS:
            return words[1]
    return None


def _sleep(client: docker.APIClient, container_id: str) -> str | None:
    found = client.top(container_id)
    if not found["Processes"]:
        raise ValueError("a running container without processes")
    return sleep_argument(found["Titles"], found["Processes"])


def _container(found: Mapping[str, Any]) -> Container:
    """The value for an answer of `inspect`; an unexpected answer raises an exception of Python's."""
    labels = found["Config"]["Labels"] or {}
    service = labels.get(_SERVICE, "")
    variables = (
        (line.partition("=") for line in found["Config"]["Env"] or ()) if service in {ACME, NGINX} else ()
    )
    return Container(
        id=found["Id"],
        name=found["Name"].removeprefix("/"),
        service=service,
        state=found["State"]["Status"],
        created_at=_unix(found["Created"]),
        started_at=_unix(found["State"]["StartedAt"]),
        env={key: value for key, _, value in variables if not _SECRET.search(key.upper())},
    )


def _unix(text: str) -> float:
    """Unix seconds; the Engine writes the year 1 for a time that does not exist."""
    return max(0.0, datetime.fromisoformat(text).timestamp()) if text else 0.0
