"""What people are told: each thing once, in one line, and many things as a number."""

import io
import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from sidecar.daemon.event_log import MOST_OF_A_KIND, REMEMBERED, Teller
from sidecar.formats.mtasts_policy import Mode
from sidecar.host import log
from sidecar.observed.notice import Level, Notice
from sidecar.observed.notice_codes import NoticeCode
from sidecar.observed.words import command
from sidecar.plan.actions import AddPolicy, EditConf, Held, RestartAcme, WriteFile
from sidecar.reconcile.apply import Outcome, Result
from sidecar.status.telling import QUIET_S, STEADY_S
from tests.worlds import NOW, policy


class Told:
    """A teller, and the events it has written."""

    def __init__(self) -> None:
        self.stream = io.StringIO()
        log.configure(json=True, stream=self.stream)
        self.time = NOW
        self.teller = Teller(lambda: self.time)

    def passes(self, *notices: Notice, after: float = 30.0) -> list[str]:
        """What a pass with these notices makes the log say, so many seconds after the one before."""
        self.time += after
        self.teller.notices(notices)
        return [event["event"] for event in self.new()]

    def new(self) -> list[dict[str, str]]:
        """The events since the last call, without their time."""
        lines = self.stream.getvalue().splitlines()
        self.stream.seek(0)
        self.stream.truncate()
        events = [json.loads(line) for line in lines]
        return [{key: value for key, value in event.items() if key != "time"} for event in events]


@pytest.fixture
def told() -> Iterator[Told]:
    """One for each test; the log of other tests is as it was before."""
    yield Told()
    log.configure(json=False, stream=io.StringIO())


def notice(
    number: int = 0, *, code: NoticeCode = NoticeCode.NAME_NOT_READY, level: Level = Level.WARNING
) -> Notice:
    """A notice; another number is another one."""
    return Notice(level, code, f"d{number}.example", f"trouble {number}", "mend it")


def test_notice_is_said_once_as_long_as_it_is_true(told: Told) -> None:
    """With its level, its code and what to do."""
    told.teller.notices([notice()])
    assert told.new() == [
        {"level": "warning", "event": "trouble 0", "code": "name.not_ready", "todo": "mend it"}
    ]
    told.teller.notices([notice()])
    told.teller.notices([notice(), notice()])
    assert told.new() == []


@pytest.mark.parametrize("level", list(Level))
def test_notice_has_its_level(told: Told, level: Level) -> None:
    """As the plan gave it."""
    told.teller.notices([notice(level=level)])
    assert [event["level"] for event in told.new()] == [level.value]


def test_notice_that_comes_back_is_not_said_again(told: Told) -> None:
    """An answer that fails every other time would fill the log."""
    for _ in range(5):
        told.teller.notices([notice()])
        told.teller.notices([])
    assert len(told.new()) == 1


def test_notice_that_comes_back_after_a_day_is_said_again(told: Told) -> None:
    """Not for ever is it known; within the day it is."""
    assert told.passes(notice()) == ["trouble 0"]
    for _ in range(287):
        assert told.passes(after=150) == []
        assert told.passes(notice(), after=150) == []
    assert told.passes(after=150) == []
    assert told.passes(notice(), after=150) == ["trouble 0"]
    assert told.passes(notice()) == []


def test_notice_that_stays_true_is_not_said_again_because_time_passed(told: Told) -> None:
    """For weeks."""
    told.passes(notice())
    assert [told.passes(notice(), after=3_600) for _ in range(24 * 21)] == [[]] * (24 * 21)


def test_end_is_said_once_what_was_wrong_has_been_away_for_a_while(told: Told) -> None:
    """In the words in which it was told last; what was only worth knowing has no end, and what happened neither."""
    passing = Notice(Level.WARNING, NoticeCode.STATE_RENEWED, "acme-mailcow", "mended", passing=True)
    told.passes(notice(), notice(1, level=Level.INFO), passing)
    assert told.passes() == []
    assert told.passes(after=STEADY_S[0] - 1) == []
    assert told.passes(after=1) == ["over: trouble 0"]
    assert told.passes(after=QUIET_S) == []


def test_other_words_for_the_same_are_no_end(told: Told) -> None:
    """The day of an end is another one every day."""
    told.passes(notice())
    other = replace(notice(), message="trouble 0, and one day less")
    assert told.passes(other) == [other.message]
    assert told.passes(other, after=STEADY_S[0]) == []
    told.passes()
    assert told.passes(after=STEADY_S[0]) == [f"over: {other.message}"]


def test_what_comes_back_after_its_end_was_said_is_said_again(told: Told) -> None:
    """Never is the last word that something is over while it is not; and a log that knows it well says little."""
    lines = [
        told.passes(*([notice()] if minutes % 30 < 15 else []), after=300) for minutes in range(0, 1_440, 5)
    ]
    assert [line for said in lines for line in said] == ["trouble 0", "over: trouble 0", "trouble 0"]


OUTAGE = Notice(Level.WARNING, NoticeCode.MAILCOW_API, "mailcow", "status 502")


def test_mailcow_answers_again_is_one_line_at_once(told: Told) -> None:
    """However many different troubles there were meanwhile."""
    told.passes(OUTAGE)
    told.passes(replace(OUTAGE, message="no connection"))
    told.passes(OUTAGE)
    assert told.passes() == ["mailcow reachable again"]
    assert told.passes() == []
    assert told.passes(OUTAGE, after=7_200) == ["status 502"]


def test_mailcow_that_answers_every_other_time_fills_no_log(told: Told) -> None:
    """After three times its failure is the last word until it answers for a while."""
    said = [line for n in range(40) for line in told.passes(*([OUTAGE] if n % 2 else []))]
    assert said == ["status 502", "mailcow reachable again"] * 3 + ["status 502"]


def test_second_outage_of_a_day_has_its_end_told_at_once_too(told: Told) -> None:
    """mailcow was restarted twice."""
    for _ in range(2):
        assert told.passes(OUTAGE, after=3_600) == ["status 502"]
        assert told.passes() == ["mailcow reachable again"]


def test_what_could_not_be_looked_for_is_not_over(told: Told) -> None:
    """Of a pass that saw nothing nothing is over; and what was true before that is no news after it."""
    told.passes(notice())
    for _ in range(30):
        told.time += 3_600
        told.teller.failed("no space left")
    assert [event["event"] for event in told.new()] == ["pass failed: no space left"]
    assert told.passes(notice()) == ["passes succeed again"]
    told.time += 30
    told.teller.notices([], lambda code, subject: (code, subject) == (notice().code, notice().subject))
    told.time += QUIET_S
    told.teller.notices([], lambda code, subject: (code, subject) == (notice().code, notice().subject))
    assert told.new() == []


def test_many_ends_become_a_number(told: Told) -> None:
    """A zone that is back is not a thousand lines."""
    told.passes(*(notice(number) for number in range(1_000)))
    told.passes()
    assert len(told.passes(after=STEADY_S[0])) == MOST_OF_A_KIND + 1


def test_notice_that_changed_is_said(told: Told) -> None:
    """Another text is another notice."""
    told.teller.notices([notice(1)])
    told.teller.notices([notice(2)])
    assert [event["event"] for event in told.new()] == ["trouble 1", "trouble 2"]


def test_what_is_remembered_of_old_notices_is_bounded(told: Told) -> None:
    """The oldest is forgotten, and so is said again; a process that runs for years does not grow."""
    for number in range(REMEMBERED + 2):
        told.passes(notice(number), after=0.1)
    told.passes(after=0.1)
    assert len(told.teller._things) <= REMEMBERED
    assert told.passes(notice(REMEMBERED), after=0.1) == []
    assert told.passes(notice(0), after=0.1) == ["trouble 0"]
    for day in range(200):
        told.passes(replace(notice(0), message=f"{day} days left"), after=QUIET_S)
    assert sum(len(thing.said) for thing in told.teller._things.values()) <= REMEMBERED + 2


def test_many_of_a_kind_become_a_number(told: Told) -> None:
    """A thousand domains without a record are not a thousand lines; another kind is told beside them."""
    many = [notice(number) for number in range(1_000)]
    told.teller.notices([*many, notice(7, code=NoticeCode.MX_UNCOVERED)])
    events = told.new()
    assert len(events) == MOST_OF_A_KIND + 2
    assert [event["event"] for event in events if event["code"] == "mx.uncovered"] == ["trouble 7"]
    assert events[-1]["event"] == f"{1_000 - MOST_OF_A_KIND} more notices with this code"
    told.teller.notices(many)
    assert told.new() == []


def test_just_as_many_as_fit_are_all_told(told: Told) -> None:
    """No line says that there are 0 more."""
    told.teller.notices([notice(number) for number in range(MOST_OF_A_KIND)])
    assert len(told.new()) == MOST_OF_A_KIND


ADD = AddPolicy("xn--bcher-kva.example", policy(Mode.TESTING), "the domain has no policy")


@pytest.mark.parametrize(
    ("outcome", "event"),
    [
        (
            Outcome(ADD, Result.DONE, NOW),
            {"level": "info", "event": "done: add policy", "domain": "bücher.example", "reason": ADD.reason},
        ),
        (
            Outcome(ADD, Result.FAILED, NOW, "time-out"),
            {
                "level": "warning",
                "event": "failed: add policy",
                "domain": "bücher.example",
                "detail": "time-out",
                "reason": ADD.reason,
            },
        ),
        (
            Outcome(EditConf({}, "why"), Result.REFUSED, NOW, "read-only"),
            {
                "level": "error",
                "event": "refused: edit settings",
                "on": "mailcow.conf",
                "detail": "read-only",
                "reason": "why",
            },
        ),
        (
            Outcome(RestartAcme("id", NOW, ("a",), "why"), Result.DONE, NOW),
            {"level": "info", "event": "done: restart", "on": "acme-mailcow", "reason": "why"},
        ),
    ],
)
def test_outcome_is_one_line_with_its_reason(told: Told, outcome: Outcome, event: dict[str, str]) -> None:
    """Done, failed for now, refused for good; people see U-labels."""
    told.teller.outcome(outcome)
    assert told.new() == [event]


def held(reason: str, *names: str, until: float | None = None) -> Held:
    """A restart that waits."""
    return Held(RestartAcme("id", NOW, names, "why"), reason, until)


def test_held_is_said_when_its_reason_is_new(told: Told) -> None:
    """And from when it may be done, where that is known."""
    told.teller.held([held("gathered", "a", until=NOW)])
    assert told.new() == [
        {
            "level": "info",
            "event": "held: restart",
            "on": "a",
            "reason": "gathered",
            "until": "2027-01-15 08:00+00:00",
        }
    ]
    told.teller.held([held("gathered", "a", until=NOW + 60)])
    assert told.new() == []
    told.teller.held([held("spaced", "a")])
    told.teller.held([held("spaced", "a"), held("spaced", "b")])
    assert [(event["on"], event["reason"]) for event in told.new()] == [("a", "spaced"), ("b", "spaced")]


def test_held_is_silent_where_a_notice_has_told_it(told: Told) -> None:
    """The notice says what to do; the same reason beside it would be a second line for one thing."""
    told.teller.notices([notice()])
    told.new()
    told.teller.held([replace(held("trouble 0", "a"), remedy="mend it")])
    assert told.new() == []


def test_many_that_are_held_become_a_number(told: Told) -> None:
    """The rest is to be seen with `sidecar plan`."""
    told.teller.held([held("not ready", f"n{number}") for number in range(100)])
    events = told.new()
    assert len(events) == MOST_OF_A_KIND + 1
    assert events[-1]["event"] == f"{100 - MOST_OF_A_KIND} more held actions; see: {command('plan')}"


def test_file_and_settings_are_held_by_their_own_names(told: Told) -> None:
    """Two actions with one reason are two lines."""
    told.teller.held([Held(WriteFile("", "why"), "dry run"), Held(EditConf({}, "why"), "dry run")])
    assert [(event["event"], event["on"]) for event in told.new()] == [
        ("held: write policy file", "mta-sts.txt"),
        ("held: edit settings", "mailcow.conf"),
    ]


def test_many_names_held_for_one_reason_are_five_and_a_count_and_told_once(told: Told) -> None:
    """When one name joins or leaves, the reason is no news."""
    names = [f"mta-sts.d{number}.example" for number in range(20)]
    told.teller.held([held("kept 60 min apart", *names)])
    (event,) = told.new()
    assert event["on"].endswith("and 15 more")
    told.teller.held([held("kept 60 min apart", *names[:-1])])
    assert told.new() == []
