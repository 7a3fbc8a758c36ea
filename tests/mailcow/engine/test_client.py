"""The containers of mailcow's compose project, by an engine out of a table; `tests/system` has a real one."""

import socket
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sidecar.host.errors import PermanentError, TemporaryError
from sidecar.mailcow.engine.acme import AcmeEngine
from sidecar.mailcow.engine.client import Engine, Untouched, candidates, project_name, sleep_argument
from sidecar.observed import Container, Project, Seen, Sight, Unseen
from tests.mailcow.fake_engine import LOOPBACK, TITLES, FakeContainer, FakeEngine, serving

changed: Callable[..., FakeContainer] = replace
"""`replace` for changes out of a table."""

NOW = datetime(2026, 8, 1, 13, 0, 30, tzinfo=UTC).timestamp()
CREATED = datetime(2026, 8, 1, 10, 0, 0, 500_000, tzinfo=UTC).timestamp()
STARTED = datetime(2026, 8, 1, 10, 0, 1, 123_456, tzinfo=UTC).timestamp()
ACME_ID, NGINX_ID, OWN_ID, OTHER_ID = ("a" * 64, "b" * 64, "c" * 64, "d" * 64)
ACME = FakeContainer(ACME_ID, "acme-mailcow", env=["ADDITIONAL_SAN=a.*,b=c", "TZ=UTC", "EMPTY="])
NGINX = FakeContainer(NGINX_ID, "nginx-mailcow", env=["HTTPS_PORT=443"], commands=["nginx"])
OWN = FakeContainer(OWN_ID, "mta-sts-mailcow", env=["MTA_STS_API_KEY=k"], commands=["sidecar run"])


@asynccontextmanager
async def engine_with(
    *containers: FakeContainer, own_ids: Sequence[str] = ()
) -> AsyncIterator[tuple[FakeEngine, Engine]]:
    """A fake engine with these containers, and our client of it."""
    async with serving(*containers) as fake:
        engine = Engine(fake.docker_host, own_ids=lambda: own_ids)
        try:
            yield fake, engine
        finally:
            await engine.close()


def project(sight: Sight[Project]) -> Project:
    """What was seen."""
    match sight:
        case Seen(value, at):
            assert at == NOW
            return value
        case Unseen(reason):
            pytest.fail(reason)


def reason(sight: Sight[Any]) -> str:
    """Why nothing was seen."""
    match sight:
        case Unseen(reason, at):
            assert at == NOW
            return reason
        case Seen(value):
            pytest.fail(f"seen: {value}")


async def test_project_is_that_of_the_sidecars_own_container() -> None:
    """Its label counts, not the hint; all its containers are listed, the sidecar's own marked."""
    other = replace(NGINX, id=OTHER_ID, project="other")
    async with engine_with(ACME, NGINX, OWN, other, own_ids=[OWN_ID[:12]]) as (_, engine):
        found = project(await engine.observe(NOW, "other"))
    assert found == Project(
        "mailcowdockerized",
        (
            Container(
                id=ACME_ID,
                name="mailcowdockerized-acme-mailcow-1",
                service="acme-mailcow",
                state="running",
                created_at=CREATED,
                started_at=STARTED,
                env={"ADDITIONAL_SAN": "a.*,b=c", "TZ": "UTC", "EMPTY": ""},
            ),
            Container(
                id=OWN_ID,
                name="mailcowdockerized-mta-sts-mailcow-1",
                service="mta-sts-mailcow",
                state="running",
                created_at=CREATED,
                started_at=STARTED,
                own=True,
            ),
            Container(
                id=NGINX_ID,
                name="mailcowdockerized-nginx-mailcow-1",
                service="nginx-mailcow",
                state="running",
                created_at=CREATED,
                started_at=STARTED,
                env={"HTTPS_PORT": "443"},
            ),
        ),
        Seen("1d", NOW),
    )


@pytest.mark.parametrize(
    "own_ids",
    [
        [],  # not in a container
        ["e" * 12],  # in one of another engine
        ["mailcowdockerized-nginx-mailcow-1"],  # a host's name that is a container's name, too
    ],
)
async def test_hint_counts_where_the_own_container_is_unknown(own_ids: list[str]) -> None:
    """COMPOSE_PROJECT_NAME, in the form that Compose makes of it."""
    async with engine_with(ACME, own_ids=own_ids) as (_, engine):
        assert project(await engine.observe(NOW, "MailcowDockerized")).name == "mailcowdockerized"


async def test_hint_counts_where_the_own_container_is_not_composes() -> None:
    """Started by `docker run`, the sidecar has no label."""
    async with engine_with(ACME, replace(OWN, project=None), own_ids=[OWN_ID]) as (_, engine):
        assert project(await engine.observe(NOW, "mailcowdockerized")).service("acme-mailcow")


@pytest.mark.parametrize("hint", [None, "", "!"])
async def test_without_a_project_name_nothing_is_seen(hint: str | None) -> None:
    """The reason says what to set."""
    async with engine_with(ACME) as (_, engine):
        assert "COMPOSE_PROJECT_NAME" in reason(await engine.observe(NOW, hint))


async def test_project_without_containers_is_an_answer() -> None:
    """A mailcow that is down; the sleep of what is not there is unseen."""
    async with engine_with(ACME) as (_, engine):
        found = project(await engine.observe(NOW, "down"))
    assert found.containers == ()
    assert "no container of acme-mailcow" in reason(found.acme_sleep)


async def test_stopped_containers_count_and_one_off_ones_do_not() -> None:
    """A stopped container is part of mailcow; `docker compose run` leaves some that are not."""
    stopped = replace(NGINX, state="exited", status="Exited (0) 2 days ago")
    created = replace(NGINX, id=OTHER_ID, state="created", status="Created", started="0001-01-01T00:00:00Z")
    once = replace(ACME, id="e" * 64, oneoff="True")
    async with engine_with(stopped, created, once) as (_, engine):
        found = project(await engine.observe(NOW, "mailcowdockerized"))
    assert [(c.id, c.state, c.started_at) for c in found.containers] == [
        (NGINX_ID, "exited", STARTED),
        (OTHER_ID, "created", 0.0),
    ]


async def test_passwords_stay_out() -> None:
    """acme-mailcow has the database's and Redis's in its environment; a value of ours may end in a log."""
    secret = ["DBPASS=x", "REDISPASS=x", "API_KEY=x", "CF_Token=x", "AWS_SECRET=x", "DBNAME=mailcow"]
    async with engine_with(replace(ACME, env=secret)) as (_, engine):
        acme = project(await engine.observe(NOW, "mailcowdockerized")).service("acme-mailcow")
    assert acme is not None
    assert acme.env == {"DBNAME": "mailcow"}


async def test_container_without_environment_has_an_empty_one() -> None:
    """The Engine says null."""
    async with engine_with(replace(ACME, env=None)) as (_, engine):
        acme = project(await engine.observe(NOW, "mailcowdockerized")).service("acme-mailcow")
    assert acme is not None
    assert acme.env == {}


@pytest.mark.parametrize("state", ["exited", "created", "restarting", "paused"])
async def test_sleep_of_a_container_that_does_not_run_is_unseen(state: str) -> None:
    """The reason is its state."""
    async with engine_with(replace(ACME, state=state, status="?")) as (_, engine):
        assert (
            reason(project(await engine.observe(NOW, "mailcowdockerized")).acme_sleep)
            == f"acme-mailcow is {state}"
        )


async def test_sleep_that_cannot_be_asked_is_unseen_and_all_else_seen() -> None:
    """A host without `ps`, or a proxy that forbids `top`."""
    async with engine_with(ACME, NGINX) as (fake, engine):
        fake.failing[f"/containers/{ACME_ID}/top"] = 500, "ps: not found"
        found = project(await engine.observe(NOW, "mailcowdockerized"))
    assert len(found.containers) == 2
    assert "500 ps: not found" in reason(found.acme_sleep)


async def test_unchanged_project_costs_two_calls() -> None:
    """A list and a `top`: what is up for hours and was looked at lately cannot have been started since."""
    async with engine_with(ACME, NGINX, OWN, own_ids=[OWN_ID]) as (fake, engine):
        first = await engine.observe(NOW, None)
        fake.calls.clear()
        second = await engine.observe(NOW + 30, None)
    assert fake.calls == ["GET /containers/json", f"GET /containers/{ACME_ID}/top"]
    assert isinstance(first, Seen)
    assert isinstance(second, Seen)
    assert second.value.containers == first.value.containers


@pytest.mark.parametrize(
    ("change", "later"),
    [
        ({"status": "Up 3 seconds"}, 30.0),
        ({"status": "Up Less than a second"}, 30.0),
        ({"status": "Up About a minute"}, 60.0),
        ({"status": "Up 59 minutes"}, 30.0),
        ({"state": "restarting", "status": "Restarting (1) 2 hours ago"}, 30.0),
        # the list would not show a restart that was an hour ago
        ({"status": "Up About an hour"}, 3600.0),
        # the clock was set back: no age can be trusted
        ({"status": "Up 3 hours"}, -30.0),
    ],
)
async def test_container_that_may_have_been_restarted_is_inspected_again(
    change: dict[str, str], later: float
) -> None:
    """A restart is never missed for the sake of cheapness."""
    async with engine_with(NGINX) as (fake, engine):
        await engine.observe(NOW, "mailcowdockerized")
        fake.containers[0] = changed(NGINX, started="2026-08-01T13:00:20Z", **change)
        match await engine.observe(NOW + later, "mailcowdockerized"):
            case Seen(value):
                assert value.containers[0].started_at == NOW - 10
            case Unseen(why):
                pytest.fail(why)


async def test_container_removed_in_between_is_gone() -> None:
    """Listed, and no longer there when it was looked at."""
    async with engine_with(ACME, NGINX) as (fake, engine):
        fake.failing[f"/containers/{NGINX_ID}/json"] = 404, "No such container"
        found = project(await engine.observe(NOW, "mailcowdockerized"))
    assert [container.service for container in found.containers] == ["acme-mailcow"]


@pytest.mark.parametrize(
    ("commands", "expected"),
    [
        (["/sbin/tini -g -- /srv/acme.sh", "/bin/bash /srv/acme.sh", "sleep 1d"], "1d"),
        (["bash /srv/acme.sh", "sleep 30m"], "30m"),
        (["bash /srv/acme.sh", "/bin/sleep 1h"], "1h"),
        (["bash /srv/acme.sh", "busybox sleep 365d"], "365d"),
        (["bash /srv/acme.sh", "/bin/busybox sleep 3650d"], "3650d"),
        # waits within a run
        (["bash /srv/acme.sh", "sleep 10"], None),
        (["bash /srv/acme.sh", "sleep 2"], None),
        (["bash /srv/acme.sh", "sleep 1m"], None),
        # at work
        (["bash /srv/acme.sh"], None),
        (["bash /srv/acme.sh", "acme-tiny --account-key /var/lib/acme/acme/account.pem"], None),
        # a command that speaks of sleep does not sleep
        (["sh -c sleep 1d; true"], None),
        (["grep sleep 1d"], None),
        (["sleep 1d extra"], None),
        ([""], None),
    ],
)
def test_only_the_sleep_between_runs_counts(commands: list[str], expected: str | None) -> None:
    """Its argument tells how the run before ended."""
    rows = [["root", "1", "0", "0", "10:00", "?", "00:00:00", command] for command in commands]
    assert sleep_argument(TITLES, rows) == expected


def test_column_of_the_command_is_found_by_its_title() -> None:
    """Another `ps` on the host has other columns; without a known title the last is the command."""
    assert sleep_argument(["PID", "COMMAND", "USER"], [["1", "sleep 1d", "root"]]) == "1d"
    assert sleep_argument(["PID", "WHAT"], [["1", "sleep 1d"]]) == "1d"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("mailcowdockerized", "mailcowdockerized"),
        ("MailCow Dockerized!", "mailcowdockerized"),
        ("mailcow-dockerized", "mailcow-dockerized"),
        ("__my_mail", "my_mail"),
        ("Ünïcode", "ncode"),
    ],
)
def test_project_names_are_as_compose_makes_them(given: str, expected: str) -> None:
    """Lower-case letters, digits, dash and underscore, beginning with none of the last two."""
    assert project_name(given) == expected


async def test_restart_restarts_what_was_decided_about() -> None:
    """Still the same, still asleep."""
    async with engine_with(ACME) as (fake, engine):
        await engine.restart(ACME_ID, STARTED)
    assert fake.calls[-1] == f"POST /containers/{ACME_ID}/restart"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"started": "2026-08-01T12:59:59Z"}, "somebody started or stopped it"),
        ({"state": "exited"}, "it is exited"),
        ({"commands": ["bash /srv/acme.sh", "sleep 10"]}, "working"),
        ({"id": OTHER_ID}, "it is gone"),
    ],
)
async def test_restart_of_what_has_changed_is_refused(change: dict[str, object], words: str) -> None:
    """What was decided a moment ago may be wrong now."""
    async with engine_with(changed(ACME, **change)) as (fake, engine):
        with pytest.raises(TemporaryError, match=words):
            await engine.restart(ACME_ID, STARTED)
    assert fake.count("POST") == 0


async def test_failed_restart_says_what_the_engine_said() -> None:
    """The Engine's words, and that it is tried again."""
    async with engine_with(ACME) as (fake, engine):
        fake.failing[f"/containers/{ACME_ID}/restart"] = 500, "cannot stop"
        with pytest.raises(
            TemporaryError, match=r"restarting container aaaaaaaaaaaa failed: .* 500 cannot stop"
        ):
            await engine.restart(ACME_ID, STARTED)


async def test_refused_restart_is_permanent() -> None:
    """A proxy before the socket that lets nobody restart anything."""
    async with engine_with(ACME) as (fake, engine):
        fake.failing[f"/containers/{ACME_ID}/restart"] = 403, "forbidden"
        with pytest.raises(PermanentError, match=r"403 forbidden.*is there a proxy"):
            await engine.restart(ACME_ID, STARTED)


async def test_log_has_the_last_lines() -> None:
    """In their order, the oldest first; what is no UTF-8 harms nobody."""
    async with engine_with(replace(ACME, log="one\ntwo\nthree\n")) as (_, engine):
        assert await engine.logs_tail(ACME_ID, NOW, 2) == ("two", "three")


async def test_log_begins_where_it_is_wanted_from() -> None:
    """By the time at which the Engine took a line."""
    said = [(NOW - 1.5, "before"), (NOW + 0.5, "after"), (NOW + 2.0, "later")]
    async with engine_with(replace(ACME, said=said)) as (_, engine):
        assert await engine.logs_tail(ACME_ID, NOW) == ("after", "later")
        times = [line.partition(" ")[0] for line in await engine.logs_tail(ACME_ID, NOW, stamped=True)]
        assert [datetime.fromisoformat(at).timestamp() for at in times] == [NOW + 0.5, NOW + 2.0]


async def test_log_of_a_container_that_is_gone_is_an_error() -> None:
    """Temporary: the next pass has another container."""
    async with engine_with() as (_, engine):
        with pytest.raises(TemporaryError, match="it is gone"):
            await engine.logs_tail(ACME_ID, NOW)


@asynccontextmanager
async def engine_at(docker_host: str) -> AsyncIterator[Engine]:
    """A client of whatever is there."""
    engine = Engine(docker_host, own_ids=lambda: ())
    try:
        yield engine
    finally:
        await engine.close()


async def test_missing_socket_is_unseen_with_what_to_do() -> None:
    """The usual case without Docker."""
    async with engine_at("unix:///tmp/there-is-no-such.sock") as engine:
        why = reason(await engine.observe(NOW, "mailcowdockerized"))
    assert "unix:///tmp/there-is-no-such.sock has no socket there; mount Docker's socket" in why


async def test_socket_without_an_engine_is_unseen_with_what_to_do() -> None:
    """Docker is stopped, and its socket still there."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder, socket.socket(socket.AF_UNIX) as dead:
        dead.bind(f"{folder}/s")
        async with engine_at(f"unix://{folder}/s") as engine:
            assert "is Docker running" in reason(await engine.observe(NOW, "mailcowdockerized"))


async def test_port_without_an_engine_is_unseen() -> None:
    """The same for a TCP address."""
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        async with engine_at(f"tcp://{LOOPBACK}:{taken.getsockname()[1]}") as engine:
            assert "is Docker running" in reason(await engine.observe(NOW, "mailcowdockerized"))


async def test_strange_address_is_unseen() -> None:
    """A mistake in DOCKER_HOST is reported as such."""
    async with engine_at("carrier-pigeon://roof") as engine:
        assert "is DOCKER_HOST right?" in reason(await engine.observe(NOW, "mailcowdockerized"))


async def test_something_else_than_an_engine_is_unseen() -> None:
    """What is answered is not understood."""
    async with engine_with(ACME) as (fake, engine):
        fake.broken = True
        assert "is it a Docker engine?" in reason(await engine.observe(NOW, "mailcowdockerized"))


async def test_engine_that_comes_back_is_seen_again() -> None:
    """An engine that was not there at first is found in a later pass."""
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        port = taken.getsockname()[1]
    async with engine_at(f"tcp://{LOOPBACK}:{port}") as engine:
        reason(await engine.observe(NOW, "mailcowdockerized"))
        async with serving(ACME) as fake:
            engine.docker_host = fake.docker_host
            assert project(await engine.observe(NOW, "mailcowdockerized")).service("acme-mailcow")


async def test_missing_certificates_for_tls_are_unseen(tmp_path: Path) -> None:
    """Making an engine opens nothing; asking it says what is missing."""
    engine = Engine("tcp://127.0.0.1:1", cert_path=tmp_path, own_ids=lambda: ())
    assert "Path to a certificate" in reason(await engine.observe(NOW, "mailcowdockerized"))


MOUNT = "1 2 8:1 /var/lib/docker/containers/{id}/{file} /etc/{file} rw,relatime - ext4 /dev/sda1 rw\n"


@pytest.mark.parametrize(
    ("mountinfo", "hostname", "expected"),
    [
        (MOUNT.format(id=OWN_ID, file="hostname") + MOUNT.format(id=OWN_ID, file="hosts"), None, (OWN_ID,)),
        # another data-root
        (MOUNT.format(id=OWN_ID, file="resolv.conf").replace("/var/lib", "/srv/x"), "mail", (OWN_ID,)),
        ("", OWN_ID[:12], (OWN_ID[:12],)),
        (MOUNT.format(id=OWN_ID, file="hosts"), "dddddddddddd", (OWN_ID, "dddddddddddd")),
        # on the host, other containers' mounts are seen
        (f"1 2 0:5 / /var/lib/docker/containers/{OTHER_ID}/mounts/shm rw - tmpfs shm rw\n", "mail", ()),
        # a name given by `hostname:`
        ("", "mail.example.org", ()),
        ("", None, ()),
    ],
)
def test_own_container_is_found(mountinfo: str, hostname: str | None, expected: tuple[str, ...]) -> None:
    """By the files that the Engine mounts, else by the name that it gives."""
    assert candidates(mountinfo, hostname) == expected


async def test_acme_mailcow_is_not_re_created_unseen_whatever_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also if the reason is an empty text."""

    async def observe(*_: object) -> Sight[Project]:
        return Unseen("", NOW)

    async with serving(ACME) as fake:
        engine = AcmeEngine(fake.docker_host, own_ids=lambda: ())
        monkeypatch.setattr(engine, "observe", observe)
        with pytest.raises(Untouched):
            await engine.recreate(
                ACME_ID, expected=Project("mailcow", ()), expected_started_at=STARTED, environment={}, now=NOW
            )
        await engine.close()
