"""Stand-in containers for acme-mailcow and nginx-mailcow: recorded in memory, or in the real Docker engine.

Rule for every editor: both kinds look the same to the sidecar (a project, two services, a `sleep 1d` between
two runs of acme-mailcow), and the output always says which kind is used. What a run does is in `acme`.
"""

import asyncio
import contextlib
import itertools
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol, TypeAlias, cast

import docker
import docker.errors

from demo.acme import WORK_S, Ran
from sidecar.host.errors import TemporaryError
from sidecar.mailcow.engine.acme import AcmeEngine
from sidecar.mailcow.engine.client import ACME, NGINX
from sidecar.observed import Container, Project, Seen, Sight

RunOfAcme: TypeAlias = Callable[[Mapping[str, str]], Awaitable[Ran]]
"""The run of acme-mailcow with its environment, at each start."""
RUNNING_SINCE_S = 3600.0


class Containers(Protocol):
    """The two containers, and what people and Compose may do with them."""

    @property
    def engine(self) -> AcmeEngine:
        """What the sidecar gets as its Docker engine."""
        ...

    @property
    def described(self) -> str:
        """Where the containers are, for people."""
        ...

    @property
    def acme_starts(self) -> int:
        """How often acme-mailcow was started since the demo began."""
        ...

    async def close(self) -> None:
        """Leaves nothing behind."""
        ...


@dataclass(slots=True)
class InMemory:
    """Containers that exist in memory only."""

    engine: "RecordedEngine"
    described: str

    @property
    def acme_starts(self) -> int:
        return self.engine.acme_starts

    async def close(self) -> None:
        await self.engine.end()


class RecordedEngine(AcmeEngine):
    """An Engine without an engine: it answers as the real one would for these two containers."""

    def __init__(
        self, project: str, environment: Mapping[str, str], run: RunOfAcme, first: Ran | None = None
    ) -> None:
        """`first` is the run of acme-mailcow that is over."""
        # Events are asked for at this address, too, and there are none: the sidecar asks regularly then.
        super().__init__("unix:///nonexistent/docker.sock")
        self.acme_starts = 0
        self._project = project
        self._run = run
        self._ids = itertools.count(1)
        first = first or Ran("1d", ())
        self._sleep: str | None = first.sleep
        self._task: asyncio.Task[None] | None = None
        started = first.lines[0][0] if first.lines else time.time() - RUNNING_SINCE_S
        self._acme = self._container(ACME, started, environment)
        self._log = list(first.lines)
        self._nginx = self._container(NGINX, started, {})

    def _container(self, service: str, started: float, environment: Mapping[str, str]) -> Container:
        number = next(self._ids)
        name = f"{self._project}-{service}-1"
        return Container(f"{number:064x}", name, service, "running", started, started, dict(environment))

    async def observe(self, now: float, project_hint: str | None) -> Sight[Project]:
        """The two containers."""
        name = project_hint or self._project
        return Seen(Project(name, (self._acme, self._nginx), Seen(self._sleep, now)), now)

    async def restart(self, container_id: str, expected_started_at: float, timeout_s: int = 10) -> None:
        """Notes the restart, and lets the stand-in do what acme-mailcow does when it is started."""
        del timeout_s
        self._check(container_id, expected_started_at)
        self._acme = replace(self._acme, started_at=time.time())
        self._begin()

    async def recreate(
        self,
        container_id: str,
        *,
        expected: Project,
        expected_started_at: float,
        environment: Mapping[str, str],
        now: float,
    ) -> None:
        """Replaces the container; the new one does the same as a restarted one."""
        del expected, now
        self._check(container_id, expected_started_at)
        self._acme = self._container(ACME, time.time(), {**self._acme.env, **environment})
        self._log.clear()
        self._begin()

    async def heal(self, project_name: str) -> str | None:
        """Nothing is ever interrupted here."""
        del project_name
        return None

    def _check(self, container_id: str, expected_started_at: float) -> None:
        if (container_id, expected_started_at) != (self._acme.id, self._acme.started_at):
            raise TemporaryError("acme-mailcow was not restarted: somebody else restarted it meanwhile")
        if self._sleep is None:
            raise TemporaryError("acme-mailcow was not restarted: it is working now")

    def _connected(self) -> docker.APIClient:
        """What is only read is asked of an engine that knows nothing but the log."""
        return cast(docker.APIClient, _Client(self))

    def log_of(self, container_id: str) -> list[tuple[float, str]]:
        """The lines of a container's log with their times."""
        if container_id == self._acme.id:
            return list(self._log)
        if container_id == self._nginx.id:
            return []
        raise docker.errors.NotFound(f"No such container: {container_id}")

    def _begin(self) -> None:
        self.acme_starts += 1
        self._sleep = None
        if self._task is not None:
            self._task.cancel()
        self._task = asyncio.create_task(self._at_work(self._acme.env))

    async def _at_work(self, environment: Mapping[str, str]) -> None:
        await asyncio.sleep(WORK_S)
        ran = await self._run(environment)
        self._log += ran.lines
        self._sleep = ran.sleep

    async def end(self) -> None:
        """No run goes on after this."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task


@dataclass(frozen=True, slots=True)
class _Client:
    """As much of the Engine's client as reading a log takes."""

    engine: RecordedEngine

    def logs(
        self,
        container: str,
        *,
        stdout: bool = True,
        stderr: bool = True,
        timestamps: bool = False,
        tail: int | str = "all",
        since: float | datetime | None = None,
        until: float | datetime | None = None,
    ) -> bytes:
        """The log as the Engine gives it: with `timestamps`, each line behind its time."""
        del stderr  # the stand-in writes nothing there
        lines = [
            f"{engine_time(at)} {text}" if timestamps else text
            for at, text in self.engine.log_of(container)
            if stdout and _unix(since, 0.0) <= at <= _unix(until, at)
        ]
        kept = lines if tail == "all" else lines[max(0, len(lines) - int(tail)) :]
        return "".join(f"{line}\n" for line in kept).encode()


def engine_time(at: float) -> str:
    """A time as the Engine writes it before a line of a log."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%S.%f}000Z"


def _unix(given: float | datetime | None, otherwise: float) -> float:
    return given.timestamp() if isinstance(given, datetime) else otherwise if given is None else given
