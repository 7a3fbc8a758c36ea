"""Access to mailcow's API as its database tells it: the keys, and the sidecar's own address; values only.

Rule for every editor: a key is a `SecretStr`. Nothing that is made of these values for people shows one.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # some commands start in a moment, and pydantic takes longer than that to load
    from pydantic import SecretStr


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One row of mailcow's table `api`; `allowed` is its allow list as it is stored."""

    key: "SecretStr"
    writes: bool
    """Whether it is the read-write key; mailcow's page knows one of each kind."""
    active: bool
    any_address: bool
    """Whether a person switched the address check off."""
    allowed: str


@dataclass(frozen=True, slots=True)
class Access:
    """All keys, and the IPv4 address from which the sidecar asks mailcow."""

    keys: tuple[ApiKey, ...]
    address: str
