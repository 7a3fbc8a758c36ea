"""How often acme-mailcow may be started anew, so that no limit of Let's Encrypt is ever burnt; pure.

Rule for every editor: what the certificate folder remembers counts too, so a lost state never resets a budget.
"""

from collections.abc import Sequence

from sidecar.observed import Restart
from sidecar.plan.words import day, span
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
    names: Sequence[str],
    settings: RestartSettings,
    now: float,
) -> tuple[str, float] | None:
    """Why no restart is allowed now, and until when; None where one is.

    Restarts that did not bring the same names double the distance each time, up to a day. acme-mailcow names its
    orders by the clock of its own time zone, which may be another than ours: up to a day ahead one counts.
    """
    before = [at for at in starts(restarts, orders) if at <= now + DAY_S]
    spacing = min(DAY_S, settings.spacing * 2 ** min(20, _in_vain(restarts, names)))
    if before and before[-1] + spacing > now:
        until = before[-1] + spacing
        again = " for the same names" if spacing > settings.spacing else ""
        return f"restarts{again} are kept {span(spacing)} apart; the last was {day(before[-1])}", until
    for limit, period, word in ((settings.per_day, DAY_S, "a day"), (settings.per_week, WEEK_S, "in 7 days")):
        within = [at for at in before if at > now - period]
        if len(within) >= limit:
            until = within[len(within) - limit] + period if limit > 0 else now + period
            return f"{len(within)} of {limit} restarts {word} are used", until
    return None


def _in_vain(restarts: Sequence[Restart], names: Sequence[str]) -> int:
    """How many of the last restarts, counted back without a gap, were for one of these names that is still missing."""
    wanted = frozenset(names)
    count = 0
    for restart in reversed(restarts):
        if wanted.isdisjoint(restart.names):
            break
        count += 1
    return max(0, count - 1)
