"""One domain as a line of a table, in cells that can be sorted; pure.

Rule for every editor: a cell describes one thing. Whether the domain needs a person is decided in `judgement`.
Unknown values are shown as unknown.
"""

from dataclasses import dataclass

from sidecar.formats.domain_name import to_unicode
from sidecar.formats.mtasts_policy import Mode
from sidecar.formats.x509 import ends_soon
from sidecar.observed import Certificate, Seen, Unseen
from sidecar.observed.checks import ConditionType, Stage
from sidecar.observed.checks import Status as Truth
from sidecar.observed.words import day, span
from sidecar.plan.ownership import Whose
from sidecar.plan.records import RecordNeed, RecordState
from sidecar.status.row import Care, Cause, Row
from sidecar.status.wording import STAGE, Light


@dataclass(frozen=True, slots=True)
class Cell:
    """A few words with a light; `order` is the sort key of a column among cells of the same light."""

    light: Light
    text: str
    hint: str = ""
    order: float = 0.0


@dataclass(frozen=True, slots=True)
class Line:
    """A domain in the table; `since` in Unix seconds, None if unknown."""

    name: str
    shown: str
    target: str | None
    light: Light
    cause: Cause
    mode: Mode | None
    stage: Stage | None
    """None for a domain that the sidecar does not manage or has not seen."""
    policy: Cell
    certificate: Cell
    dns: Cell
    mx: Cell
    report: Cell
    since: float | None

    @property
    def stage_shown(self) -> str:
        return STAGE[self.stage] if self.stage else "–"

    @property
    def mode_shown(self) -> str:
        return self.mode.value if self.mode else "–"


def line_of(row: Row) -> Line:
    return Line(
        name=row.domain,
        shown=to_unicode(row.domain),
        target=row.target,
        light=row.judgement.light,
        cause=row.judgement.cause,
        mode=row.mode,
        stage=row.stage,
        policy=policy_cell(row),
        certificate=certificate_cell(row),
        dns=dns_cell(row),
        mx=mx_cell(row),
        report=need_cell(row.records.report) if row.records else Cell(Light.OFF, "–"),
        since=row.since,
    )


# --- cells ---------------------------------------------------------------------------------------------------


def policy_cell(row: Row) -> Cell:
    """Who made the served policy, and how long senders keep it."""
    if isinstance(row.served, Unseen):
        light = Light.OFF if row.care is Care.EXCLUDED else Light.UNKNOWN
        return Cell(light, "not looked at" if row.care is Care.EXCLUDED else "not known", row.served.reason)
    if row.served.value.text is None:
        return Cell(Light.OFF if row.care is not Care.MANAGED else Light.WORKING, "none")
    if row.policy is None:
        return Cell(Light.FAILING, "not valid", "senders cannot read what is served as a policy")
    age = span(row.policy.max_age)
    if row.whose is Whose.PERSONS:
        return Cell(Light.OFF, f"by hand, {age}", "a person made or changed it", row.policy.max_age)
    return Cell(Light.GOOD, f"served, {age}", "how long senders keep it", row.policy.max_age)


def certificate_cell(row: Row) -> Cell:
    """Until when the certificate for the policy host is valid."""
    match row.certificate:
        case Seen(Certificate(not_before=since, not_after=until)):
            left = until - row.at
            soon = ends_soon(since, until, row.at)
            light = Light.FAILING if left <= 0 else Light.ATTENTION if soon else Light.GOOD
            return Cell(light, "expired" if left <= 0 else f"{left / 86_400:.0f} days", day(until), left)
        case Seen():
            if row.care is not Care.MANAGED:
                return Cell(Light.OFF, "–")
            return Cell(Light.WORKING, "not yet", f"mta-sts.{row.domain} is not in the certificate")
        case Unseen(reason):
            return Cell(Light.UNKNOWN, "not known", reason)


_STANDING = {
    RecordState.PRESENT: (Light.GOOD, "published"),
    RecordState.MISSING: (Light.ATTENTION, "missing"),
    RecordState.DIFFERENT: (Light.ATTENTION, "different"),
    RecordState.UNKNOWN: (Light.UNKNOWN, "not known"),
    RecordState.NOT_YET: (Light.WORKING, "later"),
    RecordState.NOT_SET: (Light.OFF, "not set up"),
}


def need_cell(need: RecordNeed) -> Cell:
    """Whether the DNS has a record."""
    light, text = _STANDING[RecordState.NOT_YET if need.early else need.standing]
    return Cell(light, text, need.found or need.note)


def dns_cell(row: Row) -> Cell:
    """The worse of the two MTA-STS records."""
    if row.records is None:
        return Cell(Light.OFF, "–")
    host, txt = (need_cell(need) for need in (row.records.host, row.records.id))
    worse, owner = (host, "mta-sts") if host.light.rank <= txt.light.rank else (txt, "_mta-sts")
    if worse.light is Light.GOOD:
        return worse
    return Cell(worse.light, f"{owner} {worse.text}", worse.hint)


def mx_cell(row: Row) -> Cell:
    """Whether senders that follow the policy accept every MX: by the last check, or by the DNS if there is none."""
    if row.stage is None:
        return Cell(Light.OFF, "–")
    conditions = {condition.type: condition for condition in row.rollout.conditions}
    bad = Light.FAILING if row.mode is Mode.ENFORCE else Light.ATTENTION
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
    hosts, policy = row.mx, row.policy
    if isinstance(hosts, Unseen) or policy is None or not hosts.value:
        return Cell(Light.UNKNOWN if policy else Light.OFF, "not known" if policy else "–")
    if all(policy.covers(host) for host in hosts.value):
        return Cell(Light.GOOD, "covered", "its TLS was not checked yet")
    return Cell(bad, "not covered", ", ".join(hosts.value))
