"""The count of time that no clock can change."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.host.clock import SystemClock
from sidecar.host.elapsed import LONGEST_STEP_S, Tally, UptimeReading

DAY = 86_400.0


@pytest.mark.parametrize(
    ("before", "reading", "seconds", "why"),
    [
        (Tally(), UptimeReading("a", 1_000.0), 0.0, "nothing was seen before the first look"),
        (Tally(5.0, UptimeReading("a", 1_000.0)), UptimeReading("a", 1_060.0), 65.0, "a minute passed"),
        (
            Tally(5.0, UptimeReading("a", 1_000.0)),
            UptimeReading("a", 1_000.0 + 40 * DAY),
            5.0 + DAY,
            "a day a step at most",
        ),
        (
            Tally(5.0, UptimeReading("a", 1_000.0)),
            UptimeReading("a", 400.0),
            5.0,
            "a restored machine: never less than before",
        ),
        (
            Tally(5.0, UptimeReading("a", 1_000.0)),
            UptimeReading("b", 9_000.0),
            5.0,
            "nobody looked while it was off",
        ),
    ],
)
def test_only_time_between_two_looks_counts(
    before: Tally, reading: UptimeReading, seconds: float, why: str
) -> None:
    """And the next step begins at this reading."""
    assert before.until(reading) == Tally(seconds, reading), why


@given(st.lists(st.tuples(st.floats(0, 40 * DAY), st.booleans()), max_size=30))
def test_never_more_is_counted_than_really_passed(steps: list[tuple[float, bool]]) -> None:
    """However often the machine is started anew, and with it the counter."""
    tally, passed, boots, at = Tally().until(UptimeReading("0", 0.0)), 0.0, 0, 0.0
    for seconds, reboot in steps:
        passed += seconds
        at = seconds / 2 if reboot else at + seconds
        boots += reboot
        before, tally = tally, tally.until(UptimeReading(str(boots), at))
        assert before.seconds <= tally.seconds <= before.seconds + LONGEST_STEP_S
    assert tally.seconds <= passed + 1e-3


@pytest.mark.integration
def test_the_machine_s_counter_goes_on_in_another_process() -> None:
    """So that a sidecar that is restarted, or run by cron, counts on."""
    code = "from sidecar.host.clock import SystemClock; r = SystemClock().reading(); print(r.run, r.at)"
    before = SystemClock().reading()
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    run, at = ran.stdout.split()
    after = SystemClock().reading()
    assert run == before.run == after.run
    assert before.at < float(at) < after.at
