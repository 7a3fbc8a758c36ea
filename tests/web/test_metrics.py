"""`/metrics` shows the state of the latest pass, drops series of deleted domains, and is fast."""

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.parser import text_string_to_metric_families as read_text

import sidecar.web
from demo.simulated import Fault, SimulatedMailcow
from sidecar.formats.mtasts_policy import Mode
from sidecar.formats.tls_report_results import RESULTS
from sidecar.mailcow.api import Deadlines, MailcowApi, NotReadable
from sidecar.mailcow.endpoint import endpoint
from sidecar.observed import CheckRecord, Conf, Memory, Seen
from sidecar.observed.checks import NEEDED, ConditionType, Finding, Judgement, Rollout, Severity, Status
from sidecar.observed.notice import Level, Notice, NoticeCode
from sidecar.observed.record_sets import RecordObservations
from sidecar.observed.reports import ReportTotals
from sidecar.plan.actions import Held, Plan, RestartAcme
from sidecar.plan.publish.values import PublishPlan
from sidecar.reconcile.apply import Outcome, Result
from sidecar.reconcile.passes import PassReport
from sidecar.rollout import checked
from sidecar.settings import Settings
from sidecar.web.metrics import Metrics, handler
from tests.web.fakes import status_once
from tests.worlds import DAY, HOST, NOW, World, look, observed, text

PROMETHEUS = Path(sidecar.web.__path__[0]) / "prometheus"
Labels = frozenset[tuple[str, str]]
Series = Mapping[tuple[str, Labels], float]


def labels(**given: str) -> Labels:
    """Labels as `series` has them."""
    return frozenset(given.items())


def series(metrics: Metrics) -> Series:
    """All samples, by name and labels."""
    body, content_type = metrics.text("text/plain")
    assert content_type.startswith("text/plain")
    found: dict[tuple[str, Labels], float] = {}
    for family in read_text(body.decode()):
        for sample in family.samples:
            key = sample.name, frozenset(sample.labels.items())
            assert key not in found
            found[key] = sample.value
    return found


def read_openmetrics(body: str) -> list[Metric]:
    """By the strict parser."""
    return list(text_string_to_metric_families(body))  # type: ignore[no-untyped-call]


def rollout(**false: str) -> Rollout:
    """All conditions true but these, with what is said of each."""
    judged = {kind: Judgement(Status.TRUE) for kind in NEEDED}
    judged |= {
        ConditionType[name.upper()]: Judgement(Status.FALSE, "code", said) for name, said in false.items()
    }
    return checked(Rollout(), judged, NOW, 3_600)


def finding(severity: Severity, code: str = "mx-cert-expired") -> Finding:
    """A finding of this severity."""
    return Finding(code, severity, HOST, "something", None, "RFC 8461 §4.2")


def world(*domains: str, memory: Memory | None = None, **more: Any) -> World:
    """A world in which these domains are served a policy in testing."""
    served = {name: text(Mode.TESTING) for name in domains}
    return World(domains=domains, served=served, memory=memory or Memory(), **more)


def report(world: World, plan: Plan | None = None, outcomes: tuple[Outcome, ...] = ()) -> PassReport:
    """A pass over this world."""
    return PassReport(observed(world), plan or look(world)[1], outcomes)


def shown(*reports: PassReport) -> Metrics:
    """After these passes."""
    metrics = Metrics("1.2.3")
    for one in reports:
        metrics.passed(one, status_once(one, Settings()), 0.2, NOW)
    return metrics


# --- domains ---------------------------------------------------------------------------------------------


def test_every_domain_has_its_mode_and_its_stage() -> None:
    """One series each, and the numbers by stage with those that are none."""
    memory = Memory(rollouts={"a.example": rollout(record_published="no record"), "b.example": rollout()})
    found = series(
        shown(
            report(
                replace(
                    world("a.example", "b.example", "c.example", memory=memory),
                    served={"a.example": text(Mode.TESTING), "b.example": text(Mode.ENFORCE)},
                    unseen=frozenset({"served:c.example"}),
                )
            )
        )
    )
    stages = {key: value for key, value in found.items() if key[0] == "mta_sts_domain_stage"}
    assert stages == {
        ("mta_sts_domain_stage", labels(domain="a.example", stage="announcing")): 1,
        ("mta_sts_domain_stage", labels(domain="b.example", stage="enforced")): 1,
        ("mta_sts_domain_stage", labels(domain="c.example", stage="unknown")): 1,
    }
    assert {key[1] for key in found if key[0] == "mta_sts_domain_mode"} == {
        labels(domain="a.example", mode="testing"),
        labels(domain="b.example", mode="enforce"),
    }
    assert found["mta_sts_domains", labels(stage="enforced")] == 1
    assert found["mta_sts_domains", labels(stage="ready")] == 0
    assert sum(value for key, value in found.items() if key[0] == "mta_sts_domains") == 3


def test_domain_that_is_gone_leaves_no_series() -> None:
    """Nor does the stage that a domain was at before."""
    memory = Memory(checks={"b.example": CheckRecord(NOW, (finding(Severity.ERROR),))})
    metrics = shown(report(world("a.example", "b.example", memory=memory)))
    assert b"b.example" in metrics.text("")[0]
    one = report(world("a.example", memory=memory))
    metrics.passed(one, status_once(one, Settings()), 0.2, NOW)
    assert b"b.example" not in metrics.text("")[0]
    assert len([key for key in series(metrics) if key[0] == "mta_sts_domain_stage"]) == 1


def test_findings_are_counted_by_severity_and_the_bad_ones_by_domain() -> None:
    """What was found of a domain that is not managed any more does not count."""
    bad = (
        finding(Severity.CRITICAL),
        finding(Severity.WARNING, "a"),
        finding(Severity.WARNING, "b"),
        finding(Severity.OK),
    )
    memory = Memory(checks={"a.example": CheckRecord(NOW - 60, bad), "gone.example": CheckRecord(NOW, bad)})
    found = series(shown(report(world("a.example", "b.example", memory=memory))))
    assert {key[1]: value for key, value in found.items() if key[0] == "mta_sts_findings"} == {
        labels(severity="ok"): 1,
        labels(severity="notice"): 0,
        labels(severity="unknown"): 0,
        labels(severity="warning"): 2,
        labels(severity="error"): 0,
        labels(severity="critical"): 1,
    }
    assert {key[1]: value for key, value in found.items() if key[0] == "mta_sts_domain_findings"} == {
        labels(domain="a.example", severity="critical"): 1,
        labels(domain="a.example", severity="warning"): 2,
    }
    assert found["mta_sts_domain_last_check_timestamp_seconds", labels(domain="a.example")] == NOW - 60


# --- the sidecar and mailcow ------------------------------------------------------------------------------


def test_certificates_actions_and_notices_have_series() -> None:
    """Kinds of actions without any have a 0, codes of notices without any have no series."""
    held = Held(RestartAcme("id", NOW, ("mta-sts.a.example",), "missing"), "quiet", NOW + 30)
    said = Notice(Level.ERROR, NoticeCode.MX_UNCOVERED, "a.example", "bad")
    plan = Plan(look(World())[1].actions, (held,), (said, said, replace(said, subject="b.example")))
    found = series(shown(report(World(), plan)))
    ends = found["mta_sts_certificate_expiry_timestamp_seconds", labels(certificate="server")]
    assert ends == NOW + 80 * DAY
    assert found["mta_sts_actions_held", labels(kind="restart")] == 1
    assert found["mta_sts_actions_pending", labels(kind="add policy")] == 1
    assert found["mta_sts_actions_pending", labels(kind="restart")] == 0
    assert {key[1]: value for key, value in found.items() if key[0] == "mta_sts_notices"} == {
        labels(level="error", code="mx.uncovered"): 2
    }
    assert found["mta_sts_build_info", frozenset({("version", "1.2.3"), *_python(found)})] == 1
    assert found["mta_sts_mailcow_info", labels(version="2026-07a", backend="native")] == 1
    assert found["mta_sts_mailcow_readable", labels()] == 1
    unread = series(shown(report(World(unseen=frozenset({"domains"})))))
    assert unread["mta_sts_mailcow_readable", labels()] == 0


def _python(found: Series) -> Iterator[tuple[str, str]]:
    return ((k, v) for key, given in found for k, v in given if key == "mta_sts_build_info" and k == "python")


def test_action_that_is_done_is_no_longer_pending_and_counts() -> None:
    """A restart counts once it is done, and never when it failed."""
    restart = RestartAcme("id", NOW, ("mta-sts.a.example",), "missing")
    plan = Plan((restart,))
    metrics = shown(
        report(World(), plan, (Outcome(restart, Result.FAILED, NOW, "busy"),)),
        report(World(), plan, (Outcome(restart, Result.DONE, NOW),)),
    )
    found = series(metrics)
    assert found["mta_sts_actions_pending", labels(kind="restart")] == 0
    assert found["mta_sts_actions_total", labels(kind="restart", outcome="done")] == 1
    assert found["mta_sts_actions_total", labels(kind="restart", outcome="failed")] == 1
    assert found["mta_sts_acme_restarts_total", labels(kind="restart")] == 1
    assert found["mta_sts_acme_restarts_total", labels(kind="re-create")] == 0


def test_passes_are_timed_and_the_last_good_one_is_dated() -> None:
    """A failure counts, takes time, and leaves what is known as it is."""
    metrics = shown(report(world("a.example")))
    metrics.failed(7.0)
    found = series(metrics)
    assert found["mta_sts_pass_duration_seconds_count", labels()] == 2
    assert found["mta_sts_pass_duration_seconds_sum", labels()] == 7.2
    assert found["mta_sts_pass_duration_seconds_bucket", labels(le="0.25")] == 1
    assert found["mta_sts_pass_failures_total", labels()] == 1
    assert found["mta_sts_last_successful_pass_timestamp_seconds", labels()] == NOW
    assert ("mta_sts_domain_mode", labels(domain="a.example", mode="testing")) in found


def test_before_the_first_pass_there_is_only_what_is_known() -> None:
    """No zero stands for what was not seen."""
    found = {name for name, _ in series(Metrics("1.2.3"))}
    assert "mta_sts_build_info" in found
    assert not any(name.startswith(("mta_sts_domain", "mta_sts_last", "mta_sts_mailcow_r")) for name in found)


async def test_requests_to_mailcow_are_counted_by_route_and_status() -> None:
    """By the client itself: an answer, a status that is none, and no answer in time."""
    metrics = Metrics("1.2.3")
    async with await SimulatedMailcow.start(hostname=HOST) as mailcow:
        mailcow.add_domain("example.org")
        place = endpoint(Conf({"MAILCOW_HOSTNAME": HOST}), mailcow.url)
        hasty = Deadlines(connect=5, list=30, call=0.3)
        async with MailcowApi(place, mailcow.key or "", deadlines=hasty, on_call=metrics.called) as api:
            await api.timed_domain_list()
            mailcow.slow("get/status/version", 5)
            with pytest.raises(NotReadable):
                await api.version()
            mailcow.fail("get/domain/all", Fault.HTML_502)
            with pytest.raises(NotReadable):
                await api.timed_domain_list()
    found = series(metrics)
    counted = "mta_sts_mailcow_api_requests_total"
    requests = {given: value for (name, given), value in found.items() if name == counted}
    assert requests == {
        labels(route="get/domain/all", code="200"): 1,
        labels(route="get/domain/all", code="502"): 1,
        labels(route="get/alias-domain/all", code="200"): 2,  # asked before the list each time
        labels(route="get/status/version", code="none"): 1,
    }
    slow = found["mta_sts_mailcow_api_request_duration_seconds_sum", labels(route="get/status/version")]
    assert slow > 0.25


# --- the format ------------------------------------------------------------------------------------------


def everything() -> Metrics:
    """Metrics with a series of every name, and with what is awkward in a label."""
    memory = Memory(checks={"a.example": CheckRecord(NOW, (finding(Severity.ERROR),))})
    said = Notice(Level.ERROR, NoticeCode.MX_UNCOVERED, "a.example", 'quote " backslash \\ end')
    restart = RestartAcme("id", NOW, (), "missing")
    looks = RecordObservations(zones={"home": Seen(("a.example",), NOW)})
    plan = Plan(notices=(said,), records=PublishPlan())
    made = report(world("a.example", memory=memory), plan, (Outcome(restart, Result.DONE, NOW),))
    metrics = shown(replace(made, observed=replace(made.observed, records=looks)))
    metrics.reports = lambda: ReportTotals(90, 1, {"certificate-expired": 1})
    metrics.called("get/domain/all", 0.2, 200)
    metrics.failed(1)
    return metrics


async def test_answer_is_in_the_requested_format() -> None:
    """OpenMetrics, read by its strict parser, or the text format for all others."""
    app = web.Application()
    app.router.add_get("/metrics", handler(everything()))
    async with TestClient(TestServer(app)) as client:
        async with client.get(
            "/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"}
        ) as answer:
            assert answer.content_type == "application/openmetrics-text"
            strict = read_openmetrics(await answer.text())
        async with client.get("/metrics", headers={"Accept": "*/*"}) as answer:
            assert answer.content_type == "text/plain"
            loose = list(read_text(await answer.text()))
    assert len(strict) == len(loose) > 15


def test_names_keep_to_the_conventions() -> None:
    """One prefix, base units at the end, `_total` for counters alone, a help text each."""
    families = read_openmetrics(everything().text("application/openmetrics-text")[0].decode())
    for family in families:
        assert re.fullmatch(r"mta_sts(_[a-z]+)+", family.name)
        assert family.documentation.endswith("."), family.name
        assert not re.search(r"_(milliseconds|ms|minutes|hours|days|percent|counter|gauge)(_|$)", family.name)
        assert family.type in {"counter", "gauge", "histogram", "info"}
        assert ("timestamp" in family.name or "duration" in family.name) == family.name.endswith("_seconds")
        if family.type == "counter":
            assert {sample.name for sample in family.samples} == {f"{family.name}_total"}
    assert not any("_created" in sample.name for family in families for sample in family.samples)


@pytest.mark.system
def test_promtool_accepts_metrics_and_alerts() -> None:
    """The linter of Prometheus itself, over the metrics and over the alerts."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian's package prometheus)")
    body = everything().text("text/plain")[0]
    for command, given in (
        (["check", "metrics"], body),
        (["check", "rules", str(PROMETHEUS / "alerts.yml")], b""),
    ):
        done = subprocess.run([promtool, *command], input=given, capture_output=True, check=False, timeout=30)
        assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()


@pytest.mark.integration
def test_cost_of_a_scrape_grows_with_the_domains_and_no_faster() -> None:
    """With findings for each; CPU time, so that a busy machine does not matter."""

    def cost(count: int) -> float:
        names = [f"d{n}.example" for n in range(count)]
        record = CheckRecord(NOW, (finding(Severity.ERROR), finding(Severity.WARNING)))
        memory = Memory(checks=dict.fromkeys(names, record), rollouts=dict.fromkeys(names, rollout()))
        metrics = shown(report(world(*names, memory=memory), Plan()))
        begun = time.process_time()
        body, _ = metrics.text("application/openmetrics-text")
        assert body.count(b"mta_sts_domain_stage{") == count
        return time.process_time() - begun

    few = min(cost(150) for _ in range(3))
    assert cost(1_500) < 40 * few


# --- alerts and dashboard ---------------------------------------------------------------------------------


def queries() -> list[tuple[str, str]]:
    """Every expression of the two example files, with where it stands."""
    alerts = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())
    rules = [rule for group in alerts["groups"] for rule in group["rules"]]
    panels = json.loads((PROMETHEUS / "dashboard.json").read_text())["panels"]
    return [(rule["alert"], rule["expr"]) for rule in rules] + [
        (panel["title"], target["expr"]) for panel in panels for target in panel["targets"]
    ]


@pytest.mark.parametrize(("place", "expression"), queries())
def test_examples_use_existing_metrics_and_labels(place: str, expression: str) -> None:
    """Every name in an alert or a panel is one that is exported, every word of a label one of the program's."""
    known = {name for name, _ in series(everything())}
    asked = set(re.findall(r"mta_sts_\w+", expression))
    assert asked
    assert asked <= known
    words = {
        "stage": {
            key for name, given in series(everything()) for k, key in given if name == "mta_sts_domains"
        },
        "severity": {severity.value for severity in Severity},
        "level": {level.value for level in Level},
        "outcome": {result.value for result in Result},
        "type": {*RESULTS},
        "right": {"yes", "no"},
    }
    for label, pattern in re.findall(r'(\w+)[!=]=?~?"([^"]*)"', expression):
        assert set(pattern.split("|")) <= words[label], pattern


def test_dashboard_shows_everything_about_tls_reports_and_dns_publishing() -> None:
    """Each of their metrics is in a panel."""
    panels = json.loads((PROMETHEUS / "dashboard.json").read_text())["panels"]
    asked = " ".join(target["expr"] for panel in panels for target in panel["targets"])
    known = {name for name, _ in series(everything())}
    exported = {name for name in known if name.startswith(("mta_sts_report_", "mta_sts_dns_"))}
    assert len(exported) == 5
    assert exported <= set(re.findall(r"mta_sts_\w+", asked))


def test_alerts_say_what_to_do_and_panels_do_not_overlap() -> None:
    """Each alert has a summary and a description; each panel its own place."""
    alerts = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())
    for rule in alerts["groups"][0]["rules"]:
        assert set(rule["annotations"]) == {"summary", "description"}, rule["alert"]
        assert rule["labels"]["severity"] in {"warning", "critical"}
    dashboard = json.loads((PROMETHEUS / "dashboard.json").read_text())
    cells = [
        (x, y)
        for panel in dashboard["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
