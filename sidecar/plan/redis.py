"""The notice while mailcow's Redis refuses writes: one error, before everything that follows from it; pure."""

from sidecar.observed import Observed, RedisRefuses
from sidecar.observed.notice import Level, Notice
from sidecar.observed.notice_codes import NoticeCode

REDIS = NoticeCode.MAILCOW_REDIS
"""The notice for a mailcow whose Redis refuses writes: the served policies show it."""


def redis_notices(observed: Observed) -> tuple[Notice, ...]:
    """Every served policy then ends with an error page, so that no sender can read it (RFC 8461 §3.2)."""
    refused = [sight for sight in observed.served.values() if isinstance(sight, RedisRefuses)]
    if not refused:
        return ()
    said = min(sight.said for sight in refused)
    return (
        Notice(
            Level.ERROR,
            REDIS,
            "mailcow",
            f"mailcow's Redis refuses writes ({said}): every policy that mailcow serves is followed by an error page, "
            "and no sender can read it",
            "free space on its disk or memory for it; see: docker compose logs --tail=50 redis-mailcow",
        ),
    )
