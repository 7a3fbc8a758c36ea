"""A container that is needed and does not run: reported to a person, once it cannot be an update."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import pytest

from sidecar.host.elapsed import Tally
from sidecar.observed import Certificates, Container, Fact, FactKind, Issuer, Memory, Observed, Seen, Unseen
from sidecar.observed.notice import Level, Notice
from sidecar.plan import decide
from sidecar.plan.acme.run import STOPPED_S, blocked, ignored
from sidecar.reconcile.learn.observations import learn
from sidecar.settings import Settings
from tests.worlds import DAY, NOW, World, container, observed

ACME, NGINX = container("acme-mailcow"), container("nginx-mailcow")


def reported(observations: Iterable[Observed]) -> list[list[Notice]]:
    """What is said of containers in passes over these, one after the other, each with what those before taught."""
    found: list[list[Notice]] = []
    memory = None
    for seen in observations:
        known = seen if memory is None else replace(seen, memory=replace(memory, tally=seen.memory.tally))
        memory = learn(known, Settings())
        notices = decide(replace(known, memory=memory), Settings()).notices
        found.append([notice for notice in notices if notice.code == "container.stopped"])
    return found


def seen(after: float, *containers: Container, issuer: Issuer = Issuer.LETS_ENCRYPT, **conf: str) -> Observed:
    """A mailcow whose project has these containers, so many seconds after the first look."""
    world = observed(World(now=NOW + after, conf=conf, issuer=issuer, counted=after))
    assert isinstance(world.project, Seen)
    return replace(world, project=Seen(replace(world.project.value, containers=containers), NOW + after))


@pytest.mark.parametrize(
    ("containers", "subject", "message"),
    [
        ((NGINX,), "acme-mailcow", "acme-mailcow has no container; no certificate is ordered or renewed"),
        (
            (replace(ACME, state="exited"), NGINX),
            "acme-mailcow",
            "acme-mailcow is not running: it is exited; no certificate is ordered or renewed",
        ),
        ((replace(ACME, state="created"), NGINX), "acme-mailcow", "it is created"),
        ((ACME,), "nginx-mailcow", "nginx-mailcow has no container; no sender can fetch a policy"),
    ],
)
def test_container_that_does_not_run_needs_a_person(
    containers: tuple[Container, ...], subject: str, message: str
) -> None:
    """An error, once it has been so for longer than an update takes, and for as long as it stays so."""
    first, early, late, days = reported(
        seen(after, *containers) for after in (0, STOPPED_S - 1, STOPPED_S, 5 * DAY)
    )
    assert first == early == []
    for (notice,) in (late, days):
        assert (notice.level, notice.subject) == (Level.ERROR, subject)
        assert message in notice.message
        assert f"docker compose up -d {subject}" in str(notice.todo)
        assert ("docker compose logs" in str(notice.todo)) is (len(containers) > 1), "a container has a log"


def test_end_of_the_certificate_is_said() -> None:
    """How long there is to do something about it."""
    *_, (notice,) = reported(seen(after, NGINX) for after in (0, STOPPED_S))
    assert notice.message.endswith("and the present one expires 2027-04-05 08:05+00:00")
    without = (
        replace(seen(t, NGINX), certificates=Seen(Certificates(None), NOW + t)) for t in (0, STOPPED_S)
    )
    *_, (notice,) = reported(without)
    assert notice.message.endswith("no certificate is ordered or renewed")


def test_container_that_is_re_created_is_not_reported() -> None:
    """`docker compose up -d`: gone for a minute, started, and settled."""
    passes = [seen(0, ACME, NGINX), seen(60, NGINX), seen(120, replace(ACME, started_at=NOW + 110), NGINX)]
    assert reported([*passes, seen(600, ACME, NGINX), seen(700, NGINX)]) == [[]] * 5


@pytest.mark.parametrize(
    ("issuer", "conf"), [(Issuer.OTHER, {}), (Issuer.LETS_ENCRYPT, {"SKIP_LETS_ENCRYPT": "y"})]
)
def test_acme_that_orders_nothing_may_be_away(issuer: Issuer, conf: Mapping[str, str]) -> None:
    """The certificate comes from elsewhere; nginx-mailcow is needed all the same."""
    assert reported(seen(after, NGINX, issuer=issuer, **conf) for after in (0, STOPPED_S)) == [[], []]
    *_, (notice,) = reported(seen(after, ACME, issuer=issuer, **conf) for after in (0, STOPPED_S))
    assert notice.subject == "nginx-mailcow"


OTHER = container("redis-mailcow")


@pytest.mark.parametrize(
    ("containers", "reason"),
    [
        ((ACME, NGINX, OTHER), None),
        ((NGINX, OTHER), "there is no container of acme-mailcow"),
        ((ACME, replace(NGINX, state="exited")), "nginx-mailcow is not running: it is exited"),
        ((ACME, NGINX, replace(OTHER, started_at=NOW - 60)), None),
        (
            (ACME, NGINX, replace(OTHER, started_at=NOW - 59)),
            "redis-mailcow: it was started less than 60 s ago",
        ),
    ],
    ids=["all run", "one is missing", "one does not run", "another has settled", "another is being started"],
)
def test_acme_mailcow_is_not_touched_while_mailcow_is_being_started(
    containers: tuple[Container, ...], reason: str | None
) -> None:
    """A needed container comes first in what is said."""
    found = blocked(seen(0, *containers), settle=60)
    assert (found and found.reason.removeprefix("mailcow is being started or updated: ")) == reason


@pytest.mark.parametrize(("unsettled_for", "blocks"), [(1_799, True), (1_800, False)])
def test_container_that_never_settles_blocks_for_half_an_hour(unsettled_for: float, blocks: bool) -> None:
    """And is reported only when nobody waits for it any more."""
    since = Memory(since={Fact(FactKind.UNSETTLED, OTHER.service): NOW - unsettled_for})
    world = seen(0, ACME, NGINX, replace(OTHER, state="restarting"))
    world = replace(world, memory=replace(since, tally=Tally(NOW)))
    assert (blocked(world, 60) is not None) is blocks
    assert [notice.subject for notice in ignored(world, 60)] == ([] if blocks else [OTHER.service])


def test_containers_that_were_not_seen_are_not_missing() -> None:
    """Docker does not answer."""
    gone = [seen(0, NGINX), seen(STOPPED_S, NGINX)]
    dark = replace(gone[1], project=Unseen("no socket", NOW))
    assert reported([gone[0], dark]) == [[], []]
