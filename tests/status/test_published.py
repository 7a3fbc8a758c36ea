"""Published records as shown: what the sidecar publishes is not a task; what a person published stays theirs."""

from collections.abc import Mapping
from dataclasses import replace

from sidecar.observed import CheckRecord, Observed, Seen, Txt
from sidecar.observed.checks import Finding, Severity
from sidecar.observed.record_sets import (
    Entry,
    Key,
    NameObservation,
    Origin,
    RecordObservations,
    RecordSet,
    RecordType,
)
from sidecar.plan.actions import Plan
from sidecar.plan.publish.make import as_plan, make_plan
from sidecar.plan.publish.picture import picture_of
from sidecar.plan.publish.values import RecordOwner, Role
from sidecar.plan.records import mail_domains
from sidecar.settings import Settings
from sidecar.status.domains import status_of
from sidecar.status.judgement import lacking
from sidecar.status.published import Agreement
from sidecar.status.row import Row
from sidecar.status.to_document import domain_of
from sidecar.verify.probe_codes import POLICY_HOST_MISSING, TXT_NXDOMAIN
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
from tests.worlds import HOST, NOW

CONFIG = settings("upsert", tls_report="mailto:t@example.org")


def row(found: Observed, config: Settings = CONFIG) -> Row:
    """The row of the domain, after a plan of its records; resolvers find no TXT record."""
    found = replace(
        found, dns=replace(found.dns, txt=dict.fromkeys((ID_NAME, REPORT_NAME), Seen(Txt(), found.now)))
    )
    picture = picture_of(found, config)
    plan = as_plan(make_plan(picture), found.records) if picture is not None else Plan()
    return status_of(found, plan, config, mail_domains(found, config)).by_name[NAME]


def test_record_that_an_account_serves_is_not_a_task_by_hand() -> None:
    """It is missing, and the sidecar is about to publish it."""
    found = row(seen(names={HOST_NAME: look(), ID_NAME: look(), REPORT_NAME: look()}))
    assert lacking(found) == []
    assert {one.role for one in found.own_records} == set(Role)


ABSENT = (
    Finding.of(POLICY_HOST_MISSING, HOST_NAME, "no address", "publish it"),
    Finding.of(TXT_NXDOMAIN, ID_NAME, "does not exist", "publish it", severity=Severity.ERROR),
)


def found_absent(host: NameObservation, led: Mapping[Key, Entry], at: float) -> list[str]:
    """What is a task after a sender check at `at` that found no record; the ledger has `led`."""
    found = seen(names={HOST_NAME: host, ID_NAME: look(), REPORT_NAME: look()})
    checks = {NAME: CheckRecord(at, ABSENT)}
    found = replace(found, memory=replace(found.memory, checks=checks, published=led))
    return [task.subject for task in row(found).judgement.needs]


def test_check_before_the_sidecar_published_a_record_asks_nobody_for_it() -> None:
    """Neither while it is about to publish it, nor until the next check."""
    key = Key(HOST_NAME, RecordType.CNAME)
    led = {key: Entry(key, ((HOST,),), Origin.WROTE, 300, NOW - 30)}
    assert found_absent(look(), {}, NOW) == []
    assert found_absent(LED_HERE, led, NOW - 60) == []
    # Published before the check, and still absent for senders: the account may have another zone than the DNS.
    assert found_absent(LED_HERE, led, NOW) == [HOST_NAME]


def test_record_that_no_account_serves_stays_a_task_by_hand() -> None:
    """As without any account."""
    unserved = replace(look(), account=None)
    names = {HOST_NAME: look(), ID_NAME: look(), REPORT_NAME: unserved}
    assert [cause.subject for cause in lacking(row(seen(names=names)))] == [REPORT_NAME]


def test_in_a_dry_run_every_record_stays_a_task_by_hand() -> None:
    """Nothing is written then."""
    found = seen(names={HOST_NAME: look(), ID_NAME: look(), REPORT_NAME: look()})
    found = replace(found, records=replace(found.records, writing=False))
    subjects = [
        cause.subject for cause in lacking(row(found, settings("dry-run", tls_report="mailto:t@example.org")))
    ]
    assert REPORT_NAME in subjects


def test_somebody_elses_record_is_one_thing_to_decide() -> None:
    """The notice says what is there; the record is not a second task."""
    theirs = look((RecordType.TXT, RecordSet(("v=TLSRPTv1; rua=mailto:x@example.com",), 60)))
    found = row(seen(names={HOST_NAME: LED_HERE, ID_NAME: look(), REPORT_NAME: theirs}))
    (one,) = [one for one in found.own_records if one.owner == REPORT_NAME]
    assert one.adoptable
    assert one.whose is RecordOwner.FOREIGN
    assert one.found == "TXT v=TLSRPTv1; rua=mailto:x@example.com"
    assert one.wanted == "TXT v=TLSRPTv1; rua=mailto:t@example.org"
    assert [cause.code for cause in found.judgement.needs] == ["record.foreign"]


def test_document_has_what_is_found_at_each_place() -> None:
    """Source, authoritative servers and resolvers, separately."""
    report = RecordSet(("v=TLSRPTv1; rua=mailto:t@example.org",), 300)
    behind = look((RecordType.TXT, report), servers=[report.values, ()])
    found = row(seen(names={HOST_NAME: LED_HERE, ID_NAME: look(), REPORT_NAME: behind}))
    record = next(one for one in domain_of(found).records if one.owner == REPORT_NAME)
    assert record.publishing is not None
    assert record.publishing.account == "home"
    assert record.publishing.whose is RecordOwner.OURS
    assert record.publishing.servers == f"{report.values[0]}; nothing"
    assert record.publishing.servers_agree is Agreement.DIFFERENT
    assert record.publishing.adopt is None


def test_without_publishing_the_document_does_not_mention_it() -> None:
    """Nothing changes for a person who publishes by hand."""
    found = replace(seen(), records=RecordObservations())
    assert row(found, Settings()).own_records == ()
    assert all(one.publishing is None for one in domain_of(row(found, Settings())).records)
