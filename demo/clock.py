"""The demo's clock: the machine's, set ahead by so much; days pass in a moment."""

from dataclasses import dataclass, field

from sidecar.host.clock import SystemClock
from sidecar.host.elapsed import UptimeReading


@dataclass
class MovedClock:
    """`ahead` is in seconds; both the time and the counter that nobody sets are moved."""

    ahead: float = 0.0
    _real: SystemClock = field(default_factory=SystemClock)

    def now(self) -> float:
        """Unix seconds."""
        return self._real.now() + self.ahead

    def reading(self) -> UptimeReading:
        """As if the machine had run all the time."""
        real = self._real.reading()
        return UptimeReading(real.run, real.at + self.ahead)
