"""A diff shows what changes and where, and never a secret."""

import pytest

from sidecar.init.proposals import conf_diff, override_diff

CONF = b"DBPASS=hunter2\nAPI_KEY=\nREDISPASS=hunter3\nAPI_ALLOW_FROM=::1\n"


def test_value_of_a_key_is_masked() -> None:
    """The new key is not shown, nor the old one, nor a password beside it."""
    diff = conf_diff(
        "mailcow.conf", b"DBPASS=hunter2\nAPI_KEY=OLD\nX=y\n", b"DBPASS=hunter2\nAPI_KEY=NEW\nX=y\n"
    )
    assert diff.splitlines() == [
        "--- a/mailcow.conf",
        "+++ b/mailcow.conf",
        "@@ -2 +2 @@",
        "-API_KEY=****",
        "+API_KEY=****",
    ]


def test_allow_list_is_shown() -> None:
    """Consent is about the addresses."""
    diff = conf_diff("mailcow.conf", CONF, CONF.replace(b"::1", b"::1,172.22.1.247"))
    assert "-API_ALLOW_FROM=::1\n+API_ALLOW_FROM=::1,172.22.1.247" in diff
    assert "hunter" not in diff


def test_missing_line_end_changes_no_line_for_a_person() -> None:
    """The last line, perhaps a password, is not shown because it gets a line end."""
    assert conf_diff("mailcow.conf", b"DBPASS=hunter2", b"DBPASS=hunter2\nAPI_KEY=NEW\n").splitlines()[
        2:
    ] == ["@@ -1,0 +2 @@", "+API_KEY=****"]


@pytest.mark.parametrize(
    "line",
    [
        "      - RESTIC_PASSWORD=hunter2",
        "      RESTIC_PASSWORD: 'hunter2'",
        '      "API_TOKEN" : "hunter2"',
        "      ADMIN: hunter2",
        "    # - BACKUP=hunter2",
        "    password: hunter2 hunter2",
        "    command: backup --password=hunter2 --now",
        "    command: backup --api-key hunter2",
        "    image: https://user:hunter2@registry.example.org/x",
        "    url: redis://:hunter2@redis:6379",
        "      Authorization: Bearer hunter2",
        "      traefik.http.middlewares.auth.basicauth.users: admin:hunter2",
    ],
)
def test_lines_around_an_insertion_show_no_secret(line: str) -> None:
    """An override file may contain passwords of other services."""
    before = f"services:\n  one:\n{line}\n".encode()
    diff = override_diff("o.yml", before, before + b"  two:\n    image: x\n")
    assert "hunter2" not in diff
    assert "****" in diff
    assert "+    image: x" in diff


@pytest.mark.parametrize(
    "line",
    ["    image: example/one:1", '      - "8081:8081"', "      - ${IPV4_NETWORK:-172.22.1}.254", "  one:"],
)
def test_lines_around_an_insertion_are_shown(line: str) -> None:
    """So that a person recognises the place."""
    before = f"services:\n{line}\n".encode()
    assert f" {line}" in override_diff("o.yml", before, before + b"  two:\n").splitlines()


def test_new_file_is_shown_whole() -> None:
    """Nothing was there before."""
    assert override_diff("o.yml", None, b"a: 1\nb: 2\n").splitlines() == [
        "--- /dev/null",
        "+++ b/o.yml",
        "@@ -0,0 +1,2 @@",
        "+a: 1",
        "+b: 2",
    ]


def test_control_characters_do_not_reach_the_terminal() -> None:
    """A file cannot hide or fake the question."""
    diff = override_diff("o.yml", b"a: \x1b[2J\r\n", b"a: \x1b[2J\r\nb: \xe2\x80\xae1\r\n")
    assert "\x1b" not in diff
    assert "\r" not in diff
    assert "\u202e" not in diff
