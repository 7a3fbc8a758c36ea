"""The Docker engine with all that the sidecar does to acme-mailcow: look, restart, re-create, repair.

One object for a pass to be given, so that the demo and tests can put another in its place.
"""

from collections.abc import Mapping

from sidecar.mailcow.engine import recreate
from sidecar.mailcow.engine.client import Engine
from sidecar.observed import Project


class AcmeEngine(Engine):
    """`Engine`, and what `recreate` can do with it."""

    async def recreate(
        self,
        container_id: str,
        *,
        expected: Project,
        expected_started_at: float,
        environment: Mapping[str, str],
        now: float,
    ) -> None:
        """Puts a new container with this environment in the place of acme-mailcow's; raises as `recreate.recreate`."""
        await recreate.recreate(
            self,
            container_id,
            expected=expected,
            expected_started_at=expected_started_at,
            environment=environment,
            now=now,
        )

    async def heal(self, project_name: str) -> str | None:
        """Repairs what a re-creation that was cut off left; see `recreate.heal`."""
        return await recreate.heal(self, project_name)
