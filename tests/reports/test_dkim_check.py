"""Whom a signature proves to have sent a report, and that strange signatures neither prove nor hold up anything."""

import re

import pytest

from sidecar.observed.reports import Dkim
from sidecar.reports.dkim_check import LONGEST_BLANK, MOST_SIGNATURES, check
from tests.formats.tls_report_corpus import attached, message, packed, prose, report
from tests.reports.signed import Keys, key, signed

NAME = "s1._domainkey.sender.example"
MESSAGE = message(prose(), attached(packed(report()), "application/tlsrpt+json", "r.json"))


async def test_a_valid_signature_proves_its_domain() -> None:
    """Of the domain that the message is from."""
    proof = await check(signed(MESSAGE), Keys())
    assert (proof.dkim, proof.domain) == (Dkim.PASS, "sender.example")


async def test_a_signature_of_a_domain_above_counts() -> None:
    """`From: noreply@reports.sender.example`, signed by sender.example."""
    below = MESSAGE.replace(b"<noreply@sender", b"<noreply@reports.sender")
    assert (await check(signed(below), Keys())).domain == "sender.example"


async def test_line_ends_of_an_imported_message_do_not_matter() -> None:
    """A file on a disk has LF."""
    assert (await check(signed(MESSAGE).replace(b"\r\n", b"\n"), Keys())).dkim is Dkim.PASS


async def test_a_message_without_a_signature_proves_nothing() -> None:
    """And nothing is asked."""
    keys = Keys()
    assert (await check(MESSAGE, keys)).dkim is Dkim.NONE
    assert not keys.asked


async def test_a_changed_report_fails() -> None:
    """One octet of the body."""
    changed = signed(MESSAGE).replace(b"aggregate", b"Aggregate")
    assert (await check(changed, Keys())).dkim is Dkim.FAIL


async def test_a_signature_of_another_domain_fails() -> None:
    """Everybody can sign with a domain of his own: its key is not even asked for."""
    keys = Keys({"s1._domainkey.evil.example": (key()[1],)})
    proof = await check(signed(MESSAGE, "evil.example"), keys)
    assert (proof.dkim, proof.domain) == (Dkim.FAIL, None)
    assert "evil.example" in proof.reason
    assert not keys.asked


async def test_two_senders_in_one_header_prove_nothing() -> None:
    """Which of them was signed would be a guess."""
    assert (await check(b"From: a@bank.example\r\n" + signed(MESSAGE), Keys())).dkim is Dkim.FAIL


async def test_without_an_answer_of_the_dns_it_is_unknown() -> None:
    """Neither pass nor fail."""
    assert (await check(signed(MESSAGE), Keys({NAME: None}))).dkim is Dkim.UNKNOWN


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ("{} ; s=tlsrpt", Dkim.PASS),
        ("{} ; s=email", Dkim.PASS),
        ("{} ; s=*", Dkim.PASS),
        ("{} ; s=chat:tlsrpt", Dkim.PASS),
        ("{} ; s=chat", Dkim.FAIL),
        ("{} ; t=y", Dkim.FAIL),
        ("v=DKIM1; p=", Dkim.FAIL),
        ("v=DKIM1; k=rsa; p=AAAA", Dkim.FAIL),
        ("v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=", Dkim.UNKNOWN),
        ("no key at all", Dkim.FAIL),
        ("{} ; n=" + "x" * 2_000, Dkim.FAIL),
    ],
)
async def test_which_keys_count(record: str, expected: Dkim) -> None:
    """Service types of RFC 8460 §3, keys under test, taken back, too long, or of another kind."""
    proof = await check(signed(MESSAGE), Keys({NAME: (record.format(key()[1]),)}))
    assert proof.dkim is expected


async def test_a_missing_key_and_two_keys_fail() -> None:
    """The DNS answered: so it is not unknown."""
    assert (await check(signed(MESSAGE), Keys({}))).dkim is Dkim.FAIL
    assert (await check(signed(MESSAGE), Keys({NAME: (key()[1], key(2_048)[1])}))).dkim is Dkim.FAIL


async def test_a_signature_of_a_part_of_the_body_does_not_count() -> None:
    """RFC 8460 §3 forbids `l=`: whatever stands behind that part would look signed."""
    assert (await check(signed(MESSAGE, length=True), Keys())).dkim is Dkim.NONE


async def test_a_second_signature_may_be_the_right_one() -> None:
    """A forwarder put its own before it."""
    keys = Keys({NAME: (key()[1],), "s1._domainkey.list.example": (key()[1],)})
    assert (await check(signed(signed(MESSAGE), "list.example"), keys)).domain == "sender.example"


async def test_only_the_first_few_signatures_are_checked() -> None:
    """However many there are."""
    data = MESSAGE
    for number in range(40):
        data = signed(data, selector=f"k{number}")
    keys = Keys({})
    await check(data, keys)
    assert len(keys.asked) == MOST_SIGNATURES


STRANGE = {
    "white space": MESSAGE.replace(b"aggregate", b"aggregate" + b" \t" * LONGEST_BLANK),
    "lines": MESSAGE + b"\r\n" * 500_000,
    "header": b"X: " + b"y" * 70_000 + b"\r\n" + MESSAGE,
}


@pytest.mark.parametrize("name", list(STRANGE))
async def test_what_would_take_long_is_not_checked(name: str) -> None:
    """It is unknown, then, and never a pass."""
    keys = Keys()
    assert (await check(signed(MESSAGE).replace(MESSAGE, STRANGE[name]), keys)).dkim is Dkim.UNKNOWN
    assert not keys.asked


@pytest.mark.parametrize("tag", ["b", "bh", "h", "c", "t", "x", "q", "v", "d", "s", "a"])
@pytest.mark.parametrize("value", ["", "x", "=" * 50, "A" * 3_000, "-1", "\xff\xfe", "a b" * 300])
async def test_strange_tags_are_never_a_pass(tag: str, value: str) -> None:
    """And no exception."""
    head, _, rest = signed(MESSAGE).partition(b"\r\nFrom:")
    changed = re.sub(
        rb"(?s)([\s;])" + tag.encode() + rb"=[^;]*", rb"\1" + f"{tag}={value}".encode(), head, count=1
    )
    assert changed != head or tag in "tx"
    proof = await check(changed + b"\r\nFrom:" + rest, Keys())
    assert proof.dkim is not Dkim.PASS or tag in "tx"
