"""The sign of life of the running loop, for the image's HEALTHCHECK."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

STALE_AFTER_S = 300.0
"""Longer than the slowest pass: a whole list may take two minutes."""


def state_dir_of(env: Mapping[str, str]) -> Path:
    """The state folder, found without reading the settings: the check of the image must be cheap."""
    return Path(env.get("MTA_STS_STATE_DIR") or "/state")


def beat(state_dir: Path, now: float) -> None:
    """Called by the loop itself between its passes; a loop that hangs stops calling."""
    with suppress(OSError):  # on a full disk the sign stays away, and no more than that
        new = state_dir / "heartbeat.new"
        new.write_text(f"{now:.0f}\n")
        new.replace(
            state_dir / "heartbeat"
        )  # whoever reads meanwhile finds the one before, and never half of one


def trouble(state_dir: Path, now: float) -> str | None:
    """Why the running sidecar is not healthy, or None where it is."""
    try:
        last = float((state_dir / "heartbeat").read_text())
    except (OSError, ValueError) as error:
        return f"no sign of life in {state_dir}: {error}"
    if now - last > STALE_AFTER_S:
        return f"the last sign of life is {now - last:.0f} s old: the loop hangs"
    return None


def wake(state_dir: Path) -> None:
    """Tells a running sidecar, which watches this file, that something waits for it."""
    (state_dir / "wake").touch()
