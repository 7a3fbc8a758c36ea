"""What a reverse proxy in front of this mailcow has to pass on, and whether one is there; pure.

Rule for every editor: another certificate on the public way is a proxy only where the name leads to this mailcow.
A name that leads elsewhere is another matter.
"""

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from sidecar.formats.domain_name import covered_by_wildcard, policy_host
from sidecar.observed import Answered, Backend, Certificates, Conf, Mailcow, Observed, Seen
from sidecar.observed.front import Front
from sidecar.observed.notice import Level, Notice
from sidecar.observed.notice_codes import NoticeCode
from sidecar.observed.words import command, some
from sidecar.plan.acme.names import scene
from sidecar.plan.acme.script import held_in_certificate
from sidecar.settings import Settings

MOST_NAMES = 6
"""Names that are looked at: the host's own and a few policy hosts. The sender check looks at every one."""
MOST_ADDRESSES = 4

_ANY = frozenset({"", "0.0.0.0", "::", "[::]"})  # noqa: S104 - compared with, nothing is bound


@dataclass(frozen=True, slots=True)
class Ports:
    """Where nginx-mailcow listens on its machine; an address is None where it listens on all of them."""

    http_address: str | None
    http: int
    https_address: str | None
    https: int

    @property
    def public(self) -> bool:
        """Whether mailcow has ports 80 and 443 of all addresses, so that no proxy can be on the same machine."""
        return (self.http_address is None and self.http == 80) or (
            self.https_address is None and self.https == 443
        )


def ports(conf: Conf) -> Ports:
    """HTTP_BIND, HTTP_PORT, HTTPS_BIND and HTTPS_PORT."""
    return Ports(_bind(conf, "HTTP_BIND"), _port(conf, "HTTP_PORT", 80), *_https(conf))


def _https(conf: Conf) -> tuple[str | None, int]:
    return _bind(conf, "HTTPS_BIND"), _port(conf, "HTTPS_PORT", 443)


def _bind(conf: Conf, key: str) -> str | None:
    value = conf.values.get(key, "").strip()
    return None if value in _ANY else value.strip("[]")


def _port(conf: Conf, key: str, default: int) -> int:
    value = conf.values.get(key, "").strip()
    return int(value) if value.isascii() and value.isdigit() and 0 < int(value) < 65_536 else default


def redirects_policy(conf: Conf, mailcow: Mailcow) -> bool:
    """Whether plain HTTP answers for the policy with a redirect: HTTP_REDIRECT=y before 2025-09."""
    return mailcow.backend is Backend.FILE and conf.yes("HTTP_REDIRECT")


def hosts_by_certificate(observed: Observed, domains: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The policy hosts of these domains, by the folder of the certificate on the disk that has their name.

    Those that no certificate has stand under the server's own (the empty folder), as `without_certificate` tells.
    """
    found: dict[str, list[str]] = {}
    for host in _hosts(observed, domains):
        certificate = _certificate(observed, host)
        found.setdefault("" if certificate is None else certificate, []).append(host)
    return {folder: tuple(sorted(hosts)) for folder, hosts in found.items()}


def without_certificate(observed: Observed, domains: Iterable[str]) -> tuple[str, ...]:
    """The policy hosts of these domains that no certificate on the disk has."""
    return tuple(host for host in _hosts(observed, domains) if _certificate(observed, host) is None)


def _hosts(observed: Observed, domains: Iterable[str]) -> list[str]:
    """mailcow's own host name is left out: its owner has it in the proxy already."""
    hostname = observed.conf.value.hostname if isinstance(observed.conf, Seen) else ""
    return [host for domain in domains if (host := policy_host(domain)) != hostname]


def _certificate(observed: Observed, host: str) -> str | None:
    found = scene(observed)
    if isinstance(found, str):
        return None
    certificate = held_in_certificate(found.presented, host)
    return None if certificate is None else certificate.folder


# --- whether one is there --------------------------------------------------------------------------------


def front_targets(observed: Observed, settings: Settings) -> Mapping[str, tuple[str, ...]]:
    """Names that lead to this mailcow, with their public addresses: where to look for a proxy."""
    if not isinstance(observed.conf, Seen) or not isinstance(observed.domains, Seen):
        return {}
    hostname = observed.conf.value.hostname
    own = observed.dns.addresses_of(hostname)
    if not isinstance(own, Seen):
        return {}
    names = [d.name for d in observed.domains.value.domains if d.receives and settings.manages(d.name)]
    found: dict[str, tuple[str, ...]] = {}
    for name in (hostname, *map(policy_host, sorted(names))):
        sight = observed.dns.addresses_of(name)
        # A name that leads elsewhere is not a matter of this mailcow's proxy.
        if not isinstance(sight, Seen) or not sight.value.addresses <= own.value.addresses:
            continue
        if public := tuple(a for a in sorted(sight.value.addresses) if ipaddress.ip_address(a).is_global):
            found[name] = public[:MOST_ADDRESSES]
        if len(found) == MOST_NAMES:
            break
    return found


def behind_proxy(observed: Observed) -> tuple[Notice, ...]:
    """Another certificate than any of mailcow's on port 443: information while policies pass, else what to do."""
    if not isinstance(observed.certificates, Seen) or not isinstance(observed.conf, Seen):
        return ()
    known = _fingerprints(observed, observed.certificates.value)
    if not known:
        return ()
    others = [(name, front) for name, front in _seen(observed) if front.certificate.fingerprint not in known]
    if not others:
        return ()
    hostname = observed.conf.value.hostname
    broken = [
        name for name, front in others if name != hostname and not (front.policy and _covers(front, name))
    ]
    unproven = [name for name in observed.fronts if _answered_elsewhere(observed, name)]
    name, front = others[0]
    calls_itself = f", which calls itself {front.mark!r}" if front.mark else ""
    message = (
        f"port 443 of {front.address} presents a certificate for {name} that is not mailcow's: "
        f"another web server{calls_itself} answers in front of nginx-mailcow"
    )
    if not broken and not unproven:
        return (
            Notice(
                Level.INFO,
                NoticeCode.NGINX_BEHIND_PROXY,
                "nginx-mailcow",
                f"{message}; the policies that were asked for come through",
            ),
        )
    lacks = [f"no policy comes through for {some(broken)}"] if broken else []
    lacks += [f"the challenge on port 80 does not reach mailcow for {some(unproven)}"] if unproven else []
    return (
        Notice(
            Level.WARNING,
            NoticeCode.NGINX_BEHIND_PROXY,
            "nginx-mailcow",
            f"{message}; {' and '.join(lacks)}",
            _remedy(front.mark),
        ),
    )


def _remedy(mark: str) -> str:
    if "cloudflare" in mark.lower():
        return "set the records of the policy hosts to DNS only (grey cloud), so that they lead to this mailcow directly"
    kind = "caddy" if "caddy" in mark.lower() else "nginx"
    others = "" if kind == "caddy" else " (or caddy, traefik, haproxy)"
    return f"this prints the configuration that it needs: {command(f'proxy {kind}')}{others}"


def _seen(observed: Observed) -> Iterator[tuple[str, Front]]:
    for name, sights in observed.fronts.items():
        for sight in sights:
            if isinstance(sight, Seen):
                yield name, sight.value


def _fingerprints(observed: Observed, certificates: Certificates) -> frozenset[str]:
    """Of all certificates that nginx-mailcow may present: those on the disk, earlier ones, and what it presents inside."""
    there = [*certificates.sni, *certificates.backups]
    there += [certificates.server] if certificates.server is not None else []
    there += [observed.presented.value] if isinstance(observed.presented, Seen) else []
    return frozenset(certificate.fingerprint for certificate in there)


def _covers(front: Front, name: str) -> bool:
    names = front.certificate.names
    return name in names or covered_by_wildcard(name, names) is not None


def _answered_elsewhere(observed: Observed, name: str) -> bool:
    probe = observed.challenge_of(name)
    return isinstance(probe, Seen) and probe.value.answered is Answered.NO
