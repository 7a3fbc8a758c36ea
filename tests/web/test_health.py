"""`/healthz` and `/readyz` tell what the loop does, and agree with the check of the image."""

from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import given
from hypothesis import strategies as st

from sidecar.host.elapsed import UptimeReading
from sidecar.host.heartbeat import STALE_AFTER_S, beat, trouble
from sidecar.observed.notice import Level, Notice, NoticeCode
from sidecar.reconcile.passes import PassReport
from sidecar.web.health import Pulse, healthz, readyz, unhealthy, unready
from tests.worlds import NOW, World, look, observed


class Clock:
    def __init__(self, at: float = NOW) -> None:
        self.at = at

    def now(self) -> float:
        return self.at

    def reading(self) -> UptimeReading:
        return UptimeReading("this machine", self.at)


def report(world: World | None = None, *notices: Notice) -> PassReport:
    """A pass over this world."""
    world, plan = look(world or World())
    return PassReport(observed(world), replace(plan, notices=plan.notices + notices), ())


def pulse(*reports: PassReport | None) -> Pulse:
    """After these passes."""
    found = Pulse()
    for one in reports:
        found.begins(NOW)
        found.ends(one)
    return found


def test_pass_that_hangs_is_unhealthy() -> None:
    """At the very limit it is still alive, and one second later no more."""
    hanging = Pulse()
    hanging.begins(NOW)
    assert unhealthy(hanging, None, NOW + STALE_AFTER_S) is None
    said = "the running pass has made no progress for 301 s: it hangs"
    assert unhealthy(hanging, None, NOW + STALE_AFTER_S + 1) == said


def test_slow_pass_with_progress_is_healthy() -> None:
    """250 domains of which each takes 7 s, read four at a time; and red once nothing is answered any more."""
    slow = Pulse()
    slow.begins(NOW)
    now = NOW
    for _ in range(-(-250 // 4)):
        now += 7
        assert unhealthy(slow, None, now) is None
        slow.moved(now)
    assert now - NOW > STALE_AFTER_S
    assert unhealthy(slow, None, now + STALE_AFTER_S + 1) is not None


def test_first_pass_has_no_sign_of_life_yet() -> None:
    """The file of an earlier process, or none, says nothing of this one."""
    first = Pulse()
    assert unhealthy(first, "no sign of life", NOW) is None
    first.begins(NOW)
    assert unhealthy(first, "no sign of life", NOW + 60) is None
    first.ends(None)
    assert unhealthy(first, "no sign of life", NOW + 60) == "no sign of life"


@given(
    st.lists(
        st.tuples(st.sampled_from(["pass", "move", "wait", "hang"]), st.floats(0, 2_000)),
        min_size=1,
        max_size=12,
    )
)
def test_healthz_agrees_with_the_check_of_the_image(steps: list[tuple[str, float]]) -> None:
    """Whatever the loop does after its first sign of life, both say the same at any time."""
    clock, life, last = Clock(), Pulse(), NOW
    life.begins(clock.at)
    life.ends(None)
    for what, seconds in steps:
        if what == "pass" and life.pass_since is None:
            life.begins(clock.at)
        elif what == "move":
            last = clock.at
            life.moved(clock.at)
        elif what == "wait" and life.pass_since is not None:
            last = clock.at
            life.ends(None)
        elif what == "wait":
            last = clock.at
        clock.at += seconds
        stale = f"{clock.at - last}" if clock.at - last > STALE_AFTER_S else None
        assert (unhealthy(life, stale, clock.at) is None) == (stale is None)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (Pulse(), "the first pass has not finished"),
        (pulse(report()), None),
        (pulse(report(), None), "the last pass failed"),
        (pulse(None, report()), None),
        (pulse(report(World(unseen=frozenset({"domains"})))), "mailcow cannot be read"),
        (pulse(report(World(unseen=frozenset({"mailcow"})))), "mailcow cannot be read"),
        # the list is an older one
        (
            pulse(report(None, Notice(Level.WARNING, NoticeCode.MAILCOW_API, "mailcow", "no answer"))),
            "mailcow cannot be read",
        ),
        (pulse(report(None, Notice(Level.ERROR, NoticeCode.MX_UNCOVERED, "example.org", "bad"))), None),
    ],
)
def test_ready_means_that_the_last_pass_read_mailcow(found: Pulse, said: str | None) -> None:
    """An error about a domain does not matter."""
    assert unready(found) == said


async def test_answers_over_http(tmp_path: Path) -> None:
    """200 or 503 with one line, no path and no name of mailcow in it."""
    clock, life = Clock(), Pulse()
    app = web.Application()
    app.router.add_get("/healthz", healthz(life, tmp_path, clock))
    app.router.add_get("/readyz", readyz(life))
    async with TestClient(TestServer(app)) as client:

        async def asked(path: str) -> tuple[int, str]:
            async with client.get(path) as response:
                assert response.headers["Cache-Control"] == "no-store"
                return response.status, await response.text()

        assert await asked("/healthz") == (200, "alive\n")
        assert await asked("/readyz") == (503, "the first pass has not finished\n")
        life.begins(clock.at)
        beat(tmp_path, clock.at)
        life.ends(report())
        assert await asked("/healthz") == (200, "alive\n")
        assert await asked("/readyz") == (200, "ready\n")
        clock.at += STALE_AFTER_S + 1
        assert trouble(tmp_path, clock.at) is not None
        assert await asked("/healthz") == (503, "no recent sign of life: the loop hangs\n")
        (tmp_path / "heartbeat").unlink()
        assert (await asked("/healthz"))[0] == 503
        beat(tmp_path, clock.at, f"writing the state failed: {tmp_path}/state.sqlite gave 'disk full'")
        assert await asked("/healthz") == (503, "the state cannot be written\n")
        beat(tmp_path, clock.at)
        assert await asked("/healthz") == (200, "alive\n")
