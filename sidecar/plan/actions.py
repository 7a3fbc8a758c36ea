"""What the sidecar can do to the world, as values, and what a plan is made of.

Rule for every editor: an action carries its reason, a sentence that the log, the page and `sidecar plan`
print as it is, and everything that other modules need to know about it:

- `verb`: what it does, for logs, tables and metrics;
- `about`: what it changes, in one word;
- `concerns`: the domains or policy hosts that it is for; empty if it is for none in particular;
- `managed_by`: the switch under `manage:` that allows it.

A new class is added to `Action`; mypy then lists each place that has to handle it. Nothing here does anything.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, TypeAlias

from sidecar.formats.dotenv import ListEdit
from sidecar.formats.mtasts_policy import Policy
from sidecar.observed import FILE, Question
from sidecar.observed.mailcow import ApiKey
from sidecar.observed.notice import Notice
from sidecar.observed.report_route import INTERNAL_DOMAIN
from sidecar.observed.words import day
from sidecar.plan.publish.values import PublishPlan, RecordWrite
from sidecar.plan.report_route import (
    AddAlias,
    AddTransport,
    DeleteAlias,
    DeleteTransport,
    EditTransport,
    Step,
)
from sidecar.settings import Managed

FILE_SUBJECT = "mta-sts.txt"
"""What an action on the policy file is about."""
CONF_SUBJECT = "mailcow.conf"
ACME_SUBJECT = "acme-mailcow"
SHARED_RECORDS = "shared DNS records"
"""What an action on records is about that all domains point to."""
API_SUBJECT = "mailcow"
"""What an action on the access to mailcow's API is about."""


class _OfDomain:
    """An action on the native policy of one domain."""

    __slots__ = ()
    managed_by: ClassVar = Managed.POLICIES
    domain: str

    @property
    def about(self) -> str:
        return self.domain

    @property
    def concerns(self) -> tuple[str, ...]:
        return (self.domain,)


class _OfFile:
    """An action on the one policy file, which is for all domains."""

    __slots__ = ()
    managed_by: ClassVar = Managed.POLICIES
    about: ClassVar = FILE_SUBJECT
    concerns: ClassVar[tuple[str, ...]] = ()


class _OfAcme:
    """An action on acme-mailcow, for some names in the certificate."""

    __slots__ = ()
    managed_by: ClassVar = Managed.ACME
    about: ClassVar = ACME_SUBJECT
    names: tuple[str, ...]

    @property
    def concerns(self) -> tuple[str, ...]:
        return self.names


@dataclass(frozen=True, slots=True)
class CreateKey:
    """Insert a read-write key, allowed from the sidecar's address alone."""


@dataclass(frozen=True, slots=True)
class WidenKey:
    """Give this key the allow list `allowed`, if the row is still as it was seen."""

    row: ApiKey
    allowed: str


KeyChange: TypeAlias = CreateKey | WidenKey


@dataclass(frozen=True, slots=True)
class AllowAccess:
    """Let `address`, which is the sidecar's own, use mailcow's API."""

    verb: ClassVar = "allow access"
    about: ClassVar = API_SUBJECT
    concerns: ClassVar[tuple[str, ...]] = ()
    managed_by: ClassVar = Managed.ACCESS
    address: str
    database: KeyChange | None
    """What changes in mailcow's database; None: nothing."""
    in_conf: bool
    """Whether API_ALLOW_FROM of mailcow.conf gets the address: php-fpm-mailcow copies it to the key when it starts."""
    reason: str


@dataclass(frozen=True, slots=True)
class AddPolicy(_OfDomain):
    """Native: create the row of a domain that has none."""

    verb: ClassVar = "add policy"
    domain: str
    policy: Policy
    reason: str


@dataclass(frozen=True, slots=True)
class EditPolicy(_OfDomain):
    """Native: set the row of a domain to `policy`, and make it active."""

    verb: ClassVar = "change policy"
    domain: str
    policy: Policy
    reason: str


@dataclass(frozen=True, slots=True)
class SwitchOff(_OfDomain):
    """Native: set the row of a domain inactive; mailcow has no way to delete one."""

    verb: ClassVar = "switch policy off"
    domain: str
    reason: str


@dataclass(frozen=True, slots=True)
class AdoptSame:
    """Remember a policy as ours that already has the text we would write; nothing in mailcow changes."""

    verb: ClassVar = "adopt policy"
    managed_by: ClassVar = Managed.POLICIES
    key: str
    text: str
    reason: str

    @property
    def about(self) -> str:
        """The domain, or the file."""
        return FILE_SUBJECT if self.key == FILE else self.key

    @property
    def concerns(self) -> tuple[str, ...]:
        """The domain; none where it is the file."""
        return () if self.key == FILE else (self.key,)


@dataclass(frozen=True, slots=True)
class WriteFile(_OfFile):
    """File generation: write the policy file; `backup` keeps the old one, `floor` is the text that sets the minimum."""

    verb: ClassVar = "write policy file"
    text: str
    reason: str
    backup: bool = False
    floor: str | None = None


@dataclass(frozen=True, slots=True)
class RemoveFile(_OfFile):
    """File generation: remove the policy file; a copy is kept in the state folder."""

    verb: ClassVar = "remove policy file"
    reason: str


@dataclass(frozen=True, slots=True)
class EditConf:
    """Change entries of the two SAN settings of mailcow.conf, by key."""

    verb: ClassVar = "edit settings"
    about: ClassVar = CONF_SUBJECT
    concerns: ClassVar[tuple[str, ...]] = ()
    managed_by: ClassVar = Managed.SAN
    edits: Mapping[str, ListEdit]
    reason: str
    reasons: Mapping[str, str] = field(default_factory=dict)
    """The parts of `reason`, by key."""

    def only(self, keys: Collection[str]) -> "EditConf":
        """The edits of these keys only."""
        edits = {key: edit for key, edit in self.edits.items() if key in keys}
        reasons = {key: reason for key, reason in self.reasons.items() if key in keys}
        return EditConf(edits, "; ".join(reasons.values()) or self.reason, reasons)


@dataclass(frozen=True, slots=True)
class RestartAcme(_OfAcme):
    """Restart acme-mailcow, if it is still the container that was observed."""

    verb: ClassVar = "restart"
    container_id: str
    started_at: float
    names: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class RecreateAcme(_OfAcme):
    """Re-create acme-mailcow with this environment and otherwise identical settings; a restart keeps the old environment."""

    verb: ClassVar = "re-create"
    container_id: str
    started_at: float
    environment: Mapping[str, str]
    names: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class HealAcme:
    """Repair an interrupted re-creation of acme-mailcow: one of the two containers stays, under the usual name."""

    verb: ClassVar = "repair"
    about: ClassVar = ACME_SUBJECT
    concerns: ClassVar[tuple[str, ...]] = ()
    managed_by: ClassVar = Managed.ACME
    project: str
    reason: str


@dataclass(frozen=True, slots=True)
class PublishRecords:
    """Write DNS record sets of one domain, in this order; an empty `domain` stands for those that all domains share."""

    verb: ClassVar = "publish records"
    managed_by: ClassVar = Managed.DNS
    domain: str
    writes: tuple[RecordWrite, ...]
    reason: str

    @property
    def about(self) -> str:
        """The domain, or what all share."""
        return self.domain or SHARED_RECORDS

    @property
    def concerns(self) -> tuple[str, ...]:
        """The domain; none in particular for shared records."""
        return (self.domain,) if self.domain else ()


@dataclass(frozen=True, slots=True)
class ChangeReportRoute:
    """Change the alias or the transport in mailcow by which TLS reports come in."""

    verb: ClassVar = "change report route"
    concerns: ClassVar[tuple[str, ...]] = ()
    managed_by: ClassVar = Managed.REPORTS
    step: Step
    reason: str

    @property
    def about(self) -> str:
        """The address of the alias, or the domain of the transport."""
        match self.step:
            case AddAlias(address=address) | DeleteAlias(address=address):
                return address
            case AddTransport() | EditTransport() | DeleteTransport():
                return INTERNAL_DOMAIN


Action: TypeAlias = (
    AllowAccess
    | AddPolicy
    | EditPolicy
    | SwitchOff
    | AdoptSame
    | WriteFile
    | RemoveFile
    | EditConf
    | RestartAcme
    | RecreateAcme
    | HealAcme
    | PublishRecords
    | ChangeReportRoute
)


@dataclass(frozen=True, slots=True)
class Hold:
    """Why an action is not done now, and what a person can do about it (None: nothing).

    `until` is when to ask again (Unix seconds; None: when something changes).
    """

    reason: str
    remedy: str | None = None
    until: float | None = None

    def on(self, action: Action) -> "Held":
        """The action, held for this reason."""
        return Held(action, self.reason, self.until, self.remedy)


@dataclass(frozen=True, slots=True)
class Held:
    """An action that is not done now; the other fields are as in `Hold`."""

    action: Action
    reason: str
    until: float | None = None
    remedy: str | None = None

    @property
    def why(self) -> str:
        """The reason, and until when it holds if that is known."""
        return self.reason if self.until is None else f"{self.reason} (until {day(self.until)})"


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do now, what has to wait, what to report, and what must be asked again before more can be decided."""

    actions: tuple[Action, ...] = ()
    held: tuple[Held, ...] = ()
    notices: tuple[Notice, ...] = ()
    questions: frozenset[Question] = field(default_factory=frozenset)
    records: PublishPlan | None = None
    """How the DNS records stand that may be published; None: nothing is."""

    def holding(
        self,
        judge: Callable[[Action], Hold | None],
        notice_of: Callable[[Held], Notice | None] = lambda _: None,
    ) -> "Plan":
        """This plan with each action held for which `judge` gives a reason, and `notice_of` each of those."""
        passed: list[Action] = []
        held: list[Held] = []
        for action in self.actions:
            hold = judge(action)
            if hold is None:
                passed.append(action)
            else:
                held.append(hold.on(action))
        notices = tuple(notice for item in held if (notice := notice_of(item)) is not None)
        return Plan(tuple(passed), (*self.held, *held), self.notices + notices, self.questions, self.records)

    def __add__(self, other: "Plan") -> "Plan":
        return Plan(
            self.actions + other.actions,
            self.held + other.held,
            self.notices + other.notices,
            self.questions | other.questions,
            self.records or other.records,
        )
