"""Which `mta-sts` names are missing from the certificate, and what stands in the way of each; pure.

Rule for every editor: a name is *ready* only by answers seen in this very pass; all other states have a reason
that a person understands.
"""

from dataclasses import dataclass
from typing import TypeVar

from sidecar.acme import ISSUER, AcmeNames, environment, names_asked, presented
from sidecar.domainname import covered_by_wildcard, policy_host
from sidecar.envfile import items
from sidecar.mtasts import Mode
from sidecar.observed import (
    FILE,
    Backend,
    Caa,
    Certificate,
    Certificates,
    Conf,
    Container,
    Dns,
    DomainList,
    Kind,
    Mailcow,
    Observed,
    Question,
    Seen,
    Served,
    Sight,
    Unseen,
)
from sidecar.ownership import policy_of
from sidecar.settings import Settings

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Scene:
    """What the certificate's names are judged by: everything here was seen."""

    mailcow: Mailcow
    conf: Conf
    listed: DomainList
    certificates: Certificates
    acme: Container | None
    """acme-mailcow; None where the project has none, or no engine answers."""
    with_policy: frozenset[str]

    @property
    def presented(self) -> tuple[Certificate, ...]:
        """The certificates that nginx presents."""
        return presented(self.certificates, self.conf)

    @property
    def acme_conf(self) -> Conf:
        """What acme-mailcow works with: its own environment, where that was seen."""
        return environment(self.conf, dict(self.acme.env) if self.acme else None)

    @property
    def acme_san(self) -> tuple[str, ...]:
        """ADDITIONAL_SAN as acme-mailcow has it."""
        env = self.acme.env if self.acme else {}
        return acme_items(env["ADDITIONAL_SAN"]) if "ADDITIONAL_SAN" in env else self.conf_san

    @property
    def conf_san(self) -> tuple[str, ...]:
        """ADDITIONAL_SAN as mailcow.conf has it."""
        return items(self.conf.values.get("ADDITIONAL_SAN", ""))

    def asked(self, san: tuple[str, ...] | None = None) -> AcmeNames:
        """The names that acme-mailcow would ask for."""
        return names_asked(
            self.mailcow, self.acme_conf, self.acme_san if san is None else san, self.listed, self.with_policy
        )

    def asked_anew(self) -> AcmeNames:
        """The names that it would ask for in a container made by Compose, with all that mailcow.conf says."""
        return names_asked(self.mailcow, self.conf, self.conf_san, self.listed, self.with_policy)


def acme_items(value: str) -> tuple[str, ...]:
    """The entries as acme-mailcow itself splits them: on commas alone."""
    return tuple(item for part in value.split(",") if (item := part.strip()))


def scene(observed: Observed) -> Scene | str:
    """All that is needed to judge names, or which of it was not seen."""
    match observed.mailcow, observed.conf, observed.domains, observed.certificates:
        case Seen(mailcow), Seen(conf), Seen(listed), Seen(certificates):
            acme = (
                observed.project.value.service("acme-mailcow") if isinstance(observed.project, Seen) else None
            )
            return Scene(mailcow, conf, listed, certificates, acme, with_policy(observed))
        case parts:
            return "; ".join(part.reason for part in parts if isinstance(part, Unseen))


def with_policy(observed: Observed) -> frozenset[str]:
    """Domains whose native policy is active: as seen, else as it was last seen.

    Of domains that are left alone the policy is not looked at: where a certificate has the name, there is one.
    """
    active = {name for name, sight in observed.served.items() if _active(observed, name, sight)}
    match observed.domains, observed.certificates:
        case Seen(listed), Seen(Certificates(server=server, sni=sni)):
            held = frozenset().union(*(c.names for c in (server, *sni) if c is not None))
            others = (d.name for d in listed.domains if d.name not in observed.served)
            active |= {name for name in others if policy_host(name) in held}
        case _:
            pass
    return frozenset(active)


def _active(observed: Observed, name: str, sight: Sight[Served]) -> bool:
    if isinstance(sight, Seen):
        return sight.value.text is not None
    spans = observed.memory.policy(name).spans
    return bool(spans) and spans[-1].until is None and spans[-1].text is not None


def our_names(scene: Scene, settings: Settings, observed: Observed) -> list[str]:
    """The policy hosts that should be in a certificate: of every managed domain that is served a policy."""
    if FILE in observed.memory.retired:
        return []
    native = scene.mailcow.backend is Backend.NATIVE
    served = {
        domain.name
        for domain in scene.listed.domains
        if domain.receives
        and settings.manages(domain.name)
        and (not native or domain.name in scene.with_policy)
    }
    names = [policy_host(name) for name in sorted(served)]
    if scene.mailcow.serves_alias_domains:
        names += [
            policy_host(alias.name)
            for alias in scene.listed.aliases
            if alias.active and alias.target in served and settings.manages(alias.name)
        ]
    hostname = scene.conf.hostname
    return [name for name in names if name != hostname and not _only_none(observed, name)]


def _only_none(observed: Observed, host: str) -> bool:
    """A domain on its way out (`none`) needs no new certificate."""
    served = observed.served_of(host.removeprefix("mta-sts."))
    policy = policy_of(served.value.text) if isinstance(served, Seen) else None
    return policy is not None and policy.mode is Mode.NONE


def missing_names(scene: Scene, names: list[str]) -> list[str]:
    """Those of `names` that no certificate has, not even by a wildcard."""
    # One set for all: with ENABLE_SSL_SNI=y there may be as many certificates as names.
    held = frozenset().union(*(certificate.names for certificate in scene.presented))
    return [name for name in names if name not in held and covered_by_wildcard(name, held) is None]


def name_checked(conf: Conf) -> bool:
    """Whether acme-mailcow compares a name's addresses with its own at all."""
    return not (conf.yes("SKIP_IP_CHECK") or conf.yes("ACME_DNS_CHALLENGE"))


@dataclass(frozen=True, slots=True)
class NotReady:
    """Why a name would be left out of an order now; `unknown` where the answer itself is missing."""

    reason: str
    unknown: bool = False


def readiness(name: str, conf: Conf, dns: Dns, fresh_since: float) -> NotReady | None:
    """None where acme-mailcow's own check of the name would pass, by answers not older than `fresh_since`."""
    return addresses_ready(name, conf, dns, fresh_since) or caa_ready(dns.caa_of(name), name, fresh_since)


def addresses_ready(name: str, conf: Conf, dns: Dns, fresh_since: float) -> NotReady | None:
    """The part of `readiness` that is about addresses."""
    if not name_checked(conf) and conf.yes("ACME_DNS_CHALLENGE"):
        return None
    own = _fresh(dns.addresses_of(conf.hostname), fresh_since)
    if isinstance(own, Unseen):
        return NotReady(f"{conf.hostname} could not be looked up: {own.reason}", unknown=True)
    if not own.value.addresses:
        return NotReady(f"{conf.hostname} (MAILCOW_HOSTNAME) has no address in the DNS")
    found = _fresh(dns.addresses_of(name), fresh_since)
    if isinstance(found, Unseen):
        return NotReady(f"{name} could not be looked up: {found.reason}", unknown=True)
    if not found.value.addresses:
        return NotReady(f"{name} has no address in the DNS; publish: {name}. CNAME {conf.hostname}.")
    foreign = sorted(found.value.addresses - own.value.addresses)
    if foreign and name_checked(conf):
        return NotReady(
            f"{name} has the address {', '.join(foreign)}, which {conf.hostname} has not; "
            f"publish: {name}. CNAME {conf.hostname}."
        )
    return None


def caa_ready(caa: Sight[Caa], name: str, fresh_since: float) -> NotReady | None:
    """The part of `readiness` that is about CAA records."""
    found = _fresh(caa, fresh_since)
    if isinstance(found, Unseen):
        return NotReady(f"the CAA records of {name} could not be looked up: {found.reason}", unknown=True)
    if not found.value.allows(ISSUER):
        return NotReady(
            f"the CAA records at {found.value.owner} forbid Let's Encrypt a certificate for {name}; "
            f'publish there: CAA 0 issue "{ISSUER}"'
        )
    return None


def questions_for(names: list[str], conf: Conf) -> frozenset[Question]:
    """What must be asked afresh about these names and the hostname: all that acme-mailcow checks itself."""
    return frozenset(
        Question(kind, name) for kind in (Kind.ADDRESSES, Kind.CAA) for name in (conf.hostname, *names)
    )


def _fresh(sight: Sight[T], since: float) -> Sight[T]:
    if isinstance(sight, Seen) and sight.at < since:
        return Unseen("the answer is from an earlier pass", sight.at)
    return sight
