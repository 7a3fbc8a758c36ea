"""Re-creating acme-mailcow with another environment, and mending what a cut-off attempt left behind.

`restart` keeps a container's environment, so a changed ADDITIONAL_SAN needs a new container. Rules for every editor:

- At no moment are both containers to be started by the Engine with the host: the new one gets its restart policy
  last. Neither has the service's own name while both exist (see `recreation`), so that `docker compose up -d`
  alone mends everything, too.
- The old container is changed in nothing but its name, and removed last: until then every failure leads back to it.
- What is there is read anew before anything is mended: an answer that was lost may have been a success.
- Every call is listed in `engine_calls`, has a deadline, and one for a stop is longer than the stop.

When a re-creation is right is decided elsewhere; here it is only refused when the world is not as it was seen.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from sidecar.host.errors import PermanentError, SidecarError, TemporaryError
from sidecar.mailcow.engine.calls import CONNECT, CREATE, REMOVE, RENAME, START, STOP, UPDATE
from sidecar.mailcow.engine.changes import COMMAND, EngineChanges, RecreateRefused
from sidecar.mailcow.engine.client import ACME, Engine, Untouched
from sidecar.mailcow.engine.new_container import (
    AcmeContainer,
    Json,
    Leftovers,
    Recreation,
    Settlement,
    claimed_restart,
    differences,
    leftovers,
    own_name,
    recreation,
    restarts,
    way,
)
from sidecar.mailcow.engine.sdk import docker
from sidecar.observed import NEW_SUFFIX, OLD_SUFFIX, Project, Seen, Unseen

T = TypeVar("T")

_ONE_OFF = "com.docker.compose.oneoff"
STOP_GRACE_S = 10
STOP_GRACE_LIMIT_S = 120
"""A container that may take longer to stop, or for ever, is not waited for longer."""

# A call that is abandoned by its pass goes on in its thread: nothing may be mended meanwhile.
_ONE_AT_A_TIME = threading.Lock()


async def recreate(
    engine: Engine,
    container_id: str,
    *,
    expected: Project,
    expected_started_at: float,
    environment: Mapping[str, str],
    now: float,
) -> None:
    """Puts a new container in the place of acme-mailcow's, the same but for these variables; returns when it runs.

    `expected` is the project as the decision saw it, `expected_started_at` (Unix seconds) that container's
    start in it. Raises Untouched, with nothing done, where anything of it changed since, or acme-mailcow is
    at work; RecreateRefused with nothing done where a call is not allowed; TemporaryError or PermanentError
    where a call failed: then the old container runs again, or the text says that `heal` has yet to see to it.
    """
    await _check_unchanged(engine, container_id, expected, expected_started_at, now)
    what = f"re-creating {ACME}"

    def attempt(client: docker.APIClient) -> None:
        with _alone(what):
            _Attempt(
                EngineChanges(client, engine.docker_host), container_id, environment, expected.name
            ).run()

    await _ask(engine, what, attempt)


async def heal(engine: Engine, project_name: str) -> str | None:
    """Repairs what a re-creation that was cut off left; returns what was done, None where there was nothing to do.

    Costs one call where nothing is left. Raises TemporaryError where the Engine fails, PermanentError where it
    refuses, or where a person has to choose.
    """
    what = f"repairing a re-creation of {ACME} that was cut off"

    def look(client: docker.APIClient) -> str | None:
        with _alone(what):
            calls = EngineChanges(client, engine.docker_host)
            left = _leftovers(calls, project_name)
            taken = _settle(calls, left)
            names = ", ".join(one.name for one in (left.old, left.new) if one)
            match taken:
                case Settlement.NOTHING:
                    return None
                case Settlement.STUCK:
                    raise PermanentError(
                        f"a re-creation of {ACME} was cut off and left {names}, and another container of it "
                        f"does not run; run `{COMMAND}` in the mailcow directory"
                    )
                case _:
                    return f"a re-creation of {ACME} was cut off and left {names}: {taken.value}"

    return await _ask(engine, what, look)


async def _ask(engine: Engine, what: str, question: Callable[[docker.APIClient], T]) -> T:
    return await engine._ask(what, question)  # noqa: SLF001  the one way to ask with a deadline, in a thread


@contextmanager
def _alone(what: str) -> Iterator[None]:
    if not _ONE_AT_A_TIME.acquire(blocking=False):
        raise TemporaryError(
            f"{what}: an earlier re-creation of it is still under way; the next pass looks again"
        )
    try:
        yield
    finally:
        _ONE_AT_A_TIME.release()


async def _check_unchanged(
    engine: Engine, container_id: str, expected: Project, expected_started_at: float, now: float
) -> None:
    """Raises Untouched where the project is no longer as it was, or acme-mailcow does not sleep.

    A container never changes its image, so that the same ids have the same images.
    """
    sight = await engine.observe(now, expected.name)
    if isinstance(sight, Unseen):
        raise Untouched(f"{ACME} was not re-created: {sight.reason}")
    project = sight.value
    was, now_is = ({c.id: c for c in seen.containers} for seen in (expected, project))
    changed = [c for c in (was | now_is).values() if was.get(c.id) != now_is.get(c.id)]
    acme = [c for c in now_is.values() if c.service == ACME]
    target = now_is.get(container_id)
    if project.name != expected.name or changed or target is None:
        names = ", ".join(sorted({c.name for c in changed})) or "the container"
        raise Untouched(
            f"{ACME} was not re-created: meanwhile {names} changed (mailcow is being started, stopped or "
            "updated?); the next pass looks again"
        )
    if (target.state, target.started_at) != ("running", expected_started_at):
        raise Untouched(
            f"{ACME} was not re-created: it is {target.state}, or was started since; the next pass looks again"
        )
    if acme != [target] or target.name.endswith((OLD_SUFFIX, NEW_SUFFIX)):
        raise Untouched(
            f"{ACME} was not re-created: it has {len(acme)} containers, or one that is being re-created; "
            "the next pass looks again"
        )
    match project.acme_sleep:
        case Seen(None):
            raise Untouched(f"{ACME} was not re-created: it is at work now; the next pass looks again")
        case Unseen(reason):
            raise Untouched(f"{ACME} was not re-created: {reason}; the next pass looks again")
        case _:
            pass


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One re-creation, in the thread."""

    calls: EngineChanges
    container_id: str
    environment: Mapping[str, str]
    project_name: str

    def run(self) -> None:
        before = self.calls.inspect(self.container_id)
        named = self.calls.image_id(str(before["Config"]["Image"]))
        plan = recreation(before, self.environment, named)
        self._check_leave(plan)
        try:
            self._replace(before, plan, named)
        except (SidecarError, KeyError, TypeError, ValueError, AttributeError) as error:
            self._take_back(error)

    def _check_leave(self, plan: Recreation) -> None:
        needed = [RENAME, CREATE, STOP, START, REMOVE]
        needed += [CONNECT] if plan.networks else []
        needed += [UPDATE] if restarts(plan.restart) else []
        for call in needed:
            self.calls.check_leave(call)

    def _replace(self, before: Json, plan: Recreation, named: str | None) -> None:
        calls, old = self.calls, self.container_id
        name = str(before["Name"]).removeprefix("/")
        calls.rename(old, name + OLD_SUFFIX)
        new = calls.create(name + NEW_SUFFIX, plan.body)
        for network, endpoint in plan.networks.items():
            calls.connect(network, new, endpoint)
        if strange := differences(before, calls.inspect(new), self.environment, named):
            raise PermanentError(
                f"the Docker engine at {calls.docker_host} made another container than it was asked for "
                f"({', '.join(strange)}); run `{COMMAND}` in the mailcow directory"
            )
        self._check_asleep(old)
        calls.stop(old, _grace_s(before))
        calls.start(new)
        if not calls.inspect(new)["State"]["Running"]:
            raise TemporaryError(f"the new container of {ACME} ended at once")
        if restarts(plan.restart):
            # A host that cannot do this is found out while there still is a way back.
            calls.set_restart(new, plan.body["HostConfig"]["RestartPolicy"])
        calls.remove(old, force=False)
        _finish(calls, new, plan.restart, name)

    def _check_asleep(self, container_id: str) -> None:
        if not self.calls.sleeps(container_id):
            raise TemporaryError(f"{ACME} woke up meanwhile; the next pass looks again")

    def _take_back(self, error: Exception) -> None:
        """Leads back to the old container, or on where it is gone; raises, unless that is what was wanted."""
        said = (
            str(error)
            if isinstance(error, SidecarError)
            else f"a strange answer ({type(error).__name__}: {error})"
        )
        try:
            left = _leftovers(self.calls, self.project_name)
            taken = _settle(self.calls, left, back=True)
        except (SidecarError, KeyError, TypeError, ValueError, AttributeError) as again:
            raise TemporaryError(
                f"re-creating {ACME} failed: {said}; and taking it back failed, too: {again}; "
                f"`{COMMAND}` in the mailcow directory mends it as well"
            ) from error
        if taken is Settlement.FORWARD or (taken is Settlement.NOTHING and self._is_done(left)):
            return
        if isinstance(error, RecreateRefused):
            raise error
        kind = PermanentError if isinstance(error, PermanentError) else TemporaryError
        raise kind(f"re-creating {ACME} failed: {said}; {taken.value}") from error

    def _is_done(self, left: Leftovers) -> bool:
        """Whether a new container of ours has the old one's place: then only the last answer was lost."""
        return any(one.id != self.container_id and claimed_restart(one.label) for one in left.others)


def _grace_s(inspected: Json) -> int:
    """How long the container may take to end: its own `stop_grace_period`, within reason."""
    given: Any = inspected["Config"].get("StopTimeout")
    if given is None:
        return STOP_GRACE_S
    return int(given) if 0 <= given <= STOP_GRACE_LIMIT_S else STOP_GRACE_LIMIT_S


def _leftovers(calls: EngineChanges, project_name: str) -> Leftovers:
    labels = [f"com.docker.compose.project={project_name}", f"com.docker.compose.service={ACME}"]
    rows = [row for row in calls.listed(labels) if row["Labels"].get(_ONE_OFF, "").lower() != "true"]
    left = leftovers(rows)
    if way(left) is Settlement.NOTHING:
        return left
    # For a moment after a stop, the Engine's list says that the container runs; `inspect` does not.
    return leftovers({**row, "State": calls.inspect(row["Id"])["State"]["Status"]} for row in rows)


def _settle(calls: EngineChanges, left: Leftovers, *, back: bool = False) -> Settlement:
    """Gets to one container; each step may be the last one that succeeds, and the next attempt goes on there."""
    taken = way(left, back=back)
    match taken, left:
        case Settlement.BACK, Leftovers(old=AcmeContainer() as old, new=new):
            _discard(calls, new)
            if not old.alive:
                calls.start(old.id)
            calls.rename(old.id, own_name(old.name))
        case Settlement.FORWARD, Leftovers(old=old, new=AcmeContainer() as new):
            _discard(calls, old)
            if not new.alive:
                calls.start(new.id)
            _finish(calls, new.id, claimed_restart(new.label) or {}, own_name(new.name))
        case Settlement.CLEAR, _:
            _discard(calls, left.new)
            _discard(calls, left.old)
        case _:
            pass
    return taken


def _discard(calls: EngineChanges, found: AcmeContainer | None) -> None:
    if found is None:
        return
    if found.alive:
        calls.stop(found.id, STOP_GRACE_S)  # killed, it might leave a certificate that no server has loaded
    calls.remove(found.id, force=True)


def _finish(calls: EngineChanges, container_id: str, restart: Json, name: str) -> None:
    """The name comes last: it tells that nothing is left to do."""
    if restarts(restart):
        calls.set_restart(container_id, restart)
    calls.rename(container_id, name)
