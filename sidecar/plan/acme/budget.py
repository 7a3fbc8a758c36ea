"""How often acme-mailcow may be restarted, so that no rate limit of Let's Encrypt is ever reached; pure.

Rule for every editor: orders that the certificate folder shows count too, so a lost state never resets a budget.
"""

from collections.abc import Sequence

from sidecar.observed import Restart
from sidecar.observed.words import day, span
from sidecar.plan.actions import Hold
from sidecar.settings import RestartSettings

DAY_S = 86_400
WEEK_S = 7 * DAY_S
SAME_RUN_S = 900
"""An order this soon after one of our restarts belongs to that restart."""


def starts(restarts: Sequence[Restart], orders: Sequence[float]) -> list[float]:
    """When acme-mailcow ordered certificates, at our request or not, oldest first; each run once.

    One run may leave several backups (ENABLE_SSL_SNI); a run that we requested leaves them a little later.
    """
    counted = sorted(restart.at for restart in restarts)
    for at in sorted(orders):
        if not any(0 <= at - start <= SAME_RUN_S for start in counted):
            counted.append(at)
    return sorted(counted)


def exhausted(
    restarts: Sequence[Restart],
    orders: Sequence[float],
    settings: RestartSettings,
    now: float,
) -> Hold | None:
    """Why no restart is allowed now, and until when; None if one is allowed.

    acme-mailcow dates its orders in its own time zone, which may differ from ours: an order dated up to a day
    ahead counts. Names that restarts do not bring are left out elsewhere (`lost`): they delay no other name.
    """
    before = [at for at in starts(restarts, orders) if at <= now + DAY_S]
    spacing = settings.spacing
    if before and before[-1] + spacing > now:
        until = before[-1] + spacing
        return Hold(
            f"there are at least {span(spacing)} between two restarts; the last was {day(before[-1])}",
            until=until,
        )
    for limit, period, word in ((settings.per_day, DAY_S, "a day"), (settings.per_week, WEEK_S, "in 7 days")):
        within = [at for at in before if at > now - period]
        if len(within) >= limit:
            until = within[len(within) - limit] + period if limit > 0 else now + period
            return Hold(f"{len(within)} of {limit} restarts {word} are used", until=until)
    return None
