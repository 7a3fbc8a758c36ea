"""Stand-in containers in the real Docker engine: an image made of this machine's own `sh` and `sleep`.

Rule for every editor: nothing is pulled, nothing of the machine is mounted, and the containers have no network;
all of it is removed at the end, and ends automatically after ten minutes if the demo was killed. An error
here makes the demo continue in memory; it never makes the demo fail.
"""

import asyncio
import contextlib
import io
import itertools
import re
import secrets
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import docker
import docker.errors
import requests

from demo.acme import WORK_S, Ran
from demo.standins import RunOfAcme
from sidecar.host.errors import SidecarError
from sidecar.mailcow.engine.acme import AcmeEngine
from sidecar.mailcow.engine.client import ACME, NGINX
from sidecar.mailcow.engine.events import events

TIMEOUT_S = 10
_READY_S = 5.0
_PROGRAMS = ("sh", "sleep")
_IMAGES_AT_HAND = ("busybox:latest", "alpine:latest")
_PROJECT, _SERVICE = "com.docker.compose.project", "com.docker.compose.service"
# `sleep 1` is work: until somebody tells how the run ended, for a minute at most.
_ACME = (
    "trap 'exit 0' TERM; (sleep 600; kill $$) & : > /ended; n=0; "
    "while [ ! -s /ended ] && [ $n -lt 60 ]; do sleep 1 & wait $!; n=$((n+1)); done; "
    "sleep $(read s < /ended; echo ${s:-1d}) & wait $!"
)
# Told from outside: the lines of the run into the container's log, and the wait after it.
_TOLD = 'for line do printf "%s\\n" "$line"; done > /proc/1/fd/1; echo "$0" > /ended'
_NGINX = "trap 'exit 0' TERM; sleep 600 & wait $!"


class NoStandInError(Exception):
    """Why there are no containers in the real engine, as a sentence."""


@dataclass(slots=True)
class InDocker:
    """Two running containers, labelled as Compose does, and a task that acts when acme-mailcow is started."""

    engine: AcmeEngine
    project: str
    run: RunOfAcme
    client: docker.APIClient
    image: str
    image_is_ours: bool
    acme_starts: int = 0
    ids: dict[str, str] = field(default_factory=dict)
    watch: asyncio.Task[None] | None = None

    @property
    def described(self) -> str:
        """Where the containers are, for people."""
        made = "an image made of this machine's own sh and sleep" if self.image_is_ours else self.image
        return f"in the Docker engine at {self.engine.docker_host}, project {self.project}, from {made}"

    async def close(self) -> None:
        """Removes the containers, and the image if it was made for them."""
        if self.watch is not None:
            self.watch.cancel()
            await asyncio.gather(self.watch, return_exceptions=True)
        await asyncio.to_thread(self.remove)
        await self.engine.close()

    # --- blocking

    def start(self, environment: Mapping[str, str], first: Ran) -> None:
        """Both containers, acme-mailcow behind its first run; raises NoStandInError where they do not stay up."""
        self._start(ACME, _ACME, environment)
        self._start(NGINX, _NGINX, {})
        self._tell(self.ids[ACME], first)
        deadline = time.monotonic() + _READY_S
        while not all(self._up(service) for service in (ACME, NGINX)):
            if time.monotonic() > deadline:
                raise NoStandInError("the stand-in containers do not stay up there")
            time.sleep(0.05)

    def _start(self, service: str, script: str, environment: Mapping[str, str]) -> None:
        labels = {
            _PROJECT: self.project,
            _SERVICE: service,
            "com.docker.compose.oneoff": "False",
            "com.docker.compose.container-number": "1",
        }
        made = self.client.create_container(
            self.image,
            ["/bin/sh", "-c", script],
            environment=dict(environment),
            labels=labels,
            name=f"{self.project}-{service}-1",
            host_config=self.client.create_host_config(network_mode="none"),
        )
        self.ids[service] = made["Id"]
        self.client.start(made["Id"])

    def _up(self, service: str) -> bool:
        found = self.client.top(self.ids[service], ps_args="-eo pid,args")
        wanted = "sleep 1d" if service == ACME else "sleep 600"
        return any(process[-1] == wanted for process in found["Processes"])

    def _tell(self, container: str, ran: Ran) -> None:
        """Lets the container's log say what a run said, and the container sleep as after it."""
        lines = [text for _, text in ran.lines]
        made = self.client.exec_create(container, ["/bin/sh", "-c", _TOLD, ran.sleep, *lines])
        self.client.exec_start(made["Id"])

    def remove(self) -> None:
        """All containers of the project, whoever made them, and the image if it was made for them."""
        with contextlib.suppress(docker.errors.DockerException, requests.RequestException):
            self._remove_containers()
            if self.image_is_ours:
                self.client.remove_image(self.image, force=True)
        self.client.close()

    def _containers(self, service: str | None = None) -> list[str]:
        labels = [f"{_PROJECT}={self.project}", *([f"{_SERVICE}={service}"] if service else [])]
        return [found["Id"] for found in self.client.containers(all=True, filters={"label": labels})]

    def _remove_containers(self, service: str | None = None) -> None:
        for container in self._containers(service):
            with contextlib.suppress(docker.errors.NotFound):
                self.client.remove_container(container, force=True)

    def _running(self) -> tuple[str, dict[str, str]]:
        """The running acme-mailcow, whoever made it, and its environment."""
        found = [self.client.inspect_container(container) for container in self._containers(ACME)]
        running = [one for one in found if one["State"]["Running"]]
        if not running:
            raise docker.errors.NotFound("no acme-mailcow is running")
        pairs = (line.partition("=") for line in running[0]["Config"]["Env"])
        return running[0]["Id"], {key: value for key, _, value in pairs}

    # --- what acme-mailcow does

    async def watch_acme(self, since: float) -> None:
        """Lets the stand-in do its work each time that the engine tells of a start."""
        async for _ in _starts(self.engine, self.project, since):
            self.acme_starts += 1
            await asyncio.sleep(WORK_S)
            with contextlib.suppress(docker.errors.DockerException, requests.RequestException):
                container, environment = await asyncio.to_thread(self._running)
                await asyncio.to_thread(self._tell, container, await self.run(environment))


async def _starts(engine: AcmeEngine, project: str, since: float) -> AsyncIterator[None]:
    """The starts of acme-mailcow, each once, also over an interrupted stream."""
    last = since
    while True:
        with contextlib.suppress(SidecarError):
            stream = events(
                engine.docker_host, project, services={ACME}, since=last, cert_path=engine.cert_path
            )
            async for event in stream:
                if event.action == "start" and event.at > last:
                    last = event.at
                    yield
        await asyncio.sleep(0.5)


async def in_docker(engine: AcmeEngine, environment: Mapping[str, str], run: RunOfAcme) -> InDocker:
    """The containers, started, in the engine at this address, with a run behind them; raises NoStandInError with why not."""
    before = await run(environment)
    making = asyncio.create_task(asyncio.to_thread(_made, engine, environment, run, before))
    try:
        made = await asyncio.shield(making)
    except asyncio.CancelledError:
        # A thread cannot be cancelled: what it starts must be there before it can be removed.
        with contextlib.suppress(NoStandInError):
            await asyncio.to_thread((await making).remove)
        raise
    # Events are dated by the engine's clock, which need not be ours: begin with what is known to be over.
    since = await _last_start(made)
    made.watch = asyncio.create_task(made.watch_acme(since))
    return made


async def _last_start(made: InDocker) -> float:
    """Just behind the first start: its event comes some milliseconds after it, and no restart comes so soon."""
    seen = await asyncio.to_thread(made.client.inspect_container, made.ids[ACME])
    return datetime.fromisoformat(seen["State"]["StartedAt"]).timestamp() + 0.3


def _made(engine: AcmeEngine, environment: Mapping[str, str], run: RunOfAcme, before: Ran) -> InDocker:
    client = _client(engine)
    try:
        image, ours = _image(client)
    except BaseException:
        client.close()
        raise
    project = f"mta-sts-demo-{secrets.token_hex(3)}"
    made = InDocker(engine, project, run, client, image, ours)
    try:
        made.start(environment, before)
    except (docker.errors.DockerException, requests.RequestException) as error:
        made.remove()
        raise NoStandInError(f"no stand-in container could be started there: {error}") from error
    except NoStandInError:
        made.remove()
        raise
    return made


def _client(engine: AcmeEngine) -> docker.APIClient:
    scheme, _, path = engine.docker_host.partition("://")
    if scheme == "unix" and not Path(path).exists():
        raise NoStandInError(f"no Docker engine answers at {engine.docker_host}")
    try:
        return docker.APIClient(engine.docker_host, version="auto", timeout=TIMEOUT_S)
    except (docker.errors.DockerException, requests.RequestException) as error:
        raise NoStandInError(f"no Docker engine answers at {engine.docker_host}") from error


# --- the image -------------------------------------------------------------------------------------------


def _image(client: docker.APIClient) -> tuple[str, bool]:
    """An image with a shell and a sleep, and whether it was made just now; nothing is pulled."""
    if sys.platform == "linux" and (archive := _archive()) is not None:
        name = f"mta-sts-demo:{secrets.token_hex(3)}"
        repository, _, tag = name.partition(":")
        try:
            client.import_image_from_data(archive, repository, tag, changes=["ENV PATH=/bin"])
        except (docker.errors.DockerException, requests.RequestException) as error:
            raise NoStandInError(f"the engine does not take an image: {error}") from error
        return name, True
    for name in _IMAGES_AT_HAND:
        with contextlib.suppress(docker.errors.ImageNotFound):
            client.inspect_image(name)  # type: ignore[no-untyped-call]
            return name, False
    raise NoStandInError("it has no busybox or alpine image, and the demo pulls none")


def _archive() -> bytes | None:
    """A file system with `sh`, `sleep` and the libraries they are linked with; None where one is not found."""
    files: dict[str, Path] = {}
    for program in _PROGRAMS:
        found = shutil.which(program, path="/bin:/usr/bin")
        if found is None:
            return None
        files[f"/bin/{program}"] = Path(found)
        files.update((library, Path(library)) for library in _libraries(found))
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, path in files.items():
            entry = tarfile.TarInfo(name.lstrip("/"))
            try:
                data = path.read_bytes()
            except OSError:
                return None
            entry.size, entry.mode = len(data), 0o755
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def _libraries(program: str) -> list[str]:
    """What the dynamic linker would load for it; nothing for a static program."""
    try:
        done = subprocess.run(  # noqa: S603
            ["/usr/bin/env", "ldd", program], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return list(
        itertools.chain.from_iterable(re.findall(r"(/\S+) \(0x", line) for line in done.stdout.splitlines())
    )
