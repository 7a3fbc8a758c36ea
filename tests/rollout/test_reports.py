"""What reports prove, what they may start, and that no forged report lowers a policy."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.formats.mtasts_policy import Mode, Policy
from sidecar.formats.tls_report_policy import HeldPolicy, PolicyKind
from sidecar.formats.tls_report_results import RESULTS, UNKNOWN, Fault, meaning
from sidecar.observed import Seen, Unseen
from sidecar.observed.checks import Condition, ConditionType, Rollout, Status
from sidecar.observed.reports import (
    NO_EVIDENCE,
    UNREAD,
    Failed,
    Failing,
    Holding,
    Reason,
    Reported,
    ReportEvidence,
)
from sidecar.rollout.reports import (
    CHECK_SPACING_S,
    DAY_S,
    evidence_for,
    evidence_of,
    may_step_back,
    refused,
    reports_clean,
    still_held,
    wants_check,
    why_step_back,
)

NOW = 1_795_608_000.0  # 2026-11-25 12:00 UTC
POLICY = Policy(Mode.ENFORCE, 604_800, ("mail.example.org",))
HELD = HeldPolicy(Mode.ENFORCE, 604_800, ("mail.example.org",))


def one(ago: float = 1, failed: int = 0, result: str = "certificate-expired", **changes: Any) -> Reported:
    """What a sender reported of the day so many days ago, received the morning after it."""
    day = datetime.fromtimestamp(NOW - ago * DAY_S, UTC).strftime("%Y-%m-%d")
    found: dict[str, Any] = {
        "domain": "example.org",
        "day": day,
        "organisation": "Sender Inc.",
        "sender": "sender.example",
        "received_at": NOW - (ago - 0.9) * DAY_S,
        "kind": PolicyKind.STS,
        "ok": 100,
        "failed": failed,
        "failures": (Failed(result, failed),) if failed else (),
        "held": HELD,
        **changes,
    }
    return Reported(**found)


def history(sender: str, days: int = 12, since: int = 3) -> list[Reported]:
    """Clean reports of a sender, one a day, up to some days ago."""
    return [one(ago, sender=sender, organisation=sender) for ago in range(since, since + days)]


# --- the table of result types


def test_each_result_type_of_the_rfc_has_a_meaning() -> None:
    """With a sentence and something to do; a word that is not known refuses nothing."""
    assert len(RESULTS) == 11
    for found in (*RESULTS.values(), UNKNOWN):
        assert found.text.endswith(".")
        assert found.remedy
    assert meaning("quantum-error") is UNKNOWN


@pytest.mark.parametrize(
    ("result", "refuses", "fault"),
    [
        ("starttls-not-supported", True, Fault.RECEIVER),
        ("certificate-host-mismatch", True, Fault.RECEIVER),
        ("certificate-expired", True, Fault.RECEIVER),
        ("certificate-not-trusted", True, Fault.RECEIVER),
        ("validation-failure", True, Fault.UNKNOWN),
        ("sts-policy-fetch-error", False, Fault.UNKNOWN),
        ("sts-policy-invalid", False, Fault.RECEIVER),
        ("sts-webpki-invalid", False, Fault.RECEIVER),
        ("tlsa-invalid", False, Fault.DNS),
        ("dnssec-invalid", False, Fault.DNS),
        ("dane-required", False, Fault.SENDER),
    ],
)
def test_which_failures_refuse_mail(result: str, refuses: bool, fault: Fault) -> None:
    """A policy that cannot be fetched refuses nothing (RFC 8461 §5)."""
    assert (meaning(result).refuses, meaning(result).fault) == (refuses, fault)
    assert (refused(one(failed=50, result=result)) > 0) is refuses
    status = reports_clean([one(failed=50, result=result)], POLICY, NOW).status
    assert status is (Status.FALSE if refuses else Status.TRUE)


def test_the_summary_bounds_what_the_details_say() -> None:
    """Of some senders they add up to more; and DANE's failures are not counted."""
    assert refused(one(failed=3, failures=(Failed("certificate-expired", 30),))) == 3
    assert refused(one(failed=3, kind=PolicyKind.TLSA)) == 0


# --- the condition


def test_without_reports_the_condition_is_unknown_and_holds_nothing_up_unless_required() -> None:
    """Normal for a small domain."""
    found = reports_clean([], POLICY, NOW)
    assert (found.status, found.reason) == (Status.UNKNOWN, Reason.NONE)
    assert not found.holds_step_up(require=False)
    assert found.holds_step_up(require=True)


def test_a_clean_report_with_the_current_policy_is_named_as_proof() -> None:
    """The latest one."""
    found = reports_clean([one(3), one(1), one(2)], POLICY, NOW)
    assert found.status is Status.TRUE
    assert found.since == one(3).received_at
    assert found.seen is not None
    assert (found.seen.sender, found.seen.day, found.seen.sessions) == ("sender.example", "2026-11-24", 100)
    assert not found.holds_step_up(require=True)
    assert found.message == "1 sender reported 300 sessions that succeeded, and no lasting failure"
    assert reports_clean([one(1, ok=1)], POLICY, NOW).message.startswith("1 sender reported 1 session that")
    both = reports_clean([one(1), one(1, sender="b.example")], POLICY, NOW)
    assert both.message.startswith("2 senders reported 200 sessions")


@pytest.mark.parametrize(
    "changes",
    [
        {"sender": None},
        {"held": None},
        {"held": HeldPolicy(Mode.TESTING, 604_800, ("mail.example.org",))},
        {"held": HeldPolicy(Mode.ENFORCE, 604_800, ("old.example.org",))},
        {"ok": 0},
    ],
)
def test_report_that_does_not_prove_the_current_policy(changes: dict[str, Any]) -> None:
    """Not proven, another policy, or no session at all."""
    found = reports_clean([one(**changes)], POLICY, NOW)
    assert found.seen is None
    assert found.holds_step_up(require=True)


def test_refused_mail_makes_the_condition_false_since_the_first_report() -> None:
    """With the sender, the day and the kind."""
    kinds = (Failed("sts-policy-fetch-error", 9), Failed("certificate-expired", 60))
    reports = [*(one(ago) for ago in (5, 4, 3)), one(2, failed=40), one(1, failed=60, failures=kinds)]
    found = reports_clean(reports, POLICY, NOW)
    assert (found.status, found.reason) == (Status.FALSE, Reason.REFUSED)
    assert found.since == one(2).received_at
    assert found.message == "Sender Inc. reported 60 sessions that failed on 2026-11-24: certificate-expired"
    assert found.holds_step_up(require=False)


def test_a_few_failures_among_thousands_are_noise_on_one_day_and_count_on_two() -> None:
    """1 %, or two consecutive days."""
    assert reports_clean([one(2, failed=5, ok=5_000), one(1, ok=5_000)], POLICY, NOW).status is Status.TRUE
    running = [one(2, failed=5, ok=5_000), one(1, failed=5, ok=5_000)]
    assert reports_clean(running, POLICY, NOW).status is Status.FALSE
    apart = [one(6, failed=5, ok=5_000), one(3, ok=5_000), one(1, failed=5, ok=5_000)]
    assert reports_clean(apart, POLICY, NOW).status is Status.TRUE
    assert reports_clean([one(1, failed=60, ok=5_000)], POLICY, NOW).status is Status.FALSE
    after_a_clean_day = [one(2, ok=5_000), one(1, failed=5, ok=5_000)]
    assert reports_clean(after_a_clean_day, POLICY, NOW).status is Status.TRUE


@pytest.mark.parametrize(("failed", "counts"), [(1, False), (2, True)])
def test_failures_count_above_a_hundredth_of_the_sessions(failed: int, counts: bool) -> None:
    """For the condition, and to step a policy back."""
    found = [one(1, failed=failed, ok=100 - failed)]
    assert (reports_clean(found, POLICY, NOW).status is Status.FALSE) is counts
    assert may_step_back(found, Status.FALSE, NOW).allowed is counts


def test_a_failure_is_over_after_two_clean_days_of_the_same_sender() -> None:
    """Clean days of another sender do not count."""
    other = [one(2, sender="b.example"), one(1, sender="b.example")]
    assert reports_clean([one(4, failed=50), *other], POLICY, NOW).status is Status.FALSE
    assert reports_clean([one(4, failed=50), one(3)], POLICY, NOW).status is Status.FALSE
    assert reports_clean([one(4, failed=50), one(3), one(2)], POLICY, NOW).status is Status.TRUE


@pytest.mark.parametrize("ago", [16, 60, -2, -400])
def test_reports_about_days_outside_the_window_do_not_count(ago: float) -> None:
    """Neither old ones, nor those of the future."""
    found = reports_clean([one(ago, failed=50, received_at=NOW - 60)], POLICY, NOW)
    assert found.status is Status.UNKNOWN


# --- what each organisation holds


def test_who_holds_another_policy_is_named() -> None:
    """The latest first, with the day in words."""
    old = HeldPolicy(Mode.ENFORCE, 604_800, ("old.example.org",))
    holdings = [
        Holding("example.org", "A", "a.example", "2026-11-24", HELD),
        Holding("example.org", "Google", "google.com", "2026-11-24", old),
        Holding("example.org", "B", None, "2026-11-20", old),
        Holding("example.org", "C", "c.example", "2026-11-24", HeldPolicy(Mode.ENFORCE, None, ())),
    ]
    found = still_held(holdings, POLICY)
    assert [holding.organisation for holding in found] == ["Google", "B"]
    assert [holding.seen_with_old(NOW) for holding in found] == [
        "Google was seen with the old policy yesterday",
        "B (not proven) was seen with the old policy 5 days ago",
    ]
    assert (
        Holding("example.org", "D", "d.example", "2026-11-25", old)
        .seen_with_old(NOW)
        .endswith("old policy today")
    )


def test_invented_holders_of_old_policies_do_not_displace_the_proven_ones() -> None:
    """Also with days of the future."""
    old = HeldPolicy(Mode.TESTING, 86_400, ())
    invented = [Holding("example.org", f"No {n}", None, "2199-01-01", old) for n in range(9)]
    proven = Holding("example.org", "Google", "google.com", "2026-11-24", old)
    assert evidence_of([], [*invented, proven], POLICY, NOW).old[0] == proven


def test_without_a_policy_nobody_holds_an_old_one() -> None:
    """There is nothing to compare it with."""
    old = Holding("example.org", "Google", "google.com", "2026-11-24", HELD)
    assert evidence_of([], [old], None, NOW).old == ()


# --- what a report may start


def test_a_report_of_refused_mail_starts_a_check_whoever_sent_it() -> None:
    """Once, and not more often than every ten minutes."""
    forged = evidence_of([one(1, failed=5, sender=None, received_at=NOW - 5)], [], POLICY, NOW)
    assert "without proof" in forged.refused
    assert wants_check(forged, NOW - 3_600, NOW)
    assert not wants_check(forged, NOW - 1, NOW)
    assert not wants_check(forged, NOW - CHECK_SPACING_S + 1, NOW)
    proven = evidence_of([one(1, failed=5, received_at=NOW - 7_200)], [], POLICY, NOW)
    assert proven.refused == "a report of Sender Inc. says that 5 sessions failed on 2026-11-24"
    assert not wants_check(proven, NOW - 3_600, NOW)
    clean = evidence_of([one(1)], [], POLICY, NOW)
    assert (clean.refused, wants_check(clean, 0, NOW)) == ("", False)


def test_the_check_after_a_report_is_ten_minutes_after_the_last_one() -> None:
    """Not a second more."""
    found = evidence_of([one(1, failed=5, received_at=NOW - 5)], [], POLICY, NOW)
    assert wants_check(found, NOW - CHECK_SPACING_S, NOW)


def test_what_proven_senders_reported_as_failed_is_named_once_for_each_kind() -> None:
    """The latest day; of that the most sessions. An unknown word has no page of its own."""
    expired = "certificate-expired"
    found = evidence_of(
        [
            one(1, failed=9, organisation="B"),
            one(1, failed=7, organisation="A"),
            one(2, failed=50),
            one(1, failed=80, sender=None),
            one(20, failed=90),
            one(1, failed=3, result="quantum-error"),
        ],
        [], POLICY, NOW,
    )  # fmt: skip
    day = "2026-11-24"
    assert found.failing == (Failing(expired, 9, "B", day), Failing("other", 3, "Sender Inc.", day))


def test_evidence_of_a_policy_served_for_several_domains_is_the_worst_with_every_accusation() -> None:
    """A domain of which nothing was reported hides nothing."""
    quiet = evidence_of([one(1, ok=0)], [], POLICY, NOW)
    proof = evidence_of([one(1)], [], POLICY, NOW)
    accused = evidence_of([one(1, failed=50, received_at=NOW - 60)], [], POLICY, NOW)
    both = evidence_of(
        [*history("a.test"), *history("b.test"), lies("a.test"), lies("b.test")], [], POLICY, NOW
    )
    every: Mapping[str, ReportEvidence] = {"quiet": quiet, "proof": proof, "accused": accused, "both": both}

    def of(*names: str) -> ReportEvidence:
        return evidence_for(Seen(every, NOW), names)

    assert quiet.clean.seen is None
    assert of("quiet", "proof").clean.seen == of("proof", "quiet").clean.seen == proof.clean.seen
    assert of("quiet", "quiet").clean.seen is None
    for names in (("quiet", "accused", "both"), ("both", "accused", "quiet")):
        assert of(*names).clean.status is Status.FALSE
        assert of(*names).step_back == both.step_back is not None
    found = of("quiet", "accused")
    assert (found.step_back, found.step_back_with_check) == (None, accused.step_back_with_check)
    assert (found.accused_at, found.refused_at) == (NOW - 60, NOW - 60)
    assert of("quiet").step_back_with_check is None


def test_reports_that_were_not_read_are_another_thing_than_none() -> None:
    """The first hold a step up, the second do not."""
    assert evidence_for(Unseen("not read", NOW), ["a.example"]) is UNREAD
    assert evidence_for(Seen({"b.example": UNREAD}, NOW), ["a.example"]) is NO_EVIDENCE


def test_a_report_that_came_while_the_clock_was_ahead_is_older_than_the_next_check() -> None:
    """Else no check would ever come after it, and one would be made every ten minutes."""
    found = evidence_of([one(1, failed=5, received_at=NOW + 400 * DAY_S)], [], POLICY, NOW)
    assert wants_check(found, NOW - 3_600, NOW)
    assert not wants_check(found, NOW + 1, NOW + 7_200)


@pytest.mark.parametrize("names", [["a.example", "b.example"], ["b.example", "a.example"]])
def test_reports_that_are_not_read_hold_the_step_up_of_all_that_are_served_together(names: list[str]) -> None:
    """Whatever the order, and though nothing proven was reported of another one."""
    reports: Seen[Mapping[str, ReportEvidence]] = Seen({"a.example": NO_EVIDENCE, "b.example": UNREAD}, NOW)
    assert evidence_for(reports, names).clean.holds_step_up(require=False)


# --- attacks: what a forger must not achieve


def lies(sender: str | None, **changes: Any) -> Reported:
    """A forged report: all mail was refused yesterday."""
    return one(
        1, failed=5_000, ok=0, sender=sender, organisation="Google LLC", received_at=NOW - 60, **changes
    )


HONEST = history("google.com", since=1) + history("outlook.com", since=1)

ATTACKS: dict[str, list[Reported]] = {
    "without a signature": [lies(None)],
    "thousands without a signature": [lies(None)] * 2_000,
    "signed with a domain of his own": [lies("evil.example")],
    "signed with two new domains": [lies("evil.example"), lies("wicked.example")],
    "one domain with a clean history": [*history("evil.example"), lies("evil.example")],
    "names below one domain, all with a history": [
        report for n in range(5) for report in (*history(f"n{n}.evil.example"), lies(f"n{n}.evil.example"))
    ],
    "names below a public suffix": [
        report for n in range(5) for report in (*history(f"evil{n}.co.uk"), lies(f"evil{n}.co.uk"))
    ],
    "one with a history, one without": [*history("evil.example"), lies("evil.example"), lies("bad.example")],
    "a history sent on one day, with dates of its choice": [
        *[
            one(ago, sender=sender, received_at=NOW - 7_200)
            for sender in ("evil.example", "wicked.example")
            for ago in range(2, 20)
        ],
        lies("evil.example"),
        lies("wicked.example"),
    ],
    "a history of four days": [
        *history("evil.example", days=4, since=2),
        *history("wicked.example", days=4, since=2),
        lies("evil.example"),
        lies("wicked.example"),
    ],
    "a history of reports without a session": [
        *[one(ago, sender=s, ok=0) for s in ("evil.example", "wicked.example") for ago in range(3, 15)],
        lies("evil.example"),
        lies("wicked.example"),
    ],
    "a history that begins with an accusation": [
        *[one(20, sender=s, failed=50) for s in ("evil.example", "wicked.example")],
        *history("evil.example"),
        *history("wicked.example"),
        lies("evil.example"),
        lies("wicked.example"),
    ],
    "old accusations": [
        report
        for sender in ("evil.example", "wicked.example")
        for report in (*history(sender, since=10), one(9, failed=50, sender=sender))
    ],
    "accusations about the future": [
        report
        for sender in ("evil.example", "wicked.example")
        for report in (*history(sender), one(-3, failed=50, sender=sender, received_at=NOW - 60))
    ],
    "failures that refuse nothing": [
        report
        for sender in ("evil.example", "wicked.example")
        for report in (*history(sender), lies(sender, failures=(Failed("sts-policy-fetch-error", 5_000),)))
    ],
    "a few failures among thousands": [
        report
        for sender in ("evil.example", "wicked.example")
        for report in (*history(sender), one(1, failed=5, ok=5_000, sender=sender))
    ],
}


@pytest.mark.parametrize("own_check", [Status.TRUE, Status.UNKNOWN])
@pytest.mark.parametrize("name", list(ATTACKS))
def test_no_forged_report_steps_a_policy_back(name: str, own_check: Status) -> None:
    """As long as our own check finds nothing wrong: alone, and among honest reports that contradict it."""
    assert not may_step_back(ATTACKS[name], own_check, NOW).allowed
    assert not may_step_back([*HONEST, *ATTACKS[name]], own_check, NOW).allowed


def test_two_known_senders_that_report_refused_mail_allow_a_step_back() -> None:
    """Each with a clean history of more than a week, although our own check finds nothing."""
    found = may_step_back(
        [*history("google.com"), *history("outlook.com"), lies("google.com"), lies("outlook.com")],
        Status.TRUE,
        NOW,
    )
    assert found.allowed
    assert "google.com, outlook.com" in found.reason


@pytest.mark.parametrize(
    ("ages", "allowed"),
    [
        ((7, 5, 4, 3), True),
        ((6.99, 5, 4, 3), False),
        ((9, 5, 3), False),
        ((9, 5, 3, 0), False),
    ],
    ids=["four days in a week", "less than a week", "three days", "the fourth came with the accusation"],
)
def test_how_long_a_sender_is_known_before_its_word_counts(ages: tuple[float, ...], allowed: bool) -> None:
    """Clean reports of four days, the first a week before it accuses; all by when they were received."""
    accused_at = NOW - 60
    reports = [
        report
        for sender in ("google.com", "outlook.com")
        for report in (
            lies(sender),
            *(one(3, sender=sender, received_at=accused_at - age * DAY_S) for age in ages),
        )
    ]
    assert may_step_back(reports, Status.TRUE, NOW).allowed is allowed
    found = evidence_of(reports, [], POLICY, NOW)
    assert (why_step_back(evidence_for(Seen({"a": found}, NOW), ["a"]), Rollout()) is not None) is allowed


def test_a_proven_report_allows_a_step_back_where_our_own_check_fails_too() -> None:
    """The check is the proof then; without a report, or with one that anybody posted, the checks alone decide."""
    assert may_step_back([lies("evil.example")], Status.FALSE, NOW).allowed
    assert not may_step_back([lies(None)] * 9, Status.FALSE, NOW).allowed
    assert not may_step_back([], Status.FALSE, NOW).allowed
    assert not may_step_back(history("google.com"), Status.FALSE, NOW).allowed


def test_a_flood_of_reports_does_not_outrun_our_own_check() -> None:
    """A check that failed after the first report of a proven sender counts, however many reports follow."""
    failed = Condition(ConditionType.MX_AUTHENTICATED, Status.FALSE, "", "", NOW)
    accusation = one(1, failed=50, received_at=NOW - 3_600)
    flood = [lies(None), lies("evil.example")]
    found = evidence_of([accusation, *flood], [], POLICY, NOW)
    served = evidence_for(Seen({"example.org": found}, NOW), ["example.org"])
    assert why_step_back(served, Rollout(conditions=(failed,), checked_at=NOW - 1_800)) is not None
    for before in (NOW - 7_200, NOW - 3_600):
        assert why_step_back(served, Rollout(conditions=(failed,), checked_at=before)) is None
    assert why_step_back(served, Rollout(checked_at=NOW - 1_800)) is None


_ANY = st.builds(
    lambda ago, failed, ok, sender, kind, late: one(
        ago, failed, ok=ok, sender=sender, kind=kind, received_at=NOW - late * DAY_S
    ),
    st.integers(-5, 40),
    st.integers(0, 1_000),
    st.integers(0, 1_000),
    st.sampled_from([None, "evil.example", "a.evil.example", "evil.co.uk"]),
    st.sampled_from(list(PolicyKind)),
    st.floats(0, 40),
)


@given(st.lists(_ANY, max_size=30))
def test_whatever_one_owner_sends_no_policy_steps_back(reports: list[Reported]) -> None:
    """Unproven reports, and those of a single owner, in any order and number."""
    single = [report for report in reports if report.sender != "evil.co.uk"]
    assert not may_step_back(single, Status.TRUE, NOW).allowed
    assert isinstance(reports_clean(reports, POLICY, NOW).message, str)
    only_unproven = [report for report in reports if report.sender is None]
    assert reports_clean(only_unproven, POLICY, NOW).status is Status.UNKNOWN
