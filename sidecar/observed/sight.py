"""Seen or unseen: an answer with its time, or the reason why there is none.

Rule for every editor: a part that could not be observed is `Unseen`, never an empty value.
"""

from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Seen(Generic[T]):
    """An answer, and when it was given (Unix seconds)."""

    value: T
    at: float


@dataclass(frozen=True, slots=True)
class Validated(Seen[T]):
    """An answer of the DNS that the resolver validated with DNSSEC (AD)."""


@dataclass(frozen=True, slots=True)
class Unseen:
    """Why there is no answer, as a sentence for people, and the time of the attempt (Unix seconds)."""

    reason: str
    at: float


@dataclass(frozen=True, slots=True)
class RedisRefuses(Unseen):
    """mailcow's Redis refuses writes, so that the answer cannot be read; `said` is Redis' own message."""

    said: str


Sight: TypeAlias = Seen[T] | Unseen

NOT_ASKED = Unseen("not asked yet", 0.0)
