"""Seen or unseen: an answer with its time, or the reason why there is none.

Rule for every editor: what could not be seen is `Unseen`, never an empty value.
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
class Unseen:
    """Why there is no answer, as a sentence for people, and when that was found (Unix seconds)."""

    reason: str
    at: float


@dataclass(frozen=True, slots=True)
class RedisRefuses(Unseen):
    """mailcow's Redis refuses writes, so that there is no answer that can be read; `said` is Redis' own word."""

    said: str


Sight: TypeAlias = Seen[T] | Unseen

NOT_ASKED = Unseen("not asked yet", 0.0)
