"""Accounts of the settings become publishers; secrets are read then, and never appear in a text."""

import warnings
from pathlib import Path

import pytest

from sidecar.dns.publish.accounts import AccountError, publisher
from sidecar.dns.publish.hosted import Hosted
from sidecar.dns.publish.messages import Request
from sidecar.dns.publish.rfc2136 import Rfc2136
from sidecar.dns.publish.servercow import Servercow
from sidecar.dns.publish.worker import Host, scrubbed
from sidecar.settings import dns as settings
from sidecar.settings.load import load

SECRET = "S3cret/with+signs=="
HETZNER, INWX = "octodns_hetzner.HetznerProvider", "octodns_inwx.INWXProvider"


def account(text: str, **env: str) -> settings.Account:
    """One account of a config.yml."""
    return load(env, f"dns: {{accounts: {{a: {{{text}}}}}}}".encode(), {}).dns.accounts["a"]


@pytest.mark.parametrize(
    ("text", "class_", "arguments"),
    [
        ("type: cloudflare, token_env: S", "octodns_cloudflare.CloudflareProvider", {"token": SECRET}),
        ("type: hetzner, token_env: S", HETZNER, {"token": SECRET, "backend": "hcloud"}),
        ("type: hetzner, api: console, token_env: S", HETZNER, {"backend": "dnsapi"}),
        ("type: desec, token_env: S", "octodns_desec.DesecProvider", {"token": SECRET}),
        ("type: gandi, token_env: S", "octodns_gandi.GandiProvider", {"token": SECRET}),
        ("type: digitalocean, token_env: S", "octodns_digitalocean.DigitalOceanProvider", {"token": SECRET}),
        (
            "type: ovh, application_key: k, application_secret_env: S, consumer_key_env: S",
            "octodns_ovh.OvhProvider",
            {
                "endpoint": "ovh-eu",
                "application_key": "k",
                "application_secret": SECRET,
                "consumer_key": SECRET,
            },
        ),
        (
            "type: powerdns, url: 'http://192.0.2.1:8081', api_key_env: S",
            "octodns_powerdns.PowerDnsProvider",
            {"host": "192.0.2.1", "port": 8081, "scheme": "http", "api_key": SECRET},
        ),
        (
            "type: powerdns, url: 'https://[2001:db8::1]', api_key_env: S",
            "octodns_powerdns.PowerDnsProvider",
            {"host": "[2001:db8::1]", "port": 443, "scheme": "https"},
        ),
        (
            "type: route53, access_key_id: AKIA, secret_access_key_env: S",
            "octodns_route53.Route53Provider",
            {"access_key_id": "AKIA", "secret_access_key": SECRET},
        ),
        ("type: inwx, username: u, password_env: S", INWX, {"username": "u", "api_password": SECRET}),
        (
            "type: octodns, class: a.b.C, arguments: {api_token: env/S, retries: 3, verify: false, name: x}",
            "a.b.C",
            {"api_token": SECRET, "retries": 3, "verify": False, "name": "x"},
        ),
    ],
)
def test_a_short_name_stands_for_a_provider(text: str, class_: str, arguments: dict[str, object]) -> None:
    """Its secrets go to the worker, and are in no text of the account."""
    found = publisher(account(text, S=SECRET), {"S": SECRET}, lambda: 0.0)
    assert isinstance(found, Hosted)
    message = found.spec.message()
    assert message.class_ == class_
    assert message.arguments.items() >= arguments.items()
    assert SECRET not in repr(found)


@pytest.mark.parametrize(
    "text",
    [
        "type: cloudflare, token_env: S, account_id: a1",
        "type: hetzner, token_env: S",
        "type: desec, token_env: S",
        "type: gandi, token_env: S",
        "type: digitalocean, token_env: S",
        "type: ovh, application_key: k, application_secret_env: S, consumer_key_env: S",
        "type: powerdns, url: 'http://192.0.2.1:8081', api_key_env: S",
        "type: route53, access_key_id: AKIA, secret_access_key_env: S",
    ],
)
def test_the_providers_accept_their_arguments(text: str) -> None:
    """Each can be created with the installed version; that sends nothing to a host."""
    found = publisher(account(text, S=SECRET), {"S": SECRET}, lambda: 0.0)
    assert isinstance(found, Hosted)
    with warnings.catch_warnings(action="ignore"):
        assert Host.of(found.spec.message()).provider.id == "dns"


def test_our_own_adapters_are_created_too(tmp_path: Path) -> None:
    """With a secret from a file, without its line end."""
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    found = publisher(
        account(
            f"type: rfc2136, server: ns.test, key_name: k, secret_file: {tmp_path}/secret, zones: a.test"
        ),
        {},
        lambda: 0.0,
    )
    assert isinstance(found, Rfc2136)
    assert found.key.secret.get_secret_value() == SECRET
    assert found.only == frozenset({"a.test"})
    assert SECRET not in repr(found)
    cow = publisher(
        account("type: servercow, username: u, password_env: S", S=SECRET), {"S": SECRET}, lambda: 0.0
    )
    assert isinstance(cow, Servercow)
    assert SECRET not in repr(cow)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read (No such file or directory)"),
        (b"", "does not hold one word"),
        (b"two words", "does not hold one word"),
        (b"\xff\xfe" + SECRET.encode(), "is not plain text"),
        (b"x" * 5_000, "more than 4096 bytes"),
    ],
)
def test_a_file_that_holds_no_secret_is_reported_without_its_content(
    tmp_path: Path, content: bytes | None, said: str
) -> None:
    """The text names the file, and what to do."""
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(AccountError) as caught:
        publisher(account(f"type: gandi, token_file: {path}"), {}, lambda: 0.0)
    assert said in str(caught.value)
    assert SECRET not in f"{caught.value!r} {caught.value.__cause__!r}"


def test_secrets_are_removed_from_a_library_s_text() -> None:
    """In each form in which it may be written into a URL, and on one line of bounded length."""
    found = publisher(account("type: gandi, token_env: S", S=SECRET), {"S": SECRET}, lambda: 0.0)
    assert isinstance(found, Hosted)
    text = (
        f"401 for https://u:pw@api.test/x?key={SECRET}&a=b and\n{SECRET} S3cret%2Fwith%2Bsigns%3D%3D "
        + "y" * 1_000
    )
    clean = scrubbed(text, found.spec.message())
    assert "S3cret" not in clean
    assert "u:pw" not in clean
    assert "\n" not in clean
    assert len(clean) <= 400
    assert clean.startswith("401 for https://***@api.test/x?… and ***")


def test_a_message_that_does_not_fit_does_not_quote_a_secret() -> None:
    """Whatever pydantic reports."""
    with pytest.raises(ValueError, match="validation error") as caught:
        Request.model_validate(
            {"do": "read", "provider": {"class_": 1, "arguments": {"token": [SECRET]}}, "seconds": 1}
        )
    assert SECRET not in str(caught.value)
