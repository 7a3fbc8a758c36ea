"""Times and lists as people read them."""

import time
from collections.abc import Iterator

import pytest

from sidecar.observed.words import day


@pytest.fixture(autouse=True)
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The zone as it was before."""
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("zone_name", "at", "shown"),
    [
        ("UTC", 1_795_515_302.0, "2026-11-24 10:15+00:00"),
        ("CET-1CEST,M3.5.0,M10.5.0/3", 1_795_515_302.0, "2026-11-24 11:15+01:00"),
        ("CET-1CEST,M3.5.0,M10.5.0/3", 1_782_000_000.0, "2026-06-21 02:00+02:00"),
        ("CET-1", 253_402_300_799.0, "9999-12-31 23:59+00:00"),
    ],
    ids=["UTC", "winter", "summer", "a certificate without an end"],
)
def test_times_have_the_zone_of_mailcow_and_its_offset(
    monkeypatch: pytest.MonkeyPatch, zone_name: str, at: float, shown: str
) -> None:
    """`TZ` of the process, which Compose takes from mailcow.conf."""
    monkeypatch.setenv("TZ", zone_name)
    time.tzset()
    assert day(at) == shown
