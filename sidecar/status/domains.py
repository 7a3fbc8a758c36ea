"""The status of each domain: rows from one observation and its plan, each judged once; pure.

All readers use `CurrentStatus`: the command line, the page, the API, the metrics and the
notifications. Printing is elsewhere.

Rule for every editor: what was not seen is reported as unknown, never as missing.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from sidecar.formats.domain_name import policy_host
from sidecar.formats.mtasts_policy import Mode
from sidecar.observed import AliasDomain, Certificate, Domain, Observed, Seen, Sight, Unseen
from sidecar.observed.checks import Rollout, Stage
from sidecar.observed.mailcow import policy_seen
from sidecar.observed.notice import Level, Notice
from sidecar.observed.reports import NO_EVIDENCE
from sidecar.plan import policy_ids as policyid
from sidecar.plan.acme.names import scene
from sidecar.plan.acme.script import held_in_certificate
from sidecar.plan.actions import Action, Held, Plan
from sidecar.plan.elsewhere import left_elsewhere
from sidecar.plan.ownership import whose
from sidecar.plan.records import DomainRecords, MailDomain, RecordNeed, RecordState, needed, retired
from sidecar.rollout import stage
from sidecar.rollout.reports import evidence_for
from sidecar.settings import Settings
from sidecar.status.judgement import judge
from sidecar.status.published import PublishedRecord, published, without_own_tasks
from sidecar.status.row import Care, Cause, Row, worst_first
from sidecar.status.wording import Light

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CurrentStatus:
    """Everything that is known at one moment (`at`, Unix seconds); the rows that need a person come first."""

    at: float
    observed: Observed
    settings: Settings
    rows: tuple[Row, ...]
    todo: tuple[Action, ...]
    """Planned actions that are not about a single domain."""
    held: tuple[Held, ...]
    """Held actions that are not about a single domain."""
    notices: tuple[Notice, ...]
    """Notices that are not about a single domain, the most severe first."""
    by_name: Mapping[str, Row] = field(default_factory=dict, compare=False)

    @property
    def listed(self) -> bool:
        """Whether the list of domains is known."""
        return isinstance(self.observed.domains, Seen)

    @property
    def readable(self) -> bool:
        """Whether version and domains of mailcow and the host name in mailcow.conf are known."""
        return (
            self.listed and isinstance(self.observed.mailcow, Seen) and isinstance(self.observed.conf, Seen)
        )

    @property
    def hostname(self) -> str:
        """MAILCOW_HOSTNAME; empty if unknown."""
        return self.observed.conf.value.hostname if isinstance(self.observed.conf, Seen) else ""

    @property
    def general(self) -> tuple[Cause, ...]:
        """Tasks for a person that are not about a single domain."""
        return tuple(
            Cause(_LIGHT[notice.level], notice.code, notice.message, notice.todo, notice.subject)
            for notice in self.notices
            if notice.level is not Level.INFO
        )

    @property
    def lights(self) -> Mapping[Light, int]:
        """The number of domains by light."""
        return Counter(row.judgement.light for row in self.rows)

    @property
    def counts(self) -> dict[str, int]:
        """Counts of the managed domains."""
        managed = [row for row in self.rows if row.care is Care.MANAGED]
        return {
            "domains": len(self.rows),
            "managed": len(managed),
            "served": sum(row.policy is not None for row in managed),
            "in_certificate": sum(
                isinstance(row.certificate, Seen) and row.certificate.value is not None for row in managed
            ),
            "published": sum(row.published for row in managed),
            "attention": sum(row.attention for row in self.rows),
        }


_LIGHT = {Level.ERROR: Light.FAILING, Level.WARNING: Light.ATTENTION}


def status_of(
    observed: Observed,
    plan: Plan,
    settings: Settings,
    domains: Sequence[MailDomain],
    *,
    only: Collection[str] | None = None,
) -> CurrentStatus:
    """The rows of all domains that mailcow has (`only` these, if given).

    `domains` are those that need records, with the answers of the DNS in `observed`.
    """
    parts = _Parts.of(observed, plan, settings, domains)
    # Name, target of an alias domain, the domain itself, and the domain that gets its mail.
    listed: list[tuple[str, str | None, Domain | AliasDomain, Domain | None]] = []
    if isinstance(observed.domains, Seen):
        found = observed.domains.value
        by_name = {domain.name: domain for domain in found.domains}
        listed += [(domain.name, None, domain, domain) for domain in found.domains]
        listed += [(alias.name, alias.target, alias, by_name.get(alias.target)) for alias in found.aliases]
    rows = worst_first([parts.row(*one) for one in listed if only is None or one[0] in only])
    single = {name for one in listed for name in (one[0], policy_host(one[0]))}
    general = [notice for notice in dict.fromkeys(plan.notices) if notice.subject not in single]
    return CurrentStatus(
        observed.now,
        observed,
        settings,
        tuple(rows),
        tuple(action for action in plan.actions if not action.concerns),
        tuple(held for held in plan.held if not held.action.concerns),
        tuple(sorted(general, key=lambda notice: _GRAVEST.index(notice.level))),
        {row.domain: row for row in rows},
    )


_GRAVEST = (Level.ERROR, Level.WARNING, Level.INFO)


@dataclass(frozen=True, slots=True)
class _Parts:
    """The parts of the rows, by domain or policy host."""

    observed: Observed
    settings: Settings
    tended: frozenset[str]
    records: dict[str, DomainRecords]
    todo: dict[str, list[Action]]
    held: dict[str, list[Held]]
    notices: dict[str, list[Notice]]
    presented: Sight[tuple[Certificate, ...]]
    published: Mapping[str, tuple[PublishedRecord, ...]]

    @classmethod
    def of(
        cls, observed: Observed, plan: Plan, settings: Settings, domains: Sequence[MailDomain]
    ) -> "_Parts":
        todo: dict[str, list[Action]] = defaultdict(list)
        held: dict[str, list[Held]] = defaultdict(list)
        notices: dict[str, list[Notice]] = defaultdict(list)
        for action in plan.actions:
            for name in dict.fromkeys(action.concerns):
                todo[name].append(action)
        for item in plan.held:
            for name in dict.fromkeys(item.action.concerns):
                held[name].append(item)
        for notice in dict.fromkeys(plan.notices):
            notices[notice.subject].append(notice)
        found = scene(observed)
        return cls(
            observed,
            settings,
            frozenset(domain.name for domain in domains),
            {records.domain.name: records for records in _either_way(observed, settings, domains)},
            todo,
            held,
            notices,
            Unseen(found, observed.now) if isinstance(found, str) else Seen(found.presented, observed.now),
            published(plan.records, observed.records, observed.memory.published),
        )

    def row(self, name: str, target: str | None, own: Domain | AliasDomain, domain: Domain | None) -> Row:
        """One domain, judged."""
        observed, host, key = self.observed, policy_host(name), self.observed.policy_key(target or name)
        care = _care(name, own, domain, self.settings)
        if care is Care.MANAGED and retired(observed, target or name):
            care = Care.RETIRED
        if care is Care.MANAGED and left_elsewhere(observed, self.settings, name) is not None:
            care = Care.ELSEWHERE
        served = policyid.served_to(observed, name, target)
        if care is Care.EXCLUDED:
            served = Unseen("not looked at", observed.now)
        policy, rollout = policy_seen(served), observed.memory.rollout(key)
        mode, at = policy.mode if policy else None, None
        # A domain that is not managed has a stage only while it leaves MTA-STS.
        if isinstance(served, Seen) and (care in _CHECKED or mode is Mode.NONE):
            at = stage(rollout, mode, self.settings.soak)
        maker = None
        if isinstance(served, Seen) and isinstance(observed.mailcow, Seen):
            maker = whose(served.value.text, observed.memory.policy(key))
        certificate: Sight[Certificate | None] = (
            Seen(held_in_certificate(self.presented.value, host), self.presented.at)
            if isinstance(self.presented, Seen)
            else self.presented
        )
        mine = self.published.get(name, ())
        row = Row(
            domain=name,
            target=target,
            care=care,
            key=key,
            served=served,
            whose=maker,
            certificate=certificate,
            records=without_own_tasks(self.records.get(name), mine, observed.records),
            own_records=mine,
            todo=_of(self.todo, name, host),
            held=_of(self.held, name, host),
            notices=_of(self.notices, name, host),
            at=observed.now,
            mx=observed.dns.mx_of(name),
            tended=name in self.tended,
            policy=policy,
            stage=at,
            rollout=rollout,
            check=observed.memory.checks.get(name) if care in _CHECKED else None,
            since=_since(observed, key, at, rollout),
            auto=self.settings.for_domain(target or name).auto,
            soak=float(self.settings.soak),
            reports=evidence_for(observed.reports, [name]) if care in _CHECKED else NO_EVIDENCE,
            require_report=self.settings.reports.require,
        )
        return replace(row, judgement=judge(row))


_CHECKED = (Care.MANAGED, Care.RETIRED)


def _of(table: Mapping[str, Sequence[T]], name: str, host: str) -> tuple[T, ...]:
    return (*table.get(name, ()), *table.get(host, ()))


def _care(name: str, own: Domain | AliasDomain, domain: Domain | None, settings: Settings) -> Care:
    if domain is None or not settings.manages(name) or not settings.manages(domain.name):
        return Care.EXCLUDED
    if not own.active or not domain.active:
        return Care.INACTIVE
    return Care.BACKUP_MX if domain.backup_mx else Care.MANAGED


def _either_way(
    observed: Observed, settings: Settings, domains: Sequence[MailDomain]
) -> Iterable[DomainRecords]:
    """The records of each domain as the DNS has them: its own, or shared with the host's domain."""
    usual = needed(observed, settings, domains)
    other = [
        records.domain
        for records in usual
        if records.id.standing is not RecordState.PRESENT
        or records.report.standing not in {RecordState.PRESENT, RecordState.NOT_SET}
    ]
    own = needed(observed, settings, other, shared=False) if other else ()
    shared = needed(observed, settings, other, shared=True) if other else ()
    ways = {one.domain.name: (one, two) for one, two in zip(own, shared, strict=True)}
    for records in usual:
        found = ways.get(records.domain.name)
        yield (
            records
            if found is None
            else replace(
                records,
                id=_present(way.id for way in found) or records.id,
                report=_present(way.report for way in found) or records.report,
            )
        )


def _present(needs: Iterable[RecordNeed]) -> RecordNeed | None:
    return next((need for need in needs if need.standing is RecordState.PRESENT), None)


def _since(observed: Observed, key: str, at: Stage | None, rollout: Rollout) -> float | None:
    """Since when the condition that decides the stage holds."""
    spans = observed.memory.policy(key).spans
    served = spans[-1].since if spans and spans[-1].text is not None else None
    decisive = rollout.blocking() or rollout.conditions
    if at is None or not decisive or (at is Stage.ENFORCED and served is not None):
        return served
    return max(condition.since for condition in decisive)
