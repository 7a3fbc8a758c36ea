"""What `init` offers to change, one step at a time, each based on the steps before; pure.

Rules for every editor: a step is offered only if it helps, and never if it would give the sidecar's rights to somebody
else. What cannot be done is a `BlockedProposal`, which says what a person can do instead.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import TypeAlias

from sidecar.formats.dotenv import read
from sidecar.init.access import KeySource, allow, allow_list_counts, commented_default, key_source, set_value
from sidecar.init.diff import conf_diff, override_diff
from sidecar.init.findings import ADDRESS_TAKEN, CLONE_MISSING, LAST_MISSING
from sidecar.init.look import Directory
from sidecar.init.override import SERVICE, Merged, Present, RefusedOverride, merge
from sidecar.init.services import Services, differences
from sidecar.mailcow.conf import NAME as CONF
from sidecar.mailcow.database import Database
from sidecar.plan.access import ALLOW_FROM, API_KEY, OWN_KEY, conf_allows, follows_conf, given

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
