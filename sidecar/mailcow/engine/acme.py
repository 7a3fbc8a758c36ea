"""The Docker engine with everything that the sidecar does to acme-mailcow: observe, restart, re-create, repair.

A pass gets it as one object, so that the demo and tests can replace it.
"""

from collections.abc import Mapping

from sidecar.mailcow.engine import recreate
from sidecar.mailcow.engine.client import Engine
from sidecar.observed import Project


class AcmeEngine(Engine):
    """`Engine` with the functions of `recreate`."""

    async def recreate(
        self,
        container_id: str,
        *,
        expected: Project,
        expected_started_at: float,
        environment: Mapping[str, str],
        now: float,
    ) -> None:
        """Re-creates acme-mailcow with this environment; raises as `recreate.recreate`."""
        await recreate.recreate(
            self,
            container_id,
            expected=expected,
            expected_started_at=expected_started_at,
            environment=environment,
            now=now,
        )

    async def heal(self, project_name: str) -> str | None:
        """Repairs an interrupted re-creation; see `recreate.heal`."""
        return await recreate.heal(self, project_name)
