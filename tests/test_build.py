"""What is built and installed is what was locked: exact versions with hashes, a base image by its digest."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text()
WANTED = {
    "run": PROJECT["project"]["dependencies"],
    "dns": PROJECT["project"]["optional-dependencies"]["dns"],
    "build": PROJECT["build-system"]["requires"],
    "dev": PROJECT["project"]["optional-dependencies"]["dev"],
}


def parts() -> dict[str, str]:
    """The lock file by its headings."""
    _, *pieces = re.split(
        r"^# (run|dns|build|dev)$\n", (ROOT / "requirements.lock").read_text(), flags=re.MULTILINE
    )
    return dict(zip(pieces[::2], pieces[1::2], strict=True))


def pins(text: str) -> list[Requirement]:
    """What is locked in a part; each line with its hashes is one."""
    lines = text.replace("\\\n", " ").splitlines()
    return [Requirement(line.split(" --hash")[0]) for line in lines]


def test_parts_are_there_in_the_order_in_which_they_are_taken() -> None:
    """The image takes the first three, a person's demo the first and the third."""
    assert list(parts()) == ["run", "dns", "build", "dev"]


@pytest.mark.parametrize("part", WANTED)
def test_what_the_project_asks_for_is_locked_in_its_part(part: str) -> None:
    """A change of pyproject.toml needs `make lock`."""
    locked = {canonicalize_name(pin.name): pin.specifier for pin in pins(parts()[part])}
    if part == "dev":  # what runs already is not named again
        locked = {
            canonicalize_name(pin.name): pin.specifier for text in parts().values() for pin in pins(text)
        }
    for wanted in map(Requirement, WANTED[part]):
        (pin,) = locked[canonicalize_name(wanted.name)]
        assert pin.operator == "=="
        assert wanted.specifier.contains(pin.version), f"{wanted} is locked as {pin}: run `make lock`"


def test_every_pin_is_exact_and_has_hashes_and_none_is_there_twice() -> None:
    """`pip --require-hashes` refuses all else, but only on the platform where it is asked."""
    texts = [line for text in parts().values() for line in text.replace("\\\n", " ").splitlines()]
    for line in texts:
        assert re.fullmatch(r"[A-Za-z0-9._-]+==\S+( ; .+?)?\s+(--hash=sha256:[0-9a-f]{64}\s*)+", line), line
    names = [
        (canonicalize_name(pin.name), str(pin.marker)) for text in parts().values() for pin in pins(text)
    ]
    assert len(set(names)) == len(names)


def test_build_backend_is_exact() -> None:
    """So that one tree makes one wheel."""
    assert all(re.fullmatch(r"[a-z-]+==[0-9.]+", wanted) for wanted in WANTED["build"])


def test_image_takes_what_runs_what_hosts_need_and_what_builds_and_nothing_of_the_rest() -> None:
    """The Dockerfile's own commands, on the lock file."""
    commands = re.findall(r"sed ('[^']+') requirements\.lock > (run|dns|build)\.txt", DOCKERFILE)
    assert [name for _, name in commands] == ["run", "dns", "build"]
    for script, name in commands:
        taken = subprocess.run(
            ["sed", script.strip("'"), "requirements.lock"],
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        assert [*map(str, pins(_without_comments(taken)))] == [*map(str, pins(parts()[name]))]


def _without_comments(text: str) -> str:
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith("#"))


def test_image_installs_nothing_without_a_hash() -> None:
    """Except the project itself, and wheels that were checked before; neither needs an index."""
    installs = re.findall(r"pip\b[^&\\\n]* (?:install|wheel) [^&\\\n]*", DOCKERFILE)
    assert len(installs) == 5
    assert all(
        "--require-hashes" in line or "--no-index" in line or line.rstrip().endswith(" .")
        for line in installs
    )


def test_test_tools_are_not_part_of_what_runs() -> None:
    """A library of a DNS host names them as if it needed them to run."""
    names = {canonicalize_name(pin.name) for part in ("run", "dns") for pin in pins(parts()[part])}
    assert not names & {"pytest", "pytest-cov", "pytest-mock", "coverage", "wheel"}


def test_base_image_is_pinned_by_its_digest() -> None:
    """A tag may be another image tomorrow; `make pin` renews it."""
    assert re.search(r"^ARG PYTHON_IMAGE=python:3\.14-slim@sha256:[0-9a-f]{64}$", DOCKERFILE, re.MULTILINE)
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) == {"${PYTHON_IMAGE}"}
