"""Reads this mailcow, the plan and the DNS of the domains, for the commands that only show.

Rule for every editor: nothing is changed here. Only policy ids are stored, because reading each one costs mailcow
seconds.
"""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from sidecar.cli.start import started
from sidecar.daemon.event_log import EventLog
from sidecar.daemon.wiring import assembled
from sidecar.formats.domain_name import to_ascii
from sidecar.host.errors import PermanentError, SidecarError
from sidecar.host.exits import Exit
from sidecar.observed import Observed, Seen
from sidecar.plan import policy_ids as policyid
from sidecar.plan.actions import Plan
from sidecar.plan.records import MailDomain, host_domain, mail_domains, questions, unknown_names
from sidecar.plan.requests import not_of_this_mailcow
from sidecar.reconcile.passes import PassReport
from sidecar.settings import Settings

MANY = 3
"""Number of policy ids (seconds each) from which the progress is shown."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """What was read; `domains` are the requested domains that need records, `names` all requested ones (None: all)."""

    observed: Observed
    plan: Plan
    settings: Settings
    names: tuple[str, ...] | None
    domains: tuple[MailDomain, ...] = ()
    id_trouble: Mapping[str, str] = field(default_factory=dict)

    @property
    def readable(self) -> bool:
        """Whether version and domains of mailcow and the host name in mailcow.conf are known."""
        observed = self.observed
        return PassReport(observed, self.plan, ()).readable and isinstance(observed.conf, Seen)


def names_of(domains: Iterable[str]) -> tuple[str, ...]:
    """The domains that a person typed, as A-labels; raises PermanentError."""
    try:
        return tuple(dict.fromkeys(to_ascii(domain) for domain in domains))
    except ValueError as error:
        raise PermanentError(str(error)) from error


async def look_at(
    domains: Sequence[str],
    env: Mapping[str, str],
    *,
    most_ids: int | None = None,
    accounts_s: float | None = None,
) -> Inspection:
    """Reads mailcow, and asks the DNS about these domains (none given: all).

    Reads the policy ids that are not known, unless there are more than `most_ids`. `accounts_s`: also reads the records
    at the DNS accounts, for at most so many seconds; None: does not. Raises PermanentError for unknown domains.
    """
    clock, settings = started(env)
    names = names_of(domains) or None
    async with assembled(settings, clock, env, EventLog(), patient=True) as parts:
        parts.session.whole_list_always = True
        if accounts_s is not None:
            parts.passes.publishing.activate(accounts_s)
        observed, plan = await parts.passes.look()
        seen = Inspection(observed, plan, settings, names)
        if not (seen.readable and isinstance(observed.domains, Seen) and isinstance(observed.conf, Seen)):
            return seen
        listed, hostname = observed.domains.value, observed.conf.value.hostname
        if unknown := unknown_names(listed, names or ()):
            raise PermanentError(not_of_this_mailcow(unknown, listed.names))
        every = mail_domains(observed, settings)
        host = host_domain(hostname, [domain.name for domain in every])
        # the host's domain first: other domains may point to its records
        every = tuple(sorted(every, key=lambda domain: (domain.name != host, domain.name)))
        chosen = tuple(domain for domain in every if names is None or domain.name in names)
        with_host = tuple(domain for domain in every if domain in chosen or domain.name == host)
        trouble: Mapping[str, str] = {}
        unread = policyid.unread(observed, {domain.target or domain.name for domain in with_host})
        if unread and (most_ids is None or len(unread) <= most_ids):
            found, trouble = await parts.passes.observer.ids.read(unread, _progress(len(unread)))
            with suppress(SidecarError):  # if it cannot be stored, it is read again next time
                parts.state.note_ids(found)
            observed = policyid.with_ids(observed, found)
        observed = await parts.passes.observer.look_up(
            observed, questions(hostname, [domain.name for domain in with_host])
        )
    return Inspection(observed, plan, settings, names, chosen, trouble)


def _progress(total: int) -> Callable[[int], None]:
    what = f"reading policy ids (a few seconds each where mailcow's database does not give them): {total}"
    live = sys.stderr.isatty()
    if total < MANY:
        return lambda _: None
    if not live:
        print(what, file=sys.stderr)
        return lambda _: None

    def show(done: int) -> None:
        end = "\n" if done == total else ""
        print(f"\r{what}, done: {done}", end=end, file=sys.stderr, flush=True)

    return show


def unreadable(look: Inspection) -> Exit:
    """Prints on standard error why nothing can be shown; returns the exit code for it."""
    print("mailcow could not be read", file=sys.stderr)
    for notice in dict.fromkeys(look.plan.notices):
        print(f"{notice.level}: {notice.message}", file=sys.stderr)
        if notice.todo:
            print(f"    {notice.todo}", file=sys.stderr)
    return Exit.UNREADABLE
