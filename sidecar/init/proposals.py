"""What `init` offers to change, one step at a time, each based on the steps before, and shown as a diff; pure.

Rules for every editor: a step is offered only if it helps, and never if it would give the sidecar's rights to somebody
else. What cannot be done is a `BlockedProposal`, which says what a person can do instead. A diff shows no secret:
mailcow.conf is full of passwords, so only changed lines are shown, and only the value of the allow list. For an override
file, the lines around an insertion are shown, with everything that may be a secret masked; it is better to mask too much.
No control character reaches the terminal.
"""

import difflib
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TypeAlias

from sidecar.formats.dotenv import read
from sidecar.init.access import KeySource, allow, allow_list_counts, commented_default, key_source, set_value
from sidecar.init.findings import ADDRESS_TAKEN, CLONE_MISSING, LAST_MISSING
from sidecar.init.look import Directory
from sidecar.init.override import SERVICE, Merged, Present, RefusedOverride, merge
from sidecar.init.services import Services, differences
from sidecar.mailcow.conf import NAME as CONF
from sidecar.mailcow.database import Database
from sidecar.plan.access import ALLOW_FROM, API_KEY, OWN_KEY, conf_allows, follows_conf, given

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


PAGE_KEY_QUESTION = (
    "Was a read-write API key created in mailcow's page (System > Configuration > Access > API)? One in mailcow.conf "
    "replaces it at the next start of php-fpm-mailcow, and whatever uses that key now stops working."
)


@dataclass(frozen=True, slots=True)
class Proposal:
    """A change that needs consent: `after` is the file's new content, `diff` shows it without secrets."""

    why: str
    question: str
    diff: str
    after: bytes


@dataclass(frozen=True, slots=True)
class BlockedProposal:
    """A change that is needed and cannot be made."""

    reason: str
    todo: str


@dataclass(frozen=True, slots=True)
class Settled:
    """Nothing has to be done; `message` is for the person, or empty."""

    message: str = ""


Step: TypeAlias = Proposal | BlockedProposal | Settled


def needs_key(directory: Directory) -> bool:
    """Whether the sidecar has no API key: then first ask about a key created in mailcow's page."""
    return key_source(directory.conf.values, directory.variables) is KeySource.NONE


def page_key_instructions(directory: Directory) -> str:
    """How the sidecar gets a key that was created in mailcow's page."""
    return (
        f"Then let the sidecar use that key: add the line {OWN_KEY}=<the key> to mailcow.conf, where the "
        f"service reads it, and add {directory.address} to the key's allowed addresses in mailcow's page. "
        f"{API_KEY} in mailcow.conf is not changed."
    )


def propose_key(directory: Directory, key: str) -> Step:
    """`key` as API_KEY of mailcow.conf."""
    by_hand = (
        f"set {API_KEY} there yourself, to a random value of a-z, A-Z, 0-9 and -, and add {directory.address} "
        f"to {ALLOW_FROM}"
    )
    if directory.conf.locked is not None:
        return BlockedProposal(f"{API_KEY} cannot be set in mailcow.conf: {directory.conf.locked}", by_hand)
    before = directory.conf_data
    try:
        after = set_value(before, API_KEY, key)
    except ValueError as error:
        return BlockedProposal(f"{API_KEY} was not set in mailcow.conf: {error}", by_hand)
    return Proposal(
        "The sidecar reads the domains, and on mailcow 2025-09 and later sets policies, through mailcow's API. "
        "A new random key, not shown here:",
        f"Set {API_KEY} in mailcow.conf?",
        conf_diff(CONF, before, after),
        after,
    )


def propose_allow(directory: Directory, conf: bytes, stops: Collection[str]) -> Step:
    """The sidecar's address in API_ALLOW_FROM; `conf` is mailcow.conf as the step before left it."""
    values, address = read(conf), directory.address
    if not allow_list_counts(values, directory.variables) or conf_allows(values, address):
        return Settled()
    if Database.known(directory.conf) and not follows_conf(values):
        # A first address would make php-fpm-mailcow replace the key of mailcow's page; the sidecar does not need it.
        return Settled()
    if ADDRESS_TAKEN in stops:
        return Settled(f"{ALLOW_FROM} is not changed while another service has {address}.")
    by_hand = f"add {address} to {ALLOW_FROM} there yourself; entries are separated by commas"
    if directory.conf.locked is not None:
        return BlockedProposal(
            f"{ALLOW_FROM} cannot be changed in mailcow.conf: {directory.conf.locked}", by_hand
        )
    try:
        after = allow(conf, address)
    except ValueError as error:
        return BlockedProposal(f"{ALLOW_FROM} was not changed in mailcow.conf: {error}", by_hand)
    why = f"mailcow accepts that key only from addresses in {ALLOW_FROM}; the sidecar's fixed address is {address}."
    if not given(values, ALLOW_FROM) and commented_default(conf):
        why += " The entries of mailcow's commented line are added, too."
    return Proposal(why, f"Let {address} use the API?", conf_diff(CONF, conf, after), after)


def propose_service(directory: Directory, template: bytes, stops: Collection[str]) -> Step:
    """The service in the override file."""
    override = directory.override
    merged = merge(override.data, template)
    match merged:
        case RefusedOverride(reason=reason, todo=todo):
            return BlockedProposal(f"the service was not added to {override.name}: {reason}", todo)
        case Present():
            text = f"{override.name} already has the service {SERVICE}"
            theirs = directory.overriding.by_name.get(SERVICE, {})
            if not (changed := differences(Services.read(template).by_name[SERVICE], theirs)):
                return Settled(f"{text}.")
            return Settled(f"{text}; it differs from ours in {', '.join(changed)}, and is left as it is.")
        case Merged():
            pass
    if override.locked is not None:
        return BlockedProposal(f"{override.name} cannot be written: {override.locked}", "then run init again")
    if "services" not in merged.sections:
        why = f"The service {SERVICE} is there, the volume for its state is not."
    elif {ADDRESS_TAKEN, CLONE_MISSING, LAST_MISSING}.isdisjoint(stops):
        why = f"{SERVICE} is one more service of mailcow's Compose project."
    else:
        return BlockedProposal(f"the service is not added to {override.name} before that is done", "")
    if override.data is None:
        question = f"Create {override.name} with it?"
    else:
        question = f"Add it to {override.name}? What is there stays as it is."
    return Proposal(why, question, override_diff(override.name, override.data, merged.data), merged.data)
