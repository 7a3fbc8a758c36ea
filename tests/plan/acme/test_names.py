"""Which policy hosts should be in a certificate, and for which domains a policy is served."""

from dataclasses import replace

import pytest

from sidecar.formats.mtasts_policy import Mode
from sidecar.observed import (
    FILE,
    AliasDomain,
    Caa,
    Certificates,
    DomainList,
    Issuer,
    LostName,
    Mailcow,
    Memory,
    Observed,
    PolicyMemory,
    Refusal,
    RefusedFor,
    Restart,
    Seen,
    Unseen,
)
from sidecar.plan.acme.names import Scene, our_names, scene, with_policy
from tests.worlds import (
    HOST,
    NATIVE,
    NOW,
    OLD_NATIVE,
    RUN,
    World,
    given_settings,
    observed,
    policy,
    span,
    text,
)

DOMAIN, ALIAS = "example.org", "alias.example"
NAME, ALIAS_NAME = f"mta-sts.{DOMAIN}", f"mta-sts.{ALIAS}"


def scene_of(seen: Observed) -> Scene:
    """The scene of a picture in which everything was seen."""
    found = scene(seen)
    assert isinstance(found, Scene)
    return found


def with_alias(world: World, *, active: bool = True) -> Observed:
    """The world as it is seen, with an alias domain of example.org."""
    seen = observed(replace(world, aliases={ALIAS: DOMAIN}))
    listed = DomainList(world.listed().domains, (AliasDomain(ALIAS, DOMAIN, active),))
    return replace(seen, domains=Seen(listed, NOW))


@pytest.mark.parametrize(
    ("mailcow", "served", "active", "exclude", "names"),
    [
        (NATIVE, text(), True, [], [NAME, ALIAS_NAME]),
        (NATIVE, None, True, [], []),
        (NATIVE, text(), False, [], [NAME]),
        (NATIVE, text(), True, [ALIAS], [NAME]),
        (NATIVE, text(), True, [DOMAIN], []),
        (OLD_NATIVE, text(), True, [], [NAME]),
    ],
    ids=[
        "both",
        "no policy",
        "inactive alias domain",
        "unmanaged alias domain",
        "unmanaged target",
        "mailcow serves no policy to alias domains",
    ],
)
def test_policy_hosts_of_alias_domains_follow_their_target(
    mailcow: Mailcow, served: str | None, active: bool, exclude: list[str], names: list[str]
) -> None:
    """The same policy is served for both."""
    world = World(mailcow=mailcow, served={} if served is None else {DOMAIN: served})
    seen = with_alias(world, active=active)
    assert our_names(scene_of(seen), given_settings({"exclude": exclude}), seen) == names


@pytest.mark.parametrize(
    ("world", "names"),
    [
        (World(served={DOMAIN: text()}), [NAME]),
        (World(served={DOMAIN: text(Mode.NONE)}), []),
        (World(served={DOMAIN: text()}, memory=Memory(retired=frozenset({DOMAIN}))), []),
        (World(served={DOMAIN: text()}, memory=Memory(retired=frozenset({FILE}))), []),
        (World(served={DOMAIN: text()}, conf={"MAILCOW_HOSTNAME": NAME}), []),
    ],
    ids=["stays", "mode none", "retired", "all retired", "MAILCOW_HOSTNAME itself"],
)
def test_only_what_stays_served_needs_a_name(world: World, names: list[str]) -> None:
    """A certificate for a policy that is about to go would be ordered for nothing."""
    seen = observed(world)
    assert our_names(scene_of(seen), given_settings({}), seen) == names


def test_policy_that_stays_on_another_server_needs_no_name_here() -> None:
    """Nobody asks this server for it."""
    seen = observed(World(served={DOMAIN: text()}))
    seen = replace(seen, elsewhere={DOMAIN: Seen(policy(Mode.ENFORCE, 604_800), NOW)})
    assert our_names(scene_of(seen), given_settings({}), seen) == []


# --- domains with a policy ----------------------------------------------------------------------------------

UNSEEN = World(names=frozenset({HOST}), unseen=frozenset({f"served:{DOMAIN}"}))
LOST = Memory(lost=(LostName(NAME, NOW),))


@pytest.mark.parametrize(
    ("served", "active"), [(text(), True), (None, False)], ids=["a policy", "nothing was served"]
)
def test_policy_that_was_not_observed_is_as_it_was_last(served: str | None, active: bool) -> None:
    """A web server that is slow for a moment says nothing about it."""
    memory = Memory(policies={DOMAIN: PolicyMemory(spans=(span(served, NOW - 60, None),))})
    assert with_policy(observed(replace(UNSEEN, memory=memory))) == (frozenset({DOMAIN} if active else ()))


@pytest.mark.parametrize(
    ("why", "active"), [(RefusedFor.POLICY, False), (RefusedFor.ADDRESS, True)], ids=["off", "address"]
)
def test_lost_name_shows_a_policy_unless_acme_mailcow_says_that_there_is_none(
    why: RefusedFor, active: bool
) -> None:
    """Any other reason to leave the name out says nothing about the policy."""
    run = replace(RUN, refused={NAME: Refusal(why, "refused", NOW)})
    assert (DOMAIN in with_policy(observed(replace(UNSEEN, memory=LOST, run=run)))) is active


@pytest.mark.parametrize("judged", [False, True])
def test_name_that_the_last_restart_may_have_lost_shows_a_policy_until_that_is_judged(judged: bool) -> None:
    """Then it is among the lost names, or nobody needs it."""
    memory = Memory(restarts=(Restart(NOW - 60, (HOST,), before=(NAME,), judged=judged),))
    assert (DOMAIN in with_policy(observed(replace(UNSEEN, memory=memory)))) is not judged


@pytest.mark.parametrize("active", [True, False])
def test_name_of_an_inactive_alias_domain_shows_no_policy(active: bool) -> None:
    """It is left from a time when it was active."""
    seen = with_alias(replace(UNSEEN, names=frozenset({HOST, ALIAS_NAME})), active=active)
    assert (DOMAIN in with_policy(seen)) is active


def test_without_any_certificate_a_lost_name_still_counts() -> None:
    """Before the first order, or after the files were deleted."""
    seen = replace(observed(replace(UNSEEN, memory=LOST)), certificates=Seen(Certificates(None), NOW))
    assert with_policy(seen) == {DOMAIN}


# --- certificates and accounts ------------------------------------------------------------------------------


@pytest.mark.parametrize(("conf", "own", "counts"), [("y", "n", True), ("n", "y", True), ("n", "n", False)])
def test_certificates_of_domains_count_where_one_of_both_settings_has_them(
    conf: str, own: str, counts: bool
) -> None:
    """ENABLE_SSL_SNI in mailcow.conf, or in acme-mailcow: nothing is ordered because of a change under way."""
    seen = observed(World(conf={"ENABLE_SSL_SNI": conf}))
    assert isinstance(seen.project, Seen)
    assert isinstance(seen.certificates, Seen)
    acme, *others = seen.project.value.containers
    containers = (replace(acme, env={**acme.env, "ENABLE_SSL_SNI": own}), *others)
    server = seen.certificates.value.server
    assert server is not None
    sni = replace(server, folder=NAME, names=frozenset({NAME}))
    seen = replace(
        seen,
        project=Seen(replace(seen.project.value, containers=containers), NOW),
        certificates=Seen(Certificates(server, (sni,)), NOW),
    )
    assert (NAME in scene_of(seen).held) is counts


@pytest.mark.parametrize(
    ("issuer", "accounts"),
    [(Issuer.LETS_ENCRYPT, {"https://acme.example/1"}), (Issuer.OTHER, set()), (None, set())],
)
def test_account_that_a_name_in_the_certificate_requires_is_acme_mailcows(
    issuer: Issuer | None, accounts: set[str]
) -> None:
    """Let's Encrypt issued the certificate to it (RFC 8657); another issuer proves nothing."""
    values = (
        "letsencrypt.org; accounturi=https://acme.example/1",
        "letsencrypt.org; validationmethods=http-01",
    )
    seen = observed(World(issuer=issuer or Issuer.OTHER, caa={HOST: Caa(HOST, values)}))
    if issuer is None:
        seen = replace(seen, certificates=Seen(Certificates(None), NOW))
    assert scene_of(seen).setup.accounts == accounts


def test_without_the_docker_engine_the_log_is_unknown_for_its_reason() -> None:
    """And mailcow.conf stands for acme-mailcow's environment."""
    seen = replace(observed(World()), project=Unseen("no socket", NOW))
    found = scene_of(seen)
    assert (found.acme, found.setup.run, found.acme_conf) == (None, Unseen("no socket", NOW), found.conf)
