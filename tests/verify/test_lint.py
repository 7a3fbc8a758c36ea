"""The corpus of right and wrong texts, judged; and the judgement held against second statements of the grammars."""

import re
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sidecar.formats import mtasts_policy as mtasts
from sidecar.formats import mtasts_record
from sidecar.formats import tlsrpt_record as tlsrpt
from sidecar.formats.mtasts_policy import Invalid, Policy, matches
from sidecar.formats.txt_fields import FieldFault as RecordFault
from sidecar.observed.checks import Severity
from sidecar.verify import codes
from sidecar.verify.lint import Judged, lint_match, lint_policy, lint_record, lint_tlsrpt
from sidecar.verify.rules.few import MOST
from tests.formats.test_mtasts_policy import names, patterns
from tests.verify.corpus import Case
from tests.verify.corpus.matches import CASES as MATCHES
from tests.verify.corpus.policies import BASE
from tests.verify.corpus.policies import CASES as POLICIES
from tests.verify.corpus.records import CASES as RECORDS
from tests.verify.corpus.reports import CASES as REPORTS

TABLES: tuple[tuple[Callable[[bytes], Judged], tuple[Case, ...]], ...] = (
    (lint_record, RECORDS),
    (lint_policy, POLICIES),
    (lint_tlsrpt, REPORTS),
)
EVERY = [(judge, case) for judge, cases in TABLES for case in cases]


@pytest.mark.parametrize(
    ("judge", "case"), EVERY, ids=[f"{judge.__name__}-{case.data[:40]!r}" for judge, case in EVERY]
)
def test_corpus(judge: Callable[[bytes], Judged], case: Case) -> None:
    """Each text is valid or not, for exactly the listed reasons, and has the listed fields."""
    judged = judge(case.data)
    assert (judged.valid, sorted(f.code for f in judged.findings)) == (case.valid, sorted(case.codes)), (
        case.why
    )
    assert (judged.mode, judged.max_age, judged.mx) == (case.mode, case.max_age, case.mx), case.why
    assert (judged.id, judged.rua) == (case.id, case.rua), case.why


def test_the_corpus_is_as_large_as_it_says() -> None:
    """Over 150 texts, right and wrong ones of each kind, and none twice."""
    assert sum(len(cases) for _, cases in TABLES) >= 150
    for _, cases in TABLES:
        assert len({case.data for case in cases}) == len(cases)
        assert min(sum(case.valid for case in cases), sum(not case.valid for case in cases)) >= 20


def test_every_code_is_found_somewhere_in_the_corpus() -> None:
    """And every finding is of a code in the table, with its severity and section."""
    table = {code.name: code for code in codes.ALL}
    assert len(table) == len(codes.ALL)
    found = {code for _, cases in TABLES for case in cases for code in case.codes}
    found |= {code for *_, code, _ in MATCHES if code}
    assert found == set(table)
    for judge, case in EVERY:
        for finding in judge(case.data).findings:
            code = table[finding.code]
            assert (finding.severity, finding.section) == (code.severity, code.section)
            assert finding.todo
            assert "\n" not in finding.message


def test_an_error_and_only_an_error_makes_a_text_invalid() -> None:
    """The table of codes says which; nothing here is worse than an ERROR, for nothing is known of mail."""
    severity = {code.name: code.severity for code in codes.ALL}
    for _, cases in TABLES:
        for case in cases:
            assert case.valid is not any(severity[code] is Severity.ERROR for code in case.codes), case.why
    assert set(severity.values()) == {Severity.ERROR, Severity.WARNING, Severity.NOTICE}


def test_match() -> None:
    """RFC 8461 §4.1."""
    for pattern, host, code, why in MATCHES:
        judged = lint_match(pattern, host)
        assert [finding.code for finding in judged.findings] == ([code] if code else []), why
        assert judged.valid is (code is None), why


def test_what_lenient_senders_do_is_reported() -> None:
    """A person whose policy works with one sender learns why it does not with another."""
    for data in (BASE + b"\n", b" " + BASE, BASE.replace(b"604800", b"604_800"), BASE + b"# x\n"):
        assert any("lenient senders" in finding.message for finding in lint_policy(data).findings)
    for text in (b"v=STSv1; id=abc ", b"v=STSv1; id=abc;;", b"v=STSv1; id=2026-01-01", b"v=STSv1; id=abc\n"):
        assert any("lenient senders" in finding.message for finding in lint_record(text).findings)


def test_a_better_mx_is_suggested() -> None:
    """The A-label of a U-label, and a name without its final dot."""
    for wrong, better in (
        ("bücher.example", "xn--bcher-kva.example"),
        ("*.bücher.example", "*.xn--bcher-kva.example"),
        ("mail.example.org.", "mail.example.org"),
    ):
        (finding,) = lint_policy(BASE.replace(b"mail.example.org", wrong.encode())).findings
        assert finding.todo == f"write mx: {better}"


@pytest.mark.integration
def test_a_text_full_of_mistakes_gives_few_findings_in_little_time() -> None:
    """A stranger's policy or record may not fill the memory, nor keep the processor busy."""
    for filling in (
        b"\n",
        b" ",
        b"x",
        b"x: y\n",
        b"x\n",
        b"mx: a_b\n",
        b":",
        b"a ",
        b"\xff\n",
        b"mx: a.example\n",
    ):
        many = filling * 20_000
        for text in (many, BASE + many + b"\x00", b"x: " + many + b"\x00"):
            judged = lint_policy(text)
            assert not judged.valid
            assert len(judged.findings) <= MOST
            assert len(str(mtasts.parse(text))) < 10_000
    for filling in (b";", b" ", b"x=y;", b"x;", b"id=a;", b"=", b"; "):
        for judge, begin in ((lint_record, b"v=STSv1;"), (lint_tlsrpt, b"v=TLSRPTv1;")):
            judged = judge(begin + filling * 20_000 + b"\x00")
            assert not judged.valid
            assert len(judged.findings) <= MOST
    numbers = range(20_000)
    assert lint_policy(BASE + b"".join(b"mx: m%d.example\nx%d: y\n" % (at, at) for at in numbers)).valid
    assert lint_tlsrpt(
        b"v=TLSRPTv1; rua=mailto:a@b.example" + b"".join(b"; x%d=y" % at for at in numbers)
    ).valid
    assert lint_policy(b"x\n" * 100 + BASE).findings[-1].message.endswith("(and 50 more findings)")


# Second statements: each grammar once more, as one expression copied from the ABNF.
_WSP = rb"[ \t]*"
_EXT = rb"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}=[\x21-\x3a\x3c\x3e-\x7e]+"
_DELIM = _WSP + rb";" + _WSP
STS = re.compile(
    rb"v=STSv1(?:" + _DELIM + rb"(?!id=)" + _EXT + rb")*" + _DELIM + rb"id=([A-Za-z0-9]{1,32})"
    rb"(?:" + _DELIM + _EXT + rb")*(?:" + _DELIM + rb")?"
)
_POLICY_FIELD = rb"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}:[ \t]*[\x21-\x7e\x80-\xff](?:[\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?"
POLICY = re.compile(_POLICY_FIELD + rb"[ \t]*(?:\r?\n" + _POLICY_FIELD + rb"[ \t]*)*(?:\r?\n)?")
_LABEL = rb"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_OWN = {
    b"version": re.compile(rb"STSv1"),
    b"mode": re.compile(rb"testing|enforce|none"),
    b"max_age": re.compile(rb"[0-9]{1,10}"),
    b"mx": re.compile(rb"(?:\*\.)?" + _LABEL + rb"(?:\." + _LABEL + rb")*"),
}


def naive_policy(data: bytes) -> bool:
    """RFC 8461 §3.2 a second time: the whole text by one expression, then what the comments and the prose ask."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    if not POLICY.fullmatch(data):
        return False
    first: dict[bytes, bytes] = {}
    for line in data.replace(b"\r\n", b"\n").split(b"\n"):
        name, _, value = line.partition(b":")
        value = value.strip(b" \t")
        if name == b"mx" and not (_OWN[name].fullmatch(value) and max(map(len, value.split(b"."))) < 64):
            return False
        first.setdefault(name, value)
    required = {b"version", b"mode", b"max_age"} | (set() if first.get(b"mode") == b"none" else {b"mx"})
    if not required <= set(first) or not all(_OWN[name].fullmatch(first[name]) for name in required):
        return False
    return int(first[b"max_age"]) <= 31_557_600


pieces = st.sampled_from(
    [
        *(
            b"v=STSv1",
            b"v=TLSRPTv1",
            b"v=",
            b"STSv1",
            b"id=",
            b"id",
            b"=",
            b";",
            b"; ",
            b" ;",
            b" ",
            b"\t",
            b"\n",
        ),
        *(
            b"abc",
            b"0",
            b"-",
            b"_",
            b"x=y",
            b"x",
            b"rua=",
            b"mailto:",
            b"a@b.example",
            b"https://",
            b",",
            b"!",
        ),
        *(
            b"version: STSv1",
            b"mode: enforce",
            b"mode: none",
            b"max_age: 86400",
            b"mx: a.example",
            b"\r\n",
            b"\r",
        ),
        *(
            b"version",
            b"mode",
            b"max_age",
            b"mx",
            b":",
            b"*.",
            b".",
            b"\xff",
            b"\xc3\xbc",
            b"\xef\xbb\xbf",
            b"\x00",
        ),
    ]
)
texts = st.lists(pieces, max_size=14).map(b"".join)
policy_lines = st.sampled_from(
    [
        *(
            b"version: STSv1",
            b"mode: enforce",
            b"mode: testing",
            b"mode: none",
            b"max_age: 86400",
            b"mx: a.example",
        ),
        *(
            b"version:STSv1 ",
            b"mode:\tnone",
            b"max_age: 99999999",
            b"mx: *.example",
            b"mx: a_b",
            b"x: y",
            b"",
            b" ",
        ),
        *(b" mx: a.example", b"mode : none", b"mode: Enforce", b"x: a  b", b"x:", b"x: \xff", b"max_age: 0"),
    ]
)
policies = st.builds(
    lambda lines, ends: b"".join(line + end for line, end in zip(lines, ends, strict=True)),
    *(st.lists(s, min_size=5, max_size=5) for s in (policy_lines, st.sampled_from([b"\n", b"\r\n", b""]))),
)
nearly_right = st.builds(
    lambda case, at, piece: (
        case.data[: at % (len(case.data) + 1)] + piece + case.data[at % (len(case.data) + 1) :]
    ),
    st.sampled_from([case for _, cases in TABLES for case in cases if case.valid]),
    st.integers(0, 400),
    pieces,
)
anything = st.binary(max_size=200) | texts | policies | nearly_right


@given(anything)
def test_no_octets_make_the_judgement_raise(data: bytes) -> None:
    """Whatever comes: a verdict, and a reason for each that is bad."""
    for judge in (lint_record, lint_policy, lint_tlsrpt):
        judged = judge(data)
        assert judged.valid or any(finding.severity is Severity.ERROR for finding in judged.findings)


@given(
    st.text(max_size=60) | st.text("a*.-\ud800\u212a", max_size=12), st.text("a*.-\ud800\u212a", max_size=12)
)
@example("*." * 200, "a" * 300)
def test_no_text_makes_the_match_raise(pattern: str, host: str) -> None:
    """In either order."""
    for judged in (lint_match(pattern, host), lint_match(host, pattern)):
        assert judged.valid is not bool(judged.findings)


@given(anything)
def test_record_is_valid_where_the_abnf_accepts_it(data: bytes) -> None:
    """And the id is the first one."""
    found = STS.fullmatch(data)
    judged = lint_record(data)
    assert judged.valid is (found is not None)
    if found:
        assert judged.id == found[1].decode()


@given(anything)
def test_policy_is_valid_where_the_abnf_and_the_prose_accept_it(data: bytes) -> None:
    """Held against the second statement."""
    assert lint_policy(data).valid is naive_policy(data)


def test_second_statements_agree_with_the_corpus() -> None:
    """So that what the properties are held against is itself right."""
    for case in RECORDS:
        assert bool(STS.fullmatch(case.data)) is case.valid, case.why
    for case in POLICIES:
        if b"aa" not in case.data:  # the length of a whole name is not in the second statement
            assert naive_policy(case.data) is case.valid, case.why


@given(anything)
def test_parse_and_lint_are_one_grammar(data: bytes) -> None:
    """What lint finds valid, the parsers take, and nothing else; with the same fields."""
    judged, policy = lint_policy(data), mtasts.parse(data)
    assert judged.valid is isinstance(policy, Policy)
    if isinstance(policy, Policy):
        assert (judged.mode, judged.max_age, judged.mx) == (policy.mode, policy.max_age, policy.mx)
    record = mtasts_record.parse(data)
    assert lint_record(data).valid is not isinstance(record, Invalid)
    report = tlsrpt.parse(data)
    assert lint_tlsrpt(data).valid is not isinstance(report, Invalid)


@given(patterns, names)
def test_match_agrees_with_the_formats(pattern: str, host: str) -> None:
    """Whose match is held against RFC 8461 §4.1 in `tests/formats`."""
    assert lint_match(pattern, host).valid is matches(pattern, host)


def test_every_fault_is_found_somewhere_in_the_corpus() -> None:
    """So each has a code and something to do: a fault without them would end in a KeyError there."""
    assert {p.fault for case in POLICIES for p in mtasts.read(case.data).problems} == {*mtasts.PolicyFault}
    of_records = {p.fault for case in RECORDS for p in mtasts_record.read(case.data).problems}
    assert of_records == {*RecordFault, *mtasts_record.IdFault}
    of_reports = {p.fault for case in REPORTS for p in tlsrpt.read(case.data).problems}
    assert of_reports == {*RecordFault, *tlsrpt.UriFault}
