"""The policy id (RFC 8461 §3.1): which one belongs to a served text, and which one a TXT record has; pure.

Rule for every editor: an id belongs to a text, never to a domain or a time. On the native generation mailcow
sets it, and it is never invented here. A sender fetches a policy again only when the id in the DNS changes.
"""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import replace

from sidecar.formats.mtasts_policy import Policy, policy_of
from sidecar.formats.mtasts_record import VERSION, StsRecord, parse
from sidecar.formats.txt_fields import begins
from sidecar.observed import (
    Backend,
    Mailcow,
    Observed,
    PolicyFile,
    PolicyId,
    PolicyMemory,
    Seen,
    Served,
    Sight,
    Unseen,
)
from sidecar.observed.mailcow import policy_seen
from sidecar.plan.desired_policies.policy import managed
from sidecar.settings import Settings

DERIVED_LENGTH = 20
"""Hex digits; the grammar allows 32."""


def derived(text: bytes) -> str:
    """File generation: the id of the policy file with these octets, so that it needs no memory."""
    return hashlib.sha256(text).hexdigest()[:DERIVED_LENGTH]


def record_of(policy_id: str) -> str:
    """The TXT record with this id for senders (RFC 8461 §3.1), spelled exactly as mailcow's own DNS page accepts it."""
    return f"v=STSv1;id={policy_id};"


def published(strings: Collection[str]) -> str | None:
    """The id that senders take from the TXT records of `_mta-sts.<domain>`, given as `observed.Txt` has them.

    None unless exactly one valid record begins with `v=STSv1;` (RFC 8461 §3.1): otherwise a sender finds
    no MTA-STS at all.
    """
    records = [text.encode("iso8859-1", "replace") for text in strings]
    candidates = [data for data in records if begins(data, VERSION)]
    found = parse(candidates[0]) if len(candidates) == 1 else None
    return found.id if isinstance(found, StsRecord) else None


# --- the text that is served, and its id -----------------------------------------------------------------


def served_to(observed: Observed, domain: str, target: str | None = None) -> Sight[Served]:
    """What senders get for a domain, on either generation; `target` is given for an alias domain.

    A text that is not a policy is returned, too. A file that nginx has no permission to read is not served.
    """
    match observed.mailcow, observed.file:
        case Unseen() as unseen, _:
            return unseen
        case Seen(Mailcow(backend=Backend.FILE)), Seen(PolicyFile(data=bytes(data), readable=True), at):
            return Seen(Served(data.decode("utf-8", "surrogateescape")), at)
        case Seen(Mailcow(backend=Backend.FILE)), Seen(_, at):
            return Seen(Served(None), at)
        case Seen(Mailcow(backend=Backend.FILE)), Unseen() as unseen:
            return unseen
        case Seen(mailcow, at), _:
            if target is not None and not mailcow.serves_alias_domains:
                return Seen(Served(None), at)
            return observed.served_of(target or domain)


def policies_served(observed: Observed, settings: Settings) -> dict[str, Policy]:
    """The policy that is served for each managed domain that receives mail, by domain."""
    if not isinstance(observed.domains, Seen):
        return {}
    found: dict[str, Policy] = {}
    for domain in managed(observed.domains.value, settings):
        if domain.receives and (policy := policy_seen(served_to(observed, domain.name))) is not None:
            found[domain.name] = policy
    return found


def current(observed: Observed, domain: str, target: str | None = None) -> str | None:
    """The id of the policy that is served now; None if none is served, or its id is not known (yet)."""
    served = served_to(observed, domain, target)
    if not isinstance(served, Seen) or served.value.text is None or policy_of(served.value.text) is None:
        return None
    text = served.value.text
    if observed.one_file:
        return derived(text.encode("utf-8", "surrogateescape"))
    memory = observed.memory.policy(target or domain)
    return memory.id if memory.id_text == text else None


def unread(observed: Observed, domains: Collection[str] | None = None) -> Mapping[str, str]:
    """Native: the texts served whose id is not remembered, by domain; of `domains` (None: of all)."""
    return {
        name: sight.value.text
        for name, sight in observed.served.items()
        if domains is None or name in domains
        if isinstance(sight, Seen) and sight.value.text is not None
        if observed.memory.policy(name).id_text != sight.value.text
    }


def with_id(memory: PolicyMemory, found: PolicyId) -> PolicyMemory:
    """The memory with an id that was read."""
    if (memory.id_text, memory.id) == (found.text, found.id):
        return memory
    return replace(memory, id_text=found.text, id=found.id)


def with_ids(observed: Observed, ids: Mapping[str, PolicyId]) -> Observed:
    """The same picture, with ids that were read since."""
    memory = observed.memory
    known = {name: with_id(memory.policy(name), found) for name, found in ids.items()}
    return replace(observed, memory=replace(memory, policies={**memory.policies, **known}))
