"""The tasks for a person, grouped by cause, the overall state in one sentence, and the next step to enforced policies; pure.

A policy in `testing` does not protect: senders report problems and deliver anyway (RFC 8461 §5).

Rules for every editor: failures come first, then what waits for a person. Only tasks for a person are in the list. Nothing
is recommended for a domain that needs a person first.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from sidecar.formats.mtasts_policy import Mode
from sidecar.observed import Unseen
from sidecar.observed.checks import Stage
from sidecar.observed.words import day
from sidecar.plan.ownership import Whose
from sidecar.rollout import SOAK_AFTER_STEP_BACK_S
from sidecar.settings import Settings
from sidecar.status.domains import CurrentStatus
from sidecar.status.row import Care, Cause, Row
from sidecar.status.wording import Light, count


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


@dataclass(frozen=True, slots=True)
class Item:
    """One task, for some domains (`names`) or not about a single domain."""

    cause: Cause
    names: tuple[str, ...] = ()

    @property
    def light(self) -> Light:
        return self.cause.light

    @property
    def code(self) -> str:
        """The code; stable."""
        return self.cause.code

    @property
    def message(self) -> str:
        """The sentence for the first of these domains, with its subject."""
        return self.cause.sentence

    @property
    def todo(self) -> str | None:
        return self.cause.todo

    @property
    def others(self) -> int:
        """The number of further domains with the same cause."""
        return max(0, len(self.names) - 1)


def _together(rows: Iterable[Row]) -> list[Item]:
    """Domains grouped by cause, the largest group first."""
    found: dict[tuple[Light, str], list[Row]] = defaultdict(list)
    for row in rows:
        found[row.judgement.light, row.judgement.cause.code].append(row)
    items = [Item(same[0].judgement.cause, tuple(row.domain for row in same)) for same in found.values()]
    return sorted(items, key=lambda item: -len(item.names))


@dataclass(frozen=True, slots=True)
class StatusSummary:
    """The overall state: a sentence, tasks, unknown domains, and the next step to protection."""

    headline: str
    needs: tuple[Item, ...]
    unknown: tuple[Item, ...]
    protection: Protection | None


def summary_of(status: CurrentStatus) -> StatusSummary:
    """The summary of one moment; tasks by severity, then those that are not about a single domain, then by their number."""
    tasks = [*map(Item, status.general), *_together(row for row in status.rows if row.attention)]
    needs = tuple(sorted(tasks, key=lambda item: item.light.rank))
    # What could not be checked; the check is repeated automatically.
    unknown = tuple(_together(row for row in status.rows if row.judgement.light is Light.UNKNOWN))
    protection = protection_of(status)
    return StatusSummary(_headline(status, needs, protection), needs, unknown, protection)


def _headline(status: CurrentStatus, needs: tuple[Item, ...], protection: Protection | None) -> str:
    if isinstance(status.observed.domains, Unseen):
        return f"The list of domains is unknown: {status.observed.domains.reason}"
    if not status.rows:
        return "This mailcow has no domains yet."
    lights = status.lights
    for light, one, many in _WORST:
        if number := lights.get(light, 0):
            return f"{count(number, 'domain')} {one if number == 1 else many}"
    if needs:
        return "The domains are fine; something else needs your attention."
    if protection is not None and protection.config:
        return protection.headline
    if working := lights.get(Light.WORKING, 0):
        on_its = "is on its" if working == 1 else "are on their"
        return f"{count(working, 'domain')} {on_its} way; nothing for you to do."
    return "All is well; nothing for you to do."


_WORST = (
    (Light.FAILING, "fails: mail may be refused.", "fail: mail may be refused."),
    (Light.ATTENTION, "waits for you.", "wait for you."),
    (Light.UNKNOWN, "could not be checked.", "could not be checked."),
)
