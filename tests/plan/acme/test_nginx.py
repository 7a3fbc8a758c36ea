"""nginx-mailcow, created before ADDITIONAL_SERVER_NAMES was changed: reported, and never touched."""

from dataclasses import replace

import pytest

from sidecar.observed import FILE, ConfEntry, ConfEvent, Memory, Observed, Project, Seen
from sidecar.observed.checks import Condition, ConditionType, Rollout, Status
from sidecar.observed.notice import Level, Notice
from sidecar.plan import decide
from sidecar.settings import Settings
from tests.worlds import FILE_MAILCOW, NOW, World, container, observed

KEY = "ADDITIONAL_SERVER_NAMES"
OURS = Memory(conf=(ConfEntry(KEY, "mta-sts.*", ConfEvent.ADDED, NOW - 1e6),))


def seen(conf: str, memory: Memory = OURS, **env: str) -> Observed:
    """A mailcow with this value in mailcow.conf, and an nginx-mailcow with this environment."""
    world = observed(World(mailcow=FILE_MAILCOW, conf={KEY: conf}))
    assert isinstance(world.project, Seen)
    containers = tuple(
        replace(container("nginx-mailcow"), env=env) if c.service == "nginx-mailcow" else c
        for c in world.project.value.containers
    )
    project = Project("mailcow", containers, world.project.value.acme_sleep)
    return replace(world, project=Seen(project, NOW), memory=memory)


def reported(world: Observed) -> list[Notice]:
    """What is said of it."""
    return [n for n in decide(world, Settings()).notices if n.code == "nginx.environment"]


@pytest.mark.parametrize(
    ("conf", "env", "memory", "said"),
    [
        ("mta-sts.*", {KEY: ""}, OURS, True),
        ("a.b,MTA-STS.*", {KEY: "a.b"}, OURS, True),
        ("mta-sts.*", {KEY: "mta-sts.*"}, OURS, False),  # re-created since
        ("a.b,mta-sts.*", {KEY: "mta-sts.*"}, OURS, False),  # the administrator's own affair
        ("mta-sts.*", {KEY: ""}, Memory(), False),  # not put there by the sidecar
        ("mta-sts.*", {}, OURS, False),  # an nginx-mailcow that is not mailcow's
    ],
)
def test_pending_re_creation_is_mentioned(conf: str, env: dict[str, str], memory: Memory, said: bool) -> None:
    """As something to know, without a command: the policy is served all the same."""
    found = reported(seen(conf, memory, **env))
    assert bool(found) is said
    assert all((n.level, n.todo) == (Level.INFO, None) for n in found)


def test_command_is_shown_where_the_policy_is_not_served() -> None:
    """Another site answers for the name: then it is a thing to do."""
    condition = Condition(ConditionType.POLICY_SERVED, Status.FALSE, "policy-status", "status 404", NOW)
    memory = replace(OURS, rollouts={FILE: Rollout((condition,))})
    (found,) = reported(seen("mta-sts.*", memory, **{KEY: ""}))
    assert found.level is Level.WARNING
    assert "status 404" in found.message
    assert found.todo == "in the mailcow directory: docker compose up -d"


def test_unreachable_policy_host_is_not_blamed_on_nginx() -> None:
    """An unreachable name says nothing about nginx-mailcow."""
    condition = Condition(ConditionType.POLICY_SERVED, Status.FALSE, "policy-host-missing", "no A", NOW)
    memory = replace(OURS, rollouts={FILE: Rollout((condition,))})
    (found,) = reported(seen("mta-sts.*", memory, **{KEY: ""}))
    assert found.level is Level.INFO
