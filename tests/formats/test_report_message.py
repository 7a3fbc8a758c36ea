"""Reports in messages: multipart/report, plain attachments, wrong types, forwarded ones; and messages that mean harm."""

import gzip
import random
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.formats.report_message import LARGEST_MESSAGE, MOST_REPORTS, find
from tests.formats.tls_report_corpus import attached, message, packed, prose, report

JSON = packed(report())
GZIP = gzip.compress(JSON)
FORWARDED = b"Content-Type: message/rfc822\r\nContent-Disposition: attachment\r\n\r\n"

MESSAGES: dict[str, tuple[bytes, bytes]] = {
    "multipart/report": (message(prose(), attached(GZIP)), GZIP),
    "without gzip": (message(prose(), attached(JSON, "application/tlsrpt+json", "report.json")), JSON),
    "gzip by name, JSON in truth": (message(prose(), attached(JSON)), JSON),
    "JSON by name, gzip in truth": (message(attached(GZIP, "application/tlsrpt+json", "r.json")), GZIP),
    "octet-stream without a name": (message(prose(), attached(GZIP, "application/octet-stream", "")), GZIP),
    "application/gzip": (message(prose(), attached(GZIP, "application/gzip")), GZIP),
    "text/plain with JSON": (message(prose(), attached(JSON, "text/plain", "")), JSON),
    "forwarded": (message(prose("see below"), FORWARDED + message(prose(), attached(GZIP))), GZIP),
    "forwarded twice": (
        message(FORWARDED + message(FORWARDED + message(attached(GZIP)), boundary="c")),
        GZIP,
    ),
    "attached .eml": (
        message(prose(), attached(message(attached(GZIP)), "application/octet-stream", "report.eml")),
        GZIP,
    ),
    "the report is the whole body": (
        b"From: a@sender.example\r\nContent-Type: application/tlsrpt+json\r\n\r\n" + JSON,
        JSON,
    ),
    "the report is the whole body, in base64": (b"From: a@sender.example\r\n" + attached(GZIP), GZIP),
    "LF as line end": (message(prose(), attached(GZIP)).replace(b"\r\n", b"\n"), GZIP),
    "no closing boundary": (message(prose(), attached(GZIP)).removesuffix(b"--b1--\r\n"), GZIP),
    "no message at all": (JSON, JSON),
    "no message at all, packed": (GZIP, GZIP),
}


@pytest.mark.parametrize("name", list(MESSAGES))
def test_the_report_is_found(name: str) -> None:
    """One report, with exactly its octets (line ends apart)."""
    data, expected = MESSAGES[name]
    found = find(data)
    assert [one.strip() for one in found.reports] == [expected.strip()]


def test_the_header_names_sender_and_domain() -> None:
    """Unproven, and as A-labels."""
    found = find(message(attached(GZIP)))
    assert (found.sender, found.domain) == ("sender.example", "example.org")


def test_a_damaged_report_is_still_found() -> None:
    """It is kept as unreadable, and must not get lost as 'no report'."""
    assert find(message(prose(), attached(b"damaged"))).reports == (b"damaged",)


def test_mail_without_a_report_has_none() -> None:
    """Prose, a picture, an answer of a mail server."""
    picture = attached(b"\x89PNG\r\n", "image/png", "logo.png")
    assert find(message(prose(), picture)).reports == ()
    assert find(b"Subject: hello\r\n\r\nhello\r\n").reports == ()


def _deep(depth: int) -> bytes:
    data = attached(GZIP)
    for level in range(depth):
        data = message(data, boundary=f"x{level}")
    return data


HOSTILE: dict[str, Callable[[], bytes]] = {
    "too large": lambda: message(prose("x" * LARGEST_MESSAGE), attached(GZIP)),
    "nested too deep": lambda: _deep(200),
    "a million parts": lambda: message(*[b""] * 1_000_000),
    "only header fields": lambda: b"a: b\r\n" * 1_000_000,
    "parameters without an end": lambda: (
        b"Content-Type: multipart/mixed" + b';x="' * 15_000 + b"\r\n\r\n--x\r\n"
    ),
    "boundary that no octets can be": lambda: (
        b"Content-Type: multipart/mixed; boundary*=utf-7''%2B2AA-\r\n\r\n--x\r\n" + attached(GZIP)
    ),
    "boundary of nothing": lambda: (
        b'Content-Type: multipart/mixed; boundary=""\r\n\r\n--\r\n' + attached(GZIP)
    ),
}


@pytest.mark.parametrize("name", list(HOSTILE))
def test_hostile_messages_have_no_report_and_cause_no_delay(name: str) -> None:
    """What exceeds a bound is ignored."""
    assert find(HOSTILE[name]()).reports == ()


def test_number_of_reports_in_a_message_is_limited() -> None:
    """The first ones."""
    assert len(find(message(*[attached(GZIP)] * 50)).reports) == MOST_REPORTS


@pytest.mark.integration
def test_a_message_of_full_size_takes_less_than_64_mb() -> None:
    """With a report of random octets in base64, within forwarded messages."""
    room = LARGEST_MESSAGE * 3 // 4 - 300_000
    data = message(
        FORWARDED + message(FORWARDED + message(attached(random.Random(1).randbytes(room)), boundary="c"))
    )
    assert len(data) <= LARGEST_MESSAGE
    tracemalloc.start()
    try:
        found = find(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(found.reports[0]) == room
    assert peak < 64 * 1024 * 1024


_SEEDS = tuple(data for data, _ in MESSAGES.values())


@given(st.binary(max_size=3_000))
def test_any_octets_give_an_answer(data: bytes) -> None:
    """Never an exception."""
    assert isinstance(find(data).reports, tuple)


@given(
    st.sampled_from(_SEEDS), st.lists(st.tuples(st.integers(0, 3_000), st.binary(max_size=12)), max_size=6)
)
def test_messages_with_changed_octets_give_an_answer(seed: bytes, changes: list[tuple[int, bytes]]) -> None:
    """Octets put anywhere, header fields included."""
    data = bytearray(seed)
    for at, octets in changes:
        data[at : at + len(octets)] = octets
    assert len(find(bytes(data)).reports) <= MOST_REPORTS
