"""The API's keys and allow list in mailcow.conf: what is there, and how it becomes enough for the sidecar; pure.

mailcow reads these three keys when php-fpm-mailcow starts. Rules for every editor: no other key of the file ever
changes, which `envfile` proves; an address once allowed stays so; no sentence holds a key.
"""

import ipaddress
import re
import secrets
import string
from collections.abc import Mapping
from enum import Enum, auto

from sidecar.formats.dotenv import edit_list, has_spaces, items, read

API_KEY = "API_KEY"
READ_ONLY = "API_KEY_READ_ONLY"
ALLOW_FROM = "API_ALLOW_FROM"
OWN_KEY = "MTA_STS_API_KEY"

_UNSET = "invalid"
"""What mailcow's compose file says for a key without a value: php-fpm-mailcow takes it for none."""
_KEY = re.compile(r"[A-Za-z0-9-]+")
_RANGE = re.compile(r"[0-9.]+(/[0-9]{1,2})?")
"""mailcow drops a netmask that is written out, and an entry with a space in front of it."""
_COMMENTED = re.compile(rf"^[ \t]*#[ \t]*{ALLOW_FROM}=(.*)$", re.MULTILINE)


class KeySource(Enum):
    """Where the sidecar will have its API key from."""

    OWN = auto()
    """MTA_STS_API_KEY, in mailcow.conf or in the service's environment."""
    CONF = auto()
    """API_KEY of mailcow.conf."""
    NONE = auto()


def given(values: Mapping[str, str], key: str) -> str:
    """The value of an API setting as mailcow takes it; empty for none."""
    value = values.get(key, "").strip()
    return "" if value == _UNSET else value


def key_source(values: Mapping[str, str], variables: Mapping[str, str]) -> KeySource:
    """`variables` are those that the service in the override file has a value for."""
    if variables.get(OWN_KEY) or values.get(OWN_KEY, "").strip():
        return KeySource.OWN
    return KeySource.CONF if given(values, API_KEY) else KeySource.NONE


def allow_list_counts(values: Mapping[str, str], variables: Mapping[str, str]) -> bool:
    """Whether API_ALLOW_FROM is the allow list of the sidecar's key: mailcow gives it to keys of the file alone."""
    own = variables.get(OWN_KEY) or values.get(OWN_KEY, "").strip()
    keys = {given(values, API_KEY), given(values, READ_ONLY)} - {""}
    return own in keys if own else bool(given(values, API_KEY))


def can_match(key: str) -> bool:
    """mailcow takes all other characters out of a key that a client sends."""
    return bool(_KEY.fullmatch(key))


def new_key() -> str:
    """A key in the form of those that mailcow's page makes, from the system's source of random bytes."""
    signs = string.ascii_uppercase + string.digits
    return "-".join("".join(secrets.choice(signs) for _ in range(6)) for _ in range(5))


def set_value(data: bytes, key: str, value: str) -> bytes:
    """`data` with this value for `key`: in the last place that gives one, else in a new line at the end.

    Every other byte stays; a commented line is a comment. Raises ValueError, a sentence for a person, for a
    file or a value where that cannot be done safely.
    """
    edited = edit_list(data, key, add=[value], remove=items(read(data).get(key, "")))
    if read(edited).get(key) != value:
        raise ValueError(f"{key} is not written so that it can be set safely: give it a line of its own")
    return edited


def allows(values: Mapping[str, str], address: str) -> bool:
    """Whether API_ALLOW_FROM lets this IPv4 address in, as mailcow reads it: split on commas alone."""
    listed = given(values, ALLOW_FROM)
    return not has_spaces(listed) and any(_covers(entry, address) for entry in listed.split(","))


def allow(data: bytes, address: str) -> bytes:
    """`data` with `address` added to API_ALLOW_FROM; to the commented default's entries where it has no value.

    Raises ValueError, a sentence for a person, where that cannot be done safely.
    """
    values = read(data)
    if allows(values, address):
        return data
    if given(values, ALLOW_FROM):
        # The address may be there and not count, for it has a space in front of it: so it is written anew.
        data, added = edit_list(data, ALLOW_FROM, add=(), remove=[address]), [address]
    else:
        added = [*commented_default(data), address]
    edited = edit_list(data, ALLOW_FROM, add=added, remove=[_UNSET])
    if not allows(read(edited), address):
        raise ValueError(f"{ALLOW_FROM} is not written so that it can be edited safely: make it a plain list")
    return edited


def commented_default(data: bytes) -> tuple[str, ...]:
    """The IPv4 addresses of the line that mailcow has commented out."""
    found = _COMMENTED.findall(data.decode("utf-8", "replace"))
    return tuple(entry for entry in items(found[-1]) if _is_address(entry)) if found else ()


def _is_address(entry: str) -> bool:
    try:
        ipaddress.IPv4Address(entry)
    except ValueError:
        return False
    return True


def _covers(entry: str, address: str) -> bool:
    if not _RANGE.fullmatch(entry):
        return False
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return False
