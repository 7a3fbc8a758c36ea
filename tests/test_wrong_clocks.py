"""Any clock, any restarts, any moment: what senders may hold outlasts what was counted of it.

A small world is played in which only the simulation knows how much time really passes: the clock is set as it
likes, the machine is started anew, the state is lost.
"""

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.formats.mtasts_policy import Mode, policy_of
from sidecar.host.elapsed import Tally, UptimeReading
from sidecar.observed import Backend, Mailcow, Memory
from sidecar.plan.actions import Plan
from tests.worlds import DAY, FILE_MAILCOW, HOST, NATIVE, NOW, World, advance, given_settings, look

pytestmark = pytest.mark.integration

OLD = "old.example.org"
MAX_AGE = 604_800
SETTINGS = given_settings({"mode": "enforce", "mx": [HOST, OLD]})
MOVED = given_settings({"mode": "enforce", "mx": [HOST]})


@dataclass(frozen=True)
class Step:
    """What happens before a pass; `set_to` is how far the clock is wrong from then on."""

    seconds: float
    set_to: float
    reboot: bool
    lost: bool
    what: str


steps = st.builds(
    Step,
    st.sampled_from([1.0, 60.0, 3_600.0, DAY / 2, DAY, 2 * DAY, 8 * DAY]),
    st.sampled_from([0.0, 0.0, 3.0, -60.0, 30 * DAY, 400 * DAY, -365 * DAY, -10_000 * DAY]),
    st.integers(0, 9).map(lambda n: n == 0),
    st.integers(0, 19).map(lambda n: n == 0),
    st.sampled_from(["", "", "", "off", "off", "on", "moved", "moved", "back", "retired", "other mailcow"]),
)


@dataclass
class Played:
    """The world, and what is true of it whatever anybody believes."""

    world: World
    moved: bool = False
    passed: float = 0.0
    """Seconds since the beginning."""
    tally: Tally = field(default_factory=Tally)
    run: int = 0
    started: float = 0.0
    enforced_at: float | None = None
    """When enforce could last be fetched."""
    matched_at: float = 0.0
    """When the old host was last an MX."""

    def step(self, step: Step) -> None:
        """Time passes, something happens, and a pass is made."""
        self._pass_time(step.seconds, reboot=step.reboot)
        self._happen(step)
        self._note()
        before = self.world
        self.world = replace(self.world, now=NOW + self.passed + step.set_to, counted=self.tally.seconds)
        self.world, plan = look(self.world, MOVED if self.moved else SETTINGS)
        after = advance(self.world, [a for a in plan.actions if _about_policies(a)])
        self._judge(before, after, plan)
        self.world = after
        self._note()

    def _pass_time(self, seconds: float, *, reboot: bool) -> None:
        self.passed += seconds
        if reboot:
            self.run, self.started = self.run + 1, self.passed - seconds / 2
        self.tally = self.tally.until(UptimeReading(str(self.run), self.passed - self.started))

    def _happen(self, step: Step) -> None:
        world = self.world
        if step.lost and step.what != "other mailcow":  # of what is gone in both nobody can know
            self.tally = Tally(0.0, self.tally.last)
            world = replace(world, memory=Memory(retired=world.memory.retired))
        match step.what:
            case "off" | "on":
                world = replace(world, inactive=frozenset({"example.org"} if step.what == "off" else ()))
            case "moved" | "back":
                self.moved = step.what == "moved"
                world = replace(world, mx={"example.org": (HOST,) if self.moved else (HOST, OLD)})
            case "retired":
                world = replace(world, memory=replace(world.memory, retired=frozenset({"*"})))
            case "other mailcow":
                native = world.mailcow.backend is Backend.NATIVE
                # An update or a way back: the rows are gone, the file is not.
                world = replace(world, mailcow=FILE_MAILCOW if native else NATIVE, served={}, file=None)
            case _:
                pass
        self.world = world

    def _texts(self, world: World) -> list[str]:
        native = world.mailcow.backend is Backend.NATIVE
        return list(world.served.values()) if native else [] if world.file is None else [world.file.decode()]

    def _note(self) -> None:
        served = [policy_of(text) for text in self._texts(self.world)]
        if any(policy is not None and policy.mode is Mode.ENFORCE for policy in served):
            self.enforced_at = self.passed
        if OLD in self.world.mx["example.org"]:
            self.matched_at = self.passed

    def _judge(self, before: World, after: World, plan: Plan) -> None:
        was, now = self._texts(before), self._texts(after)
        if was and not now:
            assert self.enforced_at is None or self.passed - self.enforced_at >= MAX_AGE, (
                f"withdrawn {self.passed - self.enforced_at:.0f} s after enforce was served: {plan.actions}"
            )
        named = [OLD in policy.mx for text in was if (policy := policy_of(text)) is not None]
        policies = [policy for text in now if (policy := policy_of(text)) is not None]
        if any(named) and any(p.mode is Mode.ENFORCE and OLD not in p.mx for p in policies):
            assert self.passed - self.matched_at >= MAX_AGE, (
                f"dropped {self.passed - self.matched_at:.0f} s after it was an MX: {plan.actions}"
            )


def _about_policies(action: object) -> bool:
    return type(action).__name__ in {
        "AddPolicy",
        "EditPolicy",
        "SwitchOff",
        "AdoptSame",
        "WriteFile",
        "RemoveFile",
    }


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([NATIVE, FILE_MAILCOW]), st.lists(steps, min_size=3, max_size=30))
def test_no_clock_withdraws_a_policy_or_drops_an_mx_that_senders_rely_on(
    mailcow: Mailcow, played: list[Step]
) -> None:
    """`none` before withdrawal (RFC 8461 §8.3), and an old host for as long as a policy may be held (§3.3, §5.1)."""
    play = Played(World(mailcow=mailcow, mx={"example.org": (HOST, OLD)}))
    for step in [Step(60.0, 0.0, reboot=False, lost=False, what="")] * 2 + played:
        play.step(step)


@given(st.sampled_from([NATIVE, FILE_MAILCOW]), st.sampled_from([0.0, -365 * DAY, 400 * DAY]))
@settings(max_examples=10, deadline=None)
def test_and_in_the_end_it_is_withdrawn(mailcow: Mailcow, wrong: float) -> None:
    """Counting less never means for ever."""
    play = Played(World(mailcow=mailcow, mx={"example.org": (HOST, OLD)}))
    for what in ["", "", "retired", *[""] * 20]:
        play.step(Step(DAY / 2, wrong, reboot=False, lost=False, what=what))
    assert play._texts(play.world) == []
