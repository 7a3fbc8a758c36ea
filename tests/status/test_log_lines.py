"""What the log says of the present state: what works, and what only a person can do."""

from dataclasses import replace

from sidecar.observed import CheckRecord, Seen, Sight, Txt, Unseen
from sidecar.observed.checks import Finding, Severity
from sidecar.observed.notice import Level, NoticeCode
from sidecar.observed.record_sets import RecordObservations
from sidecar.plan import decide
from sidecar.plan.records import mail_domains
from sidecar.status.domains import status_of
from sidecar.status.log_lines import known, tasks, working
from sidecar.verify.probe_codes import TXT_ALMOST, TXT_NXDOMAIN
from tests.status.test_domains import REPORT, RUA, only_row, published, settled, status
from tests.worlds import HOST, NOW, World, given_settings, observed


def test_only_what_was_seen_works() -> None:
    """And each part shows by a few values that it does."""
    seen = observed(settled())
    found = {part.subject: part.values for part in working(seen, REPORT)}
    assert list(found) == ["mailcow.conf", "mailcow's API", "Docker", "certificate", "DNS"]
    assert found["mailcow.conf"] == {"hostname": HOST}
    assert found["mailcow's API"] == {
        "version": "2026-07a",
        "domains": "1",
        "policies": "a policy for each domain (native)",
    }
    assert found["Docker"] == {"acme-mailcow": "running"}
    assert found["certificate"]["names"] == "2"
    assert found["DNS"] == {"resolver": "the container's"}
    gone = Unseen("no answer", NOW)
    blind = replace(seen, conf=gone, mailcow=gone, project=gone, certificates=gone, dns=type(seen.dns)())
    assert list(working(blind, REPORT)) == []


def test_what_is_missing_is_named() -> None:
    """A part that works may lack something; of a resolver of one's own the address is named."""
    seen = observed(settled())
    assert isinstance(seen.conf, Seen)
    assert isinstance(seen.project, Seen)
    lacking = replace(
        seen,
        conf=Seen(replace(seen.conf.value, values={}), NOW),
        project=Seen(replace(seen.project.value, containers=()), NOW),
    )
    own = replace(REPORT, resolver=("192.0.2.53", 53))
    found = {part.subject: part.values for part in working(lacking, own)}
    assert found["mailcow.conf"] == {"hostname": "not set"}
    assert found["Docker"] == {"acme-mailcow": "no container"}
    assert found["DNS"] == {"resolver": "192.0.2.53"}


def test_certificate_that_has_ended_does_not_work() -> None:
    """It is read, but no sender accepts it."""
    seen = observed(settled())
    assert isinstance(seen.certificates, Seen)
    server = seen.certificates.value.server
    assert server is not None
    ended = replace(seen, now=server.not_after)
    assert "certificate" not in {part.subject for part in working(ended, REPORT)}


def test_account_that_lists_its_zones_works() -> None:
    """One that does not is a notice."""
    zones: dict[str, Sight[tuple[str, ...]]] = {
        "bind": Seen(("example.org",), NOW),
        "other": Unseen("refused", NOW),
    }
    seen = replace(observed(settled()), records=RecordObservations(zones=zones))
    assert [part.subject for part in working(seen, REPORT)][-1] == "DNS account bind"


def test_record_that_is_due_is_a_task_with_the_line_to_paste() -> None:
    """The line is the one of `sidecar records`."""
    found = tasks(status(checked(), txt={"_smtp._tls.example.org": Txt((RUA,))}))
    (task,) = found.all
    assert (task.level, task.code, task.subject) == (Level.WARNING, "record-id", "_mta-sts.example.org")
    assert task.todo == 'publish: _mta-sts.example.org. 120 IN TXT "v=STSv1;id=7;"'
    assert found.records
    assert found.unknown == frozenset()


def nameless() -> World:
    """The policy host is not in the DNS, which a notice of the plan says, too."""
    return settled(names=frozenset({HOST}), without_address=frozenset({"mta-sts.example.org"}))


def test_what_a_notice_asks_for_is_no_second_task() -> None:
    """But what is a task in the log already stays one: otherwise it would seem to be over."""
    current = status(nameless(), txt=published())
    assert [n.code for n in only_row(current).notices] == [NoticeCode.NAME_NOT_READY]
    found = tasks(current)
    assert (found.all, found.records) == ((), True)
    ask = "mta-sts.example.org", f"publish: mta-sts.example.org. 120 IN CNAME {HOST}."
    again = tasks(current, {ask})
    assert [(task.code, task.subject) for task in again.all] == [("record-host", "mta-sts.example.org")]
    assert again.asks == {ask}


def checked(*findings: Finding) -> World:
    """All is set up, and this is what a sender check found."""
    memory = replace(settled().memory, checks={"example.org": CheckRecord(NOW - 60, findings)})
    return settled(memory=memory)


def test_finding_that_needs_a_person_is_a_task() -> None:
    """With its own code, and as an error where senders refuse mail."""
    finding = Finding(
        "mx-no-starttls", Severity.CRITICAL, HOST, "no STARTTLS", "switch it on", section="RFC 8461 §4.2"
    )
    found = tasks(status(checked(finding), txt=published()))
    (task,) = found.all
    assert (task.level, task.code, task.todo) == (Level.ERROR, "mx-no-starttls", "switch it on")
    assert found.asks == {(HOST, "switch it on")}
    assert tasks(status(checked(), txt=published())).all == ()


def test_missing_record_is_one_task_whoever_notices() -> None:
    """The sender check finds it missing, too; an odd record of that name is another matter."""
    owner = "_mta-sts.example.org"
    absent = Finding.of(TXT_NXDOMAIN, owner, "does not exist", "publish it", severity=Severity.ERROR)
    assert [t.code for t in tasks(status(checked(absent))).all] == ["record-id", "record-report"]
    odd = Finding.of(TXT_ALMOST, owner, "looks like one", "correct it")
    assert odd.code in {t.code for t in tasks(status(checked(odd))).all}


def test_not_all_is_known_before_the_first_sender_check() -> None:
    """Unless sender checks are switched off."""
    row = only_row(status(settled(), txt=published()))
    assert not known(row, REPORT)
    assert known(row, replace(REPORT, verify=False))
    assert known(only_row(status(checked(), txt=published())), REPORT)


def test_domain_that_is_not_managed_is_known_and_has_no_task() -> None:
    """The sidecar looks at none of its records: nothing there can still be a task."""
    current = status(settled(), given_settings({"exclude": ["example.org"]}))
    assert known(only_row(current), current.settings)
    found = tasks(current)
    assert (found.all, found.unknown, found.asks, found.records) == ((), frozenset(), frozenset(), False)


def test_without_a_policy_host_the_other_records_are_not_due() -> None:
    """Whether the DNS answers for them does not matter yet."""
    seen = observed(nameless())
    silent = dict.fromkeys(published(), Unseen("no answer", NOW))
    seen = replace(seen, dns=replace(seen.dns, txt=silent))
    settings = replace(REPORT, verify=False)
    current = status_of(seen, decide(seen, settings), settings, mail_domains(seen, settings))
    assert known(only_row(current), settings)


def test_task_of_a_domain_of_which_not_all_is_known_is_not_over() -> None:
    """The DNS gave no answer: the record may still be missing."""
    current = status(checked(), txt=published())
    silent = replace(current.observed.dns, txt={"_mta-sts.example.org": Unseen("no answer", NOW)})
    seen = replace(current.observed, dns=silent)
    settings = current.settings
    blind = status_of(seen, decide(seen, settings), settings, mail_domains(seen, settings))
    assert tasks(blind).all == ()
    assert "_mta-sts.example.org" in tasks(blind).unknown
    assert tasks(current).unknown == frozenset()
