"""The pages of senders' reports: the chart, failures with what to do, who holds what, and downloads that stay data."""

from sidecar.formats.mtasts_policy import Mode
from sidecar.formats.tls_report_policy import HeldPolicy
from sidecar.host.errors import TemporaryError
from sidecar.observed.reports import DaySum, FailureSum, Holding, ReportWay, UnreadableMessage
from sidecar.status.reports import ReportsView, page_view
from sidecar.web.reports import HEIGHT, chart_of
from tests.web.fakes import source_of
from tests.web.visitor import visiting

NAME = "choir.example"
HOSTILE = "<script>alert(1)</script>\"'>"


def failure(result: str, sessions: int, sender: str | None = "google.com", **changes: str) -> FailureSum:
    """Some failed sessions."""
    words = {"organisation": "Google", "mx": "mail.example.org", "ip": "192.0.2.7", "reason": "", **changes}
    return FailureSum(
        NAME, result, words["organisation"], sender, words["mx"], words["ip"], words["reason"],
        sessions, "2026-11-22", "2026-11-24",
    )  # fmt: skip


def view(*failures: FailureSum) -> ReportsView:
    """Two days of a domain."""
    held = HeldPolicy(Mode.TESTING, 86_400, ("mail.example.org",))
    return page_view(
        NAME,
        [DaySum("2026-11-23", 900, 0), DaySum("2026-11-24", 40, 3)],
        failures,
        [Holding(NAME, "Google", "google.com", "2026-11-24", held)],
        [UnreadableMessage(7, 1_000.0, ReportWay.SMTP, 99, "no TLS report is in it")],
    )


async def test_failures_that_refuse_mail_come_first_with_what_to_do() -> None:
    """Each with its organisation, hosts and sender."""
    source = source_of()
    source.reported[NAME] = view(failure("sts-policy-fetch-error", 500), failure("certificate-expired", 3))
    async with visiting(source) as visitor:
        status, text, _ = await visitor.get(f"reports/{NAME}")
    assert status == 200
    assert text.index("certificate-expired") < text.index("sts-policy-fetch-error")
    for said in (
        "3 sessions",
        "mail.example.org",
        "192.0.2.7",
        "google.com",
        "2026-11-22 to 2026-11-24",
        "<svg",
    ):
        assert said in text, said
    assert "testing" in text
    assert "reports/raw/7" in text


async def test_what_senders_wrote_stays_text() -> None:
    """On the page of all domains, too."""
    source = source_of()
    source.reported[""] = view(failure(HOSTILE, 1, None, organisation=HOSTILE, mx=HOSTILE, reason=HOSTILE))
    async with visiting(source) as visitor:
        _, text, _ = await visitor.get("reports")
    assert "<script>alert" not in text
    assert "not proven" in text


async def test_a_raw_report_is_a_download_that_no_browser_renders() -> None:
    """And one that is not kept is not there."""
    source = source_of()
    source.raw[7] = b"<script>alert(1)</script>"
    async with visiting(source) as visitor:
        status, text, response = await visitor.get("reports/raw/7")
        gone, _, _ = await visitor.get("reports/raw/8")
    assert (status, text, gone) == (200, "<script>alert(1)</script>", 404)
    assert response.content_type == "application/octet-stream"
    assert response.headers["Content-Disposition"].startswith("attachment")


async def test_without_reports_and_without_a_store_the_page_says_so() -> None:
    """Neither is an error of the page."""
    source = source_of()
    async with visiting(source) as visitor:
        status, text, _ = await visitor.get("reports")
        assert (status, "No reports yet" in text) == (200, True)
        assert (await visitor.get("reports/nobody.example"))[0] == 404
        source.raises = TemporaryError("reading the TLS reports failed")
        status, text, _ = await visitor.get(f"reports/{NAME}")
    assert (status, "cannot be read" in text) == (200, True)


def test_every_failure_is_visible_in_the_chart() -> None:
    """One of a million is a line of its own; no bar is higher than the chart."""
    chart = chart_of([DaySum("2026-11-23", 999_999, 1), DaySum("2026-11-24", 0, 0)])
    first, second = chart.bars
    assert (first.failed_height, first.ok_height + first.failed_height) == (1, HEIGHT)
    assert (second.failed_height, second.ok_height) == (0, 0)
    assert chart_of([]).width > 0
