"""A compose project with an acme-mailcow that has everything a container can have, and looks at what became of it.

Rule: what `docker compose` and `inspect` say counts here, nothing out of the program under test.
"""

import json
import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sidecar.mailcow.engine.client import Engine as Client
from sidecar.observed import Container, Project, Seen, Unseen
from tests.system.engine import ComposeProject, Engine

PROJECT = "mailcowdockerized"
NAME = f"{PROJECT}-acme-mailcow-1"
VARIABLE = "ADDITIONAL_SAN"

COMPOSE = """\
services:
  acme-mailcow:
    image: stand-in:busybox
    command: ["sh", "-c", "echo SAN=$$ADDITIONAL_SAN; trap 'exit 0' TERM; sleep 1d & wait; sleep 77 & wait"]
    environment:
      - ADDITIONAL_SAN=${ADDITIONAL_SAN:-}
      - DBPASS=secret$$with dollar
      - EMPTY=
    restart: always
    stop_signal: SIGTERM
    stop_grace_period: 3s
    dns: [172.22.1.254]
    dns_search: [example.test]
    extra_hosts: ["other.example.test:192.0.2.7"]
    labels: {org.example.label: "a label, with a comma"}
    cap_add: [NET_BIND_SERVICE]
    cap_drop: [MKNOD]
    security_opt: ["no-new-privileges:true"]
    sysctls: {net.ipv4.ip_unprivileged_port_start: "0"}
    ulimits: {nofile: {soft: 1000, hard: 2000}}
    shm_size: 16m
    mem_limit: 128m
    oom_score_adj: 7
    logging: {driver: json-file, options: {max-size: 1m, max-file: "3"}}
    healthcheck: {test: ["CMD", "true"], interval: 30s, timeout: 3s, retries: 2, start_period: 1s}
    tmpfs: ["/run:size=4m"]
    ports: ["127.0.0.1:18080:8080"]
    expose: ["4711"]
    volumes:
      - /anonymous
      - type: volume
        target: /anonymous-too
      - named:/named
      - ./data:/data:ro
      - type: bind
        source: ./data
        target: /data-again
    networks:
      mailcow-network:
        ipv4_address: 172.22.1.200
        ipv6_address: fd4d:6169:6c63:6f77::200
        aliases: [acme, more]
        priority: 10
      second:
        aliases: [acme-in-second]
  nginx-mailcow:
    image: stand-in:busybox
    command: ["sleep", "1000"]
    stop_grace_period: 0s
    networks: {mailcow-network: {aliases: [nginx]}}
volumes:
  named: {}
networks:
  mailcow-network:
    enable_ipv6: true
    ipam: {config: [{subnet: 172.22.1.0/24}, {subnet: "fd4d:6169:6c63:6f77::/64"}]}
  second: {}
"""


@dataclass(frozen=True, slots=True)
class Mailcow:
    """The project, with its mailcow.conf."""

    compose: ComposeProject

    @property
    def engine(self) -> Engine:
        return self.compose.engine

    def configure(self, san: str) -> None:
        """What an edit of mailcow.conf does."""
        (self.compose.folder / ".env").write_text(f"COMPOSE_PROJECT_NAME={PROJECT}\n{VARIABLE}={san}\n")

    def up(self) -> str:
        """`docker compose up -d`; what it said."""
        done = self.compose.try_run("up", "--detach")
        assert done.returncode == 0, done.stderr
        return done.stderr

    def acme_ids(self) -> Sequence[str]:
        """All containers of acme-mailcow, stopped ones too."""
        labels = [
            f"label=com.docker.compose.project={PROJECT}",
            "label=com.docker.compose.service=acme-mailcow",
        ]
        options = [word for label in labels for word in ("--filter", label)]
        return self.engine.run_cli("ps", "--all", "--quiet", "--no-trunc", *options).split()

    def inspect(self, *ids: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.engine.run_cli("inspect", *ids)) if ids else []
        for one in found:
            one["Mounts"].sort(key=lambda mount: str(mount["Destination"]))  # the Engine has them in no order
        return found

    def acme(self) -> dict[str, Any]:
        """The one container of acme-mailcow; fails where there is not just one, running, by its right name."""
        found = self.inspect(*self.acme_ids())
        states = [(one["Name"], one["State"]["Status"]) for one in found]
        assert states == [(f"/{NAME}", "running")]
        assert found[0]["HostConfig"]["RestartPolicy"] == {"Name": "always", "MaximumRetryCount": 0}
        return found[0]

    def write_to_volumes(self) -> None:
        """Something that is lost with the volumes."""
        self.engine.run_cli("exec", NAME, "sh", "-c", "echo kept > /anonymous/file; echo kept > /named/file")

    def assert_volumes_intact(self) -> None:
        said = self.engine.run_cli("exec", NAME, "cat", "/anonymous/file", "/named/file")
        assert said.split() == ["kept", "kept"]

    def wake_acme(self, container_id: str) -> None:
        """This container of acme-mailcow begins to work."""
        for line in self.engine.run_cli("top", container_id, "-o", "pid,args").splitlines():
            pid, *words = line.split()
            if words == ["sleep", "1d"]:
                os.kill(int(pid), signal.SIGKILL)

    def started_with_the_host(self) -> list[str]:
        """The containers of acme-mailcow that a start of the Engine would start."""
        return [
            one["Name"]
            for one in self.inspect(*self.acme_ids())
            if one["HostConfig"]["RestartPolicy"]["Name"] == "always"
            and not one["State"]["StartedAt"].startswith("0001")
        ]


def environment(inspected: dict[str, Any]) -> dict[str, str]:
    """A container's environment."""
    return dict(line.split("=", 1) for line in inspected["Config"]["Env"])


@contextmanager
def running_mailcow(engine: Engine, folder: Path) -> Iterator[Mailcow]:
    """The project in this folder, running, with something in its volumes; taken down afterwards."""
    (folder / "data").mkdir()
    (folder / "docker-compose.yml").write_text(COMPOSE)
    mailcow = Mailcow(ComposeProject(engine, folder))
    mailcow.configure("first.*")
    try:
        mailcow.up()
        mailcow.write_to_volumes()
        yield mailcow
    finally:
        mailcow.compose.down()


async def look(client: Client) -> Project:
    """What the sidecar sees."""
    match await client.observe(time.time(), PROJECT):
        case Seen(value):
            return value
        case Unseen(reason):
            pytest.fail(reason)


async def look_at_acme(client: Client) -> tuple[Project, Container]:
    """What the sidecar sees, and acme-mailcow in it."""
    project = await look(client)
    acme = project.service("acme-mailcow")
    assert acme is not None
    return project, acme
