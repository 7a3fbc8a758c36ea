"""The corpus judged by checkdmarc as well: it agrees, or the difference is listed here with the RFC's section.

checkdmarc judges text, not octets, so what is not UTF-8 is not put before it.
"""

import importlib
from collections.abc import Callable
from typing import Any

import pytest

from tests.verify.corpus import Case
from tests.verify.corpus.policies import BASE
from tests.verify.corpus.policies import CASES as POLICIES
from tests.verify.corpus.records import CASES as RECORDS
from tests.verify.corpus.reports import CASES as REPORTS

# Looked up by name: the package has no types of its own.
_MTA_STS = importlib.import_module("checkdmarc.mta_sts")
_TLSRPT = importlib.import_module("checkdmarc.smtp_tls_reporting")


def _judged(
    parse: Callable[[str], dict[str, Any]], error: type[Exception], text: str
) -> dict[str, Any] | None:
    try:
        return parse(text)
    except error:
        return None


def record_fields(found: dict[str, Any]) -> object:
    """The id."""
    return found["tags"]["id"]


def policy_fields(found: dict[str, Any]) -> object:
    """mode, max_age and mx, in our form: lower-case and each once."""
    policy = found["policy"]
    return policy["mode"], policy["max_age"], tuple(dict.fromkeys(mx.lower() for mx in policy["mx"]))


def report_fields(found: dict[str, Any]) -> object:
    """The destinations."""
    return tuple(found["tags"]["rua"]["value"])


# Each with what it does otherwise, and why that is not the strict reading.
RECORD_DIFFERENCES = {
    "it skips Unicode white space between tokens, where RFC 8461 §3.1 has WSP (space, tab) beside semicolons alone": (
        "\u00a0v=STSv1; id=abc".encode(),
        b" v=STSv1; id=abc",
        b"\nv=STSv1; id=abc",
        "v=STSv1; id=abc\u00a0".encode(),
        b"v=STSv1; id=abc\n",
        b"v=STSv1; id=abc;\n",
        b"v=STSv1;\n id=abc",
        b"v=STSv1;\x0bid=abc",
        b"v=STSv1; id=abc ",
    ),
    "it takes quotation marks off, which are no part of RFC 8461 §3.1 but of a zone file's spelling": (
        b'"v=STSv1; id=abc;"',
    ),
}
POLICY_DIFFERENCES = {
    "it skips blank lines, where RFC 8461 §3.2 has a field between each two sts-policy-term": (
        b"\n" + BASE,
        BASE.replace(b"\nmode", b"\n\nmode"),
        BASE + b"\n",
        BASE + b"\n\n",
    ),
    "it takes a CR at the very end for a line end, where RFC 8461 §3.2 has LF or CRLF": (
        BASE.removesuffix(b"\n") + b"\r",
    ),
    "it strips Unicode white space, where RFC 8461 §3.2 has WSP, and UTF8-2 as a visible character": (
        BASE.decode().replace(": STSv1", ":\u00a0STSv1").encode(),
        BASE + "x: \u00a0\n".encode(),
    ),
    "it knows no limit of a whole name, as DNS has it (RFC 1035 §2.3.4), which Domain in RFC 8461 §3.2 stands for": (
        BASE.replace(b"mail.example.org", b"a." * 126 + b"aa"),
    ),
}
REPORT_DIFFERENCES = {
    "it refuses all when one destination is neither mailto nor https; RFC 8460 §3 has each of the supported used": (
        b"v=TLSRPTv1; rua=mailto:a@example.org,ftp://example.org/x",
        b"v=TLSRPTv1; rua=http://example.org/,mailto:a@example.org",
    ),
    "it knows less of mailto than RFC 8460 §3 imports: RFC 6068 §2 has header fields, UTF-8 and address literals": (
        b"v=TLSRPTv1; rua=mailto:a@example.org?subject=tlsrpt",
        b"v=TLSRPTv1; rua=mailto:a@b%C3%BCcher.example",
        b"v=TLSRPTv1; rua=mailto:a@%5B192.0.2.1%5D",
        b"v=TLSRPTv1; rua=mailto:%FF@example.org",
    ),
    "it knows no user information, which RFC 3986 §3.2.1 has and RFC 8460 §3 imports": (
        b"v=TLSRPTv1; rua=https://user@example.net/",
    ),
    "it skips Unicode white space at both ends, where RFC 8460 §3 has WSP beside semicolons and commas alone": (
        b"v=TLSRPTv1; rua=mailto:a@example.org ",
        b"v=TLSRPTv1; rua=mailto:a@example.org\n",
        b" v=TLSRPTv1; rua=mailto:a@example.org",
    ),
    "it takes quotation marks off, which are no part of RFC 8460 §3 but of a zone file's spelling": (
        b'"v=TLSRPTv1; rua=mailto:a@example.org"',
    ),
}


@pytest.mark.parametrize(
    ("cases", "parse", "error", "fields", "differences"),
    [
        (RECORDS, _MTA_STS.parse_mta_sts_record, _MTA_STS.MTASTSError, record_fields, RECORD_DIFFERENCES),
        (POLICIES, _MTA_STS.parse_mta_sts_policy, _MTA_STS.MTASTSError, policy_fields, POLICY_DIFFERENCES),
        (
            REPORTS,
            _TLSRPT.parse_smtp_tls_reporting_record,
            _TLSRPT.SMTPTLSReportingError,
            report_fields,
            REPORT_DIFFERENCES,
        ),
    ],
    ids=["records", "policies", "reports"],
)
def test_checkdmarc_agrees_but_for_the_listed_differences(
    cases: tuple[Case, ...],
    parse: Callable[[str], dict[str, Any]],
    error: type[Exception],
    fields: Callable[[dict[str, Any]], object],
    differences: dict[str, tuple[bytes, ...]],
) -> None:
    """The same verdict on each text; and where both find it valid, the same fields."""
    listed = {data for texts in differences.values() for data in texts}
    assert all("RFC" in reason and "§" in reason for reason in differences)
    differing = set()
    for case in cases:
        try:
            text = case.data.decode()
        except UnicodeDecodeError:
            continue
        theirs = _judged(parse, error, text)
        if (theirs is not None) is not case.valid:
            differing.add(case.data)
        elif theirs is not None:
            ours = case.id or case.rua or (case.mode, case.max_age, case.mx)
            assert fields(theirs) == ours, case.why
    assert differing == listed
