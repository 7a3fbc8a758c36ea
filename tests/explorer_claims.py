"""What the explorer (`explorer`) claims of every pass, whatever happened before it.

The claims are those of RFC 8461 §3.3, §5 and §8, of people whose policies these are, and of the certificate's names.
"""

from dataclasses import replace
from typing import assert_never

from hypothesis.stateful import RuleBasedStateMachine

from sidecar.formats.mtasts_policy import Mode, Policy
from sidecar.observed import FILE, Observed, Unseen
from sidecar.plan.acme.script import names_asked
from sidecar.plan.actions import (
    Action,
    AddPolicy,
    AdoptSame,
    AllowAccess,
    ChangeReportRoute,
    EditConf,
    EditPolicy,
    HealAcme,
    Plan,
    PublishRecords,
    RecreateAcme,
    RemoveFile,
    RestartAcme,
    SwitchOff,
    WriteFile,
)
from tests.explorer_world import HOUR, SOAK, Change, applied, hosts_of, receives, served_names
from tests.senders import Senders, read
from tests.worlds import HOST, World, _ordered


class Claims(RuleBasedStateMachine):
    """What is true of the world, whatever the sidecar believes."""

    def __init__(self) -> None:
        super().__init__()
        self.senders = Senders()
        self.common: dict[str, object] = {"soak": SOAK}
        self.own: dict[str, str] = {}
        self.off: dict[str, str] = {}
        """Native: rows that are switched off, and by whom."""
        self.authors: dict[str, str] = {}
        """Whose the text of a row or of the file is: the sidecar's, a person's, or either's."""
        self.written: dict[str, list[Policy]] = {}
        self.passed = 0.0
        self.good_since: dict[str, tuple[float, int]] = {}
        """Since when checks of a domain find nothing wrong, and how often the clock was set before that."""
        self.jumps = 0
        self.dropped: frozenset[str] = frozenset()

    def _judge(self, change: Change, world: World) -> None:
        was, now = read(change.was), read(change.text)
        if now is None:
            for name in served_names(world, change.key):
                held = list(self.senders.held(name, self.passed))
                assert not held, f"{name}: withdrawn while senders may hold {held} (RFC 8461 §8.3): {change}"
            return
        if now.mode is not Mode.ENFORCE:
            self._judge_weaker(change, was, now, world)
            return
        if was is None or was.mode is not Mode.ENFORCE:
            self._judge_cause(change, world)
        self._judge_mx(change, was, now, world)

    def _judge_mx(self, change: Change, was: Policy | None, now: Policy, world: World) -> None:
        """Every MX is covered, and no pattern goes that senders or the DNS still need."""
        stricter = was is None or was.mode is not Mode.ENFORCE
        for name in served_names(world, change.key):
            if name in world.dns_unseen:
                put_back = change.key == FILE and was is None
                assert not stricter or put_back, f"{name}: enforce on an MX that nobody saw: {change}"
                continue
            uncovered = [host for host in hosts_of(world, name) if not now.covers(host)]
            if stricter:
                assert not uncovered, f"{name}: enforce without {uncovered}: {change}"
                assert hosts_of(world, name) or not receives(world, name), f"{name}: enforce without any MX"
            lost = [host for host in uncovered if was is not None and was.covers(host)]
            assert not lost, f"{name}: mx dropped that covers {lost}: {change}"
            if not receives(world, name):
                continue
            for policy, max_age in self.senders.held(name, self.passed):
                for pattern in set(policy.mx) - set(now.mx):
                    ago = self.senders.matched_ago(name, pattern, self.passed)
                    assert ago >= max_age, (
                        f"{name}: {pattern} dropped {ago:.0f} s after it was an MX: {change}"
                    )

    def _mode_of(self, name: str) -> str:
        return self.own.get(name, str(self.common.get("mode", "testing")))

    def _judge_cause(self, change: Change, world: World) -> None:
        """Enforce, where something else was served before."""
        last = self.written.get(FILE, [])[-1:]
        if change.key == FILE and read(change.was) is None and last and last[0].mode is Mode.ENFORCE:
            return  # put back as it was
        receiving = [n for n in served_names(world, change.key) if receives(world, n)]
        for name in receiving:
            mode = self._mode_of(name)
            assert mode in {"auto", "enforce"}, f"{name}: enforce without being asked for: {change}"
            if mode == "auto":
                since, jumps = self.good_since.get(name, (float("inf"), 0))
                slack = (self.jumps - jumps) * 2 * HOUR
                assert self.passed - since >= SOAK - slack, f"{name}: enforce without the soak: {change}"

    def _judge_weaker(self, change: Change, was: Policy | None, now: Policy, world: World) -> None:
        """From enforce to less: by the settings, a request to leave, a domain that takes no mail, or what checks found."""
        if was is None or was.mode is not Mode.ENFORCE or self.authors.get(change.key) != "sidecar":
            return
        retired = world.memory.retired & {change.key, FILE}
        believed = world.memory.believed.domains if world.memory.believed else ()
        concerned = [domain.name for domain in believed] if change.key == FILE else [change.key]
        asked = all(self._mode_of(name) == "enforce" and receives(world, name) for name in concerned)
        assert retired or not asked, f"weaker without a cause: {change}"

    def _judge_person(self, action: Action, world: World, off: dict[str, str]) -> None:
        """What a person wrote, or switched off, stays so unless it was adopted."""
        key = FILE if isinstance(action, WriteFile | RemoveFile) else getattr(action, "domain", "")
        if not key or isinstance(action, AddPolicy):
            return
        text = world.served.get(key) if key != FILE else None if world.file is None else world.file.decode()
        adopted = "adopt" in self.common or key in world.memory.adopt
        if isinstance(action, EditPolicy) and text is None:
            assert adopted or off.get(key) != "person", f"switched on what a person switched off: {action}"
        if text is None or adopted or self.authors.get(key) != "person":
            return
        assert isinstance(action, WriteFile), f"a person's policy: {action}"
        theirs, ours = read(text), read(action.text)
        if theirs is None or ours is None:
            return  # a broken file is made whole
        named = {*self.common, *(["mode"] if self.own else [])}
        assert "mode" in named or ours.mode.strength >= theirs.mode.strength, f"undercut: {action}"
        assert "max_age" in named or ours.max_age >= theirs.max_age, f"undercut: {action}"
        assert "mx" in named or set(theirs.mx) <= set(ours.mx), f"undercut: {action}"

    def _judge_run(self, world: World, plan: Plan, off: dict[str, str]) -> None:
        """acme-mailcow is never restarted where that would cost a name."""
        before = world
        for action in plan.actions:
            if not isinstance(action, RestartAcme | RecreateAcme):
                world = applied(world, [action], dict(off), self.dropped)
                continue
            if isinstance(action, RecreateAcme):
                world = replace(world, acme_san=action.environment["ADDITIONAL_SAN"])
            asked = names_asked(
                world.mailcow, world.conf_value(), world.acme_value(), world.listed(), frozenset(world.served)
            ).all
            passing = _ordered(world)
            assert HOST in passing, f"the hostname would drop out: {action}"
            lost = sorted((before.names & asked) - passing)
            assert not lost, f"{lost} would drop out: {action}"
            assert set(action.names) <= passing, f"in vain: {action}"


def on_no_unseen_basis(plan: Plan, seen: Observed) -> None:
    """Whatever is done, what it is done for was seen in this pass."""
    for action in plan.actions:
        basis: list[object] = []
        match action:
            case AddPolicy(domain=domain) | EditPolicy(domain=domain) | SwitchOff(domain=domain):
                basis = [seen.mailcow, seen.domains, seen.served_of(domain)]
            case WriteFile() | RemoveFile():
                basis = [seen.mailcow, seen.domains, seen.file]
            case EditConf():
                basis = [seen.mailcow, seen.domains, seen.conf]
            case RestartAcme() | RecreateAcme():
                basis = [seen.mailcow, seen.domains, seen.conf, seen.project, seen.certificates]
            case AdoptSame():
                basis = [seen.mailcow, seen.domains]
            case ChangeReportRoute():
                basis = [seen.mailcow, seen.domains, seen.report_route]
            case HealAcme():
                basis = [seen.project]
            case AllowAccess():
                basis = [seen.conf]
            case PublishRecords():
                basis = [seen.domains]
            case _:
                assert_never(action)
        unseen = [part for part in basis if isinstance(part, Unseen)]
        assert not unseen, f"{unseen}: {action}"
