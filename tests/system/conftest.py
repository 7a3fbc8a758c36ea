"""Fixtures for tests against real components; `make system` runs them in a network namespace of their own."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.system import images
from tests.system.components import network_is_empty, refuse
from tests.system.dnsserver import DnsServer, running_dns_server
from tests.system.engine import ComposeProject, Engine, started_engine
from tests.system.mailcowlike import REPOSITORY, MailcowLike, mailcow_directory
from tests.system.webserver import WebServer, running_nginx

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything below this folder, so that `-m 'not system'` is enough to leave it out."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.system)


@pytest.fixture(scope="session", autouse=True)
def own_network_namespace() -> None:
    """No test here may take a port or a network of the machine, or send a packet out of it."""
    if not network_is_empty():
        refuse("system tests run in a network namespace of their own: `make system`")


@pytest.fixture(scope="session")
def engine(own_network_namespace: None) -> Iterator[Engine]:
    """A real Docker engine, shared by all tests: each removes what it started."""
    with started_engine() as engine:
        yield engine


@pytest.fixture(scope="session")
def busybox_image(engine: Engine) -> str:
    """The image for stand-ins."""
    return images.import_busybox(engine)


@pytest.fixture(scope="session")
def host_image(engine: Engine) -> str:
    """The image in which this machine's programs run."""
    return images.import_host(engine)


@pytest.fixture(scope="session")
def python_image(engine: Engine) -> str:
    """The base of the sidecar's image."""
    return images.build_python(engine)


@pytest.fixture(scope="session")
def sidecar_image(engine: Engine, python_image: str) -> str:
    """The image that the Dockerfile makes of the working tree."""
    base = ("--build-arg", f"PYTHON_IMAGE={python_image}")
    engine.run_cli("build", "--quiet", "--tag", "sidecar:test", *base, str(REPOSITORY))
    return "sidecar:test"


@pytest.fixture
def mailcow_like(
    engine: Engine, busybox_image: str, host_image: str, python_image: str
) -> Iterator[MailcowLike]:
    """A mailcow directory with stand-ins, in which the sidecar's image can be built; nothing runs yet."""
    with mailcow_directory(engine) as mailcow:
        yield mailcow


@pytest.fixture
def compose(engine: Engine) -> Iterator[Callable[..., ComposeProject]]:
    """Make a Compose project of a folder and files in it; all are taken down afterwards."""
    projects: list[ComposeProject] = []

    def make(folder: Path, *files: str, **environment: str) -> ComposeProject:
        projects.append(ComposeProject(engine, folder, files, environment))
        return projects[-1]

    yield make
    for project in projects:
        project.down()


@pytest.fixture
def dns_server() -> Iterator[DnsServer]:
    """A BIND with an empty zone `test` on loopback."""
    with running_dns_server() as server:
        yield server


@pytest.fixture
def nginx() -> Iterator[WebServer]:
    """An nginx on loopback whose certificate is valid for mail.example.test and mta-sts.example.test."""
    with running_nginx("mail.example.test", "mta-sts.example.test") as server:
        yield server
