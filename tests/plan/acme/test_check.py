"""How acme-mailcow takes and judges names: the sidecar's model held to the table of cases (the facts page)."""

import ipaddress
from collections.abc import Iterable

import pytest

from sidecar.observed import (
    AcmeRun,
    Addresses,
    AliasDomain,
    Answered,
    Backend,
    Caa,
    Challenge,
    Conf,
    Dns,
    Domain,
    DomainList,
    Mailcow,
    Refusal,
    RefusedFor,
    Seen,
    Unseen,
    Version,
)
from sidecar.plan.acme.addresses import AcmeSetup, Check, address_trouble
from sidecar.plan.acme.check import caa_trouble, http_trouble, log_trouble
from sidecar.plan.acme.script import dns_challenge, environment, names_asked, split_san
from tests.acme_cases import CASES, AcmeCase
from tests.acme_cases.case import HOST

NOW = 1_800_000_000.0


def mailcow(version: str) -> Mailcow:
    """The mailcow of a version."""
    parsed = Version.parse(version)
    assert parsed is not None
    return Mailcow(Backend.NATIVE if parsed >= Version(2025, 9) else Backend.FILE, parsed)


def listed(case: AcmeCase) -> DomainList:
    """Its domains and alias domains."""
    return DomainList(
        tuple(Domain(n, how != "inactive", how == "backup") for n, how in sorted(case.domains.items())),
        tuple(AliasDomain(n, target, active) for n, (target, active) in sorted(case.aliases.items())),
    )


def end_of(case: AcmeCase, name: str) -> str:
    """Where the aliases of a name end."""
    for _ in range(8):
        target = case.zone.get(name, {}).get("CNAME")
        if not target:
            break
        name = target[0].rstrip(".")
    return name


def answers(case: AcmeCase, names: Iterable[str]) -> Dns:
    """What the DNS of a case says of these names."""
    addresses, caa, caa_at = {}, {}, {}
    for name in names:
        records = case.zone.get(end_of(case, name), {})
        addresses[name] = Seen(Addresses(frozenset((*records.get("A", ()), *records.get("AAAA", ())))), NOW)
        place, found = name, Caa(None)
        while place:
            if values := issue(case, place):
                found = Caa(place, values)
                break
            place = place.partition(".")[2]
        caa[name] = Seen(found, NOW)
        parent = name.partition(".")[2]
        values = issue(case, parent)
        caa_at[parent] = Seen(Caa(parent if values else None, values), NOW)
    return Dns(addresses, {}, caa, {}, caa_at)


def issue(case: AcmeCase, name: str) -> tuple[str, ...]:
    """The values of the `issue` properties at a name."""
    records = case.zone.get(end_of(case, name), {}).get("CAA", ())
    return tuple(r.split(" ", 2)[2].strip('"') for r in records if r.split(" ", 2)[1] == "issue")


def probe(case: AcmeCase, name: str) -> Challenge:
    """How the HTTP probe of a name ends."""
    how = case.http.get(name)
    records = case.zone.get(end_of(case, name), {})
    looked_at = records.get("AAAA") or records.get("A", ())
    reached = all(address in case.reached_at for address in looked_at)
    if how is None or how == "redirect":
        return Challenge(Answered.YES if reached else Answered.NO)
    return Challenge(Answered.NO)


def setup(case: AcmeCase) -> AcmeSetup:
    """What acme-mailcow works with."""
    conf = Conf({"MAILCOW_HOSTNAME": HOST, **case.conf})
    v4, v6 = case.public
    run = AcmeRun(NOW, v4 or None, v6 or None, detected=True)
    return AcmeSetup(mailcow(case.version), conf, Seen(run, NOW))


def asked(case: AcmeCase) -> frozenset[str]:
    """The names that the model says it asks for."""
    active = {name for name, on in case.policies.items() if on}
    made = setup(case)
    return names_asked(made.mailcow, made.conf, case.conf.get("ADDITIONAL_SAN", ""), listed(case), active).all


ORDERING = [case for case in CASES if case.sleep not in {"365d", "3650d"}]


@pytest.mark.parametrize("case", ORDERING, ids=lambda case: case.id)
def test_model_asks_for_the_names_of_the_table(case: AcmeCase) -> None:
    """Those that passed and those that failed, and no other."""
    table = {n.lower() for n in (*case.names, *(n for names in case.others for n in names), *case.failed)}
    known_to_exist = {name for name in asked(case) if name in case.zone or name in table}
    if case.sleep == "1d":
        assert known_to_exist == table


@pytest.mark.parametrize("case", ORDERING, ids=lambda case: case.id)
def test_model_never_passes_a_name_that_acme_mailcow_leaves_out(case: AcmeCase) -> None:
    """And where it is stricter, it is for Let's Encrypt's sake: that is written in the table of this test."""
    names = asked(case)
    made, dns = setup(case), answers(case, names | {HOST})
    passed = {
        name
        for name in names
        if address_trouble(name, made, dns, NOW, strict=True) is None
        and caa_trouble(name, made, dns, NOW) is None
        and http_trouble(name, made, dns, Seen(probe(case, name), NOW), NOW) is None
    }
    real = {n.lower() for n in (*case.names, *(n for names in case.others for n in names))}
    if case.sleep == "1d":
        assert passed <= real, passed - real
        assert real - passed <= STRICTER.get(case.id, frozenset()), real - passed
    else:
        assert not passed & {n.lower() for n in case.failed}


STRICTER: dict[str, frozenset[str]] = {
    # ours is the last address now; answers rotate
    "two-addresses-ours-last": frozenset({"mta-sts.a.test"}),
    # nothing passed for the server's certificate, so the old one stayed: no order, and no check that passed
    "sni-hostname-fails": frozenset({HOST}),
}
"""Names that acme-mailcow would order and the sidecar does not rely on."""


@pytest.mark.parametrize(
    ("value", "prefixes", "full"),
    [
        ("", (), ()),
        ("mta-sts.*,smtp.*", ("mta-sts", "smtp"), ()),
        (" mta-sts.*, webmail.host.test", ("mta-sts",), ("webmail.host.test",)),
        ("mta-sts.* ,smtp.*", ("smtp",), ("mta-sts.*",)),
        ("webmail.host.test mta-sts.*", ("webmail.host.test", "mta-sts"), ()),
        ("mta-sts.* webmail.host.test", (), ("mta-sts.*", "webmail.host.test")),
    ],
)
def test_san_is_split_as_acme_mailcow_splits_it(
    value: str, prefixes: tuple[str, ...], full: tuple[str, ...]
) -> None:
    """At commas only; the shell splits what is left into words."""
    assert split_san(value) == (prefixes, full)


NAME = "mta-sts.a.test"
OURS = "192.0.2.10"


def dns_of(
    *addresses: str, caa: Caa | None = None, at_parent: Caa | None = None, hostname: str = "192.0.2.10"
) -> Dns:
    """The answers about NAME and the hostname."""
    return Dns(
        {NAME: Seen(Addresses(frozenset(addresses)), NOW), HOST: Seen(Addresses(frozenset({hostname})), NOW)},
        {},
        {NAME: Seen(caa or Caa(None), NOW)},
        {},
        {"a.test": Seen(at_parent or Caa(None), NOW)},
    )


def way(run: AcmeRun | None = None, accounts: frozenset[str] = frozenset(), **conf: str) -> AcmeSetup:
    """A current mailcow with these settings."""
    return AcmeSetup(
        mailcow("2026-07a"),
        Conf({"MAILCOW_HOSTNAME": HOST, **conf}),
        Seen(run, NOW) if run else Unseen("the log is gone", NOW),
        accounts,
    )


DETECTED = AcmeRun(
    NOW, OURS, "2001:db8::10", detected=True, confirmed=frozenset({4}), reached=frozenset({OURS})
)


@pytest.mark.parametrize("order", [("192.0.2.10", "198.51.100.7"), ("198.51.100.7", "192.0.2.10")])
def test_several_addresses_of_which_one_is_another_are_not_certain(order: tuple[str, ...]) -> None:
    """acme-mailcow compares the last of the answer, and answers rotate."""
    trouble = address_trouble(NAME, way(DETECTED), dns_of(*order), NOW, strict=True)
    assert trouble is not None
    assert "not always the same" in trouble.reason
    assert "198.51.100.7" in (trouble.remedy or "")


def test_addresses_that_acme_mailcow_detected_count_and_not_those_of_the_hostname() -> None:
    """The hostname's record may be behind."""
    assert address_trouble(NAME, way(DETECTED), dns_of("192.0.2.10", hostname="198.51.100.7"), NOW) is None
    assert (
        address_trouble(NAME, way(DETECTED), dns_of("198.51.100.7", hostname="198.51.100.7"), NOW) is not None
    )


def test_unknown_detected_addresses_never_permit() -> None:
    """Good enough to say what is missing, not for a restart."""
    assert address_trouble(NAME, way(), dns_of("192.0.2.10")) is None
    trouble = address_trouble(NAME, way(), dns_of("192.0.2.10"), NOW, strict=True)
    assert trouble is not None
    assert trouble.unknown
    assert "the log is gone" in trouble.reason


@pytest.mark.parametrize(
    ("conf", "addresses", "passes"),
    [
        ({"SNAT_TO_SOURCE": "192.0.2.99"}, ("198.51.100.7",), True),
        ({"SNAT_TO_SOURCE": "n"}, ("198.51.100.7",), False),
        ({"SNAT_TO_SOURCE": ""}, ("198.51.100.7",), False),
        ({"SNAT_TO_SOURCE": "192.0.2.99"}, ("2001:db8:bad::1",), False),
        ({"SNAT6_TO_SOURCE": "2001:db8::99"}, ("2001:db8:bad::1",), True),
        ({"SKIP_IP_CHECK": "y"}, ("198.51.100.7",), True),
        ({"ACME_DNS_CHALLENGE": "y"}, (), True),
        ({"SKIP_IP_CHECK": "y", "SKIP_HTTP_VERIFICATION": "y"}, ("198.51.100.7",), False),
        ({"SKIP_IP_CHECK": "y", "SKIP_HTTP_VERIFICATION": "y"}, ("192.0.2.10",), True),
    ],
)
def test_settings_decide_what_is_compared(
    conf: dict[str, str], addresses: tuple[str, ...], passes: bool
) -> None:
    """With both checks skipped the sidecar compares the addresses: one wrong name fails the whole order."""
    assert (
        address_trouble(NAME, way(DETECTED, frozenset(), **conf), dns_of(*addresses), NOW, strict=True)
        is None
    ) is passes


def test_dns_challenge_has_no_effect_before_2026_03() -> None:
    """The key was unknown then."""
    old = AcmeSetup(
        mailcow("2026-01"), Conf({"MAILCOW_HOSTNAME": HOST, "ACME_DNS_CHALLENGE": "y"}), Seen(DETECTED, NOW)
    )
    assert address_trouble(NAME, old, dns_of(), NOW) is not None


@pytest.mark.parametrize(
    ("caa", "at_parent", "passes", "why"),
    [
        (Caa(None), Caa(None), True, "no record"),
        (Caa("a.test", ("letsencrypt.org",)), Caa("a.test", ("letsencrypt.org",)), True, "allowed"),
        (Caa(HOST, ("letsencrypt.org",)), Caa("a.test", ("other.test",)), False, "target allows, parent forbids"),
        (Caa(HOST, ("other.test",)), Caa(None), False, "the target forbids: only Let's Encrypt sees it"),
        (Caa("a.test", ("LetsEncrypt.org",)), Caa("a.test", ("LetsEncrypt.org",)), False, "acme-mailcow wants lower case"),
        (Caa("a.test", ("notletsencrypt.org",)), Caa("a.test", ("notletsencrypt.org",)), False, "a substring"),
        (Caa("a.test", ("letsencrypt.org; validationmethods=http-01",)), Caa(None), True, "RFC 8657"),
        (Caa("a.test", ("letsencrypt.org; validationmethods=dns-01",)), Caa(None), False, "RFC 8657: another method"),
        (Caa("a.test", ("letsencrypt.org; validationmethods=dns-01,http-01",)), Caa(None), True, "one of two"),
        (Caa("a.test", ("letsencrypt.org; accounturi=https://x/1",)), Caa(None), False, "RFC 8657: unknown account"),
        (Caa("a.test", ("letsencrypt.org; accounturi=https://x/1", "letsencrypt.org")), Caa(None), True, "any account"),
        (Caa("a.test", (";",)), Caa("a.test", (";",)), False, "nobody"),
    ],
)  # fmt: skip
def test_caa_must_pass_acme_mailcow_and_lets_encrypt(
    caa: Caa, at_parent: Caa, passes: bool, why: str
) -> None:
    """The parent alone, and RFC 8659 with the parameters of RFC 8657."""
    trouble = caa_trouble(NAME, way(DETECTED), dns_of("192.0.2.10", caa=caa, at_parent=at_parent), NOW)
    assert (trouble is None) is passes, why


def test_account_of_a_name_in_the_certificate_is_known() -> None:
    """It stands in every order anyway."""
    caa = Caa("a.test", ("letsencrypt.org; accounturi=https://x/1",))
    known = way(DETECTED, frozenset({"https://x/1"}))
    assert caa_trouble(NAME, known, dns_of("192.0.2.10", caa=caa), NOW) is None


@pytest.mark.parametrize(
    ("answered", "conf", "run", "address", "passes"),
    [
        (Answered.YES, {}, DETECTED, OURS, True),
        (Answered.NO, {}, DETECTED, OURS, False),
        (Answered.NO, {"SKIP_HTTP_VERIFICATION": "y"}, DETECTED, OURS, False),
        (Answered.INSIDE, {}, DETECTED, OURS, True),
        (Answered.INSIDE, {}, AcmeRun(NOW, OURS, None, detected=True), OURS, False),
        (Answered.INSIDE, {"SKIP_HTTP_VERIFICATION": "y"}, None, OURS, True),
        (Answered.INSIDE, {}, None, OURS, False),
        # compared with nothing: a closed port elsewhere looks the same from here
        (Answered.INSIDE, {"SKIP_IP_CHECK": "y"}, DETECTED, "198.51.100.7", False),
        (Answered.INSIDE, {"SKIP_IP_CHECK": "y"}, DETECTED, OURS, True),
        (Answered.YES, {"SKIP_IP_CHECK": "y"}, DETECTED, "198.51.100.7", True),
        (Answered.NO, {"ACME_DNS_CHALLENGE": "y"}, DETECTED, OURS, True),
    ],
)
def test_http_probe_counts(
    answered: Answered, conf: dict[str, str], run: AcmeRun | None, address: str, passes: bool
) -> None:
    """Let's Encrypt makes it even where acme-mailcow does not; inside alone it counts where acme-mailcow has a way."""
    trouble = http_trouble(
        NAME, way(run, frozenset(), **conf), dns_of(address), Seen(Challenge(answered, "404"), NOW), NOW
    )
    assert (trouble is None) is passes


def test_missing_or_old_probe_is_unknown() -> None:
    """Unknown never permits."""
    for sight in (Unseen("not made", NOW), Seen(Challenge(Answered.YES), NOW - 1)):
        trouble = http_trouble(NAME, way(DETECTED), dns_of("192.0.2.10"), sight, NOW)
        assert trouble is not None
        assert trouble.unknown


@pytest.mark.parametrize(
    ("refusal", "addresses", "stands"),
    [
        (Refusal(RefusedFor.HTTP, "Confirmed, but …", NOW - 60, "192.0.2.10"), ("192.0.2.10",), True),
        (Refusal(RefusedFor.HTTP, "…", NOW - 60, "198.51.100.7"), ("192.0.2.10",), False),
        (Refusal(RefusedFor.ADDRESS, "Cannot match …", NOW - 60, "198.51.100.7"), ("192.0.2.10",), False),
        (Refusal(RefusedFor.ADDRESS, "…", NOW - 60, "2001:0db8:0000:0000:0000:0000:0000:0010"), ("2001:db8::10",), True),
        (Refusal(RefusedFor.NO_ADDRESS, "No A or AAAA …", NOW - 60), ("192.0.2.10",), False),
        (Refusal(RefusedFor.CAA, "disallowed", NOW - 60), ("192.0.2.10",), False),
        (Refusal(RefusedFor.POLICY, "not enabled", NOW - 60), ("192.0.2.10",), False),
        (Refusal(RefusedFor.ORDER, "Challenge did not pass", NOW - 60), ("192.0.2.10",), True),
    ],
)  # fmt: skip
def test_verdict_of_the_last_run_stands_until_the_dns_changed(
    refusal: Refusal, addresses: tuple[str, ...], stands: bool
) -> None:
    """In acme-mailcow's own words."""
    run = AcmeRun(NOW, "192.0.2.10", "2001:db8::10", detected=True, refused={NAME: refusal})
    trouble = log_trouble(NAME, way(run), dns_of(*addresses))
    assert (trouble is not None) is stands
    if trouble is not None:
        assert (trouble.check, trouble.words) == (Check.LOG, refusal.words)


def test_cases_are_many() -> None:
    """The table is there, and holds both families."""
    assert len(CASES) > 60
    assert any(ipaddress.ip_address(a).version == 6 for case in CASES for a in case.public if a)


@pytest.mark.parametrize("conf", [{"SNAT_TO_SOURCE": OURS}, {"SKIP_IP_CHECK": "y"}])
@pytest.mark.parametrize(("address", "passes"), [(OURS, True), ("198.51.100.7", False)])
def test_hostname_with_a_closed_port_needs_an_address_that_acme_mailcow_reached(
    conf: dict[str, str], address: str, *, passes: bool
) -> None:
    """Where no address is compared, the hostname too must have one that acme-mailcow's probe reached."""
    dns = dns_of(OURS, hostname=address)
    probe = Seen(Challenge(Answered.INSIDE, "refused"), NOW)
    assert (http_trouble(HOST, way(DETECTED, frozenset(), **conf), dns, probe, NOW) is None) is passes


def test_key_that_the_container_does_not_know_has_no_effect() -> None:
    """acme-mailcow was made from an older Compose file; mailcow.conf and the web application are newer."""
    conf = Conf({"MAILCOW_HOSTNAME": HOST, "ACME_DNS_CHALLENGE": "y"})
    made = environment(conf, {"MAILCOW_HOSTNAME": HOST, "SKIP_IP_CHECK": "n"})
    assert dns_challenge(mailcow("2026-07a"), made) is False
    assert dns_challenge(mailcow("2026-07a"), environment(conf, {"ACME_DNS_CHALLENGE": "y"})) is True
    assert dns_challenge(mailcow("2026-07a"), environment(conf, None)) is True


@pytest.mark.parametrize("name", ["*.a.test", ""])
@pytest.mark.parametrize(("challenge", "passes"), [("n", ()), ("y", ("*.a.test",))])
def test_empty_name_and_wildcard_never_pass_the_http_challenge(
    name: str, challenge: str, passes: tuple[str, ...]
) -> None:
    """A wildcard needs the DNS challenge; no name at all is none."""
    addresses = {name: Seen(Addresses(frozenset({OURS})), NOW)}
    dns = Dns(addresses, {}, {name: Seen(Caa(None), NOW)}, {}, {name[2:]: Seen(Caa(None), NOW)})
    made = way(DETECTED, frozenset(), ACME_DNS_CHALLENGE=challenge)
    assert (address_trouble(name, made, dns, NOW, strict=True) is None) is (name in passes)


def test_nobody_is_asked_to_remove_a_record_because_detection_failed() -> None:
    """The detection services did not answer; acme-mailcow asks them again in its next run."""
    run = AcmeRun(NOW, None, None, detected=True)
    trouble = address_trouble(NAME, way(run), dns_of(OURS), NOW, strict=True)
    assert trouble is not None
    assert "remove" not in (trouble.remedy or "")
    assert "its next run" in (trouble.remedy or "")


PRIVATE = "192.168.1.10"


def aliased(address: str) -> Dns:
    """The name is an alias of the hostname, which has this address."""
    found = Seen(Addresses(frozenset({address}), HOST), NOW)
    return Dns({NAME: found, HOST: Seen(Addresses(frozenset({address})), NOW)}, {}, {})


@pytest.mark.parametrize(
    ("run", "dns", "owner"),
    [
        (DETECTED, aliased(PRIVATE), HOST),
        (DETECTED, dns_of(PRIVATE, hostname="192.0.2.10"), NAME),
        (DETECTED, dns_of("fd00::10", hostname="fd00::10"), NAME),
        (None, dns_of("192.0.2.10", hostname=PRIVATE), HOST),
        (None, dns_of(PRIVATE, hostname="192.0.2.10"), NAME),
    ],
    ids=["alias-of-the-hostname", "name", "ipv6", "hostname-alone", "name-without-a-log"],
)
def test_private_address_is_the_cause_and_not_a_missing_record(
    run: AcmeRun | None, dns: Dns, owner: str
) -> None:
    """Split DNS: publishing the CNAME again would change nothing."""
    trouble = address_trouble(NAME, way(run) if run else way(), dns, NOW)
    assert trouble is not None
    assert not trouble.unknown
    assert "has the private address" in trouble.reason
    assert trouble.reason.index(owner) < trouble.reason.index("has the private address")
    assert "CNAME" not in (trouble.remedy or "")
    assert f"let the DNS of {owner} have its public address" in (trouble.remedy or "")
    assert "SKIP_IP_CHECK=y" in (trouble.remedy or "")


def test_private_address_that_acme_mailcow_detected_passes() -> None:
    """It is this server's address then."""
    run = AcmeRun(NOW, PRIVATE, None, detected=True, confirmed=frozenset({4}), reached=frozenset({PRIVATE}))
    assert address_trouble(NAME, way(run), aliased(PRIVATE), NOW, strict=True) is None
