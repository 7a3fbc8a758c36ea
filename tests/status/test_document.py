"""The status as JSON: the shape that its models describe, whatever is in it."""

import json
import math
from dataclasses import replace
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.observed import CheckRecord, Seen, Served
from sidecar.observed.checks import Finding, Severity
from sidecar.observed.notice import Level, Notice, NoticeCode
from sidecar.reconcile.passes import PassReport
from sidecar.status.document import Document
from sidecar.status.needs import summary_of
from sidecar.status.to_document import all_domains, as_json, document_of, moment
from tests.web.fakes import REALISTIC, GivenDomain, report_of, source_of, status_once, with_checks
from tests.worlds import NOW

SCHEMA = Document.model_json_schema(mode="serialization")


def document(report: PassReport) -> Any:
    """What a program reads; refuses what JSON does not have."""
    status = status_once(report)()
    text = as_json(document_of(status, summary_of(status), all_domains(status), release="1", dry_run=False))

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    return json.loads(text, parse_constant=refuse)


def realistic() -> PassReport:
    """Ten domains in all kinds of trouble, with what checks found."""
    report = source_of(REALISTIC).report
    assert report is not None
    return report


def test_document_is_what_its_models_describe() -> None:
    """With every kind of trouble in it."""
    found = document(realistic())
    jsonschema_rs.validate(SCHEMA, found)
    items = found["domains"]["items"]
    assert len(items) == found["domains"]["total"] == found["counts"]["domains"] == len(REALISTIC)
    by_name = {item["name"]: item for item in items}
    choir = by_name["choir.example"]
    assert (choir["status"], choir["needs_person"], choir["subject"]) == ("failing", True, "mail.example.org")
    assert choir["conditions"][3]["type"] == "MX authenticated"
    assert by_name["just-added.example"]["planned"][0]["action"] == "add policy"
    assert by_name["old-hand.example"]["policy"]["adopt_key"] == "old-hand.example"
    assert by_name["old-hand.example"]["held"][0]["reason"]
    assert items[0]["name"] == "choir.example"


def test_without_a_pass_nothing_is_claimed() -> None:
    """Null, and not an empty mailcow."""
    found = json.loads(as_json(document_of(None, None, None, release="1", dry_run=False)))
    jsonschema_rs.validate(SCHEMA, found)
    assert found["seen_at"] is found["counts"] is found["domains"] is found["mailcow"] is None
    assert found["readable"] is False


@pytest.mark.parametrize("at", [math.inf, -math.inf, math.nan, 1e20, -1e20])
def test_time_that_is_not_a_date_is_null(at: float) -> None:
    """A certificate without an end, a clock out of range."""
    assert moment(at) is None


@given(
    st.sampled_from([math.inf, math.nan, -math.inf, 0.0, 1e300]),
    st.text(st.characters(exclude_categories=())),
)
def test_no_number_and_no_text_breaks_the_json(number: float, text: str) -> None:
    """Times from a certificate or a clock, and texts of strangers, lone surrogates among them."""
    report = report_of([GivenDomain("example.org")])
    finding = Finding("x-y", Severity.CRITICAL, text, text, text, "RFC")
    report = with_checks(report, {"example.org": CheckRecord(number, (finding,))})
    seen = report.observed
    certificates = seen.certificates
    assert isinstance(certificates, Seen)
    server = certificates.value.server
    assert server is not None
    seen = replace(
        seen,
        served={"example.org": Seen(Served(text.encode("utf-8", "replace").decode()), NOW)},
        certificates=replace(
            certificates, value=replace(certificates.value, server=replace(server, not_after=NOW))
        ),
    )
    notice = Notice(Level.WARNING, NoticeCode.POLICY_FOREIGN, "example.org", text, text)
    report = replace(report, observed=seen, plan=replace(report.plan, notices=(notice,)))
    (item,) = document(report)["domains"]["items"]
    assert item["findings"][0]["message"] == text
    assert item["notices"][0]["message"] == text


def test_octets_that_are_not_text_are_shown_as_such() -> None:
    """Of the policy file."""
    report = report_of([GivenDomain("example.org")])
    served = {"example.org": Seen(Served(b"version: \xff".decode("utf-8", "surrogateescape")), NOW)}
    report = replace(report, observed=replace(report.observed, served=served))
    (item,) = document(report)["domains"]["items"]
    assert item["policy"]["body"] == "version: \ufffd"
