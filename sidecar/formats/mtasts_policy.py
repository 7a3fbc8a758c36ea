"""RFC 8461 without I/O: the policy, its text form, its parser and the match of an MX host.

Rule for every editor: the grammar below is the RFC's, octet by octet (what Python calls white space, digit or
line end is not what the grammar calls so). Fetching, DNS and opinions about roll-out do not belong here.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from sidecar.formats.text import WSP, ascii_lower, shown

MAX_AGE_LIMIT = 31_557_600
"""The largest max_age, in seconds (RFC 8461 §3.2)."""


class Mode(StrEnum):
    """What a sender does when its check fails (RFC 8461 §5), weakest first."""

    NONE = "none"
    TESTING = "testing"
    ENFORCE = "enforce"

    @property
    def strength(self) -> int:
        """0 for none, 1 for testing, 2 for enforce."""
        return _STRENGTH[self]


_STRENGTH = {Mode.NONE: 0, Mode.TESTING: 1, Mode.ENFORCE: 2}


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy as senders understand it; `mx` holds lower-case patterns in A-label form, `max_age` seconds."""

    mode: Mode
    max_age: int
    mx: tuple[str, ...]

    def covers(self, host: str) -> bool:
        """Whether some mx pattern matches the MX `host` (RFC 8461 §4.1)."""
        return any(matches(pattern, host) for pattern in self.mx)

    def same_as(self, other: "Policy") -> bool:
        """Whether both mean the same to senders; order and repetition of mx do not matter."""
        return (self.mode, self.max_age, frozenset(self.mx)) == (
            other.mode,
            other.max_age,
            frozenset(other.mx),
        )


@dataclass(frozen=True, slots=True)
class Invalid:
    """Why a text is not a policy; each problem is one sentence."""

    problems: tuple[str, ...]

    def __str__(self) -> str:
        shown = self.problems[:_MOST_PROBLEMS]
        more = len(self.problems) - len(shown)
        return "; ".join([*shown, *([f"and {more} more"] if more else [])])


# In one line of a log: a text may have as many problems as it has lines.
_MOST_PROBLEMS = 20


@lru_cache(maxsize=4_096)  # a pass compares the same few MX hosts with the same patterns for each domain
def matches(pattern: str, host: str) -> bool:
    """RFC 8461 §4.1: a wildcard stands for exactly one left-most label, everything else is compared whole."""
    host = ascii_lower(host).removesuffix(".")
    pattern = ascii_lower(pattern)
    if pattern.startswith("*."):
        first, _, rest = host.partition(".")
        return bool(first) and rest == pattern[2:]
    return host == pattern


def render(policy: Policy) -> str:
    """The policy's text (RFC 8461 §3.2): LF, the order that mailcow's own page serves, a final line end."""
    lines = ["version: STSv1", f"mode: {policy.mode}", f"max_age: {policy.max_age}"]
    lines += [f"mx: {pattern}" for pattern in policy.mx]
    return "\n".join(lines) + "\n"


# RFC 8461 §3.2, the ABNF. Departures: none. Of its errata (all only reported, none verified) 6253 says what the
# ABNF says anyway, that LF alone ends a line too, and 7282 would take two digits from max_age, which its limit does.
#   sts-policy-record = sts-policy-field *WSP *(sts-policy-term sts-policy-field *WSP) [sts-policy-term]
#   sts-policy-term   = LF / CRLF
_TERM = re.compile(rb"\r?\n")
#   sts-policy-ext-name = (ALPHA / DIGIT) *31(ALPHA / DIGIT / "_" / "-" / ".")
#   sts-policy-ext-value = sts-policy-vchar [*(%x20 / sts-policy-vchar) sts-policy-vchar]
#   sts-policy-vchar = %x21-7E / UTF8-2 / UTF8-3 / UTF8-4
# (that the octets above 7F form UTF-8 is checked by decoding)
_FIELD = re.compile(
    rb"(?P<name>[A-Za-z0-9][A-Za-z0-9_.-]{0,31}):[ \t]*"
    rb"(?P<value>[\x21-\x7e\x80-\xff](?:[\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)[ \t]*\Z"
)
#   sts-policy-max-age-value = 1*10(DIGIT)
_MAX_AGE = re.compile(r"[0-9]{1,10}\Z", re.ASCII)
#   sts-policy-mx-value = ["*."] Domain, with Domain from RFC 5321 §4.1.2 (sub-domain = Let-dig [Ldh-str])
_MX = re.compile(
    r"(?:\*\.)?(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*\Z"
)
_NAME = re.compile(rb"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}\Z")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_BOM = b"\xef\xbb\xbf"


class PolicyFault(StrEnum):
    """The kinds of problems of a policy text."""

    EMPTY = "empty"
    BOM = "bom"
    BLANK_LINE = "blank-line"
    LINE_END = "line-end"
    WHITE_SPACE = "white-space"
    FIELD = "field"
    UTF8 = "utf-8"
    VERSION_MISSING = "version-missing"
    VERSION = "version"
    MODE_MISSING = "mode-missing"
    MODE = "mode"
    MAX_AGE_MISSING = "max-age-missing"
    MAX_AGE = "max-age"
    MAX_AGE_LIMIT = "max-age-limit"
    MX_MISSING = "mx-missing"
    MX = "mx"


@dataclass(frozen=True, slots=True)
class PolicyProblem:
    """One problem of a policy text: its kind, a sentence, and the wrong pattern if it is one of mx."""

    fault: PolicyFault
    text: str
    value: str = ""


@dataclass(frozen=True, slots=True)
class PolicyReading:
    """What the grammar makes of a text: its valid fields, even if the text is not a policy."""

    problems: tuple[PolicyProblem, ...]
    mode: Mode | None
    max_age: int | None
    mx: tuple[str, ...]
    """The patterns, lower-case, each once."""
    repeated: tuple[str, ...]
    """Repeated names, of which only the first counts; also `mx` with a repeated pattern."""
    unknown: tuple[str, ...]
    """Names that the RFC does not know, as written; each once."""

    @property
    def policy(self) -> Policy | None:
        if self.problems or self.mode is None or self.max_age is None:
            return None
        return Policy(self.mode, self.max_age, self.mx)


def is_mx_pattern(text: str) -> bool:
    """Whether `text` is an mx value of the grammar, with labels and name of a length that DNS allows."""
    labels = text.removeprefix("*.").split(".")
    return bool(_MX.match(text)) and len(text) <= 253 and all(len(label) <= 63 for label in labels)


def parse(data: bytes) -> Policy | Invalid:
    """The policy in `data`, or all that is wrong with it; never raises.

    Of a repeated field the first counts (RFC 8461 §3.2). Unknown fields are allowed.
    """
    reading = read(data)
    return reading.policy or Invalid(tuple(problem.text for problem in reading.problems))


def read(data: bytes) -> PolicyReading:
    """What the grammar makes of `data`, right or wrong; never raises."""
    problems: list[PolicyProblem] = []
    fields: dict[str, str] = {}
    mx: dict[str, None] = {}  # in order, each once
    repeated: list[str] = []
    lines = _TERM.split(data)
    if lines[-1] == b"" and len(lines) > 1:
        lines.pop()  # the last sts-policy-term is optional
    for number, line in enumerate(lines, 1):
        found = _FIELD.match(line)
        if found is None:
            problems.append(_no_field(number, line, of=len(lines)))
            continue
        try:
            name, value = found["name"].decode(), found["value"].decode()
        except UnicodeDecodeError:
            problems.append(PolicyProblem(PolicyFault.UTF8, f"line {number} is not UTF-8"))
            continue
        if name in fields or (name == "mx" and ascii_lower(value) in mx):
            repeated.append(name)
        elif name == "mx":
            mx[ascii_lower(value)] = None
        else:
            fields[name] = value
    problems += _judge(fields, tuple(mx))
    mode, max_age = fields.get("mode"), fields.get("max_age", "")
    return PolicyReading(
        tuple(problems),
        Mode(mode) if mode in set(Mode) else None,
        int(max_age) if _is_max_age(max_age) else None,
        tuple(pattern for pattern in mx if is_mx_pattern(pattern)),
        tuple(dict.fromkeys(repeated)),
        tuple(name for name in fields if name not in _KNOWN),
    )


_KNOWN = frozenset({"version", "mode", "max_age"})


def _is_max_age(text: str) -> bool:
    return bool(_MAX_AGE.match(text)) and int(text) <= MAX_AGE_LIMIT


def _no_field(number: int, line: bytes, *, of: int) -> PolicyProblem:
    """The most helpful reason why a line is not an sts-policy-field."""
    name, colon, value = line.partition(b":")
    if line == b"" and of == 1:
        fault, why = PolicyFault.EMPTY, "there is nothing in it"
    elif number == 1 and line.startswith(_BOM):
        fault, why = PolicyFault.BOM, "a byte order mark (EF BB BF) stands before it"
    elif not line.strip(WSP):
        fault, why = PolicyFault.BLANK_LINE, "it is blank"
    elif b"\r" in line:
        fault, why = PolicyFault.LINE_END, "there is a CR in it that no LF follows"
    elif control := _CONTROL.search(line):
        fault, why = PolicyFault.FIELD, f"there is the control octet {control[0][0]:02X} in it"
    elif not colon:
        fault, why = PolicyFault.FIELD, f"there is no colon in {shown(line)}"
    elif not _NAME.match(name) and _NAME.match(name.strip(WSP)):
        fault, why = (
            PolicyFault.WHITE_SPACE,
            f"there is white space before or after the name in {shown(line)}",
        )
    elif not _NAME.match(name):
        fault, why = PolicyFault.FIELD, f"{shown(name)} is not a field name"
    elif not value.strip(WSP):
        fault, why = PolicyFault.FIELD, f"{shown(name)} has no value"
    else:
        fault, why = PolicyFault.FIELD, f"there is a tab within the value of {shown(name)}"
    return PolicyProblem(fault, f"line {number} is not a field of a policy: {why}")


def _judge(fields: dict[str, str], mx: tuple[str, ...]) -> list[PolicyProblem]:
    problems: list[PolicyProblem] = []
    match fields.get("version"):
        case "STSv1":
            pass
        case None:
            problems.append(_missing(PolicyFault.VERSION_MISSING, "version", fields))
        case other:
            problems.append(
                PolicyProblem(PolicyFault.VERSION, f"version is {other[:60]!r} instead of 'STSv1'")
            )
    match fields.get("mode"):
        case "none" | "testing" | "enforce":
            pass
        case None:
            problems.append(_missing(PolicyFault.MODE_MISSING, "mode", fields))
        case other:
            problems.append(
                PolicyProblem(PolicyFault.MODE, f"mode is {other[:60]!r} instead of testing, enforce or none")
            )
    max_age = fields.get("max_age")
    if max_age is None:
        problems.append(_missing(PolicyFault.MAX_AGE_MISSING, "max_age", fields))
    elif not _is_max_age(max_age):
        fault = PolicyFault.MAX_AGE_LIMIT if _MAX_AGE.match(max_age) else PolicyFault.MAX_AGE
        text = f"max_age is {max_age[:20]!r} instead of a number of seconds up to {MAX_AGE_LIMIT}"
        problems.append(PolicyProblem(fault, text))
    problems += [
        PolicyProblem(PolicyFault.MX, f"mx is {pattern[:60]!r}, which is not a host name", pattern)
        for pattern in mx
        if not is_mx_pattern(pattern)
    ]
    if not mx and fields.get("mode") != "none":
        problems.append(_missing(PolicyFault.MX_MISSING, "mx", fields))
    return problems


def _missing(fault: PolicyFault, name: str, fields: dict[str, str]) -> PolicyProblem:
    alike = next((other for other in fields if other.lower().replace("-", "_") == name), None)
    hint = f" ({alike!r} is another field)" if alike else ""
    return PolicyProblem(fault, f"there is no {name} field{hint}")


def loosenings(before: Policy, after: Policy) -> tuple[str, ...]:
    """Where `after` demands less of senders than `before`: weaker mode, shorter max_age, more mx."""
    found: list[str] = []
    if after.mode.strength < before.mode.strength:
        found.append(f"mode {after.mode} instead of {before.mode}")
    if after.max_age < before.max_age:
        found.append(f"max_age {after.max_age} instead of {before.max_age}")
    if more := [p for p in after.mx if p not in before.mx]:
        found.append("mx " + ", ".join(more) + " more")
    return tuple(found)


def differences(before: Policy, after: Policy) -> tuple[str, ...]:
    """Each field in which a policy differs from the wanted one, in words; empty if they mean the same to senders."""
    return tuple(f"{name} {old} instead of {new}" for name, old, new in _differing(before, after))


def changes(before: Policy, after: Policy) -> tuple[str, ...]:
    """Each field that is changed, in words that are right before the change and after it."""
    return tuple(f"{name} {old} becomes {new}" for name, old, new in _differing(before, after))


def _differing(before: Policy, after: Policy) -> Iterator[tuple[str, str, str]]:
    if before.mode != after.mode:
        yield "mode", str(before.mode), str(after.mode)
    if before.max_age != after.max_age:
        yield "max_age", str(before.max_age), str(after.max_age)
    if frozenset(before.mx) != frozenset(after.mx):
        yield "mx", ", ".join(before.mx) or "(none)", ", ".join(after.mx) or "(none)"


@dataclass(frozen=True, slots=True)
class LenientForm:
    """How lenient senders read a text that strict ones refuse, and which faults they overlook."""

    policy: Policy
    faults: tuple[str, ...]


_COMMENT = (b"#", b";", b"//")
_KEYED = re.compile(rb"\s*(?P<name>[A-Za-z0-9][A-Za-z0-9_.-]{0,31})\s*:\s*(?P<value>.*?)\s*\Z", re.DOTALL)


def lenient_form(data: bytes) -> LenientForm | None:
    """The meaning of a text whose only faults are blank or comment lines, a byte order mark, white space, final dots of mx.

    None for a text without faults, and for one with other faults: its meaning is not guessed.
    """
    faults: dict[str, None] = {}
    if data.startswith(_BOM):
        faults["a byte order mark"] = None
    lines: list[bytes] = []
    written = _TERM.split(data.removeprefix(_BOM))
    for line in written[:-1] if written[-1] == b"" else written:
        if not line.strip():
            faults["white space" if line else "blank lines"] = None
            continue
        if line.lstrip().startswith(_COMMENT):
            faults["comment lines"] = None
            continue
        found = _KEYED.match(line)
        if found is None:
            lines.append(line)
            continue
        name, value = found["name"], found["value"]
        if name == b"mx" and value.endswith(b"."):
            faults["final dots in mx"] = None
            value = value[:-1]
        clean = name + b": " + value
        if _FIELD.match(line) is None and _FIELD.match(clean) is not None:
            faults["white space"] = None
        lines.append(clean)
    policy = parse(b"\n".join(lines) + b"\n")
    return None if isinstance(policy, Invalid) or not faults else LenientForm(policy, tuple(faults))


@lru_cache(maxsize=1_024)
def understood(text: str | None) -> Policy | None:
    """The policy that a sender, strict or lenient, may have read from a text; None if no sender can have."""
    strict = policy_of(text)
    if strict is not None or text is None:
        return strict
    found = lenient_form(text.encode("utf-8", "surrogateescape"))
    return None if found is None else found.policy


@lru_cache(maxsize=16_384)  # a pass reads the same few thousand texts again and again
def policy_of(text: str | None) -> Policy | None:
    """The policy in a text; None for no text and for a text that is not a policy."""
    if text is None:
        return None
    parsed = parse(text.encode("utf-8", "surrogateescape"))
    return None if isinstance(parsed, Invalid) else parsed
