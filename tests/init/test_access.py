"""The API's settings in mailcow.conf are read as mailcow does, and changed without touching anything else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.formats.dotenv import read
from sidecar.init.access import KeySource, allow, allow_list_counts, can_match, key_source, set_value

ADDRESS = "172.22.1.247"
KEY = "AAAAAA-BBBBBB-CCCCCC-DDDDDD-EEEEEE"

SET = [
    ("absent", b"A=1\n", b"A=1\nAPI_KEY=k-1\n"),
    ("commented", b"#API_KEY=\nA=1\n", b"#API_KEY=\nA=1\nAPI_KEY=k-1\n"),
    ("no line end", b"A=1", b"A=1\nAPI_KEY=k-1\n"),
    ("empty", b"API_KEY=\nA=1\n", b"API_KEY=k-1\nA=1\n"),
    ("in quotes", b'API_KEY="old"\n', b'API_KEY="k-1"\n'),
    ("with a comment", b"API_KEY=old # mine\n", b"API_KEY=k-1 # mine\n"),
    ("given twice: the last counts", b"API_KEY=a\nA=1\nAPI_KEY=b\n", b"API_KEY=a\nA=1\nAPI_KEY=k-1\n"),
    ("a longer name is another key", b"API_KEY_READ_ONLY=x\n", b"API_KEY_READ_ONLY=x\nAPI_KEY=k-1\n"),
    ("the same value", b"API_KEY=k-1\n", b"API_KEY=k-1\n"),
]


@pytest.mark.parametrize(("before", "after"), [case[1:] for case in SET], ids=[case[0] for case in SET])
def test_value_is_set_in_its_place(before: bytes, after: bytes) -> None:
    """In the last line that has the key, else in a new one; comments stay comments."""
    assert set_value(before, "API_KEY", "k-1") == after


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"API_KEY='a\nb'\n", "k-1"),  # over several lines
        (b"A=$API_KEY\nAPI_KEY=a\nB=$API_KEY\n", "k-1"),  # another key would change with it
        (b"A=1\n", "two words"),
        (b"A=1\n", "a,b"),
        (b"A=1\n", "x\nB=2"),
        (b"A='1\n", "k-1"),  # Compose refuses the file
    ],
)
def test_value_that_cannot_be_set_safely_is_refused(data: bytes, value: str) -> None:
    """A file full of passwords is not edited by guessing."""
    with pytest.raises(ValueError, match=r".") as caught:
        set_value(data, "API_KEY", value)
    assert "DBPASS" not in str(caught.value)


LINES = st.sampled_from(
    [
        "MAILCOW_HOSTNAME=mail.example.org",
        "DBPASS='hunter2 # no comment'",
        'X="a, b"',
        "#API_KEY=",
        "# a comment",
        "",
        "API_KEY=old",
        'API_KEY="older" # mine',
        "API_KEY=",
        "API_KEY_READ_ONLY=ro",
        "export API_KEY=exported",
        "  API_KEY = spaced",
        "Ä=ö",
    ]
)
KEYS = st.from_regex(r"[A-Za-z0-9-]{1,40}", fullmatch=True)


@given(st.lists(LINES, max_size=8), st.booleans(), st.booleans(), KEYS)
def test_only_the_value_of_the_key_ever_changes(lines: list[str], crlf: bool, ends: bool, value: str) -> None:
    """Every other line stays unchanged, and the key has the value; a second time changes nothing."""
    line_end = "\r\n" if crlf else "\n"
    before = (line_end.join(lines) + (line_end if ends else "")).encode()
    after = set_value(before, "API_KEY", value)
    assert read(after) == read(before) | {"API_KEY": value}
    old, new = before.splitlines(), after.splitlines()
    changed = [number for number, line in enumerate(old) if new[number] != line]
    assert len(changed) <= 1
    assert all(b"API_KEY" in old[number] for number in changed)
    assert len(new) - len(old) == (0 if "API_KEY" in read(before) else 1)
    assert set_value(after, "API_KEY", value) == after


ALLOW = [
    (
        "absent, with mailcow's commented line",
        b"#API_ALLOW_FROM=172.22.1.1,127.0.0.1\n",
        b"#API_ALLOW_FROM=172.22.1.1,127.0.0.1\nAPI_ALLOW_FROM=172.22.1.1,127.0.0.1,172.22.1.247\n",
    ),
    (
        "absent, the commented line empty",
        b"#API_ALLOW_FROM=\n",
        b"#API_ALLOW_FROM=\nAPI_ALLOW_FROM=172.22.1.247\n",
    ),
    ("absent", b"A=1\n", b"A=1\nAPI_ALLOW_FROM=172.22.1.247\n"),
    ("empty", b"API_ALLOW_FROM=\n", b"API_ALLOW_FROM=172.22.1.247\n"),
    ("invalid", b"API_ALLOW_FROM=invalid\n", b"API_ALLOW_FROM=172.22.1.247\n"),
    ("others", b"API_ALLOW_FROM=10.0.0.0/8,::1 # us\n", b"API_ALLOW_FROM=10.0.0.0/8,::1,172.22.1.247 # us\n"),
    ("spaces", b"API_ALLOW_FROM='10.0.0.1, ::1'\n", b"API_ALLOW_FROM='10.0.0.1,::1,172.22.1.247'\n"),
    ("there but for a space", b"API_ALLOW_FROM=::1, 172.22.1.247\n", b"API_ALLOW_FROM=::1,172.22.1.247\n"),
    ("covered", b"API_ALLOW_FROM=172.22.1.0/24\n", b"API_ALLOW_FROM=172.22.1.0/24\n"),
]


@pytest.mark.parametrize(("before", "after"), [case[1:] for case in ALLOW], ids=[case[0] for case in ALLOW])
def test_address_is_added_and_none_removed(before: bytes, after: bytes) -> None:
    """The administrator's entries stay; mailcow's commented default becomes active, with ours after it."""
    assert allow(before, ADDRESS) == after
    assert allow(after, ADDRESS) == after


def test_full_list_is_refused() -> None:
    """mailcow's database would not accept the key with it."""
    with pytest.raises(ValueError, match="512 characters"):
        allow(f"API_ALLOW_FROM={','.join(f'10.0.0.{n}' for n in range(10, 70))}\n".encode(), ADDRESS)


@pytest.mark.parametrize(
    ("values", "variables", "expected"),
    [
        ({"API_KEY": "k"}, {}, KeySource.CONF),
        ({"API_KEY": "k", "MTA_STS_API_KEY": "o"}, {}, KeySource.OWN),
        ({"API_KEY": "k"}, {"MTA_STS_API_KEY": "o"}, KeySource.OWN),
        ({"API_KEY": ""}, {}, KeySource.NONE),
        ({"API_KEY": "invalid"}, {"MTA_STS_API_KEY": ""}, KeySource.NONE),
        ({"API_KEY_READ_ONLY": "r"}, {}, KeySource.NONE),
    ],
)
def test_source_of_the_key(values: dict[str, str], variables: dict[str, str], expected: KeySource) -> None:
    """The sidecar's own key comes first; a read-only key does not count."""
    assert key_source(values, variables) is expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"API_KEY": "k"}, True),
        ({"MTA_STS_API_KEY": "o"}, False),  # of mailcow's page, where its allow list is, too
        ({"MTA_STS_API_KEY": "o", "API_KEY": "k"}, False),
        ({"MTA_STS_API_KEY": "k", "API_KEY": "k"}, True),
        ({"MTA_STS_API_KEY": "r", "API_KEY_READ_ONLY": "r"}, True),
        ({"API_KEY_READ_ONLY": "r"}, False),
        ({}, False),
    ],
)
def test_allow_list_counts_for_keys_of_the_file_only(values: dict[str, str], expected: bool) -> None:
    """A key created in mailcow's page has its list there."""
    assert allow_list_counts(values, {}) is expected


@pytest.mark.parametrize("key", ["a_b", "a b", "ü", "a+b="])
def test_key_with_other_characters_never_matches(key: str) -> None:
    """mailcow removes them from what a client sends."""
    assert not can_match(key)
