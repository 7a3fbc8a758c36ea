"""`sidecar run` as the container starts it: what wakes it, what it survives, what it logs, and how it ends."""

import asyncio
import contextlib
import json
import socket
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web
from dns.rcode import Rcode

from demo.simulated import API, EVERYTHING, Fault, SimulatedMailcow
from sidecar.daemon.loop import Daemon
from sidecar.formats.mtasts_policy import Mode
from sidecar.host.lock import Locked, PassLock
from tests.dns.faulty import Reply, Silence
from tests.mailcow.fake_engine import LOOPBACK, FakeEngine
from tests.running import LINE, Running, command, process, until
from tests.stage import HOST, Stage, stage
from tests.worlds import text

pytestmark = pytest.mark.integration

LONG = 3_600
"""A poll (seconds) that no test waits for: what happens sooner has another trigger."""
END_S = 2.0


@asynccontextmanager
async def running(on: Stage, *, poll: int = LONG, quiet_end: bool = True) -> AsyncIterator[Running]:
    """`sidecar run` on a stage. It must end on SIGTERM with 0 within two seconds, and log neither a key nor a trace."""
    keys = [key for key in (on.mailcow.key, on.env.get("MTA_STS_API_KEY")) if key]
    async with process({**on.env, "MTA_STS_POLL": str(poll)}, "run") as sidecar:
        await sidecar.says("started")
        yield sidecar
        if quiet_end:
            code, took = await sidecar.end()
            assert (code, took < END_S) == (0, True), f"{code} after {took:.1f} s"
    assert sidecar.err == []
    assert [line for line in sidecar.out if any(key in line for key in keys) or "Traceback" in line] == []


async def settled(sidecar: Running, on: Stage) -> None:
    """The first pass is over: its sign of life is there."""
    heartbeat = on.root.parent / "state/heartbeat"
    await until(heartbeat.exists)


# --- the end --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("route", ["get/status/version", "get/domain/all", "add/mta-sts", "policy"])
async def test_sigterm_ends_it_while_mailcow_is_slow(tmp_path: Path, route: str) -> None:
    """A list may take two minutes; the end does not wait for it."""
    async with stage(tmp_path) as on:
        on.mailcow.slow(route, 60)
        async with running(on, quiet_end=False) as sidecar:
            await on.mailcow.until(lambda: bool(on.mailcow.asked(route)))
            code, took = await sidecar.end()
            assert (code, took < END_S) == (0, True), took


@dataclass
class Gate:
    """A Docker engine before the fake one: slow at the paths that end with `slow`, and with a stream of events."""

    engine: FakeEngine
    slow: str = "-"
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    listeners: asyncio.Event = field(default_factory=asyncio.Event)
    events: asyncio.Queue[dict[str, object]] = field(default_factory=asyncio.Queue)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.path.endswith(self.slow):
            self.reached.set()
            await self.ended.wait()
        if not request.path.endswith("/events"):
            return await self.engine.handle(request)
        response = web.StreamResponse()
        await response.prepare(request)
        self.listeners.set()
        while not self.ended.is_set():
            getting = asyncio.create_task(self.events.get())
            ending = asyncio.create_task(self.ended.wait())
            await asyncio.wait({getting, ending}, return_when=asyncio.FIRST_COMPLETED)
            if getting.done():
                await response.write(json.dumps(getting.result()).encode() + b"\n")
            getting.cancel()
            ending.cancel()
        return response


@asynccontextmanager
async def gated(on: Stage, *, slow: str = "-") -> AsyncIterator[Gate]:
    """The stage's Docker engine is this one."""
    gate = Gate(on.engine, slow)
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", gate.handle)
    runner = web.AppRunner(application, shutdown_timeout=0.5)
    await runner.setup()
    try:
        await web.TCPSite(runner, LOOPBACK, 0).start()
        on.more["DOCKER_HOST"] = f"tcp://{LOOPBACK}:{runner.addresses[0][1]}"
        yield gate
    finally:
        gate.ended.set()
        await runner.cleanup()


@pytest.mark.parametrize("path", ["/version", "/containers/json", "/top", "/restart"])
async def test_sigterm_ends_it_while_the_engine_is_slow(tmp_path: Path, path: str) -> None:
    """A call in a thread cannot be cancelled; the process ends without it."""
    async with stage(tmp_path) as on, gated(on, slow=path) as gate:
        on.resolves("mta-sts.example.org")
        on.configure("restart: {quiet: 0, settle: 0}")
        async with running(on, quiet_end=False) as sidecar:
            if path == "/restart":
                await sidecar.says("done: add policy")
                sidecar.hang_up()
            await asyncio.wait_for(gate.reached.wait(), 15)
            code, took = await sidecar.end()
            assert (code, took < END_S) == (0, True), took


@pytest.mark.parametrize("path", ["/version", "/containers/json", "/top"])
async def test_engine_that_hangs_delays_no_policy(tmp_path: Path, path: str) -> None:
    """Neither at the start nor later: it does not answer before the test is over."""
    async with stage(tmp_path) as on, gated(on, slow=path) as gate, running(on) as sidecar:
        await sidecar.says("done: add policy", "domain=example.org")
        await asyncio.wait_for(gate.reached.wait(), 15)
        on.mailcow.add_domain("new.example")
        sidecar.hang_up()
        await sidecar.says("done: add policy", "domain=new.example")
        assert not sidecar.lines("did not answer")
        assert sidecar.lines("warning", "the Docker engine has not answered yet")


async def test_restart_that_takes_long_delays_no_policy(tmp_path: Path) -> None:
    """It runs beside the passes, once, with the lock held: no other process may begin one meanwhile."""
    async with stage(tmp_path) as on, gated(on, slow="/restart") as gate:
        on.resolves("mta-sts.example.org")
        restart = "restart: {quiet: 0, settle: 0, spacing: 0}"
        on.configure(restart)
        async with running(on) as sidecar:
            await sidecar.says("done: add policy")
            sidecar.hang_up()
            await asyncio.wait_for(gate.reached.wait(), 15)
            on.mailcow.add_domain("new.example")
            on.resolves("mta-sts.new.example")
            sidecar.hang_up()
            await sidecar.says("done: add policy", "domain=new.example")
            on.configure(f"max_age: 172800\n{restart}")
            await sidecar.says("held: restart", "acme-mailcow is being restarted, re-created or repaired")
            assert not sidecar.lines("done: restart")
            with pytest.raises(Locked):
                await PassLock(tmp_path / "state").acquire(0)
            gate.ended.set()
            await sidecar.says("done: restart", "example.org")
            await sidecar.says("settings changed")
            await PassLock(tmp_path / "state").acquire(15)


async def test_engine_that_answers_late_is_seen_at_once(tmp_path: Path) -> None:
    """The late answer wakes it: the poll is an hour away."""
    async with stage(tmp_path) as on, gated(on, slow="/containers/json") as gate:
        on.resolves("mta-sts.example.org")
        on.configure("restart: {quiet: 600}")
        async with running(on) as sidecar:
            await sidecar.says("the Docker engine has not answered yet")
            assert not sidecar.lines("held: restart")
            gate.ended.set()
            await sidecar.says("held: restart", "new names are being collected")


async def test_sigterm_ends_it_while_another_process_has_the_lock(tmp_path: Path) -> None:
    """Waiting for the lock ends with the process, and leaves the lock alone."""
    async with stage(tmp_path) as on, PassLock(tmp_path / "state"), running(on):
        pass
    assert on.mailcow.requests == []


async def test_it_waits_for_the_lock_of_another_pass(tmp_path: Path) -> None:
    """Such as `once`: the daemon continues as soon as that has ended."""
    async with stage(tmp_path) as on:
        lock = PassLock(tmp_path / "state")
        await lock.acquire()
        async with running(on) as sidecar:
            assert on.served() == {}
            lock.release()
            await sidecar.says("done: add policy")


# --- files ----------------------------------------------------------------------------------------------


async def test_missing_or_broken_policy_file_is_repaired_within_seconds(tmp_path: Path) -> None:
    """By the watch on its folder: the poll is an hour away."""
    async with stage(tmp_path, version="2025-07") as on, running(on) as sidecar:
        await sidecar.says("done: write policy file")
        await settled(sidecar, on)
        on.policy_file.unlink()
        await sidecar.says("there is no policy file", times=2, seconds=5)
        assert on.policy_file.read_text() == text()
        on.policy_file.write_text("nonsense\n")
        await sidecar.says("done: write policy file", "not valid", seconds=5)
        assert on.policy_file.read_text() == text()


async def test_entry_that_a_key_lost_is_restored_within_seconds(tmp_path: Path) -> None:
    """mailcow's own scripts may rewrite mailcow.conf, by an editor's rename or in place."""
    async with stage(tmp_path, version="2025-07") as on, running(on) as sidecar:
        await sidecar.says("done: edit settings")
        await settled(sidecar, on)
        with_entry = on.conf.read_bytes()
        beside = on.root / "mailcow.conf.new"
        beside.write_bytes(with_entry.replace(b"SAN=mta-sts.*", b"SAN="))
        beside.replace(on.conf)
        await sidecar.says("done: edit settings", "ADDITIONAL_SAN lacks", times=2, seconds=5)
        assert on.conf.read_bytes() == with_entry
        on.conf.write_bytes(with_entry.replace(b"SERVER_NAMES=mta-sts.*", b"SERVER_NAMES="))
        await sidecar.says("done: edit settings", "ADDITIONAL_SERVER_NAMES lacks", times=2, seconds=5)
        assert on.conf.read_bytes() == with_entry


async def test_new_certificate_starts_a_pass_at_once(tmp_path: Path) -> None:
    """A restart that was held for a name may no longer be needed."""
    async with stage(tmp_path, config="restart: {quiet: 600, settle: 0}") as on:
        on.resolves("mta-sts.example.org")
        async with running(on) as sidecar:
            await sidecar.says("done: add policy")
            sidecar.hang_up()
            await sidecar.says("held: restart", "new names are being collected")
            on.certify(HOST, "mta-sts.example.org")
            asked = len(on.mailcow.requests)
            await on.mailcow.until(lambda: len(on.mailcow.requests) > asked, seconds=5)


async def test_new_key_in_mailcow_conf_is_used_at_once(tmp_path: Path) -> None:
    """A key is changed in two places; then nothing waits for the end of a refusal, and no key is shown."""
    async with stage(tmp_path) as on:
        old, new = str(on.mailcow.key), "FRESH1-FRESH2-FRESH3-FRESH4-FRESH5"
        on.mailcow.key = new
        async with running(on) as sidecar:
            await sidecar.says("does not know the API key")
            on.conf.write_text(on.conf.read_text().replace(old, new))
            await sidecar.says("done: add policy", seconds=5)
        assert [line for line in sidecar.out if old in line or new in line] == []


# --- settings -------------------------------------------------------------------------------------------


async def test_invalid_settings_change_nothing_and_valid_ones_take_effect(tmp_path: Path) -> None:
    """The mistake is logged with file, line and key; the last valid settings stay in force."""
    async with stage(tmp_path) as on, running(on) as sidecar:
        await sidecar.says("done: add policy")
        await settled(sidecar, on)
        on.configure("max_age: 172800\nmode: enforced\n")
        line = await sidecar.says("settings invalid", seconds=5)
        assert "data/conf/mta-sts/config.yml:2: mode: 'enforced'" in line
        assert on.served() == {"example.org": text()}
        on.configure("max_age: 172800\nmode: enforce\n")
        await sidecar.says("done: change policy", seconds=5)
        assert on.served() == {"example.org": text(Mode.ENFORCE, 172_800)}
        on.configure("nonsense: yes\n")
        await sidecar.says("settings invalid", "nonsense", seconds=5)
        assert on.served() == {"example.org": text(Mode.ENFORCE, 172_800)}


async def test_mailcow_conf_that_is_being_written_changes_no_settings(tmp_path: Path) -> None:
    """For a moment it is empty: its key is not lost, and config.yml is applied once the file is back."""
    async with stage(tmp_path) as on, running(on) as sidecar:
        await settled(sidecar, on)
        whole = on.conf.read_text()
        on.conf.write_text("")
        await sidecar.says("mailcow.conf", seconds=5)
        on.configure("mode: enforce\n")
        assert not sidecar.lines("settings changed")
        on.conf.write_text(whole)
        await sidecar.says("done: change policy", seconds=8)
        assert len(sidecar.lines("settings changed")) == 1


async def test_settings_in_a_folder_that_was_not_there_are_read(tmp_path: Path) -> None:
    """The sidecar creates the folder, with a .gitignore, so that it can watch it."""
    async with stage(tmp_path) as on, running(on) as sidecar:
        await settled(sidecar, on)
        assert (on.root / "data/conf/mta-sts/.gitignore").read_text() == "*\n"
        on.configure("mode: none")
        await sidecar.says("settings changed", seconds=5)


# --- other triggers -------------------------------------------------------------------------------------


async def test_sighup_starts_a_pass_at_once(tmp_path: Path) -> None:
    """The whole list, though no count is due."""
    async with stage(tmp_path) as on, running(on) as sidecar:
        await sidecar.says("done: add policy")
        on.mailcow.add_domain("new.example")
        sidecar.hang_up()
        await sidecar.says("done: add policy", "domain=new.example", seconds=5)


async def test_event_of_the_engine_wakes_it(tmp_path: Path) -> None:
    """A restart by somebody else is seen when it happens; the poll is an hour away."""
    async with stage(tmp_path) as on, gated(on) as gate, running(on) as sidecar:
        await settled(sidecar, on)
        await asyncio.wait_for(gate.listeners.wait(), 10)
        looked = on.engine.count("/containers/json")
        attributes = {
            "com.docker.compose.project": "mailcowdockerized",
            "com.docker.compose.service": "acme-mailcow",
        }
        event = {
            "Type": "container",
            "Action": "start",
            "timeNano": 1,
            "Actor": {"ID": "a", "Attributes": attributes},
        }
        gate.events.put_nowait(event)
        await until(lambda: on.engine.count("/containers/json") > looked, seconds=5)


async def test_adopt_in_another_process_is_acted_on_within_seconds(tmp_path: Path) -> None:
    """It writes the request into the state, and wakes the daemon."""
    async with stage(tmp_path) as on:
        on.mailcow.person_sets_policy("example.org", mode="testing", mx="mx.example.net", max_age=86_400)
        async with running(on) as sidecar:
            await sidecar.says("the policy of example.org is left unchanged")
            await settled(sidecar, on)
            assert (await command(on.env, "adopt", "Example.ORG.")).code == 0
            await sidecar.says("done: change policy", "domain=example.org", seconds=5)
            assert on.served() == {"example.org": text()}


async def test_new_domain_is_served_within_a_poll(tmp_path: Path) -> None:
    """By the counts, which are asked for at each poll."""
    async with stage(tmp_path) as on, running(on, poll=5) as sidecar:
        await sidecar.says("done: add policy")
        on.mailcow.add_domain("new.example")
        await on.mailcow.until(lambda: "new.example" in on.served(), seconds=7)


async def test_name_of_a_new_domain_is_asked_for_by_the_pass_that_reads_the_list(tmp_path: Path) -> None:
    """File generation: the text is the same for every domain, so that the name is all that follows from the list."""
    async with stage(tmp_path, version="2025-07") as on:
        on.engine.containers[0].env = ["ADDITIONAL_SAN=mta-sts.*"]
        async with running(on) as sidecar:
            await sidecar.says("done: write policy file")
            before = len(on.mailcow.asked("get/domain/all"))
            on.mailcow.add_domain("new.example")
            sidecar.hang_up()
            await sidecar.says("mta-sts.new.example has no address in the DNS", seconds=5)
            assert len(on.mailcow.asked("get/domain/all")) == before + 1


# --- trouble --------------------------------------------------------------------------------------------


def _api_500(on: Stage) -> None:
    on.mailcow.fail(API, Fault.HTML_500)


def _key_refused(on: Stage) -> None:
    on.mailcow.fail(API, Fault.KEY_GONE)


def _wrong_key(on: Stage) -> None:
    on.more["MTA_STS_API_KEY"] = "WRONG1-WRONG2-WRONG3"


def _address_refused(on: Stage) -> None:
    on.mailcow.allow_from = ("192.0.2.7",)


def _no_engine(on: Stage) -> None:
    on.more["DOCKER_HOST"] = f"unix://{on.root}/no.sock"


def _no_conf(on: Stage) -> None:
    on.conf.unlink()


def _in_dns(reply: Reply) -> Callable[[Stage], None]:
    def change(on: Stage) -> None:
        for key in on.dns:
            on.dns[key] = reply

    return change


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (_api_500, "500"),
        (_key_refused, "does not know the API key"),
        (_wrong_key, "does not know the API key"),
        (_address_refused, "API_ALLOW_FROM"),
        (_no_engine, "no.sock"),
        (_no_conf, "mailcow.conf does not exist"),
        (_in_dns(Rcode.SERVFAIL), "publish: mta-sts.example.org."),
        (_in_dns(Silence.FOREVER), "publish: mta-sts.example.org."),
    ],
)
async def test_expected_trouble_is_one_line_and_logged_once(
    tmp_path: Path, trouble: Callable[[Stage], None], words: str
) -> None:
    """No trace, no key, no second line for the same; and the passes continue."""
    async with stage(tmp_path) as on:
        trouble(on)
        async with running(on) as sidecar:
            heartbeat = tmp_path / "state/heartbeat"
            for _ in range(4):
                await until(heartbeat.exists)
                heartbeat.unlink()
                sidecar.hang_up()
            await sidecar.says(words)
        assert len(sidecar.lines(words)) == 1, sidecar.out
        assert [line for line in sidecar.out if not LINE.fullmatch(line)] == []


async def test_log_is_json_on_request(tmp_path: Path) -> None:
    """One object a line, also for a failure."""
    async with stage(tmp_path) as on:
        on.more["MTA_STS_LOG"] = "json"
        _no_engine(on)
        async with running(on) as sidecar:
            await sidecar.says("done: add policy")
            await sidecar.says("warning", "no.sock")
        events = [json.loads(line) for line in sidecar.out]
        assert all(event.keys() >= {"time", "level", "event"} for event in events)
        (done,) = [event for event in events if event["event"] == "done: add policy"]
        assert {"level": "info", "domain": "example.org"}.items() <= done.items()


def free_port() -> int:
    """A port on which nothing listens."""
    with socket.socket() as trial:
        trial.bind((LOOPBACK, 0))
        return int(trial.getsockname()[1])


async def test_daemon_that_starts_before_mailcow_recovers(tmp_path: Path) -> None:
    """After a reboot of the host everything starts at once."""
    port = free_port()
    async with stage(tmp_path) as on:
        on.more["MTA_STS_API_URL"] = f"http://{LOOPBACK}:{port}"
        async with running(on, poll=5) as sidecar:
            await sidecar.says("warning", str(port))
            async with await SimulatedMailcow.start(hostname=HOST, port=port, key=on.mailcow.key) as late:
                late.add_domain("example.org")
                await sidecar.says("done: add policy", seconds=8)
                await sidecar.says("info", "mailcow reachable again")
            assert len(sidecar.lines("warning", str(port))) == 1


async def test_update_from_the_file_to_rows_is_noticed_within_seconds(tmp_path: Path) -> None:
    """There is no event for php-fpm-mailcow; until the rows are written, senders find no policy."""
    async with stage(tmp_path, version="2025-07") as on, running(on) as sidecar:
        await sidecar.says("done: write policy file")
        on.mailcow.fail(EVERYTHING, Fault.HTML_502)
        sidecar.hang_up()
        await sidecar.says("warning", "502")
        on.mailcow.update_to("2026-07a")
        on.mailcow.heal()
        await sidecar.says("done: add policy")
        await sidecar.says("mailcow reachable again")
        await sidecar.says("mailcow changed from 2025-07")


async def test_redis_that_refuses_writes_is_one_error(tmp_path: Path) -> None:
    """However many domains, and passes; policies that wait for it add no line."""
    async with stage(tmp_path) as on:
        for number in range(6):
            on.mailcow.add_domain(f"d{number}.example")
            on.mailcow.person_sets_policy(f"d{number}.example", mode="none", mx=HOST, max_age=86_400)
        on.mailcow.fail(EVERYTHING, Fault.NOT_LOGGED)
        async with running(on) as sidecar:
            await sidecar.says("error", "Redis refuses writes (READONLY")
            heartbeat = tmp_path / "state/heartbeat"
            for _ in range(3):
                await until(heartbeat.exists)
                heartbeat.unlink()
                sidecar.hang_up()
            await until(heartbeat.exists)
        assert len(sidecar.lines("error")) == 1


async def test_sign_of_life_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    """On a full disk HEALTHCHECK reports it; policies are still written."""
    async with stage(tmp_path) as on:
        (tmp_path / "state/heartbeat").mkdir(parents=True)
        async with running(on) as sidecar:
            await sidecar.says("done: add policy")
            on.mailcow.add_domain("new.example")
            sidecar.hang_up()
            await sidecar.says("done: add policy", "domain=new.example", seconds=5)


async def test_state_that_cannot_be_written_turns_health_red(tmp_path: Path) -> None:
    """Another process has SQLite's lock; once it is released, the next pass stores, and health is good again."""
    async with stage(tmp_path) as on, running(on) as sidecar:
        await sidecar.says("done: add policy")
        await settled(sidecar, on)
        assert (await command(on.env, "healthy")).code == 0
        with contextlib.closing(sqlite3.connect(tmp_path / "state/state.sqlite")) as other:
            other.execute("BEGIN IMMEDIATE")
            on.mailcow.add_domain("new.example")
            sidecar.hang_up()
            await sidecar.says("pass failed", "writing the state failed")
            (tmp_path / "state/heartbeat").unlink(missing_ok=True)
            (tmp_path / "state/wake").touch()
            await settled(sidecar, on)
            ended = await command(on.env, "healthy")
            assert (ended.code, ended.out.startswith("the state cannot be written: ")) == (1, True), ended
        sidecar.hang_up()
        await sidecar.says("done: add policy", "domain=new.example")
        async with asyncio.timeout(15):
            while (await command(on.env, "healthy")).code:
                pass


@pytest.mark.parametrize("moves", [True, False])
async def test_slow_pass_gives_signs_of_life_while_it_moves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, moves: bool
) -> None:
    """Each answered read is one; a pass in which nothing is answered gives none."""
    monkeypatch.setattr("sidecar.daemon.loop.BEAT_IN_PASS_S", 0.3)
    async with stage(tmp_path) as on:
        for n in range(200):
            on.mailcow.add_domain(f"d{n}.example")
        on.mailcow.slow("policy", 0.1 if moves else 60)
        daemon = Daemon(on.env, on.clock)
        running_ = asyncio.create_task(daemon.run())
        heartbeat = tmp_path / "state/heartbeat"
        await on.mailcow.until(lambda: len(on.mailcow.asked("policy")) >= 4)
        if moves:
            await until(heartbeat.exists)
            assert len(on.mailcow.asked("policy")) < 200
        else:
            await asyncio.sleep(1)  # the answers before these are a sign
            heartbeat.unlink(missing_ok=True)
            await asyncio.sleep(1)
            assert not heartbeat.exists()
        assert daemon.live.pulse.passes == 0
        daemon.stop()
        await asyncio.wait_for(running_, 15)


async def test_bug_in_showing_a_pass_does_not_stop_the_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page, the metrics and the notifications are not needed for the work."""
    async with stage(tmp_path) as on:
        daemon = Daemon(on.env, on.clock)
        passes: list[object] = []

        async def broken(report: object, *_: object) -> None:
            passes.append(report)
            if len(passes) > 1:
                daemon.stop()
            raise RuntimeError("a bug")

        monkeypatch.setattr(daemon.live, "pass_ended", broken)
        await asyncio.wait_for(daemon.run(), 20)
        assert len(passes) > 1


async def test_bug_in_logging_what_works_does_not_stop_the_actions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes between observing and the first write."""

    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("sidecar.daemon.state_log.working", broken)
    async with stage(tmp_path) as on:
        daemon = Daemon(on.env, on.clock)
        running_ = asyncio.create_task(daemon.run())
        await until(lambda: "example.org" in on.served())
        daemon.stop()
        await asyncio.wait_for(running_, 15)
