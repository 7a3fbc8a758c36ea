"""How each domain stands, as rows: the policy served and whose it is, the certificate, the DNS, what waits and why; pure.

Rule for every editor: what was not seen is told as not known, never as missing. A row needs attention where
a person has to do something; what the sidecar does by itself, or waits for, does not. Printing is elsewhere.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from sidecar.formats.domain_name import policy_host
from sidecar.formats.mtasts_policy import Policy, policy_of
from sidecar.observed import (
    FILE,
    AliasDomain,
    Backend,
    Certificate,
    CheckRecord,
    Domain,
    Mailcow,
    Observed,
    Seen,
    Served,
    Sight,
    Unseen,
)
from sidecar.observed.checks import Condition
from sidecar.observed.notice import Level, Notice
from sidecar.plan import policy_ids as policyid
from sidecar.plan.acme.names import scene
from sidecar.plan.acme.script import held_in_certificate
from sidecar.plan.actions import Action, Held, Plan
from sidecar.plan.ownership import Whose, whose
from sidecar.plan.records import DomainRecords, MailDomain, Need, Standing, needed, retired
from sidecar.rollout import Stage, stage
from sidecar.settings import Settings

T = TypeVar("T")


class Care(StrEnum):
    """Whether the sidecar looks after a domain, and why not."""

    MANAGED = "managed"
    EXCLUDED = "left alone by the settings"
    INACTIVE = "switched off in mailcow"
    BACKUP_MX = "backup MX"
    RETIRED = "taken out of MTA-STS by `sidecar retire`"


@dataclass(frozen=True, slots=True)
class Row:
    """One domain or alias domain (`target` is given); `whose` is None where no policy was seen or it is not looked at."""

    domain: str
    target: str | None
    care: Care
    served: Sight[Served]
    whose: Whose | None
    certificate: Sight[Certificate | None]
    records: DomainRecords | None
    """None where the domain needs none, or mailcow was not seen."""
    todo: tuple[Action, ...]
    held: tuple[Held, ...]
    notices: tuple[Notice, ...]
    stage: Stage | None = None
    """Where it is in its roll-out; None where it is not looked after, or its policy was not seen."""
    blocking: tuple[Condition, ...] = ()
    """What holds back the next stage, and since when."""
    check: CheckRecord | None = None
    """The last look as a sender."""

    @property
    def policy(self) -> Policy | None:
        """The policy served; None for none, for a text that is no policy, and where it was not seen."""
        return policy_of(self.served.value.text) if isinstance(self.served, Seen) else None

    @property
    def published(self) -> bool:
        """Whether the DNS has all that the domain needs."""
        return self.records is not None and not any(
            need.standing not in {Standing.PRESENT, Standing.NOT_SET} for need in self.records.needs
        )

    @property
    def attention(self) -> bool:
        """Whether a person has to do something for this domain."""
        if any(notice.level is not Level.INFO for notice in self.notices):
            return True
        return self.care is Care.MANAGED and (
            isinstance(self.served, Unseen)
            or (self.records is not None and any(need.lacking for need in self.records.needs))
        )


@dataclass(frozen=True, slots=True)
class Status:
    """All that is known at one moment (`at`, Unix seconds); rows that need attention first."""

    at: float
    mailcow: Sight[Mailcow]
    rows: tuple[Row, ...]
    todo: tuple[Action, ...]
    """What the next pass does and is not about a single domain."""
    held: tuple[Held, ...]
    """What waits and is not about a single domain."""
    notices: tuple[Notice, ...]
    """What is to be known and is not about a single domain, the gravest first."""

    @property
    def counts(self) -> dict[str, int]:
        """How many of the managed domains have what."""
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


def status_of(
    observed: Observed,
    plan: Plan,
    settings: Settings,
    domains: Sequence[MailDomain],
    *,
    only: Collection[str] | None = None,
) -> Status:
    """The rows of all domains that mailcow has (`only` these, if given).

    `domains` are those that need records, with the answers of the DNS in `observed`.
    """
    by_name = _Parts.of(observed, plan, settings, domains)
    listed = _listed(observed)
    rows = [by_name.row(*one) for one in listed if only is None or one[0] in only]
    rows.sort(key=lambda row: (not row.attention, row.domain))
    single = {name for one in listed for name in (one[0], policy_host(one[0]))}
    general = [notice for notice in dict.fromkeys(plan.notices) if notice.subject not in single]
    return Status(
        observed.now,
        observed.mailcow,
        tuple(rows),
        tuple(action for action in plan.actions if not action.concerns),
        tuple(held for held in plan.held if not held.action.concerns),
        tuple(sorted(general, key=lambda notice: _GRAVEST.index(notice.level))),
    )


_GRAVEST = (Level.ERROR, Level.WARNING, Level.INFO)


def _listed(observed: Observed) -> list[tuple[str, str | None, Domain | AliasDomain, Domain | None]]:
    """Name, target of an alias domain, the domain itself, and the domain whose mail it is."""
    if not isinstance(observed.domains, Seen):
        return []
    listed = observed.domains.value
    by_name = {domain.name: domain for domain in listed.domains}
    return [(domain.name, None, domain, domain) for domain in listed.domains] + [
        (alias.name, alias.target, alias, by_name.get(alias.target)) for alias in listed.aliases
    ]


@dataclass(frozen=True, slots=True)
class _Parts:
    """What the rows are made of, by domain or policy host."""

    observed: Observed
    settings: Settings
    records: dict[str, DomainRecords]
    todo: dict[str, list[Action]]
    held: dict[str, list[Held]]
    notices: dict[str, list[Notice]]
    presented: Sight[tuple[Certificate, ...]]

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
            {records.domain.name: records for records in _either_way(observed, settings, domains)},
            todo,
            held,
            notices,
            Unseen(found, observed.now) if isinstance(found, str) else Seen(found.presented, observed.now),
        )

    def row(self, name: str, target: str | None, own: Domain | AliasDomain, domain: Domain | None) -> Row:
        host = policy_host(name)
        care = _care(name, own, domain, self.settings)
        if care is Care.MANAGED and retired(self.observed, target or name):
            care = Care.RETIRED
        served = policyid.served_to(self.observed, name, target)
        return Row(
            name,
            target,
            care,
            Unseen("not looked at", self.observed.now) if care is Care.EXCLUDED else served,
            self._whose(served, target or name) if care is not Care.EXCLUDED else None,
            self._certificate(host),
            self.records.get(name),
            _of(self.todo, name, host),
            _of(self.held, name, host),
            _of(self.notices, name, host),
            *self._rollout(care, served, name, target),
        )

    def _rollout(
        self, care: Care, served: Sight[Served], name: str, target: str | None
    ) -> tuple[Stage | None, tuple[Condition, ...], CheckRecord | None]:
        if care not in {Care.MANAGED, Care.RETIRED} or not isinstance(served, Seen):
            return None, (), None
        policy = policy_of(served.value.text)
        one_file = (
            isinstance(self.observed.mailcow, Seen) and self.observed.mailcow.value.backend is Backend.FILE
        )
        rollout = self.observed.memory.rollout(FILE if one_file else target or name)
        found = stage(rollout, policy.mode if policy else None, self.settings.soak)
        return found, rollout.blocking(), self.observed.memory.checks.get(name)

    def _whose(self, served: Sight[Served], domain: str) -> Whose | None:
        if not isinstance(served, Seen) or not isinstance(self.observed.mailcow, Seen):
            return None
        key = FILE if self.observed.mailcow.value.backend is Backend.FILE else domain
        return whose(served.value.text, self.observed.memory.policy(key))

    def _certificate(self, host: str) -> Sight[Certificate | None]:
        if isinstance(self.presented, Unseen):
            return self.presented
        return Seen(held_in_certificate(self.presented.value, host), self.presented.at)


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
    """Each domain's records as they are set up: its own, or shared with the host's domain, whichever the DNS has."""
    own = needed(observed, settings, domains, shared=False)
    shared = needed(observed, settings, domains, shared=True)
    default = needed(observed, settings, domains)
    for one, other, usual in zip(own, shared, default, strict=True):
        yield DomainRecords(
            usual.domain,
            usual.host,
            _present(one.id, other.id) or usual.id,
            _present(one.report, other.report) or usual.report,
        )


def _present(*needs: Need) -> Need | None:
    return next((need for need in needs if need.standing is Standing.PRESENT), None)
