"""Where `tests/components/install.sh` put the real components, and what happens when one is missing.

Rule: a missing component is a skip with its reason on a person's machine, and a failure with CI set.
Nothing here starts anything; `engine`, `dnsserver` and `webserver` do.
"""

import os
import shutil
from pathlib import Path

import pytest

CACHE = Path(os.environ.get("MTA_STS_COMPONENTS", "/var/cache/mta-sts-components"))
DOCKER_TOOLS = CACHE / "docker-tools"
PYTHON_BASE = CACHE / "python3.14.tar"
WHEELS = CACHE / "wheels"
SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
"""Servers of packages; a PATH of the user's may have a stranger of the same name first."""


def refuse(reason: str) -> None:
    """Skip the test for this reason, or fail it where nothing may be missing."""
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def need(path: Path) -> Path:
    """This file of the component cache."""
    if not path.exists():
        refuse(f"{path} is missing: `make components` as root makes it")
    return path


def program(name: str) -> str:
    """The path of this program out of an installed package."""
    found = shutil.which(name, path=SYSTEM_PATH)
    if found is None:
        refuse(f"the program {name} is missing: `make components` as root installs it")
    return found or name


def network_is_empty() -> bool:
    """Whether this process is in a fresh network namespace: it knows no way to anywhere."""
    return len(Path("/proc/net/route").read_text().splitlines()) <= 1  # the heading
