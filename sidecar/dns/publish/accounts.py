"""Makes publishers of the accounts in the settings: reads their secrets, and knows the providers by their short names.

Rules for every editor. A secret is read when an account is used and is in no text, also not in that of an error. A
provider's waiting and repeating is kept short here: it runs in a worker with a deadline.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, assert_never

from pydantic import SecretStr

from sidecar.dns.publish.hosted import Hosted, ProviderSpec
from sidecar.dns.publish.port import Publisher
from sidecar.dns.publish.rfc2136 import Rfc2136, TsigKey
from sidecar.dns.publish.servercow import Servercow
from sidecar.host.errors import PermanentError
from sidecar.settings import dns as settings

LARGEST_SECRET = 4_096
"""Bytes of a file with a secret."""


class AccountError(PermanentError):
    """An account cannot be used; the text says why and what to do, without a secret."""


@dataclass(frozen=True, slots=True)
class _Host:
    """A provider of octodns: its class, the argument of each secret, further arguments, and the lowest TTL."""

    class_: str
    secrets: Mapping[str, str]
    plain: Mapping[str, str | int | bool]
    floor: int = 0


def publisher(account: settings.Account, env: Mapping[str, str], clock: Callable[[], float]) -> Publisher:
    """An account ready for use; raises AccountError. `mailcow` accounts are resolved before (`mailcow/dns01.py`)."""
    if isinstance(account, settings.Octodns):
        return Hosted(_octodns(account, env), clock)
    secrets = {name: _secret(name, file, variable, env) for name, file, variable in account.secret_sources()}
    return with_secrets(account, secrets, clock)


def with_secrets(
    account: settings.Account, secrets: Mapping[str, SecretStr], clock: Callable[[], float]
) -> Publisher:
    """The same with secrets by the names that the settings have for them."""
    match account:
        case settings.Rfc2136Account():
            key = TsigKey(account.key_name, str(account.algorithm), secrets["secret"])
            return Rfc2136(account.server, key, clock, account.zones)
        case settings.ServercowAccount():
            return Servercow(account.username, secrets["password"], clock, account.zones)
        case settings.MailcowAccount():
            raise AccountError("mailcow's own DNS credentials were not read")
        case settings.Octodns():
            raise AccountError("an account of type octodns has its secrets among its arguments")
        case _:
            host = _host(account)
            spec = ProviderSpec(
                host.class_,
                {host.secrets[name]: secret for name, secret in secrets.items()},
                host.plain,
                host.floor,
                account.zones,
            )
            return Hosted(spec, clock)


_WithToken: TypeAlias = (
    settings.Cloudflare | settings.Hetzner | settings.Desec | settings.Gandi | settings.DigitalOcean
)
_Others: TypeAlias = settings.Ovh | settings.PowerDns | settings.Route53 | settings.Inwx


def _host(account: _WithToken | _Others) -> _Host:
    """The lowest TTLs are those of the hosts' documentation."""
    match account:
        case settings.Ovh() | settings.PowerDns() | settings.Route53() | settings.Inwx():
            return _other(account)
        case _:
            return _with_token(account)


def _with_token(account: _WithToken) -> _Host:
    token = {"token": "token"}
    match account:
        case settings.Cloudflare():
            plain: dict[str, str | int | bool] = {"pagerules": False, "retry_count": 1, "retry_period": 5}
            if account.account_id is not None:
                plain["account_id"] = account.account_id
            return _Host("octodns_cloudflare.CloudflareProvider", token, plain, 120)
        case settings.Hetzner():
            backend = "hcloud" if account.api == "cloud" else "dnsapi"
            return _Host("octodns_hetzner.HetznerProvider", token, {"backend": backend}, 60)
        case settings.Desec():
            return _Host("octodns_desec.DesecProvider", token, {"retries": 2, "max_sleep": 10}, 3_600)
        case settings.Gandi():
            return _Host("octodns_gandi.GandiProvider", token, {}, 300)
        case settings.DigitalOcean():
            return _Host("octodns_digitalocean.DigitalOceanProvider", token, {}, 30)
        case _:
            assert_never(account)


def _other(account: _Others) -> _Host:
    same = {name: name for name in account.SECRETS}
    match account:
        case settings.Ovh():
            plain: dict[str, str | int | bool] = {
                "endpoint": account.endpoint,
                "application_key": account.application_key,
            }
            return _Host("octodns_ovh.OvhProvider", same, plain, 60)
        case settings.PowerDns():
            scheme, _, rest = account.url.partition("://")
            host, _, port = rest.rpartition(":") if _has_port(rest) else (rest, "", "")
            plain = {
                "host": host,
                "port": int(port) if port else (443 if scheme == "https" else 80),
                "scheme": scheme,
                "server_id": account.server_id,
            }
            return _Host("octodns_powerdns.PowerDnsProvider", same, plain)
        case settings.Route53():
            return _Host("octodns_route53.Route53Provider", same, {"access_key_id": account.access_key_id})
        case settings.Inwx():
            plain = {"username": account.username}
            return _Host("octodns_inwx.INWXProvider", {"password": "api_password"}, plain, 300)
        case _:
            assert_never(account)


def _has_port(rest: str) -> bool:
    return rest.rpartition(":")[2].isdigit() and not rest.endswith("]")


def _octodns(account: settings.Octodns, env: Mapping[str, str]) -> ProviderSpec:
    secrets: dict[str, SecretStr] = {}
    plain: dict[str, str | int | bool] = {}
    for name, value in account.arguments.items():
        if value.startswith("env/"):
            secrets[name] = _secret(name, None, value.removeprefix("env/"), env)
        elif value.startswith("file//"):
            secrets[name] = _secret(name, value.removeprefix("file/"), None, env)
        else:
            plain[name] = _literal(value)
    return ProviderSpec(account.class_, secrets, plain, only=account.zones)


def _literal(value: str) -> str | int | bool:
    """As YAML has it: the settings keep every value as text."""
    if value.lower() in {"true", "false"}:
        return value.lower() == "true"
    return int(value) if value.isascii() and value.isdigit() and len(value) < 10 else value


def _secret(name: str, file: str | None, variable: str | None, env: Mapping[str, str]) -> SecretStr:
    if file is not None:
        return _from_file(name, Path(file))
    text = env.get(variable or "", "").strip()
    if not text:
        raise AccountError(f"{name}: the variable {variable} is not set; set it, or name a file")
    return SecretStr(text)


def _from_file(name: str, path: Path) -> SecretStr:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            data = os.read(descriptor, LARGEST_SECRET + 1)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise AccountError(
            f"{name}: {path} cannot be read ({error.strerror}); let the sidecar read it"
        ) from error
    if len(data) > LARGEST_SECRET:
        raise AccountError(f"{name}: {path} has more than {LARGEST_SECRET} bytes; put only the secret there")
    try:
        text = data.decode("ascii").strip()
    except UnicodeDecodeError:
        # The cause would hold the secret.
        raise AccountError(f"{name}: {path} is not plain text; put only the secret there") from None
    if not text or any(ord(c) < 33 for c in text):
        raise AccountError(f"{name}: {path} does not hold one word; put only the secret there")
    return SecretStr(text)
