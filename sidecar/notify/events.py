"""Compares a pass with what people know, and makes the events to notify; pure.

Rules for every editor: each event is sent once, also after restarts: `Notified` holds what people know, and is stored.
Missing information is not a change: it leads neither to a new stage nor to a recovery. An error that comes and
goes is sent once a day; it is over only after it has been absent for a while (`status.repeats`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from sidecar.formats.tls_report_results import meaning
from sidecar.observed import Observed, Seen, Unseen
from sidecar.observed.checks import Finding, Severity, Stage
from sidecar.observed.checks import Status as Truth
from sidecar.observed.notice import Level, Notice
from sidecar.observed.words import command, day
from sidecar.plan.actions import Plan
from sidecar.plan.records import RecordState
from sidecar.settings import NotificationKind
from sidecar.status.domains import CurrentStatus
from sidecar.status.judgement import lacking
from sidecar.status.repeats import UNREAD, Ends, quiet, unserved
from sidecar.status.row import Cause, Row
from sidecar.status.wording import Light

Key: TypeAlias = tuple[str, str, str]
"""Code, subject, and what of the subject (the subject of a finding; empty for a notice)."""


OLD_POLICY_S = 2 * 86_400.0
"""Seconds after a change in which senders may still use the previous policy."""


@dataclass(frozen=True, slots=True)
class Issue:
    """One thing that needs a person: a notice, or something about a domain (`about` is the host or record).

    `mild`: it is not an error; the roll-out waits for it.
    """

    code: str
    subject: str
    about: str
    critical: bool
    message: str
    todo: str | None
    mild: bool = False

    @property
    def key(self) -> Key:
        return self.code, self.subject, self.about


@dataclass(frozen=True, slots=True)
class Position:
    """The roll-out stage of a domain (None if not seen), and what blocks the next stage, if a check found it."""

    stage: Stage | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class PassView:
    """The part of a pass at `at` (Unix seconds) that notifications are about."""

    at: float
    stages: Mapping[str, Position] | None
    """By domain, unknown stages included; None if mailcow's domains were not seen."""
    troubles: Mapping[Key, Issue]
    blind: bool = False
    """Whether too little was seen to call any notice over."""
    unseen: frozenset[tuple[str, str]] = frozenset()
    """Pairs of subject and part that were not seen; their issues cannot be called over."""
    still: frozenset[Key] = frozenset()
    """Issues that exist and are not sent, because something worse is sent or the sidecar is about to repair them."""

    def over(self, trouble: Issue) -> bool:
        """Whether this issue was checked for and not found."""
        if trouble.key in self.troubles or trouble.key in self.still:
            return False
        if (trouble.subject, trouble.about) in self.unseen:
            return False
        if trouble.about:
            return (trouble.subject, "*") not in self.unseen
        return not self.blind


def view_of(status: CurrentStatus, plan: Plan) -> PassView:
    """The view of one pass: for each domain that needs a person, the main cause and its other errors."""
    observed = status.observed
    rows = [row for row in status.rows if row.tended]
    found = [_of_notice(n) for n in plan.notices if n.level is Level.ERROR]
    found += [_of_notice(n) for n in status.notices if n.level is Level.WARNING and n.todo and not n.passing]
    for row in status.rows:
        records = lacking(row)
        errors = {(f.code, f.subject) for f in _findings(row) if f.severity in _ERRORS}
        for number, cause in enumerate(row.judgement.needs):
            failing = cause.light is Light.FAILING or (cause.code, cause.subject) in errors
            if number == 0 or failing or cause in records:
                found.append(_of_cause(row, cause))
    found += [issue for row in rows for issue in _reported(row, observed)]
    # Everything that is wrong with a domain, whether it needs a person or not.
    still = {_of_cause(row, cause).key for row in status.rows for cause in row.judgement.needs}
    still |= {
        (one.code, row.domain, one.subject)
        for row in status.rows
        for one in _findings(row)
        if one.severity is Severity.WARNING or one.severity in _ERRORS
    }
    unseen = {one for row in rows for one in _unseen(row)}
    if unserved(observed):
        unseen.add(("mailcow", ""))
    if isinstance(observed.project, Unseen) or isinstance(observed.certificates, Unseen):
        unseen |= {("acme-mailcow", ""), ("nginx-mailcow", "")}
    stages = {
        row.domain: Position(
            row.stage, next((one.message for one in row.blocking if one.status is Truth.FALSE), "")
        )
        for row in rows
    }
    readable = isinstance(observed.mailcow, Seen) and status.listed
    return PassView(
        observed.now,
        stages if status.listed else None,
        {issue.key: issue for issue in found},
        not readable or isinstance(observed.conf, Unseen) or any(n.code == UNREAD for n in plan.notices),
        frozenset(unseen),
        frozenset(still),
    )


_ERRORS = (Severity.ERROR, Severity.CRITICAL)


def _findings(row: Row) -> tuple[Finding, ...]:
    return row.check.findings if row.check else ()


def _reported(row: Row, observed: Observed) -> Iterator[Issue]:
    """What proven senders report about a domain: each kind of failure, and each sender with an old policy."""
    for failing in row.reports.failing:
        means = meaning(failing.result)
        sessions = "1 session" if failing.sessions == 1 else f"{failing.sessions} sessions"
        text = f"{failing.organisation} reported {failing.result} ({sessions} on {failing.day}): {means.text}"
        yield Issue(
            "reports-failure",
            row.domain,
            failing.result,
            critical=False,
            message=text,
            todo=means.remedy.replace("DOMAIN", row.domain),
            mild=not failing.result.startswith("certificate-"),
        )
    spans = observed.memory.policy(row.key).spans
    if not spans:
        return
    settled = day(spans[-1].since + OLD_POLICY_S)[:10]
    for one in row.reports.old:
        if one.sender is not None and one.day > settled:
            text = f"{one.seen_with_old(row.at)}, although another one is served since {day(spans[-1].since)}"
            todo = f"check whether the id in _mta-sts is the current one: {command(f'records {row.domain}')}"
            yield Issue("reports-old-policy", row.domain, one.sender, False, text, todo, mild=True)


def _of_notice(notice: Notice) -> Issue:
    mild = notice.level is not Level.ERROR
    return Issue(notice.code, notice.subject, "", False, notice.message, notice.todo, mild)


def _of_cause(row: Row, cause: Cause) -> Issue:
    for notice in row.notices:
        if (notice.code, notice.subject, notice.message) == (cause.code, cause.subject, cause.message):
            return _of_notice(notice)
    same = next((f for f in _findings(row) if (f.code, f.subject) == (cause.code, cause.subject)), None)
    severity = same.severity if same else Severity.ERROR if cause.light is Light.FAILING else Severity.WARNING
    about = "" if cause.subject == row.domain and same is None else cause.subject
    return Issue(
        cause.code,
        row.domain,
        about,
        severity is Severity.CRITICAL,
        cause.message,
        cause.todo,
        severity not in _ERRORS,
    )


def _unseen(row: Row) -> Iterator[tuple[str, str]]:
    """The domain with each part of it that was not seen; `*` for all of its findings."""
    if row.check is None:
        yield row.domain, "*"
    yield from ((row.domain, f.subject) for f in _findings(row) if f.severity is Severity.UNKNOWN)
    for need in row.records.needs if row.records else ():
        if need.standing is RecordState.UNKNOWN:
            yield row.domain, need.owner
    if isinstance(row.mx, Unseen) or isinstance(row.served, Unseen):
        yield row.domain, ""


# --- what people know ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Known:
    """An error that was sent at `said_at`; `gone_since` is set while it is absent and not yet over (both Unix seconds)."""

    trouble: Issue
    gone_since: float | None = None
    said_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Notified:
    """What people have been notified of."""

    stages: Mapping[str, Stage] = field(default_factory=dict)
    troubles: Mapping[Key, Known] = field(default_factory=dict)
    ends: Mapping[Key, Ends] = field(default_factory=dict)
    """Errors whose end was reported within the last day."""


@dataclass(frozen=True, slots=True)
class Notification:
    """One event to send, at a Unix second. `was` and `now` are stages; for an error that people know, `was` is `error`.

    `said_at`: when the error that is over was sent last; 0 if unknown.
    """

    kind: NotificationKind
    at: float
    subject: str
    message: str
    todo: str | None = None
    code: str = "stage"
    about: str = ""
    critical: bool = False
    was: str = ""
    now: str = ""
    said_at: float = 0.0
    mild: bool = False

    @property
    def key(self) -> Key:
        """The same for all events about one thing."""
        return self.code, self.subject, self.about


def news(notified: Notified | None, view: PassView) -> tuple[Notified, tuple[Notification, ...]]:
    """What people know after this view, and the events that are new to them.

    `notified` is None at the first call: then errors are news, and stages are only stored.
    """
    before = notified or Notified()
    known, ends, changes = _troubles(before, view)
    if view.stages is None:
        return Notified(before.stages, known, ends), tuple(changes)
    stages: dict[str, Stage] = {}
    for name, domain in view.stages.items():
        last, now = before.stages.get(name), domain.stage
        if now is None or now is Stage.CHECKING:  # a check that could not run does not change the stage
            now = last
        if now is None:
            continue
        stages[name] = now
        if last is not None and last is not now:
            event = Notification(
                NotificationKind.STAGE, view.at, name, domain.why, was=last.value, now=now.value
            )
            changes.append(replace(event, critical=now is Stage.FAILING))
    return Notified(stages, known, ends), tuple(changes)


def _troubles(
    notified: Notified, view: PassView
) -> tuple[Mapping[Key, Known], Mapping[Key, Ends], list[Notification]]:
    known: dict[Key, Known] = {}
    ends = {key: end for key, end in notified.ends.items() if end.recent(view.at)}
    events: list[Notification] = []
    for key, trouble in view.troubles.items():
        before = notified.troubles.get(key)
        worse = before is not None and trouble.critical and not before.trouble.critical
        back = before is not None and before.gone_since is not None and not quiet(before.said_at, view.at)
        if before is None or worse or back:
            known[key] = Known(trouble, said_at=view.at)
            was = "" if before is None else NotificationKind.ERROR.value
            events.append(replace(_event(NotificationKind.ERROR, trouble, view.at), was=was))
        else:
            known[key] = replace(before, gone_since=None)
    for key, before in notified.troubles.items():
        if key in known:
            continue
        subject, about = before.trouble.subject, before.trouble.about
        if view.stages is not None and subject not in view.stages and (about or subject in notified.stages):
            ends.pop(
                key, None
            )  # the domain is no longer managed: this is not a recovery, and is not reported
            continue
        if not view.over(before.trouble):
            known[key] = before
            continue
        since = view.at if before.gone_since is None else min(before.gone_since, view.at)
        end = ends.get(key, Ends())
        if view.at - since < end.steady(view.at):
            known[key] = replace(before, gone_since=since)
        else:
            ends[key] = end.one_more(view.at)
            events.append(
                replace(_event(NotificationKind.RECOVERY, before.trouble, view.at), said_at=before.said_at)
            )
    return known, ends, events


def _event(kind: NotificationKind, trouble: Issue, at: float) -> Notification:
    todo = trouble.todo if kind is NotificationKind.ERROR else None
    return Notification(
        kind,
        at,
        trouble.subject,
        trouble.message,
        todo,
        trouble.code,
        trouble.about,
        trouble.critical and kind is NotificationKind.ERROR,
        mild=trouble.mild,
    )
