"""A name is written by the account that serves its zone, and by no other."""

from collections.abc import Mapping

import pytest

from sidecar.observed import Seen, Sight, Unseen
from sidecar.plan.publish.picture import place
from sidecar.plan.publish.values import RecordPlace, Unplaced

NAME = "_mta-sts.sub.example.org"
ZONE = Seen("sub.example.org", 1.0)
CLOSE = Seen(("sub.example.org",), 1.0)
ABOVE = Seen(("example.org",), 1.0)
SILENT = Unseen("it is silent", 1.0)


@pytest.mark.parametrize(
    ("zones", "found"),
    [
        ({"a": ABOVE, "b": CLOSE, "c": CLOSE}, RecordPlace("b", "sub.example.org")),
        ({"a": SILENT, "b": CLOSE}, RecordPlace("b", "sub.example.org")),
    ],
)
def test_the_first_account_that_serves_the_zone_writes(
    zones: Mapping[str, Sight[tuple[str, ...]]], found: RecordPlace
) -> None:
    """Another one that is silent does not matter."""
    assert place(NAME, ZONE, zones) == found


@pytest.mark.parametrize(
    ("zone", "zones", "said", "known"),
    [
        (ZONE, {}, "there is no DNS account", True),
        (SILENT, {"b": CLOSE}, "the zone of _mta-sts.sub.example.org is not known: it is silent", False),
        (ZONE, {"a": SILENT, "b": ABOVE}, "which zones the account a serves: it is silent", False),
        (ZONE, {"a": ABOVE}, "lies in the zone sub.example.org, which no account serves", True),
        (ZONE, {"a": Seen(("example.net",), 1.0)}, "no account serves the zone sub.example.org", True),
    ],
)
def test_without_an_account_it_says_why(
    zone: Sight[str], zones: Mapping[str, Sight[tuple[str, ...]]], said: str, *, known: bool
) -> None:
    """A zone above does not do: the name is delegated away from it."""
    found = place(NAME, zone, zones)
    assert isinstance(found, Unplaced)
    assert said in found.reason
    assert found.known is known
