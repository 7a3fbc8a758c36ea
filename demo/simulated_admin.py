"""What the administrator of the simulated mailcow does: keys, updates, and the forms of mailcow's pages.

Rule for every editor: this writes to the tables directly, so that no request is seen that the sidecar did
not make. A test that wants mailcow's own answer to a write asks the API.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

from demo.simulated_api import Api
from demo.simulated_php import name_of
from demo.simulated_world import AliasRow, DomainRow, PolicyRow, World


class Administered:
    """The tables and keys of a simulated mailcow in the hands of its administrator."""

    def __init__(self, world: World, api: Api) -> None:
        self.world = world
        self.api = api
        self._hidden: dict[str, DomainRow] | None = None

    # --- keys and version

    @property
    def key(self) -> str | None:
        return self.api.key

    @key.setter
    def key(self, key: str | None) -> None:
        self.api.key = key

    @property
    def read_only_key(self) -> str | None:
        return self.api.read_only_key

    @read_only_key.setter
    def read_only_key(self, key: str | None) -> None:
        self.api.read_only_key = key

    @property
    def allow_from(self) -> tuple[str, ...]:
        return self.api.allow_from

    @allow_from.setter
    def allow_from(self, entries: Iterable[str]) -> None:
        self.api.allow_from = tuple(entries)

    @property
    def skip_ip_check(self) -> bool:
        return self.api.skip_ip_check

    @skip_ip_check.setter
    def skip_ip_check(self, value: bool) -> None:
        self.api.skip_ip_check = value

    @property
    def says_version(self) -> str | None:
        """Makes get/status/version report another version than the one simulated; None: null."""
        return self.world.said_version

    @says_version.setter
    def says_version(self, text: str | None) -> None:
        self.world.said_version = text

    def update_to(self, version: str | None) -> None:
        """mailcow is updated; the generation may change, the tables stay."""
        self.world.update_to(version)

    # --- what an administrator does in mailcow's page

    def add_domain(self, name: str, *, active: bool = True, backup_mx: bool = False) -> None:
        """Raises ValueError if mailcow would refuse the name."""
        domain = _name(name)
        if self.world.knows(domain) or domain == self.world.hostname:
            raise ValueError(f"mailcow would not take {name!r} as a new domain")
        row = DomainRow(domain, description=domain, created=self.world.now(), active=int(active))
        self.world.put_domain(replace(row, backupmx=int(backup_mx)))

    def edit_domain(self, name: str, *, active: bool | None = None, backup_mx: bool | None = None) -> None:
        """Raises KeyError where there is no such domain."""
        row = self.world.domains[_name(name)]
        if active is not None:
            row = replace(row, active=int(active))
        if backup_mx is not None:
            row = replace(row, backupmx=int(backup_mx))
        self.world.put_domain(replace(row, modified=self.world.now()))

    def delete_domain(self, name: str) -> None:
        """With its alias domains and its policy. Raises KeyError where there is no such domain."""
        self.world.drop_domain(self.world.domains[_name(name)].name)

    def add_alias(self, name: str, target: str, *, active: bool = True) -> None:
        """Raises KeyError if the target is not a domain, ValueError if mailcow would refuse the name."""
        alias = _name(name)
        if self.world.knows(alias):
            raise ValueError(f"mailcow would not take {name!r} as a new alias domain")
        target = self.world.domains[_name(target)].name
        self.world.put_alias(AliasRow(alias, target, int(active), created=self.world.now()))

    def delete_alias(self, name: str) -> None:
        """Raises KeyError where there is no such alias domain."""
        self.world.drop_alias(self.world.aliases[_name(name)].name)

    def person_sets_policy(
        self, domain: str, *, mode: str, mx: str | Iterable[str], max_age: int, active: bool = True
    ) -> None:
        """A person fills in the policy form; the id changes as mailcow changes it. Nothing is validated."""
        name = _name(domain)
        text = mx if isinstance(mx, str) else ",".join(mx)
        before = self.world.policies.get(name)
        row_id = before.id if before else self.world.new_id()
        row = PolicyRow(row_id, name, "stsv1", mode, text, max_age, int(active))
        if before and replace(row, active=before.active) != before:
            row = replace(row, id=self.world.new_id())
        self.world.update_policy(row)

    def hide_domains(self) -> None:
        """Empties table `domain`, as during a restore of the database; the other tables stay."""
        if self._hidden is None:
            self._hidden = self.world.replace_domains({})

    def show_domains(self) -> None:
        """The domains are back, without those added in between."""
        if self._hidden is not None:
            self.world.replace_domains(self._hidden)
            self._hidden = None

    @property
    def policies(self) -> Mapping[str, PolicyRow]:
        """The rows of table mta_sts by domain."""
        return MappingProxyType(self.world.policies)

    def policy_text(self, domain: str) -> str | None:
        """What the native generation serves for a policy domain; None is a 404."""
        return self.world.policy_text(f"mta-sts.{domain}")


def _name(name: str) -> str:
    found = name_of(name)
    if found is None:
        raise ValueError(f"{name!r} is not a domain name")
    return found
