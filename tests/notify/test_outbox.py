"""What waits to be told outlives the process, changes whole or not at all, and begins anew where its file is broken."""

import json
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from sidecar.errors import TemporaryError
from sidecar.notify.digest import KEPT_S, Tries
from sidecar.notify.events import Event, Known, Told
from sidecar.notify.outbox import NAME, Outbox
from sidecar.rollout import Stage
from sidecar.settings import Tell
from sidecar.telling import Ends
from tests.notify.views import DENIED, EXPIRED, event
from tests.worlds import NOW

TOLD = Told(
    {"a.example": Stage.READY, "b.example": Stage.NO_POLICY},
    {EXPIRED.key: Known(EXPIRED, NOW - 5, NOW - 90), DENIED.key: Known(DENIED)},
    {("mx.uncovered", "a.example", ""): Ends(2, NOW - 60)},
)
EVENTS = (
    event(todo="act"),
    event(Tell.STAGE, was="soaking", now="ready"),
    event(Tell.RECOVERY, critical=True),
)


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    """In a folder that is not there yet."""
    found = Outbox(tmp_path / "state")
    yield found
    found.close()


def waiting(outbox: Outbox, receiver: str) -> list[Event]:
    """The events that wait, in order."""
    return list(outbox.waiting(receiver)[0].values())


def test_all_comes_back_after_a_restart(outbox: Outbox, tmp_path: Path) -> None:
    """What people know, what waits for whom, and how the last tries went."""
    assert outbox.told() is None
    outbox.note(TOLD, EVENTS, ["one", "two"])
    outbox.failed("two", Tries(3, NOW + 600))
    outbox.close()
    again = Outbox(tmp_path / "state")
    assert again.told() == TOLD
    assert waiting(again, "one") == list(EVENTS)
    assert again.waiting("one")[1] == Tries()
    assert waiting(again, "two") == list(EVENTS)
    assert again.waiting("two")[1] == Tries(3, NOW + 600)
    assert waiting(again, "three") == []
    again.close()


def test_what_a_release_before_noted_is_understood(outbox: Outbox, tmp_path: Path) -> None:
    """It did not note when what was told, nor which errors had ended."""
    outbox.note(TOLD, [], [])
    outbox.close()
    with closing(sqlite3.connect(tmp_path / "state" / NAME, isolation_level=None)) as connection:
        (kept,) = connection.execute("SELECT value FROM kept").fetchone()
        value = json.loads(kept)
        del value["ends"]
        for one in value["troubles"]:
            del one["said_at"]
        connection.execute("UPDATE kept SET value = ?", (json.dumps(value),))
    found = Outbox(tmp_path / "state")
    assert found.told() == Told(
        TOLD.stages, {EXPIRED.key: Known(EXPIRED, NOW - 5), DENIED.key: Known(DENIED)}
    )
    found.close()


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


def test_only_the_owner_may_read_it(outbox: Outbox, tmp_path: Path) -> None:
    """Messages tell about a mailcow more than a stranger should know."""
    outbox.note(TOLD, EVENTS, ["one"])
    assert stat.S_IMODE((tmp_path / "state" / NAME).stat().st_mode) == 0o600


def test_note_that_cannot_be_written_changes_nothing(outbox: Outbox, tmp_path: Path) -> None:
    """Neither what people know nor what waits; once there is room it goes on."""
    outbox.note(TOLD, EVENTS[:1], ["one"])
    other = sqlite3.connect(tmp_path / "state" / NAME)
    other.execute(
        "CREATE TRIGGER full BEFORE INSERT ON waiting WHEN (SELECT count(*) FROM waiting) > 1 "
        "BEGIN SELECT RAISE(ABORT, 'no room'); END"
    )
    other.commit()
    with pytest.raises(TemporaryError, match="no room"):
        outbox.note(Told(), EVENTS, ["one"])
    assert outbox.told() == TOLD
    assert waiting(outbox, "one") == [EVENTS[0]]
    other.execute("DROP TRIGGER full")
    other.commit()
    other.close()
    outbox.note(Told(), EVENTS[1:], ["one"])
    assert outbox.told() == Told()
    assert waiting(outbox, "one") == list(EVENTS)


def _garbage(path: Path) -> None:
    path.write_bytes(b"no database at all " * 100)


def _other_tables(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE waiting (something TEXT)")
    connection.close()


def _values(value: str) -> None:
    pass


def _no_stage(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE kept (name TEXT PRIMARY KEY, value TEXT NOT NULL)")
        connection.execute(
            "INSERT INTO kept VALUES ('told', ?)", ('{"stages": {"a": "asleep"}, "troubles": []}',)
        )
    connection.close()


def _no_json(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE kept (name TEXT PRIMARY KEY, value TEXT NOT NULL)")
        connection.execute("INSERT INTO kept VALUES ('told', '{')")
    connection.close()


@pytest.mark.parametrize("spoil", [_garbage, _other_tables, _no_stage, _no_json])
def test_broken_file_is_kept_aside_and_begun_anew(outbox: Outbox, tmp_path: Path, spoil: "object") -> None:
    """Said once; the next call works."""
    path = tmp_path / "state" / NAME
    path.parent.mkdir()
    assert callable(spoil)
    spoil(path)
    with pytest.raises(TemporaryError, match=r"kept as outbox\.sqlite\.broken and begun anew"):
        outbox.told()
    assert outbox.told() is None
    outbox.note(TOLD, EVENTS, ["one"])
    assert waiting(outbox, "one") == list(EVENTS)
    assert (tmp_path / "state" / (NAME + ".broken")).exists()


def test_folder_that_cannot_be_used_is_told_and_tried_again(tmp_path: Path) -> None:
    """A file is in its place, and then no more."""
    (tmp_path / "state").write_text("")
    outbox = Outbox(tmp_path / "state")
    with pytest.raises(TemporaryError, match="make its folder writable"):
        outbox.note(TOLD, EVENTS, ["one"])
    (tmp_path / "state").unlink()
    outbox.note(TOLD, EVENTS, ["one"])
    assert outbox.told() == TOLD
    outbox.close()
