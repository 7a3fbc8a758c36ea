"""The policy's grammar (RFC 8461 §3.2), octet by octet, and the match of an MX host (§4.1)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.formats.mtasts_policy import (
    Invalid,
    Mode,
    Policy,
    changes,
    differences,
    lenient_form,
    loosenings,
    matches,
    parse,
    policy_of,
    render,
    understood,
)
from tests.verify.corpus.policies import CASES as POLICIES

GOOD = "version: STSv1\nmode: enforce\nmax_age: 604800\nmx: mail.example.org\n"


def bad(text: str | bytes, problem: str) -> None:
    """`text` is not a policy, with this problem."""
    found = parse(text if isinstance(text, bytes) else text.encode())
    assert isinstance(found, Invalid)
    assert problem in str(found)


def test_what_the_grammar_takes() -> None:
    """Each text of the corpus is the policy that it should be, or none."""
    for case in POLICIES:
        found = parse(case.data)
        assert isinstance(found, Policy) is case.valid, case.why
        if isinstance(found, Policy):
            assert (found.mode, found.max_age, found.mx) == (case.mode, case.max_age, case.mx), case.why


def test_what_the_grammar_refuses() -> None:
    """With its problem."""
    bad("", "line 1 is not a field")
    bad(GOOD.replace("STSv1", "stsv1"), "version is 'stsv1'")
    bad(GOOD.replace("enforce", "Enforce"), "mode is 'Enforce'")
    bad(GOOD.replace("604800", "31557601"), "max_age is '31557601'")
    bad(GOOD.replace("604800", "٦٠٤٨٠٠"), "max_age is")  # digits, but not the grammar's
    bad(GOOD.replace("mx: mail.example.org\n", ""), "no mx field")
    bad(GOOD.replace("mail.example.org", "mail..example.org"), "not a host name")
    bad(GOOD + "\n", "line 5 is not a field")
    bad(GOOD.encode() + b"x: \xff\n", "not UTF-8")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "line 1 is not a field of a policy: there is nothing in it"),
        ("\ufeff" + GOOD, "line 1 is not a field of a policy: a byte order mark (EF BB BF) stands before it"),
        (GOOD + "\ufeffx: y\n", "line 5 is not a field of a policy: '\\xef\\xbb\\xbfx' is not a field name"),
        (GOOD + " \n", "line 5 is not a field of a policy: it is blank"),
        (GOOD + "x: y\rz", "line 5 is not a field of a policy: there is a CR in it that no LF follows"),
        (GOOD + "x: a\0b", "line 5 is not a field of a policy: there is the control octet 00 in it"),
        (GOOD + "nonsense", "line 5 is not a field of a policy: there is no colon in 'nonsense'"),
        (GOOD + "x : y", "there is white space before or after the name in 'x : y'"),
        (GOOD + "x y: z", "line 5 is not a field of a policy: 'x y' is not a field name"),
        (GOOD + "x: \t", "line 5 is not a field of a policy: 'x' has no value"),
        (GOOD + "x: a\tb", "line 5 is not a field of a policy: there is a tab within the value of 'x'"),
        (GOOD + "x: \udcff", "line 5 is not UTF-8"),
        (GOOD.replace("mode:", "Mode:"), "there is no mode field ('Mode' is another field)"),
        (GOOD.replace("max_age:", "max-age:"), "there is no max_age field ('max-age' is another field)"),
        (GOOD.replace("mode: enforce\n", ""), "there is no mode field"),
    ],
)
def test_problem_is_one_sentence_with_the_most_helpful_reason(text: str, problem: str) -> None:
    """An administrator finds the place by it."""
    found = parse(text.encode("utf-8", "surrogateescape"))
    assert isinstance(found, Invalid)
    assert found.problems[0].endswith(problem)


def test_many_problems_are_counted() -> None:
    """A log line has no place for all of them; none is counted where all are shown."""
    assert str(Invalid(tuple("abcdefghijklmnopqrst"))).endswith("; s; t")
    assert str(Invalid(tuple("abcdefghijklmnopqrstuv"))).endswith("; s; t; and 2 more")


@given(st.binary(max_size=300))
def test_parser_never_raises(data: bytes) -> None:
    """Any octets in, a value out."""
    assert isinstance(parse(data), Policy | Invalid)


labels = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
names = st.lists(labels, min_size=1, max_size=4).map(".".join)
patterns = names | names.map(lambda name: f"*.{name}")


@given(
    st.builds(
        Policy,
        st.sampled_from(Mode),
        st.integers(0, 31_557_600),
        st.lists(patterns, min_size=1, max_size=4, unique=True).map(tuple),
    )
)
def test_policy_rendered_and_parsed_is_the_same(policy: Policy) -> None:
    """And its text is stable."""
    text = render(policy)
    parsed = parse(text.encode())
    assert parsed == policy
    assert render(policy) == text


@given(patterns, names)
def test_match_agrees_with_a_naive_statement_of_the_rfc(pattern: str, host: str) -> None:
    """RFC 8461 §4.1, label by label."""
    left, right = pattern.split("."), host.split(".")
    expected = len(left) == len(right) and all(
        p == h or (p == "*" and i == 0) for i, (p, h) in enumerate(zip(left, right, strict=True))
    )
    assert matches(pattern, host) is expected


@pytest.mark.parametrize(
    ("pattern", "host", "expected"),
    [
        ("mail.example.org", "MAIL.example.org.", True),
        ("*.example.org", "a.example.org", True),
        ("*.example.org", "a.b.example.org", False),
        ("*.example.org", "example.org", False),
        ("*.example.org", ".example.org", False),
        ("mail.example.org", "xmail.example.org", False),
        ("mail.example.org", "mail.example.org.evil.example", False),
    ],
)
def test_match_of_an_mx_host(pattern: str, host: str, expected: bool) -> None:
    """A wildcard takes exactly one left label; everything else is compared whole."""
    assert matches(pattern, host) is expected


@pytest.mark.parametrize(
    ("other", "same", "fields"),
    [
        (Policy(Mode.ENFORCE, 604_800, ("b.example", "a.example", "a.example")), True, []),
        (Policy(Mode.TESTING, 604_800, ("a.example", "b.example")), False, ["mode"]),
        (Policy(Mode.ENFORCE, 604_801, ("a.example", "b.example")), False, ["max_age"]),
        (Policy(Mode.ENFORCE, 604_800, ("a.example",)), False, ["mx"]),
    ],
)
def test_policies_that_mean_the_same_to_senders(other: Policy, same: bool, fields: list[str]) -> None:
    """Order and repetition of mx do not matter; only fields that differ are named."""
    policy = Policy(Mode.ENFORCE, 604_800, ("a.example", "b.example"))
    assert policy.same_as(other) is same
    for found in (differences(policy, other), changes(policy, other)):
        assert [sentence.partition(" ")[0] for sentence in found] == fields


def test_loosenings_are_what_asks_less_of_senders() -> None:
    """Weaker mode, shorter max_age, more mx; nothing else."""
    before = Policy(Mode.ENFORCE, 604_800, ("a.example",))
    assert loosenings(before, before) == ()
    assert loosenings(before, Policy(Mode.ENFORCE, 604_801, ())) == ()
    after = Policy(Mode.TESTING, 86_400, ("a.example", "b.example"))
    assert loosenings(before, after) == (
        "mode testing instead of enforce",
        "max_age 86400 instead of 604800",
        "mx b.example more",
    )
    assert differences(before, after) == (
        "mode enforce instead of testing",
        "max_age 604800 instead of 86400",
        "mx a.example instead of a.example, b.example",
    )
    assert changes(before, after) == (
        "mode enforce becomes testing",
        "max_age 604800 becomes 86400",
        "mx a.example becomes a.example, b.example",
    )


RIGHT = b"version: STSv1\nmode: enforce\nmax_age: 604800\nmx: mail.example.org\nmx: *.example.org\n"
MEANT = Policy(Mode.ENFORCE, 604_800, ("mail.example.org", "*.example.org"))


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        (b"\xef\xbb\xbf" + RIGHT, ("a byte order mark",)),
        (RIGHT.replace(b"mode", b"\nmode"), ("blank lines",)),
        (RIGHT + b"\n\n", ("blank lines",)),
        (b"\n" + RIGHT.removesuffix(b"\n"), ("blank lines",)),
        (b"# our policy\n" + RIGHT + b"; end\n  // x\n", ("comment lines",)),
        (RIGHT.replace(b".org\n", b".org.\n"), ("final dots in mx",)),
        (RIGHT.replace(b"mode:", b" mode :"), ("white space",)),
        (RIGHT.replace(b"mode", b"  \nmode").replace(b"\n", b"\r\n"), ("white space",)),
        (
            b"\xef\xbb\xbf# x\r\n\r\n" + RIGHT.replace(b".org\n", b".org. \r\n"),
            ("a byte order mark", "comment lines", "blank lines", "final dots in mx"),
        ),
    ],
)
def test_text_that_lenient_senders_accept_is_understood(text: bytes, faults: tuple[str, ...]) -> None:
    """It says the same once it is mended, and what is wrong with it is named."""
    assert isinstance(parse(text), Invalid)
    found = lenient_form(text)
    assert found is not None
    assert (found.policy, set(found.faults)) == (MEANT, set(faults))
    assert understood(text.decode("utf-8")) == MEANT
    assert lenient_form(render(found.policy).encode()) is None


@pytest.mark.parametrize(
    "text",
    [
        RIGHT,
        RIGHT.replace(b"\n", b"\r\n"),
        b"",
        b"# nothing\n",
        RIGHT.replace(b"enforce", b"Enforce"),
        RIGHT.replace(b"mode: enforce\n", b"\n"),
        RIGHT.replace(b"STSv1", b"STSv2") + b"\n",
        RIGHT.replace(b"mail.example.org", b"mail.example.org.."),
        RIGHT.replace(b"\n", b" ") + b"\n",
        RIGHT + b"\n<html>\n",
        b"\xff" + RIGHT,
    ],
)
def test_what_a_text_means_is_not_guessed(text: bytes) -> None:
    """Right as it is, or wrong in another way."""
    assert lenient_form(text) is None


def test_only_a_text_that_some_sender_understands_is_a_policy() -> None:
    """A strict sender takes fewer texts than a lenient one; where nothing is served there is nothing to read."""
    valid, lenient = RIGHT.decode(), "\n" + RIGHT.decode()
    assert [policy_of(text) for text in (valid, lenient, "nonsense", None)] == [MEANT, None, None, None]
    assert [understood(text) for text in (valid, lenient, "nonsense", None)] == [MEANT, MEANT, None, None]


@given(st.binary(max_size=300))
def test_mending_never_raises_and_ends_in_a_policy(data: bytes) -> None:
    """Whatever a file holds."""
    found = lenient_form(b"\n" + RIGHT + data)
    assert found is None or parse(render(found.policy).encode()) == found.policy
