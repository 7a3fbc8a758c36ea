"""The desired policies, for what was observed; pure.

Whether the sidecar may change a policy does not belong here: the plan and its guards decide that.
"""

from sidecar.plan.desired.file import file_policy, joined, served_too
from sidecar.plan.desired.native import native_policies
from sidecar.plan.desired.safety import unmatched_subject
from sidecar.plan.desired.wanted import (
    TESTING_MAX_AGE,
    DesiredPolicy,
    alias_names,
    automatic,
    managed,
    receiving,
)

__all__ = [
    "TESTING_MAX_AGE",
    "DesiredPolicy",
    "alias_names",
    "automatic",
    "file_policy",
    "joined",
    "managed",
    "native_policies",
    "receiving",
    "served_too",
    "unmatched_subject",
]
