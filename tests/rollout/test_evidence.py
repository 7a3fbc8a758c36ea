"""Every code there is, and what it does to the conditions of a roll-out."""

import pytest

from sidecar.observed.checks import ConditionType, Status
from sidecar.observed.findings import Code, Finding, Severity
from sidecar.rollout.evidence import conditions_of
from sidecar.verify import codes, probe_codes
from sidecar.verify.rules import policy_id as staleness

SERVED, RECORD, COVERED, AUTHENTICATED, REPORTS = ConditionType
GOOD = {
    SERVED: probe_codes.POLICY_FETCHED,
    RECORD: probe_codes.TXT_FOUND,
    COVERED: probe_codes.MX_COVERED,
    AUTHENTICATED: probe_codes.MX_TLS,
    REPORTS: probe_codes.TLSRPT_FOUND,
}
NO_CONDITION = ("dane-", "caa-", "match-", "check-", "findings-")
"""What is read and reported only: neither senders that go by MTA-STS nor the policy depend on it."""
OWN_EFFECT = {
    "txt-nxdomain": (RECORD, Status.FALSE),
    "txt-none": (RECORD, Status.FALSE),
    "mx-none": (COVERED, Status.FALSE),
    "mx-null": (COVERED, Status.FALSE),
    "mx-uncovered": (COVERED, Status.FALSE),
    "mx-unknown": (COVERED, Status.UNKNOWN),
    "mx-many": (COVERED, Status.UNKNOWN),
    "tlsrpt-none": (REPORTS, Status.FALSE),
    "mx-host-missing": (AUTHENTICATED, Status.UNKNOWN),
}
"""Where the severity alone does not say it."""
AND_AUTHENTICATED = {"mx-many"}
"""Of hosts that were not looked at neither the one nor the other is known."""
FAMILY = {
    "policy-": SERVED,
    "txt-": RECORD,
    "record-": RECORD,
    "id-": RECORD,
    "dnssec-": RECORD,
    "tlsrpt-": REPORTS,
    "mx-": AUTHENTICATED,
}


def effects(code: Code) -> list[tuple[ConditionType, Status]]:
    """What a finding of this code does to conditions that all else makes true."""
    found = effect(code)
    also = [(AUTHENTICATED, Status.UNKNOWN)] if code.name in AND_AUTHENTICATED else []
    return [*([found] if found is not None else []), *also]


def effect(code: Code) -> tuple[ConditionType, Status] | None:
    """The same, of the condition that its name or OWN_EFFECT gives."""
    if code.name in OWN_EFFECT:
        return OWN_EFFECT[code.name]
    if code.name.startswith(NO_CONDITION):
        return None
    (kind,) = [kind for prefix, kind in FAMILY.items() if code.name.startswith(prefix)]
    if code.severity is Severity.UNKNOWN:
        return kind, Status.UNKNOWN
    return (kind, Status.FALSE) if code.severity.rank >= Severity.ERROR.rank else None


@pytest.mark.parametrize(
    "code", [*probe_codes.ALL, *staleness.ALL, *codes.ALL], ids=lambda code: str(code.name)
)
def test_each_code_touches_its_condition_and_no_other(code: Code) -> None:
    """Beside findings that make all of them true."""
    findings = [Finding.of(one, "example.org", "good") for one in GOOD.values()]
    judged = conditions_of([*findings, Finding.of(code, "example.org", "found")])
    touched = [(kind, one.status) for kind, one in judged.items() if one.status is not Status.TRUE]
    assert touched == effects(code)
    assert all(judged[kind].reason == code.name for kind, _ in touched)


def test_nothing_found_is_unknown() -> None:
    """And never true."""
    assert {one.status for one in conditions_of(()).values()} == {Status.UNKNOWN}
