"""One domain: what was observed, what is planned, and what follows from both; pure.

Rule for every editor: a row holds values of one moment. They are judged once, in `judgement`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from sidecar.formats.domain_name import to_unicode
from sidecar.formats.mtasts_policy import Mode, Policy
from sidecar.observed import Certificate, CheckRecord, Seen, Served, Sight
from sidecar.observed.checks import Condition, Rollout, Stage
from sidecar.observed.notice import Notice
from sidecar.observed.reports import NO_EVIDENCE, ReportEvidence
from sidecar.plan.actions import Action, Held
from sidecar.plan.ownership import Whose
from sidecar.plan.records import DomainRecords, RecordState
from sidecar.status.published import PublishedRecord
from sidecar.status.wording import Light


class Care(StrEnum):
    """Whether the sidecar manages a domain, and why not."""

    MANAGED = "managed"
    EXCLUDED = "excluded by the settings"
    INACTIVE = "switched off in mailcow"
    BACKUP_MX = "backup MX"
    ELSEWHERE = "served elsewhere"
    RETIRED = "taken out of MTA-STS by `sidecar retire`"


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a domain has its light: a code (the same for the same cause), a sentence, what to do.

    `subject` is a host, a record's owner, a URL, or the domain itself.
    """

    light: Light
    code: str
    message: str
    todo: str | None = None
    subject: str = ""

    @property
    def sentence(self) -> str:
        """The message, with its subject if the text does not name it."""
        known = not self.subject or self.subject in self.message or to_unicode(self.subject) in self.message
        return self.message if known or not self.light.needs_person else f"{self.subject}: {self.message}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The judgement of a domain: its light, the cause that is shown, and all tasks for a person."""

    light: Light
    cause: Cause
    needs: tuple[Cause, ...] = ()
    """The worst first; `cause` is the first of them. Empty if there is nothing to do."""


NOT_JUDGED = Verdict(Light.UNKNOWN, Cause(Light.UNKNOWN, "not-judged", "not judged"))


@dataclass(frozen=True, slots=True)
class Row:
    """One domain or alias domain (`target` is given); `whose` is None where no policy was seen or it is excluded."""

    domain: str
    target: str | None
    care: Care
    key: str
    """The key of its policy in the memory: `FILE`, or the domain that has the policy."""
    served: Sight[Served]
    whose: Whose | None
    certificate: Sight[Certificate | None]
    records: DomainRecords | None
    """None if the domain needs none or mailcow was not seen."""
    todo: tuple[Action, ...]
    held: tuple[Held, ...]
    notices: tuple[Notice, ...]
    at: float
    """The time of the observation (Unix seconds)."""
    mx: Sight[tuple[str, ...]]
    tended: bool = False
    """Whether senders may fetch its policy: it is managed, or still has a policy while it leaves MTA-STS."""
    policy: Policy | None = None
    """The policy served; None for none, for a text that is not a policy, and where it was not seen."""
    stage: Stage | None = None
    """Where it is in its roll-out; None if it is not managed or its policy was not seen."""
    rollout: Rollout = field(default_factory=Rollout)
    check: CheckRecord | None = None
    """What the last sender check found."""
    since: float | None = None
    """Since when the deciding condition of the stage holds (Unix seconds); None if unknown."""
    auto: bool = False
    """Whether the sidecar may raise the mode automatically."""
    soak: float = 0.0
    """Seconds that all checks must have passed before `mode: auto` enforces."""
    own_records: tuple[PublishedRecord, ...] = ()
    """The DNS records that an account serves; others are tasks by hand."""
    reports: ReportEvidence = NO_EVIDENCE
    """What senders reported of the domain."""
    require_report: bool = False
    """Whether the step up waits for a clean report."""
    judgement: Verdict = NOT_JUDGED

    @property
    def mode(self) -> Mode | None:
        """The mode that is served."""
        return self.policy.mode if self.policy else None

    @property
    def blocking(self) -> tuple[Condition, ...]:
        """The conditions that block the next stage."""
        return () if self.stage is None else self.rollout.blocking()

    @property
    def published(self) -> bool:
        """Whether the DNS has all records of the domain."""
        return self.records is not None and not any(
            need.standing not in {RecordState.PRESENT, RecordState.NOT_SET} for need in self.records.needs
        )

    @property
    def attention(self) -> bool:
        """Whether this domain needs a person."""
        return bool(self.judgement.needs)


def policy_text(row: Row) -> str | None:
    """The served text, readable for people; None if there is none or it was not seen."""
    text = row.served.value.text if isinstance(row.served, Seen) else None
    # A file may hold octets that are not UTF-8, which were kept as they are.
    return None if text is None else text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def worst_first(rows: Sequence[Row]) -> list[Row]:
    """The rows in the order in which a person should read them."""
    return sorted(rows, key=lambda row: (row.judgement.light.rank, row.domain))
