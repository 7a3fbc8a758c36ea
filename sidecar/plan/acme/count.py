"""How many names the server's certificate would have; pure.

Rule for every editor: a name counts if it is in the certificate or known to pass acme-mailcow's check. An unknown
name is looked up and decided afterwards: it neither counts permanently nor is it treated as absent.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from sidecar.observed import Fact, FactKind, Kind, Observed, Question, RefusedFor
from sidecar.plan.acme.addresses import address_trouble
from sidecar.plan.acme.names import Scene
from sidecar.plan.acme.script import MOST_NAMES
from sidecar.plan.actions import Hold

ASKED_AT_ONCE = 400
"""Names that are looked up in one pass to count them."""
FORGIVEN_AFTER_S = 86_400
"""A name whose lookups have failed for this long no longer counts as one that may pass."""


@dataclass(frozen=True, slots=True)
class Count:
    """How many names are certain to be in an order, and the names for which that is not known."""

    certain: int
    unknown: tuple[str, ...] = ()

    @property
    def most(self) -> int:
        """The number if all unknown names pass."""
        return self.certain + len(self.unknown)

    def questions(self) -> frozenset[Question]:
        """The questions whose answers would decide it; none if more knowledge would not help."""
        if self.most <= MOST_NAMES or self.certain > MOST_NAMES:
            return frozenset()
        return frozenset(Question(Kind.ADDRESSES, name) for name in self.unknown[:ASKED_AT_ONCE])

    def trouble(self, label: str = "") -> Hold | None:
        """Why a certificate with these names must not be ordered; None if it may."""
        begin = f"with {label} the" if label else "the"
        if self.certain > MOST_NAMES:
            return Hold(
                f"{begin} certificate would have {self.certain} names, and Let's Encrypt accepts at most {MOST_NAMES}",
                "set ENABLE_SSL_SNI=y in mailcow.conf for a certificate per domain",
            )
        if self.most > MOST_NAMES:
            return Hold(
                f"{begin} certificate could have {self.most} names, and Let's Encrypt accepts at most {MOST_NAMES}: "
                f"{len(self.unknown)} of them are being looked up"
            )
        return None


def count(names: Iterable[str], scene: Scene, observed: Observed, *, hoped_for: bool = False) -> Count:
    """`hoped_for`: policy hosts count before they resolve, because their records are about to be published.

    A name that acme-mailcow left out of its last order then does not delay the count. A later restart looks it up again.
    """
    held = scene.certificates.server.names if scene.certificates.server else frozenset()
    ways, dns = scene.ways, observed.dns
    certain = 0
    unknown: list[str] = []
    for name in names:
        if name in held or (hoped_for and name.startswith("mta-sts.")):
            certain += 1
            continue
        trouble = address_trouble(name, ways, dns)
        if trouble is None:
            certain += 1
        elif trouble.unknown:
            said = ways.last_run.refusal(name) if hoped_for and ways.last_run else None
            refused = said is not None and said.why not in {RefusedFor.POLICY, RefusedFor.ORDER}
            if not refused and observed.memory.true_for(Fact(FactKind.FAILING, name)) <= FORGIVEN_AFTER_S:
                unknown.append(name)
    # The oldest questions come first: names that never answer do not delay others.
    return Count(certain, tuple(sorted(unknown, key=lambda name: (dns.addresses_of(name).at, name))))
