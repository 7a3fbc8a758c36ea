"""Certificates of strangers: whatever is in them, reading one fails with a ValueError or not at all."""

from contextlib import suppress

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from sidecar.dns.answers import DnsAnswer, Tlsa
from sidecar.formats.x509 import ends_soon, reading
from sidecar.mailcow.certificates import described
from sidecar.verify.probes.tls import certificate
from sidecar.verify.rules.dane import judge_dane
from sidecar.verify.seen import MxSeen, MxTls, ProbedWay
from tests.verify.certificates import Kind, leaf
from tests.verify.internet import MX_HOST

GOOD = leaf(Kind.GOOD, MX_HOST).public_bytes(Encoding.DER)
STRANGE = {
    "an x400Address": leaf(Kind.UNREADABLE, MX_HOST).public_bytes(Encoding.DER),
    "an extension twice": leaf(Kind.TWICE, MX_HOST).public_bytes(Encoding.DER),
    "a version that there is not": GOOD.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x07"),
    # id-ecPublicKey
    "a key that nobody knows": GOOD.replace(bytes.fromhex("2a8648ce3d0201"), bytes.fromhex("2a8648ce3d027f")),
}


def read_all(der: bytes) -> None:
    """As mailcow's certificates are read."""
    with reading():
        found = x509.load_der_x509_certificate(der)
    described(found, "")


@pytest.mark.parametrize("name", ["an x400Address", "an extension twice", "a version that there is not"])
def test_what_cannot_be_read_is_a_value_error(name: str) -> None:
    """One kind of exception, for those who read mailcow's certificates and nginx's."""
    with pytest.raises(ValueError, match=r"\w"):
        read_all(STRANGE[name])


@pytest.mark.parametrize("name", STRANGE)
def test_readable_parts_of_a_certificate_are_read(name: str) -> None:
    """Dates and issuer stay of use where the names are strange."""
    found = certificate(STRANGE[name])
    assert found.der == STRANGE[name]
    if name == "an x400Address":
        assert found.names is None
        assert found.not_before is not None
        assert found.not_after is not None
        assert found.not_after - found.not_before == pytest.approx(101 * 86_400)


@pytest.mark.parametrize("name", STRANGE)
def test_dane_cannot_say_that_a_strange_key_does_not_fit(name: str) -> None:
    """Nor does it fail."""
    seen = MxTls(ProbedWay("192.0.2.1"), "TLSv1.3", certificate(STRANGE[name]), 0.0)
    tlsa = DnsAnswer((Tlsa(3, 1, 1, b"\0" * 32),), exists=True, alias=None, authentic=True, at=0.0)
    (finding,) = judge_dane(MxSeen(MX_HOST, seen, tlsa))
    known = name in {"an x400Address", "an extension twice"}
    assert finding.code == ("dane-mismatch" if known else "dane-validated")


def test_many_and_long_names_are_cut() -> None:
    """A certificate of a stranger is kept with the finding about it."""
    names = [f"{number}{'.' + 'a' * 60}.test" for number in range(300)]
    many = trustme.CA().issue_cert(*names).cert_chain_pems[0].bytes()
    der = x509.load_pem_x509_certificate(many).public_bytes(Encoding.DER)
    assert certificate(der).names == tuple(names[:100])
    assert certificate(der + b"x" * 65_536).names is None


@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), max_size=6))
def test_no_octets_raise_anything_else(changes: list[tuple[int, int]]) -> None:
    """Any octets in any places of a certificate."""
    octets = bytearray(GOOD)
    for place, value in changes:
        octets[place] = value
    certificate(bytes(octets))
    with suppress(ValueError):
        read_all(bytes(octets))


def test_a_panic_of_the_parser_is_a_value_error() -> None:
    """It is not an Exception, and each module written in Rust has its own class for it."""
    panic = type("PanicException", (BaseException,), {})
    with pytest.raises(ValueError, match="parser failed"), reading():
        raise panic


@pytest.mark.parametrize("signal", [KeyboardInterrupt, SystemExit])
def test_a_wanted_exit_is_not_swallowed(signal: type[BaseException]) -> None:
    """Nothing of that is about a certificate."""
    with pytest.raises(signal), reading():
        raise signal


@pytest.mark.parametrize(
    ("life", "left", "soon"),
    [(90, 29, False), (90, 14, False), (90, 13.9, True), (6, 2.1, False), (6, 1.9, True), (397, 13, True)],
)
def test_when_a_certificate_should_have_been_renewed(life: float, left: float, soon: bool) -> None:
    """One rule: the last 14 days, or the last third of its life where that is less."""
    assert ends_soon(0, life * 86_400, (life - left) * 86_400) is soon
