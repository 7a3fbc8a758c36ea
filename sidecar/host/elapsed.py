"""How much time has really passed, however the machine's clock is set; pure.

Rule for every editor: a wait that protects mail is measured by a `Tally`, never by the clock: a clock may be a year
wrong, and right again a minute later. Counting too little costs a longer wait, counting too much loses mail.
"""

from dataclasses import dataclass

LONGEST_STEP_S = 86_400.0
"""Between two looks at most a day counts, so that the sidecar can be run once a day; of a longer gap nothing was seen."""


@dataclass(frozen=True, slots=True)
class UptimeReading:
    """A counter of seconds that nobody sets, such as the time since the machine was started, read once."""

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
