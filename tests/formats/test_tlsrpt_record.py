"""The TLSRPT record (RFC 8460 §3) and the URIs in it (RFC 3986), held against what the grammars themselves make."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.formats.mtasts_policy import Invalid
from sidecar.formats.text import ascii_lower, shown
from sidecar.formats.tlsrpt_record import (
    VERSION,
    TlsrptRecord,
    is_https,
    is_mailto,
    is_uri,
    parse,
    read,
    scheme,
)
from sidecar.formats.txt_fields import begins, joined


def test_strings_of_a_record_are_joined_with_nothing_between_them() -> None:
    """A cut may fall anywhere, also within the version."""
    strings = (b"v=TLSR", b"PTv1; rua=mailto:a@exam", b"ple.org", b"")
    assert parse(joined(strings)) == TlsrptRecord(("mailto:a@example.org",))
    assert isinstance(parse(b" ".join(strings)), Invalid)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"v=TLSRPTv1;", True),
        (b"v=TLSRPTv1; rua=", True),
        (b"v=TLSRPTv1 ;", False),
        (b"v=TLSRPTv1", False),
        (b"v=tlsrptv1;", False),
        (b" v=TLSRPTv1;", False),
        (b"", False),
    ],
)
def test_which_records_count(data: bytes, expected: bool) -> None:
    """RFC 8460 §3: what does not begin with `v=TLSRPTv1;` is discarded before they are counted."""
    assert begins(data, VERSION) is expected


def test_all_problems_are_reported_together() -> None:
    """One sentence each."""
    found = parse(b"v=TLSRPTv1;; rua=mailto:x,https://; y")
    assert isinstance(found, Invalid)
    assert [problem.partition(" in ")[0] for problem in found.problems] == [
        "there is nothing between two of its semicolons",
        "there is no '='",
        "there is no mail address",
        "there is no host",
    ]


def test_unusable_destinations_are_kept_apart() -> None:
    """They are reported, and no report goes there."""
    reading = read(b"v=TLSRPTv1; rua=ftp://example.org/x,mailto:a@example.org")
    assert (reading.rua, reading.unusable) == (("mailto:a@example.org",), ("ftp://example.org/x",))
    assert reading.record == TlsrptRecord(("mailto:a@example.org",))


# URIs made from RFC 3986's own productions.
hexes = st.sampled_from("0123456789abcdefABCDEF")
encoded = st.builds("%{}{}".format, hexes, hexes)
unreserved = st.sampled_from("abzAZ09-._~")
sub_delims = st.sampled_from("$&'()*+=")  # without the three that RFC 8460 wants encoded
pchar = st.one_of(unreserved, encoded, sub_delims, st.sampled_from(":@"))
segment = st.lists(pchar, max_size=5).map("".join)
abempty = st.lists(segment.map("/{}".format), max_size=3).map("".join)
tail = st.lists(st.one_of(pchar, st.sampled_from("/?")), max_size=6).map("".join)
host = st.one_of(
    st.lists(st.one_of(unreserved, encoded), min_size=1, max_size=8).map("".join),
    st.sampled_from(["[::1]", "[2001:db8::192.0.2.1]", "[v1.a:b]", "192.0.2.1"]),
)
https = st.builds(
    "https://{}{}{}{}{}".format,
    host,
    st.sampled_from(["", ":", ":443"]),
    abempty,
    st.just("") | tail.map("?{}".format),
    st.just("") | tail.map("#{}".format),
)
atoms = st.lists(st.sampled_from("abzAZ09-_~$&'*+="), min_size=1, max_size=5).map("".join)
mailto = st.builds(
    "mailto:{}@{}{}".format,
    st.lists(atoms, min_size=1, max_size=3).map(".".join),
    st.sampled_from(["example.org", "xn--bcher-kva.example", "localhost"]),
    st.just("") | tail.map("?{}".format),
)


@given(https)
def test_https_made_from_the_grammar_is_taken(uri: str) -> None:
    """And the scheme is what it is."""
    assert is_uri(uri.encode())
    assert is_https(uri.encode())
    assert not is_mailto(uri.encode())
    assert scheme(uri.encode()) == "https"


@given(mailto)
def test_mailto_made_from_the_grammar_is_taken(uri: str) -> None:
    """Its address is one."""
    assert is_uri(uri.encode())
    assert is_mailto(uri.encode())
    assert not is_https(uri.encode())


@given(https | mailto, st.integers(0, 100), st.sampled_from([*' "<>\\^`{|}\n\t\x00\x7f', "%", "%g0", "ü"]))
def test_forbidden_octet_makes_a_uri_invalid(uri: str, at: int, what: str) -> None:
    """Wherever it stands."""
    at %= len(uri) + 1
    changed = uri[:at] + what + uri[at:]
    broken = re.sub(r"%[0-9A-Fa-f]{2}", "", changed)
    if re.search(r'[ "<>\\^`{|}\n\t\x00\x7f%ü]', broken):
        assert not is_uri(changed.encode())


@pytest.mark.integration
@given(
    st.lists(
        st.tuples(https | mailto, st.sampled_from(["", " ", "\t "]), st.sampled_from(["", " "])), min_size=1
    ),
    st.sampled_from([";", "; ", " ;", "\t; "]),
    st.sampled_from(["", ";", " ; "]),
)
def test_record_made_from_the_grammar_is_taken(
    items: list[tuple[str, str, str]], delimiter: str, end: str
) -> None:
    """And every destination is read, in order."""
    text = items[0][0] + "".join(f"{before},{after}{uri}" for uri, before, after in items[1:])
    data = f"v=TLSRPTv1{delimiter}rua={text}{end}".encode()
    assert parse(data) == TlsrptRecord(tuple(uri for uri, _, _ in items))


@given(st.binary(max_size=200) | st.binary(max_size=60).map(lambda rest: b"v=TLSRPTv1; rua=mailto:" + rest))
def test_parser_never_raises(data: bytes) -> None:
    """Any octets in, a value out; and what is read as a destination is US-ASCII."""
    found = parse(data)
    assert isinstance(found, TlsrptRecord | Invalid)
    assert all(uri.isascii() for uri in read(data).rua)


def test_time_is_linear_in_the_length() -> None:
    """No expression here may need more than linear time: a record comes from a stranger."""
    for filling in (
        b"a",
        b"%41",
        b".",
        b"/",
        b"@",
        b":",
        b" ",
        b",",
        b"a.",
        b"a@",
        b"[",
        b"; ",
        b"x=y;",
        b"a=,",
    ):
        assert isinstance(parse(b"v=TLSRPTv1; rua=mailto:" + filling * 20_000 + b"\x00"), Invalid)
        assert isinstance(parse(b"v=TLSRPTv1; rua=https://" + filling * 20_000 + b"\x00"), Invalid)


def test_letters_are_those_of_the_grammar() -> None:
    """Python's own lower-casing knows more of them."""
    assert ascii_lower("ABCxyz0-") == "abcxyz0-"
    assert ascii_lower("\u212a\u0130\u00c4") == "\u212a\u0130\u00c4"
    assert shown(b"a\x00\xff" + b"b" * 100) == r"'a\x00\xff" + "b" * 57 + "…'"
