"""Waiting events become one message with what is left to tell, in time, again after failures, and never too late."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.notify.digest import (
    KEPT_S,
    MOST_EVENTS,
    MOST_LINES,
    RETRY_S,
    Tries,
    as_json,
    digest_of,
    due_at,
    gathered,
    trial_digest,
)
from sidecar.notify.events import Notification
from sidecar.observed.words import command
from sidecar.settings import NotificationKind
from tests.notify.views import event
from tests.worlds import HOST, NOW

ERROR, RECOVERY, STAGE = NotificationKind.ERROR, NotificationKind.RECOVERY, NotificationKind.STAGE


# --- when ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("waiting", "tries", "due"),
    [
        ([], Tries(), None),
        ([event(at=5)], Tries(), NOW + 65),
        ([event(at=50), event(at=5), event(at=60)], Tries(), NOW + 65),  # the others do not delay the first
        ([event(at=5)], Tries(1, NOW + 300), NOW + 300),
        ([event(at=5)], Tries(1, NOW), NOW + 65),
    ],
)
def test_message_is_sent_when_the_oldest_has_waited(
    waiting: list[Notification], tries: Tries, due: float | None
) -> None:
    """And not before the wait after a failure is over."""
    assert due_at(waiting, 60, tries) == due


def test_waits_after_failures_grow_and_end_growing() -> None:
    """Within the three days there are many tries."""
    tries, now, waits = Tries(), NOW, []
    while now - NOW < KEPT_S:
        tries = tries.failed(now)
        waits.append(tries.not_before - now)
        now = tries.not_before
    assert waits[: len(RETRY_S)] == list(RETRY_S)
    assert waits == sorted(waits)
    assert len(waits) > 20


# --- what ------------------------------------------------------------------------------------------------


def stage(was: str, now: str, at: float = 0) -> Notification:
    """A change of stage."""
    return event(STAGE, at=at, was=was, now=now, message="")


@pytest.mark.parametrize(
    ("kinds", "left"),
    [
        ([ERROR], [ERROR]),
        ([ERROR, RECOVERY], []),
        ([ERROR, RECOVERY, ERROR], [ERROR]),
        ([RECOVERY, ERROR], []),  # people think it is there, and it is
        ([RECOVERY, ERROR, RECOVERY], [RECOVERY]),
    ],
)
def test_only_the_result_of_an_error_is_sent(
    kinds: list[NotificationKind], left: list[NotificationKind]
) -> None:
    """Compared with what was sent before."""
    waiting = [event(kind, at=n) for n, kind in enumerate(kinds)]
    assert [one.kind for one in gathered(waiting)] == left


@pytest.mark.parametrize(("ago", "left"), [(3_600, []), (86_399, []), (86_400, [ERROR])])
def test_error_that_came_back_before_its_end_was_sent_is_quiet_for_a_day(
    ago: float, left: list[NotificationKind]
) -> None:
    """People who heard of it long ago hear of it again; and then also of its end."""
    over, again = replace(event(RECOVERY, at=9), said_at=NOW + 10 - ago), event(at=10)
    assert [one.kind for one in gathered([over, again])] == left
    end = event(RECOVERY, at=20)
    assert gathered([over, again, end]) == (end,)


def test_error_that_came_back_worse_is_known_to_people() -> None:
    """So its end is sent."""
    over, worse, end = event(RECOVERY, at=1), event(at=2, critical=True), event(RECOVERY, at=3)
    assert [one.critical for one in gathered([over, worse])] == [True]
    assert gathered([over, worse, end]) == (end,)


def test_end_of_an_error_that_was_sent_and_got_worse_is_sent() -> None:
    """People know the first one; an error that got worse before it was sent is new to them."""
    worse = event(critical=True, was="error", at=1)
    over = event(RECOVERY, at=2)
    assert gathered([worse, over]) == (over,)
    assert gathered([event(), worse, over]) == ()
    (gathered_one,) = gathered([event(), worse])
    assert (gathered_one.critical, gathered_one.was) == (True, "")


@pytest.mark.parametrize(
    ("moves", "left"),
    [
        ([("soaking", "ready")], [("soaking", "ready")]),
        ([("soaking", "ready"), ("ready", "enforced")], [("soaking", "enforced")]),
        ([("soaking", "blocked"), ("blocked", "soaking")], []),
        ([("soaking", "blocked"), ("blocked", "soaking"), ("soaking", "ready")], [("soaking", "ready")]),
    ],
)
def test_steps_between_stages_become_one(moves: list[tuple[str, str]], left: list[tuple[str, str]]) -> None:
    """From where people know it to be to where it is."""
    found = gathered([stage(was, now, n) for n, (was, now) in enumerate(moves)])
    assert [(one.was, one.now) for one in found] == left


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=20))
def test_gathering_at_once_or_step_by_step_is_the_same(names: list[tuple[str, bool]]) -> None:
    """For errors that come and go in turns, as `news` makes them."""
    away = dict.fromkeys("abc", True)
    events: list[Notification] = []
    for n, (name, _) in enumerate(names):
        events.append(event(ERROR if away[name] else RECOVERY, name, n))
        away[name] = not away[name]
    cut = len(events) // 2
    assert gathered([*gathered(events[:cut]), *events[cut:]]) == gathered(events)
    assert {one.subject for one in gathered(events)} == {name for name, gone in away.items() if not gone}


def test_message_begins_with_the_worst() -> None:
    """Counts in the title, a line for each event, and below an error what to do."""
    digest = digest_of(
        [
            event(RECOVERY, "c.example", message="was bad"),
            stage("soaking", "ready"),
            event(subject="b.example", message="the record of b.example is wrong", todo="publish it"),
            event(subject="xn--bcher-kva.example", message="senders refuse", critical=True),
            event(subject="*", message="it is not ours"),
        ],
        HOST,
        NOW,
    )
    assert digest.title == "MTA-STS on mail.example.org: 3 errors, 1 change of stage, 1 recovery"
    assert digest.text.splitlines() == [
        "[critical] bücher.example: senders refuse",
        "[error] the policy file: it is not ours",
        "[error] the record of b.example is wrong",
        "    to do: publish it",
        "[stage] a.example: soaking -> ready",
        "[over] c.example: was bad",
    ]
    assert (digest.failing, digest.healing) == (True, False)


def test_same_message_about_many_domains_is_one_line() -> None:
    """Such as of an MX host that they share."""
    names = [f"d{n}.example" for n in range(10, 30)]
    digest = digest_of(
        [event(subject=name, message="mx.example has ended", todo="renew") for name in names], "", NOW
    )
    assert digest.title == "MTA-STS: 20 errors"
    assert digest.text.splitlines() == [
        "[error] d10.example, d11.example, d12.example, d13.example, d14.example and 15 more: mx.example has ended",
        "    to do: renew",
    ]


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("it has ended", "[error] a.example (mx.example): it has ended"),
        ("mx.example has ended", "[error] a.example: mx.example has ended"),
        ("mx.example of a.example has ended", "[error] mx.example of a.example has ended"),
    ],
)
def test_line_says_what_it_is_about(message: str, line: str) -> None:
    """The domain and the host, each once."""
    about = replace(event(message=message), about="mx.example")
    assert digest_of([about], HOST, NOW).text == line


def test_message_about_many_events_stays_short() -> None:
    """And says that there is more."""
    events = [event(subject=f"d{n}.example", message=f"bad {n}") for n in range(2 * MOST_EVENTS)]
    digest = digest_of(events, HOST, NOW)
    lines = digest.text.splitlines()
    assert len(lines) == MOST_LINES + 1
    assert lines[-1] == f"... and {2 * MOST_EVENTS - MOST_LINES} more; see: {command('status')}"
    body = as_json(digest)
    assert (len(body["events"]), body["more"]) == (MOST_EVENTS, MOST_EVENTS)


@pytest.mark.parametrize(
    ("kinds", "failing", "healing"),
    [
        ([RECOVERY], False, True),
        ([RECOVERY, STAGE], False, True),
        ([STAGE], False, False),
        ([RECOVERY, ERROR], True, False),
        ([], False, False),
    ],
)
def test_colour_of_a_message(kinds: list[NotificationKind], failing: bool, healing: bool) -> None:
    """One error makes it a bad one."""
    events = [event(kind, f"d{n}.example", was="a", now="b") for n, kind in enumerate(kinds)]
    digest = digest_of(events, HOST, NOW)
    assert (digest.failing, digest.healing) == (failing, healing)


def test_json_has_all_that_a_program_needs() -> None:
    """Times with their zone, an id by which a message that came twice is known."""
    digest = digest_of([event(todo="act", critical=True), stage("soaking", "ready")], HOST, NOW)
    body = json.loads(json.dumps(as_json(digest)))
    assert set(body) == {"version", "mailcow", "at", "title", "text", "events", "more"}
    assert body["text"].startswith(body["title"])
    assert body["at"] == "2027-01-15T08:00:00Z"
    error, move = body["events"]
    assert {key: error[key] for key in error if key != "id"} == {
        "kind": "error",
        "at": "2027-01-15T08:00:00Z",
        "subject": "a.example",
        "code": "code",
        "about": None,
        "critical": True,
        "severity": "critical",
        "message": "bad",
        "todo": "act",
        "stage": None,
        "stage_before": None,
    }
    assert (move["kind"], move["stage_before"], move["stage"]) == ("stage", "soaking", "ready")
    again = as_json(digest_of([event(todo="act", critical=True)], HOST, NOW + 60))["events"][0]["id"]
    assert again == error["id"] != move["id"]


def test_trial_says_that_nothing_happened() -> None:
    """With the name of the mailcow, where it is known."""
    assert trial_digest(HOST, NOW).title == "MTA-STS on mail.example.org: a test"
    assert trial_digest("", NOW).title == "MTA-STS: a test"
    assert as_json(trial_digest("", NOW))["events"] == []
