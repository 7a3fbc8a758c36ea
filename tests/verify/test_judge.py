"""The rules alone: whatever was seen, they return sound findings and never raise."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.dns.answers import NULL_MX, DnsAnswer, NoAnswer, Silence, Tlsa
from sidecar.formats.mtasts_policy import Mode, Policy
from sidecar.observed import Caa, Seen, Unseen
from sidecar.observed.checks import Severity
from sidecar.verify import codes, probe_codes
from sidecar.verify.judge import LONGEST, judge
from sidecar.verify.probes.tls import certificate
from sidecar.verify.rules.txt_dns import near_misses
from sidecar.verify.seen import (
    Barrier,
    DomainSeen,
    Meant,
    MxNoStartTls,
    MxSeen,
    MxTls,
    MxWontTalk,
    NoAddress,
    PolicyAnswer,
    PolicyFailure,
    PresentedCertificate,
    ProbedWay,
    TlsFailure,
    TlsTrouble,
    Unreachable,
)

NOW = 1_700_000_000.0
TABLE = {code.name: code for code in (*probe_codes.ALL, *codes.ALL)}

_words = st.text(max_size=40)
_numbers = st.floats(-1e15, 1e15)
_reasons = st.text(min_size=1, max_size=40).map(lambda text: f"because {text}")
_no_answers = st.builds(NoAnswer, st.sampled_from(Silence), _reasons, st.just(NOW))
_unseen = st.builds(Unseen, _reasons, st.just(NOW))
_ways = st.builds(ProbedWay, _words, st.none() | _words)
_certificates = st.builds(
    PresentedCertificate,
    st.lists(_words, max_size=9).map(tuple),
    _words,
    _numbers,
    _numbers,
    st.binary(max_size=60),
)
_tls_failures = st.builds(
    TlsFailure, _ways, st.sampled_from(TlsTrouble), _words, st.none() | _certificates, st.just(NOW)
)
_unreachable = st.builds(Unreachable, st.sampled_from(Barrier), _reasons, st.just(NOW))
_no_address = st.builds(NoAddress, st.just(NOW))


def _answers(records: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return _no_answers | st.builds(
        DnsAnswer,
        st.lists(records, max_size=3).map(tuple),
        st.booleans(),
        st.none() | _words,
        st.booleans(),
        st.just(NOW),
    )


_octets = st.binary(max_size=80) | st.sampled_from(
    [b"v=STSv1; id=1;", b"v=STSv1;", b"V=STSV1; id=1", b"v=TLSRPTv1; rua=mailto:a@b.test", b"version: STSv1"]
)
_bodies = st.binary(max_size=200) | st.sampled_from(
    [
        b"version: STSv1\nmode: enforce\nmax_age: 1\nmx: *.test\n",
        b"mode: none\n",
        b"mx: a\nmx: a\nmode: testing",
    ]
)
_policies = st.one_of(
    _no_answers,
    _unseen,
    _tls_failures,
    _unreachable,
    _no_address,
    st.builds(PolicyFailure, _ways, st.booleans(), _words, st.just(NOW)),
    st.builds(
        PolicyAnswer,
        _ways,
        _certificates,
        st.sampled_from([200, 200, 204, 301, 404, 999]),
        st.sampled_from(["text/plain", None, "text/html"]),
        st.none() | _words,
        _bodies,
        st.booleans(),
        st.just(NOW),
    ),
)
_probes = st.one_of(
    _no_answers,
    _unseen,
    _tls_failures,
    _unreachable,
    _no_address,
    st.builds(MxTls, _ways, _words, _certificates, st.just(NOW)),
    st.builds(MxNoStartTls, _ways, st.none() | _words, st.just(NOW)),
    st.builds(MxWontTalk, _ways, _words, st.just(NOW), st.booleans()),
)
_small = st.integers(0, 255)
_tlsa = st.builds(Tlsa, _small, _small | st.just(1), _small | st.just(1), st.binary(max_size=32))
_hosts = st.builds(
    MxSeen,
    st.sampled_from(["a.test", "b.test", "192.0.2.1"]),
    _probes,
    _answers(_tlsa),
    st.lists(_probes, max_size=3).map(tuple),
)
_domains = st.builds(
    DomainSeen,
    st.just("example.test"),
    _answers(_octets),
    st.dictionaries(st.sampled_from(near_misses("example.test")), _answers(_octets)),
    _answers(_octets),
    _answers(st.sampled_from(["a.test", "b.test", NULL_MX])),
    _policies,
    st.lists(_hosts, max_size=2).map(lambda hosts: {host.host: host for host in hosts}),
    _unseen
    | st.builds(
        Seen, st.builds(Caa, st.none() | _words, st.lists(_words, max_size=2).map(tuple)), st.just(NOW)
    ),
    st.just(NOW),
)
_meant = st.none() | st.builds(
    Meant,
    st.builds(
        Policy,
        st.sampled_from(Mode),
        st.integers(0, 99),
        st.lists(st.sampled_from(["a.test", "*.test"])).map(tuple),
    ),
    st.booleans(),
)


@pytest.mark.integration
@given(_domains, _meant)
def test_rules_never_raise_and_say_only_what_is_in_the_tables(seen: DomainSeen, meant: Meant | None) -> None:
    """Any octets, dates and names; each finding has its code's section, and a sentence."""
    for finding in judge(seen, meant, NOW):
        assert finding.section == TABLE[finding.code].section
        assert finding.message.strip()
        assert finding.message.isprintable()
        assert len(finding.message) <= LONGEST
        assert finding.subject


@given(_domains, _meant)
def test_unknown_stays_unknown(seen: DomainSeen, meant: Meant | None) -> None:
    """What stands for a probe that was not made keeps its severity whatever is at stake, and nothing else gets it."""
    for finding in judge(seen, meant, NOW):
        usual = TABLE[finding.code].severity
        assert (finding.severity is Severity.UNKNOWN) == (usual is Severity.UNKNOWN)
        assert (finding.severity is Severity.OK) == (usual is Severity.OK)


@given(_domains)
def test_only_enforce_makes_mx_trouble_critical(seen: DomainSeen) -> None:
    """Without a policy in enforce, served or meant, no sender refuses for the sake of MTA-STS."""
    weak = Meant(Policy(Mode.TESTING, 1, ()))
    served = isinstance(seen.policy, PolicyAnswer) and b"enforce" in seen.policy.body
    for finding in judge(seen, weak, NOW):
        if finding.severity is Severity.CRITICAL and finding.code.startswith("mx-"):
            assert served


def test_octets_that_are_not_a_certificate_have_no_names() -> None:
    """A server may send anything."""
    found = certificate(b"no DER")
    assert (found.names, found.not_after) == (None, None)


def test_codes_are_unique_and_their_meaning_is_a_sentence() -> None:
    """One table for docs/finding-codes.md: names in lower case with hyphens, meanings that end."""
    names = [code.name for code in (*probe_codes.ALL, *codes.ALL)]
    assert len(names) == len(set(names))
    for code in probe_codes.ALL:
        assert code.name.replace("-", "").isalnum()
        assert code.name.islower()
        assert code.meaning.endswith(".")
        assert code.section.startswith("RFC ")
