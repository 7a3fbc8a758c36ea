"""`sidecar run`: runs a pass at every trigger, until SIGTERM.

Rule for every editor: triggers only wake the loop; actions are always computed from the current state. Each loop
catches errors only at the top of its pass, and ends within two seconds on request.
"""

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from watchfiles import watch

from sidecar.daemon.event_log import EventLog
from sidecar.daemon.state_log import StateLog
from sidecar.daemon.surface import Live
from sidecar.daemon.wiring import Parts, assembled, read_settings
from sidecar.host.clock import Clock
from sidecar.host.errors import NoSpaceError, SidecarError
from sidecar.host.heartbeat import beat
from sidecar.host.lean import structlog
from sidecar.host.lock import PassLock
from sidecar.host.release import release
from sidecar.host.scarce import logged_once
from sidecar.host.tasks import end_tasks, in_thread
from sidecar.mailcow import conf as conf_file
from sidecar.mailcow.engine.acme import AcmeEngine
from sidecar.observed import Observed, Unseen
from sidecar.plan.schedule import next_pass, poll_now, time_left, wait_after
from sidecar.reconcile.apply import Result
from sidecar.reconcile.passes import PassReport
from sidecar.settings import CONFIG, Settings, ensure_config_folder
from sidecar.status.repeats import hidden

GATHER_S = 0.2
"""Seconds in which several triggers lead to one pass."""
STEP_MS = 500
"""Interval of the file watch: each poll wakes the processor."""
WATCH_S = 60
"""Seconds without a change after which the file watch begins again."""
BEAT_S = 30.0
BEAT_IN_PASS_S = 60.0
"""Seconds between signs of life within a pass that makes progress."""
FOLLOW_UP_S = 0.5
MOST_FOLLOW_UPS = 3
"""Follow-up passes in a row; later changes wait for the poll."""
GRACE_S = 1.2
"""Seconds that a running pass gets to finish after a stop request."""
RECONNECT_S = (2, 5, 15, 60)
WATCHED_NAMES = frozenset({"mailcow.conf", ".env", "mta-sts.txt", "cert.pem", "config.yml", "wake"})
EVENT_SERVICES = frozenset({"acme-mailcow", "nginx-mailcow"})

log = structlog.get_logger()


class Daemon:
    """The long-running sidecar."""

    def __init__(
        self,
        env: Mapping[str, str],
        clock: Clock,
        *,
        engine: AcmeEngine | None = None,
        on_settings: Callable[[Settings], None] | None = None,
        on_report: Callable[[PassReport], None] | None = None,
    ) -> None:
        """`engine` replaces the Docker engine (for tests).

        `on_settings` is called with the settings before they take effect, `on_report` after each pass.
        """
        self._env = env
        self._clock = clock
        self._engine = engine
        self._on_settings = on_settings
        self._on_report = on_report
        self._stop = asyncio.Event()
        self._wake = asyncio.Event()
        self._reload = False
        self._by_hand = False
        self._event_log = EventLog(clock.now)
        self._state_log = StateLog(EventLog(clock.now))
        self._follow_ups = 0
        self._lock: PassLock | None = None
        """Held during a pass, and while a container is being changed in the background."""
        self.live = Live(clock, self._wake.set)

    def stop(self) -> None:
        self._stop.set()
        self._wake.set()

    def reload(self) -> None:
        """Reads the settings and mailcow again (SIGHUP)."""
        self._by_hand = self._reload = True
        self._wake.set()

    async def run(self) -> None:
        """Runs until `stop`; raises SettingsError if the settings are invalid at the start."""
        settings = read_settings(self._env, self._clock)
        if not settings.dry_run:
            await asyncio.to_thread(ensure_config_folder, settings.mailcow_dir)
        asyncio.get_running_loop().set_exception_handler(logged_once())
        with self._signals():
            while not self._stop.is_set():
                if self._on_settings is not None:
                    self._on_settings(settings)
                made = assembled(
                    settings, self._clock, self._env, self._event_log, patient=False, engine=self._engine
                )
                async with contextlib.AsyncExitStack() as stack:
                    try:
                        parts = await stack.enter_async_context(made)
                    except NoSpaceError as error:
                        # There may be space again at any moment. Health reports the trouble, as no pass runs.
                        self._event_log.failed(str(error))
                        self._reload = True  # the settings were not watched in the meantime
                        self._wake.clear()
                        if not self._stop.is_set():
                            with contextlib.suppress(TimeoutError):
                                await asyncio.wait_for(self._wake.wait(), settings.intervals.poll)
                        continue
                    settings = await self._serve(parts)

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        handlers: dict[signal.Signals, Callable[[], None]] = {
            signal.SIGTERM: self.stop,
            signal.SIGINT: self.stop,
            signal.SIGHUP: self.reload,
        }
        for number, handler in handlers.items():
            loop.add_signal_handler(number, handler)
        try:
            yield
        finally:
            for number in handlers:
                loop.remove_signal_handler(number)

    async def _serve(self, parts: Parts) -> Settings:
        """Runs passes with these settings until they change or the process stops; returns the settings to use next."""
        parts.passes.observer.checks.checker.finished = self._wake.set
        parts.passes.observer.containers.finished = self._wake.set
        parts.passes.applier.containers.finished = self._wake.set
        parts.passes.publishing.records.finished = self._wake.set
        parts.receiving.wake = self._wake.set
        parts.passes.on_observed = lambda observed: self._log_observed(observed, parts.settings)
        log.info(
            "started",
            release=release(),
            mailcow=str(parts.settings.mailcow_dir),
            dry_run=parts.settings.dry_run,
        )
        await self.live.begin(parts)
        side = [
            asyncio.create_task(self._watch_files(parts.settings)),
            asyncio.create_task(self._watch_engine(parts)),
            asyncio.create_task(parts.receiving.run()),
        ]
        try:
            while True:
                self._wake.clear()
                due = await self._pass(parts)
                began = self._clock.now()
                while not self._stop.is_set() and not self._wake.is_set():
                    left = time_left(began, due, self._clock.now())
                    if left <= 0:
                        break
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._wake.wait(), max(0.05, min(BEAT_S, left)))
                    await self._beat(parts)
                if self._stop.is_set():
                    return parts.settings
                if self._wake.is_set():
                    await asyncio.sleep(GATHER_S)
                if self._by_hand:
                    self._by_hand = False
                    parts.session.try_again()
                changed = self._reread(parts.settings) if self._reload and self._lock is None else None
                if changed is not None:
                    return changed
        finally:
            await end_tasks(*side)
            await self.live.end()
            self._release()

    async def _beat(self, parts: Parts) -> None:
        await asyncio.to_thread(
            beat, parts.settings.state_dir, self._clock.now(), parts.passes.ledger.trouble
        )

    def _reread(self, settings: Settings) -> Settings | None:
        """New settings; None if they are unchanged or invalid (then the last valid ones stay)."""
        conf = conf_file.observe(settings.mailcow_dir, self._clock.now())
        # mailcow.conf has the API key, and an editor may be writing it now: read it again in the next pass.
        self._reload = isinstance(conf, Unseen)
        if self._reload:
            return None
        try:
            changed = read_settings(self._env, self._clock)
        except SidecarError as error:
            heading, *mistakes = str(error).splitlines()
            for mistake in mistakes or [heading]:
                log.error("settings invalid; the last valid settings stay in force", detail=mistake)
            return None
        if changed == settings:
            return None
        log.info("settings changed")
        return changed

    async def _pass(self, parts: Parts) -> float:
        """One pass under the lock; returns when the next one is due. The only place that catches everything."""
        started = asyncio.get_running_loop().time()
        self.live.pass_begins()
        task = asyncio.create_task(self._locked_pass(parts))
        ended = asyncio.create_task(self._stop.wait())
        try:
            while not task.done() and not ended.done():
                moves = self.live.pulse.moves
                await asyncio.wait({task, ended}, timeout=BEAT_IN_PASS_S, return_when=asyncio.FIRST_COMPLETED)
                if not task.done() and self.live.pulse.moves != moves:
                    await self._beat(parts)
            if not task.done():
                await asyncio.wait({task}, timeout=GRACE_S)
        finally:
            ended.cancel()
            if not task.done():
                await end_tasks(task)
        if task.cancelled():
            return self._clock.now()
        poll = poll_now(parts.settings.intervals.poll, parts.session.away_since, self._clock.now())
        seconds = asyncio.get_running_loop().time() - started
        # The sign of life comes first, so that `/healthz` and `sidecar healthy` agree.
        await self._beat(parts)
        match task.exception():
            case None:
                report = task.result()
                await self._shown(report, seconds)
                # After an action, the next step is planned at once and not at the next poll.
                done = any(outcome.result is Result.DONE for outcome in report.outcomes)
                self._follow_ups = self._follow_ups + 1 if done else 0
                if (done and self._follow_ups <= MOST_FOLLOW_UPS) or report.looking:
                    return self._clock.now() + FOLLOW_UP_S
                return next_pass(self._clock.now(), poll, (held.until for held in report.plan.held))
            case SidecarError() as error:
                self._event_log.failed(str(error))
                await self._shown(None, seconds, error)
            case error:
                log.error("pass bug", exc_info=error)
                await self._shown(None, seconds)
        return self._clock.now() + poll

    def _log_observed(self, observed: Observed, settings: Settings) -> None:
        """Logs what works; a bug there does not stop a pass before its actions."""
        try:
            self._state_log.observed(observed, settings)
        except Exception as bug:  # the top of reporting
            log.error("pass report bug", exc_info=bug)

    async def _shown(self, report: PassReport | None, seconds: float, error: Exception | None = None) -> None:
        """Shows and reports the result of a pass; a bug there does not stop the passes."""
        try:
            await self.live.pass_ended(report, seconds, error)
            if report is not None and (latest := self.live.latest()) is not None:
                await self._state_log.passed(*latest, self.live.settings)
        except Exception as bug:  # the top of reporting
            log.error("pass report bug", exc_info=bug)

    async def _locked_pass(self, parts: Parts) -> PassReport:
        if self._lock is None:
            lock = PassLock(parts.settings.state_dir, command="run")
            await lock.acquire()
            self._lock = lock
        try:
            report = await parts.passes.reconcile()
        finally:
            # While a container is being changed, no other process may change it.
            if not parts.passes.applier.containers.changing:
                self._release()
        notices = self._state_log.without_tasks(report.plan.notices)
        self._event_log.notices(notices, hidden(report.observed, report.plan.notices))
        self._event_log.held(report.plan.held, {notice.message for notice in report.plan.notices})
        if self._on_report is not None:
            self._on_report(report)
        return report

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    # --- triggers -----------------------------------------------------------------------------------

    async def _watch_files(self, settings: Settings) -> None:
        """Folders, never recursive: `.git` and `data/` of a mailcow are large."""
        while True:
            folders = watched_folders(settings)
            ended = threading.Event()
            # In a thread, and not with `awatch`: that loads all of anyio, which needs 1.3 MB.
            found = watch(
                *folders,
                recursive=False,
                watch_filter=lambda _change, path: Path(path).name in WATCHED_NAMES,
                step=STEP_MS,
                debounce=STEP_MS,
                rust_timeout=WATCH_S * 1_000,
                yield_on_timeout=False,
                stop_event=ended,
            )
            try:
                while (changes := await in_thread(partial(next, found, None))) is not None:
                    # mailcow.conf too: it may have the API key.
                    if any(Path(path).name in {CONFIG.name, "mailcow.conf"} for _, path in changes):
                        self._reload = True
                    self._wake.set()
                    if watched_folders(settings) != folders:
                        break
            except OSError as error:
                log.warning("file watch failed; retry in 60 s", detail=str(error))
                await asyncio.sleep(60)
            finally:
                ended.set()  # the thread ends at its next step

    async def _watch_engine(self, parts: Parts) -> None:
        failures = 0
        while True:
            try:
                async for event in parts.engine_events(EVENT_SERVICES):
                    failures = 0
                    if (event.service, event.action) == ("nginx-mailcow", "start"):
                        # mailcow may have been updated: its version is read again.
                        parts.session.restarted()
                    parts.passes.observer.containers.touched = True
                    self._wake.set()
            except (SidecarError, OSError) as error:
                log.debug("Docker events unreadable", detail=str(error))
            failures += 1
            await asyncio.sleep(wait_after(failures, RECONNECT_S))


def watched_folders(settings: Settings) -> tuple[Path, ...]:
    """The folders that are there of those whose files matter."""
    root = settings.mailcow_dir
    wanted = [
        root,
        (root / "mailcow.conf").resolve().parent,
        root / "data/web/.well-known",
        root / "data/assets/ssl",
        (root / CONFIG).parent,
        settings.state_dir,
    ]
    return tuple(dict.fromkeys(folder for folder in wanted if folder.is_dir()))
