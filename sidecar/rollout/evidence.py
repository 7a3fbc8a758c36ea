"""From the findings of a check to the conditions of the roll-out; pure.

Rule for every editor: the code of a finding declares its effect on conditions (`Code.bearing`); nothing is decided by
the prefix of a code. A condition is true only if a finding says so; a probe that could not run leaves it unknown.
"""

from collections.abc import Sequence
from typing import assert_never

from sidecar.observed.checks import INFORMS, ConditionType, Effect, Finding, Judgement, Severity, Status
from sidecar.verify import codes, probe_codes
from sidecar.verify.rules import policy_id

_BEARINGS = {code.name: code.bearing for code in (*codes.ALL, *probe_codes.ALL, *policy_id.ALL)}
_ORDER = (Status.FALSE, Status.UNKNOWN, Status.TRUE)
"""Which status wins if findings disagree."""


def conditions_of(findings: Sequence[Finding]) -> dict[ConditionType, Judgement]:
    """Each condition, judged by the findings of one check of one domain."""
    judged: dict[ConditionType, Judgement] = {}
    for finding in findings:
        bearing = _BEARINGS.get(finding.code, INFORMS)
        match bearing.effect:
            case Effect.PROVES:
                status = Status.TRUE
            case Effect.BREAKS:
                status = Status.FALSE
            case Effect.BREAKS_WHEN_GRAVE if finding.severity.rank >= Severity.ERROR.rank:
                status = Status.FALSE
            case Effect.BLOCKS:
                status = Status.UNKNOWN
            case Effect.BREAKS_WHEN_GRAVE | Effect.INFORMS:
                continue
            case _:
                assert_never(bearing.effect)
        for kind in bearing.conditions:
            before = judged.get(kind)
            if before is None or _ORDER.index(status) < _ORDER.index(before.status):
                judged[kind] = Judgement(status, finding.code, finding.sentence)
    return {
        kind: judged.get(kind, Judgement(Status.UNKNOWN, "not-checked", f"{kind}: not checked yet"))
        for kind in ConditionType
    }
