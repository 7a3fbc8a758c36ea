"""A random explorer: any order of events in a small world, a pass after each, and claims that hold whatever happens.

By hand, with new random sequences: `python -m tests.explorer 2000`. A few fixed ones run with the tests
(`test_explorer`). What is claimed is computed by a model of its own (`senders`), by the time that really passed.
"""

import json
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test

from sidecar.formats.mtasts_policy import Mode, Policy, render
from sidecar.host.elapsed import Tally, UptimeReading
from sidecar.observed import (
    FILE,
    Answered,
    Backend,
    Challenge,
    Mailcow,
    Memory,
    Move,
    Observed,
    Seen,
    SenderView,
    Served,
)
from sidecar.observed.checks import Code, Finding
from sidecar.plan import decide
from sidecar.plan.actions import Action, AdoptSame, Plan, RecreateAcme, RestartAcme, WriteFile
from sidecar.reconcile.learn.observations import believe
from sidecar.reconcile.passes import learn_all, without_moot_requests
from sidecar.settings import Settings
from sidecar.state import parts
from sidecar.state.store import State
from sidecar.verify import probe_codes as codes
from tests.explorer_claims import Claims, on_no_unseen_basis
from tests.explorer_world import (
    ALIAS,
    DOMAINS,
    FOREIGN,
    HOUR,
    MAILCOWS,
    OLD,
    applied,
    changes_of,
    cut_off,
    hosts_of,
    text_for,
)
from tests.senders import read
from tests.worlds import DAY, HOST, NOW, World, given_settings, observed

PARTS = (
    "conf",
    "mailcow",
    "domains",
    "project",
    "certificates",
    "file",
    *(f"served:{domain}" for domain in DOMAINS),
)
GOOD = (codes.TXT_FOUND, codes.POLICY_FETCHED, codes.MX_COVERED, codes.MX_TLS, codes.TLSRPT_FOUND)

domains = st.sampled_from(DOMAINS)
names = st.sampled_from((*DOMAINS, ALIAS))
hosts = st.sampled_from([(HOST,), (HOST, OLD), (OLD,), (HOST, FOREIGN), ()])
modes = st.sampled_from(["testing", "enforce", "enforce", "auto", "none"])
policies = st.builds(
    Policy,
    st.sampled_from(Mode),
    st.sampled_from([86_400, 172_801, 604_800]),
    st.sampled_from([(HOST,), (OLD,), (HOST, OLD), (HOST, OLD, FOREIGN)]),
)
waits = st.sampled_from([1.0, 60.0, HOUR, HOUR, DAY / 2, DAY, DAY, 8 * DAY])


_IN_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None


class Explorer(Claims):
    """A mailcow, its senders, and whatever happens to them."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(mailcow=MAILCOWS[3], domains=DOMAINS[:1], aliases={})
        self.ahead, self.boots, self.booted = 0.0, 0, 0.0
        self.tally = Tally()
        self.health: dict[str, str] = {}
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._state: State | None = None
        self._stored = Memory()
        self._broken = False
        self._go(60.0)

    # --- what happens -----------------------------------------------------------------------------------

    @rule(wait=waits, count=st.integers(1, 9))
    def wait(self, wait: float, count: int) -> None:
        """Nothing happens, for some passes."""
        for _ in range(count):
            self._go(wait)

    @rule(mode=modes, which=st.sampled_from(["", "", *DOMAINS]), wait=waits)
    def set_mode(self, mode: str, which: str, wait: float) -> None:
        """Of all domains, or of one."""
        if which:
            self.own[which] = mode
        else:
            self.common["mode"] = mode
        self._go(wait)

    @rule(
        max_age=st.sampled_from([None, 86_400, 604_800]),
        mx=st.sampled_from([None, None, [HOST], [HOST, OLD]]),
        adopt=st.integers(0, 5).map(lambda n: n == 0),
        wait=waits,
    )
    def set_others(self, max_age: int | None, mx: list[str] | None, adopt: bool, wait: float) -> None:
        """Settings for all domains."""
        given = {"max_age": max_age, "mx": mx, "adopt": adopt or None}
        rest = {key: value for key, value in self.common.items() if key not in given}
        self.common = rest | {key: value for key, value in given.items() if value is not None}
        self._go(wait)

    @rule(policy=policies, domain=domains, wait=waits, how=st.sampled_from(["", "", "gone", "old", "broken"]))
    def person_edits(self, policy: Policy, domain: str, wait: float, how: str) -> None:
        """By hand: another text, none any more, or an earlier one of the sidecar's (a backup)."""
        self._time(wait)
        native = self.world.mailcow.backend is Backend.NATIVE
        key = domain if native else FILE
        if native and domain not in self.world.domains:
            return
        before = self.written.get(key, [])
        text: str | None = render(before[0]) if how == "old" and before else render(policy)
        if how == "broken" and not native:
            text = "version: STSv1\nmode: enforced\n"
        if how == "gone":
            text = None
        if native:
            served = {k: v for k, v in self.world.served.items() if k != domain}
            if text is None:
                if domain in self.world.served:
                    self.off[domain] = "person"
            else:
                self.off.pop(domain, None)
                served[domain] = text
            self.world = replace(self.world, served=served)
        else:
            self.world = replace(self.world, file=None if text is None else text.encode())
        said = read(text)
        same = said is not None and any(said.same_as(own) for own in before)
        self.authors[key] = "either" if same else "person"
        self._pass()

    @rule(name=names, hosts=hosts, wait=waits)
    def mx_changes(self, name: str, hosts: tuple[str, ...], wait: float) -> None:
        """In the DNS."""
        self._time(wait)
        self.world = replace(self.world, mx={**self.world.mx, name: hosts})
        self._pass()

    @rule(name=st.sampled_from([*DOMAINS, ALIAS, HOST, "mta-sts.example.org"]), wait=waits)
    def dns_fails(self, name: str, wait: float) -> None:
        """Or answers again."""
        self._time(wait)
        self.world = replace(self.world, dns_unseen=self.world.dns_unseen ^ {name})
        self._pass()

    @rule(parts=st.sets(st.sampled_from(PARTS), min_size=1, max_size=3), wait=waits, count=st.integers(1, 3))
    def not_seen(self, parts: set[str], wait: float, count: int) -> None:
        """Some passes without these answers."""
        for _ in range(count):
            self._time(wait)
            self._pass(frozenset(parts))

    @rule(domain=domains, how=st.sampled_from(["active", "inactive", "backup", "deleted"]), wait=waits)
    def domain_changes(self, domain: str, how: str, wait: float) -> None:
        """Its row goes with a deleted domain."""
        self._time(wait)
        world = self.world
        if how == "deleted":
            served = {k: v for k, v in world.served.items() if k != domain}
            aliases = {k: v for k, v in world.aliases.items() if v != domain}
            left = tuple(d for d in world.domains if d != domain)
            self.world = replace(world, domains=left, served=served, aliases=aliases)
            self.off.pop(domain, None)
            self.authors.pop(domain, None)
        else:
            self.world = replace(
                world,
                domains=tuple(sorted({*world.domains, domain})),
                inactive=world.inactive - {domain} | ({domain} if how == "inactive" else set()),
                backup=world.backup - {domain} | ({domain} if how == "backup" else set()),
            )
        self._pass()

    @rule(to=st.sampled_from([None, *DOMAINS]), wait=waits)
    def alias_changes(self, to: str | None, wait: float) -> None:
        """Added, to another target, or gone."""
        self._time(wait)
        there = to in self.world.domains
        self.world = replace(self.world, aliases={ALIAS: str(to)} if there else {})
        self._pass()

    @rule(mailcow=st.sampled_from(MAILCOWS), wait=waits)
    def other_mailcow(self, mailcow: Mailcow, wait: float) -> None:
        """An update, or a way back; rows and file stay where they are."""
        self._time(wait)
        if mailcow.backend is not self.world.mailcow.backend:
            self.good_since = {}
        self.world = replace(self.world, mailcow=mailcow)
        self._pass()

    @rule(
        key=st.sampled_from([*DOMAINS, FILE]),
        what=st.sampled_from(["retire", "stay", "adopt", "move"]),
        wait=waits,
    )
    def person_requests(self, key: str, what: str, wait: float) -> None:
        """A command."""
        self._time(wait)
        memory = self.world.memory
        match what:
            case "retire":
                memory = replace(memory, retired=memory.retired | {key})
            case "stay":
                memory = replace(memory, retired=memory.retired - {key})
            case "adopt":
                memory = replace(memory, adopt=memory.adopt | {key})
            case _:
                memory = replace(memory, moves=(Move(key, OLD, self.world.now),))
        self.world = replace(self.world, memory=memory)
        self._pass()

    @rule(
        ahead=st.sampled_from([0.0, 0.0, 3.0, -60.0, 30 * DAY, 400 * DAY, -365 * DAY]),
        boot=st.booleans(),
        wait=waits,
    )
    def clock_is_set(self, ahead: float, boot: bool, wait: float) -> None:
        """With or without a new start of the machine."""
        self.jumps += ahead > self.ahead
        self.ahead = ahead
        if boot:
            self.boots, self.booted = self.boots + 1, self.passed
        self._go(wait)

    @rule(wait=waits)
    def sidecar_restarts(self, wait: float) -> None:
        """What it remembers goes through the real state store."""
        memory = self._store()
        self._load()
        assert self._stored == memory
        self._go(wait)

    @rule(part=st.sampled_from([part.name for part in parts.PARTS]), rows=st.sampled_from([0, 1]), wait=waits)
    def part_of_the_state_is_lost(self, part: str, rows: int, wait: float) -> None:
        """Some of its rows cannot be read after a restart: that permits no more than the loss of the whole state."""
        self._store()
        if self._state is not None:
            with self._state.writing() as connection:
                connection.execute(
                    "UPDATE part SET value = '{' WHERE name = ? AND (key = '' OR rowid % 2 = ?)", (part, rows)
                )
        self._load()
        self.senders.lost()
        self.good_since = {}
        self._go(wait)

    def _store(self) -> Memory:
        if self._state is None:
            self._folder = tempfile.TemporaryDirectory(prefix="explorer-", dir=_IN_MEMORY)
            self._state = State.open(Path(self._folder.name), NOW)
            self._stored = self._state.load()
        memory = parts.bounded(self._stored, replace(self.world.memory, born=self._stored.born))
        self._state.save(self._stored, memory)
        return memory

    def _load(self) -> None:
        if self._state is not None:
            self._state.close()
        self._state = State.open(Path(self._folder.name if self._folder else ""), self.world.now)
        self._stored = self._state.load()
        self.tally = self._stored.tally
        self.world = replace(self.world, memory=self._stored)

    @rule(wait=waits)
    def state_is_lost(self, wait: float) -> None:
        """A new volume, for instance."""
        self.tally = Tally(0.0, self.tally.last)
        self.senders.lost()
        self.good_since = {}
        self.world = replace(self.world, memory=Memory())
        self._go(wait)

    @rule(done=st.booleans(), wait=waits)
    def killed(self, done: bool, wait: float) -> None:
        """In the middle of a pass: the intents are stored, what came of them is not."""
        self._time(wait)
        self._pass(killed="done" if done else "not done")

    @rule(
        domain=domains, how=st.sampled_from(["good", "bad", "unknown"]), wait=waits, count=st.integers(1, 4)
    )
    def checks_find(self, domain: str, how: str, wait: float, count: int) -> None:
        """What looks as a sender find from now on."""
        self.health[domain] = how
        for _ in range(count):
            self._go(wait)

    @rule(
        what=st.sampled_from(["address", "foreign", "probe", "log", "run drops", "right"]),
        name=st.sampled_from([HOST, *(f"mta-sts.{name}" for name in (*DOMAINS, ALIAS))]),
        wait=waits,
    )
    def acme_fails(self, what: str, name: str, wait: float) -> None:
        """For a name, from now on; or all is right again."""
        self._time(wait)
        world = self.world
        match what:
            case "address":
                world = replace(world, without_address=frozenset({name}))
            case "foreign":
                world = replace(world, foreign_address=frozenset({name}))
            case "probe":
                world = replace(world, challenges={name: Challenge(Answered.NO, "another server")})
            case "log":
                world = replace(world, run=None)
            case "run drops":
                self.dropped = frozenset({name})
            case _:
                self._acme_right()
                world = self.world
        self.world = world
        self._pass()

    def teardown(self) -> None:
        """In the end everything answers, and the passes come to rest."""
        try:
            if self._broken:
                return
            self.world = replace(self.world, dns_unseen=frozenset())
            self._acme_right()
            busy: list[tuple[Action, ...]] = [self._go(DAY).actions for _ in range(24)]
            assert not any(busy[-3:]), f"never came to rest: {busy[-3:]}"
        finally:
            if self._state is not None:
                self._state.close()
            if self._folder is not None:
                self._folder.cleanup()

    def _acme_right(self) -> None:
        self.dropped = frozenset()
        self.world = replace(
            self.world,
            without_address=frozenset(),
            foreign_address=frozenset(),
            challenges={},
            run=World().run,
        )

    # --- a pass -----------------------------------------------------------------------------------------

    def _go(self, wait: float) -> Plan:
        self._time(wait)
        return self._pass()

    def _time(self, wait: float) -> None:
        self.passed += wait
        self.tally = self.tally.until(UptimeReading(str(self.boots), self.passed - self.booted))

    def _settings(self) -> Settings:
        own = {name: {"mode": mode} for name, mode in self.own.items()}
        return _chosen(json.dumps({**self.common, "domains": own}, sort_keys=True))

    def _pass(self, unseen: frozenset[str] = frozenset(), killed: str | None = None) -> Plan:
        chosen = self._settings()
        world = replace(
            self.world, now=NOW + self.passed + self.ahead, counted=self.tally.seconds, unseen=unseen
        )
        world = replace(world, memory=replace(world.memory, tally=self.tally))
        self._serve(world)
        seen = self._observed(world, chosen)
        seen = learn_all(seen, chosen)
        plan = decide(seen, chosen)
        self._note_seen(seen)
        before = replace(world, memory=without_moot_requests(seen, plan))
        on_no_unseen_basis(plan, seen)
        off = dict(self.off)
        after = applied(before, plan.actions, self.off, self.dropped)
        changes = list(changes_of(before, after))
        self._broken = True
        for change in changes:
            self._judge(change, before)
        for action in plan.actions:
            self._judge_person(action, before, off)
        self._judge_run(before, plan, off)
        no_runs = [a for a in plan.actions if not isinstance(a, RestartAcme | RecreateAcme)]
        again = applied(after, no_runs, dict(self.off), self.dropped)
        assert (again.served, again.file) == (after.served, after.file), f"done twice: {no_runs}"
        self._broken = False
        for change in changes:
            self.authors[change.key] = "sidecar"
            if (policy := read(change.text)) is not None:
                self.written.setdefault(change.key, []).append(policy)
        for action in plan.actions:
            if isinstance(action, AdoptSame | WriteFile):
                self.authors[FILE if isinstance(action, WriteFile) else action.key] = "sidecar"
        if killed:
            after = cut_off(before, after, plan.actions, done=killed == "done")
            self.off = self.off if killed == "done" else off
        self.world = replace(after, unseen=frozenset())
        self._serve(self.world)
        for name in self.senders.answered if not killed else ():
            if any(change.key in {name, FILE, self.world.aliases.get(name)} for change in changes):
                self.senders.seen(name)
        return plan

    def _observed(self, world: World, chosen: Settings) -> Observed:
        seen = observed(world)
        seen = replace(seen, memory=replace(seen.memory, tally=self.tally))
        if isinstance(seen.domains, Seen):
            listed, memory, _ = believe(seen.memory, seen.domains, chosen.intervals)
            served = dict(seen.served)
            if world.mailcow.backend is Backend.NATIVE:
                # mailcow answers for a domain that it has no longer: there is no policy.
                for domain in listed.value.domains:
                    served.setdefault(domain.name, Seen(Served(None), world.now))
            seen = replace(seen, domains=listed, memory=memory, served=served)
        if isinstance(seen.domains, Seen) and isinstance(seen.mailcow, Seen):
            seen = replace(seen, views=tuple(self._views(world)))
        return seen

    def _views(self, world: World) -> Iterable[SenderView]:
        for name in world.domains:
            policy = read(text_for(world, name))
            if policy is None or name in world.inactive | world.backup:
                continue
            found: list[Code] = list(GOOD)
            known = True
            if self.health.get(name) == "bad":
                found[3] = codes.MX_CERT_EXPIRED
            elif self.health.get(name) == "unknown" or name in world.dns_unseen:
                found, known = [codes.MX_UNKNOWN], False
            elif not all(policy.covers(host) for host in hosts_of(world, name)) or not hosts_of(world, name):
                found[2] = codes.MX_UNCOVERED
            if found == list(GOOD):
                self.good_since.setdefault(name, (self.passed, self.jumps))
            elif known:
                self.good_since.pop(name, None)
            yield SenderView(
                name, world.now, tuple(Finding.of(c, name, c.meaning) for c in found), None, shared=False
            )

    def _serve(self, world: World) -> None:
        for name in (*DOMAINS, ALIAS):
            self.senders.serve(name, text_for(world, name), self.passed)

    def _note_seen(self, seen: Observed) -> None:
        if not isinstance(seen.mailcow, Seen):
            return
        by_file = seen.mailcow.value.backend is Backend.FILE
        for name in (*self.world.domains, *self.world.aliases):
            key = self.world.aliases.get(name, name)
            if isinstance(seen.file if by_file else seen.served_of(key), Seen):
                self.senders.seen(name)
            found = seen.dns.mx_of(name)
            if isinstance(found, Seen) and isinstance(seen.domains, Seen):
                self.senders.seen_hosts(name, found.value, self.passed)


@lru_cache(maxsize=1_000)
def _chosen(config: str) -> Settings:
    return given_settings(json.loads(config))


def explore(examples: int, *, fixed: bool = False) -> None:
    """So many sequences; a failing one is shown with the fewest steps that show it."""
    began, done = time.monotonic(), 0

    class Counted(Explorer):
        def teardown(self) -> None:
            nonlocal done
            super().teardown()
            done += 1
            if not fixed and done % 50 == 0:
                print(f"{done} sequences, {time.monotonic() - began:.0f} s", flush=True)

    run_state_machine_as_test(
        Counted,
        settings=settings(
            max_examples=examples,
            stateful_step_count=40,
            deadline=None,
            derandomize=fixed,
            database=None,
            print_blob=False,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        ),
    )


if __name__ == "__main__":
    explore(int(sys.argv[1]) if len(sys.argv) > 1 else 2_000)
    print("no claim was broken")
