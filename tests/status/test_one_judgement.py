"""Does this domain need a person? Command line, page, API, metrics and notifications give the same answer."""

import io
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from sidecar.cli.status_text import print_status
from sidecar.formats.mtasts_policy import Mode
from sidecar.notify.digest import digest_of
from sidecar.notify.events import news, view_of
from sidecar.observed import CheckRecord, Memory, PolicyMemory, Seen, Txt, Write
from sidecar.observed.checks import NEEDED, Condition, ConditionType, Finding, Rollout, Severity, Status
from sidecar.observed.notice import Level, Notice, NoticeCode
from sidecar.plan import decide
from sidecar.plan.actions import Plan
from sidecar.reconcile.passes import PassReport
from sidecar.settings import Settings
from sidecar.status.needs import summary_of
from sidecar.status.once import Once
from sidecar.status.to_document import all_domains, as_json, document_of
from sidecar.web.metrics import Metrics
from tests.web.fakes import FakeSource
from tests.web.visitor import visiting
from tests.worlds import DAY, FILE_MAILCOW, HOST, NATIVE, NOW, World, given_settings, observed, text

SETTINGS = given_settings({"tls_report": "tls@example.org"})
RUA = "v=TLSRPTv1; rua=mailto:tls@example.org"
NAMES = ("a.example", "b.example", "c.example")

EXPIRED = Finding(
    "mx-cert-expired", Severity.CRITICAL, HOST, "the certificate has ended", "renew it", "RFC 8461 §4.2"
)
UNTRUSTED = Finding(
    "mx-cert-untrusted",
    Severity.WARNING,
    "backup.example.net",
    "senders do not trust the certificate",
    "get another one",
    "RFC 8461 §4.2",
)
NO_ADDRESS = Finding(
    "policy-host-missing", Severity.ERROR, "mta-sts.a.example", "no address", None, "RFC 8461 §3.3"
)
TIMED_OUT = Finding("mx-unreachable", Severity.UNKNOWN, HOST, "no answer in time", None, "RFC 8461 §4.2")
FINE = Finding("mx-tls", Severity.OK, HOST, "it offers STARTTLS", None, "RFC 8461 §4.2")


def rollout(*findings: Finding, soaked: float = 9 * DAY) -> Rollout:
    """What checks with these findings leave behind."""
    bad = {f.severity for f in findings}
    status = (
        Status.FALSE
        if bad & {Severity.CRITICAL, Severity.WARNING}
        else Status.UNKNOWN
        if Severity.UNKNOWN in bad
        else Status.TRUE
    )
    conditions = tuple(
        Condition(
            kind,
            status if kind is ConditionType.MX_AUTHENTICATED else Status.TRUE,
            findings[0].code if findings else "fine",
            findings[0].message if findings else "",
            NOW - DAY,
        )
        for kind in NEEDED
    )
    return Rollout(conditions, soaked, NOW - 60, NOW - 60)


def report_of(
    world: World,
    findings: Mapping[str, tuple[Finding, ...]],
    published: frozenset[str] = frozenset(NAMES),
    given_: Settings = SETTINGS,
    notices: tuple[Notice, ...] = (),
) -> PassReport:
    """A pass over this world, in which checks found this and these domains have their records."""
    names = tuple(world.domains)
    memory = Memory(
        policies={
            name: PolicyMemory((Write(text_, NOW - DAY, True),), id_text=text_, id="7")
            for name, text_ in world.served.items()
        },
        checks={name: CheckRecord(NOW - 60, found) for name, found in findings.items()},
        rollouts={name: rollout(*findings.get(name, ())) for name in names},
    )
    seen = observed(replace(world, memory=memory))
    txt = {
        f"{prefix}.{name}": Seen(Txt((record,) if name in published else ()), NOW)
        for name in (*names, *world.aliases)
        for prefix, record in (("_mta-sts", "v=STSv1; id=7"), ("_smtp._tls", RUA))
    }
    seen = replace(seen, dns=replace(seen.dns, txt=txt))
    plan = decide(seen, given_)
    return PassReport(seen, replace(plan, notices=(*plan.notices, *notices)), ())


def everyday(*names: str, mode: Mode = Mode.TESTING, **more: Any) -> World:
    """Domains that are served a policy and are in the certificate."""
    world = World(
        domains=names,
        served={name: text(mode) for name in names},
        names=frozenset({HOST, *(f"mta-sts.{name}" for name in names)}),
    )
    return replace(world, **more)


# --- the five outlets ------------------------------------------------------------------------------------

Needs = dict[str, tuple[str, str, str | None]]
"""By domain: code and message of its cause, and what to do."""


def of_command_line(once: Once) -> Needs:
    """What `sidecar status --json` and the table say."""
    status = once()
    document = document_of(status, summary_of(status), all_domains(status), release="1", dry_run=False)
    found = _of_json(json.loads(as_json(document))["domains"]["items"])
    printed = io.StringIO()
    print_status(status, printed)
    assert f"need attention: {len(found)}" in printed.getvalue() or not status.rows
    return found


def _of_json(items: list[dict[str, Any]]) -> Needs:
    return {
        item["name"]: (item["code"], item["message"], item["todo"]) for item in items if item["needs_person"]
    }


def of_metrics(report: PassReport, once: Once) -> set[tuple[str, str]]:
    """Domain and code of each series."""
    metrics = Metrics("1")
    metrics.passed(report, once, 0.1, NOW)
    return {
        (sample.labels["domain"], sample.labels["code"])
        for family in text_string_to_metric_families(metrics.text("text/plain")[0].decode())
        for sample in family.samples
        if sample.name == "mta_sts_domain_needs_person"
    }


def of_notifications(report: PassReport, once: Once) -> dict[str, set[tuple[str, str, str | None]]]:
    """What somebody who was never notified is sent, by domain."""
    _, events = news(None, view_of(once(), report.plan))
    digest = digest_of(events, HOST, NOW) if events else None
    found: dict[str, set[tuple[str, str, str | None]]] = {}
    for event in digest.events if digest else ():
        domain = event.subject.removeprefix("mta-sts.")
        if domain in once().by_name:
            found.setdefault(domain, set()).add((event.code, event.message, event.todo))
    return found


def same_everywhere(report: PassReport, given_: Settings = SETTINGS) -> Needs:
    """The answer of all outlets that need no server."""
    once = Once(report.observed, report.plan, given_)
    needs = of_command_line(once)
    assert of_metrics(report, once) == {(name, cause[0]) for name, cause in needs.items()}
    sent = of_notifications(report, once)
    assert set(sent) == set(needs)
    for name, cause in needs.items():
        assert cause in sent[name]
    summary = summary_of(once())
    assert {name for item in summary.needs for name in item.names} == set(needs)
    return needs


async def on_page_and_api(report: PassReport, given_: Settings = SETTINGS) -> Needs:
    """What is served, of a world with one domain for each cause."""
    async with visiting(FakeSource(report, given_)) as visitor:
        api = json.loads((await visitor.get("api/v1/status?per_page=500"))[1])
        _, page, _ = await visitor.get("")
        needs = _of_json(api["domains"]["items"])
        assert api["counts"]["attention"] == len(needs)
        for name, (_, message, _) in needs.items():
            _, detail, _ = await visitor.get(f"domains/{name}")
            assert message in _plain(detail)
            assert json.loads((await visitor.get(f"api/v1/domains/{name}"))[1])["needs_person"]
        named = {name for item in api["needs"] for name in item["domains"]}
        assert named == set(needs)
        assert ('id="needs-title"' in page) == bool(api["needs"])
    return needs


def _plain(html: str) -> str:
    return html.replace("<code>", "`").replace("</code>", "`").replace("&#39;", "'").replace("&#34;", '"')


# --- worlds ----------------------------------------------------------------------------------------------

WORLDS: dict[str, tuple[PassReport, set[str]]] = {
    "all is well": (report_of(everyday(*NAMES), {}), set()),
    "an expired MX certificate in testing": (
        report_of(everyday(*NAMES), {"a.example": (EXPIRED,)}),
        {"a.example"},
    ),
    "an MX certificate that senders do not trust, in testing": (
        report_of(everyday(*NAMES), {"b.example": (UNTRUSTED,)}),
        {"b.example"},
    ),
    "both, enforced": (
        report_of(everyday(*NAMES, mode=Mode.ENFORCE), {"a.example": (EXPIRED,), "b.example": (UNTRUSTED,)}),
        {"a.example", "b.example"},
    ),
    "a missing record": (report_of(everyday(*NAMES), {}, frozenset(NAMES[1:])), {"a.example"}),
    "a policy that was not seen": (
        report_of(everyday(*NAMES, unseen=frozenset({"served:a.example"})), {}),
        set(),
    ),
    "a check without an answer": (report_of(everyday(*NAMES), {"a.example": (TIMED_OUT,)}), set()),
    "an error beside a warning": (
        report_of(everyday(*NAMES), {"a.example": (NO_ADDRESS, UNTRUSTED)}),
        {"a.example"},
    ),
    "a notice of a policy host": (
        report_of(
            everyday(*NAMES),
            {},
            notices=(
                Notice(Level.WARNING, NoticeCode.POLICY_FOREIGN, "mta-sts.b.example", "look at it", "do it"),
            ),
        ),
        {"b.example"},
    ),
    "an inactive domain with an old finding": (
        report_of(everyday(*NAMES, inactive=frozenset({"a.example"})), {"a.example": (EXPIRED,)}),
        set(),
    ),
}


@pytest.mark.parametrize("world", WORLDS)
async def test_every_outlet_names_the_same_domains_with_the_same_cause(world: str) -> None:
    """And the same remedy."""
    report, expected = WORLDS[world]
    needs = same_everywhere(report)
    assert set(needs) == expected
    assert await on_page_and_api(report) == needs


def findings() -> st.SearchStrategy[dict[str, tuple[Finding, ...]]]:
    """What checks found of some of the domains."""
    one = st.lists(
        st.sampled_from([EXPIRED, UNTRUSTED, NO_ADDRESS, TIMED_OUT, FINE]), max_size=3, unique=True
    )
    return st.dictionaries(st.sampled_from(NAMES), one.map(tuple))


@given(
    findings=findings(),
    mode=st.sampled_from([Mode.TESTING, Mode.ENFORCE, Mode.NONE]),
    published=st.frozensets(st.sampled_from(NAMES)),
    certified=st.booleans(),
    unserved=st.frozensets(st.sampled_from(NAMES)),
    unseen=st.frozensets(st.sampled_from(["served:a.example", "certificates", "project", "conf"])),
    inactive=st.frozensets(st.sampled_from(NAMES)),
    aliases=st.sampled_from([{}, {"alias.example": "a.example"}]),
    excluded=st.sampled_from([(), ("c.example",)]),
    native=st.booleans(),
)
def test_any_world_is_judged_once(
    *,
    findings: dict[str, tuple[Finding, ...]],
    mode: Mode,
    published: frozenset[str],
    certified: bool,
    unserved: frozenset[str],
    unseen: frozenset[str],
    inactive: frozenset[str],
    aliases: dict[str, str],
    excluded: tuple[str, ...],
    native: bool,
) -> None:
    """Whatever is missing, wrong or unknown in it."""
    world = everyday(*NAMES, mode=mode, inactive=inactive, aliases=aliases, unseen=unseen)
    world = replace(
        world,
        mailcow=NATIVE if native else FILE_MAILCOW,
        file=None if native else text(mode).encode(),
        served={name: text_ for name, text_ in world.served.items() if name not in unserved},
        names=world.names if certified else frozenset({HOST}),
    )
    given_ = given_settings({"tls_report": "tls@example.org", "exclude": list(excluded)})
    needs = same_everywhere(report_of(world, findings, published, given_), given_)
    assert not set(needs) & set(excluded)


def test_finding_keeps_its_subject_wherever_it_is_shown() -> None:
    """Which host has the certificate: in the table, the document and the message."""
    report, _ = WORLDS["an MX certificate that senders do not trust, in testing"]
    once = Once(report.observed, report.plan, SETTINGS)
    status = once()
    printed = io.StringIO()
    print_status(status, printed)
    assert "backup.example.net: senders do not trust the certificate" in printed.getvalue()
    (item,) = summary_of(status).needs
    assert item.message == "backup.example.net: senders do not trust the certificate"
    assert status.by_name["b.example"].judgement.cause.subject == "backup.example.net"
    _, events = news(None, view_of(status, report.plan))
    assert "(backup.example.net)" in digest_of(events, HOST, NOW).text


def test_trouble_behind_a_worse_one_is_not_reported_as_over() -> None:
    """The certificate ends while the record is still missing; the records are what was sent first."""
    first = report_of(everyday("a.example"), {"a.example": (FINE,)}, frozenset())
    worse = report_of(everyday("a.example"), {"a.example": (EXPIRED,)}, frozenset())
    repaired = report_of(everyday("a.example"), {"a.example": (EXPIRED,)}, frozenset({"a.example"}))
    notified, _ = news(None, _view(first))
    codes = [key[0] for key in notified.troubles]
    assert codes == ["record-id", "record-report"]
    for hours in (1, 24):
        notified, events = news(notified, replace(_view(worse), at=NOW + hours * 3_600))
        assert "recovery" not in {event.kind for event in events}
    notified, events = news(notified, replace(_view(repaired), at=NOW + 25 * 3_600))
    notified, events = news(notified, replace(_view(repaired), at=NOW + 26 * 3_600))
    assert {(event.kind.value, event.code) for event in events} == {
        ("recovery", "record-id"),
        ("recovery", "record-report"),
    }


def _view(report: PassReport) -> Any:
    return view_of(Once(report.observed, report.plan, SETTINGS)(), report.plan)


def test_what_is_not_known_comes_with_what_to_do() -> None:
    """A roll-out that waits for an address that cannot be seen from here has the remedy of that finding."""
    no_route = Finding(
        "mx-no-route", Severity.UNKNOWN, HOST, f"{HOST}: no IPv6 route", "check elsewhere", "RFC 8461 §4.2"
    )
    report = report_of(everyday("a.example"), {"a.example": (no_route,)})
    (row,) = Once(report.observed, Plan(), SETTINGS)().rows
    assert (row.judgement.cause.code, row.judgement.cause.todo) == ("checking", "check elsewhere")
    assert "no IPv6 route" in row.judgement.cause.message
    assert not row.judgement.needs
