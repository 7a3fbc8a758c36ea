"""The TLS report of RFC 8460 §4.4, without I/O: its octets in, its values or the reason why it is unreadable out.

Rules for every editor: anyone who writes to the address for reports chooses these octets. Size, number of parts and
length of each text are bounded before anything is built from them, and nothing here raises. Each policy of a report is
read separately: an invalid one is left out with its reason, the others count. The meaning is decided elsewhere.
"""

import re
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

import pydantic_core
from pydantic import ValidationError

from sidecar.formats import tls_report_fields as fields
from sidecar.formats.mtasts_policy import Mode
from sidecar.formats.tls_report_policy import HeldPolicy, PolicyKind

LARGEST = 10 * 1024 * 1024
"""Octets of a decompressed report."""
MOST_MARKS = 400_000
"""Brackets, commas and colons of a report: each value costs memory, even if it has only a few octets of text."""
MOST_POLICIES = 500
MOST_DETAILS = 1_000
"""The first failure details of one policy; the rest is ignored."""
LONGEST_SPAN_S = 8 * 86_400
"""A report should cover a day (RFC 8460 §4.1); a week is accepted."""

_GZIP = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"
_PACKED_TWICE = 2
_MODES = frozenset(Mode)
_MAX_AGE = re.compile(r"[0-9]{1,10}")


class Why(StrEnum):
    """Why octets are not a report."""

    EMPTY = "empty"
    TOO_LARGE = "too-large"
    GZIP = "gzip"
    NOT_JSON = "not-json"
    TOO_MANY_VALUES = "too-many-values"
    NOT_A_REPORT = "not-a-report"
    NO_ID = "no-id"
    DATES = "dates"
    NO_POLICY = "no-policy"


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Octets that are not a report, with the reason as a sentence."""

    why: Why
    text: str


@dataclass(frozen=True, slots=True)
class Detail:
    """One failure detail; `sessions` counts the connections that failed this way. Missing values are empty."""

    result: str
    """A result type of RFC 8460 §4.3, or another word; lower case."""
    sessions: int
    sending_ip: str = ""
    receiving_mx: str = ""
    receiving_ip: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class PolicyReport:
    """The report on one policy. `domain` is an A-label; None if the report does not name it."""

    domain: str | None
    kind: PolicyKind
    ok: int
    """Successful sessions."""
    failed: int
    """Failed sessions by the summary; it may be fewer than in the details."""
    details: tuple[Detail, ...] = ()
    policy: tuple[str, ...] = ()
    """The lines of `policy-string`."""
    mx: tuple[str, ...] = ()
    """`mx-host`: host names or patterns, as seen by the sender."""

    @property
    def held(self) -> HeldPolicy | None:
        """The MTA-STS policy that the sender applied; None if none is given, or none of its lines can be read.

        White space and order of the lines vary by sender, so this is not the grammar of a policy.
        """
        if self.kind is not PolicyKind.STS:
            return None
        mode: Mode | None = None
        max_age: int | None = None
        mx: dict[str, None] = {}  # in order, each once
        for line in self.policy:
            name, _, value = line.partition(":")
            name, value = name.strip().lower(), value.strip()
            if name == "mode" and mode is None and value.lower() in _MODES:
                mode = Mode(value.lower())
            elif name == "max_age" and max_age is None and _MAX_AGE.fullmatch(value):
                max_age = int(value)
            elif name == "mx" and value:
                mx[value.lower()] = None
        return HeldPolicy(mode, max_age, tuple(mx)) if mode or max_age is not None or mx else None


@dataclass(frozen=True, slots=True)
class TlsReport:
    """A report; `begin` and `end` in Unix seconds. `organisation` and `contact` are claims of the sender."""

    organisation: str
    report_id: str
    contact: str
    begin: float
    end: float
    policies: tuple[PolicyReport, ...]
    left_out: tuple[str, ...] = ()
    """Why policies were left out, one sentence each."""

    @property
    def day(self) -> str:
        """The UTC day of the report, `2026-11-25`; a report that ends at midnight is of the day before."""
        return datetime.fromtimestamp((self.begin + self.end) / 2, UTC).strftime("%Y-%m-%d")


def looks_like_report(data: bytes) -> bool:
    """Whether octets begin like a report, compressed or not; the rest is not checked."""
    start = data[:64].removeprefix(_BOM).lstrip()
    return data.startswith(_GZIP) or start.startswith((b"{", b"["))


def read(data: bytes) -> TlsReport | Unreadable:
    """The report in these octets, with or without gzip, whatever their declared type; never raises."""
    text = _unpacked(data)
    if isinstance(text, Unreadable):
        return text
    text = text.removeprefix(_BOM)
    if not text.strip():
        return Unreadable(Why.EMPTY, "it is empty")
    marks = sum(text.count(mark) for mark in (b",", b":", b"[", b"{"))
    if marks > MOST_MARKS:
        return Unreadable(Why.TOO_MANY_VALUES, f"it has more than {MOST_MARKS} values")
    try:
        found = pydantic_core.from_json(text, allow_inf_nan=False, cache_strings="keys")
    except ValueError as error:
        return Unreadable(Why.NOT_JSON, f"it is not JSON: {fields.cleaned(str(error), 120)}")
    if isinstance(found, list) and len(found) == 1:
        found = found[0]
    if not isinstance(found, dict):
        return Unreadable(Why.NOT_A_REPORT, "it is JSON, but not an object")
    return _report(found)


def _unpacked(data: bytes) -> bytes | Unreadable:
    """Decompressed. Some senders compress twice."""
    for _ in range(_PACKED_TWICE):
        if not data.startswith(_GZIP):
            break
        machine = zlib.decompressobj(16 + zlib.MAX_WBITS)
        try:
            data = machine.decompress(data, LARGEST + 1)
        except zlib.error as error:
            return Unreadable(Why.GZIP, f"its gzip is damaged: {fields.cleaned(str(error), 80)}")
        if len(data) <= LARGEST and not machine.eof:
            return Unreadable(Why.GZIP, "its gzip ends too early")
    if len(data) > LARGEST:
        return Unreadable(Why.TOO_LARGE, f"it has more than {LARGEST // (1024 * 1024)} MB")
    return data


def _report(found: dict[str, object]) -> TlsReport | Unreadable:
    try:
        head = fields.Head.model_validate(found)
    except ValidationError as error:
        place, problem = fields.first_problem(error)
        why = {"report-id": Why.NO_ID, "date-range": Why.DATES}.get(place, Why.NOT_A_REPORT)
        return Unreadable(why, problem)
    begin, end = head.dates.begin.timestamp(), head.dates.end.timestamp()
    if not 0 <= end - begin <= LONGEST_SPAN_S:
        return Unreadable(
            Why.DATES, f"its date-range of {(end - begin) / 86_400:.0f} days is not that of a report"
        )
    given = head.policies if isinstance(head.policies, list) else [head.policies]
    policies: list[PolicyReport] = []
    left_out: list[str] = []
    for number, one in enumerate(given[:MOST_POLICIES], 1):
        match _policy(one):
            case PolicyReport() as policy:
                policies.append(policy)
            case problem:
                left_out.append(f"policy {number}: {problem}")
    if len(given) > MOST_POLICIES:
        left_out.append(
            f"{len(given) - MOST_POLICIES} policies after the first {MOST_POLICIES} were not read"
        )
    if not policies:
        return Unreadable(Why.NO_POLICY, left_out[0] if left_out else "it has no policy")
    return TlsReport(
        head.organisation, head.report_id, head.contact, begin, end, tuple(policies), tuple(left_out)
    )


def _policy(found: object) -> PolicyReport | str:
    try:
        one = fields.GivenPolicy.model_validate(found)
    except ValidationError as error:
        return fields.first_problem(error)[1]
    given = one.details if isinstance(one.details, list) else [one.details]
    details: list[Detail] = []
    for item in given[:MOST_DETAILS]:
        try:
            detail = fields.GivenDetail.model_validate(item)
        except ValidationError as error:
            return f"a failure detail: {fields.first_problem(error)[1]}"
        details.append(
            Detail(
                detail.result,
                detail.sessions,
                detail.sending_ip,
                detail.receiving_mx,
                detail.receiving_ip,
                detail.reason or detail.information,
            )
        )
    failed = one.summary.failed if one.summary else fields.total(detail.sessions for detail in details)
    return PolicyReport(
        one.about.domain,
        PolicyKind(one.about.kind) if one.about.kind in _KNOWN else PolicyKind.OTHER,
        one.summary.ok if one.summary else 0,
        failed,
        tuple(details),
        one.about.policy,
        one.about.mx,
    )


_KNOWN = frozenset(PolicyKind)
