"""Who may see and do what: the token, sessions, counted attempts, the Host and Origin of a request; no HTTP here.

Rules for every editor. Secrets are compared in constant time, and kept as digests. Unclear requests are refused.
Everything that strangers can make grow is limited.
"""

import hashlib
import hmac
import ipaddress
import re
import secrets
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import TypeAlias
from urllib.parse import urlsplit

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

IDLE_S = 12 * 3_600.0
LONGEST_S = 7 * 86_400.0
MOST_SESSIONS = 100

FREE_ATTEMPTS = 5
"""Wrong tokens that one address may send before it has to wait."""
LONGEST_WAIT_S = 900.0
FORGIVEN_S = 3_600.0
ALL_ATTEMPTS = 60
"""Wrong tokens that all addresses together may send in ALL_WINDOW_S; after that, they have to wait."""
ALL_WINDOW_S = 60.0
"""Seconds."""
MOST_ADDRESSES = 10_000


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()


@dataclass(frozen=True, slots=True)
class Token:
    """The token as a digest: all comparisons take the same time, whatever the length."""

    digest: bytes

    @classmethod
    def of(cls, secret: str) -> "Token":
        return cls(_digest(secret))

    def matches(self, given: str) -> bool:
        """Whether `given` is this token."""
        return hmac.compare_digest(self.digest, _digest(given))


# --- sessions --------------------------------------------------------------------------------------------


@dataclass(slots=True)
class LoginSession:
    """A logged-in browser; `csrf` is used in the forms of this session only."""

    csrf: str
    began_at: float
    used_at: float


class Sessions:
    """The sessions; lost when the sidecar is restarted. Times in seconds of any steady clock."""

    def __init__(self) -> None:
        self._found: OrderedDict[bytes, LoginSession] = OrderedDict()

    def begin(self, now: float) -> str:
        """A new session; returns what its cookie holds. Above the limit, the least recently used session ends."""
        secret = secrets.token_urlsafe(32)
        self._found[_digest(secret)] = LoginSession(secrets.token_urlsafe(32), now, now)
        while len(self._found) > MOST_SESSIONS:
            self._found.popitem(last=False)
        return secret

    def get(self, secret: str, now: float) -> LoginSession | None:
        """The session of a cookie, if it has not ended."""
        # A digest is looked up, so its duration reveals nothing about the secret.
        key = _digest(secret)
        session = self._found.get(key)
        if session is None:
            return None
        if now - session.used_at > IDLE_S or now - session.began_at > LONGEST_S:
            del self._found[key]
            return None
        session.used_at = now
        self._found.move_to_end(key)
        return session

    def end(self, secret: str) -> None:
        self._found.pop(_digest(secret), None)


def same_secret(one: str, other: str) -> bool:
    """Compares in constant time."""
    return hmac.compare_digest(_digest(one), _digest(other))


# --- attempts --------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Failures:
    count: int = 0
    at: float = 0.0


@dataclass
class Attempts:
    """Wrong tokens, by address and of all; times in seconds of any steady clock.

    The limit applies to wrong tokens only, never to the right one: several people may share one address (a
    proxy, Docker), and all addresses share one limit.
    """

    _of: OrderedDict[str, _Failures] = field(default_factory=OrderedDict)
    _all: deque[float] = field(default_factory=deque)

    def wait(self, address: str, now: float) -> float:
        """Seconds until this address may try again; 0 where it may now."""
        waits = [0.0]
        failures = self._of.get(network(address))
        if failures is not None and failures.count >= FREE_ATTEMPTS and now - failures.at < FORGIVEN_S:
            pause = min(LONGEST_WAIT_S, 2.0 ** min(20, failures.count - FREE_ATTEMPTS + 1))
            waits.append(failures.at + pause - now)
        while self._all and now - self._all[0] >= ALL_WINDOW_S:
            self._all.popleft()
        if len(self._all) >= ALL_ATTEMPTS:
            waits.append(self._all[0] + ALL_WINDOW_S - now)
        return max(waits)

    def failed(self, address: str, now: float) -> None:
        """Counts a wrong token."""
        key = network(address)
        failures = self._of.setdefault(key, _Failures())
        if now - failures.at >= FORGIVEN_S:
            failures.count = 0
        failures.count += 1
        failures.at = now
        self._of.move_to_end(key)
        while len(self._of) > MOST_ADDRESSES:
            self._of.popitem(last=False)
        self._all.append(now)

    def succeeded(self, address: str) -> None:
        """The right token: resets the count of this address."""
        self._of.pop(network(address), None)


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address without its zone; as IPv4 if a dual-stack socket shows it as IPv6. None for another text."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def network(address: str) -> str:
    """The key that is counted as one address: for IPv6 the /64, since one host has all of it."""
    match _parsed(address):
        case None:
            return "unknown"
        case ipaddress.IPv6Address() as found:
            return str(ipaddress.ip_network((found, 64), strict=False))
        case found:
            return str(found)


def client_of(peer: str, forwarded_for: str | None, proxies: tuple[Network, ...]) -> str:
    """The client's address: the peer, or what one of `proxies` reports as its client.

    Each proxy appends the address that it saw. Behind several proxies, the last address that is not a proxy counts.
    """
    client = peer
    reported = [] if forwarded_for is None else forwarded_for.split(",")
    while reported and (seen := _parsed(client)) is not None and any(seen in one for one in proxies):
        before = reported.pop().strip()
        if _parsed(before) is None:
            break
        client = before
    return client


# --- Host and Origin -------------------------------------------------------------------------------------

_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[^:\[\]/\\@?#\s]+)(?::[0-9]{1,5})?\Z")


def host_name(host: str) -> str | None:
    """The name in a Host header, in lower case; None if the header is not valid."""
    found = _HOST.match(host)
    return found["name"].lower().rstrip(".").strip("[]") if found else None


def host_allowed(host: str, names: frozenset[str]) -> bool:
    """Whether requests with this Host header are answered.

    A foreign page can make a browser use a foreign name that resolves to this host (DNS rebinding). It cannot do
    that with an IP address, localhost or a name of one label (a container's name).
    """
    name = host_name(host)
    if name is None:
        return False
    if name in names or name == "localhost" or name.endswith(".localhost") or "." not in name:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def same_origin(origin: str | None, fetch_site: str | None, host: str) -> bool:
    """Whether a form was sent by our own page; browsers report that with every POST. A proxy may change the scheme."""
    if fetch_site is not None and fetch_site != "same-origin":
        return False
    if not origin:
        return False
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and parts.netloc.lower() == host.lower()
