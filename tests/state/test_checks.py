"""What checks found and what was wished of the roll-out outlives the process."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sidecar.observed import FILE, Announced, CheckRecord, Memory, Move
from sidecar.observed.checks import Condition, ConditionType, Rollout, Status
from sidecar.observed.findings import Finding, Severity
from sidecar.state.store import State

NOW = 1_800_000_000.0
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
keys = st.sampled_from(["a.example", "b.example", FILE])
times = st.floats(0, 4e9)
rollouts = st.builds(
    Rollout,
    conditions=st.lists(
        st.builds(Condition, st.sampled_from(ConditionType), st.sampled_from(Status), words, words, times),
        max_size=3,
    ).map(tuple),
    soaked=times,
    checked_at=times,
    good_at=st.none() | times,
    refusals=st.integers(0, 9),
    stepped_back_at=st.none() | times,
)
findings = st.builds(Finding, words, st.sampled_from(Severity), words, words, st.none() | words, words)
memories = st.builds(
    Memory,
    rollouts=st.dictionaries(keys, rollouts, max_size=3),
    checks=st.dictionaries(
        keys, st.builds(CheckRecord, times, st.lists(findings, max_size=3).map(tuple)), max_size=3
    ),
    announced=st.dictionaries(
        keys,
        st.lists(st.builds(Announced, words, words, times), min_size=1, max_size=3).map(tuple),
        max_size=3,
    ),
    retired=st.frozensets(keys),
)


@pytest.fixture
def opened(tmp_path: Path) -> Callable[[], State]:
    """Opens a state store of its own each time."""
    count = iter(range(100_000))
    return lambda: State.open(tmp_path / str(next(count)), NOW)


@pytest.mark.integration
@given(st.lists(memories, min_size=1, max_size=4))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_saved_is_what_is_loaded(opened: Callable[[], State], saved: list[Memory]) -> None:
    """After any sequence of saves, the last one."""
    state = opened()
    try:
        before = state.load()
        for memory in saved:
            after = replace(memory, born=before.born)
            state.save(before, after)
            before = after
        assert state.load() == before
    finally:
        state.close()


def test_wishes_of_another_process_are_not_lost(opened: Callable[[], State]) -> None:
    """`retire` and `move-mx` need no pass lock."""
    state = opened()
    before = state.load()
    state.wish_retired(["a.example"])
    state.wish_moves([Move("a.example", "new.example", NOW), Move(FILE, "new.example", NOW)])
    state.wish_moves([Move("a.example", "new.example", NOW + 9)])
    state.save(before, replace(before, adopt=frozenset({"b.example"})))
    after = state.load()
    assert after.retired == frozenset({"a.example"})
    assert after.adopt == frozenset({"b.example"})
    assert after.moves == (Move(FILE, "new.example", NOW), Move("a.example", "new.example", NOW))
    state.wish_not_retired(["a.example"])
    assert state.load().retired == frozenset()
    state.close()
