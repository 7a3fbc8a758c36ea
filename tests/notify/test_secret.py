"""Nothing of a notification URL gets into a text, and a host's name is nothing of it."""

import io
import json

import pytest
import structlog
import yaml

from sidecar.host import log
from sidecar.notify.secret import hidden, parts, secrets_of
from sidecar.settings import Settings
from sidecar.settings.load import load

URLS = [
    (
        "https://hooks.example.org/services/T1JJ3T3L2/A1BRTD4JD?key=x4Gh7Kp9Qz",
        ["T1JJ3T3L2", "A1BRTD4JD", "x4Gh7Kp9Qz"],
    ),
    ("mailtos://user:p%40ssword9@mail.example.org?to=postmaster@example.org", ["p%40ssword9", "p@ssword9"]),
    ("mailtos://user:onlyletters@mail.example.org", ["onlyletters"]),
    ("mailtos://user:with/slash@9@mail.example.org", ["with/slash@9"]),
    ("tgram://123456789:AbcDefGhi_JKL/11111111", ["123456789:AbcDefGhi_JKL", "AbcDefGhi_JKL", "123456789"]),
    ("slack://TokenAAAA1/TokenBBBB2/TokenCCCC3/#channel", ["TokenAAAA1", "TokenBBBB2", "TokenCCCC3"]),
    ("ntfys://tk_AgQdq7mVBoFD37zQVN29@ntfy.example.org/topic", ["tk_AgQdq7mVBoFD37zQVN29"]),
    ("matrixs://user:syt_YQ_KqX.Zw9@matrix.example.org/#room", ["syt_YQ_KqX.Zw9"]),
]


def settings_with(url: str) -> Settings:
    """Settings in which it is an Apprise URL."""
    return load({}, yaml.safe_dump({"notify": {"apprise": [url]}}).encode(), {})


@pytest.mark.parametrize(("url", "secrets"), URLS)
def test_no_part_of_it_is_left_in_a_text_about_it(url: str, secrets: list[str]) -> None:
    """Alone, in the whole, and quoted as URLs quote."""
    for secret in secrets:
        text = hidden(f"POST {url} failed for {secret} at mail.example.org", url)
        assert not any(one in text for one in secrets)
        assert text.endswith("at mail.example.org")


@pytest.mark.parametrize(("url", "secrets"), URLS)
def test_log_hides_it_in_every_line(url: str, secrets: list[str]) -> None:
    """Configured with the secrets of the settings; host names and plain words stay readable."""
    stream = io.StringIO()
    log.configure(json=True, stream=stream, secrets=secrets_of(settings_with(url)))
    try:
        for secret in secrets:
            structlog.get_logger().warning(
                f"cannot use {secret} of {url}", at="mail.example.org", to="postmaster"
            )
    finally:
        structlog.reset_defaults()
    for line in stream.getvalue().splitlines():
        found = json.loads(line)
        assert (found["at"], found["to"]) == ("mail.example.org", "postmaster")
        assert not any(secret in found["event"] for secret in secrets), found["event"]


def test_log_hides_all_secrets_of_the_settings() -> None:
    """The keys too."""
    env = {"MTA_STS_API_KEY": "AAAA-1111", "MTA_STS_WEB_TOKEN": "correct-horse-battery"}
    settings = load(env, b"notify: {webhook: 'https://hooks.example.org/x9Yz8Wv7'}", {})
    assert set(secrets_of(settings)) == {
        "AAAA-1111",
        "correct-horse-battery",
        "https://hooks.example.org/x9Yz8Wv7",
        "hooks.example.org/x9Yz8Wv7",
        "x9Yz8Wv7",
    }
    assert secrets_of(Settings()) == ()


def test_hosts_and_addresses_are_not_secrets() -> None:
    """They are in every other line."""
    for host in ("mail.example.org", "192.0.2.1", "[2001:db8::1]"):
        url = f"https://{host}:8443/x9Yz8Wv7"
        assert hidden(f"no connection to {host}", url) == f"no connection to {host}"
    assert "x9Yz8Wv7" in parts("https://mail.example.org/x9Yz8Wv7")
