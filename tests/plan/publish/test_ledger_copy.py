"""The copy of the ledger brings back what the state has lost, and nothing that was not published here."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.plan.publish.ledger_copy import dumped, merged, read
from tests.plan.publish.worlds import World, key, well


def test_what_is_written_is_read() -> None:
    """The same ledger has the same octets."""
    world = World((well("example.org"), well("example.net")))
    world.settle()
    assert len(world.ledger) == 6
    assert read(dumped(world.ledger)) == world.ledger
    assert dumped(dict(reversed(list(world.ledger.items())))) == dumped(world.ledger)
    assert read(dumped({})) == {}


def test_a_lost_state_goes_on_with_the_copy() -> None:
    """Without it the records would be foreign after the next change."""
    world = World((well("example.org"),))
    world.settle()
    copy = read(dumped(world.ledger))
    world.domains = (well("example.org", "2"),)
    world.ledger = {}
    assert [write.key.name for write in world.plan().writes] == []
    world.ledger = merged({}, copy)
    world.settle()
    assert world.zone[key("_mta-sts.example.org", "TXT")].values == ("v=STSv1;id=2;",)


def test_the_state_counts_where_both_know() -> None:
    """An old copy, or one of another server, adds nothing: what is added could be removed later."""
    world = World((well("example.org"),))
    world.settle()
    old = world.ledger
    world.domains = (well("example.org", "2"),)
    world.settle()
    assert merged(world.ledger, old) == world.ledger
    other = World((well("elsewhere.example"),))
    other.settle()
    assert merged(world.ledger, other.ledger) == world.ledger
    assert merged({}, old) == old


@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.text(max_size=5), st.lists).map(lambda x: json.dumps(x).encode())
)
def test_anything_else_is_an_empty_ledger(data: bytes) -> None:
    """A broken file needs a person, and stops no pass."""
    assert read(data) == {}


def test_one_broken_entry_does_not_lose_the_others() -> None:
    """It is left out."""
    world = World((well("example.org"),))
    world.settle()
    found = json.loads(dumped(world.ledger))
    found["entries"][0]["published"] = "not a list"
    del found["entries"][1]["key"]
    assert len(read(json.dumps(found).encode())) == 1


@pytest.mark.parametrize(
    "edited",
    [
        {"published": []},
        {"published": [[]]},
        {"published": [["\ud800"]]},
        {"published": [["x" * 5_000]]},
        {"at": float("nan")},
        {"ttl": 1 << 70},
        {"ttl": -1},
        {"key": {"name": "www.example.org", "type": "A"}},
        {"key": {"name": "_mta-sts.", "type": "TXT"}},
        {"key": {"name": "_mta-sts.Example.org", "type": "TXT"}},
        {"key": {"name": "_mta-sts." + "a." * 130 + "org", "type": "TXT"}},
    ],
)
def test_an_entry_that_cannot_be_ours_is_left_out(edited: dict[str, object]) -> None:
    """Whoever edits the file neither stops the passes nor breaks the state."""
    world = World((well("example.org"),))
    world.settle()
    found = json.loads(dumped(world.ledger))
    found["entries"][0] |= edited
    assert len(read(json.dumps(found).encode())) == 2
