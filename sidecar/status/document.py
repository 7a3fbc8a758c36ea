"""The status as JSON: one shape for `sidecar status --json` and `/api/v1`, as models that also describe it (OpenAPI).

Rules for every editor: a field may be added; none is taken away, and none changes its meaning. Null is "not known" or
"there is none", never "no". Times are UTC (RFC 3339), names are A-labels.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from sidecar.formats.mtasts_policy import Mode
from sidecar.observed.checks import ConditionType, Finding
from sidecar.observed.checks import Status as Truth
from sidecar.observed.notice import Level
from sidecar.plan.publish.values import RecordOwner
from sidecar.plan.records import RecordState
from sidecar.status.published import Agreement
from sidecar.status.row import Care
from sidecar.status.wording import Light

Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
Count = Annotated[int, Field(ge=0)]
StageWord = Literal[
    "no-policy",
    "publishing",
    "announcing",
    "blocked",
    "checking",
    "soaking",
    "ready",
    "enforced",
    "failing",
    "leaving",
]


class Model(BaseModel):
    """The base of the larger parts of the document."""

    model_config = ConfigDict(frozen=True)


# A large mailcow has 100,000 of the small parts. As plain dataclasses, which pydantic also describes and writes, they
# cost a fifth.


@dataclass(frozen=True, slots=True)
class CellJson:
    """A few words with a light."""

    status: Light
    text: str
    hint: str | None


@dataclass(frozen=True, slots=True)
class PolicyCell(CellJson):
    """The policy that mailcow serves; null if it was not seen or none is served."""

    served: bool | None
    max_age: Count | None
    mx: list[str] | None
    ownership: Literal["ours", "person", "nobody"] | None
    body: str | None
    adopt_key: Annotated[str | None, Field(description="What `adopt` takes; null: nothing to adopt.")]


@dataclass(frozen=True, slots=True)
class CertificateCell(CellJson):
    """Whether the certificate has the name of the policy host, and until when it is valid."""

    has_name: bool | None
    until: Time | None


@dataclass(frozen=True, slots=True)
class ConditionJson:
    """One condition for a reliable policy."""

    type: ConditionType
    status: Truth
    reason: Annotated[str, Field(description="The code of a finding.")]
    message: str
    since: Time | None


@dataclass(frozen=True, slots=True)
class PublishedJson:
    """A record that the sidecar publishes; a text such as `TXT v=STSv1;id=1;`, null where there is none."""

    account: Annotated[str, Field(description="The account under `dns.accounts` that serves its zone.")]
    whose: RecordOwner
    wanted: str | None
    found: Annotated[
        str | None, Field(description="What the source has: the primary server, or the DNS host.")
    ]
    servers: Annotated[str | None, Field(description="What the authoritative servers answer.")]
    servers_agree: Agreement
    held: Annotated[str | None, Field(description="Why nothing is changed now; null: nothing has to change.")]
    adopt: Annotated[
        str | None, Field(description="The name for `sidecar adopt --dns`; null: nothing to adopt.")
    ]


@dataclass(frozen=True, slots=True)
class RecordJson:
    """A record that the domain needs, and what the DNS has."""

    role: Literal["host", "id", "report"]
    owner: str
    type: str | None
    value: str | None
    record: Annotated[str | None, Field(description="A line of a zone file; null: nothing can be said yet.")]
    standing: RecordState
    status: Light
    note: str | None
    found: Annotated[str | None, Field(description="What resolvers find instead.")]
    publishing: Annotated[PublishedJson | None, Field(description="Null: no account serves its zone.")]


@dataclass(frozen=True, slots=True)
class PlannedAction:
    """An action of the next pass; `names` are its domains or policy hosts."""

    action: str
    subject: str
    names: list[str]
    reason: str


@dataclass(frozen=True, slots=True)
class HeldAction(PlannedAction):
    """An action that waits; `until` is null if it waits for a change."""

    remedy: str | None
    until: Time | None


@dataclass(frozen=True, slots=True)
class NoticeJson:
    """What a person should know."""

    level: Level
    code: str
    subject: str
    message: str
    todo: str | None


@dataclass(frozen=True, slots=True)
class ReportsJson:
    """What proven senders reported (RFC 8460) in the last 14 days; unknown if there are no such reports."""

    status: Truth
    reason: Annotated[str, Field(description="reports-clean, reports-refused, no-reports, reports-not-read.")]
    message: str
    since: Time | None
    proof: Annotated[str | None, Field(description="A clean report with the policy that is served now.")]
    old_policy: Annotated[list[str], Field(description="Senders that were seen with another policy.")]


class DomainJson(Model):
    """The status of one domain; `code`, `subject`, `message` and `todo` are its cause."""

    name: Annotated[str, Field(description="The domain as an A-label.")]
    unicode: Annotated[str, Field(description="The domain as people read it.")]
    alias_of: Annotated[str | None, Field(description="The domain that an alias domain stands for.")]
    care: Care
    status: Light
    needs_person: bool
    code: Annotated[str, Field(description="Why it has this status; stable.")]
    subject: Annotated[
        str, Field(description="What the cause is about: a host, a record, a URL, the domain.")
    ]
    message: str
    todo: str | None
    mode: Mode | None
    stage: StageWord | None
    since: Time | None
    policy: PolicyCell
    certificate: CertificateCell
    dns: CellJson
    mx: CellJson
    tlsrpt: CellJson
    conditions: list[ConditionJson]
    reports: ReportsJson
    checked_at: Time | None
    findings: list[Finding]
    records: list[RecordJson]
    planned: list[PlannedAction]
    held: list[HeldAction]
    notices: list[NoticeJson]


class Domains(Model):
    """A page of domains."""

    seen_at: Time | None
    total: Count
    page: Count
    pages: Count
    per_page: Count
    items: list[DomainJson]


class NeedJson(Model):
    """A task for a person, with the cause of the first of these domains; no domains: it is not about a single domain."""

    status: Light
    code: str
    subject: str
    message: str
    todo: str | None
    domains: list[str]


class ProtectionJson(Model):
    """The next step to enforced policies; `config` is a line for config.yml."""

    ready: list[str]
    soaking: list[str]
    enforced_from: Time | None
    config: str | None
    message: str


class MailcowJson(Model):
    """Which mailcow this is."""

    version: str | None
    backend: Literal["file", "native"]
    hostname: str | None


class TroubleJson(Model):
    """Why the data is not current."""

    message: str
    todo: str | None
    since: Time | None


class ProgressJson(Model):
    """A long task."""

    doing: str
    done: Count
    total: Count
    since: Time | None


class CountsJson(Model):
    """Counts of the managed domains; `domains` and `attention` count all domains."""

    domains: Count
    managed: Count
    served: Count
    in_certificate: Count
    published: Count
    attention: Count


class Statuses(Model):
    """The number of domains by status."""

    failing: Count
    attention: Count
    unknown: Count
    working: Count
    good: Count
    off: Count


class Document(Model):
    """The whole status. What only the running sidecar knows is null in `sidecar status --json`."""

    release: str
    started_at: Time | None
    seen_at: Annotated[Time | None, Field(description="Null: the first pass has not finished.")]
    dry_run: bool
    readable: Annotated[bool, Field(description="Whether mailcow could be read.")]
    mailcow: MailcowJson | None
    headline: str | None
    trouble: TroubleJson | None
    progress: ProgressJson | None
    counts: Annotated[CountsJson | None, Field(description="Null: it is not known which domains there are.")]
    statuses: Statuses | None
    needs: list[NeedJson]
    unknown: list[NeedJson]
    protection: ProtectionJson | None
    planned: list[PlannedAction]
    held: list[HeldAction]
    notices: list[NoticeJson]
    domains: Domains | None
