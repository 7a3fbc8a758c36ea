"""A state file of an earlier release is read with nothing lost; the files in this folder were written by its code."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.notify.digest import Tries
from sidecar.notify.notifier import Outbox
from sidecar.observed import Doubt, Fact, FactKind, Memory, Restart
from sidecar.observed.history import HistoryEvent
from sidecar.observed.report_route import RouteMemory
from sidecar.plan.ownership import held_for
from sidecar.state import parts
from sidecar.state.file import VERSION
from sidecar.state.store import State
from tests.notify.test_outbox import EVENTS, TOLD
from tests.state.sample import NOW, full_memory

DAY_S = 86_400
HISTORY = (
    HistoryEvent(NOW, "example.org", "policy.added", "wanted", "done", None),
    HistoryEvent(NOW + 1, None, "x", "odd \udcff ü", "failed", "line\nline"),
)
WISHED = replace(
    full_memory(),
    adopt=full_memory().adopt | {"wished.example"},
    published={},
    adopt_records=frozenset(),
    let_through=frozenset(),
    report_way=RouteMemory(),
)
"""A request to adopt came from the command line, after the rest. Releases with these tables published no DNS records and
received no reports."""


def restored(folder: Path, name: str, fixture: str) -> Path:
    """The file `name` in `folder`, from the SQL text of a fixture."""
    path = folder / name
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript((Path(__file__).parent / fixture).read_text("utf-8"))
    return path


def tables(path: Path) -> set[str]:
    """The tables of a file."""
    with closing(sqlite3.connect(path)) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def test_everything_is_taken_over(tmp_path: Path) -> None:
    """The memory, the history and what waits to be notified; and the old tables and the old file are gone."""
    path = restored(tmp_path, "state.sqlite", "state_v4.sql")
    old = restored(tmp_path, "outbox.sqlite", "outbox_v1.sql")
    for _ in range(2):
        state = State.open(tmp_path, NOW + DAY_S)
        assert state.notice is None
        assert state.load() == WISHED
        assert state.history() == HISTORY
        outbox = Outbox(state)
        assert outbox.notified() == TOLD
        assert list(outbox.waiting("one")[0].values()) == list(EVENTS)
        assert list(outbox.waiting("two")[0].values()) == list(EVENTS)
        assert outbox.waiting("two")[1] == Tries(3, NOW + 600)
        state.close()
    assert tables(path) == {"part", "history", "waiting"}
    assert not old.exists()


def test_what_was_taken_over_can_be_changed(tmp_path: Path) -> None:
    """Each row has the key by which it is written later."""
    restored(tmp_path, "state.sqlite", "state_v4.sql")
    state = State.open(tmp_path, NOW)
    state.save(state.load(), Memory(born=NOW))
    assert state.load() == Memory(born=NOW)
    with state.writing() as connection:
        found = connection.execute("SELECT name FROM part").fetchall()
    assert found == [("born",)]
    state.close()


def test_a_kill_while_taking_over_leaves_the_old_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next start does it again, from the beginning."""
    path = restored(tmp_path, "state.sqlite", "state_v4.sql")
    restored(tmp_path, "outbox.sqlite", "outbox_v1.sql")
    before = tables(path)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("sidecar.state.old_tables.take_over_outbox", killed)
        with pytest.raises(KeyboardInterrupt):
            State.open(tmp_path, NOW)
    assert tables(path) == before
    state = State.open(tmp_path, NOW)
    assert (state.notice, state.load()) == (None, WISHED)
    assert Outbox(state).notified() == TOLD
    state.close()


def test_waits_that_were_read_off_a_clock_start_again(tmp_path: Path) -> None:
    """Version 2: its clock may have been wrong, an end may even be before its beginning; no restart was judged then."""
    restored(tmp_path, "state.sqlite", "state_v2.sql")
    opened = State.open(tmp_path, NOW)
    memory = opened.load()
    opened.close()
    assert opened.notice is None
    assert [span.since for span in memory.policy("a.example").spans] == [1.0, NOW, NOW - 365 * DAY_S]
    assert held_for(memory, "a.example", 0) == 604_800
    assert memory.true_for(Fact(FactKind.UNMATCHED, "a")) == 0
    assert memory.doubt == Doubt("f", 3, 0.0)
    assert memory.restarts == (Restart(NOW, ()),)
    assert memory.born == NOW - 400 * DAY_S
    later = replace(memory, tally=replace(memory.tally, seconds=604_800.0))
    assert held_for(later, "a.example", 0) == 0


def test_queue_is_taken_over_without_a_state(tmp_path: Path) -> None:
    """The state was deleted, the old queue was not."""
    restored(tmp_path, "outbox.sqlite", "outbox_v1.sql")
    state = State.open(tmp_path, NOW)
    assert state.load() == Memory(born=NOW)
    assert Outbox(state).notified() == TOLD
    state.close()


@pytest.mark.parametrize("content", [b"", b"nonsense" * 500])
def test_queue_that_cannot_be_read_stops_nothing(tmp_path: Path, content: bytes) -> None:
    """It costs that errors are reported again."""
    restored(tmp_path, "state.sqlite", "state_v4.sql")
    (tmp_path / "outbox.sqlite").write_bytes(content)
    state = State.open(tmp_path, NOW)
    assert (state.notice, state.load()) == (None, WISHED)
    assert Outbox(state).notified() is None
    state.close()


@pytest.mark.parametrize(
    ("spoil", "lost"),
    [
        ("UPDATE conf_entry SET event = 'odd'", "conf"),
        ("UPDATE meta SET value = 'odd' WHERE key = 'born'", "born"),
        ("UPDATE condition SET status = 'odd'", "rollouts example.org"),
    ],
)
def test_value_that_was_never_written_costs_its_part(tmp_path: Path, spoil: str, lost: str) -> None:
    """The rest goes over."""
    path = restored(tmp_path, "state.sqlite", "state_v4.sql")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(spoil)
    state = State.open(tmp_path, NOW)
    assert state.notice is not None
    assert f"cannot read: {lost} (" in state.notice
    memory = state.load()
    name = lost.partition(" ")[0]
    assert memory == replace(WISHED, **{name: getattr(memory, name)})
    state.close()


def test_version_is_of_the_tables_and_not_of_the_parts() -> None:
    """A new part or field needs no step; a change of these statements does."""
    assert (VERSION, parts.TABLES.count("CREATE TABLE")) == (5, 3)
