"""A Redis that refuses writes: one error for all domains, and nothing is written that cannot be read back."""

from dataclasses import replace

import pytest

from sidecar.observed import Observed, RedisRefuses, Seen, Served, Unseen
from sidecar.observed.notice import Level, NoticeCode
from sidecar.plan import decide
from sidecar.plan.actions import AddPolicy, EditConf, HealAcme, Plan
from sidecar.plan.guards import guarded
from sidecar.settings import Settings
from tests.worlds import NATIVE, NOW, World, observed

OOM = RedisRefuses("the policy of a.example: mailcow's Redis refuses writes (OOM)", NOW, "OOM")
DOMAINS = ("a.example", "b.example", "new.example")


def refusing() -> Observed:
    """Two policies that cannot be read for it, and a domain that has none yet."""
    world = observed(World(mailcow=replace(NATIVE), domains=DOMAINS))
    served: dict[str, Seen[Served] | Unseen] = {
        "a.example": OOM,
        "b.example": OOM,
        "new.example": Seen(Served(None), NOW),
    }
    return replace(world, served=served)


def test_it_is_one_error_before_all_others() -> None:
    """For however many domains; it says why, what that means, and what to do."""
    found = decide(refusing(), Settings()).notices
    assert (found[0].level, found[0].code, found[0].subject) == (Level.ERROR, "mailcow.redis", "mailcow")
    assert "Redis refuses writes (OOM): every policy" in found[0].message
    assert "no sender can read it" in found[0].message
    assert "redis-mailcow" in str(found[0].todo)
    assert [notice.code for notice in found].count(NoticeCode.MAILCOW_REDIS) == 1


def test_policies_wait_for_it_and_nothing_else_does() -> None:
    """With the reason that the notice has, so that the log says it once."""
    found = decide(refusing(), Settings())
    assert [action for action in found.actions if isinstance(action, AddPolicy)] == []
    (held,) = [held for held in found.held if isinstance(held.action, AddPolicy)]
    assert held.reason == found.notices[0].message
    assert held.remedy == found.notices[0].todo
    others = (EditConf({}, "why"), HealAcme("mailcow", "why"))
    assert guarded(Plan(others), refusing(), Settings()).actions == others


@pytest.mark.parametrize(
    "sight", [Seen(Served(None), NOW), Unseen("mailcow's web server does not answer", NOW)]
)
def test_other_failures_are_not_reported_as_a_redis_failure(sight: Seen[Served] | Unseen) -> None:
    """And nothing waits for them."""
    world = replace(refusing(), served={"a.example": sight, "new.example": Seen(Served(None), NOW)})
    found = decide(world, Settings())
    assert "mailcow.redis" not in {notice.code for notice in found.notices}
    assert "new.example" in {action.domain for action in found.actions if isinstance(action, AddPolicy)}
