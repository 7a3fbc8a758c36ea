"""What the pages show of a moment: lights, causes, counts, what needs a person."""

from dataclasses import replace

import pytest

from sidecar.formats.mtasts_policy import Mode
from sidecar.observed import FILE, Observed, RedisRefuses, Seen, Unseen
from sidecar.observed.checks import Stage
from sidecar.plan import decide
from sidecar.plan.actions import Plan
from sidecar.reconcile.passes import PassReport
from sidecar.settings import Settings
from sidecar.status.line import Line
from sidecar.status.wording import Light
from sidecar.web.detail import DomainDetail, detail_of
from tests.web.fakes import FakeSource, GivenDomain, many, report_of, site, source_of
from tests.worlds import FILE_MAILCOW, NOW, given_settings, text


def line_of_one(problem: str, mode: Mode = Mode.TESTING) -> Line:
    """The line of a domain with this problem."""
    return site(source_of([GivenDomain("example.org", mode, problem)])).lines[0]


def detail_of_one(problem: str, mode: Mode = Mode.TESTING) -> DomainDetail:
    """The page of a domain with this problem."""
    return detail_of(site(source_of([GivenDomain("example.org", mode, problem)])), "example.org")


@pytest.mark.parametrize(
    ("problem", "mode", "light", "stage", "code", "why"),
    [
        ("", Mode.ENFORCE, Light.GOOD, Stage.ENFORCED, "stage-enforced", "all is well"),
        ("mx-expired", Mode.ENFORCE, Light.FAILING, Stage.FAILING, "mx-cert-expired", "mail is refused"),
        ("mx-expired", Mode.TESTING, Light.FAILING, Stage.BLOCKED, "mx-cert-expired", "a critical finding"),
        ("no-record", Mode.TESTING, Light.ATTENTION, Stage.ANNOUNCING, "record-id", "a person publishes it"),
        ("no-record", Mode.ENFORCE, Light.FAILING, Stage.FAILING, "txt-nxdomain", "it lost its record"),
        ("no-address", Mode.TESTING, Light.ATTENTION, Stage.PUBLISHING, "record-host", "first of several"),
        ("uncovered", Mode.TESTING, Light.ATTENTION, Stage.BLOCKED, "mx.uncovered", "an MX is not named"),
        ("soaking", Mode.TESTING, Light.WORKING, Stage.SOAKING, "soaking", "time does it"),
        ("new", Mode.TESTING, Light.ATTENTION, Stage.NO_POLICY, "record-host", "its record can be made now"),
        ("by-hand", Mode.TESTING, Light.ATTENTION, Stage.READY, "policy.foreign", "a person's policy"),
        ("servfail", Mode.TESTING, Light.UNKNOWN, None, "not-seen", "what is served was not seen"),
    ],
)
def test_light_stage_and_cause(
    problem: str, mode: Mode, light: Light, stage: Stage | None, code: str, why: str
) -> None:
    """One light and one cause for each domain, the worst."""
    line = line_of_one(problem, mode)
    assert (line.light, line.stage, line.cause.code) == (light, stage, code), why


def test_excluded_domain_is_shown_as_excluded() -> None:
    """It is in the table, and asks for nothing."""
    settings = given_settings({"exclude": ["example.org"]})
    source = FakeSource(report_of([GivenDomain("example.org")], settings), settings)
    line = site(source).lines[0]
    assert line.light is Light.OFF
    assert "excluded by the settings" in line.cause.message


def test_same_problem_of_many_domains_is_one_item() -> None:
    """With all their names, the most first among equals."""
    found = site(source_of(many(700)))
    records = [item for item in found.summary.needs if item.code == "record-id"]
    assert [len(item.names) for item in records] == [2]
    assert found.summary.needs[0].light is Light.FAILING
    named = [name for item in found.summary.needs for name in item.names]
    assert len(named) == len(set(named)), "no domain is named twice"


@pytest.mark.parametrize(
    ("domains", "headline"),
    [
        ([], "This mailcow has no domains yet."),
        ([GivenDomain("a.example")], "All is well; nothing for you to do."),
        ([GivenDomain("a.test", Mode.TESTING, "soaking")], "1 domain is on its way; nothing for you to do."),
        ([GivenDomain("a.example", Mode.TESTING, "no-record")], "1 domain waits for you."),
        ([GivenDomain("a.example", Mode.ENFORCE, "mx-expired")], "1 domain fails: mail may be refused."),
        ([GivenDomain("a.example", Mode.TESTING, "servfail")], "1 domain could not be checked."),
    ],
)
def test_headline_says_the_worst(domains: list[GivenDomain], headline: str) -> None:
    """One sentence for all."""
    assert site(source_of(domains)).summary.headline == headline


def test_what_is_about_no_domain_comes_first_and_makes_none_fine_that_was_not_seen() -> None:
    """mailcow's Redis refuses writes: no policy can be read, so no domain counts as well."""
    report = report_of([GivenDomain("a.example"), GivenDomain("b.example")])
    sight = RedisRefuses("mailcow's Redis refuses writes (OOM)", NOW, "OOM")
    observed: Observed = replace(report.observed, served={"a.example": sight, "b.example": sight})
    found = site(FakeSource(PassReport(observed, decide(observed, Settings()), ())))
    assert (found.summary.needs[0].light, found.summary.needs[0].code) == (Light.FAILING, "mailcow.redis")
    assert found.summary.headline == "2 domains could not be checked."


def test_unseen_domain_list_is_not_an_empty_one() -> None:
    """The headline says why."""
    report = report_of([GivenDomain("example.org")])
    observed: Observed = replace(report.observed, domains=Unseen("the API answered 500", NOW))
    found = site(FakeSource(PassReport(observed, Plan(), ())))
    assert not found.status.listed
    assert "the API answered 500" in found.summary.headline


def test_pending_separates_planned_from_held() -> None:
    """And each reason once."""
    found = site(source_of([GivenDomain(f"d{n}.example", Mode.TESTING, "new") for n in range(3)]))
    (planned,) = [one for one in found.pending if one.what == "add policy"]
    assert planned.planned
    assert planned.subjects == ("d0.example", "d1.example", "d2.example")
    held = site(source_of([GivenDomain("a.example", Mode.TESTING, "by-hand")])).pending
    assert [one.planned for one in held] == [False]


# --- a domain's page -------------------------------------------------------------------------------------


def test_records_are_those_of_the_zone_file() -> None:
    """To be pasted as they are."""
    host, txt, report = detail_of_one("no-address").records
    assert host.line == "mta-sts.example.org. 120 IN CNAME mail.example.org."
    assert txt.line is not None
    assert txt.line.startswith('_mta-sts.example.org. 120 IN TXT "v=STSv1;id=')
    assert (
        report.line == '_smtp._tls.example.org. 120 IN TXT "v=TLSRPTv1; rua=mailto:tls-reports@example.org"'
    )
    assert host.cell.light is Light.ATTENTION


def test_every_missing_record_is_shown() -> None:
    """Not only the first: they can be published together."""
    detail = detail_of_one("new")
    lacking = [message for message, todo in detail.todo if todo == "publish the record below"]
    assert lacking == [f"{name}.example.org is missing in the DNS" for name in ("mta-sts", "_smtp._tls")]


@pytest.mark.parametrize("problem", ["no-record", "no-address", "mx-expired", "uncovered", "by-hand", "new"])
def test_sentence_stands_once_on_the_page_of_a_domain(problem: str) -> None:
    """A finding that is under "What to do" is named by its code; a step or a held action does not repeat it."""
    detail = detail_of_one(problem, Mode.ENFORCE if problem == "mx-expired" else Mode.TESTING)
    texts = [text for pair in detail.todo for text in pair if text and text != "publish the record below"]
    texts += [view.finding.message for view in detail.findings if not view.mentioned]
    texts += [step.text for step in detail.steps if step.light is not Light.GOOD and step.text]
    texts += [detail.explained, *detail.next]
    sentences = [text for text in texts if len(text.split()) > 3]
    assert len(sentences) == len(set(sentences))


def test_steps_are_all_good_where_all_is_well() -> None:
    """And one is not where one thing fails, in the colour of what it costs."""
    assert {step.light for step in detail_of_one("", Mode.ENFORCE).steps} == {Light.GOOD}
    failing = [s.title for s in detail_of_one("mx-expired", Mode.ENFORCE).steps if s.light is Light.FAILING]
    assert failing == ["Every MX has trusted TLS"]
    waiting = [s.title for s in detail_of_one("no-record").steps if s.light is not Light.GOOD]
    assert waiting == ["The DNS has the right id"]


def test_soak_shows_how_far_it_is() -> None:
    """Only while it matters."""
    soak = detail_of_one("soaking").soak
    assert soak is not None
    assert soak.text == "3 d of 7 d"
    assert detail_of_one("", Mode.ENFORCE).soak is None


def test_worst_finding_is_first_and_good_ones_are_apart() -> None:
    """Nobody scrolls past what is fine to see what is not."""
    detail = detail_of_one("mx-expired", Mode.ENFORCE)
    assert [view.finding.code for view in detail.findings] == ["mx-cert-expired"]
    assert len(detail.fine) == 3


def test_only_a_persons_policy_can_be_adopted() -> None:
    """Of the domain on the native generation, of the file before."""
    assert detail_of_one("by-hand").adopt_key == "example.org"
    assert detail_of_one("", Mode.ENFORCE).adopt_key is None
    by_file = report_of([GivenDomain("example.org")], Settings(), mailcow=FILE_MAILCOW, file=text().encode())
    person = replace(by_file.observed.memory, policies={})
    by_file = replace(by_file, observed=replace(by_file.observed, memory=person))
    found = site(FakeSource(by_file, Settings()))
    assert detail_of(found, "example.org").adopt_key == FILE


def test_certificate_that_expires_soon_is_shown() -> None:
    """14 days before: acme-mailcow should have renewed it by then."""
    report = report_of([GivenDomain("example.org")])
    certificates = report.observed.certificates
    assert isinstance(certificates, Seen)
    assert certificates.value.server is not None
    lights = []
    for left in (20 * 86_400, 5 * 86_400, -60):
        end = NOW + left
        server = replace(certificates.value.server, not_before=end - 90 * 86_400, not_after=end)
        seen = replace(certificates, value=replace(certificates.value, server=server))
        changed = replace(report, observed=replace(report.observed, certificates=seen))
        lights.append(site(FakeSource(changed)).lines[0].certificate.light)
    assert lights == [Light.GOOD, Light.ATTENTION, Light.FAILING]
