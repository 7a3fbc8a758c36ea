"""Makes the settings from config.yml (with the line of each key), the environment and mailcow.conf.

Rules for every editor. All errors are reported together, each with its place and what is accepted. Nothing is guessed, and
an error never becomes a default. An error in the file is not an exception: it is collected with its line. Values stay text
until `values` checks them.
"""

import dataclasses
import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, TypeAlias

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, SecretStr, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from sidecar.formats.domain_name import to_ascii
from sidecar.settings import (
    CONFIG,
    DEFAULT_STATE_DIR,
    DomainOverride,
    Intervals,
    Manage,
    Notify,
    RestartSettings,
    Settings,
    SettingsError,
    Web,
    mailcow_dir_of,
    values,
)
from sidecar.settings import dns as dns_settings
from sidecar.settings.reports import GivenReports, Imap, Reports
from sidecar.settings.values import domain_name

Place: TypeAlias = tuple[int | str, ...]
"""The keys, and the numbers in lists, that lead to a value."""


@dataclass
class Tree:
    """config.yml as plain data (values as text, so that `no` does not become false), with the line of each key."""

    data: Any = field(default_factory=dict)
    lines: dict[Place, int] = field(default_factory=lambda: {(): 1})
    mistakes: list[tuple[int, str]] = field(default_factory=list)

    @classmethod
    def read(cls, config: bytes) -> "Tree":
        """The content of config.yml; YAML errors are among the mistakes."""
        tree = cls()
        try:
            root = yaml.compose(config, yaml.SafeLoader)
        except yaml.YAMLError as error:
            line, text = 1, "not a text in UTF-8; accepted: YAML"
            if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
                line, problem = (
                    error.problem_mark.line + 1,
                    ": ".join(filter(None, (error.context, error.problem))),
                )
                hint = " (a value that begins with * must stand in quotes)" if "alias" in problem else ""
                text = f"not YAML: {problem}{hint}; accepted: YAML"
            tree.mistakes.append((line, text))
            return tree
        if root is not None and not _is_null(root):
            tree.data = tree._read(root, (), ())
            tree._judge_domains()
        return tree

    def _read(self, node: yaml.Node, path: Place, above: tuple[yaml.Node, ...]) -> object:
        self.lines.setdefault(path, node.start_mark.line + 1)
        if any(node is one for one in above):
            self.mistakes.append(
                (self.lines[path], f"{dotted(path)}it contains itself; accepted: plain values")
            )
            return {}
        if isinstance(node, yaml.ScalarNode):
            return node.value
        above = (*above, node)
        if isinstance(node, yaml.SequenceNode):
            return [self._read(one, (*path, n), above) for n, one in enumerate(node.value)]
        found: dict[str, object] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                self.mistakes.append((line, f"{dotted(path)}a key is a list or a mapping; accepted: a word"))
                continue
            name = str(key.value)
            inner = (*path, name)
            if inner in self.lines:
                before = self.lines[inner]
                self.mistakes.append(
                    (line, f"{dotted(inner)}given in line {before} already; accepted: each key once")
                )
                continue
            self.lines[inner] = line
            if not _is_null(value):
                found[name] = self._read(value, inner, above)
            elif path == ("domains",):
                found[name] = {}
        return found

    def _judge_domains(self) -> None:
        """The keys under `domains` are names; different spellings may mean the same domain."""
        seen: dict[str, str] = {}
        domains = self.data.get("domains") if isinstance(self.data, dict) else None
        for name in domains if isinstance(domains, dict) else ():
            path: Place = ("domains", name)
            try:
                known = seen.setdefault(domain_name(name), name)
            except PydanticCustomError as error:
                self.mistakes.append((self.lines[path], f"domains: {error.message()}"))
                continue
            if known != name:
                line = self.lines["domains", known]
                self.mistakes.append(
                    (
                        self.lines[path],
                        f"domains: {name!r} is {known!r} of line {line}; accepted: each domain once",
                    )
                )

    def known(self, loc: Place) -> Place:
        """The part of a path that exists in the file."""
        while loc not in self.lines:
            loc = loc[:-1]
        return loc


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and bool(node.tag == "tag:yaml.org,2002:null")


def dotted(path: Place) -> str:
    """The place as the prefix of an error; empty for the whole file."""
    text = "".join(f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in path)
    return f"{text[1:]}: " if path else ""


_SECRETS: Mapping[Place, str] = {
    ("api_key",): "MTA_STS_API_KEY, or API_KEY in mailcow.conf",
    ("web", "token"): "MTA_STS_WEB_TOKEN",
    ("reports", "imap", "password"): "MTA_STS_IMAP_PASSWORD",
}
"""Where a secret does not belong, and where it does."""


def said(detail: ErrorDetails, keys: Callable[[Place], list[str]]) -> str:
    """What is wrong and what is accepted; `keys` returns the accepted keys at a place."""
    loc = detail["loc"]
    match detail["type"]:
        case "mistake":
            return detail["msg"]
        case "extra_forbidden" | "unexpected_keyword_argument" if loc in _SECRETS:
            return f"not here, where others may read it; accepted: {_SECRETS[loc]}"
        case "extra_forbidden" | "unexpected_keyword_argument":
            name, accepted = str(loc[-1]), keys(loc[:-1])
            if f"{name}_file" in accepted:
                known = f"{name}_file (a path) or {name}_env (a variable)"
                return f"not here, where others may read it; accepted: {known}"
            return unknown_name("key", name, accepted)
        case "missing":
            return f"{str(loc[-1]).rstrip('_')}: missing; it has no default"
        case "too_long":
            return f"too many; accepted: at most {detail['ctx']['max_length']}"
        case kind:
            if kind in {"tuple_type", "frozen_set_type"}:
                return "not a list; accepted: a list, or one name"
            known = f": {', '.join(keys(loc))}" if loc != ("domains",) else ", each a domain name"
            return f"not a mapping; accepted: keys with values{known}"


def unknown_name(kind: str, name: str, accepted: Iterable[str]) -> str:
    """The error for an unknown key or variable."""
    names = sorted(accepted)
    near = difflib.get_close_matches(name, names, n=1)
    meant = f", did you mean {near[0]}?" if near else ""
    return f"there is no such {kind}{meant}; accepted: {', '.join(names)}"


SHORTEST_TOKEN = 12
"""Characters of MTA_STS_WEB_TOKEN."""


class _Given(BaseModel):
    """The possible settings in the structure of config.yml; None if not given."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mode: values.GivenWish | None = None
    max_age: values.MaxAge | None = None
    mx: values.Patterns | None = None
    domains: dict[str, DomainOverride] | None = None
    exclude: values.Domains | None = None
    only: values.Domains | None = None
    manage: Manage | None = None
    adopt: values.Switch | None = None
    restart: RestartSettings | None = None
    soak: Annotated[int, values.seconds(0, 365 * values.DAY)] | None = None
    tls_report: values.TlsReport | None = None
    backend: values.Backend | None = None
    intervals: Intervals | None = None
    notify: Notify | None = None
    web: Annotated[Web | None, BeforeValidator(values.section_or_off)] = None
    reports: GivenReports | None = None
    dry_run: values.Switch | None = None
    verify: values.Switch | None = None
    extra_roots: values.InsideMailcow | None = None
    api_url: values.ApiUrl | None = None
    resolver: values.Resolver | None = None
    dns: dns_settings.DnsSettings | None = None


_PARTS: Mapping[str, type] = {
    "domains": DomainOverride,
    "manage": Manage,
    "restart": RestartSettings,
    "intervals": Intervals,
    "notify": Notify,
    "web": Web,
    "reports": Reports,
    "reports.imap": Imap,
}

_LIKE_CONFIG: Mapping[str, Place] = {
    "MTA_STS_API_URL": ("api_url",),
    "MTA_STS_DRY_RUN": ("dry_run",),
    "MTA_STS_MAX_AGE": ("max_age",),
    "MTA_STS_MODE": ("mode",),
    "MTA_STS_POLL": ("intervals", "poll"),
    "MTA_STS_RESOLVER": ("resolver",),
    "MTA_STS_VERIFY": ("verify",),
    "MTA_STS_WEB_LISTEN": ("web", "listen"),
}
"""Variables that correspond to a key of config.yml."""

_WITHOUT_KEY = frozenset(
    {
        "MTA_STS_API_KEY",
        "MTA_STS_IMAP_PASSWORD",
        "MTA_STS_LOG",
        "MTA_STS_MAILCOW_DIR",
        "MTA_STS_STATE_DIR",
        "MTA_STS_WEB_TOKEN",
    }
)
"""Variables without a key in config.yml."""


def _keys(path: Place) -> list[str]:
    """The keys that are accepted at a place."""
    if not path:
        return sorted(_Given.model_fields)
    if path[0] == "dns":
        return dns_settings.keys_at(path, str(path[3]) if len(path) > 3 else None)
    part = _PARTS.get(".".join(map(str, path))) or _PARTS[str(path[0])]
    return [one.name for one in dataclasses.fields(part)]


def load(env: Mapping[str, str], config: bytes | None, conf: Mapping[str, str]) -> Settings:
    """The settings from the environment, config.yml (None: no file) and mailcow.conf, in order of precedence.

    Empty variables are ignored. Raises SettingsError with all errors.
    """
    env = {name: value.strip() for name, value in env.items() if value.strip()}
    mistakes: list[str] = []
    file = _Given()
    if config is not None:
        tree = Tree.read(config)
        try:
            file = _Given.model_validate(tree.data)
        except ValidationError as error:
            for detail in error.errors():
                path = tree.known(dns_settings.place(detail["loc"]))
                tree.mistakes.append((tree.lines[path], f"{dotted(path)}{said(detail, _keys)}"))
        mistakes += [f"{CONFIG}:{line}: {text}" for line, text in sorted(tree.mistakes)]
    own = _from_env(env, mistakes)
    mistakes += [f"{CONFIG}: {text}" for text in dns_settings.unset_variables(file.dns, env)]
    places = _without_key(env, conf, mistakes)
    if mistakes:
        count = "a mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        raise SettingsError("\n".join([f"the settings have {count}:", *mistakes]))
    given = {**_present(file), **_present(own)}
    if own.intervals is not None:
        # The variable sets one field; the other fields come from the file.
        given["intervals"] = replace(file.intervals or Intervals(), poll=own.intervals.poll)
    if own.web is not None:
        given["web"] = replace(file.web or Web(), listen=own.web.listen)
    if file.domains is not None:
        given["domains"] = MappingProxyType({to_ascii(name): one for name, one in file.domains.items()})
    return Settings(**given, **places, explicit=frozenset(given) & {"mode", "max_age", "mx"})


def _present(given: _Given) -> dict[str, Any]:
    return {key: value for key in _Given.model_fields if (value := getattr(given, key)) is not None}


def _from_env(env: Mapping[str, str], mistakes: list[str]) -> _Given:
    known = _WITHOUT_KEY | _LIKE_CONFIG.keys()
    unknown = sorted(name for name in env if name.startswith("MTA_STS_") and name not in known)
    mistakes += [f"{name}: {unknown_name('variable', name, known)}" for name in unknown]
    nested: dict[str, Any] = {}
    for name, path in _LIKE_CONFIG.items():
        if name in env:
            inner = nested if len(path) == 1 else nested.setdefault(str(path[0]), {})
            inner[str(path[-1])] = env[name]
    try:
        return _Given.model_validate(nested)
    except ValidationError as error:
        names = {path: name for name, path in _LIKE_CONFIG.items()}
        mistakes += [f"{names[detail['loc']]}: {said(detail, _keys)}" for detail in error.errors()]
        return _Given()


def _without_key(env: Mapping[str, str], conf: Mapping[str, str], mistakes: list[str]) -> dict[str, Any]:
    """The settings that have no key in config.yml."""
    log = env.get("MTA_STS_LOG", "text").lower()
    if log not in {"text", "json"}:
        mistakes.append(f"MTA_STS_LOG: {log!r}; accepted: text, json")
    source = "MTA_STS_API_KEY" if "MTA_STS_API_KEY" in env else "API_KEY in mailcow.conf"
    key = env.get("MTA_STS_API_KEY") or conf.get("API_KEY", "").strip()
    if not re.fullmatch(r"[A-Za-z0-9-]*", key):
        # mailcow removes all other characters from a key in a request, so such a key could never match.
        mistakes.append(
            f"{source}: not the form of a key (it is not shown here); accepted: letters, digits and -"
        )
    token = env.get("MTA_STS_WEB_TOKEN", "")
    if token and not re.fullmatch(f"[!-~]{{{SHORTEST_TOKEN},200}}", token):
        mistakes.append(
            f"MTA_STS_WEB_TOKEN: too short, or with other characters (it is not shown here); accepted: "
            f"{SHORTEST_TOKEN} to 200 letters, digits and signs of US-ASCII without spaces"
        )
    return {
        "mailcow_dir": mailcow_dir_of(env),
        "state_dir": Path(env.get("MTA_STS_STATE_DIR", DEFAULT_STATE_DIR)),
        "api_key": SecretStr(key) if key else None,
        "web_token": SecretStr(token) if token else None,
        "imap_password": SecretStr(mailbox) if (mailbox := env.get("MTA_STS_IMAP_PASSWORD")) else None,
        "log_json": log == "json",
        "project_hint": env.get("COMPOSE_PROJECT_NAME")
        or conf.get("COMPOSE_PROJECT_NAME", "").strip()
        or None,
    }
