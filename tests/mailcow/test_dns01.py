"""mailcow's own DNS-01 credentials become an account of ours, are only read, and are in no text."""

from pathlib import Path

import pytest

from sidecar.dns.publish.accounts import with_secrets
from sidecar.dns.publish.hosted import Hosted
from sidecar.mailcow.dns01 import PATH, Dns01Error, mapped, read
from sidecar.settings import dns as settings

SECRET = "t0ken-of-mailcow"


def put(folder: Path, text: str) -> None:
    """The file as a person writes it."""
    path = folder / PATH
    path.parent.mkdir(parents=True)
    path.write_text(text)


def test_the_file_is_read_as_mailcow_has_it(tmp_path: Path) -> None:
    """Quotes and comments are no part of a value, and nothing of it is changed."""
    text = f'# Cloudflare\nCF_Token="{SECRET}"  # from the dashboard\nCF_Account_ID=abc123\n'
    put(tmp_path, text)
    found = read(tmp_path, {"ACME_DNS_PROVIDER": "dns_cf"}, frozenset({"example.net"}))
    assert isinstance(found.account, settings.Cloudflare)
    assert found.account.account_id == "abc123"
    assert found.account.zones == frozenset({"example.net"})
    assert found.secrets["token"].get_secret_value() == SECRET
    assert SECRET not in repr(found)
    assert (tmp_path / PATH).read_text() == text
    made = with_secrets(found.account, found.secrets, lambda: 0.0)
    assert isinstance(made, Hosted)
    assert made.spec.message().arguments["token"] == SECRET


@pytest.mark.parametrize(
    ("provider", "values", "type_"),
    [
        ("dns_hetznercloud", {"HETZNER_TOKEN": SECRET}, "hetzner"),
        ("dns_hetzner", {"HETZNER_Token": SECRET}, "hetzner"),
        ("dns_desec", {"DEDYN_TOKEN": SECRET}, "desec"),
        ("dns_gandi_livedns", {"GANDI_LIVEDNS_TOKEN": SECRET}, "gandi"),
        ("dns_dgon", {"DO_API_KEY": SECRET}, "digitalocean"),
        ("dns_ovh", {"OVH_AK": "k", "OVH_AS": SECRET, "OVH_CK": SECRET}, "ovh"),
        (
            "dns_pdns",
            {"PDNS_Url": "http://ns:8081", "PDNS_Token": SECRET, "PDNS_ServerId": "localhost"},
            "powerdns",
        ),
        ("dns_aws", {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": SECRET}, "route53"),
        ("dns_inwx", {"INWX_User": "u", "INWX_Password": SECRET}, "inwx"),
        ("dns_servercow", {"SERVERCOW_API_Username": "u", "SERVERCOW_API_Password": SECRET}, "servercow"),
    ],
)
def test_each_provider_that_we_have_is_mapped(provider: str, values: dict[str, str], type_: str) -> None:
    """Under acme.sh's names of the variables."""
    found = mapped(provider, values, None)
    assert found.account.type == type_
    assert with_secrets(found.account, found.secrets, lambda: 0.0) is not None


@pytest.mark.parametrize(
    ("conf", "text", "said"),
    [
        ({}, "", "ACME_DNS_PROVIDER is not set"),
        ({"ACME_DNS_PROVIDER": "dns_cf"}, None, "cannot be read"),
        ({"ACME_DNS_PROVIDER": "dns_strange"}, f"X={SECRET}", "is not one that is known here"),
        ({"ACME_DNS_PROVIDER": "dns_cf"}, f"CF_Key={SECRET}\n", "has no CF_Token"),
        ({"ACME_DNS_PROVIDER": "dns_pdns"}, f"PDNS_Url={SECRET}\nPDNS_Token=x\n", "PDNS_Url has a form"),
    ],
)
def test_what_cannot_be_used_is_reported_without_a_value(
    tmp_path: Path, conf: dict[str, str], text: str | None, said: str
) -> None:
    """With what to do instead."""
    if text is not None:
        put(tmp_path, text)
    with pytest.raises(Dns01Error) as caught:
        read(tmp_path, conf, None)
    assert said in str(caught.value)
    assert SECRET not in f"{caught.value!r} {caught.value.__cause__!r} {caught.value.__context__}"
