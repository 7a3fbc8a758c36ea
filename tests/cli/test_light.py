"""What is quick stays quick: commands import what they need when they run."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.integration

HEAVY = ("aiohttp", "cryptography", "dns", "docker", "pydantic", "rich", "sqlite3", "watchfiles", "yaml")


@pytest.mark.parametrize(
    "code",
    [
        # the image asks this every minute
        "import sidecar.cli; sidecar.cli.main(['healthy'])",
        # and completion and --help build the whole command line of these
        "import sidecar.cli.status, sidecar.cli.records, sidecar.cli.history, sidecar.cli.completion",
        "import sidecar.cli.init, sidecar.cli.lint, sidecar.cli.check",
        "import sidecar.cli\nfor name in sidecar.cli.COMMANDS.values(): __import__(name)",
    ],
)
def test_nothing_heavy_is_imported(code: str) -> None:
    """No client, no database, no validation of settings."""
    asked = f"import sys\n{code}\nprint([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, check=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_command_imports_no_other_command() -> None:
    """`run` would keep them in memory for months."""
    asked = (
        "import contextlib, sys, sidecar.cli\n"
        "with contextlib.suppress(SystemExit): sidecar.cli.main(['run', '--help'])\n"
        "print([name for name in sys.modules if name.startswith('sidecar.cli.')])"
    )
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, check=True, text=True)
    assert done.stdout.splitlines()[-1] == "['sidecar.cli.run']"
