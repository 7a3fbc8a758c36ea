"""The facts by which names of the certificate are judged, which `mta-sts` names it lacks, and how many it would have; pure.

Rule for every editor: a name counts if it is in the certificate or known to pass acme-mailcow's check. An unknown
name is looked up and decided afterwards: it neither counts permanently nor is it treated as absent.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import TypeVar

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
    Fact,
    FactKind,
    Issuer,
    Kind,
    Mailcow,
    Observed,
    Question,
    RefusedFor,
    Seen,
    Sight,
    Unseen,
)
from sidecar.plan.acme.addresses import AcmeSetup, address_trouble
from sidecar.plan.acme.script import (
    ISSUER,
    MOST_NAMES,
    AcmeNames,
    covered,
    environment,
    names_asked,
    presented,
)
from sidecar.plan.actions import Hold
from sidecar.plan.elsewhere import left_elsewhere
from sidecar.plan.ownership import served_mode
from sidecar.settings import Settings

T = TypeVar("T")

ASKED_AT_ONCE = 400
"""Names that are looked up in one pass to count them."""
FORGIVEN_AFTER_S = 86_400
"""A name whose lookups have failed for this long no longer counts as one that may pass."""
_MOST = 2
"""Pictures: the one of the running pass, and the one that the page shows meanwhile."""


def per_picture(worked_out: Callable[[Observed], T]) -> Callable[[Observed], T]:
    """`worked_out`, called once for each of the last pictures. A picture is never changed, so the answer stays right."""
    known: tuple[tuple[Observed, T], ...] = ()

    @wraps(worked_out)
    def answered(observed: Observed) -> T:
        nonlocal known
        for picture, answer in known:
            if picture is observed:
                return answer
        answer = worked_out(observed)
        known = ((observed, answer), *known[: _MOST - 1])
        return answer

    return answered


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
    setup: AcmeSetup
    """What acme-mailcow uses when it judges a name: its own environment, if that was observed."""

    @property
    def presented(self) -> tuple[Certificate, ...]:
        """The certificates that nginx presents; those of domains count until ENABLE_SSL_SNI is off in both places."""
        sni = self.acme_conf.yes("ENABLE_SSL_SNI")
        return presented(self.certificates, self.acme_conf if sni else self.conf)

    @property
    def acme_conf(self) -> Conf:
        """mailcow.conf as acme-mailcow's own environment has it."""
        return self.setup.conf

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
            issued = server.names if server is not None and server.issuer is Issuer.LETS_ENCRYPT else ()
            # An account that a name in the certificate requires is needed for every order anyway.
            accounts = frozenset(
                parameters["accounturi"]
                for name in issued
                if isinstance(caa := observed.dns.caa_of(name), Seen)
                for parameters in caa.value.parameters(ISSUER)
                if "accounturi" in parameters
            )
            setup = AcmeSetup(mailcow, own, run, accounts, observed.records)
            return Scene(mailcow, conf, listed, certificates, acme, with_policy(observed), setup)
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


@dataclass(frozen=True, slots=True)
class Count:
    """How many names are certain to be in an order, and the names for which that is not known."""

    certain: int
    unknown: tuple[str, ...] = ()

    @property
    def most(self) -> int:
        """The number if all unknown names pass."""
        return self.certain + len(self.unknown)

    def questions(self) -> frozenset[Question]:
        """The questions whose answers would decide it; none if more knowledge would not help."""
        if self.most <= MOST_NAMES or self.certain > MOST_NAMES:
            return frozenset()
        return frozenset(Question(Kind.ADDRESSES, name) for name in self.unknown[:ASKED_AT_ONCE])

    def trouble(self, label: str = "") -> Hold | None:
        """Why a certificate with these names must not be ordered; None if it may."""
        begin = f"with {label} the" if label else "the"
        if self.certain > MOST_NAMES:
            return Hold(
                f"{begin} certificate would have {self.certain} names, and Let's Encrypt accepts at most {MOST_NAMES}",
                "set ENABLE_SSL_SNI=y in mailcow.conf for a certificate per domain",
            )
        if self.most > MOST_NAMES:
            return Hold(
                f"{begin} certificate could have {self.most} names, and Let's Encrypt accepts at most {MOST_NAMES}: "
                f"{len(self.unknown)} of them are being looked up"
            )
        return None


def count(names: Iterable[str], scene: Scene, observed: Observed, *, hoped_for: bool = False) -> Count:
    """`hoped_for`: policy hosts count before they resolve, because their records are about to be published.

    A name that acme-mailcow left out of its last order then does not delay the count. A later restart looks it up again.
    """
    held = scene.certificates.server.names if scene.certificates.server else frozenset()
    setup, dns = scene.setup, observed.dns
    certain = 0
    unknown: list[str] = []
    for name in names:
        if name in held or (hoped_for and name.startswith("mta-sts.")):
            certain += 1
            continue
        trouble = address_trouble(name, setup, dns)
        if trouble is None:
            certain += 1
        elif trouble.unknown:
            said = setup.last_run.refusal(name) if hoped_for and setup.last_run else None
            refused = said is not None and said.why not in {RefusedFor.POLICY, RefusedFor.ORDER}
            if not refused and observed.memory.true_for(Fact(FactKind.FAILING, name)) <= FORGIVEN_AFTER_S:
                unknown.append(name)
    # The oldest questions come first: names that never answer do not delay others.
    return Count(certain, tuple(sorted(unknown, key=lambda name: (dns.addresses_of(name).at, name))))
