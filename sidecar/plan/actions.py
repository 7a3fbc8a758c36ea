"""What the sidecar can do to the world, as values, and what a plan is made of.

Rule for every editor: an action carries its reason, a sentence that the log, the page and `sidecar plan`
print as it is. Nothing here does anything.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from sidecar.formats.dotenv import ListEdit
from sidecar.formats.mtasts_policy import Policy
from sidecar.observed import FILE, Question
from sidecar.observed.notice import Notice


@dataclass(frozen=True, slots=True)
class AddPolicy:
    """Native: make the row of a domain that has none."""

    domain: str
    policy: Policy
    reason: str


@dataclass(frozen=True, slots=True)
class EditPolicy:
    """Native: make the row of a domain say `policy`, and be active."""

    domain: str
    policy: Policy
    reason: str


@dataclass(frozen=True, slots=True)
class SwitchOff:
    """Native: set the row of a domain inactive; there is no way to delete one."""

    domain: str
    reason: str


@dataclass(frozen=True, slots=True)
class AdoptSame:
    """Remember as ours a policy that is already what we would write; nothing in the world changes."""

    key: str
    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class WriteFile:
    """File generation: write the one policy file; `backup` keeps what is there, `floor` remembers what it asked."""

    text: str
    reason: str
    backup: bool = False
    floor: str | None = None


@dataclass(frozen=True, slots=True)
class RemoveFile:
    """File generation: take the policy file away, with a copy in the state folder."""

    reason: str


@dataclass(frozen=True, slots=True)
class EditConf:
    """Change entries of the two SAN settings of mailcow.conf, by key."""

    edits: Mapping[str, ListEdit]
    reason: str
    reasons: Mapping[str, str] = field(default_factory=dict)
    """The parts of `reason`, by key."""

    def only(self, keys: Collection[str]) -> "EditConf":
        """The edits of these keys alone."""
        edits = {key: edit for key, edit in self.edits.items() if key in keys}
        reasons = {key: reason for key, reason in self.reasons.items() if key in keys}
        return EditConf(edits, "; ".join(reasons.values()) or self.reason, reasons)


@dataclass(frozen=True, slots=True)
class RestartAcme:
    """Restart acme-mailcow, if it is still the container that was observed."""

    container_id: str
    started_at: float
    names: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class RecreateAcme:
    """Make acme-mailcow anew with this environment, all else equal; a restart keeps the environment it has."""

    container_id: str
    started_at: float
    environment: Mapping[str, str]
    names: tuple[str, ...]
    reason: str


FILE_SUBJECT = "mta-sts.txt"
"""What an action on the policy file is about."""

Action: TypeAlias = (
    AddPolicy
    | EditPolicy
    | SwitchOff
    | AdoptSame
    | WriteFile
    | RemoveFile
    | EditConf
    | RestartAcme
    | RecreateAcme
)


def subject(action: Action) -> str:
    """What an action is about, in one word for logs and tables."""
    match action:
        case AddPolicy(domain=domain) | EditPolicy(domain=domain) | SwitchOff(domain=domain):
            return domain
        case AdoptSame(key=key):
            return FILE_SUBJECT if key == FILE else key
        case WriteFile() | RemoveFile():
            return FILE_SUBJECT
        case EditConf():
            return "mailcow.conf"
        case RestartAcme() | RecreateAcme():
            return "acme-mailcow"


_VERBS: Mapping[type, str] = {
    AddPolicy: "add policy",
    EditPolicy: "change policy",
    SwitchOff: "switch policy off",
    AdoptSame: "adopt policy",
    WriteFile: "write policy file",
    RemoveFile: "remove policy file",
    EditConf: "edit settings",
    RestartAcme: "restart",
    RecreateAcme: "re-create",
}


def verb(action: Action) -> str:
    """What an action does, for logs and tables."""
    return _VERBS[type(action)]


@dataclass(frozen=True, slots=True)
class Held:
    """An action that is not done now, why, and when to ask again (Unix seconds; None: when something changes)."""

    action: Action
    reason: str
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do now, what not yet, what to tell, and what must be asked afresh before more can be decided."""

    actions: tuple[Action, ...] = ()
    held: tuple[Held, ...] = ()
    notices: tuple[Notice, ...] = ()
    questions: frozenset[Question] = field(default_factory=frozenset)

    def __add__(self, other: "Plan") -> "Plan":
        return Plan(
            self.actions + other.actions,
            self.held + other.held,
            self.notices + other.notices,
            self.questions | other.questions,
        )
