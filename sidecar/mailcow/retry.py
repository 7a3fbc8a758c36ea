"""When something that failed is tried again: longer after each failure in a row; pure."""

from dataclasses import dataclass, replace

from sidecar.host.errors import SidecarError
from sidecar.plan.schedule import wait_after


@dataclass(frozen=True, slots=True)
class Retry:
    """The failures in a row, when to try again (Unix seconds), and the last error; without arguments: no failure."""

    failures: int = 0
    until: float = 0.0
    error: SidecarError | None = None

    def failed(self, now: float, waits: tuple[int, ...], error: SidecarError | None = None) -> "Retry":
        """After one more failure; `waits` in seconds, by the number of failures."""
        failures = self.failures + 1
        return Retry(failures, now + wait_after(failures, waits), error)

    def by(self, latest: float) -> "Retry":
        """With the next try at `latest` or earlier."""
        return replace(self, until=min(self.until, latest))
