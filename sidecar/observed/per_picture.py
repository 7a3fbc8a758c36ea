"""Remembers what follows from a picture: the rules of one pass ask the same questions about the same one; pure."""

from collections.abc import Callable
from functools import wraps
from typing import TypeVar

from sidecar.observed import Observed

T = TypeVar("T")
_MOST = 2
"""Pictures: the one of the running pass, and the one that the page shows meanwhile."""


def per_picture(worked_out: Callable[[Observed], T]) -> Callable[[Observed], T]:
    """`worked_out`, called once for each of the last pictures. A picture is never changed, so the answer stays right."""
    known: tuple[tuple[Observed, T], ...] = ()

    @wraps(worked_out)
    def answered(observed: Observed) -> T:
        nonlocal known
        for picture, answer in known:
            if picture is observed:
                return answer
        answer = worked_out(observed)
        known = ((observed, answer), *known[: _MOST - 1])
        return answer

    return answered
