"""The names of the record sets, and what should stand under them; pure.

The TXT of an id has the form that mailcow's own DNS page compares letter by letter (valid by RFC 8461 §3.1).
"""

import hashlib
import sys
from collections.abc import Iterable
from functools import lru_cache

from sidecar.dns.publish.port import within
from sidecar.formats import mtasts_record, tlsrpt_record
from sidecar.formats.domain_name import policy_host
from sidecar.formats.txt_fields import begins
from sidecar.observed import Seen
from sidecar.observed.record_sets import Key, RecordSet, RecordType, Values
from sidecar.plan.policy_ids import record_of
from sidecar.plan.publish.values import Facts, Picture, PublishedDomain, Role
from sidecar.settings.dns import HostForm, Scheme

MANAGED = {
    Role.HOST: (RecordType.CNAME, RecordType.A, RecordType.AAAA),
    Role.ID: (RecordType.CNAME, RecordType.TXT),
    Role.REPORT: (RecordType.CNAME, RecordType.TXT),
}
"""The types that are ours to decide on at the name of each role."""
ORDER = (Role.HOST, Role.REPORT, Role.ID)
"""The order in which a domain is set up; it leaves in the order ID first."""
_SHARED_ID_LENGTH = 20
PREFIXES = {Role.HOST: policy_host("").rstrip("."), Role.ID: "_mta-sts", Role.REPORT: "_smtp._tls"}
"""What stands before the domain in the name of each role."""


def owner(role: Role, domain: str) -> str:
    """The name under which the record sets of a role stand."""
    return sys.intern(f"{PREFIXES[role]}.{domain}")  # thousands are kept, each at several places


def names(domains: Iterable[str], facts: Facts) -> tuple[str, ...]:
    """All names that are read in the DNS, each once."""
    base = facts.shared_base if facts.scheme is Scheme.SHARED else ""
    return _names(tuple(domains), facts.hostname, base)


@lru_cache(maxsize=4)  # a pass asks for the same ones as the one before
def _names(domains: tuple[str, ...], hostname: str, base: str) -> tuple[str, ...]:
    found = {owner(role, domain) for domain in domains for role in Role}
    if base:
        found |= {owner(Role.ID, base), owner(Role.REPORT, base)}
    return tuple(sorted(found - {hostname}))


def keys(name: str) -> tuple[Key, ...]:
    """What is read of a name: a CNAME can stand beside nothing, so all types count."""
    return tuple(Key(name, type_) for type_ in RecordType)


def shared_base(hostname: str, domains: Iterable[str]) -> str:
    """The longest of the domains that the mail host lies in, else what the host's name stands in."""
    over = [domain for domain in domains if within(hostname, domain)]
    return max(over, key=len) if over else hostname.partition(".")[2] or hostname


def report_record(uri: str) -> str:
    """The TXT record with the address to which senders send reports."""
    return f"v=TLSRPTv1; rua={uri}"


def wanted(role: Role, domain: PublishedDomain, picture: Picture) -> dict[RecordType, Values] | None:
    """What should stand at the name of this role; None: it is not known yet, or nothing is wanted."""
    facts = picture.facts
    match role:
        case Role.HOST:
            return _host(domain.name, picture)
        case Role.ID if _points(domain.name, facts):
            return {RecordType.CNAME: single(owner(Role.ID, facts.shared_base))}
        case Role.ID:
            id_ = shared_id(picture) if facts.scheme is Scheme.SHARED else domain.id
            return None if id_ is None else {RecordType.TXT: single(record_of(id_))}
        case Role.REPORT if facts.tls_report is None:
            return None
        case Role.REPORT if _points(domain.name, facts):
            return {RecordType.CNAME: single(owner(Role.REPORT, facts.shared_base))}
        case Role.REPORT:
            return {RecordType.TXT: single(report_record(facts.tls_report or ""))}


@lru_cache(maxsize=1_024)
def single(value: str) -> Values:
    """One value: the same object for the same value, as most domains have the same."""
    return (value,)


def _points(domain: str, facts: Facts) -> bool:
    return facts.scheme is Scheme.SHARED and domain != facts.shared_base


def _host(domain: str, picture: Picture) -> dict[RecordType, Values] | None:
    facts, name = picture.facts, policy_host(domain)
    text = picture.found.get(Key(name, RecordType.TXT))
    # A CNAME cannot stand beside a TXT record.
    if facts.host is HostForm.CNAME and not (isinstance(text, Seen) and not text.value.absent):
        alias = {RecordType.CNAME: single(facts.hostname)}
        if not facts.addresses:
            sights = {type_: picture.found.get(Key(name, type_)) for type_ in MANAGED[Role.HOST]}
            there = {type_: sight.value.values for type_, sight in sights.items() if isinstance(sight, Seen)}
            if any(values and values != alias.get(type_) for type_, values in there.items()):
                # What works is not pointed to a mail host whose address nobody knows (a wrong host name).
                return None
        return alias
    if not facts.addresses:
        return None
    six = tuple(sorted(one for one in facts.addresses if ":" in one))
    four = tuple(sorted(one for one in facts.addresses if ":" not in one))
    return {type_: values for type_, values in ((RecordType.A, four), (RecordType.AAAA, six)) if values}


def serves_nothing(domain: PublishedDomain) -> bool:
    """Whether a domain that has left is served no policy any more: the shared id does not depend on it."""
    leaving = domain.leaving
    return leaving is not None and domain.id is None and leaving.expires_at is not None


def shared_id(picture: Picture) -> str | None:
    """One id for all domains: it changes when the policy of any of them does; None: one of them is not known."""
    ids = {domain.name: domain.id for domain in picture.domains if not serves_nothing(domain)}
    known = {name: id_ for name, id_ in ids.items() if id_ is not None}
    if not known or len(known) != len(ids):
        return None
    if len(set(known.values())) == 1:
        return next(iter(known.values()))
    text = "\n".join(f"{name} {id_}" for name, id_ in sorted(known.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:_SHARED_ID_LENGTH]


# --- what senders understand ------------------------------------------------------------------------------


def is_right(
    role: Role, at_name: dict[RecordType, RecordSet], want: dict[RecordType, Values], facts: Facts
) -> bool:
    """Whether what is there means the same to senders as what is wanted, in whatever form."""
    if all(at_name[type_].values == values for type_, values in want.items()):
        return True
    texts = at_name[RecordType.TXT].values
    match role:
        case Role.HOST:
            there = {*at_name[RecordType.A].values, *at_name[RecordType.AAAA].values}
            return bool(there) and facts.addresses is not None and there <= facts.addresses
        case Role.ID:
            ids = [_id(text) for text in want.get(RecordType.TXT, ())]
            return bool(ids) and [_id(text) for text in texts if _is(text, mtasts_record.VERSION)] == ids
        case Role.REPORT:
            records = [text for text in texts if _is(text, tlsrpt_record.VERSION)]
            if len(records) != 1:
                return False
            found = tlsrpt_record.parse(_octets(records[0]))
            rua = found.rua if isinstance(found, tlsrpt_record.TlsrptRecord) else ()
            return facts.tls_report in rua or (facts.any_report and bool(rua))


def tells_an_id(values: Values) -> bool:
    """Whether these TXT values are one record with a policy id and nothing else."""
    return len(values) == 1 and _id(values[0]) is not None


def _is(text: str, version: bytes) -> bool:
    return begins(_octets(text), version)


def _id(text: str) -> str | None:
    found = mtasts_record.parse(_octets(text))
    return found.id if isinstance(found, mtasts_record.StsRecord) else None


def _octets(text: str) -> bytes:
    return text.encode("iso8859-1", "replace")
