"""Where the API is and by what its server is accepted: settings, and real handshakes on loopback."""

import asyncio
import datetime as dt
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sidecar.host.errors import PermanentError
from sidecar.mailcow.endpoint import Endpoint, Trust, connector, endpoint, fingerprint
from sidecar.observed import Conf

HOSTNAME = "mail.example.org"
NAMES = (HOSTNAME,)
PROXIED, NAMELESS = {"NGINX_USE_PROXY_PROTOCOL": "y"}, {"MAILCOW_HOSTNAME": ""}


def conf(**values: str) -> Conf:
    """A mailcow.conf with a host name."""
    return Conf({"MAILCOW_HOSTNAME": HOSTNAME, **values})


# --- settings --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "url", "expected", "why"),
    [
        ({}, None, Endpoint(True, "nginx-mailcow", 443, NAMES), "mailcow's defaults"),
        ({}, "", Endpoint(True, "nginx-mailcow", 443, NAMES), "an empty variable is none"),
        ({"HTTPS_PORT": "8443"}, None, Endpoint(True, "nginx-mailcow", 8443, NAMES), "nginx's port inside"),
        ({"HTTPS_PORT": ""}, None, Endpoint(True, "nginx-mailcow", 443, NAMES), "Compose's default"),
        (
            {"MAILCOW_HOSTNAME": "Ü.Example."},
            None,
            Endpoint(True, "nginx-mailcow", 443, ("xn--tda.example",)),
            "SNI",
        ),
        ({}, "http://nginx-mailcow:8080", Endpoint(False, "nginx-mailcow", 8080, NAMES), "plain, inside"),
        ({}, "http://nginx-mailcow/", Endpoint(False, "nginx-mailcow", 80, NAMES), "a slash is not a path"),
        ({}, " HTTPS://NGINX-mailcow/api/v1/ ", Endpoint(True, "nginx-mailcow", 443, NAMES), "its own path"),
        ({}, "https://127.0.0.1:4443", Endpoint(True, "127.0.0.1", 4443, NAMES), "an address, not a name"),
        ({}, f"https://{HOSTNAME}", Endpoint(True, HOSTNAME, 443, NAMES), "named once"),
        ({}, "https://Proxy.test", Endpoint(True, "proxy.test", 443, ("proxy.test", HOSTNAME)), "a proxy"),
        (
            PROXIED,
            "https://proxy.test",
            Endpoint(True, "proxy.test", 443, ("proxy.test", HOSTNAME)),
            "around",
        ),
        (NAMELESS, "https://proxy.test", Endpoint(True, "proxy.test", 443, ("proxy.test",)), "its own name"),
        (NAMELESS, "http://127.0.0.1:8", Endpoint(False, "127.0.0.1", 8, ("127.0.0.1",)), "needs no name"),
    ],
)
def test_good_settings(values: dict[str, str], url: str | None, expected: Endpoint, why: str) -> None:
    """Settings that work, and the endpoint they mean."""
    assert endpoint(conf(**values), url) == expected, why


@pytest.mark.parametrize(
    ("values", "url", "reason"),
    [
        ({"NGINX_USE_PROXY_PROTOCOL": "y"}, None, "direct call to the API cannot work. Set MTA_STS_API_URL"),
        ({"NGINX_USE_PROXY_PROTOCOL": "yes"}, "", "Set MTA_STS_API_URL"),
        ({"MAILCOW_HOSTNAME": ""}, None, "MAILCOW_HOSTNAME"),
        ({"MAILCOW_HOSTNAME": "mail example.org"}, None, "MAILCOW_HOSTNAME"),
        ({"MAILCOW_HOSTNAME": ""}, "https://127.0.0.1", "Set MAILCOW_HOSTNAME"),
        ({"HTTPS_PORT": "127.0.0.1:443"}, None, "HTTPS_PORT"),
        ({"HTTPS_PORT": "0"}, None, "HTTPS_PORT"),
        ({"HTTPS_PORT": "65536"}, None, "HTTPS_PORT"),
        ({"HTTPS_PORT": "٤٤٣"}, None, "HTTPS_PORT"),
        ({}, "nginx-mailcow:8080", "MTA_STS_API_URL"),
        ({}, "ftp://nginx-mailcow", "MTA_STS_API_URL"),
        ({}, "https://", "MTA_STS_API_URL"),
        ({}, "https://nginx-mailcow:99999", "MTA_STS_API_URL"),
        ({}, "https://[::1", "MTA_STS_API_URL"),
        ({}, "https://[::1]:443", "only IPv4"),
        ({}, "https://a b", "no host name"),
        ({}, "https://nginx-mailcow/mail", "path"),
        ({}, "https://nginx-mailcow/?x=1", "more than a host"),
        ({}, "https://admin:moohoo@nginx-mailcow", "more than a host"),
    ],
)
def test_settings_that_cannot_work(values: dict[str, str], url: str | None, reason: str) -> None:
    """Each says which setting is wrong, and never repeats a password in a URL."""
    with pytest.raises(PermanentError, match=reason) as caught:
        endpoint(conf(**values), url)
    assert "moohoo" not in str(caught.value)


# --- who is accepted -------------------------------------------------------------------------------------


@dataclass
class Peer:
    """A TLS server that notes each byte it gets after the handshake, and each handshake that broke."""

    port: int = 0
    received: bytearray = field(default_factory=bytearray)
    names: list[str | None] = field(default_factory=list)
    connected: asyncio.Event = field(default_factory=asyncio.Event)
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connected.set()
        try:
            while chunk := await reader.read(4096):
                self.received += chunk
                if b"\r\n\r\n" in self.received:
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
        except OSError:
            pass  # a client that does not like us may reset
        finally:
            writer.close()
            self.closed.set()


@asynccontextmanager
async def peer(context: ssl.SSLContext) -> AsyncIterator[Peer]:
    """A server with this context on loopback."""
    found = Peer()
    context.sni_callback = lambda _, name, __: found.names.append(name)
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0, ssl=context)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        server.close()


@dataclass(frozen=True)
class Identity:
    """A server's certificate: the context that shows it, and its fingerprint."""

    context: ssl.SSLContext
    pin: str
    path: str = ""


def own_certificate(folder: Path, *, days: int = 365, name: str = HOSTNAME) -> Identity:
    """Self-signed as mailcow's generate_config.sh makes it: a CN, no SAN; with `days` < 0 it has ended."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    end = dt.datetime.now(dt.UTC) + dt.timedelta(days=days)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(end - dt.timedelta(days=400))
        .not_valid_after(end)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{certificate.serial_number}.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(secret + certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(path)
    return Identity(context, fingerprint(certificate.public_bytes(serialization.Encoding.DER)), str(path))


def issued(authority: trustme.CA, *names: str) -> Identity:
    """A certificate of this authority for these names."""
    leaf = authority.issue_cert(*names)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    leaf.configure_cert(context)
    der = ssl.PEM_cert_to_DER_cert(leaf.cert_chain_pems[0].bytes().decode())
    return Identity(context, fingerprint(der))


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Stands for the public authorities."""
    return trustme.CA()


@pytest.fixture
def roots(authority: trustme.CA, tmp_path: Path) -> str:
    """The file with that authority."""
    path = tmp_path / "roots.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


async def ask(
    identity: Identity, make: Callable[[Endpoint], Trust], names: tuple[str, ...] = (HOSTNAME,)
) -> tuple[str, Peer]:
    """Which way accepted the server ("PKIX NAME", "pin", or "none"), and what the server got."""
    async with peer(identity.context) as server:
        trust = make(Endpoint(True, "127.0.0.1", server.port, names))
        async with aiohttp.ClientSession(connector=connector()) as session:
            for way in trust.ways():
                server.connected.clear()
                assert way.context is not None
                try:
                    async with session.get(
                        f"https://127.0.0.1:{server.port}/secret", ssl=way.context, server_hostname=way.name
                    ) as response:
                        assert await response.read() == b"hi"
                except aiohttp.ClientConnectorCertificateError:
                    if server.connected.is_set():
                        await server.closed.wait()
                    continue
                return ("pin" if way.context.verify_mode is ssl.CERT_NONE else f"PKIX {way.name}"), server
        return "none", server


async def test_a_valid_certificate_is_accepted(authority: trustme.CA, roots: str) -> None:
    """By PKIX for MAILCOW_HOSTNAME, which is also the SNI, whatever the address is called."""
    how, server = await ask(issued(authority, HOSTNAME), lambda place: Trust(place, roots=roots))
    assert how == f"PKIX {HOSTNAME}"
    assert server.names == [HOSTNAME]


async def test_mailcows_own_certificate_is_accepted_by_its_pin(tmp_path: Path, roots: str) -> None:
    """Self-signed, with a CN alone: PKIX refuses it, the fingerprint of cert.pem does, in any notation."""
    own = own_certificate(tmp_path)
    shouted = ":".join(own.pin[i : i + 2] for i in range(0, 64, 2)).upper()
    for pin in (own.pin, shouted):
        how, _ = await ask(own, lambda place, pin=pin: Trust(place, (pin,), roots=roots))  # type: ignore[misc]
        assert how == "pin"


async def test_a_pinned_certificate_may_have_ended(tmp_path: Path, roots: str) -> None:
    """mailcow's own lasts a year and nobody renews it; that is warned of elsewhere."""
    own = own_certificate(tmp_path, days=-1)
    how, _ = await ask(own, lambda place: Trust(place, (own.pin,), roots=roots))
    assert how == "pin"


async def test_the_certificate_before_a_renewal_stays_accepted(tmp_path: Path, roots: str) -> None:
    """nginx shows the old one until it is reloaded, so both are pinned; then the old one no more."""
    old, new = own_certificate(tmp_path), own_certificate(tmp_path)
    how, _ = await ask(old, lambda place: Trust(place, (new.pin, old.pin), roots=roots))
    assert how == "pin"

    def later(place: Endpoint) -> Trust:
        trust = Trust(place, (new.pin, old.pin), roots=roots)
        trust.pin((new.pin,))
        return trust

    how, server = await ask(old, later)
    assert (how, bytes(server.received)) == ("none", b"")


@pytest.mark.parametrize("pinned", [False, True])
async def test_a_wrong_certificate_never_sees_the_request(
    authority: trustme.CA, roots: str, tmp_path: Path, *, pinned: bool
) -> None:
    """Not one byte after the handshake, for every kind of wrong certificate, with and without pins."""
    pins = (own_certificate(tmp_path).pin,) if pinned else ()
    wrong = {
        "another self-signed one of the same name": own_certificate(tmp_path),
        "valid, but for another name": issued(authority, "mail.example.net"),
        "valid for a longer name": issued(authority, f"{HOSTNAME}.example.net"),
        "of an unknown authority": issued(trustme.CA(), HOSTNAME),
        "for the address alone": issued(authority, "127.0.0.1"),
    }
    for why, identity in wrong.items():
        how, server = await ask(identity, lambda place: Trust(place, pins, roots=roots))
        assert (how, bytes(server.received)) == ("none", b""), why


async def test_a_common_name_does_not_count_as_a_name(tmp_path: Path) -> None:
    """Even a trusted certificate with a CN alone is not valid for it (RFC 6125 §6.4.4): pins are for that."""
    own = own_certificate(tmp_path)
    how, server = await ask(own, lambda place: Trust(place, roots=own.path))
    assert (how, bytes(server.received)) == ("none", b"")


async def test_a_proxy_is_known_by_its_own_name_or_mailcows(authority: trustme.CA, roots: str) -> None:
    """With a full name in the URL both are tried, its own first; a third name is refused."""
    names = ("proxy.example.net", HOSTNAME)
    for name in names:
        how, _ = await ask(issued(authority, name), lambda place: Trust(place, roots=roots), names)
        assert how == f"PKIX {name}"
    how, server = await ask(issued(authority, "example.com"), lambda place: Trust(place, roots=roots), names)
    assert (how, bytes(server.received)) == ("none", b"")


def test_plain_http_has_one_way() -> None:
    """No context, the name for Host, and pins change nothing."""
    trust = Trust(Endpoint(False, "nginx-mailcow", 8080, (HOSTNAME,)), ("ab",))
    trust.pin(("cd",))
    [way] = trust.ways()
    assert (way.name, way.context) == (HOSTNAME, None)


async def test_only_ipv4_addresses_are_asked_for() -> None:
    """A name that has both kinds of address, and one that is an IPv6 address, end in IPv4 or nowhere."""
    resolver = connector()._resolver
    found = await resolver.resolve("localhost", 443)
    assert {answer["host"] for answer in found} == {"127.0.0.1"}
    with pytest.raises(OSError):  # noqa: PT011 - the texts are the C library's
        await resolver.resolve("::1", 443)
