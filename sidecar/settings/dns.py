"""The `dns` block of config.yml: whether DNS records are published, and the accounts that may do it.

Rules for every editor. config.yml never contains a secret, since others may read it: a key with `_file` names a file,
one with `_env` an environment variable. Their content is wrapped (`SecretStr`), so that no text, JSON or exception
shows it. Files are read when an account is used (`dns/publish/accounts.py`), never here.
"""

import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal, Self, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from sidecar.settings import values

MOST_ACCOUNTS = 50
_NAME = r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?"
_VARIABLE = r"[A-Za-z_][A-Za-z0-9_]*"
_CLASS = r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+"
_SECRET_ARGUMENT = re.compile(r"token|secret|password|passwd|key|credential", re.IGNORECASE)


class Publish(StrEnum):
    """Which changes are made to the DNS automatically."""

    OFF = "off"
    DRY_RUN = "dry-run"
    """Everything is read and planned, but nothing is written."""
    UPSERT = "upsert"
    """Records are created and changed, never removed."""
    SYNC = "sync"
    """Records that the sidecar published are also removed, once their domain is gone."""


class Scheme(StrEnum):
    """Which records each domain has."""

    PER_DOMAIN = "per-domain"
    SHARED = "shared"
    """Three CNAMEs per domain, which never change; what changes is in one zone."""


class HostForm(StrEnum):
    """How the policy host gets its address."""

    CNAME = "cname"
    """A CNAME where one is possible, else addresses."""
    ADDRESSES = "addresses"


class Algorithm(StrEnum):
    """TSIG algorithms (RFC 8945 §6), without those that are no longer secure."""

    SHA256 = "hmac-sha256"
    SHA384 = "hmac-sha384"
    SHA512 = "hmac-sha512"


# --- values -----------------------------------------------------------------------------------------------


def _mistake(text: str) -> PydanticCustomError:
    return PydanticCustomError("mistake", "{text}", {"text": text})


def _server(value: object) -> tuple[str, int]:
    """An address or a host name with an optional port; DNS servers are often containers with a name."""
    text = str(value).strip()
    found = re.fullmatch(r"(?P<host>[A-Za-z0-9][A-Za-z0-9.-]*)(?::(?P<port>\d{1,5}))?", text)
    if found is not None and re.search(r"[A-Za-z]", found["host"]):
        port = int(found["port"] or 53)
        if 0 < port < 1 << 16:
            return values.domain_name(found["host"]), port
    try:
        return values.address_and_port(text)
    except PydanticCustomError as error:
        raise _mistake(
            f"{text[:60]!r}; accepted: an address or a host name, with or without a port: 192.0.2.53, "
            "ns1.example.org:5353, [2001:db8::53]:5353"
        ) from error


Server: TypeAlias = Annotated[tuple[str, int], BeforeValidator(_server)]
Url: TypeAlias = Annotated[str, values.plain_url("an http: or https: URL such as http://192.0.2.53:8081")]
Text: TypeAlias = Annotated[str, values.matching(r"[!-~]{1,200}", "a word without spaces")]
SecretPath: TypeAlias = Annotated[
    str, values.matching(r"/[^\x00-\x1f]{1,400}", "the absolute path of a file")
]
Variable: TypeAlias = Annotated[str, values.matching(_VARIABLE, "the name of an environment variable")]
Ttl: TypeAlias = Annotated[int, values.whole(30, values.DAY, " of seconds")]


def _arguments(value: object) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
        raise _mistake(
            "not a mapping; accepted: the provider's arguments, each a text, a number or true/false"
        )
    for name, one in value.items():
        if not re.fullmatch(r"[a-z_][a-z0-9_]*", str(name)):
            raise _mistake(
                f"{str(name)[:60]!r} is not the name of an argument; accepted: a name such as api_key"
            )
        if _SECRET_ARGUMENT.search(name) and not one.startswith(("env/", "file//")):
            raise _mistake(
                f"{name}: not here, where others may read it; accepted: env/NAME, or file//absolute/path"
            )
        if one.startswith("env/") and not re.fullmatch(_VARIABLE, one.removeprefix("env/")):
            raise _mistake(f"{name}: accepted: env/NAME with the name of an environment variable")
    return {str(name): one for name, one in value.items()}


Arguments: TypeAlias = Annotated[dict[str, str], BeforeValidator(_arguments)]


# --- accounts ---------------------------------------------------------------------------------------------


class _Account(BaseModel):
    """Access to a DNS server or host; for each secret in `SECRETS` there is a key `<name>_file` or `<name>_env`."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    SECRETS: ClassVar[tuple[str, ...]] = ()

    zones: values.Domains | None = None
    """The only zones that may be changed; None: all that the account serves."""

    @model_validator(mode="after")
    def _each_secret_once(self) -> Self:
        for name in self.SECRETS:
            keys = [key for key in (f"{name}_file", f"{name}_env") if getattr(self, key) is not None]
            if len(keys) != 1:
                problem = "given twice" if keys else "missing"
                raise _mistake(
                    f"{name}: {problem}; accepted: {name}_file (a path) or {name}_env (a variable)"
                )
        return self

    def secret_sources(self) -> Iterator[tuple[str, str | None, str | None]]:
        """The name of each secret, with its file or its variable."""
        for name in self.SECRETS:
            yield name, getattr(self, f"{name}_file"), getattr(self, f"{name}_env")


class Rfc2136Account(_Account):
    SECRETS: ClassVar = ("secret",)

    type: Literal["rfc2136"] = "rfc2136"
    server: Server
    key_name: Annotated[str, BeforeValidator(values.domain_name)]
    algorithm: Annotated[Algorithm, values.member(Algorithm)] = Algorithm.SHA256
    secret_file: SecretPath | None = None
    secret_env: Variable | None = None


class _WithToken(_Account):
    SECRETS: ClassVar = ("token",)

    token_file: SecretPath | None = None
    token_env: Variable | None = None


class Cloudflare(_WithToken):
    type: Literal["cloudflare"] = "cloudflare"
    account_id: Text | None = None


class Hetzner(_WithToken):
    """Hetzner Cloud's DNS; `api: console` is the older DNS console."""

    type: Literal["hetzner"] = "hetzner"
    api: Annotated[Literal["cloud", "console"], values.choice("cloud", "console")] = "cloud"


class Desec(_WithToken):
    type: Literal["desec"] = "desec"


class Gandi(_WithToken):
    type: Literal["gandi"] = "gandi"


class DigitalOcean(_WithToken):
    type: Literal["digitalocean"] = "digitalocean"


class Ovh(_Account):
    SECRETS: ClassVar = ("application_secret", "consumer_key")

    type: Literal["ovh"] = "ovh"
    endpoint: Text = "ovh-eu"
    application_key: Text
    application_secret_file: SecretPath | None = None
    application_secret_env: Variable | None = None
    consumer_key_file: SecretPath | None = None
    consumer_key_env: Variable | None = None


class PowerDns(_Account):
    SECRETS: ClassVar = ("api_key",)

    type: Literal["powerdns"] = "powerdns"
    url: Url
    server_id: Text = "localhost"
    api_key_file: SecretPath | None = None
    api_key_env: Variable | None = None


class Route53(_Account):
    SECRETS: ClassVar = ("secret_access_key",)

    type: Literal["route53"] = "route53"
    access_key_id: Text
    secret_access_key_file: SecretPath | None = None
    secret_access_key_env: Variable | None = None


class _WithPassword(_Account):
    SECRETS: ClassVar = ("password",)

    username: Text
    password_file: SecretPath | None = None
    password_env: Variable | None = None


class Inwx(_WithPassword):
    type: Literal["inwx"] = "inwx"


class ServercowAccount(_WithPassword):
    """Its API does not list zones: those in `zones` are tried, else the domains of the mail server."""

    type: Literal["servercow"] = "servercow"


class Octodns(_Account):
    """Any provider of octodns, by its class; an argument may be `env/NAME` or `file//path`."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, protected_namespaces=())

    type: Literal["octodns"] = "octodns"
    # `class` is a keyword of Python.
    class_: Annotated[str, values.matching(_CLASS, "a class such as octodns_bunny.BunnyProvider")]
    arguments: Arguments = {}

    @model_validator(mode="before")
    @classmethod
    def _named(cls, data: Any) -> Any:
        if isinstance(data, dict) and "class" in data:
            return {("class_" if key == "class" else key): value for key, value in data.items()}
        return data


class MailcowAccount(_Account):
    """The credentials that mailcow itself has for DNS-01 (2026-03 and later); the sidecar only reads them."""

    type: Literal["mailcow"] = "mailcow"


Hosted: TypeAlias = (
    Cloudflare | Hetzner | Desec | Gandi | DigitalOcean | Ovh | PowerDns | Route53 | Inwx | Octodns
)
"""Accounts that are reached through octodns."""

_TYPES: tuple[type[_Account], ...] = (
    Rfc2136Account,
    Cloudflare,
    Hetzner,
    Desec,
    Gandi,
    DigitalOcean,
    Ovh,
    PowerDns,
    Route53,
    Inwx,
    Octodns,
    ServercowAccount,
    MailcowAccount,
)
BY_TYPE: Mapping[str, type[_Account]] = {str(one.model_fields["type"].default): one for one in _TYPES}


def _type_of(value: Any) -> str | None:
    found = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return found if isinstance(found, str) else None


Account: TypeAlias = Annotated[
    Annotated[Rfc2136Account, Tag("rfc2136")]
    | Annotated[Cloudflare, Tag("cloudflare")]
    | Annotated[Hetzner, Tag("hetzner")]
    | Annotated[Desec, Tag("desec")]
    | Annotated[Gandi, Tag("gandi")]
    | Annotated[DigitalOcean, Tag("digitalocean")]
    | Annotated[Ovh, Tag("ovh")]
    | Annotated[PowerDns, Tag("powerdns")]
    | Annotated[Route53, Tag("route53")]
    | Annotated[Inwx, Tag("inwx")]
    | Annotated[Octodns, Tag("octodns")]
    | Annotated[ServercowAccount, Tag("servercow")]
    | Annotated[MailcowAccount, Tag("mailcow")],
    Discriminator(
        _type_of,
        custom_error_type="mistake",
        custom_error_message=f"type: missing or not known; accepted: {', '.join(sorted(BY_TYPE))}",
    ),
]


AccountName: TypeAlias = Annotated[
    str, values.matching(_NAME, "a short name of lower-case letters, digits and -")
]


class DnsSettings(BaseModel):
    """The whole block; without accounts every record stays a manual task."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    publish: Annotated[Publish, values.member(Publish)] = Publish.OFF
    """Whether DNS records are written: `off`, `dry-run` (planned only), `upsert` (created, changed), `sync` (removed too)."""
    scheme: Annotated[Scheme, values.member(Scheme)] = Scheme.PER_DOMAIN
    """`per-domain`, or `shared`: three CNAMEs per domain, created once; what changes later is in one zone."""
    host: Annotated[HostForm, values.member(HostForm)] = HostForm.CNAME
    """How `mta-sts` gets its address: `cname` where one is possible, or always `addresses`."""
    ttl: Ttl = 300
    """Seconds, while a domain is being set up; a host may have a higher minimum."""
    settled_ttl: Ttl = 3_600
    """Seconds, once the set-up of a domain is complete."""
    accounts: Annotated[dict[AccountName, Account], Field(max_length=MOST_ACCOUNTS)] = {}
    """Where records can be written, each under its own name: `type`, its keys, and `zones` to allow only those."""

    def __hash__(self) -> int:
        return hash((self.publish, self.scheme, self.host, self.ttl, tuple(self.accounts)))

    def variables(self) -> Iterator[tuple[str, str]]:
        """The path of each key that names an environment variable, and the variable."""
        for name, account in self.accounts.items():
            for secret, _, variable in account.secret_sources():
                if variable is not None:
                    yield f"dns.accounts.{name}.{secret}_env", variable
            if isinstance(account, Octodns):
                for key, value in account.arguments.items():
                    if value.startswith("env/"):
                        yield f"dns.accounts.{name}.arguments.{key}", value.removeprefix("env/")


def keys_at(path: tuple[int | str, ...], type_of: str | None = None) -> list[str]:
    """The keys that are accepted at a place below `dns`; `type_of` is the type of the account there."""
    if len(path) <= 1:
        return sorted(DnsSettings.model_fields)
    if len(path) == 2:
        return ["a name for each account, with its type and its keys"]
    account = BY_TYPE.get(type_of or "")
    if account is None:
        return ["type"]
    return sorted("class" if key == "class_" else key for key in account.model_fields)


def place(loc: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """The place of a mistake in config.yml: pydantic adds the account's type to the path."""
    if loc[:2] == ("dns", "accounts") and len(loc) > 3:
        return (*loc[:3], *("class" if part == "class_" else part for part in loc[4:]))
    return loc


def unset_variables(dns: DnsSettings | None, env: Mapping[str, str]) -> list[str]:
    """A mistake for each environment variable that is named but not set; `env` has no empty ones."""
    return [
        f"{key}: the variable {variable} is not set; set it, or name a file"
        for key, variable in (dns.variables() if dns else ())
        if variable not in env
    ]


_NOTHING = DnsSettings()


def nothing() -> DnsSettings:
    """The settings where config.yml has no `dns`: nothing is published."""
    return _NOTHING
