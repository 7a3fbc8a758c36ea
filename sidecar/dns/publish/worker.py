"""The process that talks to a DNS host through a provider of octodns: `python -m sidecar.dns.publish.worker`.

One request comes in on standard input, one answer goes out on standard output (`messages.py`), and the process ends.
Rules for every editor. octodns is imported here and nowhere else. A provider's own full plan is never used: it deletes
every record that is not in it. Only a zone that is listed and exists is changed, because providers create missing
zones. No text that leaves this process contains a secret, not even one that a library wrote.
"""

import importlib
import os
import re
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from sidecar.dns.publish.messages import FoundRecordSet, Provider, Request, WorkerAnswer, WorkerResult
from sidecar.dns.publish.port import (
    Change,
    ChangedMeanwhile,
    Outcome,
    Remove,
    Unclear,
    WriteDone,
    WriteRefused,
    after,
)
from sidecar.observed.record_sets import (
    ABSENT,
    LONGEST_TEXT,
    MOST_VALUES,
    Key,
    RecordSet,
    RecordType,
    record_set,
)

LONGEST_TROUBLE = 400
"""Characters of a library's text."""
READ_BACK_S = (0.0, 1.0, 2.0)
"""Pauses before each read: some hosts make a change a moment after they answered."""
_INSTALL = "use the image with DNS providers, or install mta-sts-sidecar[dns] and the provider's package"


class _TroubleError(Exception):
    """Why nothing was done; its arguments are the reason and the remedy."""


@dataclass(frozen=True, slots=True)
class View:
    """A zone as octodns sees it: the record sets of our types, and a text of every record set."""

    zone: Any
    sets: Mapping[Key, RecordSet]
    records: Mapping[Key, Any]
    every: Mapping[tuple[str, str], str]

    def readable(self, key: Key) -> bool:
        """Whether it is known what is there: a set that cannot be read is not absent."""
        return key in self.sets or (key.name, str(key.type)) not in self.every

    def found(self, key: Key) -> FoundRecordSet:
        there = self.sets.get(key, ABSENT)
        return FoundRecordSet(name=key.name, type=key.type, values=there.values, ttl=there.ttl)


def answer(request: Request) -> WorkerAnswer:
    """What was found or done; never raises."""
    try:
        host = Host.of(request.provider)
        match request.do:
            case "zones":
                return WorkerAnswer(zones=tuple(host.zones()))
            case "read":
                view = host.view(request.zone)
                return WorkerAnswer(
                    found=tuple(view.found(one.key) for one in request.keys if view.readable(one.key))
                )
            case "write":
                outcomes = host.write(request.zone, [one.change for one in request.changes])
                return WorkerAnswer(
                    results=tuple(WorkerResult.from_outcome(key, one) for key, one in outcomes.items())
                )
    except _TroubleError as error:
        reason, remedy = error.args
        return WorkerAnswer(trouble=scrubbed(reason, request.provider), remedy=remedy)
    except BaseException as error:  # noqa: BLE001 - whatever a library raises, the daemon gets a text without secrets
        return WorkerAnswer(trouble=_said(error, request.provider))


# --- the host ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Host:
    """A provider of octodns that is ready for use."""

    account: Provider
    provider: Any

    @classmethod
    def of(cls, account: Provider) -> "Host":
        module, _, name = account.class_.rpartition(".")
        try:
            from octodns.provider.base import BaseProvider  # noqa: PLC0415 - only this process has octodns

            kind = getattr(importlib.import_module(module), name, None)
        except ImportError as error:
            raise _TroubleError(f"{account.class_} cannot be loaded: {error}", _INSTALL) from error
        if not isinstance(kind, type) or not issubclass(kind, BaseProvider):
            raise _TroubleError(
                f"{account.class_} is not a provider of octodns", "give the class of a provider"
            )
        return cls(account, kind("dns", **account.arguments))

    def zones(self) -> list[str]:
        """The zones that the host lists, or those of the settings where it cannot; lower-case, without a final dot."""
        listing = getattr(self.provider, "list_zones", None)
        if listing is None:
            if self.account.only is None:
                raise _TroubleError("this provider cannot list zones", "list them in `zones` of the account")
            return sorted(self.account.only)
        listed = {str(zone).rstrip(".").lower() for zone in listing()}
        return sorted(listed if self.account.only is None else listed & set(self.account.only))

    def view(self, name: str) -> View:
        """The zone, read leniently; raises _TroubleError for one that is not listed or not there."""
        from octodns.zone import Zone  # noqa: PLC0415 - as above

        if name not in self.zones():
            raise _TroubleError(f"the zone {name} is not listed", "create it at the host, or correct `zones`")
        zone = Zone(f"{name}.", [])
        if not self.provider.populate(zone, target=True, lenient=True):
            raise _TroubleError(f"the zone {name} does not exist there", "create it at the host")
        if not zone.records:
            # One of the providers returns an empty zone for an answer that it could not read.
            raise _TroubleError(f"the zone {name} was read as empty", "check the zone at the host")
        sets: dict[Key, RecordSet] = {}
        records: dict[Key, Any] = {}
        for record in zone.records:
            if record._type not in list(RecordType):  # noqa: SLF001 - octodns has no other name for it
                continue
            key = Key(_owner(record), RecordType(record._type))  # noqa: SLF001
            values = [record.value] if key.type is RecordType.CNAME else record.values
            texts = [str(value) for value in values]
            if key.type is RecordType.TXT:
                # octodns always escapes a semicolon, and quotes where the host escapes them.
                texts = [text.replace("\\;", ";").replace('\\"', '"') for text in texts]
            if len(texts) <= MOST_VALUES and max(map(len, texts), default=0) <= LONGEST_TEXT:
                with suppress(ValueError):  # it stays in `every`, as a set that is there and cannot be read
                    sets[key] = record_set(key.type, texts, int(record.ttl))
                    records[key] = record
        every = {(_owner(record), record._type): _text(record.data) for record in zone.records}  # noqa: SLF001
        return View(zone, sets, records, every)

    def write(self, zone: str, changes: Sequence[Change]) -> dict[Key, Outcome]:
        """Compares, writes, reads back, and compares all other record sets of the zone."""
        before = self.view(zone)
        outcomes: dict[Key, Outcome] = {}
        for change in changes:
            trouble = _in_the_way(before, change, changes)
            if trouble is not None:
                outcomes[change.key] = trouble
        blocked = {key.name for key in outcomes}
        to_do = [change for change in changes if change.key.name not in blocked]
        outcomes |= {
            change.key: Unclear("another record set of the same name could not be changed, so nothing was")
            for change in changes
            if change.key.name in blocked and change.key not in outcomes
        }
        return outcomes | (self._apply(zone, before, to_do) if to_do else {})

    def _apply(self, zone: str, before: View, changes: Sequence[Change]) -> dict[Key, Outcome]:
        from octodns.provider.plan import Plan, UnsafePlan  # noqa: PLC0415 - as above

        desired = before.zone.copy()
        planned = [_planned(before, desired, change, self.account.floor, self.provider) for change in changes]
        plan = Plan(
            before.zone,
            desired,
            planned,
            True,
            update_pcent_threshold=self.provider.update_pcent_threshold,
            delete_pcent_threshold=self.provider.delete_pcent_threshold,
        )
        failure: BaseException | None = None
        try:
            plan.raise_if_unsafe()
            self.provider.apply(plan)
        except UnsafePlan as error:
            said = _said(error, self.account)
            return {change.key: WriteRefused(said, "make the changes by hand") for change in changes}
        except Exception as error:  # noqa: BLE001 - what it did before is read back
            failure = error
        return self._read_back(zone, before, changes, failure)

    def _read_back(
        self, zone: str, before: View, changes: Sequence[Change], failure: BaseException | None
    ) -> dict[Key, Outcome]:
        now = before
        for pause in READ_BACK_S:
            time.sleep(pause)
            try:
                # A new provider object: this one may have cached what it read before.
                now = Host.of(self.account).view(zone)
            except _TroubleError as error:
                # The change may have been made: this is not a refusal.
                said = scrubbed(f"it could not be read back: {error.args[0]}", self.account)
                return {change.key: Unclear(said) for change in changes}
            if failure or all(_at(now, change.key).same_values(after(change)) for change in changes):
                break
        own = {(change.key.name, str(change.key.type)) for change in changes}
        others = sorted(
            f"{name} {type_}"
            for name, type_ in before.every.keys() | now.every.keys()
            if (name, type_) not in own and before.every.get((name, type_)) != now.every.get((name, type_))
        )
        if others:
            said = f"other record sets of the zone changed at the same time: {', '.join(others)[:LONGEST_TROUBLE]}"
            return {change.key: Unclear(said) for change in changes}
        return {change.key: self._outcome(now, change, failure) for change in changes}

    def _outcome(self, now: View, change: Change, failure: BaseException | None) -> Outcome:
        there = _at(now, change.key)
        if there.same_values(after(change)):
            return WriteDone(there)
        if failure is None:
            return Unclear("the host accepted the change, and does not show it yet")
        said = _said(failure, self.account)
        # The host answered that it refuses this: an HTTP status of 4xx, but not 'too many requests'.
        status = getattr(getattr(failure, "response", None), "status_code", None)
        refused = isinstance(status, int) and 400 <= status < 500 and status != 429
        if refused and there.same_values(change.seen):
            return WriteRefused(said, "check whether the account may change this zone")
        return Unclear(said)


def _at(view: View, key: Key) -> RecordSet:
    return view.sets.get(key, ABSENT)


def _in_the_way(before: View, change: Change, changes: Sequence[Change]) -> Outcome | None:
    """Why a change cannot be made; None: it can."""
    there = _at(before, change.key)
    kind = (change.key.name, str(change.key.type))
    if not there.same_values(change.seen) or (there.absent and kind in before.every):
        return ChangedMeanwhile("the record set is not the one that was read before")
    if isinstance(change, Remove):
        return None
    going = {
        str(one.key.type) for one in changes if isinstance(one, Remove) and one.key.name == change.key.name
    }
    beside = (
        {type_ for name, type_ in before.every if name == change.key.name} - going - {str(change.key.type)}
    )
    if change.key.type is RecordType.CNAME and beside:
        return ChangedMeanwhile(f"a CNAME cannot stand beside {', '.join(sorted(beside))}")
    if "CNAME" in beside:
        return ChangedMeanwhile("no other record can stand beside a CNAME")
    return None


# --- octodns' records -------------------------------------------------------------------------------------


def _planned(before: View, desired: Any, change: Change, floor: int, provider: Any) -> Any:
    """The change in octodns' form; `desired` becomes the zone after it."""
    from octodns.record import Create, Delete, Record, Update  # noqa: PLC0415 - as above

    existing = before.records.get(change.key)
    if isinstance(change, Remove):
        desired.remove_record(existing)
        return Delete(existing)
    data: dict[str, Any] = {"type": str(change.key.type), "ttl": max(change.wanted.ttl, floor)}
    match change.key.type:
        case RecordType.TXT:
            data["values"] = [value.replace(";", "\\;") for value in change.wanted.values]
        case RecordType.CNAME:
            data["value"] = f"{change.wanted.values[0]}."
        case RecordType.A | RecordType.AAAA:
            data["values"] = list(change.wanted.values)
    name = desired.hostname_from_fqdn(f"{change.key.name}.")
    record = Record.new(desired, name, data, source=provider, lenient=True)
    desired.add_record(record, replace=True, lenient=True)
    return Create(record) if existing is None else Update(existing, record)


def _owner(record: Any) -> str:
    return str(record.fqdn).rstrip(".").lower()


def _text(data: Any) -> str:
    """All that octodns knows of a record set, in a form that can be compared."""
    if isinstance(data, Mapping):
        return "{" + ",".join(sorted(f"{key}:{_text(value)}" for key, value in data.items())) + "}"
    if isinstance(data, list | tuple):
        return "[" + ",".join(sorted(map(_text, data))) + "]"
    return str(data)


# --- texts without secrets --------------------------------------------------------------------------------


def _said(error: BaseException, account: Provider) -> str:
    return scrubbed(f"{type(error).__name__}: {error}", account)


def scrubbed(text: str, account: Provider) -> str:
    """The text on one line, without the account's secrets and without the query of a URL."""
    for name in account.secrets:
        secret = str(account.arguments.get(name, ""))
        for form in sorted(
            {secret, quote(secret), quote(secret, safe=""), repr(secret)[1:-1]}, key=len, reverse=True
        ):
            if form:
                text = text.replace(form, "***")
    text = re.sub(r"(https?://)[^\s/@'\"]*@", r"\1***@", text)
    text = re.sub(r"\?[^\s'\"<>)]*", "?…", text)
    clean = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return clean if len(clean) <= LONGEST_TROUBLE else clean[: LONGEST_TROUBLE - 1] + "…"


def main() -> None:
    """Answers one request; what libraries print is discarded."""
    out = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    request = Request.model_validate_json(sys.stdin.buffer.read())
    signal.alarm(request.seconds + 1)  # the daemon that started this process may be gone
    with os.fdopen(out, "wb") as output:
        output.write(answer(request).model_dump_json().encode())


if __name__ == "__main__":
    main()
