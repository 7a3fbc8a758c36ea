"""The next step to enforced policies: for which domains `enforce` is safe, and from when; pure.

A policy in `testing` does not protect: senders report problems and deliver anyway (RFC 8461 §5).

Rule for every editor: nothing is recommended for a domain that needs a person first.
"""

from dataclasses import dataclass

from sidecar.formats.mtasts_policy import Mode
from sidecar.observed.checks import Stage
from sidecar.observed.words import day
from sidecar.plan.ownership import Whose
from sidecar.rollout import SOAK_AFTER_STEP_BACK_S
from sidecar.settings import Settings
from sidecar.status.domains import CurrentStatus
from sidecar.status.row import Care, Row
from sidecar.status.wording import count


@dataclass(frozen=True, slots=True)
class Protection:
    """The next step to protection.

    `ready` are domains that can be enforced now, `soaking` those that can be at `at` (Unix seconds; the last of them).
    """

    ready: tuple[str, ...]
    soaking: tuple[str, ...]
    at: float | None
    config: str
    """The line for config.yml; empty if `mode: auto` is already set."""
    headline: str
    message: str


def protection_of(status: CurrentStatus) -> Protection | None:
    """None if every domain is enforced, or needs more than waiting to become ready."""
    near = [row for row in status.rows if _waits(row, status.settings)]
    chosen = [row for row in near if not row.auto]
    config = CONFIG_LINE if chosen else ""
    ready = [row.domain for row in chosen if row.stage is Stage.READY]
    soaking = [row for row in chosen or near if row.stage is Stage.SOAKING]
    if not ready and not soaking:
        return None
    at = max(map(_enforced_at, soaking), default=None)
    names = tuple(row.domain for row in soaking)
    if not config:
        message = f"`mode: auto` enforces {_from(len(names), at)}."
        return Protection((), names, at, config, "", message)
    if ready:
        number = count(len(ready), "domain")
        headline = f"{number} {'is' if len(ready) == 1 else 'are'} ready for enforce: one line in config.yml."
        message = f"With this line in config.yml, {number} will be enforced in the next pass"
        message += f", and {_from(len(names), at)}." if names else "."
    else:
        headline = f"{count(len(names), 'domain')} will be ready for enforce: one line in config.yml."
        message = f"With this line in config.yml, the sidecar enforces {_from(len(names), at)}."
    message = f"In testing, senders report problems and deliver anyway: nothing is protected yet. {message}"
    return Protection(tuple(ready), names, at, config, headline, message)


CONFIG_LINE = "mode: auto"


def _waits(row: Row, settings: Settings) -> bool:
    """Whether only the general mode or time keeps it from enforce; a mode set for the domain is a person's choice."""
    name = row.target or row.domain
    own = settings.domains.get(name)
    return (
        row.care is Care.MANAGED
        and row.stage in {Stage.READY, Stage.SOAKING}
        and row.mode is Mode.TESTING
        and row.whose is not Whose.PERSONS
        and not row.attention
        and settings.for_domain(name).mode is Mode.TESTING
        and (row.auto or own is None or own.mode is None)
    )


def _enforced_at(row: Row) -> float:
    """When `mode: auto` would enforce it (Unix seconds), if all checks pass until then."""
    stepped_back = row.rollout.stepped_back_at is not None
    needed = max(row.soak, SOAK_AFTER_STEP_BACK_S) if stepped_back else row.soak
    return row.at + max(0.0, needed - row.rollout.soaked)


def _from(number: int, at: float | None) -> str:
    """The number of domains, and from when."""
    date = "" if at is None else f" from {day(at)} on"
    return f"{count(number, 'domain')}{date}, if all checks pass until then"
