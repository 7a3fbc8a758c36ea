"""Random sequences of events, the same in every run: `python -m tests.explorer` has more of them."""

import pytest

from tests.explorer import explore

pytestmark = pytest.mark.integration


def test_no_sequence_of_events_breaks_a_claim() -> None:
    """RFC 8461 §3.3, §5, §8, by what senders really hold."""
    explore(60, fixed=True)
