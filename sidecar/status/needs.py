"""The tasks for a person, grouped by cause, and the overall state in one sentence; pure.

Rule for every editor: failures come first, then what waits for a person. Only tasks for a person are in the
list.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from sidecar.observed import Unseen
from sidecar.status.domains import CurrentStatus
from sidecar.status.protection import Protection, protection_of
from sidecar.status.row import Cause, Row
from sidecar.status.wording import Light, count


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
