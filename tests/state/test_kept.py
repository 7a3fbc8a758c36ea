"""How much of the memory is kept, and that no decision changes by what is not."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.observed import ConfEntry, ConfEvent, PolicyMemory, Restart, Span, Write
from sidecar.plan.ownership import held_by_senders_for, longest_max_age, whose
from sidecar.state.kept import DAY_S, kept_conf, kept_restarts, kept_spans, kept_writes
from tests.state.sample import KEY, NOW


def policy_text(mode: str, max_age: int, mx: str = "mx.example.org") -> str:
    """The text of a policy."""
    return f"version: STSv1\nmode: {mode}\nmax_age: {max_age}\nmx: {mx}\n"


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


def test_of_an_entry_that_is_ours_or_refused_the_deciding_events_are_kept() -> None:
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


def test_only_the_last_restart_keeps_the_names_before_it() -> None:
    """The others are judged, or never will be."""
    names = ("mail.example",)
    restarts = tuple(Restart(NOW + n, (), names, judged=False) for n in range(3))
    assert [restart.before for restart in kept_restarts(restarts)] == [(), (), names]
    assert kept_restarts(restarts[2:]) == restarts[2:]
