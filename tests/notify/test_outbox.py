"""What waits to be notified outlives the process, changes whole or not at all, and what cannot be read is dropped."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar.host.errors import PermanentError, TemporaryError
from sidecar.notify.digest import KEPT_S, Tries
from sidecar.notify.events import Known, Notification, Notified
from sidecar.notify.notifier import Outbox
from sidecar.observed.checks import Stage
from sidecar.settings import NotificationKind
from sidecar.state.store import State
from sidecar.status.repeats import Ends
from tests.notify.views import DENIED, EXPIRED, event
from tests.worlds import NOW

TOLD = Notified(
    {"a.example": Stage.READY, "b.example": Stage.NO_POLICY},
    {EXPIRED.key: Known(EXPIRED, NOW - 5, NOW - 90), DENIED.key: Known(DENIED)},
    {("mx.uncovered", "a.example", ""): Ends(2, NOW - 60)},
)
EVENTS = (
    event(todo="act"),
    event(NotificationKind.STAGE, was="soaking", now="ready"),
    event(NotificationKind.RECOVERY, critical=True),
)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    """A fresh store."""
    found = State.open(tmp_path, NOW)
    yield found
    found.close()


@pytest.fixture
def outbox(state: State) -> Outbox:
    """In a fresh store."""
    return Outbox(state)


def waiting(outbox: Outbox, receiver: str) -> list[Notification]:
    """The events that wait, in order."""
    return list(outbox.waiting(receiver)[0].values())


def test_all_comes_back_after_a_restart(tmp_path: Path) -> None:
    """What people know, what waits for whom, and how the last tries went."""
    state = State.open(tmp_path, NOW)
    outbox = Outbox(state)
    assert outbox.notified() is None
    outbox.note(TOLD, EVENTS, ["one", "two"])
    outbox.failed("two", Tries(3, NOW + 600))
    state.close()
    state = State.open(tmp_path, NOW + 60)
    again = Outbox(state)
    assert again.notified() == TOLD
    assert waiting(again, "one") == list(EVENTS)
    assert again.waiting("one")[1] == Tries()
    assert waiting(again, "two") == list(EVENTS)
    assert again.waiting("two")[1] == Tries(3, NOW + 600)
    assert waiting(again, "three") == []
    state.close()


def test_what_an_earlier_release_noted_is_understood(outbox: Outbox, state: State) -> None:
    """It did not note when people were notified, nor which errors had ended."""
    outbox.note(TOLD, [], [])
    with state.writing() as connection:
        (kept,) = connection.execute("SELECT value FROM part WHERE name = 'notify'").fetchone()
        value = json.loads(kept)
        del value["ends"]
        for one in value["troubles"]:
            del one["said_at"]
        connection.execute("UPDATE part SET value = ? WHERE name = 'notify'", (json.dumps(value),))
    assert outbox.notified() == Notified(
        TOLD.stages, {EXPIRED.key: Known(EXPIRED, NOW - 5), DENIED.key: Known(DENIED)}
    )


def test_delivery_is_of_these_events_to_this_receiver(outbox: Outbox) -> None:
    """What came meanwhile still waits; failures are forgotten."""
    outbox.note(TOLD, EVENTS[:2], ["one", "two"])
    outbox.failed("one", Tries(3, NOW + 600))
    numbers = list(outbox.waiting("one")[0])
    outbox.note(TOLD, EVENTS[2:], ["one", "two"])
    outbox.delivered("one", numbers)
    assert waiting(outbox, "one") == [EVENTS[2]]
    assert outbox.waiting("one")[1] == Tries()
    assert waiting(outbox, "two") == list(EVENTS)


def test_what_is_too_old_or_for_nobody_is_dropped(outbox: Outbox) -> None:
    """Only the first is worth a word."""
    outbox.note(TOLD, [event(at=0), event(at=100)], ["one", "removed"])
    assert outbox.tidy(["one", "two"], NOW + KEPT_S + 50) == 1
    assert waiting(outbox, "one") == [event(at=100)]
    assert waiting(outbox, "removed") == []
    assert outbox.tidy(["one", "two"], NOW + KEPT_S + 50) == 0


def test_queue_and_memory_do_not_touch_each_other(outbox: Outbox, state: State) -> None:
    """They share the file: a notification does not reload the memory, and a save does not change the queue."""
    before = state.load()
    outbox.note(TOLD, EVENTS, ["one"])
    outbox.failed("one", Tries(3, NOW + 600))
    assert not state.changed_elsewhere()
    assert state.load() == before
    state.save(before, before)
    assert outbox.notified() == TOLD
    assert waiting(outbox, "one") == list(EVENTS)


def test_note_that_cannot_be_written_changes_nothing(outbox: Outbox, state: State, tmp_path: Path) -> None:
    """Neither what people know nor what waits; once there is room it goes on."""
    outbox.note(TOLD, EVENTS[:1], ["one"])
    (pages,) = state._connection.execute("PRAGMA page_count").fetchone()
    state._connection.execute(f"PRAGMA max_page_count = {pages}")
    many = [event(message="x" * 5_000) for _ in range(9)]
    with pytest.raises(TemporaryError, match="check the space on the disk"):
        outbox.note(Notified(), many, ["one"])
    assert outbox.notified() == TOLD
    assert waiting(outbox, "one") == [EVENTS[0]]
    state._connection.execute("PRAGMA max_page_count = 1000000")
    outbox.note(Notified(), EVENTS[1:], ["one"])
    assert outbox.notified() == Notified()
    assert waiting(outbox, "one") == list(EVENTS)


def test_store_that_may_not_be_written_is_reported(outbox: Outbox, state: State) -> None:
    """With what to do about it."""
    state._connection.execute("PRAGMA query_only = 1")
    with pytest.raises(PermanentError, match="a folder that the sidecar may write in"):
        outbox.note(TOLD, EVENTS, ["one"])
    state._connection.execute("PRAGMA query_only = 0")
    outbox.note(TOLD, EVENTS, ["one"])
    assert outbox.notified() == TOLD


UNREADABLE = ['{"stages": {"a": "asleep"}, "troubles": []}', "{", "[]", '{"troubles": []}']


@pytest.mark.parametrize("value", UNREADABLE)
def test_what_people_know_is_dropped_where_it_cannot_be_read(
    outbox: Outbox, state: State, value: str
) -> None:
    """Reported once; the next call works, and what waits stays."""
    outbox.note(TOLD, EVENTS, ["one"])
    _execute(state, "UPDATE part SET value = ? WHERE key = 'told'", value)
    with pytest.raises(TemporaryError, match="it is dropped, so errors may be reported again"):
        outbox.notified()
    assert outbox.notified() is None
    assert waiting(outbox, "one") == list(EVENTS)


@pytest.mark.parametrize(
    "spoiled", ["{", '{"kind": "later"}', '{"kind": "error"}', "[]", '{"kind": "error", "later": 1}']
)
def test_event_that_cannot_be_read_is_dropped_and_no_other(
    outbox: Outbox, state: State, spoiled: str
) -> None:
    """It is counted as one that was not delivered."""
    outbox.note(TOLD, EVENTS, ["one"])
    _execute(state, "UPDATE waiting SET event = ? WHERE id = 1", spoiled)
    assert waiting(outbox, "one") == list(EVENTS[1:])
    assert outbox.tidy(["one"], NOW) == 1
    assert outbox.tidy(["one"], NOW) == 0
    assert waiting(outbox, "one") == list(EVENTS[1:])


def test_tries_that_cannot_be_read_count_as_none(outbox: Outbox, state: State) -> None:
    """The receiver is tried at once, and the next failure writes them again."""
    outbox.failed("one", Tries(3, NOW + 600))
    _execute(state, "UPDATE part SET value = ? WHERE key = 'tries:one'", "3")
    assert outbox.waiting("one")[1] == Tries()
    outbox.failed("one", Tries(1, NOW + 60))
    assert outbox.waiting("one")[1] == Tries(1, NOW + 60)


def _execute(state: State, statement: str, value: str) -> None:
    with state.writing() as connection:
        assert connection.execute(statement, (value,)).rowcount == 1
