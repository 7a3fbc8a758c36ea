"""One domain as a line of the table: how it stands, in cells that can be sorted, and the one cause to act on; pure.

Rule for every editor: a domain has one light and one cause, the worst, so that nothing is told to a person twice.
What is not known is shown as not known.
"""

from dataclasses import dataclass

from sidecar.formats.domain_name import to_unicode
from sidecar.formats.mtasts_policy import Mode
from sidecar.observed import FILE, Backend, Certificate, CheckRecord, Memory, Observed, Seen, Unseen
from sidecar.observed.checks import ConditionType, Rollout
from sidecar.observed.checks import Status as Truth
from sidecar.observed.findings import Finding, Severity
from sidecar.observed.notice import Level, Notice
from sidecar.observed.words import day, span
from sidecar.plan.ownership import Whose
from sidecar.plan.records import Need, Standing
from sidecar.rollout import Stage, stage
from sidecar.settings import Settings
from sidecar.status.domains import Care, Row
from sidecar.status.wording import STAGE, STAGE_SENTENCE, Light
from sidecar.status.zone_file import record_line

ENDING_S = 14 * 86_400
"""A certificate that ends within this long needs a look: acme-mailcow renews 30 days before."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A few words, and how good they are; `order` is what a column is sorted by, among cells of the same light."""

    light: Light
    text: str
    hint: str = ""
    order: float = 0.0


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a domain has its light: a code that domains with the same trouble share, a sentence, what to do."""

    code: str
    message: str
    todo: str | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """A domain in the table; `since` in Unix seconds, None where nothing is remembered."""

    name: str
    shown: str
    target: str | None
    light: Light
    cause: Cause
    mode: Mode | None
    stage: Stage | None
    """None for a domain that the sidecar does not look after, or cannot see."""
    policy: Cell
    certificate: Cell
    dns: Cell
    mx: Cell
    report: Cell
    since: float | None

    @property
    def stage_shown(self) -> str:
        """The stage in words."""
        return STAGE[self.stage] if self.stage else "–"

    @property
    def mode_shown(self) -> str:
        """The mode in words."""
        return self.mode.value if self.mode else "–"


@dataclass(frozen=True, slots=True)
class Known:
    """What a line is made of."""

    observed: Observed
    settings: Settings
    row: Row
    check: CheckRecord | None

    @property
    def key(self) -> str:
        """Under which the policy is remembered."""
        mailcow = self.observed.mailcow
        if isinstance(mailcow, Seen) and mailcow.value.backend is Backend.FILE:
            return FILE
        return self.row.target or self.row.domain

    @property
    def rollout(self) -> Rollout:
        """What checks found of the domain, else of the policy that it shares."""
        found = self.observed.memory.rollouts
        return found.get(self.row.domain) or found.get(self.key) or Rollout()

    @property
    def mode(self) -> Mode | None:
        """The mode that is served."""
        return self.row.policy.mode if self.row.policy else None

    @property
    def stage(self) -> Stage | None:
        """Where the domain is in its roll-out; None where the sidecar does not look after it, or cannot see it."""
        if isinstance(self.row.served, Unseen):
            return None
        if self.row.care is not Care.MANAGED and self.mode is not Mode.NONE:
            return None
        return stage(self.rollout, self.mode, self.settings.soak)

    @property
    def auto(self) -> bool:
        """Whether the sidecar may raise the mode by itself."""
        return self.settings.for_domain(self.row.target or self.row.domain).auto


def line_of(known: Known) -> Line:
    """The line of one domain."""
    row = known.row
    light, cause = _judged(known)
    return Line(
        name=row.domain,
        shown=to_unicode(row.domain),
        target=row.target,
        light=light,
        cause=cause,
        mode=known.mode,
        stage=known.stage,
        policy=policy_cell(row),
        certificate=certificate_cell(row, known.observed.now),
        dns=dns_cell(row),
        mx=mx_cell(known),
        report=report_cell(row.records.report if row.records else None),
        since=_since(known),
    )


# --- the light and its cause -------------------------------------------------------------------------------


def _judged(known: Known) -> tuple[Light, Cause]:
    """The first of these that has something to say: what fails, what a person must do, what is not known, the rest."""
    row = known.row
    for judge in (_failing, _attention, _unknown, _off, _working):
        found = judge(known)
        if found is not None:
            return found
    sentence = STAGE_SENTENCE[known.stage] if known.stage else str(row.care)
    light = _LIGHT_OF_STAGE.get(known.stage, Light.GOOD) if known.stage else Light.OFF
    return light, Cause(f"stage-{known.stage or 'none'}", sentence)


_LIGHT_OF_STAGE = {
    Stage.NO_POLICY: Light.WORKING,
    Stage.PUBLISHING: Light.WORKING,
    Stage.ANNOUNCING: Light.WORKING,
    Stage.BLOCKED: Light.ATTENTION,
    Stage.CHECKING: Light.WORKING,
    Stage.FAILING: Light.FAILING,
    Stage.LEAVING: Light.WORKING,
}


def _failing(known: Known) -> tuple[Light, Cause] | None:
    # a finding says more than the notice of the roll-out that it caused
    worst = _worst(known, Severity.ERROR if known.mode is Mode.ENFORCE else Severity.CRITICAL)
    if worst is not None:
        return Light.FAILING, _found(worst)
    notices = _of_level(known.row, Level.ERROR)
    if notices:
        return Light.FAILING, _told(notices[0])
    if known.stage is Stage.FAILING:
        blocking = known.rollout.blocking()
        message = blocking[0].message if blocking else STAGE_SENTENCE[Stage.FAILING]
        return Light.FAILING, Cause(blocking[0].reason if blocking else "stage-failing", message)
    return None


def _attention(known: Known) -> tuple[Light, Cause] | None:
    row = known.row
    # a record first: it can be pasted, and the planner's notice of the same name says no more
    if row.care is Care.MANAGED and (lacks := lacking(row)):
        return Light.ATTENTION, lacks[0]
    notices = _of_level(row, Level.WARNING)
    if notices:
        return Light.ATTENTION, _told(notices[0])
    if row.care is not Care.MANAGED:
        return None
    # What the sidecar is about to mend, or waits with, is no work for a person.
    least = Severity.ERROR if row.todo or row.held else Severity.WARNING
    worst = _worst(known, least)
    if worst is not None and (worst.todo or not (row.todo or row.held)):
        return Light.ATTENTION, _found(worst)
    return None


def _unknown(known: Known) -> tuple[Light, Cause] | None:
    row = known.row
    if row.care is Care.EXCLUDED:
        return None
    if isinstance(row.served, Unseen):
        return Light.UNKNOWN, Cause("not-seen", row.served.reason)
    return None


def _off(known: Known) -> tuple[Light, Cause] | None:
    row = known.row
    if row.care is not Care.MANAGED and known.mode is not Mode.NONE:
        return Light.OFF, Cause("left-alone", f"{to_unicode(row.domain)} is {_CARE[row.care]}.")
    if row.whose is Whose.PERSONS and row.held:
        message = f"A person made this policy, so it is left as it is: {row.held[0].reason}"
        return Light.OFF, Cause("by-hand", message, row.held[0].remedy)
    return None


_CARE = {
    Care.MANAGED: "looked after",
    Care.EXCLUDED: "left alone by the settings",
    Care.INACTIVE: "switched off in mailcow",
    Care.BACKUP_MX: "only a backup MX here",
}


def _working(known: Known) -> tuple[Light, Cause] | None:
    row = known.row
    if row.todo:
        return Light.WORKING, Cause("planned", f"Next: {row.todo[0].verb}, because {row.todo[0].reason}")
    if row.held:
        held = row.held[0]
        until = "" if held.until is None else f" (until {day(held.until)})"
        waiting = f"Waiting to {held.action.verb}: {held.reason}{until}"
        return Light.WORKING, Cause("held", waiting, held.remedy)
    match known.stage:
        case Stage.SOAKING if known.auto:
            left = span(max(0.0, known.settings.soak - known.rollout.soaked))
            message = f"All checks pass; {left} more of that, and the policy is raised to enforce."
            return Light.WORKING, Cause("soaking", message)
        case Stage.CHECKING if known.rollout.checked_at:
            blocking = known.rollout.blocking()
            message = (
                blocking[0].message if blocking and blocking[0].message else STAGE_SENTENCE[Stage.CHECKING]
            )
            return Light.UNKNOWN, Cause("checking", message)
        case _:
            return None


def _of_level(row: Row, level: Level) -> list[Notice]:
    return [notice for notice in row.notices if notice.level is level]


def _worst(known: Known, least: Severity) -> Finding | None:
    """The gravest finding that is at least so grave; what is not known is none."""
    findings = known.check.findings if known.check else ()
    grave = [finding for finding in findings if finding.severity.rank >= least.rank]
    return max(grave, key=lambda finding: finding.severity.rank, default=None)


def _told(notice: Notice) -> Cause:
    return Cause(notice.code, notice.message, notice.todo)


def _found(finding: Finding) -> Cause:
    return Cause(finding.code, finding.message, finding.todo)


def lacking(row: Row) -> list[Cause]:
    """The records that somebody has to publish, each with its line of a zone file."""
    if row.records is None:
        return []
    needs = zip(("host", "id", "report"), row.records.needs, strict=True)
    return [_lacks(role, need, row.records.ttl) for role, need in needs if need.lacking]


def _lacks(role: str, need: Need, ttl: int) -> Cause:
    word = "has another record" if need.standing is Standing.DIFFERENT else "is missing in the DNS"
    todo = None if need.record is None else f"publish: {record_line(need.record, ttl)}"
    return Cause(f"record-{role}", f"{need.owner} {word}", todo)


# --- cells ---------------------------------------------------------------------------------------------------


def policy_cell(row: Row) -> Cell:
    """Whose policy is served, and how long senders keep it."""
    if isinstance(row.served, Unseen):
        light = Light.OFF if row.care is Care.EXCLUDED else Light.UNKNOWN
        return Cell(light, "not looked at" if row.care is Care.EXCLUDED else "not known", row.served.reason)
    if row.served.value.text is None:
        return Cell(Light.OFF if row.care is not Care.MANAGED else Light.WORKING, "none")
    if row.policy is None:
        return Cell(Light.FAILING, "not valid", "what is served is no policy to a sender")
    age = span(row.policy.max_age)
    if row.whose is Whose.PERSONS:
        return Cell(Light.OFF, f"by hand, {age}", "a person made or changed it", row.policy.max_age)
    return Cell(Light.GOOD, f"served, {age}", "senders keep it so long", row.policy.max_age)


def certificate_cell(row: Row, now: float) -> Cell:
    """Until when the certificate for the policy host is valid."""
    match row.certificate:
        case Seen(Certificate(not_after=until)):
            left = until - now
            light = Light.FAILING if left <= 0 else Light.ATTENTION if left < ENDING_S else Light.GOOD
            return Cell(light, "expired" if left <= 0 else f"{left / 86_400:.0f} days", day(until), left)
        case Seen():
            if row.care is not Care.MANAGED:
                return Cell(Light.OFF, "–")
            return Cell(Light.WORKING, "not yet", f"mta-sts.{row.domain} is not in the certificate")
        case Unseen(reason):
            return Cell(Light.UNKNOWN, "not known", reason)


_STANDING = {
    Standing.PRESENT: (Light.GOOD, "published"),
    Standing.MISSING: (Light.ATTENTION, "missing"),
    Standing.DIFFERENT: (Light.ATTENTION, "different"),
    Standing.UNKNOWN: (Light.UNKNOWN, "not known"),
    Standing.NOT_YET: (Light.WORKING, "later"),
    Standing.NOT_SET: (Light.OFF, "not set up"),
}


def need_cell(need: Need) -> Cell:
    """How the DNS stands to one record."""
    light, text = _STANDING[Standing.NOT_YET if need.early else need.standing]
    return Cell(light, text, need.found or need.note)


def dns_cell(row: Row) -> Cell:
    """The worse of the two records of MTA-STS."""
    if row.records is None:
        return Cell(Light.OFF, "–")
    host, txt = (need_cell(need) for need in (row.records.host, row.records.id))
    worse, owner = (host, "mta-sts") if host.light.rank <= txt.light.rank else (txt, "_mta-sts")
    if worse.light is Light.GOOD:
        return worse
    return Cell(worse.light, f"{owner} {worse.text}", worse.hint)


def report_cell(need: Need | None) -> Cell:
    """The record of TLSRPT."""
    return Cell(Light.OFF, "–") if need is None else need_cell(need)


def mx_cell(known: Known) -> Cell:
    """Whether senders that follow the policy accept every MX: by the last check, else by the DNS alone."""
    if known.stage is None:
        return Cell(Light.OFF, "–")
    conditions = {condition.type: condition for condition in known.rollout.conditions}
    bad = Light.FAILING if known.mode is Mode.ENFORCE else Light.ATTENTION
    for kind, text in (
        (ConditionType.MX_COVERED, "not covered"),
        (ConditionType.MX_AUTHENTICATED, "TLS fails"),
    ):
        condition = conditions.get(kind)
        if condition is not None and condition.status is Truth.FALSE:
            return Cell(bad, text, condition.message)
    both = {ConditionType.MX_COVERED, ConditionType.MX_AUTHENTICATED}
    if all(kind in conditions and conditions[kind].status is Truth.TRUE for kind in both):
        return Cell(Light.GOOD, "covered, TLS")
    hosts = known.observed.dns.mx_of(known.row.domain)
    policy = known.row.policy
    if isinstance(hosts, Unseen) or policy is None or not hosts.value:
        return Cell(Light.UNKNOWN if policy else Light.OFF, "not known" if policy else "–")
    if all(policy.covers(host) for host in hosts.value):
        return Cell(Light.GOOD, "covered", "its TLS was not checked yet")
    return Cell(bad, "not covered", ", ".join(hosts.value))


# --- since when ------------------------------------------------------------------------------------------


def _since(known: Known) -> float | None:
    """When what decides the stage became so."""
    blocking = known.rollout.blocking()
    decisive = blocking or known.rollout.conditions
    served = _served_since(known.observed.memory, known.key)
    if known.stage is Stage.ENFORCED and served is not None:
        return served
    if known.stage is None or not decisive:
        return served
    return max(condition.since for condition in decisive)


def _served_since(memory: Memory, key: str) -> float | None:
    spans = memory.policy(key).spans
    return spans[-1].since if spans and spans[-1].text is not None else None
