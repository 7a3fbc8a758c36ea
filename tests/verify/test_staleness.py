"""The id in the DNS against the policy that is served, and what a sender with an old cache does."""

import pytest

from sidecar.formats.mtasts_policy import Mode, Policy, render
from sidecar.observed import Announced
from sidecar.observed.checks import Severity
from sidecar.verify.rules.policy_id import KEPT, judge_id, noted

TESTING = Policy(Mode.TESTING, 86_400, ("a.example",))
ENFORCE = Policy(Mode.ENFORCE, 604_800, ("a.example",))
MORE_MX = Policy(Mode.ENFORCE, 604_800, ("a.example", "b.example"))
NONE = Policy(Mode.NONE, 86_400, ("a.example",))


def seen(identity: str, policy: Policy) -> tuple[Announced, ...]:
    """This id was in the DNS while this policy was served."""
    return (Announced(identity, render(policy), 0.0),)


CAME_BACK = (*seen("1", ENFORCE), *seen("9", TESTING), *seen("1", TESTING))
CASES = {
    "new id": ("2", "2", ENFORCE, seen("1", TESTING), False, "id-current", Severity.OK),
    "tightened": ("1", "2", ENFORCE, seen("1", TESTING), False, "id-stale", Severity.NOTICE),
    "loosened": ("1", "2", TESTING, seen("1", ENFORCE), False, "id-stale", Severity.CRITICAL),
    "left": ("1", "2", NONE, seen("1", ENFORCE), False, "id-stale", Severity.CRITICAL),
    "mx added": ("1", "2", MORE_MX, seen("1", ENFORCE), False, "id-stale", Severity.CRITICAL),
    "mx dropped": ("1", "2", ENFORCE, seen("1", MORE_MX), False, "id-stale", Severity.NOTICE),
    "never seen before": ("1", "2", ENFORCE, (), False, "id-differs", Severity.WARNING),
    "id not known": ("1", None, ENFORCE, (), False, "id-current", Severity.OK),
    "shared record": ("1", "2", ENFORCE, (), True, "id-current", Severity.OK),
    "shared record that did not change": (
        "1",
        "2",
        TESTING,
        seen("1", ENFORCE),
        True,
        "id-stale",
        Severity.CRITICAL,
    ),
    "same policy, other id": ("1", "2", ENFORCE, seen("1", ENFORCE), False, "id-differs", Severity.WARNING),
    "same policy, shared record": ("1", "2", ENFORCE, seen("1", ENFORCE), True, "id-current", Severity.OK),
    "an id that came back": ("1", None, TESTING, CAME_BACK, False, "id-current", Severity.OK),
}


@pytest.mark.parametrize(
    ("published", "expected", "served", "announced", "shared", "code", "severity"), CASES.values(), ids=CASES
)
def test_severity_follows_what_a_sender_does_with_an_old_cache(
    published: str,
    expected: str | None,
    served: Policy,
    announced: tuple[Announced, ...],
    shared: bool,
    code: str,
    severity: Severity,
) -> None:
    """After loosening, or with an added mx, senders keep refusing mail."""
    finding = judge_id("example.org", published, expected, served, announced, shared=shared)
    assert (finding.code, finding.severity) == (code, severity)
    assert (finding.todo is None) == (code == "id-current")


def test_pairs_are_noted_once_and_bounded() -> None:
    """The same pair again is the same object."""
    once = noted((), "1", "text", 1.0)
    assert noted(once, "1", "text", 2.0) is once
    for number in range(50):
        once = noted(once, str(number), "text", 3.0)
    assert len(once) == KEPT


def test_first_text_of_the_published_id_is_never_forgotten() -> None:
    """However often the policy changes under one id: it is what senders may still hold."""
    pairs = seen("1", ENFORCE)
    for number in range(3 * KEPT):
        pairs = noted(pairs, "1", render(Policy(Mode.TESTING, 60 + number, ("a.example",))), 1.0 + number)
        finding = judge_id("example.org", "1", None, TESTING, pairs, shared=False)
        assert (finding.code, finding.severity) == ("id-stale", Severity.CRITICAL)
    assert len(pairs) == KEPT
