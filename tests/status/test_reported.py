"""How senders' reports change the status of a domain."""

from dataclasses import replace
from typing import Any

from sidecar.formats.mtasts_policy import Mode
from sidecar.formats.tls_report_policy import HeldPolicy
from sidecar.observed import CheckRecord
from sidecar.observed.checks import Finding, Severity, Stage, Status
from sidecar.observed.reports import CleanReport, Holding, Reason, ReportEvidence, ReportsClean
from sidecar.status.judgement import judge
from sidecar.status.row import Row
from sidecar.status.to_document import domain_of
from sidecar.status.wording import Light
from sidecar.verify.rules.policy_id import ID_STALE
from tests.status.test_domains import only_row, published, settled, status

REFUSED = ReportsClean(Status.FALSE, Reason.REFUSED, "Google reported 9 sessions that failed", 1_000.0)
SEEN = CleanReport("Google", "google.com", "2026-11-24", 12)


def with_reports(clean: ReportsClean, **changes: Any) -> Row:
    """A domain whose checks all pass, with this condition."""
    found = only_row(status(settled(), txt=published()))
    return replace(found, reports=ReportEvidence(clean, old=(HOLDS,)), auto=True, **changes)


HOLDS = Holding("example.org", "Google", "google.com", "2026-11-24", HeldPolicy(Mode.TESTING, 86_400, ()))


def test_a_lasting_failure_that_a_proven_sender_reports_needs_a_person() -> None:
    """With the command that explains it."""
    judged = judge(with_reports(REFUSED, stage=Stage.READY))
    assert judged.light is Light.ATTENTION
    assert (judged.cause.code, judged.cause.message) == ("reports-refused", REFUSED.message)
    assert "reports example.org" in str(judged.cause.todo)


def test_a_domain_that_waits_for_a_required_report_says_so() -> None:
    """It needs no person."""
    none = ReportsClean(Status.UNKNOWN, Reason.NONE, "no reports")
    waits = with_reports(none, stage=Stage.READY, require_report=True)
    assert judge(waits).cause.code == "reports-awaited"
    assert judge(replace(waits, require_report=False)).cause.code != "reports-awaited"


def test_the_document_names_the_proof_and_who_holds_an_old_policy() -> None:
    """For the API and `status --json`."""
    clean = ReportsClean(Status.TRUE, Reason.CLEAN, "1 sender", 1_000.0, SEEN)
    found = domain_of(with_reports(clean, stage=Stage.READY)).reports
    assert (found.status, found.since) == (Status.TRUE, "1970-01-01T00:16:40Z")
    assert found.proof == "Google applied this policy on 2026-11-24, and 12 sessions succeeded"
    assert found.old_policy
    assert found.old_policy[0].startswith("Google was seen with the old policy")


def test_an_old_id_names_a_sender_that_applied_the_old_policy() -> None:
    """Only if reports say so."""
    clean = ReportsClean(Status.TRUE, Reason.CLEAN, "1 sender", 1_000.0)
    stale = Finding(
        ID_STALE.name, Severity.CRITICAL, "_mta-sts.example.org", "the id did not change", None, "§3.1"
    )
    found = with_reports(clean, stage=Stage.ANNOUNCING, check=CheckRecord(1_000.0, (stale,)))
    (cause,) = [cause for cause in judge(found).needs if cause.code == ID_STALE.name]
    assert "Google was seen with the old policy" in cause.message
    without = replace(found, reports=replace(found.reports, old=()))
    (cause,) = [cause for cause in judge(without).needs if cause.code == ID_STALE.name]
    assert cause.message == "the id did not change"
