"""The repair of an interrupted re-creation of acme-mailcow, before anything else is done to the container; pure.

A new container gets the usual name only once the old one is gone, so the names show how far it came
(`sidecar.mailcow.engine.recreate`).
"""

from sidecar.observed import Observed, Seen
from sidecar.plan.actions import ACME_SUBJECT, HealAcme, Plan


def plan_repair(observed: Observed) -> Plan:
    """The repair, if there is something to repair."""
    if not isinstance(observed.project, Seen) or not observed.project.value.left_over:
        return Plan()
    project = observed.project.value
    reason = f"a re-creation of {ACME_SUBJECT} was interrupted and left {', '.join(project.left_over)}"
    return Plan((HealAcme(project.name, reason),))
