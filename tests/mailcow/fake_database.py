"""mailcow's database as far as the sidecar asks it, in memory; its keys are those of a simulated mailcow."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pydantic import SecretStr

from demo.simulated import SimulatedMailcow
from sidecar.host.errors import SidecarError
from sidecar.mailcow.database import Database, PolicyRow, new_key
from sidecar.observed import Conf
from sidecar.observed.mailcow import ApiKey


def row(key: str, allowed: str, *, writes: bool = True, active: bool = True) -> ApiKey:
    """A row of table `api`."""
    return ApiKey(SecretStr(key), writes, active, False, allowed)


@dataclass
class FakeDatabase(Database):
    """`rows` is table `api`, `trouble` what each call raises, `calls` what was asked."""

    mailcow: SimulatedMailcow
    rows: list[ApiKey] = field(default_factory=list)
    trouble: SidecarError | None = None
    calls: list[str] = field(default_factory=list)

    def took_effect(self) -> None:
        """mailcow's API goes by the rows."""
        active = [one for one in self.rows if one.writes and one.active]
        self.mailcow.api.key = active[0].key.get_secret_value() if active else None
        self.mailcow.api.allow_from = tuple(active[0].allowed.split(",")) if active else ()

    async def keys(self, conf: Conf) -> tuple[ApiKey, ...]:
        self._called("keys")
        return tuple(self.rows)

    async def create_key(self, conf: Conf, address: str) -> None:
        self._called("create")
        self.rows.append(row(new_key(), address))
        self.took_effect()

    async def widen_key(self, conf: Conf, row: ApiKey, allowed: str) -> None:
        self._called("widen")
        self.rows = [replace(one, allowed=allowed) if one == row else one for one in self.rows]
        self.took_effect()

    async def policies(self, conf: Conf) -> Mapping[str, PolicyRow]:
        self._called("policies")
        texts = {name: self.mailcow.policy_text(name) for name in self.mailcow.policies}
        return {
            name: PolicyRow(str(self.mailcow.policies[name].id), text)
            for name, text in texts.items()
            if text is not None
        }

    def _called(self, what: str) -> None:
        self.calls.append(what)
        if self.trouble is not None:
            raise self.trouble
