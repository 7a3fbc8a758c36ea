"""The sign of life of the running loop, for the image's HEALTHCHECK.

Rule for every editor: it means that the loop runs and that the state can be written. A hanging loop writes none; a
slow one does. If the file cannot be written, the old one is removed.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from sidecar.host.plain_file import open_plain, read_plain

NAME = "heartbeat"
STALE_AFTER_S = 300.0
"""Longer than the longest wait for one answer: a whole list may take two minutes. A pass of many answers may take longer."""
LARGEST = 10_000
"""Bytes of the file: a time, and why the state cannot be written."""
UNWRITABLE = "the state cannot be written"


def state_dir_of(env: Mapping[str, str]) -> Path:
    """The state folder, found without reading the settings: the check of the image must be cheap."""
    return Path(env.get("MTA_STS_STATE_DIR") or "/state")


def beat(state_dir: Path, now: float, unwritable: str | None = None) -> None:
    """Called by the loop between passes and in a pass with progress; `unwritable`: why the state cannot be written."""
    path = state_dir / NAME
    fresh = path.with_name(f"{NAME}.new")
    why = "" if unwritable is None else f"{' '.join(unwritable.split())}\n"
    try:
        with os.fdopen(open_plain(fresh, os.O_WRONLY | os.O_CREAT), "w") as file:
            file.truncate(0)
            file.write(f"{now:.0f}\n{why}")
        # Whole or not at all: the check may read at any moment.
        fresh.replace(path)
    except OSError:
        # On a full disk a file can still be removed; an old sign of life would look alive for minutes.
        for left in (path, fresh):
            with suppress(OSError):
                left.unlink()


def trouble(state_dir: Path, now: float) -> str | None:
    """Why the running sidecar is not healthy; None if it is."""
    try:
        first, _, why = read_plain(state_dir / NAME, LARGEST).decode(errors="replace").partition("\n")
        last = float(first)
    except (OSError, ValueError) as error:
        return f"no sign of life in {state_dir}: {error}; check its free space and permissions"
    if now - last > STALE_AFTER_S:
        return f"the last sign of life is {now - last:.0f} s old: the loop hangs or {UNWRITABLE}"
    return f"{UNWRITABLE}: {why.strip()}" if why else None


def wake(state_dir: Path) -> None:
    """Wakes a running sidecar, which watches this file."""
    descriptor = open_plain(state_dir / "wake", os.O_WRONLY | os.O_CREAT)
    try:
        os.utime(descriptor)
    finally:
        os.close(descriptor)
