"""The log for people: each event once, in one line, and many of a kind as a number."""

import io
import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from sidecar.daemon.event_log import MOST_OF_A_KIND, REMEMBERED, EventLog
from sidecar.formats.mtasts_policy import Mode
from sidecar.host import log as log_setup
from sidecar.observed.notice import Level, Notice, NoticeCode
from sidecar.observed.words import command
from sidecar.plan.actions import AddPolicy, EditConf, Held, RestartAcme, WriteFile
from sidecar.reconcile.apply import Outcome, Result
from sidecar.status.repeats import QUIET_S, STEADY_S
from tests.worlds import NOW, policy


class Log:
    """An event log, and the lines that it has written."""

    def __init__(self) -> None:
        self.stream = io.StringIO()
        log_setup.configure(json=True, stream=self.stream)
        self.time = NOW
        self.log = EventLog(lambda: self.time)

    def passes(self, *notices: Notice, after: float = 30.0) -> list[str]:
        """The events that a pass with these notices logs, so many seconds after the one before."""
        self.time += after
        self.log.notices(notices)
        return [event["event"] for event in self.new()]

    def new(self) -> list[dict[str, str]]:
        """The events since the last call, without their time."""
        lines = self.stream.getvalue().splitlines()
        self.stream.seek(0)
        self.stream.truncate()
        events = [json.loads(line) for line in lines]
        return [{key: value for key, value in event.items() if key != "time"} for event in events]


@pytest.fixture
def written() -> Iterator[Log]:
    """One for each test; afterwards the log is set up as before."""
    yield Log()
    log_setup.configure(json=False, stream=io.StringIO())


def notice(
    number: int = 0, *, code: NoticeCode = NoticeCode.NAME_NOT_READY, level: Level = Level.WARNING
) -> Notice:
    """A notice; each number makes another one."""
    return Notice(level, code, f"d{number}.example", f"trouble {number}", "repair it")


def test_notice_is_logged_once_while_it_is_true(written: Log) -> None:
    """With its level, its code and what to do."""
    written.log.notices([notice()])
    assert written.new() == [
        {"level": "warning", "event": "trouble 0", "code": "name.not_ready", "todo": "repair it"}
    ]
    written.log.notices([notice()])
    written.log.notices([notice(), notice()])
    assert written.new() == []


@pytest.mark.parametrize("level", list(Level))
def test_notice_is_logged_with_its_level(written: Log, level: Level) -> None:
    """As the plan gave it."""
    written.log.notices([notice(level=level)])
    assert [event["level"] for event in written.new()] == [level.value]


def test_notice_that_returns_is_logged_again_after_a_day_and_not_before(written: Log) -> None:
    """An answer that fails every other time would fill the log."""
    assert written.passes(notice()) == ["trouble 0"]
    for _ in range(287):
        assert written.passes(after=150) == []
        assert written.passes(notice(), after=150) == []
    assert written.passes(after=150) == []
    assert written.passes(notice(), after=150) == ["trouble 0"]
    assert written.passes(notice()) == []


def test_notice_that_stays_true_is_never_repeated(written: Log) -> None:
    """For weeks."""
    written.passes(notice())
    assert [written.passes(notice(), after=3_600) for _ in range(24 * 21)] == [[]] * (24 * 21)


def test_end_is_logged_when_the_problem_has_been_absent_for_a_while(written: Log) -> None:
    """In the last wording; information and past events have no end."""
    passing = Notice(Level.WARNING, NoticeCode.STATE_RENEWED, "acme-mailcow", "repaired", passing=True)
    written.passes(notice(), notice(1, level=Level.INFO), passing)
    assert written.passes() == []
    assert written.passes(after=STEADY_S[0] - 1) == []
    assert written.passes(after=1) == ["over: trouble 0"]
    assert written.passes(after=QUIET_S) == []


def test_new_wording_is_logged_and_is_not_an_end(written: Log) -> None:
    """Some texts contain a number of days."""
    written.passes(notice())
    other = replace(notice(), message="trouble 0, and one day less")
    assert written.passes(other) == [other.message]
    assert written.passes(other, after=STEADY_S[0]) == []
    written.passes()
    assert written.passes(after=STEADY_S[0]) == [f"over: {other.message}"]


def test_problem_that_returns_after_its_end_is_logged_again(written: Log) -> None:
    """The last line never says that it is over while it is not; and a problem that flaps fills no log."""
    here = [minutes % 30 < 15 for minutes in range(0, 1_440, 5)]
    lines = [written.passes(*([notice()] if there else []), after=300) for there in here]
    assert [line for said in lines for line in said] == ["trouble 0", "over: trouble 0", "trouble 0"]


OUTAGE = Notice(Level.WARNING, NoticeCode.MAILCOW_API, "mailcow", "status 502")


def test_mailcow_reachable_again_is_one_line_at_once(written: Log) -> None:
    """However many different errors there were meanwhile."""
    written.passes(OUTAGE)
    written.passes(replace(OUTAGE, message="no connection"))
    written.passes(OUTAGE)
    assert written.passes() == ["mailcow reachable again"]
    assert written.passes() == []
    assert written.passes(OUTAGE, after=7_200) == ["status 502"]


def test_mailcow_that_answers_every_other_time_fills_no_log(written: Log) -> None:
    """After three times, the failure is the last line until mailcow answers for a while."""
    said = [line for n in range(40) for line in written.passes(*([OUTAGE] if n % 2 else []))]
    assert said == ["status 502", "mailcow reachable again"] * 3 + ["status 502"]


def test_what_could_not_be_checked_is_not_over(written: Log) -> None:
    """A failed pass ends nothing; and what was true before it is not new after it."""
    written.passes(notice())
    for _ in range(30):
        written.time += 3_600
        written.log.failed("no space left")
    assert [event["event"] for event in written.new()] == ["pass failed: no space left"]
    assert written.passes(notice()) == ["passes succeed again"]
    written.time += 30
    written.log.notices([], lambda code, subject: (code, subject) == (notice().code, notice().subject))
    written.time += QUIET_S
    written.log.notices([], lambda code, subject: (code, subject) == (notice().code, notice().subject))
    assert written.new() == []


def test_many_ends_become_a_number(written: Log) -> None:
    """A zone that works again is not a thousand lines."""
    written.passes(*(notice(number) for number in range(1_000)))
    written.passes()
    assert len(written.passes(after=STEADY_S[0])) == MOST_OF_A_KIND + 1


def test_memory_of_old_notices_is_bounded(written: Log) -> None:
    """The oldest is forgotten, and so it is logged again; a process that runs for years does not grow."""
    for number in range(REMEMBERED + 2):
        written.passes(notice(number), after=0.1)
    written.passes(after=0.1)
    assert len(written.log._logged) <= REMEMBERED
    assert written.passes(notice(REMEMBERED), after=0.1) == []
    assert written.passes(notice(0), after=0.1) == ["trouble 0"]
    for day in range(200):
        written.passes(replace(notice(0), message=f"{day} days left"), after=QUIET_S)
    assert sum(len(one.texts) for one in written.log._logged.values()) <= REMEMBERED + 2


def test_many_of_a_kind_become_a_number(written: Log) -> None:
    """A thousand domains without a record are not a thousand lines; another kind is logged beside them."""
    many = [notice(number) for number in range(1_000)]
    written.log.notices([*many, notice(7, code=NoticeCode.MX_UNCOVERED)])
    events = written.new()
    assert len(events) == MOST_OF_A_KIND + 2
    assert [event["event"] for event in events if event["code"] == "mx.uncovered"] == ["trouble 7"]
    assert events[-1]["event"] == f"{1_000 - MOST_OF_A_KIND} more notices with this code"
    written.log.notices(many)
    assert written.new() == []


def test_as_many_as_fit_are_all_logged(written: Log) -> None:
    """No line says that there are 0 more."""
    written.log.notices([notice(number) for number in range(MOST_OF_A_KIND)])
    assert len(written.new()) == MOST_OF_A_KIND


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
def test_outcome_is_one_line_with_its_reason(written: Log, outcome: Outcome, event: dict[str, str]) -> None:
    """Done, failed for now, refused until a person changes something; people see U-labels."""
    written.log.outcome(outcome)
    assert written.new() == [event]


def held(reason: str, *names: str, until: float | None = None) -> Held:
    """A restart that waits."""
    return Held(RestartAcme("id", NOW, names, "why"), reason, until)


def test_held_is_logged_when_its_reason_is_new(written: Log) -> None:
    """With the time at which it may be done, where that is known."""
    written.log.held([held("gathered", "a", until=NOW)])
    assert written.new() == [
        {
            "level": "info",
            "event": "held: restart",
            "on": "a",
            "reason": "gathered",
            "until": "2027-01-15 08:00+00:00",
        }
    ]
    written.log.held([held("gathered", "a", until=NOW + 60)])
    assert written.new() == []
    written.log.held([held("spaced", "a")])
    written.log.held([held("spaced", "a"), held("spaced", "b")])
    assert [(event["on"], event["reason"]) for event in written.new()] == [("a", "spaced"), ("b", "spaced")]


def test_held_is_not_logged_when_a_notice_has_the_same_reason(written: Log) -> None:
    """The notice says what to do; the same reason again would be a second line for one problem."""
    written.log.notices([notice()])
    written.new()
    written.log.held([replace(held("trouble 0", "a"), remedy="repair it")])
    assert written.new() == []


def test_many_that_are_held_become_a_number(written: Log) -> None:
    """`sidecar plan` shows the rest."""
    written.log.held([held("not ready", f"n{number}") for number in range(100)])
    events = written.new()
    assert len(events) == MOST_OF_A_KIND + 1
    assert events[-1]["event"] == f"{100 - MOST_OF_A_KIND} more held actions; see: {command('plan')}"


def test_file_and_settings_are_held_by_their_own_names(written: Log) -> None:
    """Two actions with one reason are two lines."""
    written.log.held([Held(WriteFile("", "why"), "dry run"), Held(EditConf({}, "why"), "dry run")])
    assert [(event["event"], event["on"]) for event in written.new()] == [
        ("held: write policy file", "mta-sts.txt"),
        ("held: edit settings", "mailcow.conf"),
    ]


def test_many_names_held_for_one_reason_are_logged_once_as_five_and_a_count(written: Log) -> None:
    """When a name joins or leaves, the reason is not new."""
    names = [f"mta-sts.d{number}.example" for number in range(20)]
    written.log.held([held("kept 60 min apart", *names)])
    (event,) = written.new()
    assert event["on"].endswith("and 15 more")
    written.log.held([held("kept 60 min apart", *names[:-1])])
    assert written.new() == []
