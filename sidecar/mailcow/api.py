"""The client of mailcow's API: one method for each thing to ask or to write, each with a deadline.

Rule for every editor. The key goes to the endpoint and into one header, never into a text, a log or another
request. How a request is sent is in `wire`, what an answer means in `answers`.
"""

import asyncio
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from types import TracebackType
from typing import Self

from sidecar.formats.domain_name import policy_host
from sidecar.formats.mtasts_policy import Policy, is_mx_pattern
from sidecar.host.errors import PermanentError, SidecarError, TemporaryError
from sidecar.mailcow import answers
from sidecar.mailcow.answers import Added, Edited, Exists, Matches, NoSuchRow, Refused
from sidecar.mailcow.endpoint import Endpoint
from sidecar.mailcow.response import (
    AccessDenied,
    Answer,
    DeniedCause,
    NoSuchRoute,
    NotReadable,
    RedisRefusesWrites,
    WriteUnconfirmed,
)
from sidecar.mailcow.wire import API_PATH, ApiRequest, OnCall, Wire
from sidecar.observed import AliasDomain, Backend, DomainList, Mailcow, Served, Version
from sidecar.observed.mailcow import MX_LENGTH

__all__ = [
    "AccessDenied",
    "Added",
    "Counts",
    "Deadlines",
    "DeniedCause",
    "Edited",
    "Exists",
    "MailcowApi",
    "NoSuchRoute",
    "NoSuchRow",
    "NotReadable",
    "OnCall",
    "RedisRefusesWrites",
    "WriteUnconfirmed",
    "check_policy",
]

POLICY_PATH = "/.well-known/mta-sts.txt"
ID_PAGE_PATH = "/inc/ajax/dns_diagnostics.php"
"""The part of mailcow's pages behind its DNS check: no JSON route gives an id."""
MAX_AGE_LIMIT = 31_536_000
"""Seconds. `edit` takes a little more than `add`: what was edited could then not be added again."""
_LIST_LIMIT = 64 * 1024 * 1024
_POLICY_LIMIT = 64 * 1024
_PAGE_LIMIT = 1024 * 1024
_FIRST_WITH_SEARCH = Version(2026, 3)


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds: for a connection including its handshake, for a whole list, for any other call."""

    connect: float = 5.0
    list: float = 120.0
    """15 s were measured with 1,000 domains of 5 mailboxes each; nothing under 60 s is safe."""
    call: float = 15.0
    page: float = 15.0
    """mailcow's DNS check page: it looks names up and asks two web servers outside, 3 s each."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Numbers of domains: all, the active ones, and those for which this mailcow is a backup MX."""

    total: int
    active: int
    backup_mx: int


class _CountsRoute(Enum):
    """The routes that count without listing; the second until 2026-01, the first since 2026-03."""

    SEARCH = "search/domain"
    DATATABLES = "get/domain/datatables"


# numbers of columns of mailcow's own table of domains
_ACTIVE_COLUMN = 15
_BACKUP_MX_COLUMN = 10


def check_policy(policy: Policy, mailcow: Mailcow) -> str | None:
    """Why this policy must not be sent to this mailcow, as a sentence; None when it may.

    mailcow accepts some of this without a message (an empty mx in an edit, capitals, U-labels) and serves it.
    """
    joined = ",".join(policy.mx)
    if not policy.mx:
        return "there is no mx pattern; mailcow wants one even for mode none"
    for pattern in policy.mx:
        if not is_mx_pattern(pattern) or pattern != pattern.lower():
            return f"mx pattern {pattern[:100]!r} is not a lower-case host name in A-label form"
        if pattern.startswith("*.") and not mailcow.takes_wildcard_mx:
            return f"mailcow {mailcow.version} refuses the wildcard mx pattern {pattern!r}; 2025-09c takes it"
    if len(joined) > MX_LENGTH:
        return f"the mx patterns have {len(joined)} characters together; mailcow keeps {MX_LENGTH}"
    if not 1 <= policy.max_age <= MAX_AGE_LIMIT:
        return f"max_age {policy.max_age} is not between 1 and {MAX_AGE_LIMIT} seconds"
    return None


class MailcowApi:
    """A client for one endpoint, used with `async with`.

    `key` is the API key. `pins` and `roots`: see `Trust`. `on_call` counts requests. Every method raises
    NotReadable when there is no readable answer in time and, but for `served`, AccessDenied when mailcow refuses
    the key.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        key: str,
        pins: Iterable[str] = (),
        *,
        deadlines: Deadlines | None = None,
        roots: str | None = None,
        on_call: OnCall | None = None,
    ) -> None:
        self.endpoint = endpoint
        # mailcow drops other characters itself before it looks a key up; here they could break the header
        self._key = re.sub(r"[^A-Za-z0-9-]", "", key)
        self._deadlines = deadlines or Deadlines()
        self._wire = Wire(endpoint, pins, connect_s=self._deadlines.connect, roots=roots, on_call=on_call)
        self._list_lock = asyncio.Lock()
        self._counts_route: _CountsRoute | None = None
        self._without_counts: set[Version | None] = set()
        self._version: Version | None = None

    async def __aenter__(self) -> Self:
        await self._wire.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._wire.__aexit__(kind, error, trace)

    def pin(self, pins: Iterable[str]) -> None:
        """Replaces the fingerprints that are accepted: after a renewal the new one and the one before."""
        self._wire.pin(pins)

    # --- reads ---

    async def version(self) -> str | None:
        """The version in mailcow's own words, None where it does not know it."""
        text = answers.read_version(await self.get("get/status/version"))
        self._version = Version.parse(text)
        return text

    async def timed_domain_list(self) -> tuple[DomainList, float]:
        """All domains and alias domains, and how many seconds mailcow took for them.

        Expensive: one such request at a time, others wait for it; that wait is not counted.
        """
        async with self._list_lock:
            start = time.monotonic()
            # The domains last: the policy of a new one is written so much sooner. A name that changes from the one list
            # to the other in between may be missing in both, in any order; a loss is doubted first.
            # Lists of thousands take a while to read: in a thread, so that nobody waits for it.
            aliases = await self._aliases()
            answer = await self.get("get/domain/all", deadline=self._deadlines.list)
            domains = await asyncio.to_thread(answers.read_domains, answer)
            return DomainList(domains, aliases), time.monotonic() - start

    async def aliases(self) -> tuple[AliasDomain, ...]:
        """All alias domains; cheaper than the domains by far."""
        async with self._list_lock:
            return await self._aliases()

    async def _aliases(self) -> tuple[AliasDomain, ...]:
        answer = await self.get("get/alias-domain/all", deadline=self._deadlines.list)
        return await asyncio.to_thread(answers.read_aliases, answer)

    async def counts(self, version: Version | None) -> Counts | None:
        """The cheap counts; None if this mailcow has no route for them.

        `version` says which route to try first; after a change of it, a missing route is tried again.
        """
        if version in self._without_counts:
            return None
        newer = version is None or version >= _FIRST_WITH_SEARCH
        first = self._counts_route or (_CountsRoute.SEARCH if newer else _CountsRoute.DATATABLES)
        for route in sorted(_CountsRoute, key=lambda route: route is not first):
            try:
                active = await self._matches(route, _ACTIVE_COLUMN)
                backup = await self._matches(route, _BACKUP_MX_COLUMN)
            except NoSuchRoute:
                continue
            self._counts_route = route
            return Counts(backup.total, active.matching, backup.matching)
        self._without_counts.add(version)
        return None

    async def _matches(self, route: _CountsRoute, column: int) -> Matches:
        """No rows, only the counts of domains with a 1 in this column."""
        if route is _CountsRoute.DATATABLES:
            query = {"draw": "1", "start": "0", "length": "0", "columns[0][data]": str(column)}
            query |= {"columns[0][searchable]": "true", "columns[0][search][value]": "1"}
            return answers.read_counts(await self.get(route.value, query=query))
        search = {"value": "1", "regex": False}
        columns = [{"data": column, "name": "", "searchable": True, "orderable": True, "search": search}]
        everything = {"value": "", "regex": False}
        body = {"draw": 1, "start": 0, "length": 0, "columns": columns, "order": [], "search": everything}
        return answers.read_counts(await self.post(route.value, body))

    async def native_route(self) -> bool | None:
        """Whether mailcow has the routes for MTA-STS, asked without a side effect; None for a read-only key."""
        return answers.read_route_probe(await self.post("add/mta-sts", {}))

    async def served(self, domain: str) -> Served:
        """What mailcow itself serves as the policy of a domain (A-label), asked without the key."""
        asked = f"the policy of {domain} at {self.endpoint.url}"
        headers = {"Host": policy_host(domain)}
        request = ApiRequest(asked, "GET", POLICY_PATH, headers, self._deadlines.call, _POLICY_LIMIT)
        return answers.read_served(await self._wire.exchange(request))

    async def policy_id(self, domain: str) -> str | None:
        """The id that mailcow gave to the active policy of a domain (A-label), None where there is none. Slow."""
        if not self._key:
            raise AccessDenied(DeniedCause.NO_KEY, f"the policy id of {domain}")
        asked = f"the policy id of {domain}, on the DNS check page at {self.endpoint.url}"
        request = ApiRequest(
            asked,
            "GET",
            ID_PAGE_PATH,
            {"X-API-Key": self._key},
            self._deadlines.page,
            _PAGE_LIMIT,
            {"domain": domain},
        )
        return answers.read_policy_id(domain, await self._wire.exchange(request))

    # --- writes ---

    async def add_policy(self, domain: str, policy: Policy) -> Added | Exists:
        """Makes the row of a domain (A-label), active. Never for an alias domain: its row would serve later.

        Raises PermanentError for a policy that must not be sent or that is refused permanently, TemporaryError
        when mailcow cannot write now; NotReadable leaves the outcome unknown, after WriteUnconfirmed it has to be read back.
        """
        self._check(domain, policy)
        body = {"domain": domain, **_fields(policy), "active": 1}
        match answers.read_add(domain, await self.post("add/mta-sts", body)):
            case Refused() as refused:
                raise _refusal("add", domain, refused)
            case done:
                return done

    async def edit_policy(self, domain: str, policy: Policy) -> Edited | NoSuchRow:
        """Makes the row of a domain (A-label) say `policy`. Raises as `add_policy` does."""
        self._check(domain, policy)
        return await self._edit(domain, {**_fields(policy), "active": 1})

    async def switch_off(self, domain: str) -> Edited | NoSuchRow:
        """Sets the row of a domain (A-label) inactive: nothing is served then. Raises as `add_policy` does."""
        # mailcow refuses every edit without a version, this one too
        return await self._edit(domain, {"version": "stsv1", "active": 0})

    async def _edit(self, domain: str, attributes: Mapping[str, object]) -> Edited | NoSuchRow:
        answer = await self.post("edit/mta-sts", {"items": [domain], "attr": attributes})
        match answers.read_edit(domain, answer):
            case Refused() as refused:
                raise _refusal("change", domain, refused)
            case done:
                return done

    def _check(self, domain: str, policy: Policy) -> None:
        if problem := check_policy(policy, Mailcow(Backend.NATIVE, self._version)):
            raise PermanentError(
                f"the policy of {domain} was not sent to mailcow: {problem}. Change the settings for it"
            )

    # --- any route, also for modules with routes of their own (`report_route`) ---

    async def get(
        self, route: str, *, deadline: float | None = None, query: Mapping[str, str] | None = None
    ) -> Answer:
        """The answer to a GET within `deadline` seconds (None: `Deadlines.call`)."""
        return await self._call("GET", route, deadline or self._deadlines.call, query=query)

    async def post(self, route: str, body: Mapping[str, object] | Sequence[str]) -> Answer:
        """The answer to a write; a list as the body is what `delete` takes."""
        return await self._call("POST", route, self._deadlines.call, body=body)

    async def _call(
        self,
        method: str,
        route: str,
        deadline: float,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, object] | Sequence[str] | None = None,
    ) -> Answer:
        asked = f"{method} {route} at {self.endpoint.url}"
        if not self._key:
            # mailcow would answer 200 with an empty body, which looks like a failure of its database
            raise AccessDenied(DeniedCause.NO_KEY, asked)
        headers = {"X-API-Key": self._key}
        request = ApiRequest(asked, method, API_PATH + route, headers, deadline, _LIST_LIMIT, query, body)
        return await self._wire.exchange(request)


def _fields(policy: Policy) -> dict[str, object]:
    """A policy as `add` and `edit` want it; edits without a version are refused."""
    return {
        "version": "stsv1",
        "mode": str(policy.mode),
        "mx": ",".join(policy.mx),
        "max_age": policy.max_age,
    }


def _refusal(verb: str, domain: str, refused: Refused) -> SidecarError:
    text = f"mailcow did not {verb} the policy of {domain}: it says {refused.reason!r}"
    if refused.lasting:
        return PermanentError(
            f"{text}. The same would be refused again: change mx, mode or max_age for this domain"
        )
    return TemporaryError(
        f"{text}. Check the state of mailcow's database and whether the domain is still there"
    )
