"""Settings come from config.yml, environment and mailcow.conf; all mistakes are reported together, each with its place."""

import os
import stat
from dataclasses import fields, replace
from ipaddress import ip_network
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from sidecar.formats.mtasts_policy import Mode
from sidecar.settings import (
    CONFIG,
    DomainOverride,
    DomainSettings,
    Intervals,
    Manage,
    NotificationKind,
    Notify,
    RestartSettings,
    Settings,
    SettingsError,
    Web,
    ensure_config_folder,
    mailcow_dir_of,
    read_config,
)
from sidecar.settings.dns import DnsSettings, HostForm, MailcowAccount, Publish, Scheme
from sidecar.settings.load import load
from sidecar.settings.reports import Imap, Receive, Reports


def of(config: str) -> Settings:
    """The settings of a config.yml alone."""
    return load({}, config.encode(), {})


def mistakes(config: str = "", **env: str) -> list[str]:
    """All that is said of wrong settings, without the heading and the file's name."""
    with pytest.raises(SettingsError) as caught:
        load(env, config.encode(), {})
    return [line.removeprefix(f"{CONFIG}:") for line in str(caught.value).splitlines()[1:]]


WHOLE = """
# all there is
mode: Enforce
max_age: 1209600
mx:
  - Mail.Example.org.
  - "*.mx.bücher.example"
  - mail.example.org
domains:
  Bücher.example:
    mode: none
    max_age: 86400
    mx: mx.example.net
    adopt: yes
    allow_uncovered: true
  no:
  example.net: {adopt: off}
exclude: [Example.com]
only: [example.org, xn--bcher-kva.example]
manage: {policies: true, san: false, acme: no}
adopt: on
restart: {quiet: 0, settle: 10, spacing: 60, per_day: 0, per_week: 1}
soak: 2d
tls_report: Reports@bücher.example
notify: {webhook: "https://hooks.example.org/T1", apprise: "ntfy://example.org/t", gather: 0, on: [Error, stage]}
web: {listen: "[::1]:8480", names: [Page.Example.org, 192.0.2.7], prefix: /mta-sts/, proxies: 172.22.1.9/24}
backend: native
intervals: {poll: 5, policies: 60, dns: 120, doubt_polls: 3, doubt_seconds: 0}
dry_run: true
verify: no
extra_roots: data/assets/roots.pem
reports: {receive: imap, https: on, keep: 30, require: yes, imap: {host: imap.example.org, user: u, move_to: Done}}
dns: {publish: upsert, scheme: shared, host: addresses, ttl: 60, settled_ttl: 7200, accounts: {here: {type: mailcow}}}
api_url: http://nginx-mailcow:8080/
resolver: 192.0.2.1
"""


def test_every_key_of_the_file_arrives() -> None:
    """Names in A-label form, lower-case, each once; words for yes and no as people write them."""
    assert of(WHOLE) == Settings(
        mode=Mode.ENFORCE,
        max_age=1_209_600,
        mx=("mail.example.org", "*.mx.xn--bcher-kva.example"),
        domains={
            "xn--bcher-kva.example": DomainOverride(Mode.NONE, 86_400, ("mx.example.net",), True, True),
            "no": DomainOverride(),
            "example.net": DomainOverride(adopt=False),
        },
        exclude=frozenset({"example.com"}),
        only=frozenset({"example.org", "xn--bcher-kva.example"}),
        manage=Manage(san=False, acme=False),
        adopt=True,
        restart=RestartSettings(quiet=0, settle=10, spacing=60, per_day=0, per_week=1),
        soak=172_800,
        tls_report="mailto:Reports@xn--bcher-kva.example",
        notify=Notify(
            SecretStr("https://hooks.example.org/T1"),
            (SecretStr("ntfy://example.org/t"),),
            0,
            frozenset({NotificationKind.ERROR, NotificationKind.STAGE}),
        ),
        web=Web(
            ("::1", 8480),
            frozenset({"page.example.org", "192.0.2.7"}),
            "/mta-sts",
            (ip_network("172.22.1.0/24"),),
        ),
        backend="native",
        intervals=Intervals(poll=5, policies=60, dns=120, doubt_polls=3, doubt_seconds=0),
        dry_run=True,
        verify=False,
        extra_roots="data/assets/roots.pem",
        reports=Reports(Receive.IMAP, True, 30, True, Imap("imap.example.org", "u", move_to="Done")),
        dns=DnsSettings(
            publish=Publish.UPSERT,
            scheme=Scheme.SHARED,
            host=HostForm.ADDRESSES,
            ttl=60,
            settled_ttl=7_200,
            accounts={"here": MailcowAccount(type="mailcow")},
        ),
        api_url="http://nginx-mailcow:8080",
        resolver=("192.0.2.1", 53),
        explicit=frozenset({"mode", "max_age", "mx"}),
    )


def test_no_setting_is_without_a_way_in() -> None:
    """Each is a key of config.yml, all of which `WHOLE` has, or comes from the environment or mailcow.conf alone."""
    (error,) = mistakes("unknown: 1")
    keys = set(error.partition("accepted: ")[2].split(", "))
    elsewhere = {
        *("mailcow_dir", "state_dir", "api_key", "web_token", "imap_password", "log_json", "project_hint"),
        "explicit",
    }
    assert keys == yaml.safe_load(WHOLE).keys()
    assert keys | elsewhere == {one.name for one in fields(Settings) if one.init}


@pytest.mark.parametrize(
    "config", [None, b"", b"# nothing yet\n", b"---\n", b"mode:\nmx: ~\nrestart: null\n"]
)
def test_nothing_given_is_the_safe_default(config: bytes | None) -> None:
    """A key without a value is one that is not there."""
    settings = load({}, config, {})
    assert settings == Settings()
    assert (settings.mode, settings.max_age, settings.mx) == (Mode.TESTING, 604_800, ())
    assert settings.explicit == frozenset()
    assert (settings.adopt, settings.dry_run, settings.backend) == (False, False, "auto")


def test_every_variable_arrives() -> None:
    """In the form that a container's environment has."""
    env = {
        "MTA_STS_MAILCOW_DIR": "/srv/mailcow",
        "MTA_STS_STATE_DIR": "/srv/state",
        "MTA_STS_API_URL": "https://mail.example.org",
        "MTA_STS_API_KEY": "AAA-111",
        "MTA_STS_RESOLVER": "[2001:DB8::1]:5353",
        "MTA_STS_DRY_RUN": "1",
        "MTA_STS_MODE": "none",
        "MTA_STS_MAX_AGE": "60",
        "MTA_STS_POLL": "7",
        "MTA_STS_LOG": "json",
        "MTA_STS_WEB_LISTEN": "0.0.0.0:80",
        "MTA_STS_WEB_TOKEN": "correct-horse",
        "COMPOSE_PROJECT_NAME": "mc",
    }
    settings = load(env, None, {"API_KEY": "other", "COMPOSE_PROJECT_NAME": "other"})
    assert settings.api_key is not None
    assert settings.api_key.get_secret_value() == "AAA-111"
    assert settings.web_token == SecretStr("correct-horse")
    assert replace(settings, api_key=None, web_token=None) == Settings(
        web=Web(("0.0.0.0", 80)),
        mailcow_dir=Path("/srv/mailcow"),
        state_dir=Path("/srv/state"),
        api_url="https://mail.example.org",
        resolver=("2001:db8::1", 5353),
        dry_run=True,
        mode=Mode.NONE,
        max_age=60,
        intervals=Intervals(poll=7),
        log_json=True,
        project_hint="mc",
        explicit=frozenset({"mode", "max_age"}),
    )
    assert mailcow_dir_of(env) == Path("/srv/mailcow")


def test_environment_wins_over_the_file_field_by_field() -> None:
    """The file's other intervals stay."""
    env = {
        "MTA_STS_MODE": "enforce",
        "MTA_STS_POLL": "9",
        "MTA_STS_DRY_RUN": "no",
        "MTA_STS_WEB_LISTEN": "127.0.0.1:1",
    }
    file = b"mode: none\nmax_age: 100\ndry_run: yes\nintervals: {poll: 60, dns: 90}\nweb: {prefix: /p, listen: off}\n"
    settings = load(env, file, {})
    assert (settings.mode, settings.max_age, settings.dry_run) == (Mode.ENFORCE, 100, False)
    assert settings.intervals == Intervals(poll=9, dns=90)
    assert settings.web == Web(("127.0.0.1", 1), prefix="/p")


@pytest.mark.parametrize("word", ["off", "no", "false"])
def test_page_is_switched_off_by_one_word(word: str) -> None:
    """`web: off` is short for `web: {listen: off}`; `web: on` is the default."""
    assert load({}, f"web: {word}".encode(), {}).web == Web(listen=None)
    assert load({}, b"web: on", {}).web == Web()


def test_empty_and_foreign_variables_are_ignored() -> None:
    """Compose passes empty ones on; the environment holds many more."""
    env = {
        "MTA_STS_MODE": "",
        "MTA_STS_API_KEY": " ",
        "MTA_STS_MAILCOW_DIR": "",
        "PATH": "/bin",
        "MTA_STSX": "1",
    }
    assert load(env, None, {}) == Settings()
    assert mailcow_dir_of(env) == Path("/mailcow")


def test_key_and_project_of_mailcow_conf_are_the_last_resort() -> None:
    """Both may come from where mailcow has them."""
    settings = load({}, None, {"API_KEY": "AB-12", "COMPOSE_PROJECT_NAME": "mailcowdockerized"})
    assert settings.api_key is not None
    assert settings.api_key.get_secret_value() == "AB-12"
    assert settings.project_hint == "mailcowdockerized"
    assert load({}, None, {"API_KEY": ""}).api_key is None


BAD_FILE = [
    ("mode: strict", "1: mode: 'strict' is not a mode; accepted: testing, enforce, none, auto"),
    ("a: 1\n", "1: a: there is no such key; accepted: adopt, api_url, backend"),
    ("domians: {}", "1: domians: there is no such key, did you mean domains?; accepted: adopt,"),
    ("domains:\n  example.org:\n    maxage: 1", "3: domains.example.org.maxage: there is no such key, did you mean max_age?"),
    ("mode: none\n\nmode: none", "3: mode: given in line 1 already; accepted: each key once"),
    ("domains:\n  a.example:\n  a.example:", "3: domains.a.example: given in line 2 already"),
    ("domains:\n  bücher.example:\n  xn--bcher-kva.example:", "3: domains: 'xn--bcher-kva.example' is 'bücher.example'"),
    ("domains:\n  'a b':", "2: domains: 'a b' is not a domain name; accepted: a domain name such as example.org"),
    ("domains: [a.example]", "1: domains: not a mapping; accepted: keys with values, each a domain name"),
    ("domains:\n  a.example: enforce", "2: domains.a.example: not a mapping; accepted: keys with values: mode, max_age"),
    ("max_age: 0", "1: max_age: '0'; accepted: a time such as 7d, 12h or 30min, from 1 to 31536000 seconds"),
    ("max_age: 31536001", "1: max_age: '31536001'; accepted"),
    ("max_age: 1 month", "1: max_age: '1 month'; accepted"),
    ("max_age: true", "1: max_age: 'true'; accepted"),
    ("soak: x", "1: soak: 'x'; accepted: a time such as 7d, 12h or 30min, from 0 to"),
    ("max_age: ٣٣", "1: max_age: '٣٣'; accepted"),  # digits, but not these
    ("mx:\n- a.example\n- '*'", "3: mx[2]: '*' is not an mx pattern; accepted: a host name such as mail.example.org"),
    ("mx: under_score.example", "1: mx: 'under_score.example' is not an mx pattern"),
    ("mx: 192.0.2.1", "1: mx: '192.0.2.1' is not an mx pattern"),
    ("mx: [dns, a.example]", "1: mx: ['dns', 'a.example']; accepted: either the one word dns, or patterns"),
    ("mx: {a: b}", "1: mx: not a list; accepted: a list, or one name"),
    ("mx: *.example.org", "1: not YAML: while scanning an alias"),
    ("mx: *a", "1: not YAML: found undefined alias 'a' (a value that begins with * must stand in quotes)"),
    ("exclude: [a.example, 'b c']", "1: exclude[2]: 'b c' is not a domain name"),
    ("only: [[]]", "1: only[1]: []; accepted: a domain name"),
    ("manage: {polices: no}", "1: manage.polices: there is no such key, did you mean policies?; accepted: access,"),
    ("manage:\n  san: maybe", "2: manage.san: 'maybe' is neither yes nor no; accepted: true, false"),
    ("manage: no", "1: manage: not a mapping; accepted: keys with values: policies, san, acme, access"),
    ("restart: {per_day: -1}", "1: restart.per_day: '-1'; accepted: a whole number from 0 to 1000"),
    ("intervals: {poll: 4}", "1: intervals.poll: '4'; accepted: a time such as 7d, 12h or 30min, from 5 to 3600 s"),
    ("backend: auto-detect", "1: backend: 'auto-detect'; accepted: auto, file, native"),
    ("tls_report: nobody", "1: tls_report: 'nobody'; accepted: an e-mail address, or a mailto: or https: URI"),
    ("tls_report: http://a.example/", "1: tls_report: 'http://a.example/'; accepted"),
    ("api_url: nginx-mailcow", "1: api_url: 'nginx-mailcow'; accepted: the address of mailcow's web server"),
    ("api_url: https://a.example/api/v1", "1: api_url: 'https://a.example/api/v1' has a path; accepted"),
    ("resolver: dns.example", "1: resolver: 'dns.example'; accepted: an address"),
    ("resolver: 192.0.2.1:0", "1: resolver: '192.0.2.1:0'; accepted"),
    ("- mode", "1: not a mapping; accepted: keys with values: adopt,"),
    ("mode: none\n? [a]\n: b", "2: a key is a list or a mapping; accepted: a word"),
    ("only: &a [*a]", "1: only[1]: it contains itself; accepted: plain values"),
    ("mode: [", "1: not YAML: while parsing a flow node"),
    ("mode: none\n---\nmode: none", "2: not YAML: expected a single document"),
    ("notify: {on: [stage, all]}", "1: notify.on[2]: 'all'; accepted: stage, error, recovery"),
    ("notify: {webhook: ftp://hunter2}", "1: notify.webhook: not shown here; accepted: an https: or http: URL"),
    ("notify: {webhook: 'https://[hunter2'}", "1: notify.webhook: not shown here; accepted"),
    ("notify: {webhook: [hunter2]}", "1: notify.webhook: not shown here; accepted"),
    ("notify:\n  apprise:\n  - ntfy://a\n  - hunter2", "4: notify.apprise[2]: not shown here; accepted: a URL of Apprise"),
    ("notify: {apprise: [{hunter2: a}]}", "1: notify.apprise[1]: not shown here; accepted"),
    ("notify: {apprise: {ntfy: a}}", "1: notify.apprise: not a list; accepted: a list, or one name"),
    ("notify: {apprice: a}", "1: notify.apprice: there is no such key, did you mean apprise?; accepted: apprise,"),
    ("web: {listen: 127.0.0.1}", "1: web.listen: '127.0.0.1'; accepted: an address of this machine with a port"),
    ("web: {listen: 'localhost:80'}", "1: web.listen: 'localhost:80'; accepted"),
    ("web: {names: ['a b']}", "1: web.names[1]: 'a b' is not a host; accepted"),
    ("web: {prefix: mta-sts}", "1: web.prefix: 'mta-sts'; accepted: a path such as /mta-sts, or nothing"),
    ("web: {proxies: [nginx]}", "1: web.proxies[1]: 'nginx'; accepted: an address or a network, such as"),
    ("web: {prefix: '/../a'}", "1: web.prefix: '/../a'; accepted"),
    ("web: {token: hunter2}", "1: web.token: not here, where others may read it; accepted: MTA_STS_WEB_TOKEN"),
    ("api_key: hunter2", "1: api_key: not here, where others may read it; accepted: MTA_STS_API_KEY, or API_KEY"),
]  # fmt: skip


@pytest.mark.parametrize(("config", "said"), BAD_FILE, ids=[case[0] for case in BAD_FILE])
def test_mistake_in_the_file_is_reported_with_line_and_key(config: str, said: str) -> None:
    """What is wrong, where, and what is accepted; never a default in its place."""
    found = mistakes(config)
    assert any(line.startswith(said) for line in found), found
    assert all("accepted: " in line for line in found)
    assert "hunter2" not in "".join(found)


def test_file_that_is_not_text_is_a_mistake() -> None:
    """Bytes that YAML cannot be."""
    with pytest.raises(SettingsError, match="not a text in UTF-8"):
        load({}, b"mode: \xff\xfe\n", {})


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("MTA_STS_MAX_AGE", "1x", "MTA_STS_MAX_AGE: '1x'; accepted: a time such as 7d"),
        ("MTA_STS_DRY_RUN", "2", "MTA_STS_DRY_RUN: '2' is neither yes nor no"),
        ("MTA_STS_API_URL", "ftp://a", "MTA_STS_API_URL: 'ftp://a'; accepted"),
        ("MTA_STS_RESOLVER", "::1:x", "MTA_STS_RESOLVER: '::1:x'; accepted"),
        ("MTA_STS_LOG", "xml", "MTA_STS_LOG: 'xml'; accepted: text, json"),
        ("MTA_STS_DRYRUN", "1", "MTA_STS_DRYRUN: there is no such variable, did you mean MTA_STS_DRY_RUN?"),
    ],
)
def test_mistake_in_the_environment_names_the_variable(name: str, value: str, said: str) -> None:
    """The variable, not the key that it stands for."""
    (mistake,) = mistakes(**{name: value})
    assert mistake.startswith(said)
    assert "accepted: " in mistake


def test_all_mistakes_are_reported_at_once_in_the_order_of_lines() -> None:
    """File and environment in one error, which says how many there are."""
    with pytest.raises(SettingsError) as caught:
        load({"MTA_STS_POLL": "x"}, b"max_age: x\nmood: y\nmax_age: 2\nbackend: z\n", {})
    heading, *lines = str(caught.value).splitlines()
    assert heading == "the settings have 5 mistakes:"
    places = [":".join(line.split(":")[:2]) for line in lines]
    assert places == [*(f"{CONFIG}:{line}" for line in (1, 2, 3, 4)), "MTA_STS_POLL: 'x'; accepted"]


@pytest.mark.parametrize("source", ["MTA_STS_API_KEY", "API_KEY"])
def test_key_is_shown_nowhere(source: str) -> None:
    """Neither in a picture of the settings nor in a mistake about it."""
    env, conf = ({source: "hunter2"}, {}) if source.startswith("MTA") else ({}, {source: "hunter2"})
    settings = load(env, None, conf)
    assert "hunter2" not in repr(settings) + str(settings) + repr(settings.api_key)
    env, conf = ({source: "hunter 2"}, {}) if env else ({}, {source: "hunter 2"})
    with pytest.raises(SettingsError, match=f"{source}.*not shown") as caught:
        load(env, None, conf)
    assert "hunter" not in str(caught.value)


@pytest.mark.parametrize("token", ["hunter2", "hunter2 hunter2", "hunter2" * 30, "hunter2-hünter"])
def test_token_of_the_page_is_long_enough_and_not_shown(token: str) -> None:
    """Twelve characters that can be typed anywhere."""
    (mistake,) = mistakes(MTA_STS_WEB_TOKEN=token)
    assert mistake.startswith("MTA_STS_WEB_TOKEN: ")
    assert "accepted: 12 to 200" in mistake
    assert "hunter2" not in mistake
    assert load({"MTA_STS_WEB_TOKEN": "hunter2-hunt"}, None, {}).web_token == SecretStr("hunter2-hunt")


@pytest.mark.parametrize(
    "url",
    [
        "https://user:hunter2@hooks.example.org:8443/a?b=hunter2#c",
        "mailtos://user:hunter2@example.org?to=a@example.org",
        "slack://hunter2/hunter2/hunter2/#channel",
        "tgram://123456789:hunter2/1",
    ],
)
def test_notification_url_is_kept_as_it_is_and_shown_nowhere(url: str) -> None:
    """Each way that services write theirs."""
    kind = "webhook" if url.startswith("https") else "apprise"
    settings = of(yaml.safe_dump({"notify": {kind: url}}))
    kept = [settings.notify.webhook, *settings.notify.apprise]
    assert url in [one.get_secret_value() for one in kept if one is not None]
    assert "hunter2" not in repr(settings) + str(settings)


@pytest.mark.parametrize(
    "url", ["https://user:hunter2@a.example", "https://hunter2@a.example:x", "hunter2@a"]
)
def test_password_in_a_url_is_refused_and_not_shown(url: str) -> None:
    """An address with a user name in front is a mistake."""
    (mistake,) = mistakes(MTA_STS_API_URL=url)
    assert "hunter2" not in mistake


@pytest.mark.parametrize(
    ("text", "uri"),
    [
        ("a@example.org", "mailto:a@example.org"),
        ("mailto:a+b@Example.org", "mailto:a+b@example.org"),
        ("https://example.org/report?to=1", "https://example.org/report?to=1"),
    ],
)
def test_report_address_becomes_a_uri(text: str, uri: str) -> None:
    """As RFC 8460 §3 wants it in `rua`."""
    assert of(f"tls_report: {text}").tls_report == uri


@pytest.mark.parametrize(
    ("text", "resolver"),
    [
        ("192.0.2.1", ("192.0.2.1", 53)),
        ("192.0.2.1:5353", ("192.0.2.1", 5353)),
        ("2001:db8::1", ("2001:db8::1", 53)),
        ("[2001:db8::1]", ("2001:db8::1", 53)),
        ("[::1]:65535", ("::1", 65535)),
    ],
)
def test_resolver_has_an_address_and_a_port(text: str, resolver: tuple[str, int]) -> None:
    """Of both families."""
    assert load({"MTA_STS_RESOLVER": text}, None, {}).resolver == resolver


@pytest.mark.parametrize(
    ("config", "managed"),
    [
        ("", {"a.example", "b.example"}),
        ("exclude: [a.example]", {"b.example"}),
        ("only: [a.example]", {"a.example"}),
        ("only: [a.example, b.example]\nexclude: [a.example]", {"b.example"}),
        ("only: []", set()),
        ("only:", {"a.example", "b.example"}),
    ],
)
def test_excluded_domains_are_not_managed(config: str, managed: set[str]) -> None:
    """An empty `only` is an answer; one without a value is none."""
    settings = of(config)
    assert {name for name in ("a.example", "b.example") if settings.manages(name)} == managed


def test_settings_of_a_domain_override_those_for_all() -> None:
    """Field by field; an empty mx means MAILCOW_HOSTNAME, for one domain too."""
    settings = of(
        "mode: enforce\nmx: mx.example\nadopt: yes\n"
        "domains: {a.example: {mode: testing, mx: [], adopt: no}, b.example: {max_age: 5, allow_uncovered: yes}}"
    )
    assert settings.for_domain("a.example") == DomainSettings(Mode.TESTING, 604_800, (), False, False)
    assert settings.for_domain("b.example") == DomainSettings(Mode.ENFORCE, 5, ("mx.example",), True, True)
    assert settings.for_domain("c.example") == DomainSettings(
        Mode.ENFORCE, 604_800, ("mx.example",), True, False
    )
    assert settings.explicit == {"mode", "mx"}
    assert settings.explicit_for("b.example") == {"mode", "mx", "max_age"}
    assert settings.explicit_for("c.example") == {"mode", "mx"}


@given(
    st.one_of(st.binary(max_size=60), st.text("abmodexn:[]{}*&?-|>'\"# \n,.~!%", max_size=40).map(str.encode))
)
def test_any_file_is_settings_or_mistakes(config: bytes) -> None:
    """Nothing else comes out of a file that a person wrote."""
    try:
        settings = load({}, config, {})
    except SettingsError as error:
        lines = str(error).splitlines()
        assert len(lines) > 1
    else:
        assert isinstance(settings, Settings)


# --- the files --------------------------------------------------------------------------------------------


def test_config_is_read_and_a_missing_one_is_none(tmp_path: Path) -> None:
    """No file, no folder, no mailcow directory: no settings in a file."""
    assert read_config(tmp_path / "missing") is None
    assert read_config(tmp_path) is None
    (tmp_path / CONFIG).parent.mkdir(parents=True)
    assert read_config(tmp_path) is None
    (tmp_path / CONFIG).write_bytes(b"mode: none\n")
    assert read_config(tmp_path) == b"mode: none\n"


def test_config_that_cannot_be_read_is_a_mistake(tmp_path: Path) -> None:
    """It is not taken for a missing one."""
    (tmp_path / CONFIG).mkdir(parents=True)
    with pytest.raises(SettingsError, match=r"config\.yml cannot be read"):
        read_config(tmp_path)


def test_folder_is_created_once_and_hidden_from_mailcows_git(tmp_path: Path) -> None:
    """Whoever owns mailcow's settings owns it, and nothing that is there is touched."""
    conf = tmp_path / "data" / "conf"
    conf.mkdir(parents=True)
    if os.geteuid() == 0:
        os.chown(conf, 1000, 1000)
    ensure_config_folder(tmp_path)
    folder = (tmp_path / CONFIG).parent
    assert {path.name: path.read_text() for path in folder.iterdir()} == {".gitignore": "*\n"}
    owner = conf.stat().st_uid
    assert (folder.stat().st_uid, (folder / ".gitignore").stat().st_uid) == (owner, owner)
    (folder / ".gitignore").write_text("mine\n")
    ensure_config_folder(tmp_path)
    assert (folder / ".gitignore").read_text() == "mine\n"
    (folder / ".gitignore").unlink()
    ensure_config_folder(tmp_path)
    assert list(folder.iterdir()) == []


def test_folder_that_cannot_be_created_is_ignored(tmp_path: Path) -> None:
    """Without mailcow's own folder, or where a file is in the way."""
    ensure_config_folder(tmp_path)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "data").touch()
    ensure_config_folder(tmp_path)
    assert stat.S_ISREG((tmp_path / "data").stat().st_mode)


@pytest.mark.parametrize("given", ["/etc/ssl/roots.pem", "../roots.pem", "."])
def test_extra_roots_lie_in_the_mailcow_directory(given: str) -> None:
    """The only folder that the container has."""
    with pytest.raises(SettingsError, match="a file in the mailcow directory"):
        load({}, f"extra_roots: {given}".encode(), {})
    assert load({}, b"extra_roots: data/roots.pem", {}).extra_roots == "data/roots.pem"


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("7d", 604_800),
        ("7 Days", 604_800),
        ("1w", 604_800),
        ("2 weeks", 1_209_600),
        ("36h", 129_600),
        ("1 hour", 3_600),
        ("90 min", 5_400),
        ("5m", 300),
        ("90s", 90),
        ("90 seconds", 90),
        ("'604800 s'", 604_800),
    ],
)
def test_times_are_read_as_people_write_them(written: str, seconds: int) -> None:
    """In the file and in the environment."""
    settings = load({}, f"max_age: {written}\nsoak: {written}\n".encode(), {})
    assert (settings.max_age, settings.soak) == (seconds, seconds)
    assert load({"MTA_STS_MAX_AGE": written.strip("'")}, None, {}).max_age == seconds
