"""What can keep the sidecar's container from starting, and what of mailcow starts all the same; see docs/override.md.

mailcow's own services and their order, by a real Compose and engine. The update that is tested is what update.sh runs.
"""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from tests.system.graph import SERVICES, compose
from tests.system.mailcowlike import ADDRESS_OF_SIDECAR, SIDECAR, MailcowLike

PORTS = "    # ports:\n    #   - "
IMAGE = f"mailcowdockerized-{SIDECAR}"
NETWORK = "mailcowdockerized_mailcow-network"


@pytest.fixture
def mailcow(mailcow_like: MailcowLike) -> Iterator[MailcowLike]:
    """All of mailcow's services, and the sidecar with its clone; nothing was built or started."""
    mailcow_like.add_sidecar()
    (mailcow_like.folder / "docker-compose.yml").write_text(compose())
    yield mailcow_like
    mailcow_like.project.engine.try_cli("rm", "--force", "squatter")


def say(mailcow: MailcowLike, line: str) -> None:
    """One more line in mailcow.conf."""
    with (mailcow.folder / "mailcow.conf").open("a") as conf:
        conf.write(f"{line}\n")


def squat(mailcow: MailcowLike, *options: str) -> None:
    """A stranger's container takes something."""
    command = ("stand-in:busybox", "sleep", "365d")
    mailcow.project.engine.run_cli("run", "--detach", "--name", "squatter", *options, *command)


def taken_address(mailcow: MailcowLike) -> None:
    """Another container has the sidecar's."""
    mailcow.project.run("up", "--detach", "--no-deps", "olefy-mailcow")
    squat(mailcow, "--network", NETWORK, "--ip", ADDRESS_OF_SIDECAR)


def taken_port(mailcow: MailcowLike) -> None:
    """The page is published, and another program has the port."""
    override = mailcow.folder / "docker-compose.override.yml"
    text = override.read_text()
    assert PORTS in text
    override.write_text(text.replace(PORTS, "    ports:\n      - "))
    squat(mailcow, "--publish", "127.0.0.1:8480:80")


def missing_socket(mailcow: MailcowLike) -> None:
    """Docker would make a folder there."""
    say(mailcow, f"MTA_STS_DOCKER_SOCKET={mailcow.folder}/nowhere/docker.sock")


def impossible_socket(mailcow: MailcowLike) -> None:
    """Its folder is a file."""
    say(mailcow, f"MTA_STS_DOCKER_SOCKET={mailcow.folder}/mailcow.conf/docker.sock")


def missing_clone(mailcow: MailcowLike) -> None:
    """Nothing was cloned."""
    shutil.rmtree(mailcow.clone)


def unreachable_source(mailcow: MailcowLike) -> None:
    """A git server that nobody knows."""
    say(mailcow, "MTA_STS_SOURCE=https://git.invalid/mta-sts-sidecar.git#v1.0.0")


def broken_build(mailcow: MailcowLike) -> None:
    """An image that cannot be built."""
    (mailcow.clone / "Dockerfile").write_text("FROM nothing-like-this\n")


Trouble = Callable[[MailcowLike], None]


def start(mailcow: MailcowLike) -> set[str]:
    """What of mailcow and the sidecar runs after `docker compose up -d`, however that ended."""
    mailcow.project.try_run("up", "--detach", "--remove-orphans", timeout=300)
    return mailcow.project.running_services()


@pytest.mark.parametrize("trouble", [missing_clone, unreachable_source, broken_build])
def test_with_an_image_no_source_is_needed(mailcow: MailcowLike, trouble: Trouble) -> None:
    """Compose does not build what is built; update.sh pulls, and has nothing to pull here."""
    mailcow.project.run("build", timeout=300)
    trouble(mailcow)
    mailcow.project.run("pull", "--ignore-pull-failures", SIDECAR)
    assert start(mailcow) == SERVICES | {SIDECAR}


@pytest.mark.parametrize("trouble", [missing_clone, unreachable_source, broken_build])
def test_without_image_and_source_nothing_starts(mailcow: MailcowLike, trouble: Trouble) -> None:
    """The one case that the file cannot prevent: its first lines say so. Without the file all of mailcow starts."""
    mailcow.project.engine.try_cli("image", "rm", "--force", IMAGE)  # of another test
    trouble(mailcow)
    assert start(mailcow) == set()
    without = replace(mailcow.project, files=("docker-compose.yml",))
    without.run("up", "--detach", "--remove-orphans", timeout=300)
    assert without.running_services() == SERVICES


@pytest.mark.parametrize("trouble", [taken_address, taken_port])
def test_container_that_cannot_start_comes_last(mailcow: MailcowLike, trouble: Trouble) -> None:
    """All of mailcow runs by then."""
    mailcow.project.run("build", timeout=300)
    trouble(mailcow)
    assert start(mailcow) == SERVICES


def test_missing_socket_stops_nobody(mailcow: MailcowLike) -> None:
    """Docker makes a folder there; the sidecar runs without an engine."""
    mailcow.project.run("build", timeout=300)
    missing_socket(mailcow)
    assert start(mailcow) == SERVICES | {SIDECAR}


def test_socket_in_a_place_that_cannot_be(mailcow: MailcowLike) -> None:
    """Compose makes all containers before it starts the first."""
    mailcow.project.run("build", timeout=300)
    impossible_socket(mailcow)
    assert start(mailcow) == SERVICES
