"""Parts: what cannot be read costs its row alone, is reported once, and permits nothing."""

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path

import pytest

from sidecar.host.elapsed import Tally
from sidecar.observed import FILE, Domain, DomainList, Memory, Move, PolicyMemory, Restart, Seen, Span
from sidecar.observed.record_sets import RecordSet
from sidecar.plan.acme.run import exhausted
from sidecar.plan.ownership import Whose, held_for, whose
from sidecar.plan.publish.ledger import whose as record_owner
from sidecar.plan.publish.values import RecordOwner
from sidecar.reconcile.learn.observations import believe
from sidecar.settings import Intervals, RestartSettings
from sidecar.state.parts import PARTS, UNREAD
from sidecar.state.store import State
from tests.state.sample import NOW, POLICY, full_memory

LATER = NOW + 5_000


@pytest.fixture
def stored(tmp_path: Path) -> Iterator[Callable[..., State]]:
    """A store of `memory`, on which a statement was executed before it is opened again."""
    opened: list[State] = []

    def store(statement: str, *values: str, memory: Memory | None = None) -> State:
        state = State.open(tmp_path, NOW)
        state.save(state.load(), memory or full_memory())
        with state.writing() as connection:
            assert connection.execute(statement, values).rowcount > 0
        state.close()
        opened.append(State.open(tmp_path, LATER))
        return opened[-1]

    yield store
    for state in opened:
        state.close()


def spoiled(name: str) -> str:
    """A statement that makes a part unreadable."""
    return f"UPDATE part SET value = '{{' WHERE name = '{name}'"  # noqa: S608 - a name of the test


def test_every_field_of_the_memory_is_a_part() -> None:
    """A field that is missing here would be forgotten at each restart."""
    assert sorted(part.name for part in PARTS) == sorted(field.name for field in fields(Memory))
    empty = Memory()
    missing = [
        field.name
        for field in fields(Memory)
        if getattr(full_memory(), field.name) == getattr(empty, field.name)
    ]
    assert missing == [], "the sample has one of everything"


@pytest.mark.parametrize(
    "value",
    ["", "{", "[1]", "null", '"word"', '{"writes": 7}', '{"spans": [{"text": 1}]}', "[" * 100_000, "NaN"],
)
def test_row_that_cannot_be_read_costs_that_row_alone(stored: Callable[..., State], value: str) -> None:
    """Everything else is as it was; it is reported when the file is opened, and kept aside."""
    state = stored("UPDATE part SET value = ? WHERE name = 'policies' AND key = 'example.org'", value)
    assert state.notice is not None
    assert "cannot read: policies example.org (" in state.notice
    memory = state.load()
    others = {key: one for key, one in full_memory().policies.items() if key != "example.org"}
    unknown = PolicyMemory(spans=(Span("", LATER, None, begun=9.0),))
    assert memory == replace(full_memory(), policies={**others, "example.org": unknown})
    with state.writing() as connection:
        (aside,) = connection.execute("SELECT value FROM part WHERE name = ?", (UNREAD + "policies",))
    assert aside == (value,)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("conf", '[{"key": "ADDITIONAL_SAN", "entry": "a", "event": "of a later release", "at": 1}]'),
        ("since", '[{"kind": "of a later release", "subject": "a"}, 1]'),
        (
            "rollouts",
            '{"conditions": [{"type": "a", "status": "b", "reason": "", "message": "", "since": 1}]}',
        ),
        ("checks", '{"at": 1, "findings": [{"code": "a", "severity": "b"}]}'),
    ],
)
def test_word_of_a_later_release_costs_its_row(stored: Callable[..., State], name: str, value: str) -> None:
    """The part is empty then; the others are as they were."""
    state = stored(f"UPDATE part SET value = ? WHERE name = '{name}'", value)  # noqa: S608 - a name of the test
    empty = replace(full_memory(), **{name: getattr(Memory(), name)})
    assert state.load() == empty
    assert state.notice is not None


def test_field_and_part_of_a_later_release_are_no_obstacle(stored: Callable[..., State]) -> None:
    """The field is left out, and the part stays in the file."""
    state = stored(
        'UPDATE part SET value = \'{"count":2,"at":5,"evidence":"e","later":[]}\' WHERE name = \'in_vain\''
    )
    assert state.notice is None
    assert state.load().in_vain["mta-sts.c.example"].count == 2
    with state.writing() as connection:
        connection.execute("INSERT INTO part VALUES ('later', 'a.example', '{}')")
    state.save(state.load(), Memory(born=NOW))
    with state.writing() as connection:
        assert connection.execute("SELECT key FROM part WHERE name = 'later'").fetchall() == [("a.example",)]


def test_many_lost_rows_are_one_short_notice(stored: Callable[..., State]) -> None:
    """Three are named, the others counted; no value is repeated."""
    many = replace(full_memory(), policies={f"d{n}.example": PolicyMemory(floor="f") for n in range(500)})
    state = stored("UPDATE part SET value = '\"secret\"' WHERE name = 'policies'", memory=many)
    assert state.notice is not None
    assert "and 497 more" in state.notice
    assert len(state.notice) < 900
    assert "secret" not in state.notice


def test_lost_row_is_reported_once(stored: Callable[..., State], tmp_path: Path) -> None:
    """A wait that it costs ends, because the next start finds nothing wrong."""
    state = stored(spoiled("tally"))
    assert state.notice is not None
    again = State.open(tmp_path, LATER + 60)
    assert again.notice is None
    assert again.load() == state.load()
    again.close()


def test_row_that_another_process_damages_is_replaced_in_use(tmp_path: Path) -> None:
    """A later release that ran once, for instance; the process goes on with the rest."""
    state, other = State.open(tmp_path, NOW), State.open(tmp_path, NOW)
    state.save(state.load(), full_memory())
    with other.writing() as connection:
        connection.execute(spoiled("checks"))
    other.close()
    assert state.changed_elsewhere()
    assert state.load() == replace(full_memory(), checks={})
    assert state.notice is not None
    assert not state.changed_elsewhere()
    state.close()


# --- nothing is permitted ---------------------------------------------------------------------------------


@pytest.mark.parametrize("lost", [FILE, "a.example"])
def test_senders_may_hold_what_cannot_be_read_any_more(stored: Callable[..., State], lost: str) -> None:
    """Also where the other generation's history is known and has no enforce; nothing counts as written by us."""
    nothing = PolicyMemory(spans=(Span(None, 1.0, None, begun=1.0),))
    memory = Memory(policies={FILE: nothing, "a.example": nothing}, tally=Tally(9e6))
    assert held_for(memory, "a.example", 604_800) == 0
    state = stored("UPDATE part SET value = '{' WHERE name = 'policies' AND key = ?", lost, memory=memory)
    loaded = state.load()
    assert held_for(loaded, "a.example", 604_800) == 604_800
    assert held_for(loaded, FILE, 604_800) == 604_800
    assert whose(POLICY, loaded.policy(lost)) is Whose.PERSONS
    later = replace(loaded, tally=Tally(9e6 + 604_800))
    assert held_for(later, "a.example", 604_800) == 0


def test_waits_go_on_where_the_count_is_lost(stored: Callable[..., State]) -> None:
    """It goes on from the latest mark: what was over may last longer, what lasted does not last for ever."""
    spans = (Span(None, 1.0, 2.0, 1.0, 5_000.0), Span(POLICY, 2.0, 3.0, 5_000.0, 6_000.0))
    memory = Memory(policies={"a.example": PolicyMemory(spans=spans)}, tally=Tally(500_000.0))
    state = stored(spoiled("tally"), memory=memory)
    assert state.load().tally == Tally(6_000.0)
    assert held_for(state.load(), "a.example", 0) == 604_800


def test_lost_restarts_are_no_new_budget(stored: Callable[..., State]) -> None:
    """The next restart keeps its distance from now."""
    state = stored(spoiled("restarts"))
    assert state.load().restarts == (Restart(LATER, ()),)
    assert exhausted(state.load().restarts, (), RestartSettings(), LATER + 1) is not None


def test_list_that_lost_most_is_doubted_although_the_known_one_is_lost(stored: Callable[..., State]) -> None:
    """What was served and checked stands for it."""
    served = PolicyMemory(spans=(Span(POLICY, 1.0, None),))
    memory = replace(
        full_memory(),
        policies={"a.example": served, "b.example": served, "gone.example": PolicyMemory()},
        doubt=None,
    )
    state = stored(spoiled("believed"), memory=memory)
    loaded = state.load()
    assert loaded.believed is not None
    assert [domain.name for domain in loaded.believed.domains] == [
        "a.example",
        "b.example",
        "example.org",
        "quiet.example",
    ]
    only = DomainList((Domain("a.example", True, False),), ())
    answer, after, _ = believe(loaded, Seen(only, NOW), Intervals())
    assert len(answer.value.domains) == 4
    assert after.doubt is not None


def test_requests_survive_a_value_that_cannot_be_read(stored: Callable[..., State]) -> None:
    """What a person requested stands in the key."""
    state = stored("UPDATE part SET value = '{' WHERE name IN ('adopt', 'retired', 'moves')")
    memory = state.load()
    assert memory.adopt == full_memory().adopt
    assert memory.retired == full_memory().retired
    assert memory.moves == (Move(FILE, "new.example", LATER), Move("a.example", "new.example", LATER))


@pytest.mark.parametrize("name", [part.name for part in PARTS])
def test_any_part_may_be_lost(stored: Callable[..., State], name: str) -> None:
    """All others stay, and the store can be written as before."""
    state = stored(spoiled(name))
    memory = state.load()
    assert memory == replace(full_memory(), **{name: getattr(memory, name)})
    state.save(memory, full_memory())
    assert state.load() == full_memory()


def test_rows_that_are_not_text_cost_that_row(stored: Callable[..., State]) -> None:
    """SQLite takes any type in any column."""
    state = stored("UPDATE part SET value = X'FF' WHERE name = 'doubt'")
    assert state.load() == replace(full_memory(), doubt=None)
    with pytest.raises(sqlite3.IntegrityError), state.writing() as connection:
        connection.execute("INSERT INTO part (name, key) VALUES ('doubt', 'no value')")


def test_lost_row_of_a_published_record_makes_that_record_somebody_elses(
    stored: Callable[..., State],
) -> None:
    """Without its row nothing says that the sidecar published it."""
    id_, host = full_memory().published
    statement = "UPDATE part SET value = '{' WHERE name = 'published' AND key = ?"
    memory = stored(statement, str(id_)).load()
    assert set(memory.published) == {host}
    found = Seen(RecordSet(("v=STSv1;id=2;",), 300), NOW)
    assert record_owner(id_, found, (), memory.published) is RecordOwner.FOREIGN
    assert record_owner(id_, found, (), full_memory().published) is RecordOwner.OURS
