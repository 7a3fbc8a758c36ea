"""What Prometheus reads at `/metrics`: counters of this process, and the state of the latest pass.

Rules for every editor: names as Prometheus wants them (`mta_sts_`, base units, `_total`), label values are
the program's own codes. Series of a domain are computed from the latest report at each scrape, so a deleted domain
leaves no series; nothing expensive runs in a pass. No secret, no text of a finding.
"""

import asyncio
import platform
from collections import Counter as Count
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeAlias, get_args

from aiohttp import hdrs, web
from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from sidecar.formats.tls_report_results import RESULTS
from sidecar.observed import Certificate, Observed, Seen
from sidecar.observed.checks import Severity, Stage
from sidecar.observed.notice import Level
from sidecar.observed.reports import ReportTotals
from sidecar.plan.actions import Action, RecreateAcme, RestartAcme
from sidecar.plan.publish.values import RecordOwner
from sidecar.reconcile.apply import Result
from sidecar.reconcile.passes import PassReport
from sidecar.status.domains import CurrentStatus
from sidecar.status.once import Once
from sidecar.status.row import Row
from sidecar.web.health import Handler, readable

API_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 60, 120)
"""Buckets in seconds: most calls take milliseconds, a whole list may take two minutes."""
PASS_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


KINDS: tuple[str, ...] = tuple(dict.fromkeys(kind.verb for kind in get_args(Action)))
"""Each kind of action has a series, also at 0: an absent series cannot be compared."""
RUNS = (RestartAcme.verb, RecreateAcme.verb)
SEVERE = (Severity.WARNING, Severity.ERROR, Severity.CRITICAL)
"""Severities for which each domain has its own series."""

# Otherwise each counter has a second series with the time when this process started.
disable_created_metrics()  # type: ignore[no-untyped-call]

Family: TypeAlias = GaugeMetricFamily | InfoMetricFamily


class Metrics:
    """All metrics of one sidecar; its methods may be called from any thread."""

    def __init__(self, version: str) -> None:
        self._version = version
        self._latest: tuple[PassReport, Once] | None = None
        self._succeeded_at: float | None = None
        self._registry = CollectorRegistry(auto_describe=False)
        self._api_seconds = Histogram(
            "mta_sts_mailcow_api_request_duration_seconds",
            "Duration of a request to mailcow, without the time in the queue.",
            ["route"],
            buckets=API_S,
            registry=self._registry,
        )
        self._api_requests = Counter(
            "mta_sts_mailcow_api_requests",
            "Requests to mailcow, by HTTP status; none: no answer in time.",
            ["route", "code"],
            registry=self._registry,
        )
        self._pass_seconds = Histogram(
            "mta_sts_pass_duration_seconds",
            "Duration of a pass, failed passes included.",
            buckets=PASS_S,
            registry=self._registry,
        )
        self._failures = Counter("mta_sts_pass_failures", "Failed passes.", registry=self._registry)
        self._actions = Counter(
            "mta_sts_actions",
            "Attempted actions, by outcome.",
            ["kind", "outcome"],
            registry=self._registry,
        )
        self._restarts = Counter(
            "mta_sts_acme_restarts",
            "Restarts and re-creations of acme-mailcow that the sidecar made.",
            ["kind"],
            registry=self._registry,
        )
        for kind in RUNS:
            self._restarts.labels(kind)
        self._registry.register(_Latest(self))
        self.reports: Callable[[], ReportTotals | None] = lambda: None
        """The sums of the reports that were received; it blocks, and is called by a scrape."""

    def called(self, route: str, seconds: float, status: int | None) -> None:
        """A request to mailcow has ended (`OnCall`)."""
        self._api_seconds.labels(route).observe(seconds)
        self._api_requests.labels(route, "none" if status is None else str(status)).inc()

    def passed(self, report: PassReport, status: Once, seconds: float, now: float) -> None:
        """A pass succeeded after `seconds`, at `now` (Unix seconds). `status` is computed at the next scrape."""
        self._pass_seconds.observe(seconds)
        for outcome in report.outcomes:
            kind = outcome.action.verb
            self._actions.labels(kind, outcome.result.value).inc()
            if kind in RUNS and outcome.result is Result.DONE:
                self._restarts.labels(kind).inc()
        self._latest = report, status
        self._succeeded_at = now

    def failed(self, seconds: float) -> None:
        """A pass failed."""
        self._pass_seconds.observe(seconds)
        self._failures.inc()

    def families(self) -> Iterator[Family]:
        """The metrics of the latest pass."""
        yield InfoMetricFamily(
            "mta_sts_build",
            "What is running.",
            value={"version": self._version, "python": platform.python_version()},
        )
        if self._succeeded_at is not None:
            yield GaugeMetricFamily(
                "mta_sts_last_successful_pass_timestamp_seconds",
                "End of the last successful pass.",
                self._succeeded_at,
            )
        totals = self.reports()
        if totals is not None:
            # Gauges, because reports are replaced and deleted.
            yield _gauge(
                "mta_sts_report_sessions",
                "Sessions that senders reported for the last 14 days (RFC 8460).",
                ["outcome"],
                [(("succeeded",), totals.ok), (("failed",), totals.failed)],
            )
            # Senders can invent result types: all that RFC 8460 does not define are one series.
            found = dict.fromkeys((*RESULTS, "other"), 0)
            for result, count in totals.failures.items():
                found[result if result in RESULTS else "other"] += count
            yield _gauge(
                "mta_sts_report_failed_sessions",
                "Failed sessions that senders reported for the last 14 days, by result type.",
                ["type"],
                [((result,), count) for result, count in found.items()],
            )
        if self._latest is not None:
            report, status = self._latest
            yield from _of_report(report, status())

    def text(self, accept: str) -> tuple[bytes, str]:
        """The metrics in the format that suits the `Accept` header, and its content type."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type


def _gauge(
    name: str, documentation: str, labels: Sequence[str], samples: Iterable[tuple[tuple[str, ...], float]]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, documentation, labels=labels)
    for values, number in samples:
        family.add_metric(values, number)
    return family


def handler(metrics: Metrics) -> Handler:
    """Answers `GET /metrics`; encoded in a thread, so that the event loop is not blocked."""

    async def handle(request: web.Request) -> web.Response:
        body, content_type = await asyncio.to_thread(metrics.text, request.headers.get(hdrs.ACCEPT, ""))
        return web.Response(
            body=body, headers={hdrs.CONTENT_TYPE: content_type, hdrs.CACHE_CONTROL: "no-store"}
        )

    return handle


# --- the latest pass -------------------------------------------------------------------------------------


class _Latest(Collector):
    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Family]:
        return self._metrics.families()


def _of_report(report: PassReport, status: CurrentStatus) -> Iterator[Family]:
    rows = tuple(row for row in status.rows if row.tended)
    yield GaugeMetricFamily(
        "mta_sts_mailcow_readable", "1 where mailcow answered in the last pass.", readable(report)
    )
    if isinstance(report.observed.mailcow, Seen):
        mailcow = report.observed.mailcow.value
        yield InfoMetricFamily(
            "mta_sts_mailcow",
            "Which mailcow this is.",
            value={"version": str(mailcow.version or "unknown"), "backend": mailcow.backend.value},
        )
    stages = Count(row.stage.value if row.stage else "unknown" for row in rows)
    yield _gauge(
        "mta_sts_domains",
        "Domains and alias domains, by stage.",
        ["stage"],
        [((stage,), stages[stage]) for stage in (*(one.value for one in Stage), "unknown")],
    )
    yield _gauge(
        "mta_sts_domain_stage",
        "1 for the current roll-out stage of a domain.",
        ["domain", "stage"],
        [((row.domain, row.stage.value if row.stage else "unknown"), 1) for row in rows],
    )
    yield _gauge(
        "mta_sts_domain_mode",
        "1 for the mode of the served policy of a domain; absent: no policy is served.",
        ["domain", "mode"],
        [((row.domain, row.mode.value), 1) for row in rows if row.mode is not None],
    )
    yield _gauge(
        "mta_sts_domain_needs_person",
        "1 for a domain that needs a person, by cause; absent: nothing to do.",
        ["domain", "code"],
        [((row.domain, row.judgement.cause.code), 1) for row in status.rows if row.attention],
    )
    yield from _findings(rows)
    yield from _certificates(report.observed)
    yield from _actions(report)
    yield from _records(report)
    notices = Count((one.level, one.code) for one in dict.fromkeys(report.plan.notices))
    levels = list(Level)
    yield _gauge(
        "mta_sts_notices",
        "Notices for a person, by level and code; absent: no notice with this code.",
        ["level", "code"],
        [
            ((level.value, code), number)
            for (level, code), number in sorted(
                notices.items(), key=lambda one: (levels.index(one[0][0]), one[0][1])
            )
        ],
    )


def _findings(rows: tuple[Row, ...]) -> Iterator[Family]:
    checks = [(row.domain, row.check) for row in rows if row.check is not None]
    counts = {domain: Count(finding.severity for finding in check.findings) for domain, check in checks}
    yield _gauge(
        "mta_sts_findings",
        "Findings of the last checks of all domains, by severity.",
        ["severity"],
        [((severity.value,), sum(each[severity] for each in counts.values())) for severity in Severity],
    )
    yield _gauge(
        "mta_sts_domain_findings",
        "Findings of the last check of a domain that are a warning or worse, by severity; absent: none.",
        ["domain", "severity"],
        [
            ((domain, severity.value), each[severity])
            for domain, each in counts.items()
            for severity in SEVERE
            if each[severity]
        ],
    )
    yield _gauge(
        "mta_sts_domain_last_check_timestamp_seconds",
        "Time of the last sender check of a domain.",
        ["domain"],
        [((domain,), check.at) for domain, check in checks],
    )


def _certificates(observed: Observed) -> Iterator[Family]:
    if not isinstance(observed.certificates, Seen):
        return
    seen = observed.certificates.value
    found = [one for one in (seen.server, *seen.sni) if isinstance(one, Certificate)]
    yield _gauge(
        "mta_sts_certificate_expiry_timestamp_seconds",
        "Expiry of a certificate, by its folder below data/assets/ssl; server: mailcow's own certificate.",
        ["certificate"],
        [((one.folder or "server",), one.not_after) for one in found],
    )
    yield _gauge(
        "mta_sts_certificate_start_timestamp_seconds",
        "When a certificate of mailcow became valid: with its end, how long it lives.",
        ["certificate"],
        [((one.folder or "server",), one.not_before) for one in found],
    )


def _actions(report: PassReport) -> Iterator[Family]:
    done = {id(outcome.action) for outcome in report.outcomes if outcome.result is Result.DONE}
    for state, text, counts in (
        (
            "pending",
            "Actions that the last pass planned and has not done.",
            Count(action.verb for action in report.plan.actions if id(action) not in done),
        ),
        (
            "held",
            "Actions that wait for a time, an answer or a person.",
            Count(held.action.verb for held in report.plan.held),
        ),
    ):
        yield _gauge(f"mta_sts_actions_{state}", text, ["kind"], [((kind,), counts[kind]) for kind in KINDS])


def _records(report: PassReport) -> Iterator[Family]:
    """DNS records that the sidecar publishes; nothing if it publishes none."""
    plan, looks = report.plan.records, report.observed.records
    if plan is None:
        return
    counts = Count((row.whose, row.right) for row in plan.rows if looks.of(row.key.name).account is not None)
    yield _gauge(
        "mta_sts_dns_record_sets",
        "DNS record sets that are wanted or there, by whose they are, and whether senders find what is wanted.",
        ["whose", "right"],
        [
            ((whose.value, "yes" if right else "no"), counts[whose, right])
            for whose in RecordOwner
            for right in (True, False)
        ],
    )
    yield _gauge(
        "mta_sts_dns_account_failures",
        "Failures in a row of a DNS account; 0: it works.",
        ["account"],
        [
            ((account,), looks.accounts[account].failures if account in looks.accounts else 0)
            for account in looks.zones
        ],
    )
    yield GaugeMetricFamily(
        "mta_sts_dns_writes_held",
        "DNS record sets that wait.",
        sum(not one.by_hand for one in plan.held),
    )
