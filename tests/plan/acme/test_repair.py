"""A re-creation that was cut off: repaired by an action like any other, before anything else is done there."""

from dataclasses import replace

import pytest

from sidecar.observed import NEW_SUFFIX, OLD_SUFFIX, Container
from sidecar.plan import decide
from sidecar.plan.actions import HealAcme, RecreateAcme, RestartAcme
from sidecar.settings import Settings
from tests.worlds import NOW, World, advance, container, given_settings, observed, plan, text

OLD = replace(container("acme-mailcow", state="exited"), id="old", name="mailcow-acme-mailcow-1" + OLD_SUFFIX)
NEW = replace(
    container("acme-mailcow", state="created"), id="new", name="mailcow-acme-mailcow-1" + NEW_SUFFIX
)
READY = World(served={"example.org": text()}, orders=(NOW - 90_000,), others=(OLD, NEW))


def test_what_was_left_is_named_and_repaired() -> None:
    """The reason names what lies there."""
    (action,) = [a for a in plan(READY).actions if isinstance(a, HealAcme)]
    assert action.project == "mailcow"
    assert action.reason == (f"a re-creation of acme-mailcow was interrupted and left {OLD.name}, {NEW.name}")


@pytest.mark.parametrize("left", [(), (container("sogo-mailcow"),)])
def test_nothing_is_repaired_where_nothing_was_left(left: tuple[Container, ...]) -> None:
    """Nor where it is not seen."""
    assert not [a for a in plan(replace(READY, others=left)).actions if isinstance(a, HealAcme)]
    unseen = plan(replace(READY, unseen=frozenset({"project"})))
    assert not [a for a in unseen.actions if isinstance(a, HealAcme)]


def test_no_restart_while_something_is_left() -> None:
    """It waits, says so, and asks for no evidence: an HTTP probe writes a file."""
    found = plan(READY)
    assert not [a for a in found.actions if isinstance(a, RestartAcme | RecreateAcme)]
    assert "was interrupted, and is repaired first" in {h.reason for h in found.held}.pop()
    assert not found.questions


@pytest.mark.parametrize(
    "settings",
    [Settings(dry_run=True), given_settings({"manage": {"acme": False}})],
    ids=["dry", "unmanaged"],
)
def test_repair_is_held_like_any_action(settings: Settings) -> None:
    """`sidecar plan` shows it all the same."""
    found = decide(observed(READY), settings)
    assert found.actions == () or not [a for a in found.actions if isinstance(a, HealAcme)]
    assert [type(h.action) for h in found.held if isinstance(h.action, HealAcme)] == [HealAcme]


def test_repaired_once_it_is_over() -> None:
    """And the restart that waited follows."""
    world = advance(READY, plan(READY).actions)
    found = plan(world)
    assert not [a for a in found.actions if isinstance(a, HealAcme)]
    assert "is repaired first" not in str(found.held)
