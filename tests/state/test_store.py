"""The state store: what is saved comes back, others are heard, and a lost or broken file is no trouble."""

import os
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sidecar.host.elapsed import Reading, Tally
from sidecar.host.errors import PermanentError, SidecarError, TemporaryError
from sidecar.observed import (
    FILE,
    AliasDomain,
    ConfEntry,
    ConfEvent,
    Domain,
    DomainList,
    Doubt,
    Fact,
    FactKind,
    Memory,
    PolicyId,
    PolicyMemory,
    Restart,
    Span,
    Write,
)
from sidecar.plan.ownership import held_by_senders_for, held_for, longest_max_age, whose
from sidecar.state.kept import DAY_S, kept_conf, kept_restarts, kept_spans, kept_writes
from sidecar.state.rows import APPLICATION_ID, STEPS
from sidecar.state.store import Event, State

NOW = 1_700_000_000.0
KEY = "ADDITIONAL_SAN"

# Any text can come from outside: bytes that are no UTF-8 are kept as lone surrogates.
texts = st.text(st.characters(exclude_categories=()), max_size=12)
names = st.sampled_from(["example.org", "xn--bcher-kva.example", FILE]) | texts
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
    restarts=st.lists(st.builds(Restart, times, st.lists(names, max_size=3).map(tuple)), max_size=3).map(
        tuple
    ),
    since=st.dictionaries(st.builds(Fact, st.sampled_from(FactKind), names), times, max_size=4),
    services=st.frozensets(texts, max_size=3),
    born=times,
    tally=st.builds(Tally, times, st.none() | st.builds(Reading, texts, times)),
)


def full_memory() -> Memory:
    """One of everything."""
    return Memory(
        policies={
            "example.org": PolicyMemory(
                (Write("one", 1.0, True), Write(None, 2.0, None)),
                (Span(None, 0.5, 1.0, begun=7.0, ended=8.0), Span("one", 1.0, None, begun=8.0)),
                id_text="one",
                id="20261124090000",
            ),
            FILE: PolicyMemory(floor="theirs", refused="switched off by a person"),
        },
        believed=DomainList(
            (Domain("example.org", True, False),), (AliasDomain("a.example", "example.org", True),)
        ),
        doubt=Doubt("f", 2, 3.0),
        newcomers=frozenset({"new.example"}),
        adopt=frozenset({"example.org"}),
        conf=(ConfEntry(KEY, "mta-sts.*", ConfEvent.ADDED, 4.0),),
        restarts=(Restart(5.0, ("mta-sts.example.org",)),),
        since={Fact(FactKind.MISSING, "mta-sts.example.org"): 6.0},
        services=frozenset({"acme-mailcow"}),
        born=NOW,
        tally=Tally(9.0, Reading("this boot", 10.0)),
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


def event(at: float = NOW, subject: str | None = "example.org", **fields: str) -> Event:
    """An event with sane defaults."""
    what = {"what": "policy.added", "reason": "wanted", "outcome": "done"} | fields
    return Event(at, subject, what["what"], what["reason"], what["outcome"], what.get("detail"))


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
    code += (
        "s = State.open(Path(sys.argv[1]), 1.0); s.wish_adopt([sys.argv[2]], 1.0); print(s.notice); s.close()"
    )
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


def test_waits_of_an_older_file_begin_anew(tmp_path: Path) -> None:
    """Its times are those of a clock that may have been wrong: an end may even be before its beginning."""
    enforce = policy_text("enforce", 604_800)
    with closing(sqlite3.connect(tmp_path / "state.sqlite", isolation_level=None)) as old:
        for statement in ";".join(STEPS[:2]).split(";"):
            old.execute(statement)
        old.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        old.execute("PRAGMA user_version = 2")
        old.execute("INSERT INTO policy (key) VALUES ('a.example')")
        old.execute("INSERT INTO policy_span VALUES ('a.example', 0, NULL, 1, 2)")
        old.execute(
            "INSERT INTO policy_span VALUES ('a.example', 1, ?, ?, ?)", (enforce, NOW, NOW - 365 * DAY_S)
        )
        old.execute("INSERT INTO policy_span VALUES ('a.example', 2, NULL, ?, NULL)", (NOW - 365 * DAY_S,))
        old.execute("INSERT INTO fact VALUES ('mx pattern that no MX matches', 'a', 1)")
        old.execute("INSERT INTO doubt VALUES ('f', 3, 1)")
    opened = State.open(tmp_path, NOW)
    memory = opened.load()
    opened.close()
    assert opened.notice is None
    assert [span.since for span in memory.policy("a.example").spans] == [1.0, NOW, NOW - 365 * DAY_S]
    assert held_for(memory, "a.example", 0) == 604_800
    assert memory.true_for(Fact(FactKind.UNMATCHED, "a")) == 0
    assert memory.doubt == Doubt("f", 3, 0.0)
    later = replace(memory, tally=Tally(604_800.0))
    assert held_for(later, "a.example", 0) == 0


def test_nothing_is_written_when_nothing_differs(tmp_path: Path, state: State) -> None:
    """An equal memory made anew counts as the same: another process sees no change."""
    state.save(state.load(), full_memory())
    reader = other(tmp_path)
    reader.load()
    state.save(full_memory(), full_memory())
    assert not reader.changed_elsewhere()
    reader.close()


def test_a_thousand_unchanged_policies_cost_nothing(state: State) -> None:
    """One policy of 1,000 changed touches that one; none changed takes less than a millisecond."""
    spans = (Span("one", 1.0, None),)
    many = Memory(policies={f"d{i}.example": PolicyMemory(spans=spans) for i in range(1000)})
    state.save(Memory(), many)
    same = replace(many, policies=dict(many.policies))
    took = min(_seconds(lambda: state.save(many, same)) for _ in range(20))
    assert took < 0.001
    before = state._connection.total_changes
    state.save(many, replace(many, policies={**many.policies, "d7.example": PolicyMemory(refused="no")}))
    assert state._connection.total_changes - before == 3  # policy and span out, policy in


def _seconds(call: Callable[[], None]) -> float:
    begun = time.process_time()
    call()
    return time.process_time() - begun


def test_equal_texts_are_held_once(tmp_path: Path, state: State) -> None:
    """A thousand domains with one text cost one text of memory."""
    spans = (Span("version: STSv1", 1.0, None),)
    state.save(
        state.load(), Memory(policies={n: PolicyMemory(spans=spans) for n in ("a.example", "b.example")})
    )
    loaded = state.load()
    assert loaded.policy("a.example").spans[0].text is loaded.policy("b.example").spans[0].text


# --- other processes -------------------------------------------------------------------------------------


def test_a_wish_made_between_load_and_save_is_not_lost(tmp_path: Path, state: State) -> None:
    """Neither by a save that knows nothing of it, nor by one that fulfils another; and it is heard of."""
    state.wish_adopt(["a.example"], NOW)
    before = state.load()
    adopting = other(tmp_path)
    adopting.wish_adopt(["b.example", FILE], NOW)
    adopting.wish_adopt(["b.example"], NOW + 1)
    state.save(before, replace(before, adopt=frozenset(), services=frozenset({"acme-mailcow"})))
    assert state.changed_elsewhere()
    assert state.load().adopt == {"b.example", FILE}
    assert not state.changed_elsewhere()
    adopting.close()


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
        "from sidecar.state.store import State; import sidecar.state.rows as rows; "
        "s = State.open(Path(sys.argv[1]), 1.0); m = s.load(); c = s._connection; "
        "c.execute('BEGIN IMMEDIATE'); rows.write(c, m, Memory()); "
        "print(c.execute('SELECT count(*) FROM policy').fetchone()[0], flush=True); os.kill(os.getpid(), 9)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout.strip()) == (-9, "0"), ended.stderr
    assert reloaded(tmp_path) == full_memory()
    state.save(full_memory(), Memory(born=NOW))
    assert reloaded(tmp_path) == Memory(born=NOW)


def test_a_save_is_not_seen_before_it_is_whole(tmp_path: Path, state: State) -> None:
    """A second connection sees the state before, or the state after."""
    state.save(state.load(), full_memory())
    state._connection.execute("BEGIN IMMEDIATE")
    state._connection.execute("DELETE FROM policy")
    assert reloaded(tmp_path) == full_memory()
    state._connection.execute("ROLLBACK")


def test_a_save_that_fails_half_way_is_undone(tmp_path: Path, state: State) -> None:
    """And the store can be used afterwards."""
    state.save(state.load(), full_memory())
    odd = replace(full_memory(), policies={}, born=NOW, doubt=Doubt("f", 2**70, 1.0))
    with pytest.raises(OverflowError):
        state.save(full_memory(), odd)
    assert reloaded(tmp_path) == full_memory()
    state.save(full_memory(), Memory(born=NOW))
    assert state.load() == Memory(born=NOW)


# --- trouble ---------------------------------------------------------------------------------------------


def test_a_full_disk_is_temporary_and_undone(tmp_path: Path, state: State) -> None:
    """SQLite's own limit stands for the disk's."""
    state.save(state.load(), full_memory())
    (pages,) = state._connection.execute("PRAGMA page_count").fetchone()
    state._connection.execute(f"PRAGMA max_page_count = {pages}")
    large = replace(
        full_memory(), policies={f"d{i}.example": PolicyMemory(floor="x" * 9000) for i in range(50)}
    )
    with pytest.raises(
        TemporaryError, match=r"writing the state failed: .* full'; look for space on the disk of"
    ):
        state.save(full_memory(), large)
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
    (_changed("DROP TABLE fact"), "other tables", "a table that somebody dropped"),
    (_changed("UPDATE conf_entry SET event = 'odd'"), "never writes", "a word of a release that never was"),
    (_changed("UPDATE meta SET value = 'odd' WHERE key = 'born'"), "never writes", "a time that is none"),
    (_folder, "is no file", "a folder in its place"),
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


def test_a_file_taken_away_in_use_is_begun_anew_at_the_next_look(tmp_path: Path, state: State) -> None:
    """Both the running process and the next one then use the same new file."""
    state.save(state.load(), full_memory())
    for path in tmp_path.iterdir():
        path.unlink()
    assert state.changed_elsewhere()
    assert state.notice is not None
    assert "taken away" in state.notice
    assert state.load().policies == {}
    state.save(state.load(), full_memory())
    assert reloaded(tmp_path) == full_memory()
    assert not state.changed_elsewhere()


def test_a_file_that_breaks_in_use_is_begun_anew_at_the_next_look(tmp_path: Path, state: State) -> None:
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


def test_history_is_bounded_in_number_and_age(state: State) -> None:
    """50,000 events, 400 days."""
    state.record(event(NOW + i) for i in range(50_010))
    assert state._connection.execute("SELECT count(*), min(at) FROM history").fetchone() == (50_000, NOW + 10)
    state.record([event(NOW + 50_000 + 400 * DAY_S)])
    assert state.history(limit=100_000)[0].at == NOW + 50_000


# --- how much is kept ------------------------------------------------------------------------------------


def policy_text(mode: str, max_age: int, mx: str = "mx.example.org") -> str:
    """The text of a policy."""
    return f"version: STSv1\nmode: {mode}\nmax_age: {max_age}\nmx: {mx}\n"


def test_saved_is_what_is_kept(tmp_path: Path, state: State) -> None:
    """The bounds are those of the store: a memory over them comes back cut."""
    memory = Memory(
        policies={
            "a.example": PolicyMemory(
                tuple(Write(str(i), float(i), True) for i in range(60)),
                tuple(Span(str(i), float(i), i + 1.0) for i in range(60)),
            )
        },
        conf=tuple(ConfEntry(KEY, f"e{i}", ConfEvent.REMOVED, float(i)) for i in range(300)),
        restarts=tuple(Restart(i * DAY_S, ("mta-sts.a.example",)) for i in range(100)),
    )
    state.save(state.load(), memory)
    loaded = state.load()
    assert [write.at for write in loaded.policy("a.example").writes] == [float(i) for i in range(40, 60)]
    assert [span.since for span in loaded.policy("a.example").spans] == [
        0.0,
        *(float(i) for i in range(12, 60)),
    ]
    assert [entry.at for entry in loaded.conf] == [float(i) for i in range(100, 300)]
    assert [restart.at for restart in loaded.restarts] == [i * DAY_S for i in range(50, 100)]


def test_the_last_write_that_was_done_is_kept() -> None:
    """However many were meant since: it says what of the served texts is ours."""
    ours = Write("ours", 0.0, True)
    writes = (Write("older", 0.0, True), ours, *(Write(str(i), float(i), None) for i in range(30)))
    kept = kept_writes(writes)
    assert kept == (ours, *writes[-20:])
    assert whose("ours", PolicyMemory(kept)) is whose("ours", PolicyMemory(writes))


def test_spans_that_no_sender_can_go_by_are_dropped() -> None:
    """400 days after they ended, counted to the newest; one without an end stays."""
    old = Span("old", 0.0, 1.0, ended=NOW - 400 * DAY_S)
    young = Span("young", 0.0, 1.0, ended=NOW - 399 * DAY_S)
    now = Span("now", 1.0, None, begun=NOW)
    assert kept_spans((old, young, now)) == (young, now)
    assert kept_spans((now,)) == (now,)
    jumped = (Span("old", 0.0, 1.0, ended=5.0), Span("now", NOW, None, begun=5.0))
    assert kept_spans(jumped) == jumped, "the clock went ahead, and no time passed"
    assert kept_spans(()) == ()


served = (
    st.builds(
        policy_text,
        st.sampled_from(["enforce", "testing"]),
        st.sampled_from([0, 86_400, 604_800, 31_557_600]),
    )
    | st.none()
)


@pytest.mark.integration
@settings(deadline=None)
@given(st.lists(st.tuples(served, st.integers(1, 3 * DAY_S)), min_size=45, max_size=120))
def test_cutting_spans_never_shortens_what_senders_may_hold(history: list[tuple[str | None, int]]) -> None:
    """However often a policy changed: 50 at most, and neither the end nor the longest max_age get smaller."""
    at = NOW
    spans = []
    for text, seconds in history:
        spans.append(Span(text, at, at + seconds, begun=at, ended=at + seconds))
        at += seconds
    spans[-1] = replace(spans[-1], until=None)
    whole, cut = PolicyMemory(spans=tuple(spans)), PolicyMemory(spans=kept_spans(tuple(spans)))
    assert len(cut.spans) <= 50
    assert held_by_senders_for(cut, at, 604_800) >= held_by_senders_for(whole, at, 604_800)
    assert longest_max_age(cut, 0) >= longest_max_age(whole, 0)


def test_of_an_entry_that_is_ours_or_refused_the_telling_events_are_kept() -> None:
    """However much happened to other entries since; what the sidecar took out itself is forgotten."""
    ours = [ConfEntry(KEY, f"own{i}", ConfEvent.ADDED, float(i)) for i in range(3)]
    gone = [ConfEntry(KEY, "gone", ConfEvent.ADDED, 4.0), ConfEntry(KEY, "gone", ConfEvent.REMOVED, 5.0)]
    refused = [
        ConfEntry(KEY, "Refused", ConfEvent.ADDED, 6.0),
        ConfEntry(KEY, "refused", ConfEvent.TAKEN_OUT, 7.0),
        ConfEntry(KEY, "refused", ConfEvent.ADDED, 8.0),
        ConfEntry(KEY, "refused", ConfEvent.TAKEN_OUT, 9.0),
    ]
    noise = [ConfEntry(KEY, f"n{i}", ConfEvent.REMOVED, 10.0 + i) for i in range(200)]
    assert kept_conf((*ours, *gone, *refused, *noise)) == (*ours, refused[1], refused[3], *noise)


def test_restarts_of_a_month_are_kept_and_never_fewer_than_fifty() -> None:
    """A clock that was far ahead once does not reset the budget."""
    month = tuple(Restart(NOW + i * DAY_S / 6, ()) for i in range(300))
    assert kept_restarts(month) == month[-180:]
    ahead = Restart(NOW + 9000 * DAY_S, ())
    assert kept_restarts((*month, ahead)) == (*month[-49:], ahead)


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
