"""What a re-creation of acme-mailcow left that was cut off: it is repaired before anything else is done there; pure.

A new container has its own name only once the old one is gone, so the names tell how far it came
(`sidecar.mailcow.engine.recreate`).
"""

from sidecar.observed import Observed, Seen
from sidecar.plan.actions import ACME_SUBJECT, HealAcme, Plan


def plan_repair(observed: Observed) -> Plan:
    """The repair, where it is seen that there is something to repair."""
    if not isinstance(observed.project, Seen) or not observed.project.value.left_over:
        return Plan()
    project = observed.project.value
    reason = f"a re-creation of {ACME_SUBJECT} was cut off and left {', '.join(project.left_over)}"
    return Plan((HealAcme(project.name, reason),))
