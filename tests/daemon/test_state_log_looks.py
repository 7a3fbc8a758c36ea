"""How often the log of the present state looks for tasks, and what an old report proves."""

import io
import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from sidecar.daemon.event_log import EventLog
from sidecar.daemon.state_log import INTERVAL_S, StateLog
from sidecar.host import log as log_setup
from sidecar.observed.notice import Notice
from sidecar.plan.actions import AddPolicy, Plan
from sidecar.reconcile.apply import Outcome, Result
from sidecar.reconcile.passes import PassReport
from sidecar.status.domains import CurrentStatus
from sidecar.status.once import Once
from sidecar.status.repeats import STEADY_S
from tests.status.test_domains import REPORT, only_row, published, status
from tests.status.test_log_lines import checked, nameless
from tests.worlds import NOW, policy

LACKING, COMPLETE = status(checked()), status(checked(), txt=published())


class Computed(Once):
    """A status whose computation takes some time of the machine, or fails; it counts its calls."""

    def __init__(self, found: CurrentStatus | None, monkeypatch: pytest.MonkeyPatch, takes_s: float) -> None:
        self.calls = 0
        self._found, self._takes_s, self._time = found, takes_s, 0.0
        monkeypatch.setattr("sidecar.daemon.state_log.time.monotonic", lambda: self._time)

    def __call__(self) -> CurrentStatus:
        self.calls += 1
        self._time += self._takes_s
        if self._found is None:
            raise RuntimeError("a bug")
        return self._found


class Log:
    """A state log, its clock, and the lines that it wrote."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.stream = io.StringIO()
        log_setup.configure(json=True, stream=self.stream)
        self.now = NOW
        self._log = StateLog(EventLog(lambda: self.now))
        self._patch = monkeypatch

    def computed(self, found: CurrentStatus | None, takes_s: float = 0.01) -> Computed:
        """Such a status."""
        return Computed(found, self._patch, takes_s)

    def report(self, found: CurrentStatus = LACKING) -> PassReport:
        """Of a pass now in which something was done."""
        done = Outcome(AddPolicy("example.org", policy(), "new"), Result.DONE, self.now)
        return PassReport(replace(found.observed, now=self.now), Plan(), (done,))

    def without_tasks(self, *notices: Notice) -> list[Notice]:
        """What the other log still has to say of these notices."""
        return self._log.without_tasks(notices)

    async def shown(self, report: PassReport, computed: Once) -> list[str]:
        """The events that are logged after a pass."""
        self.stream.seek(0)
        self.stream.truncate()
        await self._log.passed(report, computed, REPORT)
        return [json.loads(line)["event"] for line in self.stream.getvalue().splitlines()]


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[Log]:
    """One for each test; afterwards the log is set up as before."""
    yield Log(monkeypatch)
    log_setup.configure(json=False, stream=io.StringIO())


async def test_expensive_status_is_not_computed_in_each_pass(log: Log) -> None:
    """With thousands of domains a pass would take twice as long, on the day on which each pass does something."""
    computed = log.computed(LACKING, takes_s=3.0)
    for _ in range(120):
        await log.shown(log.report(), computed)
        log.now += 0.5
    assert computed.calls == 1


async def test_what_happened_during_a_rest_is_not_forgotten(log: Log) -> None:
    """The next pass after it looks, although nothing was done in that one."""
    computed = log.computed(COMPLETE, takes_s=1.0)
    await log.shown(log.report(COMPLETE), computed)
    log.now += 1
    computed = log.computed(LACKING)
    assert await log.shown(log.report(), computed) == []
    log.now += 30
    assert any(
        "is missing" in event for event in await log.shown(replace(log.report(), outcomes=()), computed)
    )


async def test_status_that_raises_an_error_is_not_tried_in_each_pass(log: Log) -> None:
    """Its trace would fill the log."""
    computed = log.computed(None)
    with pytest.raises(RuntimeError):
        await log.shown(log.report(), computed)
    for _ in range(10):
        log.now += INTERVAL_S / 11
        await log.shown(log.report(), computed)
    assert computed.calls == 1


async def test_only_a_notice_that_asks_for_the_same_is_left_out(log: Log) -> None:
    """A notice about the same host with another remedy says something new, even while the task is there."""
    nameless_now = status(nameless(), txt=published())
    (notice,) = only_row(nameless_now).notices
    assert log.without_tasks(notice) == [notice]
    unnoticed = replace(nameless_now, rows=tuple(replace(row, notices=()) for row in nameless_now.rows))
    await log.shown(log.report(nameless_now), log.computed(unnoticed))
    assert log.without_tasks(notice) == []
    other = replace(notice, message="CAA forbids it", todo="allow letsencrypt.org in the CAA record")
    assert log.without_tasks(notice, other) == [other]


async def test_old_report_does_not_end_a_task(log: Log) -> None:
    """While mailcow does not answer, the last report comes again after each pass."""
    assert await log.shown(log.report(), log.computed(LACKING)) != []
    log.now += 1
    report, computed = log.report(COMPLETE), log.computed(COMPLETE)
    await log.shown(report, computed)
    log.now += STEADY_S[0]
    assert await log.shown(report, computed) == []
    over = await log.shown(log.report(COMPLETE), computed)
    assert [event for event in over if event.startswith("over: ")] != []
