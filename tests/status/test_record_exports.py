"""Records as DNS as code: each form can be read by the language that it is in."""

import json

import pytest
import yaml

from sidecar.plan.records import DnsRecord, DomainRecords, MailDomain, RecordNeed, RecordState
from sidecar.status.record_exports import Form, exported

ID = DnsRecord("_mta-sts.example.org", "TXT", "v=STSv1;id=20260101;")
HOST = DnsRecord("mta-sts.example.org", "CNAME", "mail.example.org")


def records() -> DomainRecords:
    """One that is there, one that is missing, one that is not known yet."""
    return DomainRecords(
        MailDomain("example.org"),
        RecordNeed(HOST.owner, HOST, RecordState.PRESENT),
        RecordNeed(ID.owner, ID, RecordState.MISSING),
        RecordNeed("_smtp._tls.example.org", None, RecordState.NOT_SET, "set `tls_report`"),
    )


def test_octodns_reads_its_yaml() -> None:
    """A semicolon is escaped, names are relative, and a target ends in a dot."""
    assert yaml.safe_load(exported([records()], Form.OCTODNS)) == {
        "mta-sts": {"type": "CNAME", "ttl": 120, "value": "mail.example.org."},
        "_mta-sts": {"type": "TXT", "ttl": 120, "value": "v=STSv1\\;id=20260101\\;"},
    }


def test_octodns_has_a_document_for_each_domain() -> None:
    """Each domain is a separate file there."""
    documents = list(yaml.safe_load_all(exported([records(), records()], Form.OCTODNS)))
    assert len(documents) == 2


def test_dnscontrol_extends_a_domain_that_is_declared_elsewhere() -> None:
    """With `D`, all other records of the domain would be deleted."""
    assert exported([records()], Form.DNSCONTROL) == (
        'D_EXTEND("example.org",\n'
        '  CNAME("mta-sts", "mail.example.org.", TTL(120)),\n'
        '  TXT("_mta-sts", "v=STSv1;id=20260101;", TTL(120))\n'
        ");\n"
    )


def test_json_has_the_standing_of_each_record() -> None:
    """And whole names."""
    found = json.loads(exported([records()], Form.JSON))
    assert [(one["name"], one["type"], one["standing"]) for one in found] == [
        ("mta-sts.example.org", "CNAME", "present"),
        ("_mta-sts.example.org", "TXT", "missing"),
    ]


@pytest.mark.parametrize("form", [Form.OCTODNS, Form.DNSCONTROL, Form.JSON])
def test_only_missing_records_are_exported_on_request(form: Form) -> None:
    """As `--missing` does for the zone file."""
    text = exported([records()], form, missing=True)
    assert "_mta-sts" in text
    assert "mail.example.org" not in text


def test_a_text_with_quotes_is_quoted() -> None:
    """No text ends a string early."""
    odd = DnsRecord("_smtp._tls.example.org", "TXT", 'v=TLSRPTv1; rua=mailto:"a"\\@example.org')
    found = DomainRecords(
        MailDomain("example.org"), *(RecordNeed(odd.owner, odd, RecordState.MISSING) for _ in range(3))
    )
    value = yaml.safe_load(exported([found], Form.OCTODNS))["_smtp._tls"]["value"]
    assert value.replace("\\;", ";") == odd.value
    assert json.dumps(odd.value) in exported([found], Form.DNSCONTROL)
