"""What Compose files say about services: who has which fixed address, and how our service is written there; pure.

Only reads. A Compose file has its own tags (`!reset`, `!override`): they are ignored.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from sidecar.init.layout import yaml_problem

NETWORK = "mailcow-network"

_VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::?-(?P<default>[^}]*))?\}|\$(?P<plain>\w+)")


class _Loader(yaml.SafeLoader):
    """Reads values under any tag."""


def _untagged(loader: _Loader, _suffix: str, node: yaml.Node) -> object:
    match node:
        case yaml.MappingNode():
            return loader.construct_mapping(node, deep=True)
        case yaml.SequenceNode():
            return loader.construct_sequence(node, deep=True)
        case _:
            return loader.construct_scalar(node)  # type: ignore[arg-type]  # no other kind of node exists


_Loader.add_multi_constructor("!", _untagged)


@dataclass(frozen=True, slots=True)
class Services:
    """The services of a Compose file, by name."""

    by_name: Mapping[str, Mapping[str, Any]]

    @classmethod
    def read(cls, data: bytes | None) -> "Services":
        """The services of a file; a file without any, or no file, has none. Raises ValueError for invalid YAML."""
        try:
            content = yaml.load(data or b"", Loader=_Loader)  # noqa: S506  a SafeLoader
        except yaml.YAMLError as error:
            raise ValueError(yaml_problem(error, (data or b"").decode("utf-8", "replace"))) from error
        except ValueError as error:  # a value that is not what its form promises, such as a date
            raise ValueError("it cannot be read as YAML") from error
        found = content.get("services") if isinstance(content, dict) else None
        if not isinstance(found, dict):
            return cls({})
        return cls({str(name): service for name, service in found.items() if isinstance(service, dict)})

    def address(self, name: str, conf: Mapping[str, str]) -> str | None:
        """The fixed IPv4 address of a service in mailcow's network, with variables as `conf` has them."""
        networks = self.by_name.get(name, {}).get("networks")
        network = networks.get(NETWORK) if isinstance(networks, dict) else None
        address = network.get("ipv4_address") if isinstance(network, dict) else None
        return _expanded(address, conf) if isinstance(address, str) else None

    def holder(self, address: str, conf: Mapping[str, str], *, but: str) -> str | None:
        """The service that has this fixed address; `but` does not count."""
        return next(
            (name for name in self.by_name if name != but and self.address(name, conf) == address), None
        )

    def variables(self, name: str, conf: Mapping[str, str]) -> Mapping[str, str]:
        """The environment variables to which a service gives a value itself, with variables as `conf` has them."""
        given = self.by_name.get(name, {}).get("environment")
        if isinstance(given, dict):
            pairs = [(str(key), str(value)) for key, value in given.items() if value is not None]
        else:
            items = [str(item).partition("=") for item in given] if isinstance(given, list) else []
            pairs = [(key, value) for key, is_given, value in items if is_given]
        return {key: expanded for key, value in pairs if (expanded := _expanded(value, conf))}

    def context(self, name: str, conf: Mapping[str, str]) -> str | None:
        """The folder or git address that a service is built from, with variables as `conf` has them."""
        build = self.by_name.get(name, {}).get("build")
        context = build.get("context") if isinstance(build, dict) else build
        return _expanded(context, conf) if isinstance(context, str) else None

    def optional(self, name: str) -> bool:
        """Whether a service starts only with a profile: another one that depends on it then breaks the project."""
        return bool(self.by_name.get(name, {}).get("profiles"))


def differences(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> Sequence[str]:
    """The keys of a service in which two versions of it differ."""
    keys: Iterable[str] = [*ours, *(key for key in theirs if key not in ours)]
    return [key for key in keys if ours.get(key) != theirs.get(key)]


def _expanded(text: str, conf: Mapping[str, str]) -> str:
    def value(found: re.Match[str]) -> str:
        return conf.get(found["name"] or found["plain"]) or found["default"] or ""

    return _VARIABLE.sub(value, text)
