"""The DNS records that a domain needs, how the DNS stands to them, and their form as a zone file."""

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import dns.rdatatype
import dns.rdtypes.ANY.TXT
import dns.zone
import pytest
from hypothesis import given as hypothesis_given
from hypothesis import strategies as st

from sidecar.observed import FILE, Addresses, Memory, Observed, PolicyMemory, Seen, Txt, Unseen
from sidecar.plan.policy_ids import derived
from sidecar.plan.records import (
    DnsRecord,
    DomainRecords,
    RecordNeed,
    RecordState,
    host_domain,
    mail_domains,
    needed,
    questions,
    unknown_names,
)
from sidecar.settings import Settings
from sidecar.status.record_exports import quoted, zone_text
from tests.worlds import (
    ADDRESS,
    FILE_MAILCOW,
    HOST,
    NATIVE,
    NOW,
    OLD_NATIVE,
    World,
    given_settings,
    observed,
    text,
)

TEXT = text()
ID = derived(TEXT.encode())
REPORT = given_settings({"tls_report": "tls@example.org"})
RUA = "v=TLSRPTv1; rua=mailto:tls@example.org"
PRESENT, MISSING, DIFFERENT = RecordState.PRESENT, RecordState.MISSING, RecordState.DIFFERENT
UNKNOWN = RecordState.UNKNOWN
NAMES = frozenset({HOST, "mta-sts.example.org", "mta-sts.example.net", "mta-sts.alias.example"})


def file_world(*domains: str, **more: object) -> World:
    """A mailcow of the file generation that serves its file, with all names in the certificate."""
    world = World(mailcow=FILE_MAILCOW, domains=domains or ("example.org",), file=TEXT.encode(), names=NAMES)
    return replace(world, **more)  # type: ignore[arg-type]


def native_world(*domains: str, **more: object) -> World:
    """One of the native generation; the ids of all policies are known: 1 for the first, 2 for the second ..."""
    names = domains or ("example.org",)
    memory = Memory(policies={name: PolicyMemory(id_text=TEXT, id=str(n)) for n, name in enumerate(names, 1)})
    world = World(
        mailcow=NATIVE, domains=names, served=dict.fromkeys(names, TEXT), names=NAMES, memory=memory
    )
    return replace(world, **more)  # type: ignore[arg-type]


def seen(
    world: World,
    txt: Mapping[str, tuple[str, ...] | str] | None = None,
    addresses: Mapping[str, Addresses] | None = None,
) -> Observed:
    """The world with this in the DNS: of a name its TXT records, or the name that it is an alias of.

    Without more said, a policy host has this mailcow's address, and no TXT record is there.
    """
    found = observed(world)
    table = dict(txt or {})
    names = [f"{p}.{d}" for d in [*world.domains, *world.aliases] for p in ("_mta-sts", "_smtp._tls")]
    answers: dict[str, Txt] = {}
    for name in names:
        match table.get(name, ()):
            case str(target):
                strings = table.get(target, ())
                answers[name] = Txt(strings if isinstance(strings, tuple) else (), target)
            case strings:
                answers[name] = Txt(tuple(sorted(strings)))
    lookups = {name: Seen(a, NOW) for name, a in (addresses or {}).items()}
    return replace(
        found,
        dns=replace(
            found.dns,
            addresses={**found.dns.addresses, **lookups},
            txt={name: Seen(answer, NOW) for name, answer in answers.items()},
        ),
    )


def all_of(
    found: Observed, settings: Settings = REPORT, *, shared: bool | None = None
) -> dict[str, DomainRecords]:
    """The records of every domain that needs some, by its name."""
    every = needed(found, settings, mail_domains(found, settings), shared=shared)
    return {records.domain.name: records for records in every}


def values(records: DomainRecords) -> tuple[str, ...]:
    """Type and value of each record, `-` where there is none."""
    return tuple(f"{n.record.type} {n.record.value}" if n.record else "-" for n in records.needs)


# --- which records ---------------------------------------------------------------------------------------


def test_file_generation_shares_the_records_of_the_hosts_domain() -> None:
    """As the seed article lists them."""
    found = all_of(seen(file_world("example.org", "example.net", aliases={"alias.example": "example.net"})))
    assert values(found["example.org"]) == (f"CNAME {HOST}", f"TXT v=STSv1;id={ID};", f"TXT {RUA}")
    for other in ("example.net", "alias.example"):
        assert values(found[other]) == (
            f"CNAME {HOST}",
            "CNAME _mta-sts.example.org",
            "CNAME _smtp._tls.example.org",
        )


def test_without_a_domain_of_the_host_each_has_its_own() -> None:
    """MAILCOW_HOSTNAME under a domain that this mailcow has no mail of."""
    found = all_of(seen(file_world("example.net", "example.com")))
    for name in ("example.net", "example.com"):
        assert values(found[name]) == (f"CNAME {HOST}", f"TXT v=STSv1;id={ID};", f"TXT {RUA}")


def test_native_domains_have_their_own_id_by_default() -> None:
    """mailcow's own check shows a shared record as wrong."""
    found = all_of(seen(native_world("example.org", "example.net", aliases={"alias.example": "example.net"})))
    assert values(found["example.org"])[1:] == ("TXT v=STSv1;id=1;", f"TXT {RUA}")
    assert values(found["example.net"])[1:] == ("TXT v=STSv1;id=2;", f"TXT {RUA}")
    assert values(found["alias.example"])[1:] == ("TXT v=STSv1;id=2;", f"TXT {RUA}")


def test_native_domains_share_when_asked_to() -> None:
    """The scheme of the file generation, with mailcow's id of the host's domain."""
    found = all_of(seen(native_world("example.org", "example.net")), shared=True)
    assert values(found["example.org"])[1] == "TXT v=STSv1;id=1;"
    assert values(found["example.net"])[1:] == ("CNAME _mta-sts.example.org", "CNAME _smtp._tls.example.org")


@pytest.mark.parametrize(
    ("hostname", "names", "found"),
    [
        ("mail.example.org", ["example.org", "example.net"], "example.org"),
        ("a.sub.example.org", ["example.org", "sub.example.org"], "sub.example.org"),
        ("example.org", ["example.org"], "example.org"),
        # the end of a name is not a domain above it
        ("mail.badexample.org", ["example.org"], None),
        ("mail.example.org", [], None),
        # nor is what lies below
        ("example.org", ["mail.example.org"], None),
    ],
)
def test_hosts_domain_is_the_longest_that_it_lies_under(
    hostname: str, names: list[str], found: str | None
) -> None:
    """The rule of the seed article's records."""
    assert host_domain(hostname, names) == found


def test_policy_comes_before_its_id() -> None:
    """RFC 8461: a sender that sees a new id fetches the policy at once."""
    for world in (file_world(file=None), native_world(served={}), file_world(file=b"no policy")):
        records = all_of(seen(world))["example.org"]
        assert (records.id.record, records.id.standing) == (None, RecordState.NOT_YET)
        assert records.id.note == "due once the policy is served"
        assert records.host.record == DnsRecord("mta-sts.example.org", "CNAME", HOST)
        assert records.report.record == DnsRecord("_smtp._tls.example.org", "TXT", RUA)


def test_unknown_id_is_not_made_up() -> None:
    """And it is said why, and where a person finds it."""
    found = seen(native_world(memory=Memory()))
    (records,) = needed(
        found, REPORT, mail_domains(found, REPORT), id_trouble={"example.org": "status 502"}.get
    )
    assert (records.id.record, records.id.standing) == (None, UNKNOWN)
    assert "status 502" in records.id.note
    assert "mailcow's own DNS check" in records.id.note


def test_policy_that_was_not_seen_is_not_called_missing() -> None:
    """Neither an id nor 'follows once it is served'."""
    records = all_of(seen(native_world(unseen=frozenset({"served:example.org"}))))["example.org"]
    assert (records.id.record, records.id.standing) == (None, UNKNOWN)


def test_name_not_in_the_certificate_yet_is_said_with_the_id() -> None:
    """Senders cannot read the policy before; the record is shown all the same."""
    early = all_of(seen(native_world(names=frozenset({HOST}))))["example.org"].id
    assert early.early
    assert not early.lacking
    assert early.record == DnsRecord("_mta-sts.example.org", "TXT", "v=STSv1;id=1;")
    assert all_of(seen(native_world()))["example.org"].id.lacking


def test_no_report_address_says_what_to_set() -> None:
    """Unless the DNS has a record already."""
    report = all_of(seen(file_world()), Settings())["example.org"].report
    assert (report.record, report.standing) == (None, RecordState.NOT_SET)
    assert "tls_report" in report.note
    assert "config.yml" in report.note
    assert "first adds an address" in report.note
    off = all_of(seen(file_world()), given_settings({"reports": {"receive": "off"}}))["example.org"].report
    assert off.note.startswith("set `tls_report` in data/conf/mta-sts/config.yml")
    there = seen(file_world(), {"_smtp._tls.example.org": ("v=TLSRPTv1; rua=mailto:x@example.net",)})
    assert all_of(there, Settings())["example.org"].report.standing is PRESENT


def test_policy_host_that_is_mailcows_own_name_needs_no_record() -> None:
    """A CNAME to itself would break the name."""
    host = all_of(seen(file_world(conf={"MAILCOW_HOSTNAME": "mta-sts.example.org"})))["example.org"].host
    assert (host.record, host.standing) == (None, PRESENT)


# --- which domains ---------------------------------------------------------------------------------------


def test_domains_without_mail_here_need_no_records() -> None:
    """Switched off, backup MX, left alone by the settings; and their alias domains."""
    world = file_world(
        "a.example", "b.example", "c.example", "d.example", inactive=frozenset({"b.example"}),
        backup=frozenset({"c.example"}), aliases={"x.example": "d.example", "y.example": "a.example"},
    )  # fmt: skip
    settings = given_settings({"exclude": ["d.example"]})
    assert [d.name for d in mail_domains(seen(world), settings)] == ["a.example", "y.example"]


def test_domain_on_its_way_out_keeps_its_records() -> None:
    """As long as mailcow serves a policy for it (RFC 8461 §8.3)."""
    world = native_world("example.org", "example.net", inactive=frozenset({"example.net"}))
    (leaving,) = [d for d in mail_domains(seen(world), REPORT) if d.leaving]
    assert leaving.name == "example.net"
    assert "leaving MTA-STS" in zone_text(list(all_of(seen(world)).values()))


@pytest.mark.parametrize(
    ("world", "retired"), [(native_world(), "example.org"), (native_world(), FILE), (file_world(), FILE)]
)
def test_domain_taken_out_needs_records_as_long_as_it_is_served(world: World, retired: str) -> None:
    """`sidecar retire`: the id of `none` has to be known; then nothing is to be published for it."""
    gone = replace(world, memory=replace(world.memory, retired=frozenset({retired})))
    assert [d.leaving for d in mail_domains(seen(gone), REPORT)] == [True]
    assert mail_domains(seen(replace(gone, served={}, file=None)), REPORT) == ()


def test_alias_domain_that_mailcow_serves_nothing_has_no_id() -> None:
    """2025-09 to 2025-12a; which version does, is said."""
    world = native_world(mailcow=OLD_NATIVE, aliases={"alias.example": "example.org"})
    alias = all_of(seen(world))["alias.example"].id
    assert (alias.record, alias.standing) == (None, RecordState.NOT_YET)
    assert "2026-01" in alias.note


def test_names_that_mailcow_does_not_have() -> None:
    """Alias domains are domains, too."""
    listed = World(domains=("a.example",), aliases={"b.example": "a.example"}).listed()
    assert unknown_names(listed, ["b.example", "c.example", "a.example"]) == ["c.example"]


# --- how the DNS stands to them ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("there", "conf", "standing"),
    [
        (Addresses(frozenset({ADDRESS}), HOST), {}, PRESENT),
        # an alias of the host whose own addresses are missing is right
        (Addresses(frozenset(), HOST), {}, PRESENT),
        # A instead of CNAME, and where the host itself is an alias, its end
        (Addresses(frozenset({ADDRESS})), {}, PRESENT),
        (Addresses(frozenset()), {}, MISSING),
        (Addresses(frozenset({"203.0.113.9"})), {}, DIFFERENT),
        (Addresses(frozenset(), "elsewhere.example"), {}, DIFFERENT),
        # one of two addresses is another server's
        (Addresses(frozenset({ADDRESS, "203.0.113.9"})), {}, DIFFERENT),
        # behind a proxy the administrator says that addresses mean nothing
        (Addresses(frozenset({"203.0.113.9"})), {"SKIP_IP_CHECK": "y"}, PRESENT),
    ],
)
def test_policy_host_stands(there: Addresses, conf: dict[str, str], standing: RecordState) -> None:
    """Present is what leads to this mailcow."""
    found = seen(file_world(conf=conf), addresses={"mta-sts.example.org": there})
    assert all_of(found)["example.org"].host.standing is standing


def test_policy_host_that_is_an_alias_of_what_the_host_is_an_alias_of() -> None:
    """The lookup tells the end of the chain."""
    end = Addresses(frozenset({ADDRESS}), "server.example.com")
    found = seen(file_world(), addresses={"mta-sts.example.org": end, HOST: end})
    assert all_of(found)["example.org"].host.standing is PRESENT


def test_private_address_of_the_host_is_not_a_missing_record() -> None:
    """Split DNS: the public name cannot be compared with it, and its line is not asked for."""
    world = seen(
        file_world(),
        addresses={
            "mta-sts.example.org": Addresses(frozenset({ADDRESS})),
            HOST: Addresses(frozenset({"10.0.0.5"})),
        },
    )
    host = all_of(world)["example.org"].host
    assert host.standing is UNKNOWN
    assert not host.lacking
    assert f"{HOST} has the private address 10.0.0.5" in (host.found or "")


OWN, SHARED = "_mta-sts.example.org", "_mta-sts.example.net"


@pytest.mark.parametrize(
    ("txt", "standings"),
    [
        ({}, (MISSING, MISSING)),
        ({OWN: (f"v=STSv1; id={ID}",), SHARED: OWN}, (PRESENT, PRESENT)),
        # the form that mailcow shows; and a record of its own tells the same
        ({OWN: (f"v=STSv1;id={ID};",), SHARED: (f"v=STSv1; id={ID}",)}, (PRESENT, PRESENT)),
        # a stale id is the host's domain's alone: its aliases are right as they are
        ({OWN: ("v=STSv1; id=1",), SHARED: OWN}, (DIFFERENT, PRESENT)),
        ({OWN: (f"v=STSv1; id={ID}",), SHARED: ("v=STSv1; id=1",)}, (PRESENT, DIFFERENT)),
        ({SHARED: "_mta-sts.elsewhere.example"}, (MISSING, DIFFERENT)),
        # two records are none to senders
        ({OWN: (f"v=STSv1; id={ID}", "v=STSv1; id=2"), SHARED: OWN}, (DIFFERENT, PRESENT)),
    ],
)
def test_policy_id_stands(
    txt: dict[str, tuple[str, ...] | str], standings: tuple[RecordState, RecordState]
) -> None:
    """Of the host's domain, and of one that shares its records."""
    found = all_of(seen(file_world("example.org", "example.net"), txt))
    assert (found["example.org"].id.standing, found["example.net"].id.standing) == standings


@pytest.mark.parametrize(
    ("strings", "standing"),
    [
        ((), MISSING),
        ((RUA,), PRESENT),
        # others may get reports, too
        (("v=TLSRPTv1;rua=https://r.example/x,mailto:tls@example.org;",), PRESENT),
        (("v=TLSRPTv1; rua=mailto:else@example.org",), DIFFERENT),
        ((RUA, "v=TLSRPTv1; rua=mailto:else@example.org"), DIFFERENT),
    ],
)
def test_report_address_stands(strings: tuple[str, ...], standing: RecordState) -> None:
    """Present is one record with the address of the settings in it."""
    found = seen(file_world(), {"_smtp._tls.example.org": strings})
    assert all_of(found)["example.org"].report.standing is standing


def test_what_could_not_be_looked_up_is_unknown() -> None:
    """Never missing, and the time to live stays short."""
    found = seen(file_world(dns_unseen=frozenset({"mta-sts.example.org"})))
    dns = replace(found.dns, txt={name: Unseen("SERVFAIL", NOW) for name in found.dns.txt})
    records = all_of(replace(found, dns=dns))["example.org"]
    assert {need.standing for need in records.needs} == {UNKNOWN}
    assert not any(need.lacking for need in records.needs)
    assert records.ttl == 120


def complete(world: World) -> Observed:
    """The DNS of example.org as it should be."""
    txt = {"_mta-sts.example.org": (f"v=STSv1; id={ID}",), "_smtp._tls.example.org": (RUA,)}
    return seen(world, txt)


def test_time_to_live_is_short_while_setting_up() -> None:
    """120 seconds until all is there, 3600 then."""
    assert all_of(seen(file_world()))["example.org"].ttl == 120
    assert all_of(complete(file_world()))["example.org"].ttl == 3_600
    assert all_of(complete(file_world()), Settings())["example.org"].ttl == 3_600


def test_questions_cover_all_that_is_judged() -> None:
    """With every answer there, nothing is unknown; with one taken away, something is."""
    found = complete(file_world())
    asked = questions(HOST, ["example.org"])
    tables = {"addresses": found.dns.addresses, "txt": found.dns.txt}
    only = {part: {q.name: tables[part][q.name] for q in asked if str(q.kind) == part} for part in tables}
    judged = all_of(replace(found, dns=replace(found.dns, **only)))["example.org"]  # type: ignore[arg-type]
    assert {need.standing for need in judged.needs} == {PRESENT}
    assert len(asked) == 4


# --- the zone file ----------------------------------------------------------------------------------------


def parsed(zone: str) -> dict[tuple[str, str], tuple[int, str]]:
    """A zone file as dnspython reads it: TTL and value by owner and type."""
    read = dns.zone.from_text(zone, origin=".", relativize=False, check_origin=False)
    return {
        (name.to_text(), dns.rdatatype.to_text(rdata.rdtype)): (ttl, rdata.to_text())
        for name, ttl, rdata in read.iterate_rdatas()
    }


def test_zone_file_is_read_as_it_was_meant() -> None:
    """By another program's parser, absolute names, an IDN as A-labels."""
    world = file_world(
        "example.org", "xn--bcher-kva.example", names=NAMES | {"mta-sts.xn--bcher-kva.example"}
    )
    zone = zone_text(list(all_of(seen(world)).values()))
    assert parsed(zone) == {
        ("mta-sts.example.org.", "CNAME"): (120, f"{HOST}."),
        ("_mta-sts.example.org.", "TXT"): (120, f'"v=STSv1;id={ID};"'),
        ("_smtp._tls.example.org.", "TXT"): (120, f'"{RUA}"'),
        ("mta-sts.xn--bcher-kva.example.", "CNAME"): (120, f"{HOST}."),
        ("_mta-sts.xn--bcher-kva.example.", "CNAME"): (120, "_mta-sts.example.org."),
        ("_smtp._tls.xn--bcher-kva.example.", "CNAME"): (120, "_smtp._tls.example.org."),
    }
    assert "; bücher.example (xn--bcher-kva.example)" in zone


@pytest.mark.skipif(shutil.which("named-checkzone") is None, reason="BIND's checker is not at hand")
@pytest.mark.system
def test_zone_file_is_accepted_by_bind(tmp_path: Path) -> None:
    """Behind the records that make it a zone."""
    head = "example.org. 60 IN SOA ns.example.com. a.example.com. 1 60 60 60 60\nexample.org. 60 IN NS ns.example.com.\n"
    (tmp_path / "zone").write_text(head + zone_text(list(all_of(seen(native_world())).values())))
    done = subprocess.run(
        ["named-checkzone", "-i", "none", "example.org", str(tmp_path / "zone")],
        capture_output=True, check=False, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "mta-sts" not in done.stdout


def test_what_is_not_known_yet_is_a_comment() -> None:
    """Only what can be published is a record."""
    zone = zone_text(list(all_of(seen(file_world(file=None)), Settings()).values()))
    assert list(parsed(zone)) == [("mta-sts.example.org.", "CNAME")]
    assert "; _mta-sts.example.org. due once the policy is served\n" in zone
    assert "_smtp._tls" not in zone  # what the settings lack is said once, on top


def test_record_that_must_wait_is_commented_out() -> None:
    """It is there to be read, and is not published by being pasted."""
    found = list(all_of(seen(native_world(names=frozenset({HOST})))).values())
    for missing in (False, True):
        zone = zone_text(found, missing=missing)
        assert ("_mta-sts.example.org.", "TXT") not in parsed(zone)
        assert '; _mta-sts.example.org. 120 IN TXT "v=STSv1;id=1;"\n' in zone
        assert "; _mta-sts.example.org. publish it once mta-sts.example.org is in the certificate" in zone


def test_missing_leaves_out_what_the_dns_has() -> None:
    """What is different is shown with what is there; what is not known is a comment."""
    found = seen(file_world(), {"_mta-sts.example.org": ("v=STSv1; id=1",), "_smtp._tls.example.org": (RUA,)})
    zone = zone_text(list(all_of(found).values()), missing=True)
    assert parsed(zone) == {("_mta-sts.example.org.", "TXT"): (120, f'"v=STSv1;id={ID};"')}
    assert '; replaces what the DNS has: TXT "v=STSv1; id=1"\n' in zone
    silent = replace(found, dns=replace(found.dns, txt={n: Unseen("SERVFAIL", NOW) for n in found.dns.txt}))
    zone = zone_text(list(all_of(silent).values()), missing=True)
    assert parsed(zone) == {}
    assert "; not known whether the DNS has it: SERVFAIL\n" in zone


def test_zone_file_says_that_nothing_is_missing() -> None:
    """An empty answer would look like a failure."""
    assert zone_text(list(all_of(complete(file_world())).values()), missing=True) == "; nothing is missing\n"
    assert zone_text([]) == "; no domain needs a record\n"


@hypothesis_given(st.text(max_size=700))
def test_any_text_survives_being_quoted(content: str) -> None:
    """As the octets of its UTF-8, in strings of 255 at most."""
    zone = parsed(f"a.example. 1 IN TXT {quoted(content)}\n")
    read = dns.zone.from_text(
        f"a.example. 1 IN TXT {quoted(content)}\n", origin=".", relativize=False, check_origin=False
    )
    ((_, _, rdata),) = read.iterate_rdatas()
    assert isinstance(rdata, dns.rdtypes.ANY.TXT.TXT)
    assert b"".join(rdata.strings) == content.encode()
    assert len(zone) == 1


@hypothesis_given(st.text(max_size=60))
def test_strangers_text_never_becomes_a_record(content: str) -> None:
    """What the DNS has in place of a record stays within its comment, line ends of all kinds included."""
    need = RecordNeed("_mta-sts.example.org", None, UNKNOWN, f"why: {content}", content)
    whole = all_of(complete(file_world()))["example.org"]
    record = DnsRecord("_smtp._tls.example.org", "TXT", RUA)
    different = RecordNeed("_smtp._tls.example.org", record, DIFFERENT, "", content)
    zone = zone_text([replace(whole, id=need, report=different)], [content])
    assert set(parsed(zone)) == {("mta-sts.example.org.", "CNAME"), ("_smtp._tls.example.org.", "TXT")}
