"""The ledger as a file in `data/conf/mta-sts/`, which mailcow's backup contains; pure.

Rules for every editor. What cannot be read is left out: then a set is foreign, which costs a person a look and never a
wrong write. An old copy does no harm either: each of its values was published here once.
"""

import json
from dataclasses import replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from sidecar.dns.publish.port import Key
from sidecar.plan.publish.ledger import MOST_PUBLISHED
from sidecar.plan.publish.values import Entry, Ledger

COPY = Path("data/conf/mta-sts/dns-ledger.json")
"""Where it is within the mailcow directory."""
LARGEST = 32 << 20
"""Bytes: more than 10,000 domains have."""
MOST_ENTRIES = 100_000

_ENTRY = TypeAdapter(Entry)


def dumped(ledger: Ledger) -> bytes:
    """The same ledger gives the same octets: a file that does not change is not written."""
    entries = [_ENTRY.dump_python(ledger[key], mode="json") for key in sorted(ledger)]
    lines = ",\n".join(json.dumps(entry, sort_keys=True) for entry in entries)
    return f'{{"version": 1, "entries": [\n{lines}\n]}}\n'.encode()


def read(data: bytes) -> Ledger:
    """The entries that are right; never raises."""
    if len(data) > LARGEST:
        return {}
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    entries = found.get("entries") if isinstance(found, dict) and found.get("version") == 1 else None
    if not isinstance(entries, list):
        return {}
    ledger: dict[Key, Entry] = {}
    for one in entries[:MOST_ENTRIES]:
        try:
            entry = _ENTRY.validate_python(one)
        except ValidationError:
            continue
        ledger[entry.key] = replace(entry, published=entry.published[-MOST_PUBLISHED:])
    return ledger


def merged(state: Ledger, copy: Ledger) -> Ledger:
    """What the state has counts; the copy adds what the state has lost."""
    lost = {entry.key: entry for entry in copy.values() if entry.key not in state}
    return {**lost, **state} if lost else state
