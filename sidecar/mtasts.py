"""RFC 8461 without I/O: the policy, its text form, its parser and the match of an MX host.

Rule for every editor: the grammar below is the RFC's, octet by octet (what Python calls white space, digit or
line end is not what the grammar calls so). Fetching, DNS and opinions about roll-out do not belong here.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

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
        """Whether senders are told the same; neither order nor repetition of mx means anything to them."""
        return (self.mode, self.max_age, frozenset(self.mx)) == (
            other.mode,
            other.max_age,
            frozenset(other.mx),
        )


@dataclass(frozen=True, slots=True)
class Invalid:
    """What is wrong with a text that is no policy; each problem is one sentence."""

    problems: tuple[str, ...]

    def __str__(self) -> str:
        return "; ".join(self.problems)


def matches(pattern: str, host: str) -> bool:
    """RFC 8461 §4.1: a wildcard stands for exactly one left-most label, everything else is compared whole."""
    host = host.lower().removesuffix(".")
    pattern = pattern.lower()
    if pattern.startswith("*."):
        first, _, rest = host.partition(".")
        return bool(first) and rest == pattern[2:]
    return host == pattern


def render(policy: Policy) -> str:
    """The policy's text (RFC 8461 §3.2): LF, the order that mailcow's own page serves, a final line end."""
    lines = ["version: STSv1", f"mode: {policy.mode}", f"max_age: {policy.max_age}"]
    lines += [f"mx: {pattern}" for pattern in policy.mx]
    return "\n".join(lines) + "\n"


# RFC 8461 §3.2, the ABNF. Departures: none.
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


def is_mx_pattern(text: str) -> bool:
    """Whether `text` is an mx value of the grammar, with labels and name of a length that DNS allows."""
    labels = text.removeprefix("*.").split(".")
    return bool(_MX.match(text)) and len(text) <= 253 and all(len(label) <= 63 for label in labels)


def parse(data: bytes) -> Policy | Invalid:
    """The policy in `data`, or all that is wrong with it; never raises.

    Of a field given twice the first counts (RFC 8461 §3.2). Unknown fields are allowed.
    """
    problems: list[str] = []
    fields: dict[str, str] = {}
    mx: list[str] = []
    lines = _TERM.split(data)
    if lines[-1] == b"" and len(lines) > 1:
        lines.pop()  # the last sts-policy-term is optional
    for number, line in enumerate(lines, 1):
        found = _FIELD.match(line)
        if found is None:
            problems.append(f"line {number} is no field of a policy: {line[:60]!r}")
            continue
        try:
            name, value = found["name"].decode(), found["value"].decode()
        except UnicodeDecodeError:
            problems.append(f"line {number} is not UTF-8")
            continue
        if name == "mx":
            mx.append(value)
        else:
            fields.setdefault(name, value)
    problems += _judge(fields, mx)
    if problems:
        return Invalid(tuple(problems))
    return Policy(Mode(fields["mode"]), int(fields["max_age"]), tuple(dict.fromkeys(p.lower() for p in mx)))


def _judge(fields: dict[str, str], mx: list[str]) -> list[str]:
    problems: list[str] = []
    match fields.get("version"):
        case "STSv1":
            pass
        case None:
            problems.append("there is no version field")
        case other:
            problems.append(f"version is {other!r} instead of 'STSv1'")
    match fields.get("mode"):
        case "none" | "testing" | "enforce":
            pass
        case None:
            problems.append("there is no mode field")
        case other:
            problems.append(f"mode is {other!r} instead of testing, enforce or none")
    max_age = fields.get("max_age")
    if max_age is None:
        problems.append("there is no max_age field")
    elif not _MAX_AGE.match(max_age) or int(max_age) > MAX_AGE_LIMIT:
        problems.append(f"max_age is {max_age[:20]!r} instead of a number of seconds up to {MAX_AGE_LIMIT}")
    problems += [
        f"mx is {pattern[:60]!r}, which is no host name" for pattern in mx if not is_mx_pattern(pattern)
    ]
    if not mx and fields.get("mode") != "none":
        problems.append("there is no mx field")
    return problems


def loosenings(before: Policy, after: Policy) -> tuple[str, ...]:
    """In what `after` asks less of senders than `before`: weaker mode, shorter max_age, more mx."""
    found: list[str] = []
    if after.mode.strength < before.mode.strength:
        found.append(f"mode {after.mode} instead of {before.mode}")
    if after.max_age < before.max_age:
        found.append(f"max_age {after.max_age} instead of {before.max_age}")
    if more := [p for p in after.mx if p not in before.mx]:
        found.append("mx " + ", ".join(more) + " more")
    return tuple(found)


def differences(before: Policy, after: Policy) -> tuple[str, ...]:
    """Each field in which two policies differ, in words; empty when senders are told the same."""
    found: list[str] = []
    if before.mode != after.mode:
        found.append(f"mode {before.mode} instead of {after.mode}")
    if before.max_age != after.max_age:
        found.append(f"max_age {before.max_age} instead of {after.max_age}")
    if frozenset(before.mx) != frozenset(after.mx):
        found.append(f"mx {', '.join(before.mx) or '(none)'} instead of {', '.join(after.mx) or '(none)'}")
    return tuple(found)
