"""What senders really hold, by the texts that were really served: a model that shares nothing with the sidecar's own.

RFC 8461: a sender keeps a policy for its max_age after it fetched it (§3.2, §3.3, §5.1), so that one that was served
until a moment may be applied for so long after it. All times here are seconds that really passed.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from sidecar.formats.mtasts_policy import Mode, Policy, matches, parse

ASSUMED_S = 604_800.0
"""Of what was served before a state was lost nobody can know more than the usual max_age."""


def read(text: str | None) -> Policy | None:
    """The policy that a sender takes from a text."""
    found = None if text is None else parse(text.encode("utf-8", "surrogateescape"))
    return found if isinstance(found, Policy) else None


@dataclass(frozen=True)
class ServedSpan:
    """A text that a name was served, from `began` until `ended` (None: still)."""

    text: str | None
    began: float
    ended: float | None = None
    known: bool = False
    """Whether a pass saw it, or made it."""
    at_most: float = float("inf")
    """For how long it counts at most: of the time before the state was lost little is known."""
    mx: frozenset[str] | None = None
    """The patterns of which anything can be known; None: all."""

    @property
    def policy(self) -> Policy | None:
        """As a sender reads it."""
        return read(self.text)


@dataclass
class Senders:
    """All that senders were answered, by the name that they asked for."""

    answered: dict[str, list[ServedSpan]] = field(default_factory=dict)
    hosts: dict[str, dict[str, float]] = field(default_factory=dict)
    """When a pass last saw a host as the MX of a name."""
    forgotten: set[str] = field(default_factory=set)
    """Names that no pass saw since the state was lost."""

    def serve(self, name: str, text: str | None, now: float) -> None:
        """From now on this name is served `text`."""
        spans = self.answered.setdefault(name, [])
        if spans and spans[-1].ended is None:
            if spans[-1].text == text:
                return
            spans[-1] = replace(spans[-1], ended=now)
        spans.append(ServedSpan(text, now))

    def seen(self, name: str) -> None:
        """The sidecar looked at what the name is served now."""
        spans = self.answered[name]
        if name in self.forgotten:
            self.forgotten.discard(name)
            now = spans[-1].policy
            mx = frozenset(now.mx) if now else frozenset()
            spans[:-1] = (
                [replace(span, at_most=ASSUMED_S, mx=mx) for span in spans[:-1] if span.known]
                if spans[-1].text is not None
                else []
            )
        spans[-1] = replace(spans[-1], known=True)

    def lost(self) -> None:
        """The sidecar's state was lost."""
        self.forgotten |= self.answered.keys()

    def seen_hosts(self, name: str, hosts: tuple[str, ...], now: float) -> None:
        """The sidecar saw these MX hosts of a name."""
        self.hosts.setdefault(name, {}).update(dict.fromkeys(hosts, now))

    def held(self, name: str, now: float) -> Iterator[tuple[Policy, float]]:
        """The policies in enforce that some sender may apply for this name, each with its max_age."""
        for span in self.answered.get(name, ()):
            policy = span.policy
            if policy is None or policy.mode is not Mode.ENFORCE or not span.known:
                continue
            max_age = min(float(policy.max_age), span.at_most)
            if span.ended is None or now - span.ended < max_age:
                mx = tuple(p for p in policy.mx if span.mx is None or p in span.mx)
                yield replace(policy, mx=mx), max_age

    def matched_ago(self, name: str, pattern: str, now: float) -> float:
        """Seconds since an MX of the name was last seen that the pattern matches; infinite where there was none."""
        times = [at for host, at in self.hosts.get(name, {}).items() if matches(pattern, host)]
        return now - max(times, default=float("-inf"))
