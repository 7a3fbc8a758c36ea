"""The `dns` block: what is read, how mistakes are reported, and that no secret is shown anywhere."""

import pytest

from sidecar.settings import CONFIG, Settings, SettingsError
from sidecar.settings.dns import (
    Algorithm,
    Cloudflare,
    Hetzner,
    HostForm,
    MailcowAccount,
    Octodns,
    PowerDns,
    Publish,
    Rfc2136Account,
    Scheme,
)
from sidecar.settings.load import load

SECRET = "Y0u-must-never-see-this"


def of(config: str, **env: str) -> Settings:
    """The settings of a config.yml and an environment."""
    return load(env, config.encode(), {})


def mistakes(config: str, **env: str) -> list[str]:
    """All that is said of wrong settings, without the file's name; never a secret."""
    with pytest.raises(SettingsError) as caught:
        of(config, **env)
    assert SECRET not in str(caught.value)
    return [line.removeprefix(f"{CONFIG}:") for line in str(caught.value).splitlines()[1:]]


def accounts(text: str) -> str:
    """The block with these accounts."""
    lines = "\n".join(f"    {line}" for line in text.strip().splitlines())
    return f"dns:\n  accounts:\n{lines}\n"


def test_without_the_block_nothing_is_published() -> None:
    """Off is the default, and the settings stay hashable."""
    found = of("")
    assert found.dns.publish is Publish.OFF
    assert not found.dns.accounts
    assert hash(found.dns) == hash(of("").dns)


def test_the_example_of_the_documentation_is_read() -> None:
    """Every kind of value comes out in its own type."""
    found = of(
        """
dns:
  publish: upsert
  scheme: shared
  host: addresses
  ttl: 120
  accounts:
    home: {type: rfc2136, server: "192.0.2.53", key_name: sidecar., algorithm: hmac-sha512, secret_file: /run/secrets/tsig}
    cf:   {type: cloudflare, token_file: /run/secrets/cloudflare, zones: [example.net, Bücher.example]}
    any:  {type: octodns, class: octodns_bunny.BunnyProvider, arguments: {api_key: env/BUNNY, retries: 3}}
    pdns: {type: powerdns, url: "http://192.0.2.1:8081/", api_key_env: PDNS}
    acme: {type: mailcow}
""",
        BUNNY="1",
        PDNS="2",
    ).dns
    assert (found.publish, found.scheme) == (Publish.UPSERT, Scheme.SHARED)
    assert (found.host, found.ttl) == (HostForm.ADDRESSES, 120)
    assert found.accounts == {
        "home": Rfc2136Account(
            server="192.0.2.53",
            key_name="sidecar",
            algorithm=Algorithm.SHA512,
            secret_file="/run/secrets/tsig",
        ),
        "cf": Cloudflare(
            token_file="/run/secrets/cloudflare", zones=frozenset({"example.net", "xn--bcher-kva.example"})
        ),
        "any": Octodns(
            class_="octodns_bunny.BunnyProvider", arguments={"api_key": "env/BUNNY", "retries": "3"}
        ),
        "pdns": PowerDns(url="http://192.0.2.1:8081", api_key_env="PDNS"),
        "acme": MailcowAccount(),
    }


@pytest.mark.parametrize(
    ("given", "server"),
    [
        ("192.0.2.53:5353", ("192.0.2.53", 5353)),
        ("'[2001:db8::53]:53'", ("2001:db8::53", 53)),
        ("knot.internal:1053", ("knot.internal", 1053)),
        ("ns1.example.org", ("ns1.example.org", 53)),
    ],
)
def test_a_server_is_an_address_or_a_host_name(given: str, server: tuple[str, int]) -> None:
    """The port is 53 where none is given."""
    found = of(accounts(f"a: {{type: rfc2136, server: {given}, key_name: k, secret_file: /s}}"))
    account = found.dns.accounts["a"]
    assert isinstance(account, Rfc2136Account)
    assert account.server == server


def test_all_mistakes_are_reported_together_with_their_lines() -> None:
    """One run is enough to find them all, and no secret is repeated."""
    config = f"""
dns:
  publish: maybe
  colour: red
  ttl: 5
  accounts:
    home:
      type: rfc2136
      server: 192.0.2.999
      secret: {SECRET}
    cf:
      type: cloudflare
      token: {SECRET}
    none: {{type: gandi}}
    any:
      type: octodns
      arguments:
        token: {SECRET}
    x: {{type: nonsense}}
    Ü: {{type: mailcow}}
mode: wrong
"""
    found = mistakes(config)
    assert [line.split(":")[0] for line in found] == [
        "3", "4", "5", "7", "9", "10", "13", "14", "15", "17", "19", "20", "21",
    ]  # fmt: skip
    said = "\n".join(found)
    assert "dns.publish: 'maybe'; accepted: off, dry-run, upsert, sync" in said
    assert "dns.colour: there is no such key" in said
    assert "key_name: missing" in said
    assert "dns.accounts.home.secret: not here, where others may read it; accepted: secret_file" in said
    assert "dns.accounts.cf.token: not here, where others may read it; accepted: token_file" in said
    assert "dns.accounts.none: token: missing; accepted: token_file (a path) or token_env" in said
    assert "dns.accounts.any: class: missing" in said
    assert "token: not here, where others may read it; accepted: env/NAME" in said
    assert "type: missing or not known; accepted: cloudflare, " in said


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("dns: 3", "1: dns: not a mapping"),
        ("dns: {accounts: [a]}", "1: dns.accounts: not a mapping; accepted: keys with values: a name for"),
        (accounts("a: 3"), "3: dns.accounts.a: type: missing or not known"),
        (accounts("a: {type: gandi, token_file: relative}"), "a.token_file: 'relative'; accepted: "),
        (accounts("a: {type: gandi, token_file: /a, token_env: B}"), "token: given twice"),
        (
            accounts("a: {type: route53, access_key_id: [A], secret_access_key_file: /a}"),
            "dns.accounts.a.access_key_id: ['A']; accepted: a word without spaces",
        ),
        (accounts("a: {type: powerdns, url: 'http://u:p@h', api_key_file: /a}"), "a user name cannot be"),
    ],
)
def test_mistake_says_what_is_accepted(config: str, said: str) -> None:
    """A mistake says what to write."""
    found = mistakes(config, B="1")
    assert len(found) == 1
    assert said in found[0]


def test_a_variable_that_is_not_set_is_a_mistake() -> None:
    """It is found at the start, not at the first write."""
    config = accounts(
        "a: {type: gandi, token_env: NOT_SET}\nb: {type: octodns, class: a.B, arguments: {key: env/NO}}"
    )
    assert mistakes(config) == [
        " dns.accounts.a.token_env: the variable NOT_SET is not set; set it, or name a file",
        " dns.accounts.b.arguments.key: the variable NO is not set; set it, or name a file",
    ]


def test_a_secret_in_the_environment_is_not_in_the_settings() -> None:
    """The settings hold where a secret is, not the secret."""
    found = of(accounts("a: {type: hetzner, token_env: TOKEN}"), TOKEN=SECRET)
    assert SECRET not in repr(found)
    account = found.dns.accounts["a"]
    assert isinstance(account, Hetzner)
    assert SECRET not in account.model_dump_json()
    assert list(account.secret_sources()) == [("token", None, "TOKEN")]


def test_too_many_accounts_are_refused() -> None:
    """The number is bounded."""
    found = mistakes(accounts("\n".join(f"a{n}: {{type: mailcow}}" for n in range(51))))
    assert "at most 50" in found[0]
