"""What is told while mailcow's Redis refuses writes: one error, before all that it leads to; pure."""

from sidecar.observed import Observed, RedisRefuses
from sidecar.observed.notice import Level, Notice
from sidecar.observed.notice_codes import NoticeCode

REDIS = NoticeCode.MAILCOW_REDIS
"""The notice of a mailcow whose Redis refuses writes: it shows in the policies that are served."""


def tell_redis(observed: Observed) -> tuple[Notice, ...]:
    """Every policy that is served ends in an error page then, by which no sender can read it (RFC 8461 §3.2)."""
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
            "make room on its disk or in its memory; see: docker compose logs --tail=50 redis-mailcow",
        ),
    )
