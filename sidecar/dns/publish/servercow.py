"""Record sets at Servercow, whose API has one record set for each name and type, and replaces it as a whole.

API: wiki.servercow.de, 'DNS API'. It always answers with status 200; an error is in the JSON. It does not list zones
and has no conditional writes: the zone is read just before each write, and after it. The password never appears in a
text.
"""

import asyncio
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal

import aiohttp
from pydantic import BaseModel, ConfigDict, SecretStr, TypeAdapter, ValidationError

from sidecar.dns.publish.port import (
    Change,
    ChangedMeanwhile,
    Outcome,
    Remove,
    Unclear,
    WriteDone,
    WriteRefused,
    after,
    by_name,
    within,
)
from sidecar.observed import Seen, Sight, Unseen
from sidecar.observed.record_sets import (
    ABSENT,
    LONGEST_TEXT,
    MOST_VALUES,
    Key,
    RecordSet,
    RecordType,
    record_set,
)

API = "https://api.servercow.de/dns/v1/domains"
LARGEST_ANSWER = 4 << 20
"""Bytes of a zone."""
_NO_ZONE = "no such domain in user context"


class _ApiTroubleError(Exception):
    """The API gave no usable answer; the text says why."""


class _ApiRefusedError(_ApiTroubleError):
    """The API refuses; the text is its reason."""


class _Record(BaseModel):
    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    name: str
    type: str
    ttl: int = 0
    content: str | list[str]

    @property
    def values(self) -> list[str]:
        return [self.content] if isinstance(self.content, str) else self.content


_RECORDS = TypeAdapter(list[_Record])


@dataclass(slots=True)
class Servercow:
    """A DNS API user; `clock` gives Unix seconds."""

    username: str
    password: SecretStr
    clock: Callable[[], float]
    only: frozenset[str] | None = None
    url: str = API
    deadline_s: float = 60.0
    """For one call."""
    _one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)

    async def zones(self, names: Collection[str]) -> Sight[tuple[str, ...]]:
        """The zones of the settings, or the names and the domains above them, as far as the API has them."""
        found: set[str] = set()
        # Each name and the domains above it, without top-level domains.
        labels = [name.split(".") for name in names]
        parents = {".".join(each[at:]) for each in labels for at in range(len(each) - 1)}
        try:
            async with asyncio.timeout(self.deadline_s), self._session() as session:
                for candidate in sorted(self.only if self.only is not None else parents):
                    answer = await self._call(session, "GET", candidate)
                    if not isinstance(answer, dict) or answer.get("error") != _NO_ZONE:
                        self._records(answer)
                        found.add(candidate)
        except (TimeoutError, _ApiTroubleError) as error:
            return Unseen(self._why(error), self.clock())
        return Seen(tuple(sorted(found)), self.clock())

    async def read(self, zone: str, keys: Sequence[Key]) -> Mapping[Key, Sight[RecordSet]]:
        """The whole zone is read once."""
        try:
            async with asyncio.timeout(self.deadline_s), self._session() as session:
                found = await self._zone(session, zone)
        except (TimeoutError, _ApiTroubleError) as error:
            return dict.fromkeys(keys, Unseen(self._why(error), self.clock()))
        now = self.clock()
        return {
            key: Unseen(f"{key} has values that cannot be read", now) if there is None else Seen(there, now)
            for key in keys
            for there in (found.get((key.name, str(key.type)), ABSENT),)
        }

    async def write(self, zone: str, changes: Sequence[Change]) -> Mapping[Key, Outcome]:
        """One after the other: this API changes one record set at a time, also of the same name."""
        outcomes: dict[Key, Outcome] = {}
        try:
            async with self._one_at_a_time, asyncio.timeout(self.deadline_s), self._session() as session:
                for together in by_name(changes).values():
                    for change in sorted(together, key=lambda one: not isinstance(one, Remove)):
                        outcomes[change.key] = await self._change(session, zone, change)
        except TimeoutError as error:
            return {change.key: outcomes.get(change.key, Unclear(self._why(error))) for change in changes}
        return outcomes

    async def _change(self, session: aiohttp.ClientSession, zone: str, change: Change) -> Outcome:
        try:
            before = await self._zone(session, zone)
            there = _at(before, change.key)
        except _ApiTroubleError as error:
            return WriteRefused(str(error), "check whether the account has this zone")
        if not there.same_values(change.seen):
            return ChangedMeanwhile("the record set is not the one that was read before")
        types = {type_ for name, type_ in before if name == change.key.name} - {str(change.key.type)}
        if not isinstance(change, Remove) and (
            "CNAME" in types or (change.key.type is RecordType.CNAME and types)
        ):
            return ChangedMeanwhile("a CNAME cannot stand beside other records")
        name = "" if change.key.name == zone else change.key.name.removesuffix(f".{zone}")
        body: dict[str, Any] = {"name": name, "type": str(change.key.type)}
        if not isinstance(change, Remove):
            values = list(change.wanted.values)
            body |= {"content": values[0] if len(values) == 1 else values, "ttl": change.wanted.ttl}
        try:
            await self._call(session, "DELETE" if isinstance(change, Remove) else "POST", zone, body)
        except _ApiRefusedError as error:
            return WriteRefused(str(error), "check whether the account may change this zone")
        except _ApiTroubleError as error:
            return Unclear(str(error))
        try:
            now = _at(await self._zone(session, zone), change.key)
        except _ApiTroubleError as error:
            return Unclear(str(error))
        return (
            WriteDone(now)
            if now.same_values(after(change))
            else Unclear("the host does not show the change yet")
        )

    # --- the API --------------------------------------------------------------------------------------

    async def _zone(
        self, session: aiohttp.ClientSession, zone: str
    ) -> dict[tuple[str, str], RecordSet | None]:
        """The record sets by name and type; None for other types, and for values that cannot be read."""
        if self.only is not None and zone not in self.only:
            raise _ApiTroubleError(f"the zone {zone} is not among the account's `zones`")
        answer = await self._call(session, "GET", zone)
        gathered: dict[tuple[str, str], tuple[int, list[str]]] = {}
        for record in self._records(answer):
            name = record.name.rstrip(".").lower()
            if name in {"", "@"}:
                name = zone
            absolute = name if within(name, zone) else f"{name}.{zone}"
            gathered.setdefault((absolute, record.type.upper()), (record.ttl, []))[1].extend(record.values)
        found: dict[tuple[str, str], RecordSet | None] = dict.fromkeys(gathered)
        for (name, type_), (ttl, values) in gathered.items():
            longest = max(map(len, values), default=0)
            if type_ in list(RecordType) and len(values) <= MOST_VALUES and longest <= LONGEST_TEXT:
                with suppress(ValueError):
                    found[name, type_] = record_set(RecordType(type_), values, ttl)
        return found

    def _records(self, answer: object) -> list[_Record]:
        if isinstance(answer, dict) and "error" in answer:
            raise _ApiRefusedError(f"Servercow answered: {str(answer['error'])[:200]}")
        try:
            return _RECORDS.validate_python(answer)
        except ValidationError:
            raise _ApiTroubleError("Servercow did not answer with a list of records") from None

    async def _call(
        self,
        session: aiohttp.ClientSession,
        method: Literal["GET", "POST", "DELETE"],
        zone: str,
        body: Mapping[str, Any] | None = None,
    ) -> object:
        """The JSON of the answer; raises _ApiRefusedError, _ApiTroubleError."""
        try:
            async with session.request(
                method, f"{self.url}/{zone}", json=body, allow_redirects=False
            ) as response:
                octets = await response.content.read(LARGEST_ANSWER + 1)
                while not response.content.at_eof() and len(octets) <= LARGEST_ANSWER:
                    octets += await response.content.read(LARGEST_ANSWER + 1 - len(octets))
                if len(octets) > LARGEST_ANSWER:
                    raise _ApiTroubleError(f"Servercow answered with more than {LARGEST_ANSWER} bytes")
                if response.status in {401, 403}:
                    raise _ApiRefusedError(f"Servercow answered with HTTP status {response.status}")
                if response.status != 200:
                    raise _ApiTroubleError(f"Servercow answered with HTTP status {response.status}")
                answer = json.loads(octets)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise _ApiTroubleError(f"Servercow gave no usable answer: {type(error).__name__}") from error
        if method != "GET" and not (isinstance(answer, dict) and answer.get("message") == "ok"):
            self._records(answer)
            raise _ApiTroubleError("Servercow did not answer with ok")
        return answer

    def _session(self) -> aiohttp.ClientSession:
        headers = {"X-Auth-Username": self.username, "X-Auth-Password": self.password.get_secret_value()}
        return aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=self.deadline_s))

    def _why(self, error: Exception) -> str:
        if isinstance(error, TimeoutError):
            return f"Servercow did not answer within {self.deadline_s:g} s"
        return str(error)


def _at(found: Mapping[tuple[str, str], RecordSet | None], key: Key) -> RecordSet:
    """Raises _ApiTroubleError for a set that is there and cannot be read."""
    there = found.get((key.name, str(key.type)), ABSENT)
    if there is None:
        raise _ApiTroubleError(f"{key} has values that cannot be read")
    return there
