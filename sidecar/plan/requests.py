"""What a person may ask for on the command line or the page (adopt, retire, move-mx): whether it can be done, and when; pure.

Rule for every editor: only what is known to be wrong is refused. If mailcow was not observed yet, the request is stored, and
the next pass decides. Nothing is stored here.
"""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sidecar.formats.domain_name import to_unicode
from sidecar.formats.mtasts_policy import is_mx_pattern
from sidecar.observed import FILE, Backend, DomainList, Memory, Observed, Seen
from sidecar.observed.words import command
from sidecar.plan.ownership import LEAST_ASSUMED_MAX_AGE, held_for
from sidecar.plan.publish.names import owner
from sidecar.plan.publish.picture import publishes
from sidecar.plan.publish.values import Role
from sidecar.settings import Settings
from sidecar.settings.dns import Scheme


@dataclass(frozen=True, slots=True)
class RequestRefusal:
    """Why a request is refused, and what to do instead."""

    reason: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.reason}; {self.remedy}" if self.remedy else self.reason


@dataclass(frozen=True, slots=True)
class Basis:
    """The facts by which requests are judged; None: not observed yet."""

    memory: Memory
    settings: Settings
    listed: DomainList | None
    backend: Backend | None

    @classmethod
    def remembered(cls, memory: Memory, settings: Settings) -> "Basis":
        """The facts that the running sidecar has stored: for commands, which do not ask mailcow."""
        return cls(memory, settings, memory.believed, _backend_in(memory))

    @classmethod
    def seen(cls, observed: Observed, settings: Settings) -> "Basis":
        """The facts that the last pass observed: for the page."""
        listed = observed.domains.value if isinstance(observed.domains, Seen) else observed.memory.believed
        backend = (
            observed.mailcow.value.backend
            if isinstance(observed.mailcow, Seen)
            else _backend_in(observed.memory)
        )
        return cls(observed.memory, settings, listed, backend)

    @property
    def domains(self) -> frozenset[str] | None:
        """Domains that have a policy of their own; alias domains do not."""
        if self.listed is None:
            return None
        return self.memory.newcomers.union(domain.name for domain in self.listed.domains)


# --- whether it can be done ------------------------------------------------------------------------------


def adopt_refusal(keys: Sequence[str], basis: Basis) -> RequestRefusal | None:
    """Why these policies (domains, `FILE`) cannot be adopted; None if they can."""
    if not keys:
        return RequestRefusal("name the domains to adopt, or --file for the policy file")
    if basis.backend is Backend.FILE and any(key != FILE for key in keys):
        return RequestRefusal("this mailcow serves one policy file for all domains", command("adopt --file"))
    if basis.backend is Backend.NATIVE and FILE in keys:
        return RequestRefusal(
            "this mailcow serves a policy for each domain, and no policy file",
            f"name the domains: {command('adopt DOMAIN')}",
        )
    return _unfit([key for key in keys if key != FILE], basis)


def adopt_records_refusal(names: Sequence[str], basis: Basis) -> RequestRefusal | None:
    """Why the DNS records at these names cannot be adopted; None where they can."""
    if not publishes(basis.settings):
        return RequestRefusal(
            "the sidecar does not publish DNS records",
            "set `dns.publish` and `dns.accounts` in config.yml first",
        )
    for name in names:
        domain = record_domain(name)
        if domain is None:
            forms = ", ".join(owner(role, "DOMAIN") for role in Role)
            return RequestRefusal(
                f"{name} is not the name of a record that the sidecar publishes", f"name {forms}"
            )
        if basis.listed is None or basis.settings.dns.scheme is Scheme.SHARED:
            continue  # shared records may stand at a domain above the mail domains
        if domain not in basis.memory.names | basis.listed.names:
            return RequestRefusal(not_of_this_mailcow([domain], basis.listed.names))
    return None


def record_domain(name: str) -> str | None:
    """The domain whose record stands at this name; None for any other name."""
    for role in Role:
        prefix = owner(role, "")
        if name.startswith(prefix) and len(name) > len(prefix):
            return name[len(prefix) :]
    return None


def retire_refusal(keys: Sequence[str], basis: Basis, *, undo: bool) -> RequestRefusal | None:
    """Why these (domains; `FILE`: all) cannot be retired, or that undone (`undo`); None if they can."""
    if undo:
        retired = basis.memory.retired
        if FILE in keys:
            return None if retired else RequestRefusal("nothing was retired, so there is nothing to undo")
        if FILE in retired:
            remedy = f"to undo that: {command('retire --undo --all')}"
            return RequestRefusal("all domains were retired together", remedy)
        if not (never := [key for key in keys if key not in retired]):
            return None
        was = "was" if len(never) == 1 else "were"
        names = ", ".join(map(to_unicode, never))
        guess = did_you_mean(never, retired)
        return RequestRefusal(f"{names} {was} never retired, so there is nothing to undo{guess}")
    if basis.backend is Backend.FILE and FILE not in keys:
        return RequestRefusal(
            "this mailcow serves one policy file for all domains",
            f"{command('retire --all')}, or `exclude` in config.yml for a domain that should no longer count",
        )
    return _unfit([key for key in keys if key != FILE], basis, strict=True)


def move_refusal(host: str, keys: Sequence[str], basis: Basis) -> RequestRefusal | None:
    """Why these (domains; `FILE`: all) cannot move to the MX `host`; None if they can."""
    if not is_mx_pattern(host):
        return RequestRefusal(f"{host!r} is not a host name that an MX record may have")
    return _unfit([key for key in keys if key != FILE], basis, strict=True)


def _unfit(names: Sequence[str], basis: Basis, *, strict: bool = False) -> RequestRefusal | None:
    """The first reason why the sidecar does not manage one of these domains.

    `strict`: before mailcow was first observed, no domain is known to be managed.
    """
    domains = basis.domains
    if domains is None:
        if strict and names:
            return RequestRefusal(
                "the sidecar has not read the domains of this mailcow yet", f"see {command('status')}"
            )
        return None
    targets = basis.listed.targets if basis.listed else {}
    if unknown := [name for name in names if name not in domains and name not in targets]:
        return RequestRefusal(not_of_this_mailcow(unknown, domains | targets.keys()))
    for name in names:
        if name in targets and name not in domains:
            return RequestRefusal(
                f"{to_unicode(name)} is an alias domain, which has no policy of its own",
                f"name its domain: {to_unicode(targets[name])}",
            )
        if not basis.settings.manages(name):
            key = "`exclude`" if name in basis.settings.exclude else "`only`"
            return RequestRefusal(
                f"the sidecar does not manage {to_unicode(name)}", f"change {key} in config.yml first"
            )
    return None


# --- when ------------------------------------------------------------------------------------------------


def held_by_senders_s(key: str, basis: Basis) -> float:
    """For how many more seconds senders may apply a policy in enforce of a domain (`FILE`: of any); 0: none can."""
    memory, settings = basis.memory, basis.settings
    keys = [k for k in memory.policies if k != FILE] or [FILE] if key == FILE else [key]
    least = max(settings.max_age, LEAST_ASSUMED_MAX_AGE)
    return max(held_for(memory, k, max(least, settings.for_domain(k).max_age)) for k in keys)


# --- names -----------------------------------------------------------------------------------------------


def not_of_this_mailcow(unknown: Sequence[str], known: Iterable[str]) -> str:
    """The sentence about names that mailcow does not have."""
    what = "is not a domain" if len(unknown) == 1 else "are not domains"
    names = ", ".join(map(to_unicode, unknown))
    return f"{names} {what} of this mailcow{did_you_mean(unknown, known)}"


def did_you_mean(names: Iterable[str], known: Iterable[str]) -> str:
    """The nearest known names as the rest of a sentence, each once; empty if none is similar."""
    readable = [to_unicode(name) for name in known]
    near = [difflib.get_close_matches(to_unicode(name), readable, n=1, cutoff=0.75) for name in names]
    meant = dict.fromkeys(found[0] for found in near if found)
    return f"; did you mean {', '.join(meant)}?" if meant else ""


def _backend_in(memory: Memory) -> Backend | None:
    """The generation that the last pass observed: only a policy that is still served has an open span."""
    now = {key for key, policy in memory.policies.items() if policy.open is not None}
    if FILE in now:
        return Backend.FILE
    return Backend.NATIVE if now else None
