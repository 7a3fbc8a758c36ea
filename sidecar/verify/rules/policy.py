"""Findings about the text of a policy (RFC 8461 §3.2).

Rule for every editor: `mtasts_policy.read` judges the grammar, and nothing here judges it again; this turns its
problems into findings and adds what is valid but unwise. How the policy was served, and whether it fits, belong elsewhere.
"""

import re
from collections.abc import Mapping
from contextlib import suppress

from sidecar.formats.domain_name import to_ascii
from sidecar.formats.mtasts_policy import Mode, PolicyFault, PolicyProblem, PolicyReading, is_mx_pattern
from sidecar.observed.checks import Code, Finding
from sidecar.verify import codes
from sidecar.verify.rules.few import few

SHORT = 604_800
"""Seconds: below it a max_age in enforce is short of the "weeks or greater" that RFC 8461 §3.2 expects."""
LONG = 65_536
"""Octets: the size of a policy at which RFC 8461 §3.3 lets senders stop."""

_CODES: Mapping[PolicyFault, Code] = {
    PolicyFault.EMPTY: codes.POLICY_EMPTY,
    PolicyFault.BOM: codes.POLICY_BOM,
    PolicyFault.BLANK_LINE: codes.POLICY_BLANK_LINE,
    PolicyFault.LINE_END: codes.POLICY_LINE_END,
    PolicyFault.WHITE_SPACE: codes.POLICY_WHITE_SPACE,
    PolicyFault.FIELD: codes.POLICY_FIELD,
    PolicyFault.UTF8: codes.POLICY_UTF8,
    PolicyFault.VERSION_MISSING: codes.POLICY_VERSION_MISSING,
    PolicyFault.VERSION: codes.POLICY_VERSION,
    PolicyFault.MODE_MISSING: codes.POLICY_MODE_MISSING,
    PolicyFault.MODE: codes.POLICY_MODE,
    PolicyFault.MAX_AGE_MISSING: codes.POLICY_MAX_AGE_MISSING,
    PolicyFault.MAX_AGE: codes.POLICY_MAX_AGE,
    PolicyFault.MAX_AGE_LIMIT: codes.POLICY_MAX_AGE_LIMIT,
    PolicyFault.MX_MISSING: codes.POLICY_MX_MISSING,
    PolicyFault.MX: codes.POLICY_MX,
}

_TODO: Mapping[PolicyFault, str] = {
    PolicyFault.EMPTY: "write version, mode, max_age and mx, each on a line of its own",
    PolicyFault.BOM: "save the file without a byte order mark",
    PolicyFault.BLANK_LINE: "remove the blank line, also one at the end",
    PolicyFault.LINE_END: "end each line with LF or CRLF",
    PolicyFault.WHITE_SPACE: "begin the line with the name, and put the colon directly after it",
    PolicyFault.FIELD: "write the line as name: value, or remove it; there are no comments",
    PolicyFault.UTF8: "write the line in US-ASCII, or at least in UTF-8",
    PolicyFault.VERSION_MISSING: "add the line version: STSv1",
    PolicyFault.VERSION: "write version: STSv1",
    PolicyFault.MODE_MISSING: "add the line mode: testing, or enforce, or none",
    PolicyFault.MODE: "write enforce, testing or none, in small letters",
    PolicyFault.MAX_AGE_MISSING: "add the line max_age: 604800",
    PolicyFault.MAX_AGE: "write the number of seconds in digits 0 to 9 alone",
    PolicyFault.MAX_AGE_LIMIT: "write 31557600 seconds at most",
    PolicyFault.MX_MISSING: "add a line mx: for each MX host",
    PolicyFault.MX: "write one host name on each mx line, without a final dot; *. may only stand at its beginning",
}

# What is known of senders that are more lenient: postfix-mta-sts-resolver, for one, cuts lines as Python's
# splitlines does, strips white space, skips lines that are not fields, reads max_age with int() and ignores mx.
_LENIENT: Mapping[PolicyFault, str] = {
    PolicyFault.BLANK_LINE: "lenient senders skip it, strict ones treat the whole policy as invalid",
    PolicyFault.LINE_END: "lenient senders may see two lines here, strict ones an invalid policy",
    PolicyFault.WHITE_SPACE: "lenient senders may strip it, strict ones treat the whole policy as invalid",
    PolicyFault.FIELD: "lenient senders skip the line, strict ones treat the whole policy as invalid",
    PolicyFault.MAX_AGE: "lenient senders may read a number in it, strict ones treat the whole policy as invalid",
    PolicyFault.MAX_AGE_LIMIT: "lenient senders may cut it down, strict ones treat the whole policy as invalid",
    PolicyFault.MX: "lenient senders may ignore this line alone, strict ones treat the whole policy as invalid",
}

_MX_REPEATED = "an mx is given twice, which has no effect"
_A_WEEK = "write a week (604800) or more"
_PUBLIC_SUFFIX = re.compile(r"\*\.(?:[^.]*|(?:ac|co|com|edu|gob|gov|gv|ne|net|or|org)\.[^.]{2})")
"""Anybody can register a name there: top-level domains, and those of countries like co.uk, com.au and or.at.

A short rule, since the whole list changes every week."""
_ADDRESS = re.compile(r"(?:\*\.)?(?:[0-9]+\.)*[0-9]+\Z")


def judge(reading: PolicyReading, data: bytes, subject: str = "the policy") -> tuple[Finding, ...]:
    """All findings of a policy text `data` that `mtasts_policy.read` read as `reading`; none where all is right."""
    if reading.problems and (whole := _of_the_whole(data, subject)) is not None:
        return (whole,)
    findings = [_problem(problem, subject) for problem in reading.problems]
    for name in reading.repeated:
        code, message, todo = (
            (codes.POLICY_MX_REPEATED, _MX_REPEATED, "remove one of the two")
            if name == "mx"
            else (
                codes.POLICY_REPEATED,
                f"the field {name} is given again; the first counts, though some senders take the last",
                "keep only the intended one",
            )
        )
        findings.append(Finding.of(code, subject, message, todo))
    for name in reading.unknown:
        message = f"the field {name} is unknown to the RFC; senders ignore it"
        findings.append(
            Finding.of(codes.POLICY_UNKNOWN, subject, message, "remove it unless you know its use")
        )
    if not data.isascii() and reading.policy is not None:
        message = "a field holds letters beyond US-ASCII; the grammar allows UTF-8, but some senders decode US-ASCII"
        findings.append(Finding.of(codes.POLICY_NOT_ASCII, subject, message, "write it in US-ASCII"))
    if len(data) > LONG:
        message = f"the policy has {len(data)} octets; senders may stop reading after {LONG}"
        findings.append(Finding.of(codes.POLICY_LONG, subject, message, "shorten it"))
    for pattern in reading.mx:
        if _ADDRESS.match(pattern):
            message = f"mx {pattern} is an IP address; an MX record names a host, so nothing matches it"
            findings.append(Finding.of(codes.POLICY_MX_ADDRESS, subject, message, "write the MX host's name"))
        elif reading.mode is Mode.ENFORCE and _PUBLIC_SUFFIX.fullmatch(pattern):
            message = (
                f"mx {pattern} covers every domain below {pattern[2:]}: an attacker can have a host there, so it "
                "protects nobody"
            )
            todo = "write the names of your own MX hosts"
            findings.append(Finding.of(codes.POLICY_MX_WIDE, subject, message, todo))
    if reading.max_age == 0 and reading.mode not in {None, Mode.NONE}:
        message = "max_age is 0: senders keep no policy, so an attacker only has to hide it once"
        findings.append(Finding.of(codes.POLICY_MAX_AGE_ZERO, subject, message, _A_WEEK))
    elif reading.mode is Mode.ENFORCE and reading.max_age is not None and reading.max_age < SHORT:
        message = (
            f"max_age is {reading.max_age} seconds; weeks or more are expected of a policy that is enforced"
        )
        findings.append(Finding.of(codes.POLICY_MAX_AGE_SHORT, subject, message, _A_WEEK))
    return few(findings)


_LINES = "version: STSv1 / mode: testing / max_age: 604800 / mx: <host>"
_REQUIRED = (b"version:", b"mode:", b"max_age:")


def _of_the_whole(data: bytes, subject: str) -> Finding | None:
    """A fault of the file as a whole, because of which each line would be reported as wrong."""
    head = data[:LONG]
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) or (len(head) >= 8 and head.count(0) * 3 >= len(head)):
        message = "the policy is written in UTF-16; senders read US-ASCII or UTF-8"
        todo = "save the file as plain text in UTF-8 without a byte order mark"
        return Finding.of(codes.POLICY_UTF16, subject, message, todo)
    if not {10, 13} & set(head.strip()) and all(name in head for name in _REQUIRED):
        how = r" with \n written out" if b"\\n" in head else ""
        message = (
            f"all fields of the policy stand on one line{how}: senders read one field, and an invalid one"
        )
        todo = f"give each field a line of its own that ends in a real line end: {_LINES}"
        return Finding.of(codes.POLICY_ONE_LINE, subject, message, todo)
    return None


def _problem(problem: PolicyProblem, subject: str) -> Finding:
    message, todo = problem.text, _TODO[problem.fault]
    if lenient := _LENIENT.get(problem.fault):
        message = f"{message}; {lenient}"
    if problem.fault is PolicyFault.MX:
        # The intention is sometimes clear: an A-label for a U-label, no final dot.
        wildcard = "*." if problem.value.startswith("*.") else ""
        with suppress(ValueError):
            better = wildcard + to_ascii(problem.value.removeprefix("*."))
            todo = f"write mx: {better}" if is_mx_pattern(better) else todo
    return Finding.of(_CODES[problem.fault], subject, message, todo)
