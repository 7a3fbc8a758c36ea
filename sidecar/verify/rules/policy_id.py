"""Whether the id in the DNS belongs to the policy that is served; pure.

Rule for every editor: a sender looks for a new policy only when the id changes (RFC 8461 §3.1). So severity
follows what a sender does that goes on with its old one: after loosening it refuses mail that should come in.
"""

from collections.abc import Sequence

from sidecar.formats.mtasts_policy import Mode, Policy, loosenings, policy_of
from sidecar.observed import Announced
from sidecar.observed.checks import Code, Finding, Severity
from sidecar.observed.words import command
from sidecar.verify.codes import GRAVE_RECORD

_S31 = "RFC 8461 §3.1"
ID_CURRENT = Code("id-current", Severity.OK, _S31, "The id in the DNS belongs to the policy that is served.")
ID_STALE = Code(
    "id-stale",
    Severity.CRITICAL,
    _S31,
    "The policy changed and the id in the DNS did not: senders keep the old policy.",
    GRAVE_RECORD,
)
ID_DIFFERS = Code(
    "id-differs", Severity.WARNING, _S31, "The id in the DNS is not the one of the policy that is served."
)
ALL = (ID_CURRENT, ID_STALE, ID_DIFFERS)
KEPT = 10
"""Pairs of id and text remembered for a domain."""


def judge_id(
    domain: str,
    published: str,
    expected: str | None,
    served: Policy,
    announced: Sequence[Announced],
    *,
    shared: bool,
) -> Finding:
    """What the `published` id of a domain means for the policy that is `served`.

    `expected` is the id that belongs to that policy (None: not known), `announced` what was seen before.
    `shared`: the record is another domain's, reached by a CNAME; one new id there serves all.
    """
    name = f"_mta-sts.{domain}"
    if published == expected:
        return Finding.of(ID_CURRENT, name, f"the id {published} belongs to the policy that is served")
    run = _run(announced, published)
    before = policy_of(run[0].text) if run else None
    if before is not None and not before.same_as(served):
        lost = [pattern for pattern in served.mx if pattern not in before.mx]
        if before.mode is not Mode.ENFORCE:
            severity, meaning = Severity.NOTICE, "senders keep using a policy that refuses nothing"
        elif lost or any(text.startswith("mode") for text in loosenings(before, served)):
            severity, meaning = Severity.CRITICAL, "senders keep refusing what the old policy did not allow"
        else:
            severity, meaning = Severity.NOTICE, "senders keep using the old policy"
        new = f"the id {expected}" if expected else "a new id"
        return Finding.of(
            ID_STALE,
            name,
            f"the policy changed, and the id {published} did not: {meaning}",
            f"publish {new}: {command(f'records {domain}')}",
            severity=severity,
        )
    if shared or expected is None:
        return Finding.of(ID_CURRENT, name, f"the id {published} was published for the policy that is served")
    return Finding.of(
        ID_DIFFERS,
        name,
        f"the id {published} is not the one of the policy that is served ({expected})",
        f"publish the id {expected}: {command(f'records {domain}')}",
    )


def _run(announced: Sequence[Announced], published: str) -> tuple[Announced, ...]:
    """The pairs since the id last came into the DNS: a sender that saw another id before it has fetched the policy again."""
    found: list[Announced] = []
    for pair in reversed(announced):
        if pair.id != published:
            break
        found.insert(0, pair)
    return tuple(found)


def noted(before: tuple[Announced, ...], published: str, text: str, now: float) -> tuple[Announced, ...]:
    """With the id that was seen while `text` was served; the same object where that is known already."""
    if before and (before[-1].id, before[-1].text) == (published, text):
        return before
    pairs = (*before, Announced(published, text, now))
    if len(pairs) <= KEPT:
        return pairs
    # The first text of the id that is published is what senders may still hold: it is never forgotten.
    return (_run(pairs, published)[0], *pairs[-(KEPT - 1) :])
