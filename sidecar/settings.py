"""What the administrator wants: config.yml and the environment in one frozen `Settings`.

Rules for every editor. All mistakes are told together, each with its place and what is accepted; nothing is
guessed, and a mistake never becomes a default. The settings are replaced whole, never changed in place, and
the API key is shown nowhere. What follows from a setting is decided elsewhere.
"""

import contextlib
import dataclasses
import difflib
import ipaddress
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal, TypeAlias
from urllib.parse import urlsplit

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, SecretStr, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from sidecar.domainname import to_ascii
from sidecar.errors import PermanentError
from sidecar.mtasts import Mode, is_mx_pattern

CONFIG = Path("data/conf/mta-sts/config.yml")
"""Where the file is within the mailcow directory."""
LONGEST_MAX_AGE = 31_536_000
"""Seconds: what mailcow's API takes when a policy is added."""
SHORTEST_TOKEN = 12
"""Characters of MTA_STS_WEB_TOKEN."""

_DAY = 86_400
_DEFAULT_DIR = "/mailcow"
_DEFAULT_STATE_DIR = "/state"
_SHOWN = 60


class SettingsError(PermanentError):
    """The settings cannot be used; the text has every mistake on a line of its own."""


# --- values -----------------------------------------------------------------------------------------------


def _mistake(value: object, accepted: str, wrong: str = "") -> PydanticCustomError:
    shown = repr(value)
    shown = shown if len(shown) <= _SHOWN else shown[:_SHOWN] + "…"
    return PydanticCustomError("mistake", "{text}", {"text": f"{shown}{wrong}; accepted: {accepted}"})


class Auto(Enum):
    """`mode: auto`: testing first, and enforce once all that matters has held for `soak`."""

    AUTO = "auto"


Wish: TypeAlias = Mode | Auto
"""What the administrator asks for: a mode, or that the proof decides."""


def _mode(value: object) -> Wish:
    word = str(value).strip().lower()
    if word == Auto.AUTO.value:
        return Auto.AUTO
    with contextlib.suppress(ValueError):
        return Mode(word)
    raise _mistake(value, f"{Mode.TESTING}, {Mode.ENFORCE}, {Mode.NONE}, {Auto.AUTO.value}", " is no mode")


def _choice(*choices: str) -> BeforeValidator:
    def check(value: object) -> str:
        word = str(value).strip().lower()
        if word not in choices:
            raise _mistake(value, ", ".join(choices))
        return word

    return BeforeValidator(check)


_YES = frozenset({"1", "true", "yes", "y", "on"})
_NO = frozenset({"0", "false", "no", "n", "off"})


def _switch(value: object) -> bool:
    word = str(value).strip().lower()
    if word not in _YES | _NO:
        raise _mistake(value, "true, false", " is neither yes nor no")
    return word in _YES


def _whole(low: int, high: int, unit: str = "") -> BeforeValidator:
    def check(value: object) -> int:
        number = None if isinstance(value, bool) else str(value).strip()
        if number is None or not re.fullmatch(r"[0-9]{1,10}", number) or not low <= int(number) <= high:
            raise _mistake(value, f"a whole number{unit} from {low} to {high}")
        return int(number)

    return BeforeValidator(check)


def _domain(value: object) -> str:
    accepted = "a domain name such as example.org"
    if not isinstance(value, str):
        raise _mistake(value, accepted)
    try:
        return to_ascii(value)
    except ValueError as error:
        raise _mistake(value, accepted, " is not a domain name") from error


def _mx(value: object) -> str:
    accepted = "a host name such as mail.example.org, or one with a wildcard in front such as *.example.org"
    if not isinstance(value, str):
        raise _mistake(value, accepted)
    wildcard = "*." if value.strip().startswith("*.") else ""
    try:
        name = wildcard + to_ascii(value.strip().removeprefix("*."))
    except ValueError as error:
        raise _mistake(value, accepted, " is no mx pattern") from error
    # An address is made of valid labels, too; no top-level domain is a number (RFC 3696 §2).
    if not is_mx_pattern(name) or name.rpartition(".")[2].isdigit():
        raise _mistake(value, accepted, " is no mx pattern")
    return name


def _one_or_more(value: object) -> object:
    return [value] if isinstance(value, str) else value


_MAILBOX = re.compile(r"[A-Za-z0-9._%+=~#$&'*/?^`{|}-]+")


def _tls_report(value: object) -> str:
    accepted = "an e-mail address, or a mailto: or https: URI"
    text = str(value).strip()
    if text.lower().startswith("https:"):
        return _url("https", accepted=accepted)(text)
    mailbox, _, domain = text.removeprefix("mailto:").rpartition("@")
    if not _MAILBOX.fullmatch(mailbox):
        raise _mistake(value, accepted)
    try:
        return f"mailto:{mailbox}@{to_ascii(domain)}"
    except ValueError as error:
        raise _mistake(value, accepted) from error


def _url(*schemes: str, accepted: str) -> Callable[[object], str]:
    def check(value: object) -> str:
        text = str(value).strip()
        try:
            parts = urlsplit(text)
            good = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
        except ValueError:
            good, parts = False, urlsplit("")
        if parts.username is not None or parts.password is not None or "@" in text:
            # What stands before the @ may be a password.
            raise PydanticCustomError(
                "mistake", "a user name cannot be given in it; accepted: {a}", {"a": accepted}
            )
        if not good or re.search(r"[\s;,!#]", text):
            raise _mistake(value, accepted)
        return text

    return check


def _inside(value: object) -> str:
    path = Path(str(value).strip())
    if path.is_absolute() or ".." in path.parts or not path.name:
        raise _mistake(value, "a file in the mailcow directory, such as data/conf/mta-sts/roots.pem")
    return str(path)


def _api_url(value: object) -> str:
    accepted = (
        "the address of mailcow's web server, such as https://mail.example.org or http://nginx-mailcow:8080"
    )
    text = _url("http", "https", accepted=accepted)(value)
    if urlsplit(text).path not in {"", "/"} or "?" in text:
        raise _mistake(value, accepted, " has a path")
    return text.rstrip("/")


def _resolver(value: object) -> tuple[str, int]:
    text = str(value).strip()
    found = re.fullmatch(
        r"\[(?P<six>[^\]]+)\](?::(?P<port6>\d{1,5}))?|(?P<four>[^:\]]+)(?::(?P<port4>\d{1,5}))?", text
    )
    with contextlib.suppress(ValueError):
        if found is None:
            return str(ipaddress.IPv6Address(text)), 53
        address = (
            ipaddress.IPv6Address(found["six"]) if found["six"] else ipaddress.IPv4Address(found["four"])
        )
        port = int(found["port6"] or found["port4"] or 53)
        if 0 < port < 1 << 16:
            return str(address), port
    raise _mistake(value, "an address, with or without a port: 192.0.2.1, 192.0.2.1:5353, [2001:db8::1]:5353")


def _secret_url(*schemes: str, accepted: str) -> Callable[[object], SecretStr]:
    """Such a URL is a secret as a whole: no mistake shows it. Without schemes any will do."""

    def check(value: object) -> SecretStr:
        text = value.strip() if isinstance(value, str) else ""
        try:
            parts = urlsplit(text)
            good = not schemes or (parts.scheme in schemes and bool(parts.hostname) and parts.port != 0)
        except ValueError:
            good = False
        if not good or not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*://\S+", text):
            raise PydanticCustomError("mistake", "{text}", {"text": f"not shown here; accepted: {accepted}"})
        return SecretStr(text)

    return check


_WEBHOOK = "an https: or http: URL that takes JSON by POST"
_APPRISE = "a URL of Apprise, such as ntfys://ntfy.example.org/topic or mailtos://user:password@example.org"


def _tell(value: object) -> "Tell":
    word = str(value).strip().lower()
    with contextlib.suppress(ValueError):
        return Tell(word)
    raise _mistake(value, ", ".join(Tell))


def _listen(value: object) -> tuple[str, int] | None:
    """`off` is None; port 0 stands for any free one."""
    text = str(value).strip().lower()
    if text == "off":
        return None
    found = re.fullmatch(r"(?:\[(?P<six>[^\]]+)\]|(?P<four>[^:\]]+)):(?P<port>\d{1,5})", text)
    with contextlib.suppress(ValueError):
        if found is not None and int(found["port"]) < 1 << 16:
            address = (
                ipaddress.IPv6Address(found["six"]) if found["six"] else ipaddress.IPv4Address(found["four"])
            )
            return str(address), int(found["port"])
    raise _mistake(
        value, "an address of this machine with a port, such as 127.0.0.1:8480 or [::1]:8480, or off"
    )


def _host(value: object) -> str:
    accepted = "a host name such as mail.example.org, or an address"
    text = str(value).strip()
    with contextlib.suppress(ValueError):
        return str(ipaddress.ip_address(text.removeprefix("[").removesuffix("]")))
    try:
        return to_ascii(text)
    except ValueError as error:
        raise _mistake(value, accepted, " is no host") from error


def _prefix(value: object) -> str:
    text = str(value).strip().rstrip("/")
    if not re.fullmatch(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*", text):
        raise _mistake(value, "a path such as /mta-sts, or nothing")
    return text


_Switch: TypeAlias = Annotated[bool, BeforeValidator(_switch)]
_Mode: TypeAlias = Annotated[Mode | Auto, BeforeValidator(_mode)]
_MaxAge: TypeAlias = Annotated[int, _whole(1, LONGEST_MAX_AGE, " of seconds")]
_Patterns: TypeAlias = Annotated[
    tuple[Annotated[str, BeforeValidator(_mx)], ...],
    BeforeValidator(_one_or_more),
    AfterValidator(lambda patterns: tuple(dict.fromkeys(patterns))),
]
_Domains: TypeAlias = Annotated[
    frozenset[Annotated[str, BeforeValidator(_domain)]], BeforeValidator(_one_or_more)
]
_Time: TypeAlias = Annotated[int, _whole(0, 7 * _DAY, " of seconds")]
_Interval: TypeAlias = Annotated[int, _whole(1, _DAY, " of seconds")]
_Count: TypeAlias = Annotated[int, _whole(0, 1_000)]
_STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True)
class Manage:
    """What the sidecar does by itself; false: it only says what it would do."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    policies: _Switch = True
    san: _Switch = True
    acme: _Switch = True


@dataclass(frozen=True, slots=True)
class RestartSettings:
    """When acme-mailcow may be restarted; times in seconds."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    quiet: _Time = 30
    """How long no further name may have come before a restart."""
    settle: _Time = 60
    """How long the containers must have been running."""
    spacing: _Time = 3_600
    """Between two restarts."""
    per_day: _Count = 6
    per_week: _Count = 20


@dataclass(frozen=True, slots=True)
class Intervals:
    """How often the world is asked; in seconds, but for `doubt_polls`."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    poll: Annotated[int, _whole(5, 3_600, " of seconds")] = 30
    policies: _Interval = 600
    """Until a served policy that is known is read again."""
    dns: _Interval = 3_600
    """Until a name that is settled is looked up again."""
    check: Annotated[int, _whole(60, _DAY, " of seconds")] = 3_600
    """Seconds between two looks at a domain as a sender sees it."""
    doubt_polls: Annotated[int, _whole(1, 1_000)] = 10
    """How many times an answer that lost domains must come before it is believed ..."""
    doubt_seconds: _Time = 1_800
    """... and for how long."""


class Tell(StrEnum):
    """What people can be notified of."""

    STAGE = "stage"
    """A domain is at another stage of its roll-out."""
    ERROR = "error"
    RECOVERY = "recovery"
    """An error is over."""


@dataclass(frozen=True, slots=True)
class Notify:
    """Who is told of events, and of which; the URLs are secrets as a whole."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    webhook: Annotated[SecretStr, BeforeValidator(_secret_url("http", "https", accepted=_WEBHOOK))] | None = (
        None
    )
    apprise: Annotated[
        tuple[Annotated[SecretStr, BeforeValidator(_secret_url(accepted=_APPRISE))], ...],
        BeforeValidator(_one_or_more),
        AfterValidator(lambda urls: tuple(dict.fromkeys(urls))),
    ] = ()
    gather: Annotated[int, _whole(0, 3_600, " of seconds")] = 60
    """Seconds from an event until it is sent, with all that happened meanwhile."""
    on: Annotated[frozenset[Annotated[Tell, BeforeValidator(_tell)]], BeforeValidator(_one_or_more)] = (
        frozenset(Tell)
    )


@dataclass(frozen=True, slots=True)
class Web:
    """Where the page and the metrics are served; who may see them is `Settings.web_token`."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    # In a container every address is the container's own: who may come in is decided where its port is published.
    listen: Annotated[tuple[str, int] | None, BeforeValidator(_listen)] = ("0.0.0.0", 8_480)  # noqa: S104
    """Address and port; port 0: any free one; None: nothing is served."""
    names: Annotated[frozenset[Annotated[str, BeforeValidator(_host)]], BeforeValidator(_one_or_more)] = (
        frozenset()
    )
    """Further host names under which the page may be asked for."""
    prefix: Annotated[str, BeforeValidator(_prefix)] = ""
    """The path under which another web server hands it on; no slash at its end."""


@dataclass(frozen=True, slots=True)
class DomainOverride:
    """What the settings say of one domain alone; None: as for all."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    mode: _Mode | None = None
    max_age: _MaxAge | None = None
    mx: _Patterns | None = None
    adopt: _Switch | None = None
    allow_uncovered: _Switch = False
    """Publish enforce although an MX of this domain is not covered."""


@dataclass(frozen=True, slots=True)
class DomainSettings:
    """What counts for one domain; `mx` is empty where MAILCOW_HOSTNAME is meant, `max_age` is in seconds."""

    mode: Mode
    """Testing where `auto` is on: what proof makes of it is decided elsewhere."""
    max_age: int
    mx: tuple[str, ...]
    adopt: bool
    allow_uncovered: bool
    auto: bool = False


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings; domain names are lower-case A-labels, times are seconds."""

    mode: Wish = Mode.TESTING
    max_age: int = 604_800
    mx: tuple[str, ...] = ()
    """Patterns for all domains; empty: MAILCOW_HOSTNAME."""
    # A mapping has no hash; equality does compare it.
    domains: Mapping[str, DomainOverride] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    exclude: frozenset[str] = frozenset()
    only: frozenset[str] | None = None
    manage: Manage = Manage()
    adopt: bool = False
    restart: RestartSettings = RestartSettings()
    soak: int = 7 * _DAY
    """Seconds that all must have held before `mode: auto` enforces."""
    tls_report: str | None = None
    """Where senders send their reports: a mailto: or https: URI."""
    backend: Literal["auto", "file", "native"] = "auto"
    intervals: Intervals = Intervals()
    notify: Notify = Notify()
    web: Web = Web()
    dry_run: bool = False
    verify: bool = True
    """Whether domains are looked at as senders do, on ports 443 and 25 of their hosts."""
    extra_roots: str | None = None
    """A PEM file in the mailcow directory with roots to trust beside the system's, in these looks."""
    mailcow_dir: Path = Path(_DEFAULT_DIR)
    state_dir: Path = Path(_DEFAULT_STATE_DIR)
    api_url: str | None = None
    api_key: SecretStr | None = None
    web_token: SecretStr | None = None
    resolver: tuple[str, int] | None = None
    """Address and port of the DNS resolver; None: the container's."""
    log_json: bool = False
    project_hint: str | None = None
    """COMPOSE_PROJECT_NAME, for when our own container's labels do not tell."""
    explicit: frozenset[str] = frozenset()
    """Which of mode, max_age and mx somebody set for all domains."""

    def manages(self, domain: str) -> bool:
        """Whether the sidecar may touch anything of `domain`."""
        return domain not in self.exclude and (self.only is None or domain in self.only)

    def for_domain(self, name: str) -> DomainSettings:
        """What counts for `name`: its own settings, where it has some, else those for all."""
        own = self.domains.get(name, DomainOverride())
        wish = self.mode if own.mode is None else own.mode
        return DomainSettings(
            mode=Mode.TESTING if wish is Auto.AUTO else wish,
            auto=wish is Auto.AUTO,
            max_age=self.max_age if own.max_age is None else own.max_age,
            mx=self.mx if own.mx is None else own.mx,
            adopt=self.adopt if own.adopt is None else own.adopt,
            allow_uncovered=own.allow_uncovered,
        )

    def explicit_for(self, name: str) -> frozenset[str]:
        """Which of mode, max_age and mx somebody set for `name` or for all domains."""
        own = self.domains.get(name, DomainOverride())
        given = {"mode": own.mode, "max_age": own.max_age, "mx": own.mx}
        return self.explicit | {key for key, value in given.items() if value is not None}


# --- the files --------------------------------------------------------------------------------------------


def mailcow_dir_of(env: Mapping[str, str]) -> Path:
    """The mailcow directory, which must be known before all other settings."""
    return Path(env.get("MTA_STS_MAILCOW_DIR") or _DEFAULT_DIR)


def read_config(mailcow_dir: Path) -> bytes | None:
    """The content of config.yml, None where there is none; raises SettingsError where it cannot be read."""
    path = mailcow_dir / CONFIG
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise SettingsError(f"{path} cannot be read ({error.strerror}): let the sidecar read it") from error


def ensure_config_folder(mailcow_dir: Path) -> None:
    """Makes the folder for config.yml, ignored by mailcow's git, if it is missing and can be made."""
    folder = (mailcow_dir / CONFIG).parent
    with contextlib.suppress(OSError):
        folder.mkdir()
        with (folder / ".gitignore").open("x") as file:
            file.write("*\n")
        # Whoever owns mailcow's own settings is to edit ours, too.
        owner = folder.parent.stat()
        for path in (folder, folder / ".gitignore"):
            os.chown(path, owner.st_uid, owner.st_gid)


# --- loading ----------------------------------------------------------------------------------------------


class _Given(BaseModel):
    """What may be given, in the shape of config.yml; what was not given is None."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mode: _Mode | None = None
    max_age: _MaxAge | None = None
    mx: _Patterns | None = None
    domains: dict[str, DomainOverride] | None = None
    exclude: _Domains | None = None
    only: _Domains | None = None
    manage: Manage | None = None
    adopt: _Switch | None = None
    restart: RestartSettings | None = None
    soak: Annotated[int, _whole(0, 365 * _DAY, " of seconds")] | None = None
    tls_report: Annotated[str, BeforeValidator(_tls_report)] | None = None
    backend: Annotated[Literal["auto", "file", "native"], _choice("auto", "file", "native")] | None = None
    intervals: Intervals | None = None
    notify: Notify | None = None
    web: Web | None = None
    dry_run: _Switch | None = None
    verify: _Switch | None = None
    extra_roots: Annotated[str, BeforeValidator(_inside)] | None = None
    api_url: Annotated[str, BeforeValidator(_api_url)] | None = None
    resolver: Annotated[tuple[str, int], BeforeValidator(_resolver)] | None = None


_Path: TypeAlias = tuple[int | str, ...]

_PARTS: Mapping[str, type] = {
    "domains": DomainOverride,
    "manage": Manage,
    "restart": RestartSettings,
    "intervals": Intervals,
    "notify": Notify,
    "web": Web,
}

_LIKE_CONFIG: Mapping[str, _Path] = {
    "MTA_STS_API_URL": ("api_url",),
    "MTA_STS_DRY_RUN": ("dry_run",),
    "MTA_STS_MAX_AGE": ("max_age",),
    "MTA_STS_MODE": ("mode",),
    "MTA_STS_POLL": ("intervals", "poll"),
    "MTA_STS_RESOLVER": ("resolver",),
    "MTA_STS_VERIFY": ("verify",),
    "MTA_STS_WEB_LISTEN": ("web", "listen"),
}
"""Variables that stand for a key of config.yml."""

_ALONE = frozenset(
    {"MTA_STS_API_KEY", "MTA_STS_LOG", "MTA_STS_MAILCOW_DIR", "MTA_STS_STATE_DIR", "MTA_STS_WEB_TOKEN"}
)
"""Variables that have no key there."""


def load(env: Mapping[str, str], config: bytes | None, conf: Mapping[str, str]) -> Settings:
    """The settings from the environment, config.yml (None: no file) and mailcow.conf, the weightier first.

    An empty variable counts for nothing. Raises SettingsError with all mistakes.
    """
    env = {name: value.strip() for name, value in env.items() if value.strip()}
    mistakes: list[str] = []
    file = _from_file(config, mistakes)
    own = _from_env(env, mistakes)
    places = _alone(env, conf, mistakes)
    if mistakes:
        count = "a mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        raise SettingsError("\n".join([f"the settings have {count}:", *mistakes]))
    given = {**_present(file), **_present(own)}
    if own.intervals is not None:
        # This variable is one field of several, and leaves the file's others as they are.
        given["intervals"] = replace(file.intervals or Intervals(), poll=own.intervals.poll)
    if own.web is not None:
        given["web"] = replace(file.web or Web(), listen=own.web.listen)
    if file.domains is not None:
        given["domains"] = MappingProxyType({to_ascii(name): one for name, one in file.domains.items()})
    return Settings(**given, **places, explicit=frozenset(given) & {"mode", "max_age", "mx"})


def _present(given: _Given) -> dict[str, Any]:
    return {key: value for key in _Given.model_fields if (value := getattr(given, key)) is not None}


def _from_file(config: bytes | None, mistakes: list[str]) -> _Given:
    if config is None:
        return _Given()
    tree = _Tree.read(config)
    told = tree.mistakes
    given = _Given()
    try:
        given = _Given.model_validate(tree.data)
    except ValidationError as error:
        for detail in error.errors():
            path = tree.known(detail["loc"])
            told.append((tree.lines[path], f"{_dotted(path)}{_said(detail)}"))
    mistakes += [f"{CONFIG}:{line}: {text}" for line, text in sorted(told)]
    return given


def _from_env(env: Mapping[str, str], mistakes: list[str]) -> _Given:
    known = _ALONE | _LIKE_CONFIG.keys()
    unknown = sorted(name for name in env if name.startswith("MTA_STS_") and name not in known)
    mistakes += [f"{name}: {_unknown('variable', name, known)}" for name in unknown]
    nested: dict[str, Any] = {}
    for name, path in _LIKE_CONFIG.items():
        if name in env:
            inner = nested if len(path) == 1 else nested.setdefault(str(path[0]), {})
            inner[str(path[-1])] = env[name]
    try:
        return _Given.model_validate(nested)
    except ValidationError as error:
        names = {path: name for name, path in _LIKE_CONFIG.items()}
        mistakes += [f"{names[detail['loc']]}: {_said(detail)}" for detail in error.errors()]
        return _Given()


def _alone(env: Mapping[str, str], conf: Mapping[str, str], mistakes: list[str]) -> dict[str, Any]:
    """The settings that have no key in config.yml."""
    log = env.get("MTA_STS_LOG", "text").lower()
    if log not in {"text", "json"}:
        mistakes.append(f"MTA_STS_LOG: {log!r}; accepted: text, json")
    source = "MTA_STS_API_KEY" if "MTA_STS_API_KEY" in env else "API_KEY in mailcow.conf"
    key = env.get("MTA_STS_API_KEY") or conf.get("API_KEY", "").strip()
    if not re.fullmatch(r"[A-Za-z0-9-]*", key):
        # mailcow takes every other character out of a key that it is sent: it could never match.
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
        "state_dir": Path(env.get("MTA_STS_STATE_DIR", _DEFAULT_STATE_DIR)),
        "api_key": SecretStr(key) if key else None,
        "web_token": SecretStr(token) if token else None,
        "log_json": log == "json",
        "project_hint": env.get("COMPOSE_PROJECT_NAME")
        or conf.get("COMPOSE_PROJECT_NAME", "").strip()
        or None,
    }


# --- mistakes and their places --------------------------------------------------------------------------


@dataclass
class _Tree:
    """config.yml as plain data (values as text, so that no `no` turns false), with the line of each key."""

    data: Any = field(default_factory=dict)
    lines: dict[_Path, int] = field(default_factory=lambda: {(): 1})
    mistakes: list[tuple[int, str]] = field(default_factory=list)

    @classmethod
    def read(cls, config: bytes) -> "_Tree":
        tree = cls()
        try:
            root = yaml.compose(config, yaml.SafeLoader)
        except yaml.YAMLError as error:
            tree.mistakes.append(_no_yaml(error))
            return tree
        if root is not None and not _is_null(root):
            tree.data = tree._read(root, (), ())
            tree._judge_domains()
        return tree

    def _read(self, node: yaml.Node, path: _Path, above: tuple[yaml.Node, ...]) -> object:
        self.lines.setdefault(path, node.start_mark.line + 1)
        if any(node is one for one in above):
            self.mistakes.append(
                (self.lines[path], f"{_dotted(path)}it contains itself; accepted: plain values")
            )
            return {}
        match node:
            case yaml.MappingNode():
                return self._mapping(node, path, (*above, node))
            case yaml.SequenceNode():
                return [self._read(one, (*path, n), (*above, node)) for n, one in enumerate(node.value)]
            case _:
                return node.value

    def _mapping(
        self, node: yaml.MappingNode, path: _Path, above: tuple[yaml.Node, ...]
    ) -> dict[str, object]:
        found: dict[str, object] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                self.mistakes.append((line, f"{_dotted(path)}a key is a list or a mapping; accepted: a word"))
                continue
            name = str(key.value)
            inner = (*path, name)
            if inner in self.lines:
                before = self.lines[inner]
                self.mistakes.append(
                    (line, f"{_dotted(inner)}given in line {before} already; accepted: each key once")
                )
                continue
            self.lines[inner] = line
            if not _is_null(value):
                found[name] = self._read(value, inner, above)
            elif path == ("domains",):
                found[name] = {}
        return found

    def _judge_domains(self) -> None:
        """The keys under `domains` are names, and as such may be the same in different forms."""
        seen: dict[str, str] = {}
        domains = self.data.get("domains") if isinstance(self.data, dict) else None
        for name in domains if isinstance(domains, dict) else ():
            path: _Path = ("domains", name)
            try:
                known = seen.setdefault(_domain(name), name)
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

    def known(self, loc: _Path) -> _Path:
        """The part of a path that stands in the file."""
        while loc not in self.lines:
            loc = loc[:-1]
        return loc


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and bool(node.tag == "tag:yaml.org,2002:null")


def _no_yaml(error: yaml.YAMLError) -> tuple[int, str]:
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return 1, "not a text in UTF-8; accepted: YAML"
    said = ": ".join(filter(None, (error.context, error.problem)))
    hint = " (a value that begins with * must stand in quotes)" if "alias" in said else ""
    return error.problem_mark.line + 1, f"not YAML: {said}{hint}; accepted: YAML"


def _dotted(path: _Path) -> str:
    text = "".join(f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in path)
    return f"{text[1:]}: " if path else ""


def _said(detail: ErrorDetails) -> str:
    """What is wrong, and what is accepted instead."""
    loc = detail["loc"]
    match detail["type"]:
        case "mistake":
            return detail["msg"]
        case "extra_forbidden" | "unexpected_keyword_argument" if loc == ("api_key",):
            return "not here, where others may read it; accepted: MTA_STS_API_KEY, or API_KEY in mailcow.conf"
        case "extra_forbidden" | "unexpected_keyword_argument" if loc == ("web", "token"):
            return "not here, where others may read it; accepted: MTA_STS_WEB_TOKEN"
        case "extra_forbidden" | "unexpected_keyword_argument":
            return _unknown("key", str(loc[-1]), _keys(loc[:-1]))
        case "tuple_type" | "frozen_set_type":
            return "not a list; accepted: a list, or one name"
        case _:
            keys = f": {', '.join(_keys(loc))}" if loc != ("domains",) else ", each a domain name"
            return f"not a mapping; accepted: keys with values{keys}"


def _keys(path: _Path) -> list[str]:
    """The keys that are accepted at a place."""
    if not path:
        return sorted(_Given.model_fields)
    return [one.name for one in dataclasses.fields(_PARTS[str(path[0])])]


def _unknown(kind: str, name: str, accepted: Iterable[str]) -> str:
    names = sorted(accepted)
    near = difflib.get_close_matches(name, names, n=1)
    meant = f", did you mean {near[0]}?" if near else ""
    return f"there is no such {kind}{meant}; accepted: {', '.join(names)}"
