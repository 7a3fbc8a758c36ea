"""The API's keys and allow list in mailcow.conf: what is there, and the edits that give the sidecar access; pure.

mailcow reads these three keys when php-fpm-mailcow starts. Rules for every editor: no other key of the file ever
changes, which `formats.dotenv` proves; an address once allowed stays allowed; no sentence contains a key.
"""

import ipaddress
import re
from collections.abc import Mapping
from contextlib import suppress
from enum import Enum, auto

from sidecar.formats.dotenv import edit_list, items, read
from sidecar.plan.access import (
    ALLOW_FROM,
    API_KEY,
    LONGEST_LIST,
    OWN_KEY,
    READ_ONLY,
    UNSET,
    conf_allows,
    fits,
    given,
)

_KEY = re.compile(r"[A-Za-z0-9-]+")
_COMMENTED = re.compile(rf"^[ \t]*#[ \t]*{ALLOW_FROM}=(.*)$", re.MULTILINE)


class KeySource(Enum):
    """Where the sidecar will get its API key from."""

    OWN = auto()
    """MTA_STS_API_KEY, in mailcow.conf or in the service's environment."""
    CONF = auto()
    """API_KEY of mailcow.conf."""
    NONE = auto()


def key_source(values: Mapping[str, str], variables: Mapping[str, str]) -> KeySource:
    """`variables` are those that the service in the override file has a value for."""
    if variables.get(OWN_KEY) or values.get(OWN_KEY, "").strip():
        return KeySource.OWN
    return KeySource.CONF if given(values, API_KEY) else KeySource.NONE


def allow_list_counts(values: Mapping[str, str], variables: Mapping[str, str]) -> bool:
    """Whether API_ALLOW_FROM is the allow list of the sidecar's key: mailcow uses it only for keys from mailcow.conf."""
    own = variables.get(OWN_KEY) or values.get(OWN_KEY, "").strip()
    keys = {given(values, API_KEY), given(values, READ_ONLY)} - {""}
    return own in keys if own else bool(given(values, API_KEY))


def can_match(key: str) -> bool:
    """mailcow removes all other characters from a key that a client sends."""
    return bool(_KEY.fullmatch(key))


def set_value(data: bytes, key: str, value: str) -> bytes:
    """`data` with this value for `key`: in the last line that sets it, else in a new line at the end.

    Every other byte stays; a commented line is a comment. Raises ValueError, a sentence for a person, if that cannot be
    done safely.
    """
    edited = edit_list(data, key, add=[value], remove=items(read(data).get(key, "")))
    if read(edited).get(key) != value:
        raise ValueError(f"{key} is not written so that it can be set safely: put it on its own line")
    return edited


def allow(data: bytes, address: str) -> bytes:
    """`data` with `address` added to API_ALLOW_FROM; to the commented default's entries if it has no value.

    Raises ValueError, a sentence for a person, if that cannot be done safely.
    """
    values = read(data)
    if conf_allows(values, address):
        return data
    added = [address] if given(values, ALLOW_FROM) else [*commented_default(data), address]
    edited = edit_list(data, ALLOW_FROM, add=added, remove=[UNSET], strict=True)
    if not conf_allows(read(edited), address):
        raise ValueError(f"{ALLOW_FROM} is not written so that it can be edited safely: make it a plain list")
    if not fits(given(read(edited), ALLOW_FROM)):
        raise ValueError(
            f"{ALLOW_FROM} would have more than the {LONGEST_LIST} characters that mailcow's database takes: "
            "replace entries by a network that contains them"
        )
    return edited


def commented_default(data: bytes) -> tuple[str, ...]:
    """The IPv4 addresses in the line that mailcow ships commented out."""
    found = _COMMENTED.findall(data.decode("utf-8", "replace"))
    addresses: list[str] = []
    for entry in items(found[-1]) if found else ():
        with suppress(ValueError):
            ipaddress.IPv4Address(entry)
            addresses.append(entry)
    return tuple(addresses)
