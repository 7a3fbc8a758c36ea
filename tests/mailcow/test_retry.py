"""Waits after failures."""

from sidecar.host.errors import TemporaryError
from sidecar.mailcow.retry import Retry

WAITS = (60, 600)


def test_each_failure_waits_longer_up_to_the_last_wait() -> None:
    """By the number of failures in a row; the last error is kept."""
    error = TemporaryError("no answer")
    once = Retry().failed(1_000.0, WAITS, error)
    assert once == Retry(1, 1_060.0, error)
    assert once.failed(2_000.0, WAITS).failed(3_000.0, WAITS) == Retry(3, 3_600.0)


def test_an_earlier_try_keeps_the_count_of_failures() -> None:
    """After a restart of mailcow, or where the clock was set back; a try is never put off."""
    waiting = Retry().failed(1_000.0, WAITS)
    assert waiting.by(0.0) == Retry(1, 0.0)
    assert waiting.by(5_000.0) == waiting
