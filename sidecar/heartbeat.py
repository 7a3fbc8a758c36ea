"""The sign of life of the running loop, for the image's HEALTHCHECK."""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from sidecar.plainfile import open_plain, read_plain

STALE_AFTER_S = 300.0
"""Longer than the slowest pass: a whole list may take two minutes."""


def state_dir_of(env: Mapping[str, str]) -> Path:
    """The state folder, found without reading the settings: the check of the image must be cheap."""
    return Path(env.get("MTA_STS_STATE_DIR") or "/state")


def beat(state_dir: Path, now: float) -> None:
    """Called by the loop itself between its passes; a loop that hangs stops calling."""
    path = state_dir / "heartbeat"
    with (
        suppress(OSError),  # on a full disk the sign stays away, and no more than that
        os.fdopen(open_plain(path, os.O_WRONLY | os.O_CREAT), "w") as file,
    ):
        file.truncate(0)
        file.write(f"{now:.0f}\n")


def trouble(state_dir: Path, now: float) -> str | None:
    """Why the running sidecar is not healthy, or None where it is."""
    try:
        last = float(read_plain(state_dir / "heartbeat", 100))
    except (OSError, ValueError) as error:
        return f"no sign of life in {state_dir}: {error}"
    if now - last > STALE_AFTER_S:
        return f"the last sign of life is {now - last:.0f} s old: the loop hangs"
    return None


def wake(state_dir: Path) -> None:
    """Tells a running sidecar, which watches this file, that something waits for it."""
    descriptor = open_plain(state_dir / "wake", os.O_WRONLY | os.O_CREAT)
    try:
        os.utime(descriptor)
    finally:
        os.close(descriptor)
