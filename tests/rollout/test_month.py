"""A simulated month of 20 domains with `mode: auto`: what is served and why, day by day.

Checks, memory, evidence and modes are the real ones; only the world is made up. Two honest senders report each day, one
liar forges, one domain's certificate ends, and one week nobody reports.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from sidecar.formats.mtasts_policy import Mode, Policy
from sidecar.formats.tls_report_policy import HeldPolicy, PolicyKind
from sidecar.observed.checks import ConditionType, Judgement, Rollout, Stage, Status
from sidecar.observed.reports import NO_EVIDENCE, Failed, Holding, Reported, ReportEvidence
from sidecar.rollout import auto_mode, checked, stage, stepped_back
from sidecar.rollout.reports import DAY_S, HISTORY_DAYS, evidence_of, why_step_back

START = 1_795_564_800.0  # 2026-11-25 00:00 UTC
HOUR = 3_600.0
SOAK = 7 * DAY_S
DAYS = 35
SILENT = range(14, 21)
"""Days without any report."""
CERTIFICATE_ENDS, CERTIFICATE_RENEWED = 24, 26
LIE_BEGINS = 9
HOST = "mail.example.org"
HONEST = ("google.example", "microsoft.example")
SICK, LIED_ABOUT, UNSEEN = "d000.example", "d001.example", "d002.example"
"""The domain whose certificate ends, the one that the liar writes about, and one that no sender ever reports."""


@dataclass
class Domain:
    """What the sidecar remembers and serves of a domain, and the reports that came in."""

    name: str
    mode: Mode = Mode.TESTING
    rollout: Rollout = field(default_factory=Rollout)
    reports: list[Reported] = field(default_factory=list)
    changes: list[tuple[int, Mode, str]] = field(default_factory=list)
    _made_from: object = None
    _evidence: ReportEvidence = NO_EVIDENCE

    @property
    def policy(self) -> Policy:
        return Policy(self.mode, 604_800 if self.mode is Mode.ENFORCE else 86_400, (HOST,))

    def evidence(self, now: float) -> ReportEvidence:
        """As the sidecar: read again when something came in, is served, or a day is over."""
        made_from = (len(self.reports), self.mode, int((now - 6 * HOUR) // DAY_S))
        if made_from != self._made_from:
            self._made_from, self._evidence = made_from, self._read(now)
        return self._evidence

    def _read(self, now: float) -> ReportEvidence:
        known = [one for one in self.reports if now - HISTORY_DAYS * DAY_S <= one.received_at <= now]
        holdings = [
            Holding(self.name, one.organisation, one.sender, one.day, one.held) for one in known if one.held
        ]
        return evidence_of(known, holdings, self.policy, now)


def report(domain: Domain, number: int, sender: str, held: Policy, failed: int = 0) -> None:
    """What a sender reports of a day, received at six the next morning."""
    domain.reports.append(
        Reported(
            domain.name,
            datetime.fromtimestamp(START + number * DAY_S, UTC).strftime("%Y-%m-%d"),
            sender,
            sender,
            START + (number + 1) * DAY_S + 6 * HOUR,
            PolicyKind.STS,
            0 if failed else 50,
            failed,
            (Failed("certificate-expired", failed),) if failed else (),
            HeldPolicy(held.mode, held.max_age, held.mx),
        )
    )


def sick(domain: Domain, number: int) -> bool:
    """Whether its certificate has ended that day."""
    return domain.name == SICK and CERTIFICATE_ENDS <= number < CERTIFICATE_RENEWED


def hour(domain: Domain, number: int, at: float) -> None:
    """One sender check and one decision, as a pass makes them."""
    bad = Judgement(Status.FALSE, "mx-cert-expired", "the certificate has ended")
    judged = {kind: Judgement(Status.TRUE) for kind in ConditionType}
    if sick(domain, number):
        judged[ConditionType.MX_AUTHENTICATED] = bad
    domain.rollout = checked(domain.rollout, judged, at, HOUR)
    evidence = domain.evidence(at)
    if domain.mode is Mode.ENFORCE and why_step_back(evidence, domain.rollout) is not None:
        domain.rollout = stepped_back(domain.rollout, at)
        mode = Mode.TESTING
    else:
        mode = auto_mode(domain.rollout, domain.mode, SOAK, evidence)
    if mode is not domain.mode:
        if domain.mode is Mode.ENFORCE:
            domain.rollout = stepped_back(domain.rollout, at)
        why = evidence.clean.seen.organisation if evidence.clean.seen else ""
        domain.mode = mode
        domain.changes.append((number, mode, why))


def month() -> tuple[dict[str, Domain], list[Counter[Mode]], list[Counter[Stage]]]:
    """All domains at the end, and how many were in which mode and stage at the end of each day."""
    names = [f"d{number:03}.example" for number in range(20)]
    domains = {name: Domain(name) for name in names}
    modes: list[Counter[Mode]] = []
    stages: list[Counter[Stage]] = []
    for number in range(DAYS):
        served = {name: one.policy for name, one in domains.items()}
        for one in domains.values():
            # Most hours are like the others: the sick domain and those with news are looked at each hour.
            hours = (
                range(24) if one.name in {SICK, LIED_ABOUT} else (0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22)
            )
            for at in hours:
                hour(one, number, START + number * DAY_S + at * HOUR)
            if number not in SILENT and one.name != UNSEEN:
                for sender in HONEST:
                    report(one, number, sender, served[one.name], 40 if sick(one, number) else 0)
        if number >= LIE_BEGINS:
            report(domains[LIED_ABOUT], number, "liar.example", served[LIED_ABOUT], 90_000)
        modes.append(Counter(one.mode for one in domains.values()))
        stages.append(Counter(stage(one.rollout, one.mode, SOAK) for one in domains.values()))
    return domains, modes, stages


@pytest.mark.integration
def test_a_month_of_20_domains() -> None:
    """Served policies and stages on each day."""
    domains, modes, stages = month()
    for number, (mode, at) in enumerate(zip(modes, stages, strict=True)):
        if number < 7:
            assert mode == {Mode.TESTING: 20}, number
            assert at == {Stage.SOAKING: 20}, number
        elif number < CERTIFICATE_ENDS:
            assert mode == {Mode.ENFORCE: 20}, number
            assert at == {Stage.ENFORCED: 20}, f"day {number}: a silent week and a liar change nothing"
        elif number < DAYS - 1 and domains[SICK].changes[-1][0] > number:
            assert mode == {Mode.ENFORCE: 19, Mode.TESTING: 1}, number
            assert at[Stage.ENFORCED] == 19, number
    # The proof is named where there is one; a domain without any report takes no longer.
    assert domains[SICK].changes[0] == (7, Mode.ENFORCE, "google.example")
    assert domains[UNSEEN].changes == [(7, Mode.ENFORCE, "")]
    # The liar never gets anything, though he was there for weeks.
    assert domains[LIED_ABOUT].changes == [(7, Mode.ENFORCE, "google.example")]
    # Stepped back on the day the certificate ended, and up again once it was right for a week and reports are clean.
    back, again = domains[SICK].changes[1:]
    assert back[:2] == (CERTIFICATE_ENDS, Mode.TESTING)
    assert again[1] is Mode.ENFORCE
    assert again[0] >= CERTIFICATE_RENEWED + 7
    others = [one for name, one in domains.items() if name not in {SICK, UNSEEN}]
    assert all(one.changes == [(7, Mode.ENFORCE, "google.example")] for one in others)


def test_a_liar_holds_up_a_step_and_no_more() -> None:
    """Signed by his own domain he can make a domain wait in testing, with the reason; not longer than he goes on."""
    domain = Domain(LIED_ABOUT)
    for number in range(20):
        for at in range(24):
            hour(domain, number, START + number * DAY_S + at * HOUR)
        report(domain, number, "google.example", domain.policy)
        report(domain, number, "liar.example", domain.policy, 90_000 if number < 10 else 0)
        if 8 <= number < 10:
            assert domain.mode is Mode.TESTING
            evidence = domain.evidence(START + number * DAY_S + 12 * HOUR)
            assert "liar.example reported 90000 sessions that failed" in evidence.clean.message
    assert domain.mode is Mode.ENFORCE
