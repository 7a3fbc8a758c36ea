"""What is loaded, and what is left out."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from sidecar.host.lean import without

ROOT = Path(__file__).parents[2]
NEVER_AT_START = (
    "rich",
    "pygments",
    "apprise",
    "charset_normalizer",
    "chardet",
    "sidecar.init",
    "sidecar.cli.status_text",
)
"""What `sidecar run` loads only when it is used, if ever; each costs megabytes for as long as it runs."""
DAEMON = "import sidecar.cli, sidecar.cli.run, sidecar.daemon.loop, sidecar.daemon.wiring"


def loaded(code: str) -> set[str]:
    """The modules that are loaded after this code, in a process of its own."""
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"{code}\nimport sys; print(*sys.modules)"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(ended.stdout.split())


@pytest.mark.integration
@pytest.mark.parametrize(
    "first",
    ["", *(f"import sidecar.{name}" for name in ("host.log", "mailcow.engine.client", "verify.background"))],
)
def test_daemon_loads_nothing_that_it_does_not_use(first: str) -> None:
    """Whichever of its modules is the first."""
    modules = loaded(f"{first}\n{DAEMON}")
    assert {"structlog", "docker", "requests", "sidecar.web"} <= modules
    assert {name for name in NEVER_AT_START if name in modules} == set()


@pytest.mark.integration
def test_what_was_left_out_can_be_loaded_afterwards() -> None:
    """`sidecar status` draws its table with rich."""
    code = "import sidecar.host.log, sidecar.mailcow.engine.sdk, rich.table, charset_normalizer"
    assert {"rich.table", "charset_normalizer"} <= loaded(code)


def test_modules_are_absent_in_the_block_alone() -> None:
    """One that is loaded already stays, and an error in the block changes nothing."""

    def block() -> None:
        with without("wave", "json"):
            importlib.import_module("json")
            with pytest.raises(ModuleNotFoundError):
                importlib.import_module("wave")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        block()
    assert importlib.import_module("wave").__name__ == "wave"
