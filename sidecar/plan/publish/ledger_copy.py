"""The ledger as a file in `data/conf/mta-sts/`, which mailcow's backup contains; pure.

Rules for every editor. What cannot be read is left out: then a set is foreign, which costs a person a check and never a
wrong write. It counts only where the state has nothing: an old copy, or one of another server, adds nothing to a
state that is whole, for what is added may be removed later.
"""

import json
import math
from dataclasses import replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from sidecar.observed.record_sets import LONGEST_TEXT, MOST_PUBLISHED, MOST_VALUES, Entry, Key, RecordLedger
from sidecar.plan.publish.names import PREFIXES

COPY = Path("data/conf/mta-sts/dns-ledger.json")
"""Where it is within the mailcow directory."""
LARGEST = 32 << 20
"""Bytes: more than 10,000 domains have."""
MOST_ENTRIES = 100_000
LONGEST_NAME = 253
LONGEST_TTL = (1 << 31) - 1
"""Seconds (RFC 2181 §8)."""

_ENTRY = TypeAdapter(Entry)


def dumped(ledger: RecordLedger) -> bytes:
    """The same ledger gives the same octets: a file that does not change is not written."""
    entries = [_ENTRY.dump_python(ledger[key], mode="json") for key in sorted(ledger)]
    lines = ",\n".join(json.dumps(entry, sort_keys=True) for entry in entries)
    return f'{{"version": 1, "entries": [\n{lines}\n]}}\n'.encode()


def read(data: bytes) -> RecordLedger:
    """The entries that are valid; never raises."""
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
        if not _fits(entry):
            continue
        ledger[entry.key] = replace(entry, published=entry.published[-MOST_PUBLISHED:])
    return ledger


def merged(state: RecordLedger, copy: RecordLedger) -> RecordLedger:
    """The state counts as a whole; the copy where the state has lost all."""
    return state or copy


def _fits(entry: Entry) -> bool:
    """Whether it can be one of ours: anybody may have edited the file, and later code relies on it."""
    name = entry.key.name
    below = [name.removeprefix(f"{prefix}.") for prefix in PREFIXES.values() if name.startswith(f"{prefix}.")]
    return (
        bool(below)
        and all(below[0].split("."))
        and len(name) <= LONGEST_NAME
        and name.isascii()
        and name == name.lower()
        and bool(entry.published)
        and all(0 < len(values) <= MOST_VALUES for values in entry.published)
        and all(
            len(value) <= LONGEST_TEXT and all(ord(character) < 256 for character in value)
            for values in entry.published
            for value in values
        )
        and 0 <= entry.ttl <= LONGEST_TTL
        and math.isfinite(entry.at)
    )
