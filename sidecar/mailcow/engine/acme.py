"""The Docker engine with everything that the sidecar does to acme-mailcow: observe, restart, re-create, repair.

A pass gets it as one object, so that the demo and tests can replace it. Rule for every editor: when to re-create is
decided elsewhere; here it is only refused if something has changed since the observation.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from sidecar.host.errors import TemporaryError
from sidecar.mailcow.engine import recreate
from sidecar.mailcow.engine.changes import EngineChanges
from sidecar.mailcow.engine.client import ACME, Engine, Untouched
from sidecar.mailcow.engine.sdk import docker
from sidecar.observed import NEW_SUFFIX, OLD_SUFFIX, Project, Seen, Sight, Unseen

# A call that its pass no longer waits for continues in its thread: nothing may be repaired meanwhile.
_ONE_AT_A_TIME = threading.Lock()


class AcmeEngine(Engine):
    """`Engine`, and the re-creation of acme-mailcow."""

    async def recreate(
        self,
        container_id: str,
        *,
        expected: Project,
        expected_started_at: float,
        environment: Mapping[str, str],
        now: float,
    ) -> None:
        """Re-creates acme-mailcow with otherwise identical settings and these variables; returns when it runs.

        `expected` is the project as the decision saw it, `expected_started_at` (Unix seconds) that container's
        start in it. Raises Untouched, with nothing done, if any of it changed since, or acme-mailcow is
        working; RecreateRefused, with nothing done, if a call is not allowed; TemporaryError or PermanentError
        if a call failed: then the old container runs again, or the text says that `heal` has to repair it.
        """
        found = await self.observe(now, expected.name)
        reason = _why_not(found, container_id, expected, expected_started_at)
        if reason is not None:
            raise Untouched(f"{ACME} was not re-created: {reason}")
        what = f"re-creating {ACME}"

        def attempt(client: docker.APIClient) -> None:
            with _alone(what):
                calls = EngineChanges(client, self.docker_host)
                recreate.recreate(calls, container_id, environment, expected.name)

        await self.ask(what, attempt)

    async def heal(self, project_name: str) -> str | None:
        """Repairs an interrupted re-creation; returns what was done, None if there was nothing to do.

        Costs one call if nothing is left. Raises TemporaryError if the Engine fails, PermanentError if it
        refuses, or if a person has to choose.
        """
        what = f"repairing an interrupted re-creation of {ACME}"

        def repair(client: docker.APIClient) -> str | None:
            with _alone(what):
                return recreate.heal(EngineChanges(client, self.docker_host), project_name)

        return await self.ask(what, repair)


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


def _why_not(
    found: Sight[Project], container_id: str, expected: Project, expected_started_at: float
) -> str | None:
    """Why the container must not be touched: the project has changed, or acme-mailcow does not sleep. Pure.

    A container never changes its image, so the same ids have the same images.
    """
    if isinstance(found, Unseen):
        return found.reason
    project = found.value
    was, now_is = ({c.id: c for c in seen.containers} for seen in (expected, project))
    changed = [c for c in (was | now_is).values() if was.get(c.id) != now_is.get(c.id)]
    acme = [c for c in now_is.values() if c.service == ACME]
    target = now_is.get(container_id)
    if project.name != expected.name or changed or target is None:
        names = ", ".join(sorted({c.name for c in changed})) or "the container"
        return f"meanwhile {names} changed (mailcow is being started, stopped or updated?); the next pass looks again"
    if (target.state, target.started_at) != ("running", expected_started_at):
        return f"it is {target.state}, or was started since; the next pass looks again"
    if acme != [target] or target.name.endswith((OLD_SUFFIX, NEW_SUFFIX)):
        return f"it has {len(acme)} containers, or one that is being re-created; the next pass looks again"
    match project.acme_sleep:
        case Seen(None):
            return "it is working now; the next pass looks again"
        case Unseen(reason):
            return f"{reason}; the next pass looks again"
        case _:
            return None
