"""A real Docker engine with Compose and BuildKit in the test run's network namespace, and projects run by it.

Rules: its folder lies under /tmp, since a socket's path holds 107 characters. Only one engine runs in a
namespace: a second would delete the first one's iptables rules. Containers are removed before it ends, for it
waits 10 s for each that ignores TERM. No network of its own is in the way of mailcow's 172.22.1.0/24.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.system.components import DOCKER_TOOLS, SYSTEM_PATH, need
from tests.system.processes import serving


@dataclass(frozen=True, slots=True)
class Engine:
    """A running engine; everything of it lies in `folder`."""

    folder: Path

    @property
    def socket(self) -> Path:
        return self.folder / "docker.sock"

    @property
    def docker_host(self) -> str:
        return f"unix://{self.socket}"

    @property
    def environment(self) -> dict[str, str]:
        """All that the engine and its client see: a variable of the test run would reach Compose files."""
        tools = DOCKER_TOOLS / "root/usr"
        return {
            "PATH": f"{tools}/sbin:{tools}/bin:{SYSTEM_PATH}",
            "HOME": str(self.folder),
            "TMPDIR": str(self.folder),
            "DOCKER_CONFIG": str(DOCKER_TOOLS / "config"),
            "DOCKER_HOST": self.docker_host,
            "BUILDKIT_PROGRESS": "plain",
        }

    def try_cli(
        self,
        *arguments: str,
        stdin: bytes = b"",
        folder: Path | None = None,
        environment: Mapping[str, str] | None = None,
        timeout: float = 100,
    ) -> subprocess.CompletedProcess[str]:
        """What `docker` with these arguments answers, success or not."""
        done = subprocess.run(
            [shutil.which("docker", path=self.environment["PATH"]) or "docker", *arguments],
            input=stdin,
            capture_output=True,
            cwd=folder or self.folder,
            env=self.environment | dict(environment or {}),
            timeout=timeout,
            check=False,
        )
        return subprocess.CompletedProcess(
            done.args, done.returncode, done.stdout.decode(), done.stderr.decode(errors="replace")
        )

    def run_cli(
        self,
        *arguments: str,
        stdin: bytes = b"",
        folder: Path | None = None,
        environment: Mapping[str, str] | None = None,
        timeout: float = 100,
    ) -> str:
        """Run `docker` with these arguments; its standard output, without white space around it."""
        done = self.try_cli(*arguments, stdin=stdin, folder=folder, environment=environment, timeout=timeout)
        if done.returncode != 0:
            raise AssertionError(
                f"docker {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
            )
        return done.stdout.strip()


@dataclass(frozen=True, slots=True)
class ComposeProject:
    """A folder with Compose files, and the engine that runs them."""

    engine: Engine
    folder: Path
    files: Sequence[str] = ()
    """Besides what Compose finds by itself; all have to be named as soon as one is."""
    environment: Mapping[str, str] = field(default_factory=dict)

    def try_run(self, *arguments: str, timeout: float = 100) -> subprocess.CompletedProcess[str]:
        """What `docker compose` with these arguments answers, success or not."""
        return self.engine.try_cli(
            "compose", *arguments, folder=self.folder, environment=self._environment(), timeout=timeout
        )

    def run(self, *arguments: str, timeout: float = 100) -> str:
        """Run `docker compose` with these arguments; its standard output."""
        return self.engine.run_cli(
            "compose", *arguments, folder=self.folder, environment=self._environment(), timeout=timeout
        )

    def container(self, service: str) -> str:
        """The id of this service's container, whatever state it is in."""
        return self.run("ps", "--all", "--quiet", service)

    def running_services(self) -> set[str]:
        """The services that have a running container."""
        return set(self.run("ps", "--services", "--status", "running").split())

    def down(self) -> None:
        """Remove containers, networks and volumes, and wait for nobody."""
        self.try_run("down", "--timeout", "0", "--volumes", "--remove-orphans")

    def _environment(self) -> dict[str, str]:
        # As a variable and not as options, so that a test's commands read like an administrator's.
        files = {"COMPOSE_FILE": ":".join(self.files)} if self.files else {}
        return files | dict(self.environment)


@contextmanager
def started_engine() -> Iterator[Engine]:
    """A fresh engine; its processes, mounts and files are gone afterwards."""
    need(DOCKER_TOOLS)
    folder = Path(tempfile.mkdtemp(prefix="engine.", dir="/tmp"))
    engine = Engine(folder)
    dockerd = shutil.which("dockerd", path=engine.environment["PATH"]) or "dockerd"
    command = [
        dockerd,
        f"--data-root={folder}/data",
        f"--exec-root={folder}/exec",
        f"--pidfile={folder}/pid",
        f"--host={engine.docker_host}",
        "--bip=10.212.0.1/24",
        "--default-address-pool=base=10.213.0.0/16,size=24",
    ]
    try:
        with serving(
            command,
            answers=lambda: engine.socket.exists() and engine.try_cli("version").returncode == 0,
            log=folder / "log",
            environment=engine.environment,
        ):
            yield engine
            if containers := engine.run_cli("ps", "--all", "--quiet").split():
                engine.run_cli("rm", "--force", *containers)
    finally:
        _unmount_below(folder)
        shutil.rmtree(folder)


def _unmount_below(folder: Path) -> None:
    mounts = (line.split()[1] for line in Path("/proc/mounts").read_text().splitlines())
    for mount in sorted((m for m in mounts if m.startswith(f"{folder}/")), reverse=True):
        subprocess.run(["umount", mount], check=True, env={"PATH": SYSTEM_PATH})
