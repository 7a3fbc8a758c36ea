"""The mode and the stage of every domain, as one pass saw them; pure.

Rule for every editor: a policy that was not seen gives no stage: not knowing is no stage of a roll-out. What makes
a stage is in `rollout`, what is told of it elsewhere.
"""

from dataclasses import dataclass

from sidecar.formats.mtasts_policy import Mode, policy_of
from sidecar.observed import Observed, Seen
from sidecar.observed.checks import Status
from sidecar.plan.policy_ids import served_to
from sidecar.plan.records import mail_domains
from sidecar.rollout import Stage, stage
from sidecar.settings import Settings


@dataclass(frozen=True, slots=True)
class DomainStage:
    """One domain or alias domain that the sidecar looks after."""

    domain: str
    mode: Mode | None
    """None where no policy is served, or none was seen."""
    stage: Stage | None
    """None where it was not seen what is served."""
    why: str = ""
    """What keeps it from the next stage, as far as checks told; a sentence, or empty."""
    target: str | None = None
    """The domain whose policy an alias domain is served."""


def domain_stages(observed: Observed, settings: Settings) -> tuple[DomainStage, ...]:
    """Those of all managed domains and their alias domains, in the order of their names; none without a list."""
    return tuple(
        _of(observed, settings, domain.name, domain.target) for domain in mail_domains(observed, settings)
    )


def _of(observed: Observed, settings: Settings, name: str, target: str | None) -> DomainStage:
    served = served_to(observed, name, target)
    if not isinstance(served, Seen):
        return DomainStage(name, None, None, target=target)
    policy = policy_of(served.value.text)
    mode = policy.mode if policy else None
    rollout = observed.memory.rollout(observed.policy_key(name, target))
    wrong = next((c for c in rollout.blocking() if c.status is Status.FALSE), None)
    why = wrong.message if wrong else ""
    return DomainStage(name, mode, stage(rollout, mode, settings.soak), why, target)
