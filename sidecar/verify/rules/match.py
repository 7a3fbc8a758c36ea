"""Whether an mx pattern covers an MX host (RFC 8461 §4.1), and if not, why.

Rule for every editor: `mtasts_policy.matches` says whether it matches; only the reason is found here.
"""

from sidecar.formats.domain_name import to_ascii
from sidecar.formats.mtasts_policy import is_mx_pattern, matches
from sidecar.formats.text import ascii_lower
from sidecar.observed.checks import Finding
from sidecar.verify import codes

_MOST = 253


def judge(pattern: str, host: str) -> tuple[Finding, ...]:
    """All findings of one `pattern` against one `host` (a final dot is allowed there); none where it matches."""
    findings: list[Finding] = []
    if not is_mx_pattern(pattern):
        message = f"{_short(pattern)} is not an mx pattern{_a_label(pattern.removeprefix('*.'))}"
        todo = "write a host name, or *. before one; it has neither a final dot nor another *"
        findings.append(Finding.of(codes.MATCH_PATTERN, "the pattern", message, todo))
    if host.startswith("*.") or not is_mx_pattern(host.removesuffix(".")):
        message = f"{_short(host)} is not the name of an MX host{_a_label(host)}"
        todo = "write the name that stands in the MX record"
        findings.append(Finding.of(codes.MATCH_HOST, "the host", message, todo))
    if findings:
        return tuple(findings)
    if matches(pattern, host):
        return ()
    wanted, name = ascii_lower(pattern), ascii_lower(host).removesuffix(".")
    parent = wanted.removeprefix("*.")
    if parent == wanted:
        why = "without a wildcard the whole name has to be the same"
    elif name == parent:
        why = "a wildcard stands for exactly one label, and there is none before it here"
    elif name.endswith(f".{parent}"):
        why = "a wildcard stands for exactly one label, and there are several here"
    else:
        why = f"it is not a name under {parent}"
    message = f"the MX host {host} does not match {pattern}: {why}"
    todo = f"add mx: {name} to the policy, if mail should go there"
    return (Finding.of(codes.MATCH_NONE, "the host", message, todo),)


def _short(text: str) -> str:
    return repr(text) if len(text) <= _MOST else f"{text[:60]!r}…"


def _a_label(name: str) -> str:
    """The A-label form, if a name is written in the form for people (RFC 8461 §3.2 wants A-labels)."""
    if name.isascii():
        return ""
    try:
        return f" (its A-label form is {to_ascii(name)})"
    except ValueError:
        return ""
