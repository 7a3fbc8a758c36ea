"""Where mailcow's API is, and how its server is recognised: address, names, certificate, connector.

Rules for every editor. A peer is accepted by PKIX for one of the endpoint's names, or because its leaf is a
pinned one; there is no third way, and no byte of a request leaves before that (the check is part of the
handshake). `presented` accepts any certificate, since it sends nothing but the handshake and trusts nothing: what nginx
really presents is what senders get, not the file on the disk. Only IPv4 is spoken: mailcow's network is dual-stack, and
over IPv6 we would come from an address that nobody put into API_ALLOW_FROM. What is asked and how answers are read does
not belong here.
"""

import asyncio
import hashlib
import ipaddress
import socket
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from cryptography import x509

from sidecar.formats.domain_name import to_ascii
from sidecar.formats.x509 import reading
from sidecar.host.errors import PermanentError
from sidecar.mailcow.certificates import described
from sidecar.observed import Certificate, Conf, Seen, Sight, Unseen
from sidecar.verify.probes.tls import accepting_all, closing

CONNECTIONS = 4
"""At most so many connections at once: php-fpm-mailcow has few workers, and people use them too."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the API is: TLS or plain HTTP, the host (name or IPv4 address) and port to connect to.

    `names` are those for which the server's certificate may be valid, the preferred one first: SNI and Host.
    """

    tls: bool
    host: str
    port: int
    names: tuple[str, ...]

    @property
    def url(self) -> str:
        """What requests begin with, without a final slash."""
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.port}"


def endpoint(conf: Conf, api_url: str | None) -> Endpoint:
    """The endpoint that mailcow.conf and MTA_STS_API_URL (None or empty: not set) describe.

    Without a URL: nginx-mailcow at HTTPS_PORT, known as MAILCOW_HOSTNAME. A URL whose host is an address or a
    single label (nginx-mailcow, localhost) says only *where* that same server is. With a full name in the URL
    the server may be a proxy with its own certificate: that name is asked for first, MAILCOW_HOSTNAME second.

    Raises PermanentError where the settings cannot work.
    """
    try:
        hostname = to_ascii(conf.hostname) if conf.hostname else ""
    except ValueError as error:
        raise PermanentError(f"MAILCOW_HOSTNAME in mailcow.conf: {error}") from error
    if api_url:
        return _from_url(api_url, hostname)
    if conf.yes("NGINX_USE_PROXY_PROTOCOL"):
        raise PermanentError(
            "mailcow.conf says NGINX_USE_PROXY_PROTOCOL=y: nginx-mailcow then wants the proxy protocol's "
            "header on every connection, and a direct call to the API cannot work. Set MTA_STS_API_URL "
            "to the proxy in front of mailcow"
        )
    if not hostname:
        raise PermanentError(
            "MAILCOW_HOSTNAME in mailcow.conf is missing, so the certificate of nginx-mailcow cannot be "
            "checked. Is the mailcow directory mounted, and generate_config.sh done?"
        )
    port = conf.port("HTTPS_PORT", 443)
    if port is None:
        text = conf.values["HTTPS_PORT"].strip()
        raise PermanentError(
            f"HTTPS_PORT in mailcow.conf is {text!r}, which is not a port: set a number, or set MTA_STS_API_URL"
        )
    return Endpoint(True, "nginx-mailcow", port, (hostname,))


def _bad_url(why: str) -> PermanentError:
    # the URL itself is not repeated: people put passwords into URLs
    return PermanentError(
        f"MTA_STS_API_URL {why}. It looks like http://nginx-mailcow:8080 or https://mail.example.org"
    )


def _from_url(api_url: str, hostname: str) -> Endpoint:
    try:
        url = urlsplit(api_url.strip())
        port = url.port
    except ValueError as error:
        raise _bad_url(f"is not a URL ({error})") from error
    if url.scheme not in {"http", "https"} or not url.hostname:
        raise _bad_url("does not begin with http:// or https:// and a host")
    if url.username is not None or url.password is not None or url.query or url.fragment:
        raise _bad_url("holds more than a host and a port")
    if url.path.rstrip("/") not in {"", "/api/v1"}:
        raise _bad_url("has a path, but mailcow's API is always at /api/v1")
    tls = url.scheme == "https"
    host, is_place = _host(url.hostname)
    names = tuple(dict.fromkeys(name for name in ((hostname,) if is_place else (host, hostname)) if name))
    if tls and not names:
        raise PermanentError(
            "MTA_STS_API_URL says https:, but neither it nor MAILCOW_HOSTNAME in mailcow.conf has a name "
            "for which the certificate could be checked. Set MAILCOW_HOSTNAME"
        )
    return Endpoint(tls, host, port or (443 if tls else 80), names or (host,))


def _host(text: str) -> tuple[str, bool]:
    """The host of a URL, and whether it is only a place: no certificate is issued for it."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        pass
    else:
        if isinstance(address, ipaddress.IPv6Address):
            raise _bad_url(
                f"has the IPv6 address {address}, but only IPv4 is spoken: give a name or an IPv4 address"
            )
        return str(address), True
    try:
        name = to_ascii(text)
    except ValueError as error:
        raise _bad_url(f"has no host name: {error}") from error
    return name, "." not in name


# --- how the server is recognised -------------------------------------------------------------------------


def fingerprint(certificate: bytes) -> str:
    """The SHA-256 of a certificate (DER), in lower-case hex, as `Certificate.fingerprint` has it."""
    return hashlib.sha256(certificate).hexdigest()


class _PinningContext(ssl.SSLContext):
    """Accepts a peer by its leaf alone; `pins` may be replaced at any time."""

    pins: frozenset[str] = frozenset()


class _PinnedObject(ssl.SSLObject):
    """A TLS client that ends the handshake with an error unless the leaf is one of its context's pins.

    The code that waits for the handshake continues only after this check, so nothing has been sent before it.
    """

    def do_handshake(self) -> None:
        super().do_handshake()
        context = self.context
        leaf = self.getpeercert(binary_form=True)
        found = fingerprint(leaf) if leaf else "none"
        if not isinstance(context, _PinningContext) or found not in context.pins:
            raise ssl.SSLCertVerificationError(
                f"the certificate (SHA-256 {found}) is not the one in data/assets/ssl/cert.pem"
            )


@dataclass(frozen=True, slots=True)
class Way:
    """One way to reach and accept the server: the name for SNI and Host, and the context that decides.

    Without a context it is plain HTTP.
    """

    name: str
    context: ssl.SSLContext | None


class Trust:
    """How the server of an endpoint is accepted: PKIX with the system's roots, or a pinned leaf.

    `pins` are SHA-256 fingerprints in hex: that of cert.pem, and for a while after a renewal the one before.
    With `roots` (a PEM file) its certificates count instead of the system's. Reads files when made: do that
    in a thread.
    """

    def __init__(self, endpoint: Endpoint, pins: Iterable[str] = (), *, roots: str | None = None) -> None:
        self._pinning: _PinningContext | None = None
        if not endpoint.tls:
            self._pkix: tuple[Way, ...] = (Way(endpoint.names[0], None),)
            return
        verifying = ssl.create_default_context(cafile=roots)
        # RFC 6125 §6.4.4: a CN is not a name; mailcow's own certificate, which has nothing else, is pinned instead
        verifying.hostname_checks_common_name = False
        self._pkix = tuple(Way(name, verifying) for name in endpoint.names)
        self._pinning = _PinningContext(ssl.PROTOCOL_TLS_CLIENT)
        self._pinning.check_hostname = False
        self._pinning.verify_mode = ssl.CERT_NONE  # _PinnedObject decides in place of a chain
        self._pinning.sslobject_class = _PinnedObject
        self._pinned = Way(endpoint.names[0], self._pinning)
        self.pin(pins)

    def pin(self, pins: Iterable[str]) -> None:
        """Replaces the pinned fingerprints; open connections stay open."""
        if self._pinning is not None:
            self._pinning.pins = frozenset(pin.replace(":", "").lower() for pin in pins)

    def ways(self) -> tuple[Way, ...]:
        """All ways to accept the server; the next is tried if the certificate was refused on the one before."""
        if self._pinning is not None and self._pinning.pins:
            return (*self._pkix, self._pinned)
        return self._pkix


# --- how it is reached -----------------------------------------------------------------------------------


class _IPv4Resolver(AbstractResolver):
    """The system's resolver (in the container: Docker's), asked for A records alone."""

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_INET,  # noqa: ARG002 - the interface's
    ) -> list[ResolveResult]:
        # without AI_ADDRCONFIG: that flag hides addresses where only loopback has one
        found = await asyncio.get_running_loop().getaddrinfo(
            host, port, family=socket.AF_INET, type=socket.SOCK_STREAM
        )
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=port,
                family=socket.AF_INET,
                proto=proto,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for _, _, proto, _, address in found
        ]

    async def close(self) -> None:
        """Nothing is held."""


def connector() -> aiohttp.TCPConnector:
    """A connector that speaks IPv4 only, a few connections at a time. To be made inside the running loop."""
    return aiohttp.TCPConnector(
        family=socket.AF_INET,
        resolver=_IPv4Resolver(),
        limit_per_host=CONNECTIONS,
        ttl_dns_cache=10,  # seconds: a re-created nginx-mailcow may have another address
    )


DEADLINE_S = 5.0


async def presented(endpoint: Endpoint, name: str, now: float) -> Sight[Certificate]:
    """The leaf that the server at `endpoint` presents for `name` by SNI; Unseen if it cannot be asked by TLS."""
    if not endpoint.tls:
        return Unseen("mailcow's web server is asked by plain HTTP, which shows no certificate", now)
    try:
        async with asyncio.timeout(DEADLINE_S):
            _, writer = await asyncio.open_connection(
                endpoint.host, endpoint.port, ssl=accepting_all(), server_hostname=name, family=socket.AF_INET
            )
            with closing(writer):
                found = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        with reading():
            read = x509.load_der_x509_certificate(found)
        return Seen(described(read, ""), now)
    except (OSError, TimeoutError, ValueError, TypeError) as error:
        return Unseen(f"the certificate of {endpoint.host} could not be looked at: {error}", now)
