"""What the administrator wants: config.yml and the environment in one frozen `Settings`.

Rules for every editor. The settings are replaced as a whole, never changed in place, and the API key is never shown.
`load` makes them from the file and the environment and words the errors, `values` reads single values; what follows from
a setting is decided elsewhere.
"""

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import ConfigDict, SecretStr

from sidecar.formats.mtasts_policy import Mode
from sidecar.host.errors import PermanentError
from sidecar.host.plain_file import NotPlainError, read_plain
from sidecar.settings import dns as dns_settings
from sidecar.settings import values
from sidecar.settings.reports import DEFAULT as DEFAULT_REPORTS
from sidecar.settings.reports import LOCAL_PART, Receive, Reports

CONFIG = Path("data/conf/mta-sts/config.yml")
"""Where the file is within the mailcow directory."""
LARGEST_CONFIG = 1 << 20
"""Bytes; thousands of domains with settings of their own need less."""
_DEFAULT_DIR = "/mailcow"
DEFAULT_STATE_DIR = "/state"
_STRICT = ConfigDict(extra="forbid")

# Defined where they are parsed; for all other modules they are part of the settings.
Auto = values.Auto
NotificationKind = values.NotificationKind
Wish: TypeAlias = values.Wish


class SettingsError(PermanentError):
    """The settings cannot be used; the text has each error on its own line."""


# --- values -----------------------------------------------------------------------------------------------


class Managed(StrEnum):
    """A part of mailcow that the sidecar may change, by its switch under `manage:`."""

    POLICIES = "policies"
    SAN = "san"
    ACME = "acme"
    DNS = "dns"
    """Its switch is `dns.publish`."""
    ACCESS = "access"
    REPORTS = "reports"


@dataclass(frozen=True, slots=True)
class Manage:
    """What the sidecar does automatically; false: it only reports what it would do."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    policies: values.Switch = True
    """Add and change policies."""
    san: values.Switch = True
    """Edit `ADDITIONAL_SAN` and `ADDITIONAL_SERVER_NAMES` in mailcow.conf."""
    acme: values.Switch = True
    """Restart or re-create acme-mailcow."""
    access: values.Switch = True
    """Get access to mailcow's API: create a key, or allow the own address."""
    reports: values.Switch = True
    """Add and remove the alias and the transport by which TLS reports come in."""

    def allows(self, part: Managed) -> bool:
        """Whether the sidecar may change this part."""
        match part:
            case Managed.POLICIES:
                return self.policies
            case Managed.SAN:
                return self.san
            case Managed.ACME:
                return self.acme
            case Managed.DNS:
                return True  # `dns.publish` decides
            case Managed.ACCESS:
                return self.access
            case Managed.REPORTS:
                return self.reports


@dataclass(frozen=True, slots=True)
class RestartSettings:
    """When acme-mailcow may be restarted; times in seconds."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    quiet: values.Time = 30
    """Seconds without a new name before a restart."""
    settle: values.Time = 60
    """Seconds that the containers must have been running."""
    spacing: values.Time = 3_600
    """Seconds between two restarts."""
    per_day: values.Count = 6
    """Maximum number of restarts in 24 hours."""
    per_week: values.Count = 20
    """Maximum number of restarts in 7 days."""


@dataclass(frozen=True, slots=True)
class Intervals:
    """Intervals in seconds, except `doubt_polls`."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    poll: Annotated[int, values.seconds(5, 3_600)] = 30
    """Seconds between two passes."""
    policies: values.Interval = 600
    """Seconds until a known served policy is read again."""
    dns: values.Interval = 3_600
    """Seconds until a name that does not change is looked up again."""
    check: Annotated[int, values.seconds(60, values.DAY)] = 3_600
    """Seconds between two sender checks of a domain."""
    doubt_polls: Annotated[int, values.whole(1, 1_000)] = 10
    """How many times an answer that lost domains must come before it is believed ..."""
    doubt_seconds: values.Time = 1_800
    """... and for how long."""


@dataclass(frozen=True, slots=True)
class Notify:
    """Who is notified of which events; the URLs are secrets as a whole."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    webhook: values.Webhook | None = None
    """A URL that gets each message as JSON by POST."""
    apprise: values.AppriseUrls = ()
    """URLs of Apprise: mail, chat and push services."""
    gather: Annotated[int, values.seconds(0, 3_600)] = 60
    """Seconds from an event until it is sent, together with all later events."""
    on: values.NotificationKinds = frozenset(NotificationKind)
    """Which events are sent."""


@dataclass(frozen=True, slots=True)
class Web:
    """Where the page and the metrics are served; `Settings.web_token` protects them."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    # In a container every address is the container's own: access is decided where its port is published.
    listen: values.Listen = ("0.0.0.0", 8_480)  # noqa: S104
    """Address and port; port 0: any free one; `off` (or `web: off`): no page and no metrics."""
    names: values.Hosts = frozenset()
    """Further host names that the page accepts."""
    prefix: values.Prefix = ""
    """The path under which a reverse proxy serves the page; no slash at its end."""
    proxies: values.Networks = ()
    """Reverse proxies whose X-Forwarded-For header is used."""


@dataclass(frozen=True, slots=True)
class DomainOverride:
    """The settings of one domain; None: as for all domains."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    mode: values.GivenWish | None = None
    """testing, enforce, none or auto, for this domain."""
    max_age: values.MaxAge | None = None
    """Seconds, for this domain."""
    mx: values.Patterns | None = None
    """Patterns, or `dns`, for this domain."""
    adopt: values.Switch | None = None
    """Adopt the policy of this domain if a person made it."""
    allow_uncovered: values.Switch = False
    """Publish enforce although an MX of this domain is not covered."""


_NOTHING_OWN = DomainOverride()


@dataclass(frozen=True, slots=True)
class DomainSettings:
    """The effective settings of one domain; `mx` is empty for MAILCOW_HOSTNAME or the DNS; `max_age` in seconds."""

    mode: Mode
    """Testing if `auto` is on: the roll-out decides when to enforce."""
    max_age: int
    mx: tuple[str, ...]
    adopt: bool
    allow_uncovered: bool
    auto: bool = False
    mx_from_dns: bool = False
    """The MX records seen are the patterns."""


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings; domain names are lower-case A-labels, times are seconds."""

    mode: Wish = Mode.TESTING
    """testing, enforce, none, or auto: enforce once all checks have passed for `soak`."""
    max_age: int = 604_800
    """Seconds that senders keep a policy in enforce; in testing 86400 at most."""
    mx: tuple[str, ...] = ()
    """Patterns for all domains; empty: MAILCOW_HOSTNAME; `dns`: the MX records of each domain."""
    # A mapping has no hash; equality does compare it.
    domains: Mapping[str, DomainOverride] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    exclude: frozenset[str] = frozenset()
    """Domains that the sidecar does not manage."""
    only: frozenset[str] | None = None
    """The only domains to manage; not set: all."""
    manage: Manage = Manage()
    adopt: bool = False
    """Adopt policies that a person made or changed: the sidecar manages them from then on."""
    restart: RestartSettings = RestartSettings()
    soak: int = 7 * values.DAY
    """Seconds that all checks must have passed before `mode: auto` enforces."""
    tls_report: str | None = None
    """Where senders send their reports: a mailto: or https: URI."""
    backend: Literal["auto", "file", "native"] = "auto"
    """Policy backend, if mailcow does not show it: file (before 2025-09) or native."""
    intervals: Intervals = Intervals()
    notify: Notify = Notify()
    web: Web = Web()
    reports: Reports = DEFAULT_REPORTS
    dry_run: bool = False
    """Change nothing; report what would be done."""
    verify: bool = True
    """Whether sender checks run, on ports 443 and 25 of the domains' hosts."""
    extra_roots: str | None = None
    """A PEM file in the mailcow directory with root certificates that sender checks trust in addition to the system's."""
    mailcow_dir: Path = Path(_DEFAULT_DIR)
    state_dir: Path = Path(DEFAULT_STATE_DIR)
    api_url: str | None = None
    """Address of mailcow's web server; not set: nginx-mailcow in the compose network."""
    api_key: SecretStr | None = None
    web_token: SecretStr | None = None
    imap_password: SecretStr | None = None
    """Of the mailbox of `reports.imap`."""
    resolver: tuple[str, int] | None = None
    """Address and port of the DNS resolver; not set: the container's."""
    dns: dns_settings.DnsSettings = field(default_factory=dns_settings.nothing)
    """Whether and where DNS records are published."""
    log_json: bool = False
    project_hint: str | None = None
    """COMPOSE_PROJECT_NAME, in case the labels of our own container do not have it."""
    explicit: frozenset[str] = frozenset()
    """Which of mode, max_age and mx are set explicitly for all domains."""
    _for_all: DomainSettings = field(init=False, repr=False, compare=False)
    """Those of a domain that has none of its own; a pass asks for them thousands of times."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "_for_all", self._effective(_NOTHING_OWN))

    def manages(self, domain: str) -> bool:
        return domain not in self.exclude and (self.only is None or domain in self.only)

    def for_domain(self, name: str) -> DomainSettings:
        """The effective settings of `name`: its own, or those for all domains."""
        own = self.domains.get(name)
        return self._for_all if own is None else self._effective(own)

    def _effective(self, own: DomainOverride) -> DomainSettings:
        chosen = self.mode if own.mode is None else own.mode
        mx = self.mx if own.mx is None else own.mx
        return DomainSettings(
            mode=Mode.TESTING if chosen is Auto.AUTO else chosen,
            auto=chosen is Auto.AUTO,
            max_age=self.max_age if own.max_age is None else own.max_age,
            mx=() if mx == values.FROM_DNS else mx,
            mx_from_dns=mx == values.FROM_DNS,
            adopt=self.adopt if own.adopt is None else own.adopt,
            allow_uncovered=own.allow_uncovered,
        )

    @property
    def receive(self) -> Receive:
        """How TLS reports come in, never AUTO: that is by mailcow where `tls_report` names no other place."""
        if self.reports.receive is not Receive.AUTO:
            return self.reports.receive
        ours = self.tls_report is None or self.tls_report.startswith(f"mailto:{LOCAL_PART}@")
        return Receive.MAILCOW if ours else Receive.OFF

    def explicit_for(self, name: str) -> frozenset[str]:
        """Which of mode, max_age and mx are set explicitly for `name` or for all domains."""
        own = self.domains.get(name, _NOTHING_OWN)
        given = {"mode": own.mode, "max_age": own.max_age, "mx": own.mx}
        return self.explicit | {key for key, value in given.items() if value is not None}


# --- the files --------------------------------------------------------------------------------------------


def mailcow_dir_of(env: Mapping[str, str]) -> Path:
    """The mailcow directory; needed before all other settings."""
    return Path(env.get("MTA_STS_MAILCOW_DIR") or _DEFAULT_DIR)


def read_config(mailcow_dir: Path) -> bytes | None:
    """The content of config.yml, None if there is none; raises SettingsError if it cannot be read."""
    path = mailcow_dir / CONFIG
    try:
        return read_plain(path, LARGEST_CONFIG)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except NotPlainError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}; put the file itself there") from error
    except OSError as error:
        raise SettingsError(f"{path} cannot be read ({error.strerror}): let the sidecar read it") from error


def ensure_config_folder(mailcow_dir: Path) -> None:
    """Creates the folder for config.yml, ignored by mailcow's git, if it is missing and can be created."""
    folder = (mailcow_dir / CONFIG).parent
    with contextlib.suppress(OSError):
        folder.mkdir()
        with (folder / ".gitignore").open("x") as file:
            file.write("*\n")
        # The owner of mailcow's settings should be able to edit ours, too.
        owner = folder.parent.stat()
        for path in (folder, folder / ".gitignore"):
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
