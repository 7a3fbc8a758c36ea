"""The simulated mailcow's database: domains, alias domains, policies, and what each release does with them.

Rule for every editor: a difference between releases is a line of `Release`, never an `if` on a version
elsewhere. Answers, keys and HTTP do not belong here.
"""

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import idna

from demo.simulated_php import escaped, idn_to_ascii, pretty_json
from demo.simulated_routes import Routes
from sidecar.observed import FIRST_NATIVE, Version

MX_LIMIT = 255
"""Characters that the column `mx` holds."""
_MEGABYTE = 1_048_576
_NEWEST = Version(9999, 12)


class SqlError(Exception):
    """The database refuses a statement; its text is what the API gives back."""


@dataclass(frozen=True, slots=True)
class Release:
    """What differs between the releases of mailcow, for a client of its API."""

    native: bool
    """Whether policies are rows that mta-sts.php serves; else one file."""
    wildcard_mx: bool
    port_in_host: bool
    alias_policies: bool
    """Whether an alias domain is served its target's policy."""
    plain_host: bool
    """Whether nginx hands on a Host without capitals, port and final dot."""
    search_route: bool
    """Counts by POST search/domain."""
    paged_route: bool
    """Counts by GET get/domain/datatables."""
    cookie: str
    cookie_flags: str

    @classmethod
    def of(cls, text: str | None) -> "Release":
        """The behaviour of a version; one that is not a release (null, a commit) counts as the newest."""
        version = Version.parse(text) or _NEWEST
        renamed = version >= Version(2025, 9, "c")
        return cls(
            native=version >= FIRST_NATIVE,
            wildcard_mx=renamed,
            port_in_host=renamed,
            alias_policies=version >= Version(2026, 1),
            plain_host=version >= Version(2026, 5, "c"),
            search_route=version >= Version(2026, 3),
            paged_route=version < Version(2026, 3),
            cookie="MCSESSID" if renamed else "PHPSESSID",
            cookie_flags="HttpOnly; SameSite=Lax" if renamed else "HttpOnly",
        )


@dataclass(frozen=True, slots=True)
class DomainRow:
    """A row of table `domain`; quotas in MiB, the defaults are those of mailcow's default template."""

    name: str
    description: str
    created: str
    modified: str | None = None
    active: int = 1
    backupmx: int = 0
    relay_all_recipients: int = 0
    relay_unknown_only: int = 0
    gal: int = 1
    aliases: int = 400
    mailboxes: int = 10
    defquota: int = 3072
    maxquota: int = 10240
    quota: int = 10240
    rate: tuple[str, str] | None = None
    """Value and frame of the rate limit."""

    def details(self) -> dict[str, Any]:
        """The object that the API shows, its keys in mailcow's order."""
        new_quota = min(self.quota, self.maxquota) * _MEGABYTE
        flags = ("active", "relay_all_recipients", "relay_unknown_only")
        return {
            "max_new_mailbox_quota": new_quota,
            "def_new_mailbox_quota": min(new_quota, self.defquota * _MEGABYTE),
            "quota_used_in_domain": "0",
            "bytes_total": 0,
            "msgs_total": 0,
            "mboxes_in_domain": 0,
            "mboxes_left": self.mailboxes,
            "domain_name": self.name,
            "domain_h_name": idna.decode(self.name),
            "description": self.description,
            "max_num_aliases_for_domain": self.aliases,
            "max_num_mboxes_for_domain": self.mailboxes,
            "def_quota_for_mbox": self.defquota * _MEGABYTE,
            "max_quota_for_mbox": self.maxquota * _MEGABYTE,
            "max_quota_for_domain": self.quota * _MEGABYTE,
            "relayhost": "0",
            "backupmx": self.backupmx,
            "backupmx_int": self.backupmx,
            "gal": self.gal,
            "gal_int": self.gal,
            "rl": {"value": self.rate[0], "frame": self.rate[1]} if self.rate else False,
            **{key: getattr(self, flag) for flag in flags for key in (flag, f"{flag}_int")},
            "created": self.created,
            "modified": self.modified,
            "aliases_in_domain": 0,
            "aliases_left": self.aliases,
            "domain_admins": "-",
        }


@functools.lru_cache(maxsize=20_000)
def listed(row: DomainRow) -> str:
    """The row as an element of a list; kept, so that a long list costs little when one row changed."""
    return "    " + pretty_json(row.details()).replace("\n", "\n    ")


@dataclass(frozen=True, slots=True)
class AliasRow:
    """A row of table `alias_domain`."""

    name: str
    target: str
    active: int
    created: str
    modified: str | None = None


@dataclass(frozen=True, slots=True)
class PolicyRow:
    """A row of table `mta_sts`, as stored: `mx` is the comma-separated text, `max_age` seconds."""

    id: str
    domain: str
    version: str
    mode: str
    mx: str
    max_age: int
    active: int


class World:
    """The tables, and the clock and time zone of the container; `revision` counts the changes."""

    def __init__(
        self, *, version: str | None, hostname: str, timezone: str, clock: Callable[[], float]
    ) -> None:
        self.hostname = hostname
        self.clock = clock
        try:
            self._zone: ZoneInfo | Any = ZoneInfo(timezone)
        except ZoneInfoNotFoundError:  # a machine without the time zone database
            self._zone = UTC
        self.release = Release.of(version)
        self.said_version = version
        self.domains: dict[str, DomainRow] = {}
        self.aliases: dict[str, AliasRow] = {}
        self.policies: dict[str, PolicyRow] = {}
        self.routes = Routes()
        self.read_only = False
        self.revision = 0

    def update_to(self, version: str | None) -> None:
        self.release = Release.of(version)
        self.said_version = version

    def now(self) -> str:
        """The database's time stamp, which is UTC."""
        return datetime.fromtimestamp(self.clock(), UTC).strftime("%Y-%m-%d %H:%M:%S")

    def new_id(self) -> str:
        """A policy id: local time to the second, so two changes within one second share it."""
        return datetime.fromtimestamp(self.clock(), self._zone).strftime("%Y%m%d%H%M%S")

    def knows(self, name: str | None) -> bool:
        """Whether an administrator may touch `name`: it is a domain or an alias domain."""
        return name in self.domains or name in self.aliases

    def find(self, name: str | None) -> DomainRow | None:
        """The domain of that name; for an alias domain its target."""
        alias = self.aliases.get(name or "")
        return self.domains.get(alias.target if alias else name or "")

    def rows(self) -> list[DomainRow]:
        return [self.domains[name] for name in sorted(self.domains)]

    def replace_domains(self, rows: dict[str, DomainRow]) -> dict[str, DomainRow]:
        """Puts other rows into table `domain` and gives back the old ones; nothing else is touched."""
        self._may_write()
        before, self.domains = self.domains, rows
        return before

    def put_domain(self, row: DomainRow) -> None:
        self._may_write()
        if row.relay_unknown_only == 1:
            row = replace(row, relay_all_recipients=1)
        if row.relay_all_recipients == 1:  # what only relays is a backup MX
            row = replace(row, backupmx=1)
        self.domains[row.name] = row

    def put_alias(self, row: AliasRow) -> None:
        self._may_write()
        self.aliases[row.name] = row

    def drop_domain(self, name: str) -> None:
        """Its alias domains and its policy go with it."""
        self._may_write()
        self.domains.pop(name, None)
        self.policies.pop(name, None)
        self.aliases = {key: row for key, row in self.aliases.items() if row.target != name}

    def drop_alias(self, name: str) -> None:
        """A policy row of its own stays behind, and is served from then on."""
        self._may_write()
        self.aliases.pop(name, None)

    def insert_policy(self, row: PolicyRow) -> None:
        """Raises SqlError where there is a row already, or the mx are too long."""
        self._check_policy(row)
        if row.domain in self.policies:
            raise SqlError(
                "SQLSTATE[23000]: Integrity constraint violation: 1062 "
                f"Duplicate entry '{row.domain}' for key 'PRIMARY'"
            )
        self.policies[row.domain] = row

    def update_policy(self, row: PolicyRow) -> None:
        """Raises SqlError where the mx are too long."""
        self._check_policy(row)
        self.policies[row.domain] = row

    def _check_policy(self, row: PolicyRow) -> None:
        self._may_write()
        if len(row.mx) > MX_LIMIT:
            raise SqlError(
                "SQLSTATE[22001]: String data, right truncated: 1406 Data too long for column 'mx' at row 1"
            )

    def _may_write(self) -> None:
        if self.read_only:
            raise SqlError(
                "SQLSTATE[HY000]: General error: 1290 The MariaDB server is running with the --read-only "
                "option so it cannot execute this statement"
            )
        self.revision += 1

    def policy_text(self, host: str) -> str | None:
        """What mta-sts.php serves for a Host header; None is its 404."""
        if self.release.plain_host:
            host = re.sub(r":\d+\Z", "", host).lower().removesuffix(".")
        if not host.startswith("mta-sts."):
            return None
        if self.release.port_in_host:
            host = re.sub(r":\d+\Z", "", host)
        row = self.policy_of(host.replace("mta-sts.", ""))
        if row is None or row.active != 1:
            return None
        lines = ["version: STSv1", f"mode: {row.mode}", f"max_age: {row.max_age}"]
        lines += [f"mx: {mx}" for mx in row.mx.split(",")]
        return "\n".join(lines) + "\n"

    def policy_of(self, domain: str) -> PolicyRow | None:
        """The row that counts for a name: the target's for an alias domain, in releases that look for one."""
        name: str | None = domain.lower()
        if self.release.alias_policies:
            name = idn_to_ascii(domain) if domain else None
            alias = self.aliases.get(name or "")
            name = alias.target if alias else name
        return self.policies.get(name or "")

    def diagnostics(self, domain: str) -> str:
        """The part of the DNS check page that a client can read the policy id from."""
        row = self.policy_of(domain) if self.release.native else None
        cells: list[tuple[str, str, str]] = [(self.hostname, "A", "")]
        if row is not None and row.active == 1:
            shown = escaped(domain)
            cells += [
                (f"mta-sts.{shown}", "CNAME", self.hostname),
                (f"_mta-sts.{shown}", "TXT", f"v=STSv1;id={row.id};"),
            ]
        rows = "".join(
            f'<tr>\n<td>{name}</td>\n<td>{kind}</td>\n<td class="dns-found">{value}</td>\n</tr>\n'
            for name, kind, value in cells
        )
        return f"<table>\n{rows}</table>\n"
