"""The memory during a pass, and what of it is in the store at which moment."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.host.elapsed import Tally, UptimeReading
from sidecar.host.errors import PermanentError
from sidecar.observed import FILE, ConfEntry, ConfEvent, PolicyMemory, Restart, Span, Write
from sidecar.observed.history import HistoryEvent
from sidecar.plan.ownership import last_written
from sidecar.state.kept import DAY_S, MOST_WRITES
from sidecar.state.ledger import STORED_EVERY_S, Ledger, entries, intended, settled
from sidecar.state.store import State
from tests.worlds import NOW


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    """A fresh store."""
    found = State.open(tmp_path, NOW)
    yield found
    found.close()


async def test_intent_is_in_the_store_before_its_outcome(state: State) -> None:
    """What another process would load after a kill in between."""
    ledger = await Ledger.open(state)
    ledger.policy("a.example", lambda memory: intended(memory, "one", NOW))
    await ledger.store()
    assert state.load().policy("a.example").writes == (Write("one", NOW, None),)
    ledger.policy("a.example", lambda memory: settled(memory, "one", NOW + 1, 1.0, done=True))
    assert state.load().policy("a.example").writes == (Write("one", NOW, None),)
    await ledger.store()
    assert state.load().policy("a.example").writes == (Write("one", NOW + 1, True),)


async def test_store_writes_only_what_differs(tmp_path: Path, state: State) -> None:
    """A pass in which nothing happened writes nothing: another process sees no change."""
    ledger = await Ledger.open(state)
    other = State.open(tmp_path, NOW)
    other.load()
    await ledger.store()
    assert not other.changed_elsewhere()
    ledger.restarted(NOW, ("mta-sts.a.example",))
    await ledger.store()
    assert other.changed_elsewhere()
    other.load()
    await ledger.store()
    assert not other.changed_elsewhere()
    other.close()


async def test_time_alone_is_stored_now_and_then(tmp_path: Path, state: State) -> None:
    """Not in every pass; what comes to be stored meanwhile is stored with its time, and another process counts on."""
    ledger, other = await Ledger.open(state), State.open(tmp_path, NOW)
    other.load()
    stored: list[float] = []
    for minute in range(31):
        ledger.count(UptimeReading("boot", 60.0 * minute))
        await ledger.store()
        if other.changed_elsewhere():
            stored.append(other.load().counted)
    assert stored == [0.0, STORED_EVERY_S, 2 * STORED_EVERY_S, 3 * STORED_EVERY_S]
    ledger.count(UptimeReading("boot", 1_830.0))
    ledger.restarted(NOW, ())
    await ledger.store()
    assert other.load().counted == 1_830.0
    ledger.count(UptimeReading("boot", 1_900.0))
    await ledger.store()
    assert other.load().tally.until(UptimeReading("boot", 1_930.0)).seconds == 1_930.0
    other.close()


async def test_request_of_another_process_is_read_by_refresh(tmp_path: Path, state: State) -> None:
    """`adopt` writes it; the running sidecar's own memory stays otherwise."""
    ledger = await Ledger.open(state)
    ledger.restarted(NOW, ("mta-sts.a.example",))
    await ledger.store()
    other = State.open(tmp_path, NOW)
    other.request_adopt(["a.example"], NOW)
    other.close()
    assert ledger.memory.adopt == frozenset()
    await ledger.refresh()
    assert ledger.memory.adopt == {"a.example"}
    assert ledger.memory.restarts == (Restart(NOW, ("mta-sts.a.example",), judged=False),)
    ledger.fulfilled("a.example")
    await ledger.store()
    assert state.load().adopt == frozenset()


async def test_restart_that_was_refused_counts_for_nothing(state: State) -> None:
    """It is counted before it is done; with nothing done it is taken back, and those before it stay."""
    ledger = await Ledger.open(state)
    ledger.restarted(NOW, ("mta-sts.a.example",))
    ledger.restarted(NOW + 1, ("mta-sts.b.example",))
    await ledger.store()
    ledger.not_restarted()
    await ledger.store()
    assert state.load().restarts == (Restart(NOW, ("mta-sts.a.example",), judged=False),)


async def test_refresh_without_a_change_keeps_unstored_changes(state: State) -> None:
    """It is no reset."""
    ledger = await Ledger.open(state)
    await ledger.refresh()
    ledger.restarted(NOW, ())
    memory = ledger.memory
    await ledger.refresh()
    assert ledger.memory is memory


async def test_memory_is_as_bounded_as_what_is_stored(state: State) -> None:
    """What is over the bounds goes from the process as well: a save and a load bring the same."""
    ledger = await Ledger.open(state)
    ledger.memory = replace(
        ledger.memory,
        policies={
            "a.example": PolicyMemory(
                tuple(Write(str(i), float(i), True) for i in range(60)),
                tuple(Span(str(i), float(i), i + 1.0) for i in range(60)),
            )
        },
        conf=tuple(ConfEntry("ADDITIONAL_SAN", f"e{i}", ConfEvent.REMOVED, float(i)) for i in range(300)),
        restarts=tuple(Restart(i * DAY_S, ("mta-sts.a.example",)) for i in range(100)),
    )
    await ledger.store()
    assert state.load() == ledger.memory
    policy = ledger.memory.policy("a.example")
    assert [write.at for write in policy.writes] == [float(i) for i in range(40, 60)]
    assert [span.since for span in policy.spans] == [0.0, *(float(i) for i in range(12, 60))]
    assert [entry.at for entry in ledger.memory.conf] == [float(i) for i in range(100, 300)]
    assert [restart.at for restart in ledger.memory.restarts] == [i * DAY_S for i in range(50, 100)]


async def test_memory_is_bounded_while_the_store_cannot_be_written(state: State) -> None:
    """A disk that is full for weeks does not let the process grow."""
    ledger = await Ledger.open(state)
    state._connection.execute("PRAGMA query_only = 1")
    for i in range(3):
        ledger.conf(ConfEntry("ADDITIONAL_SAN", f"{i} {n}", ConfEvent.REMOVED, NOW) for n in range(150))
        with pytest.raises(PermanentError):
            await ledger.store()
        assert len(ledger.memory.conf) <= 200
    state._connection.execute("PRAGMA query_only = 0")
    await ledger.store()
    assert state.load() == ledger.memory


async def test_policy_that_no_sender_can_hold_any_more_is_forgotten(state: State) -> None:
    """400 counted days after the last of it was served; one that is served now stays, and so does the one file."""
    ended = (Span("old", 0.0, 1.0, begun=1.0, ended=2.0),)
    old, now = PolicyMemory(spans=ended), PolicyMemory(spans=(*ended, Span(None, 1.0, None, begun=2.0)))
    policies = {"old.example": old, "now.example": now, FILE: old, "unseen.example": PolicyMemory(floor="f")}
    before = state.load()
    almost = replace(before, policies=policies, tally=Tally(400.0 * DAY_S + 1))
    state.save(before, almost)
    assert (await Ledger.open(state)).memory.policies == policies
    state.save(almost, replace(almost, tally=Tally(400.0 * DAY_S + 2)))
    ledger = await Ledger.open(state)
    assert ledger.memory.policies.keys() == policies.keys() - {"old.example"}
    await ledger.store()
    assert state.load().policies == ledger.memory.policies


async def test_one_policy_changes_and_the_others_stay(state: State) -> None:
    """Each by its own key."""
    ledger = await Ledger.open(state)
    ledger.policies(["a", "b"], lambda key, memory: intended(memory, key, NOW))
    ledger.policy("a", lambda memory: settled(memory, "a", NOW, 1.0, done=True))
    assert {key: memory.writes for key, memory in ledger.memory.policies.items()} == {
        "a": (Write("a", NOW, True),),
        "b": (Write("b", NOW, None),),
    }


async def test_fulfilled_request_is_removed_and_no_other(state: State) -> None:
    """A key that nobody requested is not a mistake."""
    state.request_adopt(["a", "b"], NOW)
    ledger = await Ledger.open(state)
    ledger.fulfilled("c")
    ledger.fulfilled("a")
    assert ledger.memory.adopt == {"b"}


async def test_entries_and_history_are_kept_in_their_order(state: State) -> None:
    """What was meant, and what was done."""
    ledger = await Ledger.open(state)
    ledger.conf(entries("ADDITIONAL_SAN", ["x", "y"], ConfEvent.INTENDED, NOW))
    ledger.conf(entries("ADDITIONAL_SAN", ["y"], ConfEvent.ADDED, NOW + 1))
    await ledger.store()
    assert state.load().conf == (
        ConfEntry("ADDITIONAL_SAN", "x", ConfEvent.INTENDED, NOW),
        ConfEntry("ADDITIONAL_SAN", "y", ConfEvent.INTENDED, NOW),
        ConfEntry("ADDITIONAL_SAN", "y", ConfEvent.ADDED, NOW + 1),
    )
    events = tuple(HistoryEvent(NOW + n, "a.example", "add policy", "why", "done", None) for n in range(2))
    await ledger.record(events)
    assert state.history() == events


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ((), (Write("t", NOW, None),), "the first"),
        ((Write("t", 1, None),), (Write("t", NOW, None),), "meant again: still one intent"),
        ((Write("t", 1, True),), (Write("t", 1, True), Write("t", NOW, None)), "done before, meant again"),
        ((Write("u", 1, None),), (Write("u", 1, None), Write("t", NOW, None)), "another intent stays"),
    ],
)
def test_intent_is_remembered_once(before: tuple[Write, ...], after: tuple[Write, ...], why: str) -> None:
    """Beside everything that was done."""
    assert intended(PolicyMemory(before), "t", NOW).writes == after, why


@pytest.mark.parametrize(
    ("before", "done", "after", "why"),
    [
        ((Write("t", 1, None),), True, (Write("t", NOW, True),), "done"),
        ((Write("t", 1, None),), False, (), "refused: as if it had not been meant"),
        ((Write("u", 1, True), Write("t", 2, None)), False, (Write("u", 1, True),), "the write before stays"),
        ((), True, (Write("t", NOW, True),), "adopted: done without an intent"),
        ((Write("u", 1, None),), True, (Write("u", 1, None), Write("t", NOW, True)), "of this text alone"),
    ],
)
def test_outcome_takes_the_place_of_the_intent(
    before: tuple[Write, ...], done: bool, after: tuple[Write, ...], why: str
) -> None:
    """One write, whatever came of it."""
    assert settled(PolicyMemory(before), "t", NOW, 1.0, done=done).writes == after, why


@given(
    st.lists(st.tuples(st.sampled_from(["a", "b", None]), st.sampled_from([True, False, None])), max_size=80)
)
def test_memory_stays_small_and_never_loses_the_last_write(
    steps: list[tuple[str | None, bool | None]],
) -> None:
    """Also when many intents come after it."""
    memory, done, last = PolicyMemory(), [], None
    for n, (text, outcome) in enumerate(steps):
        memory = intended(memory, text, n)
        last = text
        if outcome is not None:
            memory = settled(memory, text, n, n, done=outcome)
        if outcome:
            done.append(text)
        assert len(memory.writes) <= MOST_WRITES + 1
        kept = [write.text for write in memory.writes if write.done]
        assert kept[-1:] == done[-1:]
        if outcome is not False:
            found = last_written(memory)
            assert found is not None
            assert found.text == last
