"""Makes the settings from config.yml, the environment and mailcow.conf.

Rules for every editor. All errors are reported together, each with its place and what is accepted. Nothing is
guessed, and an error never becomes a default.
"""

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, SecretStr, ValidationError

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
from sidecar.settings.mistakes import Place, Tree, dotted, said, unknown_name
from sidecar.settings.reports import GivenReports, Imap, Reports

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
