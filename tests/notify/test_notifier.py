"""From passes to receivers: each event arrives once, also over restarts and failures, together with what came with it."""

import asyncio
import io
from collections.abc import Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog
import yaml

from sidecar.formats.mtasts_policy import Mode
from sidecar.host import log
from sidecar.host.elapsed import UptimeReading
from sidecar.notify.digest import KEPT_S, RETRY_S, Message
from sidecar.notify.notifier import Notifier, Outbox
from sidecar.observed import CheckRecord, Memory
from sidecar.observed.checks import Finding, Severity
from sidecar.observed.notice import Level, Notice, NoticeCode
from sidecar.plan.actions import Plan
from sidecar.reconcile.passes import PassReport
from sidecar.settings import Settings
from sidecar.settings.load import load
from sidecar.state.store import State
from sidecar.status.once import Once
from sidecar.status.repeats import STEADY_S
from tests.notify.receiver import Receiver, receiving
from tests.worlds import NOW, World, observed, text

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

GATHER = 60


class Clock:
    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> float:
        return self.at

    def reading(self) -> UptimeReading:
        return UptimeReading("this machine", self.at)


@pytest.fixture
def said() -> Iterator[io.StringIO]:
    """The log."""
    stream = io.StringIO()
    log.configure(json=False, stream=stream)
    yield stream
    structlog.reset_defaults()


KINDS = {"api": NoticeCode.API_DENIED, "conf": NoticeCode.CONF_LOCKED, "disk": NoticeCode.FILE_LOCKED}
"""The notices of these tests, by a word."""


@pytest.fixture
def clock() -> Clock:
    """Set by the test."""
    return Clock()


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    """A fresh store."""
    found = State.open(tmp_path / "state", NOW)
    yield found
    found.close()


def settings(tmp_path: Path, **notify: Any) -> Settings:
    """With these notifications."""
    config = yaml.safe_dump({"notify": {"gather": GATHER, **notify}}).encode()
    return replace(load({}, config, {}), state_dir=tmp_path / "state")


def report(
    *notices: str,
    mode: Mode = Mode.TESTING,
    expired: tuple[str, ...] = (),
    domains: tuple[str, ...] = ("a.example",),
) -> PassReport:
    """A pass with these errors, in which the certificates of these domains' MX hosts have ended."""
    finding = Finding(
        "mx-cert-expired", Severity.CRITICAL, "mx.example", "it has ended", "renew it", "RFC 8461 §4.2"
    )
    checks = {name: CheckRecord(NOW, (finding,) if name in expired else ()) for name in domains}
    world = World(
        domains=domains, served={name: text(mode) for name in domains}, memory=Memory(checks=checks)
    )
    given = tuple(Notice(Level.ERROR, KINDS[word], "mailcow", f"{word} is wrong") for word in notices)
    return PassReport(observed(world), Plan(notices=given), ())


def at(one: PassReport, seconds: float) -> PassReport:
    """The same, so many seconds after the first."""
    return replace(one, observed=replace(one.observed, now=NOW + seconds))


async def saw(notifier: Notifier, one: PassReport) -> None:
    """A pass is over."""
    await notifier.saw(one.observed, one.plan, Once(one.observed, one.plan, Settings()))


async def after(notifier: Notifier, clock: Clock, seconds: float) -> None:
    """So much later, whatever is due is sent."""
    clock.at += seconds
    await notifier.send_due()


def received(receiver: Receiver) -> list[list[tuple[str, str]]]:
    """Kind and subject of the events of each message."""
    return [[(one["kind"], one["subject"]) for one in body["events"]] for body in receiver.bodies]


# --- each once -------------------------------------------------------------------------------------------


async def test_events_of_a_while_make_one_message(tmp_path: Path, clock: Clock, state: State) -> None:
    """Those of later passes too; nothing is sent before the time, and nothing twice."""
    async with receiving() as receiver:
        notifier = Notifier(settings(tmp_path, webhook=receiver.webhook), clock, state)
        await saw(notifier, report("api"))
        await after(notifier, clock, 30)
        await saw(notifier, at(report("api", expired=("a.example",)), 30))
        await after(notifier, clock, GATHER - 31)
        assert receiver.bodies == []
        await after(notifier, clock, 1)
        assert received(receiver) == [[("error", "a.example"), ("error", "mailcow")]]
        assert receiver.bodies[0]["title"] == "MTA-STS on mail.example.org: 2 errors"
        await saw(notifier, at(report("api", expired=("a.example",)), 90))
        await after(notifier, clock, 1_000)
        assert len(receiver.bodies) == 1


async def test_change_of_stage_error_and_recovery_arrive(tmp_path: Path, clock: Clock, state: State) -> None:
    """A domain whose policy is enforced, fails, and is repaired."""
    async with receiving() as receiver:
        notifier = Notifier(settings(tmp_path, webhook=receiver.webhook), clock, state)
        steps = [
            (0, report()),
            (100, report(mode=Mode.ENFORCE, expired=("a.example",))),
            (200, report(mode=Mode.ENFORCE)),
            (200 + STEADY_S[0], report(mode=Mode.ENFORCE)),
        ]
        for seconds, one in steps:
            clock.at = NOW + seconds
            await saw(notifier, at(one, seconds))
            await after(notifier, clock, GATHER)
        assert received(receiver) == [[("error", "a.example")], [("recovery", "a.example")]]
        await saw(notifier, at(report(mode=Mode.NONE), 2_000))
        clock.at = NOW + 2_000
        await after(notifier, clock, GATHER)
        (move,) = receiver.bodies[-1]["events"]
        assert (move["stage_before"], move["stage"]) == ("enforced", "leaving")


async def test_restart_neither_repeats_nor_forgets(tmp_path: Path, clock: Clock, state: State) -> None:
    """Waiting events are sent after it, sent ones are not repeated, and changes in between are news."""
    async with receiving() as receiver:
        given = settings(tmp_path, webhook=receiver.webhook)
        first = Notifier(given, clock, state)
        await saw(first, report("api", "conf"))
        second = Notifier(given, clock, state)
        await saw(second, at(report("api", "conf"), 30))
        await after(second, clock, GATHER)
        assert received(receiver) == [[("error", "mailcow"), ("error", "mailcow")]]
        third = Notifier(given, clock, state)
        await saw(third, at(report("api", "conf", "disk"), 90))
        await after(third, clock, 2 * GATHER)
        assert [one["code"] for one in receiver.bodies[-1]["events"]] == [KINDS["disk"]]
        assert len(receiver.bodies) == 2


@pytest.mark.parametrize(
    ("on", "kinds"),
    [(["error"], {"error"}), (["stage"], {"stage"}), (["recovery", "stage"], {"recovery", "stage"})],
)
async def test_only_selected_kinds_are_sent(
    tmp_path: Path, clock: Clock, state: State, on: list[str], kinds: set[str]
) -> None:
    """The rest counts as known."""
    async with receiving() as receiver:
        notifier = Notifier(settings(tmp_path, webhook=receiver.webhook, on=on, gather=0), clock, state)
        for seconds, one in [
            (0, report("api", mode=Mode.ENFORCE)),
            (100, report(mode=Mode.NONE)),
            (100 + STEADY_S[0], report(mode=Mode.NONE)),
        ]:
            await saw(notifier, at(one, seconds))
            clock.at = NOW + seconds
            await notifier.send_due()
        assert {kind for message in received(receiver) for kind, _ in message} == kinds


async def test_without_receivers_nothing_is_stored(tmp_path: Path, clock: Clock, state: State) -> None:
    """Not even what people know."""
    notifier = Notifier(settings(tmp_path), clock, state)
    await saw(notifier, report("api"))
    assert await notifier.send_due() is None
    assert Outbox(state).notified() is None


# --- failures --------------------------------------------------------------------------------------------


async def test_failure_is_tried_again_after_growing_waits(
    tmp_path: Path, clock: Clock, state: State, said: io.StringIO
) -> None:
    """Also over a restart; said when it begins and when it ends."""
    async with receiving() as receiver:
        given = settings(tmp_path, webhook=receiver.webhook)
        notifier = Notifier(given, clock, state)
        receiver.status = 503
        await saw(notifier, report("api"))
        await after(notifier, clock, GATHER)
        for count, wait in enumerate(RETRY_S[:4], 1):
            assert len(receiver.bodies) == count
            await after(notifier, clock, wait - 1)
            assert len(receiver.bodies) == count
            await after(notifier, clock, 1)
        assert said.getvalue().count("status 503") == 1
        again = Notifier(given, clock, state)
        assert await again.send_due() == clock.at + RETRY_S[4]
        await after(again, clock, RETRY_S[4])
        receiver.status = 204
        await after(again, clock, RETRY_S[5])
        assert received(receiver)[-1] == [("error", "mailcow")]
        assert "works again" in said.getvalue()
        assert await again.send_due() is None


async def test_receiver_that_fails_does_not_delay_others(
    tmp_path: Path, clock: Clock, state: State, said: io.StringIO
) -> None:
    """It gets the remaining events later; the others get nothing twice."""
    async with receiving() as bad, receiving() as good:
        bad.status = 500
        notifier = Notifier(
            settings(tmp_path, webhook=bad.webhook, apprise=[good.apprise], gather=0), clock, state
        )
        await saw(notifier, report("api"))
        await after(notifier, clock, 0)
        await saw(notifier, at(report(), 10))
        await saw(notifier, at(report("conf"), 10 + STEADY_S[0]))
        await after(notifier, clock, 10 + STEADY_S[0])
        assert [body["type"] for body in good.bodies] == ["failure", "failure"]
        bad.status = 200
        await after(notifier, clock, RETRY_S[1])
        assert [one["code"] for one in bad.bodies[-1]["events"]] == [KINDS["conf"]]
        assert len(good.bodies) == 2


async def test_event_that_is_too_old_is_dropped_and_logged(
    tmp_path: Path, clock: Clock, state: State, said: io.StringIO
) -> None:
    """After three days in which nothing worked."""
    async with receiving() as receiver:
        receiver.status = 500
        notifier = Notifier(settings(tmp_path, webhook=receiver.webhook), clock, state)
        await saw(notifier, report("api"))
        await after(notifier, clock, KEPT_S)
        receiver.status = 200
        await after(notifier, clock, 1)
        assert len(receiver.bodies) == 1
        assert "notifications dropped: not delivered in time events=1" in " ".join(said.getvalue().split())


async def test_receiver_that_was_removed_gets_nothing_and_a_new_one_only_news(
    tmp_path: Path, clock: Clock, state: State
) -> None:
    """What waited for the old one is forgotten."""
    async with receiving() as old, receiving() as new:
        old.status = 500
        first = Notifier(settings(tmp_path, webhook=old.webhook), clock, state)
        await saw(first, report("api"))
        second = Notifier(settings(tmp_path, webhook=new.webhook), clock, state)
        await saw(second, at(report("api", "conf"), 30))
        await after(second, clock, 2 * GATHER)
        assert [one["code"] for one in new.bodies[0]["events"]] == [KINDS["conf"]]
        third = Notifier(settings(tmp_path, webhook=old.webhook), clock, state)
        await after(third, clock, 2 * GATHER)
        assert old.bodies == []


async def test_store_that_cannot_be_used_loses_nothing(
    tmp_path: Path, clock: Clock, state: State, said: io.StringIO
) -> None:
    """Reported once, and the pass goes on; once it can be written, everything arrives."""
    async with receiving() as receiver:
        notifier = Notifier(settings(tmp_path, webhook=receiver.webhook), clock, state)
        state._connection.execute("PRAGMA query_only = 1")
        await saw(notifier, report("api"))
        await saw(notifier, at(report("api"), 30))
        assert said.getvalue().count("a folder that the sidecar may write in") == 1
        state._connection.execute("PRAGMA query_only = 0")
        await saw(notifier, at(report("api"), 60))
        await after(notifier, clock, 2 * GATHER)
        assert received(receiver) == [[("error", "mailcow")]]


async def test_what_people_know_and_cannot_be_read_is_dropped(
    tmp_path: Path, clock: Clock, state: State, said: io.StringIO
) -> None:
    """It is reported, and the next pass reports errors again."""
    with state.writing() as connection:
        connection.execute("INSERT INTO part VALUES ('notify', 'told', '{')")
    async with receiving() as receiver:
        notifier = Notifier(settings(tmp_path, webhook=receiver.webhook), clock, state)
        await saw(notifier, report("api"))
        assert said.getvalue().count("errors may be reported again") == 1
        await saw(notifier, at(report("api"), 30))
        await after(notifier, clock, 2 * GATHER)
        assert received(receiver) == [[("error", "mailcow")]]


# --- the loop --------------------------------------------------------------------------------------------


@asynccontextmanager
async def running(notifier: Notifier) -> Any:
    """Its loop, beside the test."""
    task = asyncio.create_task(notifier.run())
    try:
        yield
        assert not task.done()
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_loop_is_woken_by_an_event(tmp_path: Path, clock: Clock, state: State) -> None:
    """And sends it at once where nothing is gathered."""
    async with receiving() as receiver:
        notifier = Notifier(settings(tmp_path, webhook=receiver.webhook, gather=0), clock, state)
        async with running(notifier):
            await asyncio.sleep(0)
            await saw(notifier, report("api"))
            await receiver.until(1)
            await saw(notifier, at(report("api", "conf"), 30))
            clock.at += 30
            await receiver.until(2)
    assert received(receiver) == [[("error", "mailcow")], [("error", "mailcow")]]


async def test_loop_outlives_a_bug(tmp_path: Path, clock: Clock, state: State, said: io.StringIO) -> None:
    """It is logged with its trace, and the next event is sent."""
    tries = 0
    delivered: set[str] = set()
    changed = asyncio.Event()

    async def faulty(receiver: object, digest: Message) -> None:
        nonlocal tries
        tries += 1
        changed.set()
        if tries == 1:
            raise ZeroDivisionError("a bug")
        delivered.update(event.code for event in digest.events)

    given = settings(tmp_path, webhook="http://127.0.0.1:9/", gather=0)
    notifier = Notifier(given, clock, state, send=faulty)
    async with running(notifier), asyncio.timeout(20):
        await saw(notifier, report("api"))
        await changed.wait()
        await saw(notifier, at(report("api", "conf"), 30))
        clock.at += 30
        while delivered != {KINDS["api"], KINDS["conf"]}:
            changed.clear()
            await changed.wait()
    assert "ZeroDivisionError: a bug" in said.getvalue()
