"""Creates publishers from the accounts in the settings: reads their secrets, and maps short names to providers.

Rules for every editor. A secret is read when an account is used and never appears in a text, not even in an error's.
A provider's waits and retries are kept short here, since it runs in a worker with a deadline.
"""

import os
from collections.abc import Callable, Mapping
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


def publisher(account: settings.Account, env: Mapping[str, str], clock: Callable[[], float]) -> Publisher:
    """An account ready for use; raises AccountError. `mailcow` accounts are resolved before (`mailcow/dns01.py`)."""
    if not isinstance(account, settings.Octodns):
        sources = account.secret_sources()
        return with_secrets(
            account, {name: _secret(name, file, variable, env) for name, file, variable in sources}, clock
        )
    secrets: dict[str, SecretStr] = {}
    plain: dict[str, str | int | bool] = {}
    for name, value in account.arguments.items():
        if value.startswith("env/"):
            secrets[name] = _secret(name, None, value.removeprefix("env/"), env)
        elif value.startswith("file//"):
            secrets[name] = _secret(name, value.removeprefix("file/"), None, env)
        # The settings keep every value as text; booleans and numbers are recognised as in YAML.
        elif value.lower() in {"true", "false"}:
            plain[name] = value.lower() == "true"
        elif value.isascii() and value.isdigit() and len(value) < 10:
            plain[name] = int(value)
        else:
            plain[name] = value
    return Hosted(ProviderSpec(account.class_, secrets, plain, only=account.zones), clock)


def with_secrets(
    account: settings.Account, secrets: Mapping[str, SecretStr], clock: Callable[[], float]
) -> Publisher:
    """The same with secrets that were read already, by the names that the settings use for them."""
    match account:
        case settings.Rfc2136Account():
            key = TsigKey(account.key_name, str(account.algorithm), secrets["secret"])
            return Rfc2136(account.server, key, clock, account.zones)
        case settings.ServercowAccount():
            return Servercow(account.username, secrets["password"], clock, account.zones)
        case settings.MailcowAccount():
            raise AccountError("mailcow's own DNS credentials were not read")
        case settings.Octodns():
            raise AccountError("the secrets of an account of type octodns belong in its arguments")
        case _:
            return Hosted(_spec(account, secrets), clock)


_WithProvider: TypeAlias = (
    settings.Cloudflare
    | settings.Hetzner
    | settings.Desec
    | settings.Gandi
    | settings.DigitalOcean
    | settings.Ovh
    | settings.PowerDns
    | settings.Route53
    | settings.Inwx
)


def _spec(account: _WithProvider, secrets: Mapping[str, SecretStr]) -> ProviderSpec:
    """The provider with its arguments; the lowest TTLs are those of the hosts' documentation."""
    plain: dict[str, str | int | bool] = {}
    match account:
        case settings.Cloudflare():
            class_, floor = "octodns_cloudflare.CloudflareProvider", 120
            plain = {"pagerules": False, "retry_count": 1, "retry_period": 5}
            if account.account_id is not None:
                plain["account_id"] = account.account_id
        case settings.Hetzner():
            class_, floor = "octodns_hetzner.HetznerProvider", 60
            plain = {"backend": "hcloud" if account.api == "cloud" else "dnsapi"}
        case settings.Desec():
            class_, floor = "octodns_desec.DesecProvider", 3_600
            plain = {"retries": 2, "max_sleep": 10}
        case settings.Gandi():
            class_, floor = "octodns_gandi.GandiProvider", 300
        case settings.DigitalOcean():
            class_, floor = "octodns_digitalocean.DigitalOceanProvider", 30
        case settings.Ovh():
            class_, floor = "octodns_ovh.OvhProvider", 60
            plain = {"endpoint": account.endpoint, "application_key": account.application_key}
        case settings.PowerDns():
            class_, floor = "octodns_powerdns.PowerDnsProvider", 0
            scheme, _, rest = account.url.partition("://")
            # The last part of an IPv6 address without a port ends with "]".
            host, _, port = rest.rpartition(":") if rest.rpartition(":")[2].isdigit() else (rest, "", "")
            plain = {
                "host": host,
                "port": int(port) if port else (443 if scheme == "https" else 80),
                "scheme": scheme,
                "server_id": account.server_id,
            }
        case settings.Route53():
            class_, floor = "octodns_route53.Route53Provider", 0
            plain = {"access_key_id": account.access_key_id}
        case settings.Inwx():
            class_, floor = "octodns_inwx.INWXProvider", 300
            plain = {"username": account.username}
            secrets = {"api_password": secrets["password"]}
        case _:
            assert_never(account)
    return ProviderSpec(class_, secrets, plain, floor, account.zones)


def _secret(name: str, file: str | None, variable: str | None, env: Mapping[str, str]) -> SecretStr:
    """Read from the file, else from the variable; raises AccountError."""
    if file is None:
        text = env.get(variable or "", "").strip()
        if not text:
            raise AccountError(f"{name}: the variable {variable} is not set; set it, or name a file")
        return SecretStr(text)
    path = Path(file)
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
