"""The look at the containers beside the passes: what a pass sees while the Engine is slow, and what it never waits for."""

import asyncio
from dataclasses import dataclass, field, replace

import pytest

from sidecar.mailcow.engine.acme import AcmeEngine
from sidecar.mailcow.engine.look import AT_WORK_FRESH_S, FRESH_S, ProjectLook
from sidecar.observed import Container, Project, Seen, Sight, Unseen
from tests.worlds import NOW

ACME = Container("a", "acme-mailcow-1", "acme-mailcow", "running", NOW - 900, NOW - 900)
SLEEPS = Project("mailcow", (ACME,), Seen("1d", NOW))
AT_WORK = replace(SLEEPS, acme_sleep=Seen(None, NOW))


@dataclass
class SlowEngine(AcmeEngine):
    """Answers when the test lets it, with what the test says."""

    project: Project = SLEEPS
    looks: int = 0
    answers: asyncio.Event = field(default_factory=asyncio.Event)

    async def observe(self, now: float, project_hint: str | None) -> Sight[Project]:
        self.looks += 1
        await self.answers.wait()
        return Seen(self.project, now)


async def as_it_is(project: Sight[Project]) -> Sight[Project]:
    """Nothing is added to a look."""
    return project


@pytest.fixture
def engine() -> SlowEngine:
    """That does not answer yet."""
    return SlowEngine()


@pytest.fixture
def look(engine: SlowEngine, monkeypatch: pytest.MonkeyPatch) -> ProjectLook:
    """Of the running sidecar, without any patience."""
    monkeypatch.setattr("sidecar.mailcow.engine.look.PATIENCE_S", 0.0)
    return ProjectLook(engine, None, as_it_is, patient=False)


async def over(look: ProjectLook) -> None:
    """What is under way, if anything, is over."""
    await asyncio.gather(*filter(None, (look._looking,)), return_exceptions=True)


async def test_nothing_is_seen_before_the_engine_answers(engine: SlowEngine, look: ProjectLook) -> None:
    """One look at a time is under way; its answer is there for the pass that it wakes, and is not asked for again."""
    finished = asyncio.Event()
    look.finished = finished.set
    for _ in range(3):
        assert isinstance(await look.sight(NOW), Unseen)
    assert (engine.looks, finished.is_set()) == (1, False)
    engine.answers.set()
    await asyncio.wait_for(finished.wait(), 10)
    assert await look.sight(NOW + 1) == Seen(SLEEPS, NOW)
    assert (engine.looks, look.project_name) == (1, "mailcow")


async def test_what_was_seen_is_not_seen_while_a_newer_look_is_due(
    engine: SlowEngine, look: ProjectLook
) -> None:
    """After an event, or a change of our own, the older picture permits nothing."""
    engine.answers.set()
    await look.sight(NOW)
    await over(look)
    assert isinstance(await look.sight(NOW), Seen)
    engine.answers.clear()
    look.touched = True
    assert isinstance(await look.sight(NOW), Unseen)


async def test_event_during_a_look_makes_another_one(engine: SlowEngine, look: ProjectLook) -> None:
    """The answer may be older than the event."""
    await look.sight(NOW)
    look.touched = True
    engine.answers.set()
    await over(look)
    await look.sight(NOW)
    await look.sight(NOW)
    await over(look)
    assert engine.looks == 2


@pytest.mark.parametrize(("project", "fresh_s"), [(SLEEPS, FRESH_S), (AT_WORK, AT_WORK_FRESH_S)])
async def test_container_at_work_is_observed_more_often(
    engine: SlowEngine, look: ProjectLook, project: Project, fresh_s: float
) -> None:
    """Its run ends without an event."""
    engine.project = project
    engine.answers.set()
    await look.sight(NOW)
    await over(look)
    await look.sight(NOW + fresh_s - 1)
    assert engine.looks == 1
    await look.sight(NOW + fresh_s)
    assert engine.looks == 2


async def test_trouble_goes_on_until_there_is_an_answer(engine: SlowEngine, look: ProjectLook) -> None:
    """An Engine that hangs for hours gives one reason."""

    async def in_vain(project: Sight[Project]) -> Sight[Project]:
        return Unseen("it did not answer within 20 s", NOW)

    look = ProjectLook(engine, None, in_vain, patient=False)
    engine.answers.set()
    await look.sight(NOW)
    await over(look)
    engine.answers.clear()
    for after in (1, FRESH_S + 1):
        assert await look.sight(NOW + after) == Unseen("it did not answer within 20 s", NOW)
    assert engine.looks == 2


async def test_patient_one_waits(engine: SlowEngine) -> None:
    """A command by hand makes one pass and needs the answer."""
    look = ProjectLook(engine, None, as_it_is, patient=True)
    asyncio.get_running_loop().call_later(0.05, engine.answers.set)
    assert await look.sight(NOW) == Seen(SLEEPS, NOW)


async def test_end_leaves_what_is_under_way(engine: SlowEngine, look: ProjectLook) -> None:
    """Nobody is called any more."""
    ended: list[str] = []
    look.finished = lambda: ended.append("finished")
    await look.sight(NOW)
    await look.close()
    await asyncio.sleep(0)
    assert ended == []
