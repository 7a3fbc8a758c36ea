"""What was seen, or why not: an answer and no answer are two types, so that neither is mistaken for the other."""

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


Sight: TypeAlias = Seen[T] | Unseen

NOT_ASKED = Unseen("not asked yet", 0.0)
