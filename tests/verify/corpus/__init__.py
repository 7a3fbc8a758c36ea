"""Texts, right and wrong, each with what a strict sender makes of it and why; written from the RFCs' grammars.

One table a kind of text. A case is `good` or `bad`, then the octets, the reason, and the codes expected of it, all of
them; a good one may have codes as well: warnings and notices.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Case:
    data: bytes
    valid: bool
    why: str
    codes: tuple[str, ...]
    mode: str | None = None
    max_age: int | None = None
    mx: tuple[str, ...] = ()
    id: str | None = None
    rua: tuple[str, ...] = ()
