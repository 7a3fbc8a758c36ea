"""Each event is sent once; missing information is not an event; a flapping error is sent once."""

import itertools
from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.formats.mtasts_policy import Mode
from sidecar.notify.events import Notification, Notified, PassView, news, view_of
from sidecar.observed import CheckRecord, Memory
from sidecar.observed.checks import (
    NEEDED,
    ConditionType,
    Finding,
    Judgement,
    Rollout,
    Severity,
    Stage,
    Status,
)
from sidecar.observed.notice import Level, Notice, NoticeCode
from sidecar.plan.actions import Plan
from sidecar.rollout import checked
from sidecar.settings import NotificationKind, Settings
from sidecar.status.once import Once
from sidecar.status.repeats import QUIET_S, STEADY_S
from tests.notify.views import DENIED, EXPIRED, view
from tests.web.fakes import GivenDomain as Given
from tests.web.fakes import report_of, status_once
from tests.worlds import FILE_MAILCOW, NOW, World, given_settings, observed, text

AWAY_S = STEADY_S[0]
STAGE, ERROR, RECOVERY = NotificationKind.STAGE, NotificationKind.ERROR, NotificationKind.RECOVERY


def after(*views: PassView, notified: Notified | None = None) -> tuple[Notified, list[Notification]]:
    """What people know after these views, and all events that were sent."""
    found: list[Notification] = []
    for one in views:
        notified, events = news(notified, one)
        found += events
    assert notified is not None
    return notified, found


def kinds(events: Iterable[Notification]) -> list[NotificationKind]:
    """What kinds of events they are, in order."""
    return [event.kind for event in events]


# --- stages ----------------------------------------------------------------------------------------------


def test_change_of_stage_is_sent_once_with_both_stages() -> None:
    """The first view is only taken down."""
    ready = view(stages={"a.example": Stage.READY}, at=60)
    _, events = after(view(), view(at=30), ready, replace(ready, at=NOW + 90))
    (event,) = events
    assert (event.kind, event.subject, event.was, event.now) == (STAGE, "a.example", "soaking", "ready")
    assert event.at == NOW + 60


@pytest.mark.parametrize(
    "unknown",
    [
        {"a.example": None},  # what is served was not seen
        {"a.example": Stage.CHECKING},  # a check could not be made
        None,  # mailcow's list was not seen
    ],
)
def test_unknown_stage_is_not_a_change(unknown: dict[str, Stage | None] | None) -> None:
    """Neither when it begins nor when it ends; changes in between are sent afterwards."""
    dark = replace(view(at=30), stages=None) if unknown is None else view(at=30, stages=unknown)
    assert after(view(), dark, view(at=60))[1] == []
    (event,) = after(view(), dark, view(at=60, stages={"a.example": Stage.BLOCKED}))[1]
    assert (event.was, event.now) == ("soaking", "blocked")


def test_new_or_removed_domain_is_not_an_event() -> None:
    """It is known from then on; one that went and came back is new."""
    both = view(stages={"a.example": Stage.SOAKING, "b.example": Stage.PUBLISHING}, at=30)
    notified, events = after(view(), both, view(at=60), replace(both, at=NOW + 90))
    assert events == []
    assert set(notified.stages) == {"a.example", "b.example"}


def test_failing_is_critical() -> None:
    """And no other stage is."""
    stages = [Stage.ENFORCED, Stage.FAILING, Stage.ENFORCED]
    _, events = after(*(view(at=n, stages={"a.example": stage}) for n, stage in enumerate(stages)))
    assert [event.critical for event in events] == [True, False]


# --- errors ----------------------------------------------------------------------------------------------


def test_error_and_its_end_are_sent_once() -> None:
    """Also an error in the first pass; its end is sent only after it has been absent for a while."""
    over = [view(at=100), view(at=100 + AWAY_S - 1), view(at=100 + AWAY_S), view(at=5_000)]
    notified, events = after(view(EXPIRED), view(EXPIRED, at=30), *over)
    assert kinds(events) == [ERROR, RECOVERY]
    assert events[0].todo == "renew it"
    assert events[1].at == NOW + 100 + AWAY_S
    assert notified.troubles == {}


def test_error_that_comes_and_goes_is_sent_once() -> None:
    """However often; its end is counted from when it was seen last."""
    flapping = [view(*([EXPIRED] if n % 2 else []), at=300 * n) for n in range(1, 20)]
    _, events = after(*flapping)
    assert kinds(events) == [ERROR]
    _, events = after(*flapping, view(at=6_000), view(at=6_000 + AWAY_S))
    assert kinds(events) == [ERROR, RECOVERY]


def test_error_that_comes_back_after_a_day_is_sent_again() -> None:
    """Even if its end was never sent, because it was never absent for long; then its end is sent, too."""
    flapping = [view(*([EXPIRED] if n % 2 else []), at=300 * n) for n in range(1, 500)]
    notified, events = after(*flapping)
    assert [(event.kind, event.was) for event in events] == [(ERROR, ""), (ERROR, "error")]
    assert events[1].at - events[0].at == QUIET_S
    _, ends = after(view(at=600 * 300), view(at=600 * 300 + AWAY_S), notified=notified)
    assert kinds(ends) == [RECOVERY]


def test_error_that_comes_back_after_its_end_was_sent_is_sent_again() -> None:
    """Else people would think that it is over; and its next end waits for longer, so that they hear little of it."""
    notified: Notified | None = None
    events: list[Notification] = []
    for minutes in range(0, 24 * 60, 5):
        here = minutes % 30 < 15  # for a quarter of an hour there, and for as long away
        notified, found = news(notified, view(*([EXPIRED] if here else []), at=60 * minutes))
        events += found
    assert kinds(events) == [ERROR, RECOVERY, ERROR]
    times = [event.at - NOW for event in events]
    assert times == [0, 15 * 60 + AWAY_S, 30 * 60]


def test_end_counts_less_when_the_last_one_is_long_ago() -> None:
    """A day later an error is as good as a new one."""
    begun = QUIET_S + 2 * AWAY_S
    quick = (view(EXPIRED), view(at=60), view(at=60 + AWAY_S), view(EXPIRED, at=begun))
    _, events = after(*quick, view(at=begun + 60), view(at=begun + 60 + AWAY_S))
    assert kinds(events) == [ERROR, RECOVERY] * 2


def test_new_words_are_not_a_new_error_but_a_worse_one_is() -> None:
    """A number of days in the text changes every day."""
    other = replace(EXPIRED, message="the certificate ended 2 days ago")
    worse = replace(EXPIRED, critical=True)
    _, events = after(
        view(EXPIRED), view(other, at=30), view(worse, at=60), view(worse, at=90), view(EXPIRED, at=120)
    )
    assert [(event.critical, event.was) for event in events] == [(False, ""), (True, "error")]


UNSEEN = {
    "the host could not be probed": view(at=30, unseen=frozenset({("a.example", "mx.a.example")})),
    "the domain was not checked since the state was lost": view(
        at=30, unseen=frozenset({("a.example", "*")})
    ),
}


@pytest.mark.parametrize("dark", UNSEEN.values(), ids=UNSEEN)
def test_finding_that_was_not_checked_is_not_over(dark: PassView) -> None:
    """For however long."""
    later = replace(dark, at=NOW + 10 * AWAY_S)
    notified, events = after(view(EXPIRED), dark, later)
    assert kinds(events) == [ERROR]
    assert set(notified.troubles) == {EXPIRED.key}


def test_notice_is_not_over_while_mailcow_does_not_answer() -> None:
    """What was planned then came from an older list; a finding of a check, which asks others, may be over."""
    views = [view(DENIED, EXPIRED), view(at=30, blind=True), view(at=2_000, blind=True)]
    notified, events = after(*views)
    assert [(event.kind, event.code) for event in events] == [
        (ERROR, DENIED.code),
        (ERROR, EXPIRED.code),
        (RECOVERY, EXPIRED.code),
    ]
    assert set(notified.troubles) == {DENIED.key}
    assert kinds(after(view(at=2_100), view(at=3_000), notified=notified)[1]) == [RECOVERY]


def test_errors_of_a_removed_domain_are_forgotten_silently() -> None:
    """Nothing recovered."""
    of_domain = replace(DENIED, code="mx.uncovered", subject="a.example")
    notified, events = after(view(EXPIRED, of_domain), view(at=30, stages={}), view(at=9_000, stages={}))
    assert kinds(events) == [ERROR, ERROR]
    assert notified == Notified()


STAGES = st.sampled_from([*Stage, None])
VIEWS = st.lists(
    st.tuples(
        STAGES,
        st.booleans(),
        st.booleans(),
        st.booleans(),
        st.one_of(st.floats(0, 1_000), st.floats(0, 2 * QUIET_S)),
    ),
    min_size=1,
    max_size=20,
)


@given(VIEWS)
def test_sent_events_add_up_to_what_people_know(
    steps: list[tuple[Stage | None, bool, bool, bool, float]],
) -> None:
    """Each end follows its error, each stage begins where the one before ended, and nothing is sent twice.

    While an error is there, that is the last word on it; it is sent again only after a day, or after its end.
    """
    notified: Notified | None = None
    events: list[Notification] = []
    at = 0.0
    for stage, expired, denied, blind, seconds in steps:
        at += seconds
        troubles = [*([EXPIRED] if expired else []), *([DENIED] if denied else [])]
        one = view(*troubles, at=at, stages={"a.example": stage}, blind=blind)
        notified, found = news(notified, one)
        events += found
        assert news(notified, one)[1] == ()
        assert one.troubles.keys() <= notified.troubles.keys()
    assert notified is not None
    for trouble in (EXPIRED, DENIED):
        said = [event for event in events if event.key == trouble.key]
        assert kinds(said[:1]) in ([], [ERROR])
        assert (trouble.key in notified.troubles) == (kinds(said[-1:]) == [ERROR])
        for before, later in itertools.pairwise(said):
            assert ERROR in {before.kind, later.kind}
            assert before.kind is not later.kind or later.at - before.at >= QUIET_S
    moves = [event for event in events if event.kind is STAGE]
    assert all(before.now == later.was for before, later in itertools.pairwise(moves))
    assert all(move.was != move.now for move in moves)
    assert not moves or moves[-1].now == notified.stages["a.example"].value


# --- from a pass -----------------------------------------------------------------------------------------


def seen(world: World, *notices: Notice, settings: Settings | None = None) -> PassView:
    """The view of a pass over this world."""
    plan = Plan(notices=notices)
    return view_of(Once(observed(world), plan, settings or Settings())(), plan)


def finding(severity: Severity, subject: str = "mx.example.org") -> Finding:
    """A finding of this severity."""
    return Finding(f"code-{severity}", severity, subject, "message", "todo", "RFC 8461 §4.2")


def test_errors_of_a_pass_are_its_notices_and_the_findings_of_checks() -> None:
    """Of what is managed, and nothing that is less than an error."""
    record = CheckRecord(NOW, tuple(finding(severity) for severity in Severity))
    world = World(
        domains=("example.org", "left.example"),
        memory=Memory(checks={"example.org": record, "left.example": record}),
    )
    kinds = {
        Level.INFO: NoticeCode.ROLLOUT_READY,
        Level.WARNING: NoticeCode.POLICY_FOREIGN,
        Level.ERROR: NoticeCode.MX_UNCOVERED,
    }
    notices = [Notice(level, kinds[level], "example.org", "message", "todo") for level in Level]
    found = seen(world, *notices, settings=given_settings({"exclude": ["left.example"]}))
    assert {trouble.key: trouble.critical for trouble in found.troubles.values()} == {
        ("mx.uncovered", "example.org", ""): False,
        ("code-error", "example.org", "mx.example.org"): False,
        ("code-critical", "example.org", "mx.example.org"): True,
    }
    assert found.unseen == {("example.org", "mx.example.org")}
    assert not found.blind


def test_every_record_to_publish_is_sent_with_its_line() -> None:
    """Not only the first: they are published together."""
    report = report_of([Given("example.org", Mode.TESTING, "new")])
    found = view_of(status_once(report)(), report.plan)
    todos = {trouble.about: trouble.todo for trouble in found.troubles.values() if trouble.about}
    assert todos["mta-sts.example.org"] == "publish: mta-sts.example.org. 120 IN CNAME mail.example.org."
    assert str(todos["_smtp._tls.example.org"]).startswith("publish: _smtp._tls.example.org. 120 IN TXT")


def test_warning_with_something_to_do_is_sent() -> None:
    """Of what is not about a single domain; one without a to-do, or that passes on its own, is for the log alone."""
    code = NoticeCode.UNSEEN_CONF
    notices = [
        Notice(Level.WARNING, code, "a", "message", "todo"),
        Notice(Level.WARNING, code, "b", "message"),
        Notice(Level.WARNING, code, "c", "message", "todo", passing=True),
        Notice(Level.INFO, code, "d", "message", "todo"),
    ]
    found = seen(World(), *notices).troubles.values()
    assert [(trouble.subject, trouble.mild) for trouble in found if trouble.code == code] == [("a", True)]


def test_stage_of_a_pass_comes_with_what_blocks_it() -> None:
    """In the words of the check."""
    judged = {kind: Judgement(Status.TRUE) for kind in NEEDED}
    judged[ConditionType.RECORD_PUBLISHED] = Judgement(Status.FALSE, "txt-none", "_mta-sts has no record")
    world = World(
        served={"example.org": text(Mode.TESTING)},
        memory=Memory(rollouts={"example.org": checked(Rollout(), judged, NOW, 3_600)}),
    )
    stages = seen(world).stages
    assert stages is not None
    assert (stages["example.org"].stage, stages["example.org"].why) == (
        Stage.ANNOUNCING,
        "_mta-sts has no record",
    )


@pytest.mark.parametrize(
    ("world", "notices", "blind"),
    [
        (World(), (), False),
        (World(unseen=frozenset({"domains"})), (), True),
        (World(unseen=frozenset({"mailcow"})), (), True),
        (World(unseen=frozenset({"conf"})), (), True),
        (World(), (Notice(Level.WARNING, NoticeCode.MAILCOW_API, "mailcow", "no answer"),), True),
    ],
)
def test_pass_without_an_answer_of_mailcow_is_blind(
    world: World, notices: tuple[Notice, ...], blind: bool
) -> None:
    """Also where the last list stays in force."""
    assert seen(world, *notices).blind == blind
    assert (seen(world, *notices).stages is None) == ("domains" in world.unseen)


@pytest.mark.parametrize(
    ("world", "unseen"),
    [
        (World(memory=Memory(checks={"example.org": CheckRecord(NOW, ())})), set()),
        (World(), {("example.org", "*")}),
        (
            World(
                dns_unseen=frozenset({"example.org"}),
                memory=Memory(checks={"example.org": CheckRecord(NOW, ())}),
            ),
            {("example.org", "")},
        ),
    ],
)
def test_what_was_not_seen_of_a_domain_keeps_its_errors(world: World, unseen: set[tuple[str, str]]) -> None:
    """Its notices where the DNS did not answer, its findings where no check was made."""
    assert seen(world).unseen == unseen


SERVED = {"example.org": text(Mode.TESTING)}
CHECKED = {name: CheckRecord(NOW, ()) for name in ("example.org", "alias.example")}


@pytest.mark.parametrize(
    "world",
    [
        World(served=SERVED, aliases={"alias.example": "example.org"}, memory=Memory(checks=CHECKED)),
        World(mailcow=FILE_MAILCOW, file=text(Mode.TESTING).encode(), memory=Memory(checks=CHECKED)),
    ],
    ids=["an alias domain has no row of its own", "the file generation has no rows"],
)
@pytest.mark.parametrize("subject", ["example.org", "alias.example"])
def test_error_of_a_domain_without_a_row_of_its_own_ends(world: World, subject: str) -> None:
    """What senders are served for it was seen."""
    notified, _ = news(
        None, seen(world, Notice(Level.ERROR, NoticeCode.MX_UNCOVERED, subject, "not covered"))
    )
    gone = seen(world)
    notified, _ = news(notified, gone)
    _, events = news(notified, replace(gone, at=NOW + AWAY_S))
    assert kinds(events) == [RECOVERY]


@pytest.mark.parametrize("part", ["project", "certificates"])
def test_error_of_a_container_that_was_not_seen_does_not_end(part: str) -> None:
    """Docker does not answer: acme-mailcow may fail as before."""
    notified, _ = news(
        None, seen(World(), Notice(Level.ERROR, NoticeCode.ACME_FAILED, "acme-mailcow", "fails"))
    )
    dark = seen(World(unseen=frozenset({part})))
    notified, _ = news(notified, dark)
    assert news(notified, replace(dark, at=NOW + 5 * AWAY_S))[1] == ()
