"""What is missing until policies are enforced: which line, for which domains, from when."""

from dataclasses import replace

import pytest

from sidecar.formats.mtasts_policy import Mode
from sidecar.observed.checks import Rollout
from sidecar.observed.words import day
from sidecar.rollout import SOAK_AFTER_STEP_BACK_S
from sidecar.status.needs import CONFIG_LINE, Protection, summary_of
from tests.web.fakes import GivenDomain, report_of, status_once
from tests.worlds import DAY, NOW, given_settings

REPORTS = {"tls_report": "tls-reports@example.org"}
READY = (GivenDomain("a.example", Mode.TESTING), GivenDomain("b.example", Mode.TESTING))
SOAKING = (GivenDomain("c.example", Mode.TESTING, "soaking"),)
LEFT = 4 * DAY
"""Of the seven days, three have passed."""


def found(
    domains: tuple[GivenDomain, ...], config: dict[str, object] | None = None
) -> tuple[str, Protection | None]:
    """The headline and the next step."""
    settings = given_settings({**REPORTS, **(config or {})})
    summary = summary_of(status_once(report_of(domains, settings), settings)())
    return summary.headline, summary.protection


def test_default_with_everything_well_says_what_is_missing() -> None:
    """How many domains are ready, and the line for config.yml."""
    headline, protection = found(READY)
    assert headline == "2 domains are ready for enforce: one line in config.yml."
    assert protection is not None
    assert (protection.ready, protection.soaking, protection.at) == (("a.example", "b.example"), (), None)
    assert protection.config == CONFIG_LINE == "mode: auto"
    assert "nothing is protected yet" in protection.message


def test_domains_that_still_soak_have_the_date_from_which_auto_enforces() -> None:
    """With the line now."""
    headline, protection = found(SOAKING)
    assert headline == "1 domain will be ready for enforce: one line in config.yml."
    assert protection is not None
    assert protection.at == NOW + LEFT
    assert day(NOW + LEFT) in protection.message
    headline, protection = found((*READY, *SOAKING))
    assert headline == "2 domains are ready for enforce: one line in config.yml."
    assert protection is not None
    assert (protection.soaking, protection.at) == (("c.example",), NOW + LEFT)


def test_auto_needs_no_line_and_has_the_date() -> None:
    """Nobody has to do anything."""
    headline, protection = found(SOAKING, {"mode": "auto"})
    assert headline == "1 domain is on its way; nothing for you to do."
    assert protection is not None
    assert (protection.config, protection.at) == ("", NOW + LEFT)
    assert day(NOW + LEFT) in protection.message


def test_step_back_makes_the_date_later() -> None:
    """However short the soak is set, a day passes."""
    settings = given_settings({**REPORTS, "soak": 3_600})
    report = report_of(SOAKING, settings)
    rollouts = {name: _stepped_back(rollout) for name, rollout in report.observed.memory.rollouts.items()}
    memory = replace(report.observed.memory, rollouts=rollouts)
    report = replace(report, observed=replace(report.observed, memory=memory))
    protection = summary_of(status_once(report, settings)()).protection
    assert protection is not None
    assert protection.at == NOW + SOAK_AFTER_STEP_BACK_S


def _stepped_back(rollout: Rollout) -> Rollout:
    return replace(rollout, soaked=0.0, stepped_back_at=NOW - DAY)


@pytest.mark.parametrize(
    ("domains", "config", "why"),
    [
        ((GivenDomain("a.example"),), {}, "it is enforced"),
        ((GivenDomain("a.example", Mode.TESTING, "by-hand"),), {}, "it is a person's policy"),
        ((GivenDomain("a.example", Mode.TESTING, "uncovered"),), {}, "an MX would be refused"),
        ((GivenDomain("a.example", Mode.TESTING, "no-record"),), {}, "its record is missing"),
        (READY[:1], {"domains": {"a.example": {"mode": "testing"}}}, "somebody chose testing for it"),
        (READY, {"exclude": ["a.example", "b.example"]}, "both are excluded"),
        ((), {}, "there are no domains"),
    ],
)
def test_nothing_is_recommended_where_the_line_would_not_help(
    domains: tuple[GivenDomain, ...], config: dict[str, object], why: str
) -> None:
    """The headline does not mention it either."""
    headline, protection = found(domains, config)
    assert protection is None, why
    assert "ready for enforce" not in headline


def test_trouble_comes_before_the_recommendation() -> None:
    """The headline is for what needs a person."""
    headline, protection = found((*READY, GivenDomain("d.example", Mode.TESTING, "no-record")))
    assert headline == "1 domain waits for you."
    assert protection is not None
    assert protection.ready == ("a.example", "b.example")
