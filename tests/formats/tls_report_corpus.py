"""Reports of the forms that senders send, written for these tests, each with what must be read from it.

Each case is a name, the octets, and either the reason why they are unreadable or a summary: the organisation and, for
each policy, (domain, kind, successful, failed, the result types). `left_out` counts policies that could not be read.
"""

import base64
import gzip
import json
from dataclasses import dataclass
from typing import Any

from sidecar.formats.tls_report import Why
from sidecar.formats.tls_report_policy import PolicyKind

PolicyLine = tuple[str | None, PolicyKind, int, int, tuple[str, ...]]


@dataclass(frozen=True)
class Case:
    name: str
    data: bytes
    organisation: str = ""
    policies: tuple[PolicyLine, ...] = ()
    left_out: int = 0
    day: str = "2026-11-20"
    why: Why | None = None


def policy(**changes: Any) -> dict[str, Any]:
    """One policy of a report without failures; None as a change takes the field away."""
    found = {
        "policy": {
            "policy-type": "sts",
            "policy-string": ["version: STSv1", "mode: testing", "mx: mail.example.org", "max_age: 604800"],
            "policy-domain": "example.org",
            "mx-host": ["mail.example.org"],
        },
        "summary": {"total-successful-session-count": 12, "total-failure-session-count": 0},
        **changes,
    }
    return {key: value for key, value in found.items() if value is not ...}


def about(**changes: Any) -> dict[str, Any]:
    """The `policy` of a policy, with other values."""
    renamed = {key.replace("_", "-"): value for key, value in changes.items()}
    return {key: value for key, value in {**policy()["policy"], **renamed}.items() if value is not ...}


def detail(result: str = "certificate-expired", sessions: Any = 3, **changes: Any) -> dict[str, Any]:
    """One failure detail."""
    found = {
        "result-type": result,
        "sending-mta-ip": "192.0.2.7",
        "receiving-mx-hostname": "mail.example.org",
        "receiving-ip": "198.51.100.25",
        "failed-session-count": sessions,
        **{key.replace("_", "-"): value for key, value in changes.items()},
    }
    return {key: value for key, value in found.items() if value is not ...}


def failing(*details: Any, ok: int = 9, failed: int = 3, **changes: Any) -> dict[str, Any]:
    """A policy with failures."""
    return policy(**{"summary": counts(ok, failed), "failure-details": list(details), **changes})


def counts(ok: Any, failed: Any) -> dict[str, Any]:
    """A summary."""
    return {"total-successful-session-count": ok, "total-failure-session-count": failed}


def report(*policies: Any, **changes: Any) -> dict[str, Any]:
    """A report of one day; `...` as a change takes the field away."""
    found: dict[str, Any] = {
        "organization-name": "Sender Inc.",
        "date-range": {"start-datetime": "2026-11-20T00:00:00Z", "end-datetime": "2026-11-20T23:59:59Z"},
        "contact-info": "tls-reports@sender.example",
        "report-id": "2026-11-20-example.org@sender.example",
        "policies": list(policies) or [policy()],
        **{key.replace("_", "-"): value for key, value in changes.items()},
    }
    return {key: value for key, value in found.items() if value is not ...}


def packed(found: Any) -> bytes:
    """As JSON."""
    return json.dumps(found).encode()


def dates(begin: Any, end: Any) -> dict[str, Any]:
    """A date range."""
    return {"start-datetime": begin, "end-datetime": end}


def bomb(size: int) -> bytes:
    """Gzip that unpacks to this many octets."""
    return gzip.compress(b'{"a": "' + b" " * size + b'"}', 1)


FINE: PolicyLine = ("example.org", PolicyKind.STS, 12, 0, ())


def fine(name: str, found: Any, *lines: PolicyLine, **more: Any) -> Case:
    """A case that is read, of the usual organisation."""
    data = found if isinstance(found, bytes) else packed(found)
    return Case(name, data, **{"organisation": "Sender Inc.", "policies": lines or (FINE,), **more})


def unreadable(name: str, data: Any, why: Why) -> Case:
    """A case that is not a report."""
    return Case(name, data if isinstance(data, bytes) else packed(data), why=why)


_EXPIRED: PolicyLine = ("example.org", PolicyKind.STS, 9, 3, ("certificate-expired",))
_NOBODY: PolicyLine = (None, PolicyKind.STS, 12, 0, ())

CASES: tuple[Case, ...] = (
    # --- as the RFC has it
    fine("plain", report()),
    fine("gzip", gzip.compress(packed(report()))),
    fine("gzip twice", gzip.compress(gzip.compress(packed(report())))),
    fine("byte order mark", b"\xef\xbb\xbf" + packed(report())),
    fine("white space around", b"\r\n  " + packed(report()) + b"\n\n"),
    fine("indented", json.dumps(report(), indent=2).encode()),
    fine("gzip with octets behind", gzip.compress(packed(report())) + b"\r\n"),
    fine("failure with details", report(failing(detail())), _EXPIRED),
    fine(
        "two kinds of failure",
        report(failing(detail(), detail("starttls-not-supported", 1), failed=4)),
        ("example.org", PolicyKind.STS, 9, 4, ("certificate-expired", "starttls-not-supported")),
    ),
    fine(
        "no policy found",
        report(policy(policy={"policy-type": "no-policy-found", "policy-domain": "example.org"})),
        ("example.org", PolicyKind.NONE, 12, 0, ()),
    ),
    fine(
        "DANE",
        report(policy(policy=about(policy_type="tlsa", policy_string=["3 1 1 aa", "2 1 1 bb"]))),
        ("example.org", PolicyKind.TLSA, 12, 0, ()),
    ),
    fine(
        "two domains",
        report(policy(), policy(policy=about(policy_domain="example.net"))),
        FINE,
        ("example.net", PolicyKind.STS, 12, 0, ()),
    ),
    fine(
        "sts and DANE of one domain",
        report(policy(), policy(policy=about(policy_type="tlsa"))),
        FINE,
        ("example.org", PolicyKind.TLSA, 12, 0, ()),
    ),
    # --- what senders leave out, or write as null
    fine("null contact", report(contact_info=None)),
    fine("no contact", report(contact_info=...)),
    fine("contact is an object", report(contact_info={"mail": "a@sender.example"})),
    fine("no organisation", report(organization_name=...), organisation=""),
    fine("null organisation", report(organization_name=None), organisation=""),
    fine("null policy domain", report(policy(policy=about(policy_domain=None))), _NOBODY),
    fine("no policy domain", report(policy(policy=about(policy_domain=...))), _NOBODY),
    fine("empty policy domain", report(policy(policy=about(policy_domain=""))), _NOBODY),
    fine("null policy string", report(policy(policy=about(policy_string=None)))),
    fine("no policy string", report(policy(policy=about(policy_string=...)))),
    fine("null failure details", report(policy(**{"failure-details": None}))),
    fine("null summary", report(policy(summary=None)), ("example.org", PolicyKind.STS, 0, 0, ())),
    fine(
        "no summary: the details count",
        report(failing(detail(), detail(sessions=4), summary=...)),
        ("example.org", PolicyKind.STS, 0, 7, ("certificate-expired", "certificate-expired")),
    ),
    fine("null in the summary", report(policy(summary=counts(12, None)))),
    fine("null policy", report(policy(policy=None)), (None, PolicyKind.OTHER, 12, 0, ())),
    fine("detail without a count", report(failing(detail(sessions=...))), _EXPIRED),
    fine(
        "details with null", report(failing(detail(receiving_mx_hostname=None, receiving_ip=None))), _EXPIRED
    ),
    # --- one in place of many, many in place of one
    fine("mx-host is a text", report(policy(policy=about(mx_host="mail.example.org")))),
    fine(
        "policy string is one text",
        report(policy(policy=about(policy_string="version: STSv1\r\nmode: testing"))),
    ),
    fine(
        "detail is not in a list",
        report(policy(**{"summary": counts(9, 3), "failure-details": detail()})),
        _EXPIRED,
    ),
    fine("policy is not in a list", report(policies=policy())),
    fine("report is in a list", [report()]),
    fine(
        "tlsa in JSON within a text",
        report(policy(policy=about(policy_type="tlsa", policy_string='["3 1 1 aa","3 1 1 bb"]'))),
        ("example.org", PolicyKind.TLSA, 12, 0, ()),
    ),
    # --- words and values
    fine(
        "unknown policy type",
        report(policy(policy=about(policy_type="dnssec"))),
        ("example.org", PolicyKind.OTHER, 12, 0, ()),
    ),
    fine("policy type in capitals", report(policy(policy=about(policy_type="STS")))),
    fine(
        "unknown result type",
        report(failing(detail("Quantum-Error"))),
        ("example.org", PolicyKind.STS, 9, 3, ("quantum-error",)),
    ),
    fine("counts in texts", report(policy(summary=counts("12", "0")))),
    fine("counts with .0", report(policy(summary=counts(12.0, 0)))),
    fine("domain in capitals, with a dot", report(policy(policy=about(policy_domain="Example.ORG.")))),
    fine(
        "domain in Unicode",
        report(policy(policy=about(policy_domain="bücher.example"))),
        ("xn--bcher-kva.example", PolicyKind.STS, 12, 0, ()),
    ),
    fine("details add up to more than the summary", report(failing(detail(sessions=30))), _EXPIRED),
    fine("number as the report id", report(report_id=20261120)),
    fine("fields that nobody knows", report(policy(extra={"a": [1]}), more=[{"b": None}])),
    # --- dates
    fine("times without a zone", report(date_range=dates("2026-11-20T00:00:00", "2026-11-20T23:59:59"))),
    fine("ends at midnight", report(date_range=dates("2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z"))),
    fine("other zone", report(date_range=dates("2026-11-20T00:00:00+02:00", "2026-11-20T23:59:59+02:00"))),
    fine("parts of a second", report(date_range=dates("2026-11-20T00:00:00.0Z", "2026-11-20T23:59:59.999Z"))),
    fine("blank in place of T", report(date_range=dates("2026-11-20 00:00:00", "2026-11-20 23:59:59"))),
    # --- one bad policy does not lose the others
    fine("negative count beside a good policy", report(policy(summary=counts(-1, 0)), policy()), left_out=1),
    fine("structured count", report(policy(summary=counts({"n": 1}, 0)), policy()), left_out=1),
    fine("policy that is a text beside a good one", report("sts", policy()), left_out=1),
    fine(
        "detail without a result",
        report(failing(detail(...))),  # type: ignore[arg-type]
        ("example.org", PolicyKind.STS, 9, 3, ("unspecified",)),
    ),
    fine("detail that is a text beside a good policy", report(failing("expired"), policy()), left_out=1),
    fine("bad domain", report(policy(policy=about(policy_domain="a b")), policy()), left_out=1),
    # --- refused
    unreadable("nothing", b"", Why.EMPTY),
    unreadable("white space", b" \r\n", Why.EMPTY),
    unreadable("prose", b"This is an aggregate TLS report from sender.example", Why.NOT_JSON),
    unreadable("XML", b'<?xml version="1.0"?><feedback/>', Why.NOT_JSON),
    unreadable("cut JSON", packed(report())[:-20], Why.NOT_JSON),
    unreadable("cut gzip", gzip.compress(packed(report()))[:-30], Why.GZIP),
    unreadable("gzip with a wrong checksum", gzip.compress(packed(report()))[:-8] + bytes(8), Why.GZIP),
    unreadable("a list", [report(), report()], Why.NOT_A_REPORT),
    unreadable("a number", b"42", Why.NOT_A_REPORT),
    unreadable("a number of 5,000 digits", b"1" * 5_000, Why.NOT_JSON),
    unreadable("10,000 brackets", b"[" * 10_000, Why.NOT_JSON),
    unreadable("no report id", report(report_id=...), Why.NO_ID),
    unreadable("null report id", report(report_id=None), Why.NO_ID),
    unreadable("report id is a list", report(report_id=["a"]), Why.NO_ID),
    unreadable("no dates", report(date_range=...), Why.DATES),
    unreadable("only a begin", report(date_range={"start-datetime": "2026-11-20T00:00:00Z"}), Why.DATES),
    unreadable("dates in words", report(date_range=dates("yesterday", "today")), Why.DATES),
    unreadable(
        "end before begin",
        report(date_range=dates("2026-11-20T00:00:00Z", "2026-11-19T00:00:00Z")),
        Why.DATES,
    ),
    unreadable("a year", report(date_range=dates("2026-01-01T00:00:00Z", "2026-12-31T00:00:00Z")), Why.DATES),
    unreadable(
        "year 9999", report(date_range=dates("9999-12-31T00:00:00Z", "9999-12-31T01:00:00Z")), Why.DATES
    ),
    unreadable("no policies", report(policies=[]), Why.NO_POLICY),
    unreadable("only a bad policy", report(policy(summary=counts(1.5, 0))), Why.NO_POLICY),
    unreadable("a count of true", report(policy(summary=counts(True, 0))), Why.NO_POLICY),
    unreadable("a count beyond all sense", report(policy(summary=counts(10**18, 0))), Why.NO_POLICY),
    unreadable("gzip bomb", bomb(64 * 1024 * 1024), Why.TOO_LARGE),
    unreadable("bomb within gzip", gzip.compress(bomb(64 * 1024 * 1024)), Why.TOO_LARGE),
    unreadable("a million values", b"[" + b"{}," * 1_000_000 + b"{}]", Why.TOO_MANY_VALUES),
)


# --- messages --------------------------------------------------------------------------------------------


def message(*parts: bytes, header: str = "", boundary: str = "b1") -> bytes:
    """A multipart/report message with these parts (header fields and body each)."""
    head = (
        "From: TLS reports <noreply@sender.example>\r\nTo: tls-reports@example.com\r\n"
        "Subject: Report Domain: example.org Submitter: sender.example Report-ID: <1@sender.example>\r\n"
        f"TLS-Report-Domain: example.org\r\nTLS-Report-Submitter: sender.example\r\n{header}MIME-Version: 1.0\r\n"
        f'Content-Type: multipart/report; report-type="tlsrpt"; boundary="{boundary}"\r\n\r\n'
    )
    body = b"".join(b"--" + boundary.encode() + b"\r\n" + part + b"\r\n" for part in parts)
    return head.encode() + body + b"--" + boundary.encode() + b"--\r\n"


def prose(text: str = "This is an aggregate TLS report.") -> bytes:
    """The part for people."""
    return b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + text.encode()


def attached(data: bytes, kind: str = "application/tlsrpt+gzip", name: str = "report.json.gz") -> bytes:
    """The part with the report, in base64."""
    head = f'Content-Type: {kind}\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename="{name}"'
    return head.encode() + b"\r\n\r\n" + base64.encodebytes(data).replace(b"\n", b"\r\n")
