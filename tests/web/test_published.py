"""What the page of a domain and the metrics say of published records."""

from dataclasses import replace

from sidecar.observed.record_sets import RecordSet, RecordType
from sidecar.plan.publish.make import as_plan, make_plan
from sidecar.plan.publish.picture import picture_of
from sidecar.reconcile.passes import PassReport
from sidecar.web.metrics import Metrics
from tests.plan.publish.test_picture import (
    HOST_NAME,
    ID_NAME,
    LED_HERE,
    NAME,
    REPORT_NAME,
    look,
    seen,
    settings,
)
from tests.web.fakes import FakeSource, status_once
from tests.web.visitor import TOKEN, visiting

CONFIG = settings("upsert", tls_report="mailto:t@example.org")


def source() -> FakeSource:
    """A daemon for whose domain a person published a record for reports."""
    theirs = look((RecordType.TXT, RecordSet(("v=TLSRPTv1; rua=mailto:<b>@example.com",), 60)))
    found = seen(names={HOST_NAME: LED_HERE, ID_NAME: look(), REPORT_NAME: theirs})
    picture = picture_of(found, CONFIG)
    assert picture is not None
    return FakeSource(PassReport(found, as_plan(make_plan(picture), found.records), ()), settings=CONFIG)


async def test_page_shows_each_place_and_lets_a_person_decide() -> None:
    """What is in the DNS is anybody's text: it is shown as text."""
    async with visiting(source(), token=TOKEN) as visitor:
        await visitor.log_in()
        _, text, _ = await visitor.get(f"domains/{NAME}")
    assert "TXT v=TLSRPTv1; rua=mailto:&lt;b&gt;@example.com" in text
    assert "(somebody else&#39;s)" in text
    assert "(the sidecar&#39;s)" in text
    assert f'name="domain" value="{REPORT_NAME}"' in text
    assert f'name="domain" value="{HOST_NAME}"' not in text
    assert f"CNAME {LED_HERE.servers.answers[0][0].partition(' ')[2]}" in text if LED_HERE.servers else False


def test_metrics_count_record_sets_and_failures_of_accounts() -> None:
    """The labels are the program's own words and the names of the settings."""
    daemon = source()
    assert daemon.report is not None
    metrics = Metrics("1")
    metrics.passed(daemon.report, status_once(daemon.report, CONFIG), 0.1, 1.0)
    text = metrics.text("")[0].decode()
    assert 'mta_sts_dns_record_sets{right="no",whose="foreign"} 1.0' in text
    assert 'mta_sts_dns_record_sets{right="yes",whose="ours"} 1.0' in text
    assert 'mta_sts_dns_account_failures{account="home"} 0.0' in text


def test_metrics_say_nothing_where_nothing_is_published() -> None:
    """There are no series that would always be 0."""
    daemon = source()
    assert daemon.report is not None
    report = replace(daemon.report, plan=replace(daemon.report.plan, records=None))
    metrics = Metrics("1")
    metrics.passed(report, status_once(report, CONFIG), 0.1, 1.0)
    assert b"mta_sts_dns_" not in metrics.text("")[0]
