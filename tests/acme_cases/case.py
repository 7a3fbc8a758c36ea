"""One row of the table: a world before a run of acme-mailcow, and what the run makes of it; plain values alone."""

from collections.abc import Mapping
from dataclasses import dataclass, field

HOST = "mail.host.test"
V4, V6 = "192.0.2.10", "2001:db8::10"
V6_LONG = "2001:0db8:0000:0000:0000:0000:0000:0010"
NO_V6 = "0000:0000:0000:0000:0000:0000:0000:0000"
FOREIGN, FOREIGN_V6 = "198.51.100.77", "2001:db8:bad::1"
FOREIGN_V6_LONG = "2001:0db8:0bad:0000:0000:0000:0000:0001"

FILE, NATIVE, ALIASES, NEWEST = "2025-07", "2025-09", "2026-01", "2026-07a"
"""The versions that differ: one file; a policy a domain; alias domains; names follow the active policies."""

Zone = Mapping[str, Mapping[str, tuple[str, ...]]]
A: Mapping[str, tuple[str, ...]] = {"A": (V4,)}
AAAA: Mapping[str, tuple[str, ...]] = {"AAAA": (V6,)}
CNAME: Mapping[str, tuple[str, ...]] = {"CNAME": (f"{HOST}.",)}
LE, OTHER_CA = '0 issue "letsencrypt.org"', '0 issue "other-ca.test"'


def own(*domains: str, prefixes: tuple[str, ...] = ("mta-sts", "autodiscover", "autoconfig")) -> Zone:
    """The usual names of these domains, each a CNAME to the host."""
    return {f"{prefix}.{domain}": CNAME for domain in domains for prefix in prefixes}


def direct(*domains: str) -> Zone:
    """The usual names of these domains with the host's IPv4 address of their own."""
    return dict.fromkeys(own(*domains), A)


BASE: Zone = {HOST: A, **own("a.test")}
MANY = {f"d{number:02}.test": "active" for number in range(33)}
CLIENTS = (HOST, "autoconfig.a.test", "autodiscover.a.test")
FULL = (*CLIENTS, "mta-sts.a.test")
WITHOUT_HOST = FULL[1:]
WEBMAIL = "webmail.host.test"


@dataclass(frozen=True, slots=True, kw_only=True)
class AcmeCase:
    """A world before a run of acme-mailcow, and what the run makes of it."""

    id: str
    version: str = NEWEST
    """Of mailcow."""
    conf: Mapping[str, str] = field(default_factory=dict)
    """Keys of mailcow.conf with their values as Compose reads them; a key that is not here is not there."""
    domains: Mapping[str, str] = field(default_factory=lambda: {"a.test": "active"})
    """Table `domain`: active, inactive, or backup (the server is only a backup MX)."""
    aliases: Mapping[str, tuple[str, bool]] = field(default_factory=dict)
    """Table `alias_domain`: the target, and whether it is active."""
    policies: Mapping[str, bool] = field(default_factory=lambda: {"a.test": True})
    """Table `mta_sts`: whether the policy is active."""
    zone: Zone = field(default_factory=lambda: BASE)
    """All that is in the DNS, records in the order of the answer."""
    http: Mapping[str, str] = field(default_factory=dict)
    """Names whose port 80 does not serve the shared challenge folder: 404, another site, refused; or redirect
    (which ends at the file)."""
    public: tuple[str, str] = (V4, "")
    """The host's addresses as the outside services tell them; empty where there is none."""
    reached_at: tuple[str, ...] = (V4, V6)
    """The addresses at which the world reaches this nginx-mailcow."""
    held: tuple[str, ...] = (HOST,)
    """The names in cert.pem before the run."""
    issuer: str = "Let's Encrypt"
    """Whose that certificate is."""

    names: tuple[str, ...]
    """The names in cert.pem after the run; the first one is the name of its folder."""
    others: tuple[tuple[str, ...], ...] = ()
    """With ENABLE_SSL_SNI=y the names of each further certificate."""
    failed: tuple[str, ...] = ()
    """The names that were asked for and did not pass acme-mailcow's check."""
    sleep: str = "1d"
    log: tuple[str, ...] = ()
    """Lines of its log, without the date, in this order but with others between them."""
    never: tuple[str, ...] = ()
    """Words that no line has."""


def named(*names: str) -> tuple[str, ...]:
    """The host and these, in the order of an order."""
    return (HOST, *sorted(names))


def confirmed(name: str) -> tuple[str, str]:
    """What the log says of a name that passed by its A record."""
    return f"Found A record for {name}: {V4}", f"Confirmed A record {V4}"


def mismatch(name: str, found: str, *, public: str = V4) -> str:
    """What the log says of a name with another address."""
    return f"Cannot match your IP {public} against hostname {name} (DNS returned {found})"


def nothing(name: str) -> str:
    """What the log says of a name without addresses."""
    return f"No A or AAAA record found for hostname {name}"


def no_policy(domain: str) -> str:
    """What the log says of a domain without an active policy."""
    return f"MTA-STS is not enabled for {domain} - skipping mta-sts subdomain certificate"


DETECTED = f"OK: {V4}, {NO_V6}"
REQUESTED = "Certificates successfully requested and renewed where required, sleeping one day"
RENEWED = "Certificates were successfully renewed where required, sleeping for another day."
UNCHANGED = (
    "Certificates were successfully validated, no changes or renewals required, sleeping for another day."
)
ERRORS = "Some errors occurred, retrying in 30 minutes..."
NONE_VALID = "Cannot validate any hostnames, skipping Let's Encrypt for 1 hour."
