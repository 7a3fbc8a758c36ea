"""From looks as a sender to what is served: whole roll-outs on both generations, by a simulated clock."""

from dataclasses import dataclass, field, replace

import pytest

from sidecar.formats.mtasts_policy import Mode
from sidecar.observed import FILE, Move, Observed, SenderView
from sidecar.observed.checks import Code, Finding, Stage
from sidecar.observed.notice import Level
from sidecar.plan import decide
from sidecar.plan.actions import Plan
from sidecar.plan.ownership import served_mode
from sidecar.plan.policy_ids import derived
from sidecar.reconcile.passes import learn_all
from sidecar.rollout import FAILURES_TO_STEP_BACK, stage
from sidecar.settings import Settings
from sidecar.status.once import Once
from sidecar.verify import probe_codes as codes
from tests.worlds import FILE_MAILCOW, HOST, NOW, World, advance, given_settings, observed, text

HOUR = 3_600.0
GOOD = (codes.TXT_FOUND, codes.POLICY_FETCHED, codes.MX_COVERED, codes.MX_TLS, codes.TLSRPT_FOUND)


def view(domain: str, at: float, *found: Code, identity: str | None = None) -> SenderView:
    """A look that found these."""
    return SenderView(
        domain, at, tuple(Finding.of(c, domain, c.meaning) for c in found), identity, shared=False
    )


@dataclass
class Play:
    """A world in which a domain is looked at every hour."""

    world: World
    settings: Settings
    messages: list[str] = field(default_factory=list)
    last: Plan = field(default_factory=Plan)

    def step(self, *views: SenderView) -> Observed:
        """One pass with these looks."""
        seen = learn_all(replace(observed(self.world), views=views), self.settings)
        self.last = decide(seen, self.settings)
        self.messages += [n.message for n in self.last.notices if n.message not in self.messages]
        after = advance(replace(self.world, memory=seen.memory), self.last.actions)
        self.world = replace(after, now=self.world.now + HOUR)
        return seen

    def hours(self, count: int, *found: Code, domains: tuple[str, ...] = ("example.org",)) -> None:
        """So many hourly looks that find the same."""
        for _ in range(count):
            self.step(*(view(domain, self.world.now, *found) for domain in domains))

    @property
    def modes(self) -> dict[str, Mode | None]:
        """What is served."""
        seen = observed(self.world)
        return {key: served_mode(seen, key) for key in (*self.world.domains, FILE)}


def native(**changes: object) -> Play:
    """A native mailcow whose certificate has all names, with `mode: auto` and a soak of a day."""
    names = frozenset({HOST, "mta-sts.example.org", "mta-sts.example.net"})
    world = World(names=names, **changes)  # type: ignore[arg-type]
    return Play(world, given_settings({"mode": "auto", "soak": 86_400}))


def filed(*domains: str) -> Play:
    """A mailcow that serves one file for these domains, with all entries in mailcow.conf."""
    conf = {"ADDITIONAL_SAN": "mta-sts.*", "ADDITIONAL_SERVER_NAMES": "mta-sts.*"}
    return native(mailcow=FILE_MAILCOW, conf=conf, domains=domains)


def test_whole_rollout_of_a_domain() -> None:
    """Testing for the soak; enforce with its max_age in one write; failing; testing again; and enforce once more."""
    play = native()
    play.hours(1)
    assert play.world.served == {"example.org": text(Mode.TESTING, 86_400)}
    play.hours(24, *GOOD)
    assert play.world.served == {"example.org": text(Mode.TESTING, 86_400)}
    play.hours(1, *GOOD)
    assert play.world.served == {"example.org": text(Mode.ENFORCE, 604_800)}
    play.hours(1, *GOOD)
    assert not [message for message in play.messages if "fails" in message]
    broken = (*GOOD[:3], codes.MX_CERT_EXPIRED)
    play.hours(FAILURES_TO_STEP_BACK - 1, *broken)
    assert play.world.served == {"example.org": text(Mode.ENFORCE, 604_800)}
    assert any(
        "is in enforce, and its checks fail: example.org: The MX host's certificate has expired." in m
        for m in play.messages
    )
    play.hours(1, *broken)
    assert play.world.served == {"example.org": text(Mode.TESTING, 86_400)}
    play.hours(24, *GOOD)
    assert play.world.served == {"example.org": text(Mode.TESTING, 86_400)}
    play.hours(2, *GOOD)
    assert play.world.served == {"example.org": text(Mode.ENFORCE, 604_800)}


@pytest.mark.parametrize(
    "found",
    [
        (),
        (*GOOD[:3], codes.MX_UNREACHABLE),
        (codes.TXT_TIMEOUT, *GOOD[1:]),
        (codes.TXT_NONE, *GOOD[1:]),
        (codes.TXT_FOUND, codes.POLICY_REFUSED, *GOOD[2:]),
        (*GOOD[:2], codes.MX_UNKNOWN, codes.MX_TLS),
    ],
    ids=["never looked", "MX not reached", "DNS silent", "no record", "policy not reached", "MX not known"],
)
def test_nothing_is_raised_on_what_is_unknown_or_missing(found: tuple[Code, ...]) -> None:
    """However long it lasts: five times the soak here."""
    play = native()
    play.hours(24 * 5, *found)
    assert play.modes["example.org"] is Mode.TESTING


def test_missing_record_or_policy_steps_nothing_back() -> None:
    """Senders go on with what they hold; the administrator is notified at once."""
    play = native()
    play.hours(27, *GOOD)
    assert play.modes["example.org"] is Mode.ENFORCE
    play.hours(20, codes.TXT_NONE, codes.POLICY_STATUS, codes.MX_COVERED, codes.MX_TLS)
    assert play.modes["example.org"] is Mode.ENFORCE
    assert [n.level for n in play.last.notices if n.code == "rollout.unseen"] == [Level.WARNING]
    play.hours(1, *GOOD[:2], codes.MX_UNCOVERED, codes.MX_TLS)
    assert [n.level for n in play.last.notices if n.code == "rollout.failing"] == [Level.ERROR]


def test_one_file_is_held_back_by_its_weakest_domain() -> None:
    """Which is named; and raised for all together."""
    both = ("example.org", "example.net")
    play = filed(*both)
    play.hours(1)
    for _ in range(30):
        at = play.world.now
        play.step(view("example.org", at, *GOOD), view("example.net", at, codes.TXT_NONE, *GOOD[1:]))
    assert play.modes[FILE] is Mode.TESTING
    (blocking,) = play.world.memory.rollout(FILE).blocking()
    assert blocking.message.startswith("example.net: ")
    play.hours(26, *GOOD, domains=both)
    assert play.world.file == text(Mode.ENFORCE, 604_800).encode()


def test_domain_in_testing_by_word_is_said_to_be_ready() -> None:
    """`mode: testing` stays, and the status says when there could be more."""
    play = native()
    play.settings = given_settings({"soak": 86_400})
    play.hours(27, *GOOD)
    assert play.modes["example.org"] is Mode.TESTING
    assert [n.code for n in play.last.notices] == ["rollout.ready"]
    assert stage(play.world.memory.rollout("example.org"), Mode.TESTING, 86_400) is Stage.READY


def test_id_that_did_not_follow_a_loosened_policy_is_critical() -> None:
    """Senders go on refusing: the record is wrong until the id is new."""
    play = filed("example.org")
    play.settings = given_settings({"mode": "enforce"})
    play.hours(1)
    assert play.world.file is not None
    old = derived(play.world.file)
    play.step(view("example.org", play.world.now, *GOOD, identity=old))
    play.settings = given_settings({"mode": "testing"})
    play.hours(1)
    play.step(view("example.org", play.world.now, *GOOD, identity=old))
    record = play.world.memory.checks["example.org"]
    assert [(f.code, f.severity) for f in record.findings if f.code.startswith("id-")] == [
        ("id-stale", "critical")
    ]
    assert play.world.memory.rollout(FILE).blocking()[0].reason == "id-stale"
    new = derived(play.world.file)
    play.step(view("example.org", play.world.now, *GOOD, identity=new))
    assert play.world.memory.rollout(FILE).blocking() == ()


def test_each_stage_of_one_file_has_its_own_policy_and_id() -> None:
    """Testing, enforce, testing after a failure, enforce again, and the way out: none, and then no file."""
    play = filed("example.org")
    seen: list[tuple[str | None, str | None]] = []

    def note() -> None:
        data = play.world.file
        now = (None, None) if data is None else (data.decode(), derived(data))
        if not seen or seen[-1] != now:
            seen.append(now)

    def hours(count: int, *found: Code) -> None:
        for _ in range(count):
            play.hours(1, *found)
            note()

    hours(1)
    hours(26, *GOOD)
    hours(FAILURES_TO_STEP_BACK, *GOOD[:2], codes.MX_UNCOVERED, codes.MX_TLS)
    hours(27, *GOOD)
    play.world = replace(play.world, memory=replace(play.world.memory, retired=frozenset({FILE})))
    hours(24 * 8, *GOOD)
    testing, enforce, none = text(Mode.TESTING, 86_400), text(Mode.ENFORCE, 604_800), text(Mode.NONE, 86_400)
    assert [one for one, _ in seen] == [testing, enforce, testing, enforce, none, None]
    ids = [identity for _, identity in seen]
    assert ids[:2] == ids[2:4]
    assert len(set(ids)) == 4


def test_domain_that_is_gone_is_forgotten() -> None:
    """A new one of that name starts without it."""
    play = native(domains=("example.org", "example.net"))
    play.hours(30, *GOOD, domains=("example.org", "example.net"))
    play.world = replace(
        play.world, domains=("example.net",), served={"example.net": play.world.served["example.net"]}
    )
    play.hours(1, *GOOD, domains=("example.net",))
    assert set(play.world.memory.rollouts) == set(play.world.memory.checks) == {"example.net"}


def test_nothing_is_learned_of_a_domain_that_is_not_ours_to_judge() -> None:
    """Excluded, or unknown to mailcow."""
    play = native()
    play.settings = given_settings({"exclude": ["example.org"]})
    play.step(view("example.org", NOW, *GOOD), view("other.example", NOW, *GOOD))
    assert play.world.memory.rollouts == {}


def one_file(*domains: str) -> Play:
    """A mailcow that serves one file for these domains, in enforce by `mode: auto`."""
    play = filed(*domains)
    play.hours(28, *GOOD, domains=domains)
    assert play.modes[FILE] is Mode.ENFORCE
    return play


def test_domain_that_joins_makes_the_common_soak_begin_anew() -> None:
    """It is served the same file: nobody has looked at it for as long as the soak takes."""
    play = filed("example.org")
    play.hours(23, *GOOD)
    both = ("example.org", "example.net")
    play.world = replace(play.world, domains=both)
    play.hours(24, *GOOD, domains=both)
    assert play.modes[FILE] is Mode.TESTING
    play.hours(2, *GOOD, domains=both)
    assert play.modes[FILE] is Mode.ENFORCE


@pytest.mark.parametrize("soak", [0, 86_400])
def test_nothing_is_raised_before_a_domain_that_joined_was_looked_at(soak: int) -> None:
    """All others have soaked for long, under `mode: testing`; it and `mode: auto` come together."""
    play = filed("example.org")
    play.settings = given_settings({"mode": "testing", "soak": soak})
    play.hours(40, *GOOD)
    play.settings = given_settings({"mode": "auto", "soak": soak})
    play.world = replace(play.world, domains=("example.org", "example.net"))
    play.hours(2, domains=())
    assert play.modes[FILE] is Mode.TESTING


def test_domain_that_joins_by_its_own_word_makes_nobody_wait() -> None:
    """`mode: enforce` is a person's word for it."""
    play = filed("example.org")
    play.settings = given_settings(
        {"mode": "auto", "soak": 86_400, "domains": {"example.net": {"mode": "enforce"}}}
    )
    play.hours(23, *GOOD)
    both = ("example.org", "example.net")
    play.world = replace(play.world, domains=both)
    play.hours(5, *GOOD, domains=both)
    assert play.modes[FILE] is Mode.ENFORCE


def test_domain_that_joins_a_file_in_enforce_steps_nothing_back() -> None:
    """The others lose nothing; what checks find of it may step the file back."""
    play = one_file("example.org")
    both = ("example.org", "example.net")
    play.world = replace(play.world, domains=both)
    play.hours(3, *GOOD, domains=both)
    assert play.modes[FILE] is Mode.ENFORCE
    for _ in range(FAILURES_TO_STEP_BACK):
        at = play.world.now
        play.step(view("example.org", at, *GOOD), view("example.net", at, *BROKEN))
    assert play.modes[FILE] is Mode.TESTING


BROKEN = (*GOOD[:3], codes.MX_CERT_EXPIRED)


def test_looks_at_other_domains_make_no_second_look_at_the_failing_one() -> None:
    """One file for all: it was seen once, however many batches of other domains come after it."""
    play = one_file("example.org", "example.net")
    play.step(view("example.org", play.world.now, *BROKEN))
    for _ in range(FAILURES_TO_STEP_BACK * 3):
        play.world = replace(play.world, now=play.world.now - HOUR + 10)
        play.step(view("example.net", play.world.now, *GOOD))
    assert play.modes[FILE] is Mode.ENFORCE
    play.hours(FAILURES_TO_STEP_BACK - 1, *BROKEN, domains=("example.org",))
    assert play.modes[FILE] is Mode.TESTING


def test_asking_again_and_again_steps_nothing_back() -> None:
    """A person who presses the button sees one trouble, not three."""
    play = native()
    play.hours(27, *GOOD)
    for _ in range(FAILURES_TO_STEP_BACK * 3):
        play.hours(1, *BROKEN)
        play.world = replace(play.world, now=play.world.now - HOUR + 10)
    pressed = play.modes["example.org"]
    play.hours(FAILURES_TO_STEP_BACK, *BROKEN)
    assert (pressed, play.modes["example.org"]) == (Mode.ENFORCE, Mode.TESTING)


def test_step_back_of_one_file_counts_where_only_domains_have_mode_auto() -> None:
    """Without that, a soak of nothing would raise it again with the next good look."""
    play = one_file("example.org")
    play.settings = given_settings({"soak": 0, "domains": {"example.org": {"mode": "auto"}}})
    play.hours(1, *BROKEN)
    assert any("sets it back to testing" in message for message in play.messages)
    play.hours(FAILURES_TO_STEP_BACK, *BROKEN)
    assert play.modes[FILE] is Mode.TESTING
    play.hours(20, *GOOD)
    assert play.modes[FILE] is Mode.TESTING
    play.hours(10, *GOOD)
    assert play.modes[FILE] is Mode.ENFORCE


def test_stage_is_that_of_the_file_or_of_the_target_of_an_alias() -> None:
    """Metrics and notifications tell it."""
    play = one_file("example.org", "example.net")
    assert {row.stage for row in Once(play.step(), Plan(), play.settings)().rows} == {Stage.ENFORCED}
    play.hours(1, *BROKEN)
    assert {row.stage for row in Once(play.step(), Plan(), play.settings)().rows} == {Stage.FAILING}


def test_wishes_for_a_deleted_domain_are_over() -> None:
    """One that gets its name later is not taken out of MTA-STS for them; what is wished for all stays."""
    play = native(domains=("example.org", "example.net"))
    play.hours(1)
    moves = (Move("example.org", "mx2.example.org", NOW), Move(FILE, "mx3.example.org", NOW))
    wished = replace(play.world.memory, retired=frozenset({"example.org", "example.net"}), moves=moves)
    play.world = replace(play.world, memory=wished)
    play.step()
    assert play.world.memory.retired == {"example.org", "example.net"}
    play.world = replace(play.world, domains=("example.net",), served={})
    play.step()
    assert play.world.memory.retired == {"example.net"}
    assert play.world.memory.moves == moves[1:]


def test_nothing_is_told_of_checks_that_were_switched_off_since() -> None:
    """Nobody could make it go away."""
    play = native()
    play.hours(27, *GOOD)
    play.hours(1, *BROKEN)
    assert [n.code for n in play.last.notices] == ["rollout.failing"]
    play.settings = given_settings({"mode": "auto", "soak": 86_400, "verify": False})
    play.step()
    assert play.last.notices == ()
