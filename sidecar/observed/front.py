"""What answers for this mailcow's names at their public addresses: a plain value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sidecar.observed import Certificate


@dataclass(frozen=True, slots=True)
class Front:
    """What was found on port 443 of `address` for a name, asked for its policy."""

    address: str
    certificate: Certificate
    """The leaf that it presented, whatever that is worth."""
    policy: bool
    """Whether it answered with 200 and text/plain."""
    mark: str = ""
    """What it calls itself (the headers Via and Server), as far as it can be printed."""
