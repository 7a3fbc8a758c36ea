"""Reports as senders write them: each form is read or refused as the table says, and nothing makes the reader fail."""

import gzip
import random
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sidecar.formats.mtasts_policy import Mode
from sidecar.formats.tls_report import (
    LARGEST,
    MOST_DETAILS,
    MOST_MARKS,
    MOST_POLICIES,
    TlsReport,
    Unreadable,
    Why,
    read,
)
from sidecar.formats.tls_report_policy import HeldPolicy
from tests.formats.tls_report_corpus import CASES, Case, about, detail, failing, packed, policy, report

MOST_MEMORY = 64 * 1024 * 1024


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_form_has_its_outcome(case: Case) -> None:
    """The organisation, the day, and of each policy its domain, kind, counts and result types; or the reason."""
    found = read(case.data)
    if case.why is not None:
        assert isinstance(found, Unreadable)
        assert found.why is case.why
        assert found.text
        return
    assert isinstance(found, TlsReport), found
    assert found.organisation == case.organisation
    assert found.day == case.day
    assert len(found.left_out) == case.left_out
    assert case.policies == tuple(
        (one.domain, one.kind, one.ok, one.failed, tuple(each.result for each in one.details))
        for one in found.policies
    )


def test_the_policy_that_a_sender_holds_is_read_from_its_lines() -> None:
    """Mode, max_age and the mx patterns, whatever their order, and only as far as they are given."""
    lines = ["MX: *.Example.org", "version: STSv1", "mode:enforce ", "mx: mail.example.org", "max_age: 86400"]
    found = read(packed(report(policy(policy=about(policy_string=lines)))))
    assert isinstance(found, TlsReport)
    assert found.policies[0].held == HeldPolicy(Mode.ENFORCE, 86_400, ("*.example.org", "mail.example.org"))


@pytest.mark.parametrize("lines", [None, [], ["v=spf1"], ["mode: strict", "max_age: soon"]])
def test_a_policy_string_that_says_nothing_holds_nothing(lines: object) -> None:
    """None, and not a policy with gaps that look like values."""
    found = read(packed(report(policy(policy=about(policy_string=lines)))))
    assert isinstance(found, TlsReport)
    assert found.policies[0].held is None


def test_tlsa_lines_in_json_within_a_text_are_taken_apart() -> None:
    """As Microsoft writes them."""
    text = '["3 1 1 aa","3 1 1 bb"]'
    found = read(packed(report(policy(policy=about(policy_type="tlsa", policy_string=text)))))
    assert isinstance(found, TlsReport)
    assert found.policies[0].policy == ("3 1 1 aa", "3 1 1 bb")


def test_number_of_policies_and_details_is_limited() -> None:
    """The rest of the policies is named as left out; the summary still counts all sessions."""
    many = [failing(*[detail(sessions=1)] * (MOST_DETAILS + 5), failed=MOST_DETAILS + 5)]
    found = read(packed(report(*many)))
    assert isinstance(found, TlsReport)
    assert len(found.policies[0].details) == MOST_DETAILS
    assert found.policies[0].failed == MOST_DETAILS + 5
    found = read(packed(report(*[policy()] * (MOST_POLICIES + 2))))
    assert isinstance(found, TlsReport)
    assert len(found.policies) == MOST_POLICIES
    assert found.left_out == (f"2 policies after the first {MOST_POLICIES} were not read",)


def test_texts_are_one_line_and_of_a_bounded_length() -> None:
    """What a stranger wrote goes to terminals and pages."""
    found = read(packed(report(organization_name="A\x1b[31m\nB" + "x" * 10_000)))
    assert isinstance(found, TlsReport)
    assert found.organisation.isprintable()
    assert len(found.organisation) <= 300


# --- fuzzing ---------------------------------------------------------------------------------------------

_SEEDS = tuple(case.data for case in CASES if len(case.data) < 20_000)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def _is_an_answer(found: object) -> bool:
    return isinstance(found, TlsReport | Unreadable)


@given(st.binary(max_size=2_000))
def test_any_octets_give_an_answer(data: bytes) -> None:
    """Never an exception, packed or not."""
    assert _is_an_answer(read(data))
    assert _is_an_answer(read(gzip.compress(data)))


@given(st.sampled_from(_SEEDS), st.integers(min_value=0), st.integers(1, 8))
def test_reports_with_changed_octets_give_an_answer(seed: bytes, at: int, times: int) -> None:
    """Octets set, removed and doubled."""
    chance = random.Random(at)
    data = bytearray(seed)
    for _ in range(times):
        place = chance.randrange(len(data) + 1)
        match chance.randrange(3):
            case 0:
                data[place : place + 1] = bytes([chance.randrange(256)])
            case 1:
                del data[place : place + chance.randrange(20)]
            case _:
                data[place:place] = data[place : place + chance.randrange(20)]
    assert _is_an_answer(read(bytes(data)))


@given(st.sampled_from(["date-range", "policies", "report-id", "organization-name", "contact-info"]), _VALUES)
def test_any_value_in_a_field_gives_an_answer(name: str, value: object) -> None:
    """At the top level."""
    assert _is_an_answer(read(packed({**report(), name: value})))


@given(
    st.sampled_from(
        ["policy", "summary", "failure-details", "policy-string", "mx-host", "policy-domain", "count"]
    ),
    _VALUES,
)
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_any_value_within_a_policy_gives_an_answer(name: str, value: object) -> None:
    """And leaves the good policy beside it as it is."""
    match name:
        case "policy-string" | "mx-host" | "policy-domain":
            bad = policy(policy=about(**{name: value}))
        case "count":
            bad = failing(detail(sessions=value))
        case _:
            bad = policy(**{name: value})
    found = read(packed(report(bad, policy())))
    assert isinstance(found, TlsReport)
    assert found.policies[-1].ok == 12


HEAVY: dict[str, Callable[[], bytes]] = {
    "objects": lambda: b"[" + b"{}," * (MOST_MARKS // 2 - 2) + b"{}]",
    "keys": lambda: b"{" + b",".join(b'"%x":1' % n for n in range(MOST_MARKS // 2 - 2)) + b"}",
    "short texts": lambda: (
        b"[" + b",".join(b'"\xf0\x9f\x98\x80%x"' % n for n in range(MOST_MARKS - 2)) + b"]"
    ),
    "one wide text": lambda: b'["' + b"x" * (LARGEST - 110) + b'\xf0\x9f\x98\x80"]',
    "details": lambda: packed(report(*[failing(*[detail()] * MOST_DETAILS)] * 14)),
    "bomb": lambda: gzip.compress(bytes(200 * 1024 * 1024), 9),
}


@pytest.mark.integration
@pytest.mark.parametrize("name", HEAVY)
def test_no_report_takes_more_than_64_mb(name: str) -> None:
    """The heaviest of each kind that passes the bounds; counted is all that Python allocates meanwhile."""
    data = HEAVY[name]()
    tracemalloc.start()
    try:
        answer = read(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert _is_an_answer(answer)
    assert peak < MOST_MEMORY
    if name == "bomb":
        assert isinstance(answer, Unreadable)
        assert answer.why is Why.TOO_LARGE
