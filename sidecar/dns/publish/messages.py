"""The messages between the daemon and the worker: one JSON object in, one out.

Rule for every editor: both sides validate what they receive with these models; anything else is an error.
"""

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from sidecar.dns.publish.port import (
    Change,
    ChangedMeanwhile,
    Outcome,
    Remove,
    Replace,
    Unclear,
    WriteDone,
    WriteRefused,
)
from sidecar.observed.record_sets import MOST_VALUES, Key, RecordSet, RecordType, record_set

Values: TypeAlias = Annotated[tuple[str, ...], Field(max_length=MOST_VALUES)]


class _Message(BaseModel):
    # An error that quotes its input would quote a secret.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Provider(_Message):
    """A provider's class and its arguments; the values of those in `secrets` must not appear in any text that comes back."""

    class_: str
    arguments: dict[str, str | int | bool]
    secrets: tuple[str, ...] = ()
    floor: int = 0
    """The lowest TTL that the host accepts, in seconds."""
    only: tuple[str, ...] | None = None


class KeyMessage(_Message):
    name: str
    type: RecordType

    @classmethod
    def of(cls, key: Key) -> "KeyMessage":
        return cls(name=key.name, type=key.type)

    @property
    def key(self) -> Key:
        return Key(self.name, self.type)


class ChangeMessage(KeyMessage):
    """`wanted` None: remove the record set."""

    seen: Values
    wanted: Values | None
    ttl: int = 0

    @classmethod
    def from_change(cls, change: Change) -> "ChangeMessage":
        wanted = change.wanted if isinstance(change, Replace) else None
        return cls(
            name=change.key.name,
            type=change.key.type,
            seen=change.seen.values,
            wanted=None if wanted is None else wanted.values,
            ttl=0 if wanted is None else wanted.ttl,
        )

    @property
    def change(self) -> Change:
        seen = record_set(self.type, self.seen, 0)
        if self.wanted is None:
            return Remove(self.key, seen)
        return Replace(self.key, seen, record_set(self.type, self.wanted, self.ttl))


class Request(_Message):
    """`seconds` is how long the worker may run."""

    do: Literal["zones", "read", "write"]
    provider: Provider
    seconds: int
    zone: str = ""
    keys: tuple[KeyMessage, ...] = ()
    changes: tuple[ChangeMessage, ...] = ()


class FoundRecordSet(KeyMessage):
    """Without values there is no such record set."""

    values: Values
    ttl: int

    @property
    def record_set(self) -> RecordSet:
        return record_set(self.type, self.values, self.ttl)


class WorkerResult(KeyMessage):
    outcome: Literal["done", "changed", "refused", "unclear"]
    reason: str = ""
    remedy: str = ""
    values: Values = ()
    ttl: int = 0

    @classmethod
    def from_outcome(cls, key: Key, outcome: Outcome) -> "WorkerResult":
        match outcome:
            case WriteDone(now):
                return cls(name=key.name, type=key.type, outcome="done", values=now.values, ttl=now.ttl)
            case ChangedMeanwhile(reason):
                return cls(name=key.name, type=key.type, outcome="changed", reason=reason)
            case WriteRefused(reason, remedy):
                return cls(name=key.name, type=key.type, outcome="refused", reason=reason, remedy=remedy)
            case Unclear(reason):
                return cls(name=key.name, type=key.type, outcome="unclear", reason=reason)

    @property
    def value(self) -> Outcome:
        match self.outcome:
            case "done":
                return WriteDone(record_set(self.type, self.values, self.ttl))
            case "changed":
                return ChangedMeanwhile(self.reason)
            case "refused":
                return WriteRefused(self.reason, self.remedy)
            case "unclear":
                return Unclear(self.reason)


class WorkerAnswer(_Message):
    """`trouble`: why nothing could be read or done; the other fields but `remedy` are empty then."""

    trouble: str = ""
    remedy: str = ""
    zones: tuple[str, ...] = ()
    found: tuple[FoundRecordSet, ...] = ()
    results: tuple[WorkerResult, ...] = ()
