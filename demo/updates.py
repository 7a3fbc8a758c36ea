"""DNS updates (RFC 2136) for the stand-in DNS: prerequisites, deletions and additions, all or nothing.

Rule for every editor: as much of RFC 2136 as an honest server of the demo needs; who may change what does not belong here.
"""

from collections.abc import MutableMapping

import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import dns.update

Records = MutableMapping[tuple[dns.name.Name, str], tuple[str, ...]]


def updated(records: Records, message: dns.update.UpdateMessage) -> dns.rcode.Rcode:
    """Makes the changes where all prerequisites hold (RFC 2136 §3.2, §3.4); says how it went."""
    for wanted in message.prerequisite:
        if (refused := _refused(records, wanted)) is not None:
            return refused
    for change in message.update:
        _change(records, change)
    return dns.rcode.NOERROR


def _refused(records: Records, wanted: dns.rrset.RRset) -> dns.rcode.Rcode | None:
    kind = dns.rdatatype.to_text(wanted.rdtype)
    here = [values for (name, _), values in records.items() if name == wanted.name and values]
    if kind == "ANY":
        if wanted.deleting == dns.rdataclass.NONE:
            return dns.rcode.YXDOMAIN if here else None
        return None if here else dns.rcode.NXDOMAIN
    there = records.get((wanted.name, kind), ())
    if wanted.deleting == dns.rdataclass.NONE:
        return dns.rcode.YXRRSET if there else None
    if wanted.deleting == dns.rdataclass.ANY:
        return None if there else dns.rcode.NXRRSET
    return None if _same(there, wanted) else dns.rcode.NXRRSET


def _same(there: tuple[str, ...], wanted: dns.rrset.RRset) -> bool:
    return sorted(there) == sorted(record.to_text() for record in wanted)


def _change(records: Records, change: dns.rrset.RRset) -> None:
    key = change.name, dns.rdatatype.to_text(change.rdtype)
    if change.deleting == dns.rdataclass.ANY:
        records.pop(key, None)
    elif change.deleting == dns.rdataclass.NONE:
        gone = {record.to_text() for record in change}
        left = tuple(value for value in records.get(key, ()) if value not in gone)
        records.pop(key, None)
        if left:
            records[key] = left
    else:
        values = (*records.get(key, ()), *(record.to_text() for record in change))
        records[key] = tuple(dict.fromkeys(values))
