"""How the sidecar gets access to mailcow's API automatically: which key it uses, and what is missing; pure.

Rules for every editor. Nothing of a person's is removed or replaced: an address is only ever added, a key is only
ever inserted where there is no read-write key at all (mailcow's page knows one, and two would break it), and a key
that is switched off stays off. A key that a person set (MTA_STS_API_KEY) is used and no other.
mailcow's own reading: `sessions.inc.php` and `ip_acl` for the database, php-fpm's entrypoint for mailcow.conf.
"""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias, assert_never

from pydantic import SecretStr

from sidecar.formats.dotenv import has_spaces
from sidecar.observed import NOT_ASKED, Conf, Observed, Seen, Sight
from sidecar.observed.mailcow import Access, ApiKey
from sidecar.observed.notice import Level, Notice, NoticeCode
from sidecar.plan.actions import API_SUBJECT, AllowAccess, CreateKey, KeyChange, Plan, WidenKey
from sidecar.settings import Settings

API_KEY = "API_KEY"
READ_ONLY = "API_KEY_READ_ONLY"
ALLOW_FROM = "API_ALLOW_FROM"
OWN_KEY = "MTA_STS_API_KEY"
PAGE = "mailcow's page (System > Configuration > Access > API)"

UNSET = "invalid"
"""What mailcow's Compose file gives for an API setting without a value: php-fpm-mailcow takes it as none."""
LONGEST_LIST = 512
"""Characters of an allow list: the column is VARCHAR(512)."""

_RANGE = re.compile(r"[0-9.]+(/[0-9]{1,2})?")
"""mailcow drops a netmask that is written out, and an entry with a space in front of it."""
_TAKEN_BY_MAILCOW = re.compile(
    r"([0-9a-fA-F]{0,4}:){1,7}[0-9a-fA-F]{0,4}(/\d{1,3})?|[0-9]+(\.[0-9]+){3}(/\d{1,2})?"
)
_STORED_SEPARATORS = re.compile(r"[ ,;\n]")
_NOT_IN_A_KEY = re.compile(r"[^A-Za-z0-9-]")


# --- what there is to do -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Blocked:
    """Why the sidecar cannot get access automatically, and what a person can do."""

    reason: str
    remedy: str


AccessStep: TypeAlias = AllowAccess | Blocked | None


def plan_access(observed: Observed, settings: Settings) -> Plan:
    """The action that gives access to mailcow's API, or what keeps the sidecar from it; nothing where all is well."""
    if not isinstance(observed.conf, Seen):
        return Plan()
    conf = observed.conf.value
    match access_step(conf, observed.access, observed.address, own_key(settings, conf)):
        case AllowAccess() as action:
            return Plan(actions=(action,))
        case Blocked(reason, remedy):
            lost = isinstance(observed.access, Seen)
            level = Level.ERROR if lost else Level.WARNING
            return Plan(notices=(Notice(level, NoticeCode.API_BLOCKED, API_SUBJECT, reason, remedy),))
        case None:
            if isinstance(observed.access, Seen) or observed.access is NOT_ASKED:
                return Plan()
            message = (
                f"the sidecar cannot get access to mailcow's API automatically: {observed.access.reason}"
            )
            todo = f"create a read-write key in {PAGE}, allow the sidecar's address there, and set {OWN_KEY} in mailcow.conf"
            return Plan(notices=(Notice(Level.WARNING, NoticeCode.API_UNSEEN, API_SUBJECT, message, todo),))


def access_step(
    conf: Conf, access: Sight[Access], address: Sight[str], own_key: SecretStr | None
) -> AccessStep:
    """What is to be done for access to the API; None where nothing is.

    `access` is Seen only where mailcow gave none. `own_key` is MTA_STS_API_KEY where that is not the API_KEY of
    mailcow.conf.
    """
    if not isinstance(address, Seen):
        return None
    own = address.value
    change = _key_change(access.value, own_key) if isinstance(access, Seen) else None
    if isinstance(change, Blocked):
        return change
    in_conf = own_key is None and follows_conf(conf.values) and not conf_allows(conf.values, own)
    hindrance: Blocked | None = None
    if in_conf and conf.locked is not None:
        hindrance = Blocked(conf.locked, f"add {own} to {ALLOW_FROM} in mailcow.conf")
    elif in_conf and not fits(f"{given(conf.values, ALLOW_FROM)},{own}"):
        # php-fpm-mailcow deletes the key before it inserts it with this list.
        hindrance = Blocked(
            f"{ALLOW_FROM} is full ({LONGEST_LIST} characters), so {own} cannot be added",
            f"in mailcow.conf, replace entries of {ALLOW_FROM} by a network that holds them, and add {own}",
        )
    if hindrance is not None and change is None:
        return Blocked(
            f"mailcow.conf does not allow {own} to use the API after the next start of php-fpm-mailcow, and "
            f"cannot be changed: {hindrance.reason}",
            hindrance.remedy,
        )
    in_conf = in_conf and hindrance is None
    if change is None and not in_conf:
        return None
    return AllowAccess(own, change, in_conf, _reason(own, change, in_conf=in_conf))


def _key_change(access: Access, own_key: SecretStr | None) -> KeyChange | Blocked | None:
    """What the keys in mailcow's database lack, so that one of them gives access; None if one does."""
    if own_key is not None:
        rows = [row for row in access.keys if same_key(row.key, own_key)]
        if not rows:
            return Blocked(
                f"mailcow has no API key like the one in {OWN_KEY}",
                f"set {OWN_KEY} to a read-write key of {PAGE}; or remove it, and the sidecar uses the key that is there",
            )
    else:
        rows = [row for row in access.keys if row.writes]
        if not rows:
            return CreateKey()
    active = [row for row in rows if row.active]
    if not active:
        return Blocked(
            "the read-write key of mailcow's API is switched off; it is left so",
            f"activate the read-write API in {PAGE}",
        )
    if any(lets_in(row, access.address) for row in active):
        return None
    row, address = active[0], access.address
    listed = row.allowed.rstrip(" ,;\n")
    allowed = f"{listed},{address}" if listed else address
    if not fits(allowed):
        return Blocked(
            f"the allow list of mailcow's API key is full ({LONGEST_LIST} characters), so {address} cannot be added",
            f"in {PAGE}, replace entries by a network that holds them, and add {address}",
        )
    return WidenKey(row, allowed)


def _reason(address: str, change: KeyChange | None, *, in_conf: bool) -> str:
    also = (
        f", and to {ALLOW_FROM} in mailcow.conf, from where php-fpm-mailcow copies it when it starts"
        if in_conf
        else ""
    )
    match change:
        case CreateKey():
            return (
                f"mailcow's API has no read-write key: one is made that may be used from {address} alone"
                + (f"; {address} is added to {ALLOW_FROM} in mailcow.conf, too" if in_conf else "")
            )
        case WidenKey():
            return (
                f"mailcow's API key may not be used from {address}: it is added to the key's allow list{also}"
            )
        case None:
            return (
                f"{ALLOW_FROM} in mailcow.conf lacks {address}: without it, the sidecar loses its access when "
                "php-fpm-mailcow restarts"
            )
        case _:
            assert_never(change)


# --- how mailcow reads it ----------------------------------------------------------------------------------


def usable_key(access: Access, own_key: SecretStr | None = None) -> SecretStr | None:
    """The key that gives access now; with `own_key` that one alone."""
    for row in access.keys:
        wanted = row.writes if own_key is None else same_key(row.key, own_key)
        if wanted and row.active and lets_in(row, access.address):
            return row.key
    return None


def same_key(one: SecretStr, other: SecretStr) -> bool:
    """Whether two keys are one to mailcow: it takes out other characters, and case does not count."""
    first, second = (_NOT_IN_A_KEY.sub("", key.get_secret_value()).lower() for key in (one, other))
    return first == second


def lets_in(row: ApiKey, address: str) -> bool:
    """Whether the allow list of a row lets an IPv4 address in."""
    entries = (entry.strip() for entry in _STORED_SEPARATORS.split(row.allowed))
    return row.any_address or any(covers(entry, address) for entry in entries)


def fits(allowed: str) -> bool:
    """Whether mailcow's database takes an allow list whole. A list that is cut ends with another address."""
    return len(allowed) <= LONGEST_LIST


def given(values: Mapping[str, str], key: str) -> str:
    """The value of an API setting in mailcow.conf as mailcow takes it; empty for none."""
    value = values.get(key, "").strip()
    return "" if value == UNSET else value


def follows_conf(values: Mapping[str, str]) -> bool:
    """Whether php-fpm-mailcow rewrites the read-write key from mailcow.conf when it starts.

    It does so only with an API_KEY and at least one address. A first address would therefore replace a key that a
    person made in mailcow's page: none is added then.
    """
    entries = values.get(ALLOW_FROM, "").split(",")
    return bool(given(values, API_KEY)) and any(_TAKEN_BY_MAILCOW.fullmatch(entry) for entry in entries)


def conf_allows(values: Mapping[str, str], address: str) -> bool:
    """Whether API_ALLOW_FROM lets this IPv4 address in, as mailcow reads it: split on commas alone."""
    listed = given(values, ALLOW_FROM)
    return not has_spaces(listed) and any(covers(entry, address) for entry in listed.split(","))


def covers(entry: str, address: str) -> bool:
    """Whether an entry of an allow list, an IPv4 address or network, has `address` in it."""
    if not _RANGE.fullmatch(entry):
        return False
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return False


def own_key(settings: Settings, conf: Conf) -> SecretStr | None:
    """MTA_STS_API_KEY, where it is not the API_KEY of mailcow.conf: the settings have either."""
    key = settings.api_key
    if key is None or key.get_secret_value() == conf.values.get(API_KEY, "").strip():
        return None
    return key
