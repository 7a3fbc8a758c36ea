"""A reverse proxy in front of mailcow: when it is noticed, what is said, and what it has to pass on."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from sidecar.observed import (
    Addresses,
    Answered,
    Certificate,
    Certificates,
    Challenge,
    Conf,
    Dns,
    Issuer,
    Observed,
    Seen,
    Sight,
    Unseen,
)
from sidecar.observed.certificates import Front
from sidecar.observed.notice import Level, Notice
from sidecar.plan.proxy import (
    Ports,
    behind_proxy,
    front_targets,
    hosts_by_certificate,
    ports,
    redirects_policy,
    without_certificate,
)
from sidecar.settings import Settings
from tests.worlds import FILE_MAILCOW, HOST, NATIVE, NOW, World, observed

POLICY_HOST = "mta-sts.example.org"
PUBLIC = "8.8.8.8"


def certificate(fingerprint: str, *names: str, folder: str = "") -> Certificate:
    """A certificate with these names."""
    return Certificate(folder, frozenset(names), NOW, NOW + 1e6, Issuer.OTHER, fingerprint)


OWN = certificate("own", HOST, POLICY_HOST)
OTHER = certificate("other", POLICY_HOST)


def fronted(
    fronts: Mapping[str, Front], challenges: Mapping[str, Challenge] | None = None, **more: Certificate
) -> Observed:
    """A mailcow whose certificate is OWN, and what answers for its names outside."""
    world = observed(World())
    seen: dict[str, tuple[Sight[Front], ...]] = {name: (Seen(f, NOW),) for name, f in fronts.items()}
    return replace(
        world,
        certificates=Seen(Certificates(OWN, backups=tuple(more.values())), NOW),
        fronts=seen,
        challenges={name: Seen(c, NOW) for name, c in (challenges or {}).items()},
    )


def only(found: tuple[Notice, ...]) -> Notice:
    """The one notice."""
    (notice,) = found
    return notice


def test_mailcows_own_certificate_is_not_taken_for_a_proxy() -> None:
    """Also an earlier one, while nginx still has it."""
    front = {POLICY_HOST: Front(PUBLIC, OWN, policy=False)}
    assert behind_proxy(fronted(front)) == ()
    old = {POLICY_HOST: Front(PUBLIC, certificate("old", HOST), policy=True)}
    assert only(behind_proxy(fronted(old))).code == "nginx.behind_proxy"
    assert behind_proxy(fronted(old, backup=certificate("old", HOST))) == ()


def test_proxy_that_passes_policies_on_is_information() -> None:
    """With a certificate of its own, as Caddy gets it."""
    notice = only(
        behind_proxy(fronted({POLICY_HOST: Front(PUBLIC, OTHER, policy=True, mark="1.1 Caddy, nginx")}))
    )
    assert (notice.level, notice.todo) == (Level.INFO, None)
    assert "'1.1 Caddy, nginx'" in notice.message


@pytest.mark.parametrize(
    ("front", "remedy"),
    [
        (Front(PUBLIC, OTHER, policy=False, mark="Caddy"), "sidecar proxy caddy"),
        (Front(PUBLIC, OTHER, policy=False), "sidecar proxy nginx (or caddy, traefik, haproxy)"),
        (Front(PUBLIC, certificate("x", "site.example"), policy=True), "sidecar proxy nginx"),
        (Front(PUBLIC, OTHER, policy=False, mark="cloudflare"), "DNS only"),
    ],
)
def test_proxy_in_the_way_is_a_warning_with_its_remedy(front: Front, remedy: str) -> None:
    """No policy, or a certificate without the name."""
    notice = only(behind_proxy(fronted({POLICY_HOST: front})))
    assert notice.level is Level.WARNING
    assert f"no policy comes through for {POLICY_HOST}" in notice.message
    assert remedy in (notice.todo or "")


def test_proxy_that_keeps_the_challenge_is_a_warning() -> None:
    """The HTTP probe was answered by something else."""
    front = {HOST: Front(PUBLIC, certificate("other", HOST), policy=False)}
    assert only(behind_proxy(fronted(front))).level is Level.INFO  # the page of mailcow has no policy
    notice = only(behind_proxy(fronted(front, {HOST: Challenge(Answered.NO, "it answers 404 for the file")})))
    assert notice.level is Level.WARNING
    assert f"the challenge on port 80 does not reach mailcow for {HOST}" in notice.message


def test_missing_answers_are_not_taken_for_a_proxy() -> None:
    """Neither an address that does not answer, nor certificates that cannot be read."""
    world = replace(fronted({}), fronts={HOST: (Unseen("no connection", NOW),)})
    assert behind_proxy(world) == ()
    there = fronted({POLICY_HOST: Front(PUBLIC, OTHER, policy=False)})
    assert behind_proxy(replace(there, certificates=Unseen("no", NOW))) == ()
    assert behind_proxy(replace(there, certificates=Seen(Certificates(None), NOW))) == ()


def test_only_public_addresses_of_names_that_lead_here_are_looked_at() -> None:
    """Another server's, private ones and unknown ones are not; and of many names a few."""
    world = observed(World(domains=tuple(f"d{n}.example" for n in range(20))))

    def with_dns(**addresses: str) -> Observed:
        found = {
            name.replace("_", "."): Seen(Addresses(frozenset(a.split())), NOW)
            for name, a in addresses.items()
        }
        return replace(world, dns=Dns(addresses=found))

    here = {f"mta-sts.d{n}.example": Seen(Addresses(frozenset({PUBLIC})), NOW) for n in range(20)}
    host = {HOST: Seen(Addresses(frozenset({PUBLIC, "10.0.0.1"})), NOW)}
    assert front_targets(with_dns(), Settings()) == {}
    assert front_targets(replace(world, dns=Dns(addresses=host)), Settings()) == {HOST: (PUBLIC,)}
    elsewhere = {**host, "mta-sts.d0.example": Seen(Addresses(frozenset({"9.9.9.9"})), NOW)}
    assert front_targets(replace(world, dns=Dns(addresses=elsewhere)), Settings()) == {HOST: (PUBLIC,)}
    assert len(front_targets(replace(world, dns=Dns(addresses={**host, **here})), Settings())) == 6


@pytest.mark.parametrize(
    ("conf", "expected", "public"),
    [
        ({}, Ports(None, 80, None, 443), True),
        ({"HTTP_BIND": "0.0.0.0", "HTTPS_BIND": "::"}, Ports(None, 80, None, 443), True),
        ({"HTTP_PORT": "8080"}, Ports(None, 8080, None, 443), True),
        ({"HTTP_PORT": "8080", "HTTPS_PORT": "8443"}, Ports(None, 8080, None, 8443), False),
        ({"HTTP_BIND": "127.0.0.1", "HTTPS_BIND": "[::1]"}, Ports("127.0.0.1", 80, "::1", 443), False),
        ({"HTTP_PORT": "http", "HTTPS_PORT": "70000"}, Ports(None, 80, None, 443), True),
    ],
)
def test_ports_of_mailcow(conf: dict[str, str], expected: Ports, public: bool) -> None:
    """As docker-compose.yml takes them from mailcow.conf."""
    found = ports(Conf(conf))
    assert (found, found.public) == (expected, public)


def test_plain_http_redirects_the_policy_before_2025_09_only() -> None:
    """Later the server that redirects has the policy, too."""
    conf = Conf({"HTTP_REDIRECT": "y"})
    assert redirects_policy(conf, FILE_MAILCOW)
    assert not redirects_policy(conf, NATIVE)
    assert not redirects_policy(Conf({}), FILE_MAILCOW)


def test_each_host_goes_with_the_certificate_that_has_its_name() -> None:
    """With ENABLE_SSL_SNI=y a domain has its own; a host without any is named."""
    world = observed(World(domains=("a.example", "b.example", "c.example"), conf={"ENABLE_SSL_SNI": "y"}))
    certificates = Certificates(
        certificate("1", HOST, "mta-sts.a.example"),
        sni=(certificate("2", "mta-sts.b.example", folder="b.example"),),
    )
    world = replace(world, certificates=Seen(certificates, NOW))
    names = ("a.example", "b.example", "c.example")
    assert hosts_by_certificate(world, names) == {
        "": ("mta-sts.a.example", "mta-sts.c.example"),
        "b.example": ("mta-sts.b.example",),
    }
    assert without_certificate(world, names) == ("mta-sts.c.example",)
