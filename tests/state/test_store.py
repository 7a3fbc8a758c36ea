"""The state store: what is saved comes back, others are heard, and a lost or broken file is no trouble."""

import errno
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sidecar.host.elapsed import Tally, UptimeReading
from sidecar.host.errors import PermanentError, SidecarError, TemporaryError
from sidecar.observed import (
    FILE,
    AliasDomain,
    Announced,
    CheckRecord,
    ConfEntry,
    ConfEvent,
    Domain,
    DomainList,
    Doubt,
    Fact,
    FactKind,
    InVain,
    LostName,
    Memory,
    Move,
    PolicyId,
    PolicyMemory,
    Restart,
    Span,
    Write,
)
from sidecar.observed.checks import Condition, ConditionType, Finding, Rollout, Severity, Status
from sidecar.observed.history import HistoryEvent
from sidecar.state.store import State
from tests.state.sample import NOW, full_memory

DAY_S = 86_400

# Any text can come from outside: bytes that are no UTF-8 are kept as lone surrogates.
texts = st.text(st.characters(exclude_categories=()), max_size=12)
names = st.sampled_from(["example.org", "xn--bcher-kva.example", FILE]) | texts
name_lists = st.lists(names, max_size=3).map(tuple)
times = st.floats(0, 4e9)
optional_texts = st.none() | texts
policies = st.builds(
    PolicyMemory,
    writes=st.lists(
        st.builds(Write, optional_texts, times, st.sampled_from([None, True, False])), max_size=3
    ).map(tuple),
    spans=st.lists(
        st.builds(Span, optional_texts, st.floats(1e6, 2e6), st.none() | st.floats(2e6, 3e6)), max_size=3
    ).map(tuple),
    floor=optional_texts,
    refused=optional_texts,
    id_text=optional_texts,
    id=optional_texts,
)
domain_lists = st.builds(
    DomainList,
    st.lists(st.builds(Domain, names, st.booleans(), st.booleans()), max_size=4).map(tuple),
    st.lists(st.builds(AliasDomain, names, names, st.booleans()), max_size=4).map(tuple),
)
rollouts = st.builds(
    Rollout,
    conditions=st.lists(
        st.builds(Condition, st.sampled_from(ConditionType), st.sampled_from(Status), texts, texts, times),
        max_size=3,
    ).map(tuple),
    soaked=times,
    checked_at=times,
    good_at=st.none() | times,
    refusals=st.integers(0, 9),
    stepped_back_at=st.none() | times,
)
findings = st.builds(Finding, texts, st.sampled_from(Severity), texts, texts, optional_texts, texts)
memories = st.builds(
    Memory,
    policies=st.dictionaries(names, policies, max_size=4),
    believed=st.none() | domain_lists,
    doubt=st.none() | st.builds(Doubt, texts, st.integers(0, 2**40), times),
    newcomers=st.frozensets(names, max_size=3),
    adopt=st.frozensets(names, max_size=3),
    conf=st.lists(st.builds(ConfEntry, names, texts, st.sampled_from(ConfEvent), times), max_size=4).map(
        tuple
    ),
    restarts=st.lists(st.builds(Restart, times, name_lists, name_lists, st.booleans()), max_size=3).map(
        tuple
    ),
    lost=st.lists(st.builds(LostName, names, times), max_size=3).map(tuple),
    in_vain=st.dictionaries(names, st.builds(InVain, st.integers(0, 9), times, texts, texts), max_size=3),
    rollouts=st.dictionaries(names, rollouts, max_size=3),
    checks=st.dictionaries(
        names, st.builds(CheckRecord, times, st.lists(findings, max_size=3).map(tuple)), max_size=3
    ),
    announced=st.dictionaries(
        names,
        st.lists(st.builds(Announced, texts, texts, times), min_size=1, max_size=3).map(tuple),
        max_size=3,
    ),
    retired=st.frozensets(names),
    since=st.dictionaries(st.builds(Fact, st.sampled_from(FactKind), names), times, max_size=4),
    services=st.frozensets(texts, max_size=3),
    born=times,
    tally=st.builds(Tally, times, st.none() | st.builds(UptimeReading, texts, times)),
)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    """A fresh store."""
    opened = State.open(tmp_path, NOW)
    yield opened
    opened.close()


def other(tmp_path: Path) -> State:
    """The same store, as another process has it."""
    return State.open(tmp_path, NOW + 60)


def reloaded(tmp_path: Path) -> Memory:
    """What another process reads."""
    again = other(tmp_path)
    try:
        return again.load()
    finally:
        again.close()


def event(at: float = NOW, subject: str | None = "example.org", **fields: str) -> HistoryEvent:
    """An event with sane defaults."""
    what = {"what": "policy.added", "reason": "wanted", "outcome": "done"} | fields
    return HistoryEvent(at, subject, what["what"], what["reason"], what["outcome"], what.get("detail"))


# --- the file --------------------------------------------------------------------------------------------


def test_a_fresh_store_knows_nothing_but_its_birth(state: State) -> None:
    """An empty memory, dated."""
    assert state.load() == Memory(born=NOW)
    assert state.notice is None


def test_file_and_folder_are_private(tmp_path: Path) -> None:
    """Folder 700, file and SQLite's side files 600, whatever the umask."""
    old = os.umask(0)
    try:
        folder = tmp_path / "var" / "state"
        opened = State.open(folder, NOW)
        opened.save(Memory(), full_memory())
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
        opened.close()
    finally:
        os.umask(old)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert modes == {"state.sqlite": 0o600, "state.sqlite-wal": 0o600, "state.sqlite-shm": 0o600}


def test_a_file_that_others_could_read_becomes_private(tmp_path: Path) -> None:
    """A restored backup may have another mode."""
    State.open(tmp_path, NOW).close()
    (tmp_path / "state.sqlite").chmod(0o644)
    State.open(tmp_path, NOW).close()
    assert stat.S_IMODE((tmp_path / "state.sqlite").stat().st_mode) == 0o600


def test_birth_stays_when_opened_again(tmp_path: Path, state: State) -> None:
    """The time before is unknown from the first opening on, not from the last."""
    assert reloaded(tmp_path).born == NOW


def test_intents_reach_the_disk(state: State) -> None:
    """Write-ahead log, and every commit synchronous."""
    assert state._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert state._connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert state._connection.execute("PRAGMA busy_timeout").fetchone() == (5000,)


@pytest.mark.integration
def test_many_processes_may_open_a_new_store_at_once(tmp_path: Path) -> None:
    """The tables are made once, and nobody fails."""
    code = "import sys; from pathlib import Path; from sidecar.state.store import State; "
    code += "s = State.open(Path(sys.argv[1]), 1.0); s.request_adopt([sys.argv[2]], 1.0); print(s.notice); s.close()"
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path), f"d{number}.example"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for number in range(6)
    ]
    assert [process.communicate()[0].strip() for process in running] == ["None"] * 6
    assert reloaded(tmp_path).adopt == {f"d{number}.example" for number in range(6)}


# --- saving and loading ----------------------------------------------------------------------------------


@pytest.mark.integration
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(steps=st.lists(memories, min_size=1, max_size=3))
def test_the_last_of_a_sequence_of_saves_is_what_comes_back(
    tmp_path_factory: pytest.TempPathFactory, steps: list[Memory]
) -> None:
    """Any memory, after any other, both in this process and in the next; saving it again changes nothing."""
    folder = tmp_path_factory.mktemp("state")
    state = State.open(folder, NOW)
    before = state.load()
    for after in steps:
        state.save(before, after)
        before = after
    assert state.load() == steps[-1]
    state.save(state.load(), state.load())
    state.close()
    assert reloaded(folder) == steps[-1]


def test_every_part_of_the_memory_is_kept(tmp_path: Path, state: State) -> None:
    """One of everything; an empty list of domains is another thing than none at all."""
    state.save(state.load(), full_memory())
    assert reloaded(tmp_path) == full_memory()
    empty = replace(full_memory(), believed=DomainList((), ()))
    state.save(full_memory(), empty)
    assert reloaded(tmp_path).believed == DomainList((), ())
    state.save(empty, Memory(born=NOW))
    assert reloaded(tmp_path) == Memory(born=NOW)


def test_nothing_is_written_when_nothing_differs(tmp_path: Path, state: State) -> None:
    """An equal memory that is built again counts as the same: another process sees no change."""
    state.save(state.load(), full_memory())
    reader = other(tmp_path)
    reader.load()
    state.save(full_memory(), full_memory())
    assert not reader.changed_elsewhere()
    reader.close()


def test_of_a_thousand_policies_only_the_changed_one_is_written(state: State) -> None:
    """One row; with none changed there is not even a transaction."""
    spans = (Span("one", 1.0, None),)
    many = Memory(policies={f"d{i}.example": PolicyMemory(spans=spans) for i in range(1000)})
    state.save(Memory(), many)
    statements: list[str] = []
    state._connection.set_trace_callback(statements.append)
    before = state._connection.total_changes
    state.save(many, replace(many, policies=dict(many.policies)))
    assert statements == []
    state.save(many, replace(many, policies={**many.policies, "d7.example": PolicyMemory(refused="no")}))
    assert state._connection.total_changes - before == 1
    assert len(statements) == 3  # begin, the row, commit


def test_equal_texts_are_held_once(tmp_path: Path, state: State) -> None:
    """A thousand domains with one text cost one text of memory."""
    spans = (Span("version: STSv1", 1.0, None),)
    state.save(
        state.load(), Memory(policies={n: PolicyMemory(spans=spans) for n in ("a.example", "b.example")})
    )
    loaded = state.load()
    assert loaded.policy("a.example").spans[0].text is loaded.policy("b.example").spans[0].text


# --- other processes -------------------------------------------------------------------------------------


def test_a_request_made_between_load_and_save_is_not_lost(tmp_path: Path, state: State) -> None:
    """Neither by a save that does not know it, nor by one that fulfils another; and it is noticed."""
    state.request_adopt(["a.example"], NOW)
    before = state.load()
    adopting = other(tmp_path)
    adopting.request_adopt(["b.example", FILE], NOW)
    adopting.request_adopt(["b.example"], NOW + 1)
    adopting.request_retired(["a.example"])
    adopting.request_moves([Move("a.example", "new.example", NOW), Move(FILE, "new.example", NOW)])
    adopting.request_moves([Move("a.example", "new.example", NOW + 9)])
    state.save(before, replace(before, adopt=frozenset(), services=frozenset({"acme-mailcow"})))
    assert state.changed_elsewhere()
    after = state.load()
    assert after.adopt == {"b.example", FILE}
    assert after.retired == {"a.example"}
    assert after.moves == (Move(FILE, "new.example", NOW), Move("a.example", "new.example", NOW))
    assert not state.changed_elsewhere()
    adopting.request_not_retired(["a.example"])
    assert state.changed_elsewhere()
    assert state.load().retired == frozenset()
    adopting.close()


@pytest.mark.parametrize(
    "write",
    [
        lambda state: state.request_adopt(["a.example"], NOW),
        lambda state: state.request_retired(["a.example"]),
        lambda state: state.request_not_retired(["old.example"]),
        lambda state: state.note_ids({"a.example": PolicyId("one", "1")}),
    ],
    ids=["adopt", "retire", "not retire", "policy ids"],
)
def test_change_through_this_connection_is_noticed_as_well(
    state: State, write: Callable[[State], None]
) -> None:
    """The page of the running sidecar shares the connection of the passes: the next pass loads the change."""
    state.request_retired(["old.example"])
    before = state.load()
    write(state)
    assert state.changed_elsewhere()
    assert state.load() != before
    assert not state.changed_elsewhere()


def test_own_writes_are_no_change_from_elsewhere(tmp_path: Path, state: State) -> None:
    """Only another connection's commits count, also those before the last save."""
    assert state.changed_elsewhere(), "nothing was loaded yet"
    state.save(state.load(), full_memory())
    state.record([event()])
    assert not state.changed_elsewhere()
    elsewhere = other(tmp_path)
    elsewhere.record([event()])
    assert state.changed_elsewhere()
    elsewhere.close()


@pytest.mark.integration
def test_a_save_killed_in_the_middle_leaves_the_one_before(tmp_path: Path, state: State) -> None:
    """A process that ends inside the transaction, after half of the rows, changed nothing."""
    state.save(state.load(), full_memory())
    code = (
        "import os, sys; from pathlib import Path; from sidecar.observed import Memory; "
        "from sidecar.state.store import State; import sidecar.state.parts as parts; "
        "s = State.open(Path(sys.argv[1]), 1.0); m = s.load(); c = s._connection; "
        "c.execute('BEGIN IMMEDIATE'); parts.write(c, m, Memory()); "
        "print(c.execute('SELECT count(*) FROM part').fetchone()[0], flush=True); os.kill(os.getpid(), 9)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout.strip()) == (-9, "0"), ended.stderr
    assert reloaded(tmp_path) == full_memory()
    state.save(full_memory(), Memory(born=NOW))
    assert reloaded(tmp_path) == Memory(born=NOW)


def test_a_save_that_fails_half_way_is_undone(tmp_path: Path, state: State) -> None:
    """And the store can be used afterwards."""
    state.save(state.load(), full_memory())
    state._connection.execute(
        "CREATE TEMP TRIGGER half BEFORE UPDATE ON part WHEN new.name = 'tally' "
        "BEGIN SELECT RAISE(ABORT, 'half way'); END"
    )
    odd = replace(full_memory(), policies={}, tally=Tally(10.0))
    with pytest.raises(sqlite3.IntegrityError, match="half way"):
        state.save(full_memory(), odd)
    state._connection.execute("DROP TRIGGER half")
    assert reloaded(tmp_path) == full_memory()
    state.save(full_memory(), Memory(born=NOW))
    assert state.load() == Memory(born=NOW)


# --- trouble ---------------------------------------------------------------------------------------------


def test_a_full_disk_is_temporary_and_undone(tmp_path: Path, state: State) -> None:
    """SQLite's own limit stands for the disk's."""
    state.save(state.load(), full_memory())
    (pages,) = state._connection.execute("PRAGMA page_count").fetchone()
    state._connection.execute(f"PRAGMA max_page_count = {pages}")
    large = {f"d{i}.example": PolicyMemory(floor="x" * 9000) for i in range(50)}
    with pytest.raises(
        TemporaryError, match=r"writing the state failed: .* full'; check the space on the disk of"
    ):
        state.save(full_memory(), replace(full_memory(), policies=large))
    assert state.load() == full_memory()
    assert not state.changed_elsewhere()


def test_a_store_that_may_not_be_written_is_permanent(state: State) -> None:
    """And it can still be read."""
    state.save(state.load(), full_memory())
    state._connection.execute("PRAGMA query_only = 1")
    with pytest.raises(PermanentError, match=r"readonly.*; make .* a folder that the sidecar may write in"):
        state.record([event()])
    assert state.load() == full_memory()


def test_a_folder_that_cannot_be_made_is_permanent(tmp_path: Path) -> None:
    """The text says which, and what to do."""
    (tmp_path / "file").write_text("")
    with pytest.raises(PermanentError, match=r"opening the state failed: .*/state.sqlite gave Not a dir"):
        State.open(tmp_path / "file" / "state", NOW)


def test_too_many_open_files_is_temporary_with_a_fitting_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither space nor rights help then."""

    def fails(*_: object, **__: object) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(os, "open", fails)
    with pytest.raises(TemporaryError, match=r"Too many open files; raise the sidecar's limit of open files"):
        State.open(tmp_path, NOW)


def test_another_writer_that_does_not_end_is_temporary(
    tmp_path: Path, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wait is bounded; here it is made short."""
    elsewhere = other(tmp_path)
    elsewhere._connection.execute("BEGIN IMMEDIATE")
    state._connection.execute("PRAGMA busy_timeout = 20")
    with pytest.raises(TemporaryError, match="locked"):
        state.record([event()])
    elsewhere._connection.execute("ROLLBACK")
    elsewhere.close()
    state.record([event()])
    assert len(state.history()) == 1


def _garbage(path: Path) -> None:
    path.write_bytes(b"no database, " * 500)


def _torn(path: Path) -> None:
    opened = State.open(path.parent, NOW)
    opened.save(Memory(), replace(full_memory(), services=frozenset(f"s{i}" for i in range(5000))))
    opened.close()
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (size // 2))


def _foreign(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE theirs (a)")
    connection.commit()
    connection.close()


def _changed(*statements: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        opened = State.open(path.parent, NOW)
        opened.save(opened.load(), full_memory())
        opened.close()
        connection = sqlite3.connect(path)
        for statement in statements:
            connection.execute(statement)
        connection.commit()
        connection.close()

    return change


def _folder(path: Path) -> None:
    path.mkdir()
    (path / "kept").write_text("theirs")


UNFIT = [
    (_garbage, "is damaged", "bytes that are no database"),
    (_torn, "is damaged", "a database with pages overwritten"),
    (_foreign, "belongs to another program", "another program's database"),
    (_changed("PRAGMA application_id = 7"), "belongs to another program", "another program's mark"),
    (_changed("PRAGMA user_version = 99"), "later release", "a downgrade"),
    (_changed("DROP TABLE part"), "other tables", "a table that somebody dropped"),
    (
        _changed("UPDATE part SET key = CAST(X'FFFE' AS TEXT) WHERE name = 'doubt'"),
        "other tables",
        "text that is not UTF-8",
    ),
    (_folder, "is not a file", "a folder in its place"),
]


@pytest.mark.parametrize(("spoil", "reason", "case"), UNFIT, ids=[case for _, _, case in UNFIT])
def test_an_unfit_file_is_moved_aside(
    tmp_path: Path, spoil: Callable[[Path], None], reason: str, case: str
) -> None:
    """What was there is kept beside it, and an empty store begun; the notice says why and where."""
    path = tmp_path / "state.sqlite"
    spoil(path)
    was = path.read_bytes() if path.is_file() else None
    state = State.open(tmp_path, NOW)
    assert state.notice is not None
    assert reason in state.notice
    aside = tmp_path / "state.sqlite.broken-20231114T221320"
    assert aside.name in state.notice
    assert aside.is_dir() if was is None else aside.read_bytes() == was
    assert state.load() == Memory(born=NOW)
    state.save(state.load(), full_memory())
    state.close()
    again = State.open(tmp_path, NOW)
    assert (again.load(), again.notice) == (full_memory(), None)
    again.close()


def test_files_moved_aside_do_not_fill_the_disk(tmp_path: Path) -> None:
    """The newest three are kept, also of one second."""
    for number in range(6):
        _garbage(tmp_path / "state.sqlite")
        State.open(tmp_path, NOW + number // 2).close()
    assert len(list(tmp_path.glob("state.sqlite.broken-*"))) == 3


def test_an_empty_file_is_a_new_store(tmp_path: Path) -> None:
    """What a kill right after the file's birth leaves."""
    (tmp_path / "state.sqlite").touch()
    state = State.open(tmp_path, NOW)
    assert (state.load(), state.notice) == (Memory(born=NOW), None)
    state.close()


def test_a_write_ahead_log_left_behind_is_not_played_into_a_new_file(tmp_path: Path) -> None:
    """Somebody removes the file but not what belongs to it."""
    state = State.open(tmp_path, NOW)
    state.save(state.load(), full_memory())
    log = (tmp_path / "state.sqlite-wal").read_bytes()
    state.close()
    assert log
    (tmp_path / "state.sqlite").unlink()
    (tmp_path / "state.sqlite-wal").write_bytes(log)
    assert reloaded(tmp_path) == Memory(born=NOW + 60)


def test_file_removed_while_in_use_is_created_again(tmp_path: Path, state: State) -> None:
    """Both the running process and the next one then use the same new file."""
    state.save(state.load(), full_memory())
    for path in tmp_path.iterdir():
        path.unlink()
    assert state.changed_elsewhere()
    assert state.notice is not None
    assert "was removed while" in state.notice
    assert state.load().policies == {}
    state.save(state.load(), full_memory())
    assert reloaded(tmp_path) == full_memory()
    assert not state.changed_elsewhere()


def test_a_file_that_breaks_in_use_is_replaced_at_the_next_check(tmp_path: Path, state: State) -> None:
    """The call that finds it fails once, temporarily; nothing stays broken."""
    state.save(Memory(), replace(full_memory(), services=frozenset(f"s{i}" for i in range(5000))))
    state._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with (tmp_path / "state.sqlite").open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 4096 * 30)
    state._connection.execute("PRAGMA shrink_memory")
    with pytest.raises(TemporaryError, match=r"is damaged .* the next pass moves it aside"):
        state.load()
    assert state.changed_elsewhere()
    assert state.notice is not None
    assert "broken-" in state.notice
    state.save(state.load(), full_memory())
    assert state.load() == full_memory()
    assert reloaded(tmp_path) == full_memory()


def test_a_bug_is_not_taken_for_trouble_outside(state: State) -> None:
    """A closed store is the caller's mistake."""
    state.close()
    state.close()
    with pytest.raises(sqlite3.ProgrammingError) as caught:
        state.load()
    assert not isinstance(caught.value, SidecarError)


# --- history ---------------------------------------------------------------------------------------------


def test_history_gives_the_last_events_oldest_first(tmp_path: Path, state: State) -> None:
    """Of one subject or of all, and any text comes back."""
    events = [event(NOW + i, subject) for i, subject in enumerate(["a.example", None, FILE, "a.example"])]
    events.append(event(NOW + 9, "a.example", reason="odd \udcff\x00 ü", detail="line\nline"))
    state.record(events[:2])
    state.record(iter(events[2:]))
    state.record([])
    assert state.history() == tuple(events)
    assert state.history(limit=2) == tuple(events[-2:])
    assert state.history("a.example", limit=2) == (events[3], events[4])
    assert state.history("b.example") == ()


@pytest.mark.integration
def test_history_is_bounded_in_number_and_age(state: State) -> None:
    """50,000 events, 400 days."""
    state.record(event(NOW + i) for i in range(50_010))
    assert state._connection.execute("SELECT count(*), min(at) FROM history").fetchone() == (50_000, NOW + 10)
    state.record([event(NOW + 50_000 + 400 * DAY_S)])
    assert state.history(limit=100_000)[0].at == NOW + 50_000


# --- policy ids that a command read ----------------------------------------------------------------------


def test_ids_that_a_command_read_change_nothing_else(state: State, tmp_path: Path) -> None:
    """What a pass of another process stored meanwhile stays; a policy not known yet is known by its id alone."""
    state.save(state.load(), full_memory())
    command = other(tmp_path)
    command.note_ids({"example.org": PolicyId("two", "9"), "new.example": PolicyId("one", "1")})
    command.close()
    assert state.changed_elsewhere()
    before, after = full_memory(), state.load()
    known = replace(before.policies["example.org"], id_text="two", id="9")
    assert after.policies == {
        **before.policies,
        "example.org": known,
        "new.example": PolicyMemory(id_text="one", id="1"),
    }


def test_no_ids_write_nothing(state: State, tmp_path: Path) -> None:
    """Not even an empty transaction that another process would look at."""
    state.load()
    command = other(tmp_path)
    command.note_ids({})
    command.close()
    assert not state.changed_elsewhere()
