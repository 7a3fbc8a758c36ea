"""What may stand in the DNS now, by evidence: each record only when what must come before it was observed; pure.

Rules for every editor. A new domain: address, seen at every authoritative server; certificate; policy served and checked;
`_mta-sts` last. A change: the policy first, then its id (RFC 8461 §8.1). A domain that leaves: `none` with its id, then
the longest max_age, then `_mta-sts`, then the rest. If something is not known, the record stays as it is: unknown neither
permits nor removes.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import TypeAlias

from sidecar.observed import Seen
from sidecar.observed.record_sets import Key, RecordType
from sidecar.plan.publish.names import owner, serves_nothing
from sidecar.plan.publish.values import Leaving, Picture, PublishedDomain, Role

LONGEST_UNKNOWN = 604_800
"""Seconds: the max_age that is assumed where nobody knows what was served before."""


def expires_at(none_published_at: float | None, max_ages: Collection[int]) -> float | None:
    """When no sender holds a policy of a leaving domain any more: Unix time, None while the id of `none` is not out.

    `max_ages` are all that is known to have been served, and what the settings have now, in seconds.
    """
    return None if none_published_at is None else none_published_at + max((LONGEST_UNKNOWN, *max_ages))


@dataclass(frozen=True, slots=True)
class Want:
    """It should be there now; `create` false: only changed where it is there already."""

    reason: str
    create: bool = True


@dataclass(frozen=True, slots=True)
class Keep:
    """Nothing is changed now, whatever is there; `until` is a Unix time or None."""

    reason: str
    remedy: str
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Gone:
    """It should not be there any more."""

    reason: str


Stand: TypeAlias = Want | Keep | Gone

_ADDRESS = Keep(
    "not every authoritative server has the address of the policy host yet",
    "wait; if it stays so, check the zone's servers",
)
_CERTIFICATE = Keep(
    "the certificate does not have the name of the policy host yet",
    "wait for acme-mailcow's next certificate",
)
_POLICY = Keep(
    "the policy with this id was not yet seen as senders see it",
    "wait: its sender check runs soon, and the page of the domain shows the result",
)
_ID = Keep("the id of the served policy is not known yet", "wait; it is read from mailcow")


def stand(role: Role, domain: PublishedDomain, picture: Picture) -> Stand:
    """How a record set of this role should stand now."""
    if domain.leaving is None:
        return _staying_id(domain) if role is Role.ID else Want(_WHY[role])
    if role is not Role.ID:
        return _leaving_rest(domain, domain.leaving, picture)
    if domain.leaving.expires_at is not None and picture.now >= domain.leaving.expires_at:
        return Gone("the domain has left, and no sender holds a policy any more")
    if domain.leaving.none_verified is not True:
        return Keep(
            "the policy with mode none was not yet seen as senders see it",
            "wait: its sender check runs soon, and the page of the domain shows the result",
        )
    if domain.id is None:
        return _ID
    return Want("the domain leaves: its policy with mode none is announced to senders", create=False)


_WHY = {
    Role.HOST: "senders fetch the policy from this host",
    Role.REPORT: "senders send reports to this address",
}


def _staying_id(domain: PublishedDomain) -> Stand:
    evidence = domain.evidence
    if domain.id is None:
        return _ID
    for seen, otherwise in (
        (evidence.address_visible, _ADDRESS),
        (evidence.certificate, _CERTIFICATE),
        (evidence.policy_verified, _POLICY),
    ):
        if seen is not True:
            return otherwise
    return Want("the policy is served and was checked")


def _leaving_rest(domain: PublishedDomain, leaving: Leaving, picture: Picture) -> Stand:
    if leaving.expires_at is None:
        return Keep("it is not known yet until when senders hold a policy", "wait")
    if picture.now < leaving.expires_at:
        return Keep("senders may hold a policy still", "wait", leaving.expires_at)
    name = owner(Role.ID, domain.name)
    for type_ in (RecordType.TXT, RecordType.CNAME):
        found = picture.found.get(Key(name, type_))
        if not isinstance(found, Seen):
            return Keep(f"it is not known whether {name} is gone", "wait")
        if not found.value.absent:
            return Keep(f"{name} is still there and goes first", f"remove {name}, or set `dns.publish: sync`")
    return Gone("the domain has left, and no sender holds a policy any more")


def pointing_stand(domain: PublishedDomain, picture: Picture) -> Stand:
    """The CNAME of `_mta-sts` in the shared scheme: as an id, once what it points to is there."""
    stands = stand(Role.ID, domain, picture)
    base = owner(Role.ID, picture.facts.shared_base)
    there = picture.found.get(Key(base, RecordType.TXT))
    if isinstance(stands, Want) and not (isinstance(there, Seen) and not there.value.absent):
        return Keep(f"{base} is not there yet, which it points to", "wait")
    return stands


def shared_id_stand(picture: Picture) -> Stand:
    """The one id of the shared scheme: changed when every domain that points to it has its policy served and checked."""
    base = owner(Role.ID, picture.facts.shared_base)
    for domain in picture.domains:
        if domain.name == picture.facts.shared_base:
            # The shared id is this domain's own one as well: nothing is announced before its policy works.
            if domain.leaving is not None:
                return Keep(
                    f"{domain.name} leaves, and the id of all domains stands there",
                    "set `dns.scheme: per-domain` first",
                )
            if isinstance(own := _staying_id(domain), Keep):
                return own
            continue
        if serves_nothing(domain):
            continue
        found = picture.found.get(Key(owner(Role.ID, domain.name), RecordType.CNAME))
        if not isinstance(found, Seen):
            return Keep(f"it is not known whether {domain.name} points to {base}", "wait")
        if domain.id is None:
            return _ID
        checked = domain.leaving.none_verified if domain.leaving else domain.evidence.policy_verified
        if base in found.value.values and checked is not True:
            return Keep(f"the policy of {domain.name} was not yet seen as senders see it", _POLICY.remedy)
    if not any(domain.evidence.policy_verified for domain in picture.domains):
        return _POLICY
    return Want("the policies of all domains are served and were checked")
