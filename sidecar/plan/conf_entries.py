"""The two SAN settings of mailcow.conf: which entries are added and which are removed; pure.

Rule for every editor: an entry that the sidecar did not add is never removed, and nothing is removed because
an answer is missing.
"""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from sidecar.formats.domain_name import policy_host
from sidecar.formats.dotenv import ListEdit, has_comment, has_spaces, has_trailing_spaces, items
from sidecar.formats.mtasts_policy import Mode
from sidecar.observed import Backend, Conf, ConfEntry, ConfEvent, DomainList, Mailcow, Observed, Seen
from sidecar.observed.notice import Level, Notice, NoticeCode
from sidecar.observed.words import some
from sidecar.plan.acme.names import with_policy
from sidecar.plan.actions import EditConf, Hold, Plan
from sidecar.plan.desired_policies.policy import receiving
from sidecar.plan.ownership import served_mode
from sidecar.settings import Settings

SAN = "ADDITIONAL_SAN"
SERVER_NAMES = "ADDITIONAL_SERVER_NAMES"
KEYS = (SAN, SERVER_NAMES)
WILDCARD = "mta-sts.*"
INSISTING_S = 3_600
"""An entry removed twice within this many seconds was removed on purpose."""


Entries: TypeAlias = Mapping[str, tuple[str, ...]]
"""By key."""
NO_ENTRIES: Entries = {SAN: (), SERVER_NAMES: ()}


def wanted_entries(
    observed: Observed, settings: Settings, conf: Conf, mailcow: Mailcow, listed: DomainList
) -> Entries:
    """The entries that each key should have, besides those of the administrator."""
    domains = receiving(listed, settings)
    if mailcow.names_follow_policies:
        active = with_policy(observed)
        domains = [
            name for name in domains if name in active and served_mode(observed, name) is not Mode.NONE
        ]
    targets = frozenset(domains)
    aliases = [
        a.name for a in listed.aliases if a.active and a.target in targets and settings.manages(a.name)
    ]
    return _entries(mailcow, conf, domains, aliases)


def kept_entries(
    observed: Observed, settings: Settings, conf: Conf, mailcow: Mailcow, listed: DomainList
) -> Entries:
    """Entries that stay if they are there, though not needed: of unmanaged names and of names still served a policy."""
    active = with_policy(observed) if mailcow.names_follow_policies else frozenset()
    domains = [
        d.name for d in listed.domains if d.name in active or (d.receives and not settings.manages(d.name))
    ]
    targets = frozenset(domains)
    aliases = [
        a.name for a in listed.aliases if a.active and (a.target in targets or not settings.manages(a.name))
    ]
    return _entries(mailcow, conf, domains, aliases)


def _entries(mailcow: Mailcow, conf: Conf, domains: Sequence[str], aliases: Sequence[str]) -> Entries:
    """What these domains and alias domains need on this mailcow."""
    if mailcow.backend is Backend.NATIVE and conf.yes("AUTODISCOVER_SAN", default="y"):
        return NO_ENTRIES
    alias_names = tuple(policy_host(name) for name in aliases) if mailcow.serves_alias_domains else ()
    if mailcow.names_follow_policies:
        return {SAN: (*(policy_host(name) for name in domains), *alias_names), SERVER_NAMES: ()}
    wildcard = (WILDCARD,) if domains else ()
    return {SAN: (*wildcard, *alias_names), SERVER_NAMES: wildcard}


def plan_entries(conf: Conf, observed: Observed, wanted: Entries, kept: Entries = NO_ENTRIES) -> Plan:
    """One edit of the file at most, for both keys; entries in `kept` are neither added nor removed."""
    edits: dict[str, ListEdit] = {}
    reasons: dict[str, str] = {}
    notices: list[Notice] = []

    def warn(code: NoticeCode, key: str, message: str, todo: str | None = None) -> None:
        notices.append(Notice(Level.WARNING, code, key, message, todo))

    for key in KEYS:
        value = conf.values.get(key, "")
        there = {entry.lower() for entry in items(value)}
        needed = {entry.lower() for entry in (*wanted[key], *kept[key])}
        history = [event for event in observed.memory.conf if event.key == key]
        missing = [entry for entry in wanted[key] if entry.lower() not in there]
        refused = [entry for entry in missing if _removed_on_purpose(history, entry)]
        add = tuple(entry for entry in missing if entry not in refused)
        remove = tuple(e for e in sorted(added_by_us(history)) if e in there and e not in needed)
        if refused:
            message = (
                f"{some(refused)} was removed from {key} twice within an hour, so the sidecar does not add it again: "
                "the certificate will lack these names"
            )
            todo = f"if you need it, add it to {key} in mailcow.conf yourself"
            warn(NoticeCode.CONF_STAYS_OUT, key, message, todo)
        if has_comment(value):
            message = f"{key}={value} has a # that Compose reads as part of the list, so the sidecar does not change it"
            todo = f"put a space before the # of {key} in mailcow.conf if a comment is meant; otherwise remove the #"
            warn(NoticeCode.CONF_COMMENT, key, message, todo)
            continue
        why: list[str] = []
        if add:
            why.append(f"{key} lacks {some(add)}")
        if remove:
            why.append(f"{key} no longer needs {some(remove)}, which the sidecar had added")
        if has_spaces(value):
            why.append(f"{key} has spaces, where mailcow splits on commas only")
            effect = "is separated by spaces, and mailcow reads it as one name: the sidecar replaces them by commas"
            warn(NoticeCode.CONF_SPACES, key, f"{key}={value} {effect}")
        elif key == SAN and has_trailing_spaces(value):
            # In ADDITIONAL_SERVER_NAMES it does no harm: nginx separates names by white space.
            why.append(f"{key} has spaces before a comma, which mailcow does not remove")
            effect = (
                "has spaces before a comma, and mailcow reads `prefix.* ` as a name: the sidecar removes them"
            )
            warn(NoticeCode.CONF_SPACES, key, f"{key}={value} {effect}")
        if why:
            edits[key] = ListEdit(add, remove)
            reasons[key] = "; ".join(why)
    if not edits:
        return Plan(notices=tuple(notices))
    return Plan((EditConf(edits, "; ".join(reasons.values()), reasons),), notices=tuple(notices))


def hold_conf(plan: Plan, observed: Observed, _settings: Settings) -> Plan:
    """A guard: no write is attempted on a file that cannot be written."""
    locked = observed.conf.value.locked if isinstance(observed.conf, Seen) else None
    if locked is None:
        return plan
    message = f"mailcow.conf cannot be written: {locked}"
    return plan.holding(
        lambda action: Hold(locked) if isinstance(action, EditConf) else None,
        lambda _: Notice(Level.ERROR, NoticeCode.CONF_LOCKED, "mailcow.conf", message),
    )


def added_by_us(history: Sequence[ConfEntry]) -> frozenset[str]:
    """The entries (lower-case) of one key that are in the file because the sidecar added them."""
    last: dict[str, ConfEvent] = {event.entry.lower(): event.event for event in history}
    return frozenset(e for e, what in last.items() if what in {ConfEvent.INTENDED, ConfEvent.ADDED})


def _removed_on_purpose(history: Sequence[ConfEntry], entry: str) -> bool:
    """Whether somebody else removed the entry twice within an hour, and it was not added again since."""
    events = [event for event in history if event.entry.lower() == entry.lower()]
    times = [event.at for event in events if event.event is ConfEvent.TAKEN_OUT]
    if len(times) < 2 or times[-1] - times[-2] > INSISTING_S:
        return False
    return events[-1].event is ConfEvent.TAKEN_OUT
