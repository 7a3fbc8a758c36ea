"""The DNS credentials that mailcow itself has for DNS-01 challenges (2026-03 and later), as accounts of ours.

Rules for every editor. They are read only where the settings ask for it (`type: mailcow`), and are never written.
mailcow keeps them in `data/conf/acme/dns-01.conf`, `KEY=value` with optional quotes and `#` comments, under the names
that acme.sh has for them; `ACME_DNS_PROVIDER` in mailcow.conf names the one provider. A value is in no text.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr, ValidationError

from sidecar.formats import dotenv
from sidecar.host.errors import PermanentError
from sidecar.host.plain_file import read_plain
from sidecar.settings import dns as settings

PATH = Path("data/conf/acme/dns-01.conf")
PROVIDER = "ACME_DNS_PROVIDER"
LARGEST = 64 * 1024
"""Bytes."""


class Dns01Error(PermanentError):
    """mailcow's credentials cannot be used here; the text says why and what to do, without a value."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """An account of the settings, and its secrets by the names that the settings have for them."""

    account: settings.Account
    secrets: Mapping[str, SecretStr]


@dataclass(frozen=True, slots=True)
class _Mapping:
    """From acme.sh's variables to an account: `plain` and `secrets` by our names."""

    make: Callable[..., settings.Account]
    secrets: Mapping[str, str]
    plain: Mapping[str, str]
    fixed: Mapping[str, str]
    optional: frozenset[str] = frozenset()


def _to(
    make: Callable[..., settings.Account],
    secrets: Mapping[str, str],
    plain: Mapping[str, str] | None = None,
    *,
    fixed: Mapping[str, str] | None = None,
    optional: Sequence[str] = (),
) -> _Mapping:
    return _Mapping(make, secrets, plain or {}, fixed or {}, frozenset(optional))


_KNOWN: Mapping[str, _Mapping] = {
    "dns_cf": _to(
        settings.Cloudflare, {"token": "CF_Token"}, {"account_id": "CF_Account_ID"}, optional=("account_id",)
    ),
    "dns_hetznercloud": _to(settings.Hetzner, {"token": "HETZNER_TOKEN"}),
    "dns_hetzner": _to(settings.Hetzner, {"token": "HETZNER_Token"}, fixed={"api": "console"}),
    "dns_desec": _to(settings.Desec, {"token": "DEDYN_TOKEN"}),
    "dns_gandi_livedns": _to(settings.Gandi, {"token": "GANDI_LIVEDNS_TOKEN"}),
    "dns_dgon": _to(settings.DigitalOcean, {"token": "DO_API_KEY"}),
    "dns_ovh": _to(
        settings.Ovh,
        {"application_secret": "OVH_AS", "consumer_key": "OVH_CK"},
        {"application_key": "OVH_AK", "endpoint": "OVH_END_POINT"},
        optional=("endpoint",),
    ),
    "dns_pdns": _to(
        settings.PowerDns,
        {"api_key": "PDNS_Token"},
        {"url": "PDNS_Url", "server_id": "PDNS_ServerId"},
        optional=("server_id",),
    ),
    "dns_aws": _to(
        settings.Route53,
        {"secret_access_key": "AWS_SECRET_ACCESS_KEY"},
        {"access_key_id": "AWS_ACCESS_KEY_ID"},
    ),
    "dns_inwx": _to(settings.Inwx, {"password": "INWX_Password"}, {"username": "INWX_User"}),
    "dns_servercow": _to(
        settings.ServercowAccount,
        {"password": "SERVERCOW_API_Password"},
        {"username": "SERVERCOW_API_Username"},
    ),
}
"""acme.sh's providers that have an account type here. Its nsupdate wants a key file in BIND's form: not read."""


def read(mailcow_dir: Path, conf: Mapping[str, str], zones: frozenset[str] | None) -> Credentials:
    """The credentials, for these zones only (None: all); `conf` is mailcow.conf. Raises Dns01Error."""
    provider = conf.get(PROVIDER, "").strip()
    if not provider:
        raise Dns01Error(
            f"{PROVIDER} is not set in mailcow.conf; name an account of your own in `dns.accounts`"
        )
    path = mailcow_dir / PATH
    try:
        values = dotenv.read(read_plain(path, LARGEST))
    except OSError as error:
        raise Dns01Error(f"{path} cannot be read ({error.strerror}); let the sidecar read it") from error
    except ValueError:
        # The cause could quote a line.
        raise Dns01Error(
            f"{path} is not a list of KEY=value; correct it as mailcow's documentation has it"
        ) from None
    return mapped(provider, values, zones)


def mapped(provider: str, values: Mapping[str, str], zones: frozenset[str] | None) -> Credentials:
    """What these variables of acme.sh are as an account; raises Dns01Error."""
    known = _KNOWN.get(provider)
    if known is None:
        raise Dns01Error(
            f"mailcow's DNS provider {provider[:40]!r} is not one that is known here ({', '.join(sorted(_KNOWN))}); "
            "name an account of your own in `dns.accounts`"
        )
    values = {name: value.strip() for name, value in values.items()}
    needed = [variable for variable in known.secrets.values() if not values.get(variable)]
    needed += [
        variable
        for name, variable in known.plain.items()
        if name not in known.optional and not values.get(variable)
    ]
    if needed:
        raise Dns01Error(
            f"{PATH} has no {', '.join(sorted(needed))}; name an account of your own in `dns.accounts`"
        )
    plain = {name: values[variable] for name, variable in known.plain.items() if values.get(variable)}
    # The type asks for the place of each secret, and here it is mailcow's file.
    places = {f"{name}_file": f"/{PATH}" for name in known.secrets}
    account, wrong = None, set[str]()
    try:
        account = known.make(**plain, **known.fixed, **places, zones=zones)
    except ValidationError as error:
        # Only the names of the variables, and no cause: the error quotes their values.
        wrong = {known.plain.get(str(one["loc"][0]), "?") for one in error.errors()}
    if account is None:
        raise Dns01Error(f"{PATH}: {', '.join(sorted(wrong))} has a form that is not accepted")
    return Credentials(
        account, {name: SecretStr(values[variable]) for name, variable in known.secrets.items()}
    )
