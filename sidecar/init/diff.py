"""A change as a unified diff for a terminal, without a secret in it; pure.

Rules for every editor. mailcow.conf is full of passwords: only changed lines are shown, and only the
value of the allow list. For an override file, the lines around an insertion are shown, with everything that may be a
secret masked; it is better to mask too much. No control character reaches the terminal.
"""

import difflib
import re
from collections.abc import Callable

from sidecar.plan.access import ALLOW_FROM

MASK = "****"

_CONF_LINE = re.compile(r"(?P<before>[ \t]*(?:export[ \t]+)?(?P<key>[A-Za-z_][A-Za-z0-9_]*)[ \t]*[=:][ \t]*)")
# An environment variable, or any key that sounds like a secret; but not a reference to a variable.
_SECRET_LINE = re.compile(
    r"(?P<before>.*?(?:(?<![\w{$])[A-Z][A-Z0-9_]*|(?i:pass|secret|token|key|pwd|credential|auth|bearer|private)[\w.-]*)"
    r"[\"']?[ \t]*[=: ][ \t]*)\S.*"
)
_USER_INFO = re.compile(r"(?<=://)[^/\s]*@")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def conf_diff(name: str, before: bytes, after: bytes) -> str:
    """How mailcow.conf changes; only the changed lines."""
    return _diff(name, before, after, context=0, context_mask=_conf_masked, change_mask=_conf_masked)


def override_diff(name: str, before: bytes | None, after: bytes) -> str:
    """How an override file changes, with three lines around; `before` is None for a new file."""
    return _diff(name, before, after, context=3, context_mask=_yaml_masked, change_mask=str)


def _diff(
    name: str,
    before: bytes | None,
    after: bytes,
    *,
    context: int,
    context_mask: Callable[[str], str],
    change_mask: Callable[[str], str],
) -> str:
    lines = difflib.unified_diff(
        _lines(before or b""),
        _lines(after),
        fromfile="/dev/null" if before is None else f"a/{name}",
        tofile=f"b/{name}",
        n=context,
        lineterm="",
    )
    masked: list[str] = []
    for number, line in enumerate(lines):
        text = _CONTROL.sub("?", line)
        if number >= 2 and not text.startswith("@@"):  # not a heading
            mask = context_mask if text.startswith(" ") else change_mask
            text = text[:1] + mask(text[1:])
        masked.append(text)
    return "\n".join(masked)


def _lines(data: bytes) -> list[str]:
    # Without line ends: for a person, a last line that gets one has not changed.
    text = data.decode("utf-8", "replace").removesuffix("\n")
    return [line.removesuffix("\r") for line in text.split("\n")] if data else []


def _conf_masked(line: str) -> str:
    found = _CONF_LINE.match(line)
    if found is None:
        return MASK if line.strip() else line
    if found["key"] == ALLOW_FROM or not line[found.end() :].strip():
        return line
    return found["before"] + MASK


def _yaml_masked(line: str) -> str:
    line = _USER_INFO.sub(f"{MASK}@", line)
    found = _SECRET_LINE.fullmatch(line)
    return found["before"] + MASK if found else line
