"""What a reverse proxy in front of this mailcow has to pass on, and whether one is there; pure.

Rule for every editor: another certificate on the public way is a proxy only where the name leads to this mailcow.
A name that leads elsewhere does not belong here.
"""

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sidecar.formats.domain_name import policy_host
from sidecar.observed import Answered, Backend, Certificate, Conf, Mailcow, Observed, Seen
from sidecar.observed.notice import Level, Notice, NoticeCode
from sidecar.observed.words import command, some
from sidecar.plan.acme.names import scene
from sidecar.plan.acme.script import covered, held_in_certificate
from sidecar.settings import Settings

MOST_NAMES = 6
"""Names that are checked: the host's own and a few policy hosts. The sender check covers all of them."""
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
    return Ports(
        _bind(conf, "HTTP_BIND"),
        conf.port("HTTP_PORT", 80) or 80,
        _bind(conf, "HTTPS_BIND"),
        conf.port("HTTPS_PORT", 443) or 443,
    )


def _bind(conf: Conf, key: str) -> str | None:
    value = conf.values.get(key, "").strip()
    return None if value in _ANY else value.strip("[]")


def redirects_policy(conf: Conf, mailcow: Mailcow) -> bool:
    """Whether plain HTTP answers for the policy with a redirect: HTTP_REDIRECT=y before 2025-09."""
    return mailcow.backend is Backend.FILE and conf.yes("HTTP_REDIRECT")


def hosts_by_certificate(observed: Observed, domains: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The policy hosts of these domains, by the folder of the certificate on the disk that has their name.

    Those that no certificate has stand under the server's own (the empty folder); `without_certificate` lists them.
    """
    found: dict[str, list[str]] = {}
    for host, certificate in _certificates(observed, domains).items():
        found.setdefault("" if certificate is None else certificate.folder, []).append(host)
    return {folder: tuple(sorted(hosts)) for folder, hosts in found.items()}


def without_certificate(observed: Observed, domains: Iterable[str]) -> tuple[str, ...]:
    """The policy hosts of these domains that no certificate on the disk has."""
    found = _certificates(observed, domains)
    return tuple(host for host, certificate in found.items() if certificate is None)


def _certificates(observed: Observed, domains: Iterable[str]) -> dict[str, Certificate | None]:
    """The certificate of each policy host, without mailcow's own host name: its owner has it in the proxy already."""
    hostname = observed.conf.value.hostname if isinstance(observed.conf, Seen) else ""
    found = scene(observed)
    presented = () if isinstance(found, str) else found.presented
    hosts = [host for domain in domains if (host := policy_host(domain)) != hostname]
    return {host: held_in_certificate(presented, host) for host in hosts}


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
    on_disk = observed.certificates.value
    # All that nginx-mailcow may present: those on the disk, earlier ones, and what it presents inside.
    own = [*on_disk.sni, *on_disk.backups]
    own += [on_disk.server] if on_disk.server is not None else []
    own += [observed.presented.value] if isinstance(observed.presented, Seen) else []
    known = {certificate.fingerprint for certificate in own}
    if not known:
        return ()
    fronts = [
        (name, s.value) for name, sights in observed.fronts.items() for s in sights if isinstance(s, Seen)
    ]
    others = [(name, front) for name, front in fronts if front.certificate.fingerprint not in known]
    if not others:
        return ()
    hostname = observed.conf.value.hostname
    broken = [
        name
        for name, front in others
        if name != hostname and not (front.policy and covered(name, front.certificate.names))
    ]
    probes = {name: observed.challenge_of(name) for name in observed.fronts}
    unproven = [
        name
        for name, probe in probes.items()
        if isinstance(probe, Seen) and probe.value.answered is Answered.NO
    ]
    name, front = others[0]
    calls_itself = f", which calls itself {front.mark!r}" if front.mark else ""
    message = (
        f"port 443 of {front.address} presents a certificate for {name} that is not mailcow's: "
        f"another web server{calls_itself} answers in front of nginx-mailcow"
    )
    code, subject = NoticeCode.NGINX_BEHIND_PROXY, "nginx-mailcow"
    if not broken and not unproven:
        message += "; the policies that were asked for come through"
        return (Notice(Level.INFO, code, subject, message),)
    lacks = [f"no policy comes through for {some(broken)}"] if broken else []
    lacks += [f"the challenge on port 80 does not reach mailcow for {some(unproven)}"] if unproven else []
    return (Notice(Level.WARNING, code, subject, f"{message}; {' and '.join(lacks)}", _remedy(front.mark)),)


def _remedy(mark: str) -> str:
    if "cloudflare" in mark.lower():
        return "set the records of the policy hosts to DNS only (grey cloud), so that they lead to this mailcow directly"
    kind = "caddy" if "caddy" in mark.lower() else "nginx"
    others = "" if kind == "caddy" else " (or caddy, traefik, haproxy)"
    return f"this prints the configuration that it needs: {command(f'proxy {kind}')}{others}"
