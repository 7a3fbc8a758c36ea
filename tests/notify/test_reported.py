"""Alerts of senders' reports: each kind of failure and each sender with an old policy once, and what is over."""

from dataclasses import replace

from sidecar.formats.mtasts_policy import Mode
from sidecar.formats.tls_report_policy import HeldPolicy
from sidecar.notify.events import Notification, Notified, PassView, news, view_of
from sidecar.observed import Seen, Span
from sidecar.observed.reports import NO_EVIDENCE, Failing, Holding, ReportEvidence
from sidecar.observed.words import day
from sidecar.plan import decide
from sidecar.plan.records import mail_domains
from sidecar.settings import NotificationKind
from sidecar.status.domains import status_of
from tests.status.test_domains import REPORT, TEXT, settled
from tests.worlds import DAY, NOW, observed

NAME = "example.org"
SINCE = NOW - 9 * DAY
"""Since when the policy is served."""
STARTTLS = Failing("starttls-not-supported", 3, "Google", "2026-11-24")
EXPIRED = Failing("certificate-expired", 5, "Microsoft", "2026-11-24")


def view(*failing: Failing, old: tuple[Holding, ...] = (), at: float = NOW) -> PassView:
    """What a pass sees with these reports in the store."""
    evidence = ReportEvidence(NO_EVIDENCE.clean, failing=failing, old=old)
    seen = observed(settled())
    policy = replace(seen.memory.policy(NAME), spans=(Span(TEXT, SINCE, None),))
    memory = replace(seen.memory, policies={NAME: policy})
    seen = replace(seen, memory=memory, now=at, reports=Seen({NAME: evidence}, at))
    plan = decide(seen, REPORT)
    return view_of(status_of(seen, plan, REPORT, mail_domains(seen, REPORT)), plan)


def about(events: tuple[Notification, ...]) -> list[tuple[str, str, bool]]:
    """Of reports: code, what of it, whether it is mild."""
    return [
        (e.code, e.about, e.mild)
        for e in events
        if e.code.startswith("reports-") and e.kind is NotificationKind.ERROR
    ]


def test_each_kind_of_failure_is_sent_once() -> None:
    """A certificate failure is more than a warning; a later kind is sent, and no kind twice."""
    notified: Notified | None = None
    notified, events = news(notified, view(STARTTLS))
    assert about(events) == [("reports-failure", "starttls-not-supported", True)]
    notified, events = news(notified, view(replace(STARTTLS, sessions=9, day="2026-11-25")))
    assert about(events) == []
    notified, events = news(notified, view(STARTTLS, EXPIRED))
    assert about(events) == [("reports-failure", "certificate-expired", False)]
    (event,) = [e for e in events if e.code == "reports-failure"]
    assert "Microsoft reported certificate-expired (5 sessions on 2026-11-24)" in event.message
    assert event.todo


def test_a_sender_with_an_old_policy_is_sent_once_it_should_have_the_new_one() -> None:
    """Just after a change all senders hold the old one."""
    held = HeldPolicy(Mode.TESTING, 86_400, ("old.example.org",))

    def old(at: float, sender: str | None = "google.com") -> tuple[Holding, ...]:
        return (Holding(NAME, "Google", sender, day(at)[:10], held),)

    notified, events = news(None, view(old=old(SINCE + DAY)))
    assert about(events) == []
    notified, events = news(notified, view(old=old(SINCE + 4 * DAY)))
    assert about(events) == [("reports-old-policy", "google.com", True)]
    notified, events = news(notified, view(old=old(SINCE + 5 * DAY)))
    assert about(events) == []
    assert about(news(None, view(old=old(SINCE + 4 * DAY, None)))[1]) == [], "anybody can post that"
