"""The recorded exchanges; for each recording the state it began in, and what was done between its exchanges.

Rule for every editor: a state is made as the recorder made it, from the recording's own context; the
recordings are copies and are never changed. Sending and comparing do not belong here.
"""

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, TypeAlias

from demo.simulated import API, EVERYTHING, POLICY, Fault, SimulatedMailcow
from demo.simulated_world import AliasRow, DomainRow, PolicyRow

RECORDINGS = Path(__file__).parents[1] / "recordings"
Exchange: TypeAlias = dict[str, Any]
VERSIONS = {"file": "2025-07", "native": "2026-07a"}


def exchanges_of(name: str) -> list[Exchange]:
    """The exchanges of a recording such as native/domains."""
    found: list[Exchange] = json.loads((RECORDINGS / f"{name}.json").read_text("utf-8"))["exchanges"]
    return found


# --- the state in which a recording begins ----------------------------------------------------------------


def recorded_row(details: dict[str, Any]) -> DomainRow:
    """The table row behind a domain object."""
    mebibyte = 2**20
    return DomainRow(
        name=details["domain_name"],
        description=details["description"],
        created=details["created"],
        active=details["active"],
        backupmx=details["backupmx"],
        aliases=details["max_num_aliases_for_domain"],
        mailboxes=details["max_num_mboxes_for_domain"],
        maxquota=details["max_quota_for_mbox"] // mebibyte,
        quota=details["max_quota_for_domain"] // mebibyte,
    )


def put_rows(mailcow: SimulatedMailcow, details: Iterable[dict[str, Any]]) -> None:
    """The domains of a recorded list."""
    for entry in details:
        mailcow.world.put_domain(recorded_row(entry))


def put_domains(mailcow: SimulatedMailcow, *names: str) -> None:
    """Domains that no recorded list shows; of them, these two words mean what they say."""
    for name in names:
        mailcow.add_domain(name, active="inactive" not in name, backup_mx="backup" in name)


def put_policies(mailcow: SimulatedMailcow, rows: Iterable[dict[str, str]]) -> None:
    """Rows of table mta_sts."""
    for row in rows:
        mailcow.world.update_policy(
            PolicyRow(**{**row, "max_age": int(row["max_age"]), "active": int(row["active"])})  # type: ignore[arg-type]
        )


def nothing(_: SimulatedMailcow) -> None:
    """An empty mailcow."""


def names_for_adding(mailcow: SimulatedMailcow) -> None:
    """The domains that mta-sts-add speaks of."""
    put_domains(mailcow, "example.org", "test.example", "none.example", "multi.example", "wild.example")
    put_domains(
        mailcow, "off.example", "inactive.example", "backup.example", "müller.example", "nopolicy.example"
    )
    mailcow.add_alias("alias.example", "example.org")


def table_before_edits(name: str) -> Callable[[SimulatedMailcow], None]:
    """The table that the first exchange of a recording shows."""

    def prepare(mailcow: SimulatedMailcow) -> None:
        rows = exchanges_of(name)[0]["database"]["mta_sts"]
        put_domains(mailcow, "nopolicy.example", *(row["domain"] for row in rows))
        mailcow.add_alias("alias.example", "example.org")
        put_policies(mailcow, rows)

    return prepare


def corner_cases(mailcow: SimulatedMailcow) -> None:
    """No policy yet, and an alias domain."""
    put_domains(mailcow, "example.org", "nopolicy.example")
    mailcow.add_alias("alias.example", "example.org")


def read_and_delete(mailcow: SimulatedMailcow) -> None:
    """Two domains with a policy each."""
    exchanges = exchanges_of("native/mta-sts-read-and-delete")
    put_rows(mailcow, [exchanges[3]["response"]["body"]])
    put_domains(mailcow, "test.example")
    put_policies(mailcow, exchanges[4]["database"]["mta_sts"])
    mailcow.person_sets_policy("test.example", mode="testing", mx="mail.example.org", max_age=86400)


def policy_hosts(mailcow: SimulatedMailcow) -> None:
    """A policy of each kind, and the alias domains beside it."""
    put_domains(mailcow, "example.org", "test.example", "none.example", "wild.example", "müller.example")
    put_domains(mailcow, "off.example", "inactive.example", "backup.example", "emptymx.example")
    put_domains(mailcow, "nopolicy.example", "sub.mta-sts.example")
    mailcow.add_alias("alias.example", "example.org")
    mailcow.add_alias("aliasoff.example", "example.org", active=False)
    mailcow.add_alias("aliasofoff.example", "off.example")
    one, week = "mail.example.org", 604800
    for name, mode, mx, max_age in (
        ("example.org", "enforce", f"{one},mx2.example.org", week),
        ("test.example", "testing", one, 86400),
        ("none.example", "none", one, 86400),
        ("wild.example", "enforce", "*.example.org,mail.example.net", week),
        ("müller.example", "enforce", "MAIL.Example.ORG,mx.müller.example", week),
        ("inactive.example", "enforce", one, week),
        ("backup.example", "enforce", one, week),
        ("emptymx.example", "enforce", "", week),
        ("sub.mta-sts.example", "enforce", one, week),
        ("alias.example", "enforce", "own.alias.example", week),
    ):
        mailcow.person_sets_policy(name, mode=mode, mx=mx, max_age=max_age)
    mailcow.person_sets_policy("off.example", mode="enforce", mx=one, max_age=week, active=False)


def readback(mailcow: SimulatedMailcow) -> None:
    """Three domains without policies."""
    put_domains(mailcow, "example.org", "off.example", "nopolicy.example")
    mailcow.add_alias("alias.example", "example.org")


def first_native(mailcow: SimulatedMailcow) -> None:
    """The domains that the list of 2025-09 shows."""
    put_rows(mailcow, exchanges_of("native/first-native-version-2025-09")[12]["response"]["body"]["data"])
    mailcow.add_alias("alias.example", "example.org")


def first_list(name: str, *aliases: str) -> Callable[[SimulatedMailcow], None]:
    """The domains of the longest list in a recording."""

    def prepare(mailcow: SimulatedMailcow) -> None:
        lists: list[list[dict[str, Any]]] = [[]]
        for exchange in exchanges_of(name):
            body = (exchange["response"] or {}).get("body")
            rows = body.get("data") if isinstance(body, dict) else body
            if isinstance(rows, list) and rows and "domain_name" in rows[0]:
                lists.append(rows)
        longest: list[dict[str, Any]] = max(lists, key=len)
        put_rows(mailcow, longest)
        for alias in aliases:
            mailcow.world.put_alias(AliasRow(alias, "example.org", 1, created="2026-11-24 08:00:00"))

    return prepare


def one_domain(mailcow: SimulatedMailcow) -> None:
    """Nothing but example.org."""
    put_domains(mailcow, "example.org")


def one_policy(mailcow: SimulatedMailcow) -> None:
    """A policy of example.org, and one in the file."""
    put_domains(mailcow, "example.org")
    mailcow.person_sets_policy("example.org", mode="enforce", mx="mail.example.org", max_age=604800)
    if mailcow.policy_file is not None:
        mailcow.policy_file.write_text(
            "version: STSv1\nmode: testing\nmax_age: 86400\nmx: mail.example.org\n"
        )


def outage(name: str) -> Callable[[SimulatedMailcow], None]:
    """Three domains, an alias domain and a policy, as all recordings of outages have them."""

    def prepare(mailcow: SimulatedMailcow) -> None:
        first_list(name, "alias.example")(mailcow)
        mailcow.person_sets_policy("example.org", mode="enforce", mx="mail.example.org", max_age=604800)

    return prepare


# --- what happens between two exchanges -------------------------------------------------------------------


def before_adding(mailcow: SimulatedMailcow, _: Exchange) -> None:
    """Each try with this domain began without a row."""
    mailcow.world.policies.pop("nopolicy.example", None)


def before_authentication(mailcow: SimulatedMailcow, exchange: Exchange) -> None:
    """The keys and the allow list that the note speaks of."""
    note = exchange["note"]
    if "outside [A-Za-z0-9-]" in note:
        exchange["request"]["headers"]["X-API-Key"] = "RW_-KEY!"
    elif "lower case" in note:
        exchange["request"]["headers"]["X-API-Key"] = "rw-key"
    elif note.startswith("address not in the allow list"):
        mailcow.allow_from = ("192.0.2.1", "198.51.100.0/24")
    elif "skip_ip_check=1" in note:
        mailcow.skip_ip_check = True
    elif "127.0.0.0/8" in note:
        mailcow.skip_ip_check, mailcow.allow_from = False, ("127.0.0.0/8",)
    elif note == "allow list empty":
        mailcow.allow_from = ()
    elif note.startswith("key switched off"):
        mailcow.key = None


def before_version(mailcow: SimulatedMailcow, exchange: Exchange) -> None:
    """The file with the version may be missing."""
    if "version is null" in exchange.get("note", ""):
        mailcow.says_version = None


def before_file(mailcow: SimulatedMailcow, exchange: Exchange) -> None:
    """The policy file is made, locked, emptied and removed."""
    path, note, response = mailcow.policy_file, exchange.get("note") or "", exchange["response"]
    assert path is not None
    if note.startswith("file there, CRLF"):
        path.write_bytes(response["body_text_exact"].encode())
    elif "not readable" in note:
        path.chmod(0o600)
    elif note == "empty file":
        path.write_bytes(b"")
        path.chmod(0o644)
    elif note == "file removed again":
        path.unlink()
    keep_file_time(mailcow, exchange)


def keep_file_time(mailcow: SimulatedMailcow, exchange: Exchange) -> None:
    """The policy file's time is the recorded one, so that its ETag must be too."""
    path, modified = mailcow.policy_file, exchange["response"]["headers"].get("last-modified")
    if path is not None and modified:
        seconds = parsedate_to_datetime(modified).timestamp()
        os.utime(path, (seconds, seconds))


def mysql(text: str) -> Fault:
    """The page that a database in trouble leaves."""
    return Fault.HTML_500.reporting(f"database|  SQLSTATE[HY000] {text}")


MISCONF = (
    "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. "
    "Commands that may modify the data set are disabled, because this instance is configured to report "
    "errors during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). "
    "Please check the Redis logs for details about the RDB error."
)
EMPTY_LISTS = {"get/domain": Fault.EMPTY_BODY, "get/alias-domain": Fault.EMPTY_BODY, "edit": Fault.EMPTY_BODY}
OUTAGES: dict[str, dict[str, Fault]] = {
    "all well": {},
    "database stopped": {EVERYTHING: Fault.HTML_500},
    "database back": {},
    "database frozen": {EVERYTHING: Fault.SILENCE},
    "table api missing": {API: Fault.EMPTY_PAGE},
    "table domain missing": EMPTY_LISTS,
    "table alias_domain missing": {**EMPTY_LISTS, POLICY: Fault.NO_POLICY},
    "a table that get/domain/all reads": {"get/domain": Fault.EMPTY_BODY},
    "table domain empty": {},
    "the key row is not there": {API: Fault.KEY_GONE},
    "database password wrong": {
        EVERYTHING: mysql("[1045] Access denied for user 'mailcow'@'localhost' (using password: YES)")
    },
    "too many database connections": {EVERYTHING: mysql("[1040] Too many connections")},
    "database read-only": {EVERYTHING: Fault.READ_ONLY},
    "table domain locked": {EVERYTHING: Fault.SILENCE},
    "connection to the database killed": {"get/domain": Fault.EMPTY_BODY},
    "Redis stopped": {EVERYTHING: Fault.REDIS_500},
    "Redis back": {},
    "Redis frozen": {EVERYTHING: Fault.SILENCE},
    "Redis out of memory": {
        EVERYTHING: Fault.NOT_LOGGED.reporting("OOM command not allowed when used memory > 'maxmemory'.")
    },
    "Redis password wrong": {
        EVERYTHING: Fault.REDIS_500.reporting(
            "Redis|WRONGPASS invalid username-password pair or user is disabled."
        )
    },
    "Redis refuses writes": {EVERYTHING: Fault.NOT_LOGGED.reporting(MISCONF)},
    "Redis is a read-only replica": {EVERYTHING: Fault.NOT_LOGGED},
    "dockerapi container stopped": {EVERYTHING: Fault.DOCKERAPI_500},
    "php-fpm stopped": {EVERYTHING: Fault.HTML_502},
    "php-fpm back": {},
    "database schema older": {},
    "the same with a write as first request": {EVERYTHING: Fault.UPGRADED},
    "database there but without any table": {EVERYTHING: Fault.EMPTY_PAGE},
    "restored": {},
}
"""The outage that a recording's note speaks of, as faults of the simulated mailcow."""


def before_outage(mailcow: SimulatedMailcow, exchange: Exchange) -> None:
    """The outage that the note speaks of is there, and no other."""
    note = exchange["note"]
    (faults,) = (faults for start, faults in OUTAGES.items() if note.startswith(start))
    mailcow.heal()
    for route, fault in faults.items():
        mailcow.fail(route, fault)
    if note.startswith("table domain empty"):
        mailcow.hide_domains()
    else:
        mailcow.show_domains()


def unchanged(_: SimulatedMailcow, __: Exchange) -> None:
    """Nobody did anything in between."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Recordings that build on each other, how they began, and what was done before each exchange."""

    names: tuple[str, ...]
    prepare: Callable[[SimulatedMailcow], None] = nothing
    before: Callable[[SimulatedMailcow, Exchange], None] = unchanged
    version: str | None = None
    http_redirect: bool = False


def scenes() -> list[Scene]:
    """Every recording, each in one scene."""
    found = [
        Scene(("native/mta-sts-add",), names_for_adding, before_adding),
        Scene(("native/mta-sts-edit",), table_before_edits("native/mta-sts-edit")),
        Scene(
            ("native/mta-sts-edit-without-version",),
            table_before_edits("native/mta-sts-edit-without-version"),
        ),
        Scene(("native/mta-sts-corner-cases",), corner_cases),
        Scene(("native/mta-sts-read-and-delete",), read_and_delete),
        Scene(("native/policy-serving",), policy_hosts),
        Scene(("native/policy-readback",), readback),
        Scene(("native/first-native-version-2025-09",), first_native, version="2025-09"),
        Scene(("file/mta-sts",), one_domain),
        Scene(("file/policy-serving",), nothing, before_file),
    ]
    for kind in ("file", "native"):
        name = f"{kind}/domain-listing-other-routes"
        found += [
            Scene((f"{kind}/domains", f"{kind}/domain-edit-delete", f"{kind}/alias-domains")),
            Scene((f"{kind}/authentication",), first_list(f"{kind}/authentication"), before_authentication),
            Scene((f"{kind}/session-cookies",), one_domain),
            Scene((f"{kind}/malformed-and-odd",), first_list(f"{kind}/malformed-and-odd")),
            Scene((f"{kind}/status-version",), nothing, before_version),
            Scene((f"{kind}/http-redirect",), one_policy, keep_file_time, http_redirect=True),
            Scene((name,), first_list(name, "alias.example", "aliasoff.example")),
        ]
        for failure in ("failure-database", "failure-redis", "failure-start"):
            name = f"{kind}/{failure}"
            found.append(Scene((name,), outage(name), before_outage))
    return found
