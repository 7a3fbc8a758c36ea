"""The steps that re-create acme-mailcow with another environment, and that repair what an interrupted attempt left.

`restart` keeps a container's environment, so a changed ADDITIONAL_SAN needs a new container. Rules for every editor:

- The Engine must never start both containers with the host: the new one gets its restart policy
  last. Neither has the usual name while both exist (see `new_container`), so that `docker compose up -d`
  alone repairs everything, too.
- Only the name of the old container is changed, and it is removed last: until then every failure leads back to it.
- The containers are read again before anything is repaired: a lost answer may have been a success.
- Every call is listed in `calls` and has a deadline; the one for a stop is longer than the stop.

Everything here blocks, in the thread of `Engine.ask`. Whether to re-create is decided elsewhere: see `acme`.
"""

from collections.abc import Mapping

from sidecar.host.errors import PermanentError, SidecarError, TemporaryError
from sidecar.mailcow.engine.calls import CONNECT, CREATE, REMOVE, RENAME, START, STOP, UPDATE
from sidecar.mailcow.engine.changes import COMMAND, EngineChanges, RecreateRefused
from sidecar.mailcow.engine.client import ACME
from sidecar.mailcow.engine.new_container import (
    AcmeContainer,
    Json,
    Leftovers,
    Settlement,
    claimed_restart,
    differences,
    leftovers,
    own_name,
    recreation,
    restarts,
    way,
)
from sidecar.observed import NEW_SUFFIX, OLD_SUFFIX

_ONE_OFF = "com.docker.compose.oneoff"
STOP_GRACE_S = 10
STOP_GRACE_LIMIT_S = 120
"""The longest wait for a stop, whatever the container's own setting."""


def recreate(calls: EngineChanges, old: str, environment: Mapping[str, str], project_name: str) -> None:
    """Re-creates the container with the id `old`; blocks. Raises as `AcmeEngine.recreate`."""
    before = calls.inspect(old)
    named = calls.image_id(str(before["Config"]["Image"]))
    plan = recreation(before, environment, named)
    needed = [RENAME, CREATE, STOP, START, REMOVE]
    needed += [CONNECT] if plan.networks else []
    needed += [UPDATE] if restarts(plan.restart) else []
    for call in needed:
        calls.check_leave(call)
    # How long it may take to stop: its own `stop_grace_period`, up to a limit.
    grace_s = before["Config"].get("StopTimeout")
    if grace_s is None:
        grace_s = STOP_GRACE_S
    elif not 0 <= grace_s <= STOP_GRACE_LIMIT_S:
        grace_s = STOP_GRACE_LIMIT_S
    try:
        name = str(before["Name"]).removeprefix("/")
        calls.rename(old, name + OLD_SUFFIX)
        new = calls.create(name + NEW_SUFFIX, plan.body)
        for network, endpoint in plan.networks.items():
            calls.connect(network, new, endpoint)
        if strange := differences(before, calls.inspect(new), environment, named):
            raise PermanentError(
                f"the Docker engine at {calls.docker_host} created a container that differs from the request "
                f"({', '.join(strange)}); run `{COMMAND}` in the mailcow directory"
            )
        if not calls.sleeps(old):
            raise TemporaryError(f"{ACME} woke up meanwhile; the next pass looks again")
        calls.stop(old, int(grace_s))
        calls.start(new)
        if not calls.inspect(new)["State"]["Running"]:
            raise TemporaryError(f"the new container of {ACME} ended at once")
        if restarts(plan.restart):
            # A host that cannot do this shows it while the old container can still be restored.
            calls.set_restart(new, plan.body["HostConfig"]["RestartPolicy"])
        calls.remove(old, force=False)
        _finish(calls, new, plan.restart, name)
    except (SidecarError, KeyError, TypeError, ValueError, AttributeError) as error:
        _take_back(calls, old, project_name, error)


def _take_back(calls: EngineChanges, old: str, project_name: str, error: Exception) -> None:
    """Returns to the old container, or forward if it is gone; raises, unless the result is the wanted one."""
    said = (
        str(error)
        if isinstance(error, SidecarError)
        else f"an unexpected answer ({type(error).__name__}: {error})"
    )
    try:
        left = _leftovers(calls, project_name)
        taken = _settle(calls, left, back=True)
    except (SidecarError, KeyError, TypeError, ValueError, AttributeError) as again:
        raise TemporaryError(
            f"re-creating {ACME} failed: {said}; and undoing it failed, too: {again}; "
            f"`{COMMAND}` in the mailcow directory repairs it as well"
        ) from error
    if taken is Settlement.FORWARD:
        return
    # Our new container has replaced the old one: then only the last answer was lost.
    replaced = any(one.id != old and claimed_restart(one.label) for one in left.others)
    if taken is Settlement.NOTHING and replaced:
        return
    if isinstance(error, RecreateRefused):
        raise error
    kind = PermanentError if isinstance(error, PermanentError) else TemporaryError
    raise kind(f"re-creating {ACME} failed: {said}; {taken.value}") from error


def heal(calls: EngineChanges, project_name: str) -> str | None:
    """Repairs an interrupted re-creation; blocks. Returns and raises as `AcmeEngine.heal`."""
    left = _leftovers(calls, project_name)
    taken = _settle(calls, left)
    names = ", ".join(one.name for one in (left.old, left.new) if one)
    match taken:
        case Settlement.NOTHING:
            return None
        case Settlement.STUCK:
            raise PermanentError(
                f"a re-creation of {ACME} was interrupted and left {names}, and another container of it "
                f"does not run; run `{COMMAND}` in the mailcow directory"
            )
        case _:
            return f"a re-creation of {ACME} was interrupted and left {names}: {taken.value}"


def _leftovers(calls: EngineChanges, project_name: str) -> Leftovers:
    labels = [f"com.docker.compose.project={project_name}", f"com.docker.compose.service={ACME}"]
    rows = [row for row in calls.listed(labels) if row["Labels"].get(_ONE_OFF, "").lower() != "true"]
    left = leftovers(rows)
    if way(left) is Settlement.NOTHING:
        return left
    # For a moment after a stop, the Engine's list still shows the container as running; `inspect` does not.
    return leftovers({**row, "State": calls.inspect(row["Id"])["State"]["Status"]} for row in rows)


def _settle(calls: EngineChanges, left: Leftovers, *, back: bool = False) -> Settlement:
    """Returns to one container; each step may be the last that succeeds, and the next attempt continues there."""
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
        calls.stop(found.id, STOP_GRACE_S)  # if it is killed, no server might load the new certificate
    calls.remove(found.id, force=True)


def _finish(calls: EngineChanges, container_id: str, restart: Json, name: str) -> None:
    """The name is changed last: it shows that nothing is left to do."""
    if restarts(restart):
        calls.set_restart(container_id, restart)
    calls.rename(container_id, name)
