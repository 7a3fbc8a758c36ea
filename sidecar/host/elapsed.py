"""How much time has passed, independent of the machine's clock; pure.

Rule for every editor: a wait that protects mail is measured by a `Tally`, never by the clock: a clock may be a year
wrong, and right again a minute later. Counting too little costs a longer wait, counting too much loses mail.
"""

from dataclasses import dataclass

LONGEST_STEP_S = 86_400.0
"""Seconds. At most a day counts between two readings, so that the sidecar can run once a day."""


@dataclass(frozen=True, slots=True)
class UptimeReading:
    """One reading of a counter of seconds that cannot be set, such as the time since boot."""

    run: str
    """Which run of the counter: readings of different runs (before and after a reboot) cannot be compared."""
    at: float


@dataclass(frozen=True, slots=True)
class Tally:
    """The seconds counted since the state was begun, and the reading up to which they are counted."""

    seconds: float = 0.0
    last: UptimeReading | None = None

    def until(self, reading: UptimeReading) -> "Tally":
        """With the time that passed since: of one run at most `LONGEST_STEP_S`, over a reboot nothing."""
        last = self.last
        if last is None or last.run != reading.run:
            return Tally(self.seconds, reading)
        return Tally(self.seconds + min(max(0.0, reading.at - last.at), LONGEST_STEP_S), reading)
