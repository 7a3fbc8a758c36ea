"""The conversation with mailcow's API: which mailcow it is, and its domains, with as few calls as possible.

Rule for every editor: a refused key or address is not tried again before its wait is over (mailcow counts
refusals, and bans public addresses). If a list cannot be read, the last one stays in force, with its age.
"""

import asyncio
from collections.abc import Collection
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

from pydantic import SecretStr

from sidecar.host.clock import Clock
from sidecar.host.errors import PermanentError, SidecarError
from sidecar.mailcow.api import AccessDenied, Counts, MailcowApi, OnCall, RedisRefusesWrites
from sidecar.mailcow.endpoint import Endpoint, endpoint, presented
from sidecar.mailcow.report_route import read_route
from sidecar.mailcow.retry import Retry
from sidecar.observed import (
    FIRST_NATIVE,
    NOT_ASKED,
    AliasDomain,
    Backend,
    Certificate,
    Conf,
    DomainList,
    Mailcow,
    Memory,
    PolicyId,
    RedisRefuses,
    Seen,
    Served,
    Sight,
    Unseen,
    Version,
)
from sidecar.observed.notice import Level, Notice, NoticeCode
from sidecar.observed.report_route import INTERNAL_DOMAIN, RouteSeen
from sidecar.plan.access import own_key
from sidecar.plan.schedule import DENIED_S, LIST_AT_LEAST_S, RETRY_S, ListAge, aliases_due, list_due
from sidecar.settings import Settings


@dataclass(frozen=True, slots=True)
class Look:
    """One round of questions to the API: which mailcow, a whole list if one was due, else why not, and the notices."""

    mailcow: Sight[Mailcow]
    answer: Seen[DomainList] | None = None
    last: Sight[DomainList] = NOT_ASKED
    notices: tuple[Notice, ...] = ()
    denied: bool = False
    """Whether there is no key, or mailcow refuses it."""

    def listed(self, memory: Memory) -> Sight[DomainList]:
        """The list that counts if no new one was requested: the last believed one, with its own age.

        While a loss is doubted, that is the last answer together with what it lost.
        """
        if isinstance(self.last, Seen) and memory.believed is not None and memory.doubt is None:
            return Seen(memory.believed, self.last.at)
        return self.last


class NoKeyError(PermanentError):
    """Nobody gave a key for the API."""


class Session:
    """Asks mailcow; remembers its answers, and when it may be asked again."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._api: MailcowApi | None = None
        self._made_from: tuple[Endpoint, str] | None = None
        self._open = AsyncExitStack()
        self._pins: tuple[str, ...] = ()
        self._mailcow: Sight[Mailcow] = NOT_ASKED
        self._version_text: str | None = None
        self._age: ListAge | None = None
        self._counts: Counts | None = None
        self._newer_counts: Counts | None = None
        """Counts that differ from those of the last list, until there is a list for them."""
        self._identified_at: float | None = None
        self._aliases: tuple[AliasDomain, ...] | None = None
        self._aliases_took = 0.0
        self._aliases_asked_at = 0.0
        self._access = Retry()
        """After mailcow refused the key or the address."""
        self._list = Retry()
        """After the whole list failed."""
        self._looked_at = 0.0
        self.away_since: float | None = None
        """Since when (Unix seconds) mailcow gives no answer, not even to cheap questions; None if it answers."""
        self.answered: DomainList | None = None
        """The last whole list, believed or not."""
        self.believed: Sight[DomainList] = NOT_ASKED
        self._last_served = Served(None)
        """The policy that was read last: most domains have the same, and its text is held once."""
        self._found_key: SecretStr | None = None
        self.on_call: OnCall | None = None
        """Called after each call with its route, how long it took (seconds), its status."""
        self.whole_list_always = False
        """For `once`: never rely on counts."""

    def _called(self, route: str, seconds: float, status: int | None) -> None:
        if self.on_call is not None:
            self.on_call(route, seconds, status)

    @property
    def api(self) -> MailcowApi | None:
        """The client, once mailcow.conf gave it an address and a key."""
        return self._api

    def wrote(self) -> None:
        """After an own write the whole list is requested in the next round."""
        if self._age is not None:
            self._age = replace(self._age, stale=True)

    def restarted(self) -> None:
        """mailcow was started: it may be another one, and earlier failures say nothing about it."""
        self._list = self._list.by(0.0)
        self.wrote()

    def try_again(self) -> None:
        """A person asked for it (SIGHUP), or the key changed: the wait after a refusal ends."""
        self._access, self._list = self._access.by(0.0), self._list.by(0.0)
        self.wrote()

    def use(self, key: SecretStr | None) -> None:
        """Asks in the next round, with this key of mailcow's database instead of API_KEY; None: with the configured key."""
        self._found_key = key
        self.try_again()

    async def close(self) -> None:
        await self._open.aclose()
        self._api = None

    async def look(self, conf: Sight[Conf], fingerprint: str | None, now: float, *, doubted: bool) -> Look:
        """Asks what is due. Never raises for trouble with mailcow."""
        if now < self._looked_at:
            # The clock was set back: by it, no wait would end before that day.
            self._access = self._access.by(now + DENIED_S[-1])
            self._list = self._list.by(now + RETRY_S[-1])
            self.wrote()
        self._looked_at = now
        try:
            api = await self._client(conf, fingerprint)
        except PermanentError as error:
            return self._trouble(error, now)
        if now < self._access.until and self._access.error is not None:
            return self._trouble(self._access.error, now)
        try:
            return await self._ask(api, now, doubted=doubted)
        except AccessDenied as error:
            self._access = self._access.failed(now, DENIED_S, error)
            return self._trouble(error, now)
        except SidecarError as error:
            return self._trouble(error, now)

    async def _client(self, conf: Sight[Conf], fingerprint: str | None) -> MailcowApi:
        if isinstance(conf, Unseen):
            raise PermanentError(f"mailcow's API cannot be asked: {conf.reason}")
        given = own_key(self._settings, conf.value) or self._found_key
        key = given.get_secret_value() if given else conf.value.values.get("API_KEY", "")
        if not key:
            raise NoKeyError(
                "there is no key for mailcow's API yet: the sidecar makes one where it can reach mailcow's database; "
                "or make a read-write key in mailcow's page (System, Configuration, Access, API) and set MTA_STS_API_KEY"
            )
        if fingerprint is not None and fingerprint not in self._pins[-2:]:
            self._pins = (*self._pins, fingerprint)[-2:]
            if self._api is not None:
                self._api.pin(self._pins)
        wanted = (endpoint(conf.value, self._settings.api_url), key)
        if self._api is None or self._made_from != wanted:
            if self._made_from is not None:
                self.try_again()
            await self.close()
            self._api = await self._open.enter_async_context(
                MailcowApi(*wanted, self._pins, on_call=self._called)
            )
            self._made_from = wanted
        return self._api

    async def _ask(self, api: MailcowApi, now: float, *, doubted: bool) -> Look:
        whole, notices = await self._cheap(api, now, doubted=doubted)
        if not whole:
            return Look(self._mailcow, last=self.believed, notices=notices)
        if self._list.error is not None and now < self._list.until and not self.whole_list_always:
            return self._trouble(self._list.error, now)
        counts = self._newer_counts
        if counts is None:
            version = self._mailcow.value.version if isinstance(self._mailcow, Seen) else None
            counts = await api.counts(version)
        try:
            listed, took = await api.timed_domain_list()
        except SidecarError as error:
            # A list that failed is expensive as well: it is tried again less and less often.
            self._list = self._list.failed(now, RETRY_S, error)
            raise
        self._list = self._access = Retry()
        # Only now: counts that were noted without their list would make a new domain look old. They are older than
        # the list, so a domain that is added between the two leads to one list too many, never to one too few.
        self._counts, self._aliases, self.answered = counts, listed.aliases, listed
        self._age = ListAge(now, took)
        return Look(self._mailcow, Seen(listed, now), notices=notices)

    async def _cheap(self, api: MailcowApi, now: float, *, doubted: bool) -> tuple[bool, tuple[Notice, ...]]:
        """The cheap questions: whether the whole list is due, and the notices about which mailcow this is.

        An answer after none, or of another mailcow than before, ends the wait of a list that failed: it failed with
        the rest.
        """
        age = None if self._age is None else replace(self._age, doubted=doubted)
        due = self.whole_list_always or list_due(age, now, self._settings.intervals)
        before = self._mailcow
        # Which mailcow this is: asked as often as for a list that is due by time, not for each new domain.
        asked_at = self._identified_at
        known = isinstance(before, Seen) and asked_at is not None and 0 <= now - asked_at < LIST_AT_LEAST_S
        notices: tuple[Notice, ...] = ()
        self._newer_counts = None
        try:
            whole = due or await self._changed(api, now)
            if due or not known or self.away_since is not None:
                notices = await self._identify(api, now)
        except AccessDenied:
            raise
        except SidecarError:
            self.away_since = now if self.away_since is None else min(self.away_since, now)
            raise
        changed = isinstance(self._mailcow, Seen) and (
            isinstance(before, Unseen) or before.value != self._mailcow.value
        )
        if self.away_since is not None or changed:
            self._list = self._list.by(0.0)
        self.away_since = None
        return whole or changed, notices

    async def _changed(self, api: MailcowApi, now: float) -> bool:
        """Whether the cheap answers differ from those that went with the last list."""
        version = self._mailcow.value.version if isinstance(self._mailcow, Seen) else None
        counts = await api.counts(version)
        if counts != self._counts:
            self._newer_counts = counts
            return True
        if not aliases_due(self._aliases_asked_at, self._aliases_took, now):
            return False
        self._aliases_asked_at = now
        started = asyncio.get_running_loop().time()
        try:
            return await api.aliases() != self._aliases
        finally:
            self._aliases_took = asyncio.get_running_loop().time() - started

    async def _identify(self, api: MailcowApi, now: float) -> tuple[Notice, ...]:
        """Which mailcow this is: by its version, confirmed by what its routes do."""
        text = await api.version()
        self._identified_at = now
        version = Version.parse(text)
        if self._settings.backend != "auto":
            self._mailcow = Seen(Mailcow(Backend(self._settings.backend), version), now)
            return ()
        if isinstance(self._mailcow, Seen) and text == self._version_text:
            self._mailcow = replace(self._mailcow, at=now)
            return ()
        native = await api.native_route()
        by_version = None if version is None else version >= FIRST_NATIVE
        before = self._mailcow
        if native is None and by_version is None:
            self._mailcow = Unseen(
                "mailcow does not tell its version, and a read-only key cannot find out how it serves policies: "
                "set `backend: native` or `backend: file` in config.yml",
                now,
            )
        elif native is not None and by_version is not None and native != by_version:
            self._mailcow = Unseen(
                f"mailcow says it is {text}, but its API {'has' if native else 'lacks'} the routes of MTA-STS: "
                "an update may be under way; nothing is done until both agree",
                now,
            )
        else:
            is_native = by_version if native is None else native
            self._mailcow = Seen(Mailcow(Backend.NATIVE if is_native else Backend.FILE, version), now)
            self._version_text = text
        if (
            isinstance(before, Seen)
            and isinstance(self._mailcow, Seen)
            and before.value != self._mailcow.value
        ):
            said = f"mailcow changed from {_in_words(before.value)} to {_in_words(self._mailcow.value)}"
            return (Notice(Level.INFO, NoticeCode.MAILCOW_CHANGED, "mailcow", said),)
        return ()

    def _trouble(self, error: SidecarError, now: float) -> Look:
        """The last list stays in force; what is unknown from the start is unseen."""
        last = self.believed
        if not isinstance(last, Seen):
            last = Unseen(str(error), now)
        mailcow = self._mailcow if isinstance(self._mailcow, Seen) else Unseen(str(error), now)
        level = Level.ERROR if isinstance(error, PermanentError) else Level.WARNING
        denied = isinstance(error, AccessDenied | NoKeyError)
        notices = (Notice(level, NoticeCode.MAILCOW_API, "mailcow", str(error)),)
        return Look(mailcow, last=last, notices=notices, denied=denied)

    def nginx(self, conf: Sight[Conf]) -> tuple[str, int]:
        """Where nginx-mailcow answers by plain HTTP inside of mailcow's network: host and port.

        Never where MTA_STS_API_URL leads: that may be a proxy, which the challenge need not pass.
        """
        port = conf.value.port("HTTP_PORT", 80) if isinstance(conf, Seen) else None
        return "nginx-mailcow", port or 80

    async def presented(self, name: str, now: float) -> Sight[Certificate]:
        """The certificate that mailcow's web server presents for `name`."""
        if self._made_from is None:
            return Unseen("mailcow's web server was not asked yet", now)
        return await presented(self._made_from[0], name, now)

    async def served(self, domain: str, now: float) -> Sight[Served]:
        """What mailcow serves as the policy of a domain, at the API's own address."""
        if self._api is None:
            return Unseen("mailcow's API cannot be asked", now)
        try:
            found = await self._api.served(domain)
        except RedisRefusesWrites as error:
            return RedisRefuses(str(error), now, error.said)
        except SidecarError as error:
            return Unseen(str(error), now)
        if found != self._last_served:
            self._last_served = found
        return Seen(self._last_served, now)

    async def report_route(self, nexthop: str, ours: Collection[str], now: float) -> Sight[RouteSeen]:
        """The alias and the transport of TLS reports; `ours` are the addresses that matter. `nexthop` is passed on."""
        if self._api is None or now < self._access.until:
            return Unseen("mailcow's API cannot be asked", now)
        try:
            aliases, transports = await read_route(self._api)
        except SidecarError as error:
            return Unseen(str(error), now)
        return Seen(
            RouteSeen(
                tuple(one for one in aliases if one.address in ours or INTERNAL_DOMAIN in one.goto),
                tuple(one for one in transports if one.destination == INTERNAL_DOMAIN),
                nexthop,
            ),
            now,
        )

    async def policy_id(self, domain: str, text: str, now: float) -> Sight[PolicyId | None]:
        """The id of the policy of a domain that serves `text`; None where it serves another text, or none, by now."""
        if self._api is None or now < self._access.until:
            return Unseen("mailcow's API cannot be asked", now)
        try:
            found = await self._api.policy_id(domain)
            # an id without its text says nothing: the policy may have been changed since `text` was read
            after = await self._api.served(domain)
        except SidecarError as error:
            return Unseen(str(error), now)
        return Seen(PolicyId(text, found) if found is not None and after.text == text else None, now)


def _in_words(mailcow: Mailcow) -> str:
    return f"{mailcow.version or 'an unknown version'} ({mailcow.backend} policies)"
