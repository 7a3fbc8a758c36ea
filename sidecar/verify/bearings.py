"""What a kind of finding means for the conditions of a roll-out; used by the tables of finding codes."""

from sidecar.observed.checks import ConditionType
from sidecar.observed.findings import Bearing, Effect

_SERVED = (ConditionType.POLICY_SERVED,)
_RECORD = (ConditionType.RECORD_PUBLISHED,)
_COVERED = (ConditionType.MX_COVERED,)
_AUTHENTICATED = (ConditionType.MX_AUTHENTICATED,)
_REPORTS = (ConditionType.REPORTS_WANTED,)

PROVES_SERVED = Bearing(Effect.PROVES, _SERVED)
PROVES_RECORD = Bearing(Effect.PROVES, _RECORD)
PROVES_COVERED = Bearing(Effect.PROVES, _COVERED)
PROVES_AUTHENTICATED = Bearing(Effect.PROVES, _AUTHENTICATED)
PROVES_REPORTS = Bearing(Effect.PROVES, _REPORTS)

BREAKS_RECORD = Bearing(Effect.BREAKS, _RECORD)
BREAKS_COVERED = Bearing(Effect.BREAKS, _COVERED)
BREAKS_AUTHENTICATED = Bearing(Effect.BREAKS, _AUTHENTICATED)
BREAKS_REPORTS = Bearing(Effect.BREAKS, _REPORTS)

GRAVE_SERVED = Bearing(Effect.BREAKS_WHEN_GRAVE, _SERVED)
GRAVE_RECORD = Bearing(Effect.BREAKS_WHEN_GRAVE, _RECORD)
GRAVE_REPORTS = Bearing(Effect.BREAKS_WHEN_GRAVE, _REPORTS)

BLOCKS_SERVED = Bearing(Effect.BLOCKS, _SERVED)
BLOCKS_RECORD = Bearing(Effect.BLOCKS, _RECORD)
BLOCKS_COVERED = Bearing(Effect.BLOCKS, _COVERED)
BLOCKS_AUTHENTICATED = Bearing(Effect.BLOCKS, _AUTHENTICATED)
BLOCKS_COVERED_AND_AUTHENTICATED = Bearing(Effect.BLOCKS, (*_COVERED, *_AUTHENTICATED))
BLOCKS_REPORTS = Bearing(Effect.BLOCKS, _REPORTS)
