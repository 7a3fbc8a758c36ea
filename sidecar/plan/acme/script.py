"""Which names acme-mailcow orders, by its environment and mailcow's domains; pure.

Rule for every editor: this follows mailcow's own script, by version (`Mailcow`). Whether a name *should* be
there is decided elsewhere.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from sidecar.formats.domain_name import covered_by_wildcard, policy_host
from sidecar.observed import Backend, Certificate, Certificates, Conf, DomainList, Mailcow

MOST_NAMES = 100
"""Let's Encrypt's limit for one certificate; acme-mailcow puts all names into one request, without a limit."""

ISSUER = "letsencrypt.org"
"""What a CAA record must allow (RFC 8659 §4.2)."""

SLEEPS = frozenset({"1d", "1h", "30m", "365d", "3650d"})
"""The waits between two runs; any other `sleep` is part of a run."""

FAILED_SLEEPS = frozenset({"30m", "1h"})
"""The waits after a run that failed for some names (30m) or for all names (1h)."""

_DNS_CHALLENGE = "ACME_DNS_CHALLENGE"
_ACME_FLAGS = (
    "ONLY_MAILCOW_HOSTNAME",
    "AUTODISCOVER_SAN",
    "ENABLE_SSL_SNI",
    "SKIP_LETS_ENCRYPT",
    "SKIP_IP_CHECK",
    "SKIP_HTTP_VERIFICATION",
    "SNAT_TO_SOURCE",
    "SNAT6_TO_SOURCE",
    _DNS_CHALLENGE,
    "MAILCOW_HOSTNAME",
)


@dataclass(frozen=True, slots=True)
class AcmeNames:
    """The names that acme-mailcow would order if all of them pass its checks, by certificate."""

    server: frozenset[str]
    others: tuple[frozenset[str], ...] = ()
    """With ENABLE_SSL_SNI=y: one set for each further certificate."""

    @property
    def all(self) -> frozenset[str]:
        """Every name, of all certificates."""
        return self.server.union(*self.others)


def split_san(value: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """ADDITIONAL_SAN as acme-mailcow reads it: the prefixes that every domain gets, and the full names.

    It splits at commas only. An item is a prefix only if its last two characters are `.*`; then the shell splits
    the rest into words. So `mta-sts.* ` (white space at the end) is a full name that never resolves.
    """
    prefixes: list[str] = []
    full: list[str] = []
    for item in value.split(","):
        if item.endswith(".*"):
            prefixes += item[:-2].split()
        else:
            full += item.split()
    return tuple(prefixes), tuple(full)


def names_asked(
    mailcow: Mailcow, conf: Conf, san: str, listed: DomainList, with_policy: Collection[str]
) -> AcmeNames:
    """The names for the value `san` of ADDITIONAL_SAN; `with_policy` are domains with an active native policy."""
    hostname = conf.hostname
    if conf.yes("ONLY_MAILCOW_HOSTNAME"):
        return AcmeNames(frozenset({hostname}))
    prefixes, full = split_san(san)
    autodiscover = conf.yes("AUTODISCOVER_SAN", default="y")
    if autodiscover:
        prefixes += ("autodiscover", "autoconfig")
        if mailcow.backend is Backend.NATIVE:
            prefixes += ("mta-sts",)
    wildcards = san if mailcow.leaves_names_to_wildcards and dns_challenge(mailcow, conf) else ""
    policies = frozenset(with_policy)
    # The comparison is case-sensitive: a listed MTA-STS.* is always expanded.
    always = tuple(p for p in prefixes if p != "mta-sts" or not mailcow.names_follow_policies)
    by_domain = [
        frozenset(
            name
            for prefix in (prefixes if autodiscover and domain.name in policies else always)
            if (name := f"{prefix}.{domain.name}".lower()) != hostname
            and not _left_to_wildcard(name, wildcards)
        )
        for domain in listed.domains
        if domain.receives
    ]
    if mailcow.backend is Backend.NATIVE and mailcow.serves_alias_domains and autodiscover:
        by_domain += [
            frozenset({name})
            for alias in listed.aliases
            if alias.active and alias.target in policies
            if (name := policy_host(alias.name)) != hostname and not _left_to_wildcard(name, wildcards)
        ]
    server = frozenset(name.lower() for name in full)
    if not _left_to_wildcard(hostname, wildcards):
        server |= {hostname}
    if conf.yes("ENABLE_SSL_SNI"):
        return AcmeNames(server, tuple(rest for names in by_domain if (rest := names - server)))
    return AcmeNames(server.union(*by_domain))


def dns_challenge(mailcow: Mailcow, conf: Conf) -> bool:
    """Whether it proves names with DNS records: then neither addresses nor port 80 matter."""
    return mailcow.knows_dns_challenge and conf.yes(_DNS_CHALLENGE)


def _left_to_wildcard(name: str, wildcards: str) -> bool:
    """With the DNS challenge a listed `*.example.org` replaces the names below it; found as a substring."""
    return bool(wildcards) and f"*.{name.partition('.')[2]}" in wildcards


def environment(conf: Conf, env: dict[str, str] | None) -> Conf:
    """`conf` as acme-mailcow's own environment has it: a restart alone would use that."""
    if env is None:
        return conf
    values = dict(conf.values)
    values.update({key: env[key] for key in _ACME_FLAGS if key in env})
    if _DNS_CHALLENGE not in env:
        # Created from a Compose file without the key: it still checks addresses and port 80.
        values.pop(_DNS_CHALLENGE, None)
    return Conf(values, conf.locked)


def covered(name: str, names: frozenset[str]) -> bool:
    """Whether a certificate with these names is valid for `name`, also by a wildcard (RFC 6125 §6.4.3)."""
    return name in names or covered_by_wildcard(name, names) is not None


def held_in_certificate(certificates: Iterable[Certificate], name: str) -> Certificate | None:
    """The certificate that nginx could present for `name`."""
    return next((certificate for certificate in certificates if covered(name, certificate.names)), None)


def presented(certificates: Certificates, conf: Conf) -> tuple[Certificate, ...]:
    """The certificates that nginx presents: the server's, and with ENABLE_SSL_SNI=y those of the domains."""
    server = () if certificates.server is None else (certificates.server,)
    return (*server, *certificates.sni) if conf.yes("ENABLE_SSL_SNI") else server
