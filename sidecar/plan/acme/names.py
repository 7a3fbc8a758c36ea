"""The facts by which names of the certificate are judged, and which `mta-sts` names it lacks; pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from sidecar.formats.domain_name import policy_host
from sidecar.formats.dotenv import items
from sidecar.formats.mtasts_policy import Mode
from sidecar.observed import (
    FILE,
    NOT_ASKED,
    AcmeRun,
    Backend,
    Certificate,
    Certificates,
    Conf,
    Container,
    DomainList,
    Issuer,
    Mailcow,
    Observed,
    RefusedFor,
    Seen,
    Sight,
    Unseen,
)
from sidecar.observed.per_picture import per_picture
from sidecar.plan.acme.script import ISSUER, AcmeNames, covered, environment, names_asked, presented
from sidecar.plan.acme.ways import AcmeWays
from sidecar.plan.elsewhere import left_elsewhere
from sidecar.plan.ownership import served_mode
from sidecar.settings import Settings


@dataclass(frozen=True, slots=True)
class Scene:
    """The facts by which names of the certificate are judged: everything here was observed."""

    mailcow: Mailcow
    conf: Conf
    listed: DomainList
    certificates: Certificates
    acme: Container | None
    """acme-mailcow; None if the project has none, or the Docker engine does not answer."""
    with_policy: frozenset[str]
    ways: AcmeWays
    """What acme-mailcow uses when it judges a name: its own environment, if that was observed."""

    @property
    def presented(self) -> tuple[Certificate, ...]:
        """The certificates that nginx presents; a change of ENABLE_SSL_SNI counts once acme-mailcow has it."""
        sni = self.acme_conf.yes("ENABLE_SSL_SNI")
        return presented(self.certificates, self.acme_conf if sni else self.conf)

    @property
    def acme_conf(self) -> Conf:
        """mailcow.conf as acme-mailcow's own environment has it."""
        return self.ways.conf

    @property
    def acme_san(self) -> str:
        """ADDITIONAL_SAN as acme-mailcow has it."""
        env = self.acme.env if self.acme else {}
        return env.get("ADDITIONAL_SAN", self.conf_san)

    @property
    def conf_san(self) -> str:
        """ADDITIONAL_SAN as mailcow.conf has it."""
        return self.conf.values.get("ADDITIONAL_SAN", "")

    @property
    def repaired_san(self) -> str:
        """ADDITIONAL_SAN as mailcow.conf will have it once its white space is corrected."""
        return ",".join(items(self.conf_san))

    @property
    def held(self) -> frozenset[str]:
        """The names in the certificates that nginx presents."""
        return frozenset().union(*(certificate.names for certificate in self.presented))

    def asked(self, san: str | None = None) -> AcmeNames:
        """The names that acme-mailcow would order, with this value of ADDITIONAL_SAN or the one it has."""
        return names_asked(
            self.mailcow, self.acme_conf, self.acme_san if san is None else san, self.listed, self.with_policy
        )

    def asked_once_recreated(self) -> AcmeNames:
        """The names that it would order in a container created by Compose, with all settings of mailcow.conf."""
        return names_asked(self.mailcow, self.conf, self.conf_san, self.listed, self.with_policy)


@per_picture
def scene(observed: Observed) -> Scene | str:
    """Everything that is needed to judge names, or a sentence that says which part was not observed."""
    match observed.mailcow, observed.conf, observed.domains, observed.certificates:
        case Seen(mailcow), Seen(conf), Seen(listed), Seen(certificates):
            acme: Container | None = None
            run: Sight[AcmeRun] = NOT_ASKED
            match observed.project:
                case Seen(project):
                    acme, run = project.service("acme-mailcow"), project.acme_run
                case Unseen() as unseen:
                    run = unseen
            own = environment(conf, dict(acme.env) if acme else None)
            server = certificates.server
            lets_encrypt = server is not None and server.issuer is Issuer.LETS_ENCRYPT
            # An account that a name in the certificate requires is needed for every order anyway.
            accounts = frozenset(
                parameters["accounturi"]
                for name in (server.names if server and lets_encrypt and observed.dns.caa else ())
                if isinstance(caa := observed.dns.caa_of(name), Seen)
                for parameters in caa.value.parameters(ISSUER)
                if "accounturi" in parameters
            )
            ways = AcmeWays(mailcow, own, run, accounts, observed.records)
            return Scene(mailcow, conf, listed, certificates, acme, with_policy(observed), ways)
        case parts:
            return "; ".join(part.reason for part in parts if isinstance(part, Unseen))


@per_picture
def with_policy(observed: Observed) -> frozenset[str]:
    """Domains whose native policy is active: as observed, else as last observed.

    If it was not observed (for unmanaged domains it never is), a name in a certificate shows that there
    is one; so does a name that was there before our last restart, unless acme-mailcow's log contradicts it.
    """
    memory = observed.memory
    active: set[str] = set()
    for name, sight in observed.served.items():
        if isinstance(sight, Seen):
            served = sight.value.text is not None
        else:
            span = memory.policy(name).open
            served = span is not None and span.text is not None
        if served:
            active.add(name)
    if not isinstance(observed.domains, Seen) or not isinstance(observed.certificates, Seen):
        return frozenset(active)
    listed, certificates = observed.domains.value, observed.certificates.value
    held = frozenset().union(*(c.names for c in (certificates.server, *certificates.sni) if c is not None))
    # Names that our last restart may have lost.
    last = memory.restarts[-1].before if memory.restarts and not memory.restarts[-1].judged else ()
    lately = {*last, *(lost.name for lost in memory.lost)}
    run = observed.project.value.acme_run if isinstance(observed.project, Seen) else NOT_ASKED
    refused = run.value.refused if isinstance(run, Seen) else {}
    off = {name.removeprefix("mta-sts.") for name, said in refused.items() if said.why is RefusedFor.POLICY}
    targets = [(domain.name, domain.name) for domain in listed.domains]
    targets += [(alias.name, alias.target) for alias in listed.aliases if alias.active]
    return frozenset(active).union(
        domain
        for name, domain in targets
        if not isinstance(observed.served.get(domain), Seen)
        and (policy_host(name) in held or (policy_host(name) in lately and domain not in off))
    )


def our_names(scene: Scene, settings: Settings, observed: Observed) -> list[str]:
    """The policy hosts that should be in a certificate: of each managed domain whose policy is and stays served."""
    if FILE in observed.memory.retired:
        return []
    native = scene.mailcow.backend is Backend.NATIVE
    served = {
        domain.name
        for domain in scene.listed.domains
        if domain.receives
        and settings.manages(domain.name)
        and domain.name not in observed.memory.retired
        and (not native or domain.name in scene.with_policy)
    }
    names = [policy_host(name) for name in sorted(served)]
    if scene.mailcow.serves_alias_domains:
        names += [
            policy_host(alias.name)
            for alias in scene.listed.aliases
            if alias.active and alias.target in served and settings.manages(alias.name)
        ]
    wanted: list[str] = []
    for name in names:
        domain = name.removeprefix("mta-sts.")
        # A domain that is being retired needs no new certificate.
        retiring = served_mode(observed, domain) is Mode.NONE
        if (
            name != scene.conf.hostname
            and not retiring
            and left_elsewhere(observed, settings, domain) is None
        ):
            wanted.append(name)
    return wanted


def missing_names(scene: Scene, names: Sequence[str]) -> list[str]:
    """Those of `names` that no certificate has, not even by a wildcard."""
    held = scene.held  # one set for all: with ENABLE_SSL_SNI=y there may be as many certificates as names
    return [name for name in names if not covered(name, held)]
