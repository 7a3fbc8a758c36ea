"""How often acme-mailcow may be started anew, so that no limit of Let's Encrypt is ever burnt; pure.

Rule for every editor: what the certificate folder remembers counts too, so a lost state never resets a budget.
"""

from collections.abc import Sequence

from sidecar.observed import Restart
from sidecar.observed.words import day, span
from sidecar.plan.actions import Hold
from sidecar.settings import RestartSettings

DAY_S = 86_400
WEEK_S = 7 * DAY_S
SAME_RUN_S = 900
"""An order this soon after one of our restarts is that restart's."""


def starts(restarts: Sequence[Restart], orders: Sequence[float]) -> list[float]:
    """When acme-mailcow was made to order, by us or by anybody, oldest first; each run once.

    One run may leave several backups (ENABLE_SSL_SNI), and one that we asked for leaves them a little later.
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
    """Why no restart is allowed now, and until when; None where one is.

    acme-mailcow names its orders by the clock of its own time zone, which may be another than ours: up to a day
    ahead one counts. Names that restarts do not bring are left out elsewhere (`lost`): they delay no other.
    """
    before = [at for at in starts(restarts, orders) if at <= now + DAY_S]
    spacing = settings.spacing
    if before and before[-1] + spacing > now:
        until = before[-1] + spacing
        return Hold(f"restarts are kept {span(spacing)} apart; the last was {day(before[-1])}", until=until)
    for limit, period, word in ((settings.per_day, DAY_S, "a day"), (settings.per_week, WEEK_S, "in 7 days")):
        within = [at for at in before if at > now - period]
        if len(within) >= limit:
            until = within[len(within) - limit] + period if limit > 0 else now + period
            return Hold(f"{len(within)} of {limit} restarts {word} are used", until=until)
    return None
