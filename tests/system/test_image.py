"""The image that the Dockerfile makes, on a base made locally."""

import json

import pytest

from tests.system.engine import Engine
from tests.system.processes import wait_until

RESTRICTED = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--network", "none")
"""How the override runs it, without the two capabilities and without mailcow."""


def in_container(engine: Engine, image: str, script: str) -> str:
    """What this shell script prints in a container of the image."""
    return engine.run_cli("run", "--rm", "--entrypoint", "sh", *RESTRICTED, image, "-c", script)


def test_image_runs_the_loop_unless_told_otherwise(engine: Engine, sidecar_image: str) -> None:
    """`docker run IMAGE` runs the loop, `docker run IMAGE plan` something else; health is asked of it."""
    [image] = json.loads(engine.run_cli("image", "inspect", sidecar_image))
    assert image["Config"]["Entrypoint"] == ["sidecar"]
    assert image["Config"]["Cmd"] == ["run"]
    assert image["Config"]["Healthcheck"]["Test"] == ["CMD", "sidecar", "healthy"]


@pytest.mark.parametrize("tool", ["cc", "gcc", "g++", "clang", "ld", "as", "make", "cargo"])
def test_image_has_no_compiler(engine: Engine, sidecar_image: str, tool: str) -> None:
    """Nothing that builds is left in the result."""
    assert in_container(engine, sidecar_image, f"command -v {tool} || echo none") == "none"


def test_image_needs_no_writable_root_and_no_capability(engine: Engine, sidecar_image: str) -> None:
    """The program starts where it may write nothing, and no capability is effective."""
    assert "usage" in engine.run_cli("run", "--rm", *RESTRICTED, sidecar_image, "--help").lower()
    assert in_container(engine, sidecar_image, "grep CapEff /proc/1/status").split()[-1].strip("0") == ""
    assert in_container(engine, sidecar_image, "touch /x 2>/dev/null || echo refused") == "refused"


def test_bytecode_is_in_the_image(engine: Engine, sidecar_image: str) -> None:
    """No start compiles the program again, which a read-only root could not keep."""
    # The library that runs DNS hosts is started without the image's level of optimisation.
    for level in ("", "PYTHONOPTIMIZE= "):
        for module in ("sidecar", "aiohttp", "json"):
            show = f"import {module}, importlib.util as u; print(u.cache_from_source({module}.__file__))"
            cached = in_container(engine, sidecar_image, f"{level}python -c '{show}'")
            assert in_container(engine, sidecar_image, f"ls {cached}") == cached


def test_container_ends_on_sigterm_without_being_killed(engine: Engine, sidecar_image: str) -> None:
    """Process 1 ends on SIGTERM, also while it cannot reach anything."""
    options = ("--tmpfs", "/mailcow", "--tmpfs", "/state", "--env", "MTA_STS_API_KEY=key")
    name = engine.run_cli("run", "--detach", *options, *RESTRICTED, sidecar_image)
    try:
        wait_until(lambda: engine.run_cli("logs", name) != "", "the sidecar has said something")
        engine.run_cli("stop", "--time", "10", name)
        code = engine.run_cli("inspect", "--format", "{{.State.ExitCode}}", name)
        assert code == "0"  # 137 is what Docker's SIGKILL leaves after ten seconds
    finally:
        engine.run_cli("rm", "--force", name)
