"""What is known about the domains whose DNS records are published, from one picture of the world; pure.

Rule for every editor: only what was observed since the present policy began to be served is evidence. An observation
of an earlier policy proves nothing about this one.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sidecar.dns.publish.port import within
from sidecar.formats.domain_name import policy_host
from sidecar.formats.mtasts_policy import Mode, policy_of
from sidecar.observed import FILE, LARGE_DNS_PLAN, DomainList, Observed, Seen, Served, Sight, Unseen
from sidecar.observed.checks import ConditionType, Status
from sidecar.observed.memory import ended_ago
from sidecar.observed.record_sets import FoundSets, Key, NameObservation, RecordObservations, RecordType
from sidecar.plan import policy_ids
from sidecar.plan.acme.names import scene
from sidecar.plan.acme.script import covered
from sidecar.plan.ownership import LEAST_ASSUMED_MAX_AGE, held_for, longest_max_age
from sidecar.plan.publish.names import PREFIXES, names, owner, shared_base
from sidecar.plan.publish.order import expires_at
from sidecar.plan.publish.values import (
    Facts,
    Leaving,
    Picture,
    PublishedDomain,
    RecordEvidence,
    RecordPlace,
    Role,
    Unplaced,
)
from sidecar.plan.records import MailDomain, mail_domains
from sidecar.plan.report_route import report_uri
from sidecar.rollout.evidence import conditions_of
from sidecar.settings import Settings
from sidecar.settings.dns import Publish, Scheme


def publishes(settings: Settings) -> bool:
    """Whether DNS records are published, or it is shown what would be."""
    return settings.dns.publish is not Publish.OFF and bool(settings.dns.accounts)


def picture_of(observed: Observed, settings: Settings) -> Picture | None:
    """All that a plan of DNS records is made from; None where nothing is published, or mailcow was not seen."""
    if not publishes(settings) or not isinstance(observed.mailcow, Seen):
        return None
    if not isinstance(observed.domains, Seen) or not isinstance(observed.conf, Seen):
        return None
    hostname, listed = observed.conf.value.hostname, observed.domains.value
    if not hostname:
        return None
    own = observed.dns.addresses_of(hostname)
    known = [domain.name for domain in listed.domains] + [alias.name for alias in listed.aliases]
    facts = Facts(
        hostname,
        own.value.addresses or None if isinstance(own, Seen) else None,
        report_uri(observed, settings),
        settings.dns.publish,
        settings.dns.scheme,
        settings.dns.host,
        shared_base(hostname, known) if settings.dns.scheme is Scheme.SHARED else "",
        settings.dns.ttl,
        settings.dns.settled_ttl,
        any_report=settings.tls_report is None,
    )
    return Picture(
        observed.now,
        facts,
        _domains(observed, settings, listed, facts),
        FoundSets(observed.records),
        _Places(observed.records),
        observed.memory.published,
        observed.records.accounts,
        LARGE_DNS_PLAN in observed.memory.let_through,
    )


def writes(settings: Settings) -> bool:
    """Whether DNS records are really written."""
    return publishes(settings) and settings.dns.publish is not Publish.DRY_RUN and not settings.dry_run


def wanted_names(picture: Picture) -> tuple[str, ...]:
    """All names that are read in the DNS."""
    return names((domain.name for domain in picture.domains), picture.facts)


def awaits_a_check(domain: PublishedDomain) -> bool:
    """Whether nothing but a sender check stands between a policy and its id."""
    if domain.leaving is not None:
        return domain.leaving.none_verified is None
    evidence = domain.evidence
    return (
        domain.id is not None
        and evidence.address_visible is True
        and evidence.certificate is True
        and evidence.policy_verified is not True
    )


class _Places(Mapping[str, RecordPlace | Unplaced]):
    """Computed when asked for; one zone is one place, however many names lie in it."""

    def __init__(self, looks: RecordObservations) -> None:
        self._looks = looks
        self._known: dict[str, RecordPlace] = {}

    def __getitem__(self, name: str) -> RecordPlace | Unplaced:
        look = self._looks.names[name]
        if isinstance(look.zone, Seen) and look.zone.value in self._known:
            return self._known[look.zone.value]
        found = place(name, look.zone, self._looks.zones)
        if isinstance(found, RecordPlace):
            self._known[found.zone] = found
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._looks.names)

    def __len__(self) -> int:
        return len(self._looks.names)


# --- the domains ------------------------------------------------------------------------------------------


def _domains(
    observed: Observed, settings: Settings, listed: DomainList, facts: Facts
) -> tuple[PublishedDomain, ...]:
    """Those that need records, and those that have left and whose records are still known to be ours."""
    mail = mail_domains(observed, settings)
    found = scene(observed)
    judge = _EvidenceJudge(observed, settings, facts, None if isinstance(found, str) else found.held)
    staying = tuple(domain.name for domain in mail)
    left_over = {key.name for key in observed.memory.published}.difference(names(staying, facts))
    gone = {domain_of(Key(name, RecordType.TXT)) for name in left_over} - {*staying, facts.shared_base}
    gone -= _pointed_to(observed) if gone else frozenset()
    targets = listed.targets if gone else {}
    left = [
        MailDomain(name, target, leaving=True)
        for name in sorted(gone)
        if settings.manages(name)
        # An alias domain of a domain that is not managed is left alone like it: its policy is still served.
        if (target := targets.get(name)) is None or settings.manages(target)
    ]
    return tuple(judge.domain(one) for one in (*mail, *left))


def _pointed_to(observed: Observed) -> frozenset[str]:
    """The domains whose records our own CNAMEs lead to (`dns.scheme: shared`), or may lead to where they were not seen.

    They stay until the last CNAME is gone or leads elsewhere: the host may have another name, or the scheme is another.
    """
    ends: set[str] = set()
    for key, entry in observed.memory.published.items():
        if key.type is not RecordType.CNAME or key.name.startswith(f"{PREFIXES[Role.HOST]}."):
            continue
        found = observed.records.of(key.name).found
        if isinstance(found, Seen):
            ends.update(value for type_, one in found.value if type_ is key.type for value in one.values)
        else:
            ends.update(value for values in entry.published for value in values)
    return frozenset(domain_of(Key(end, RecordType.TXT)) for end in ends)


def domain_of(key: Key) -> str:
    """The domain that a published record set is of."""
    for prefix in PREFIXES.values():
        if key.name.startswith(f"{prefix}."):
            return key.name[len(prefix) + 1 :]
    return key.name


@dataclass(frozen=True, slots=True)
class _EvidenceJudge:
    observed: Observed
    settings: Settings
    facts: Facts
    certified: frozenset[str] | None
    """The names in the certificates that nginx presents; None: not seen."""

    def domain(self, mail: MailDomain) -> PublishedDomain:
        # A domain that mailcow does not have any more is served nothing of its own.
        known = mail.name in self.observed.served or mail.target is not None or self.observed.one_file
        served: Sight[Served] = (
            policy_ids.served_to(self.observed, mail.name, mail.target)
            if known or not mail.leaving
            else Seen(Served(None), self.observed.now)
        )
        text = served.value.text if isinstance(served, Seen) else None
        verified = self._verified(mail, text)
        policy = policy_of(text)
        id_ = policy_ids.current(self.observed, mail.name, mail.target) if text is not None else None
        if mail.leaving:
            none = policy is not None and policy.mode is Mode.NONE
            leaving = Leaving(verified if none else False, self._expires(mail, served, id_))
            return PublishedDomain(mail.name, id_, leaving=leaving)
        host = policy_host(mail.name)
        certificate = None if self.certified is None else covered(host, self.certified)
        evidence = RecordEvidence(self._visible(host), certificate, verified)
        settled = policy is not None and (
            policy.mode is Mode.ENFORCE or not self.settings.for_domain(mail.target or mail.name).auto
        )
        return PublishedDomain(mail.name, id_, evidence, settled=settled)

    # --- evidence -------------------------------------------------------------------------------------

    def _verified(self, mail: MailDomain, text: str | None) -> bool | None:
        """Whether a sender check since the present text began to be served found the policy as it is meant.

        An alias domain is served what its target is, by the same server; its own address and certificate are evidence of
        their own.
        """
        name, memory = mail.target or mail.name, self.observed.memory
        record, spans = memory.checks.get(name), memory.policy(self.observed.policy_key(name)).spans
        if text is None or record is None or not spans or spans[-1].text != text:
            return None
        if record.at <= spans[-1].since:
            return None
        if self.observed.one_file:
            status = conditions_of(record.findings)[ConditionType.POLICY_SERVED].status
        else:
            status = memory.rollout(name).status(ConditionType.POLICY_SERVED)
        return {Status.TRUE: True, Status.FALSE: False}.get(status)

    def _visible(self, host: str) -> bool | None:
        """Whether every authoritative server leads senders to this mail host; by the resolver where no account serves it."""
        if host == self.facts.hostname:
            return True
        look = self.observed.records.of(host)
        if look.account is not None:
            return leads_here(look, self.facts)
        found = self.observed.dns.addresses_of(host)
        own = self.observed.dns.addresses_of(self.facts.hostname)
        if not isinstance(found, Seen):
            return None
        if not found.value.addresses:
            return False
        return found.value.addresses <= own.value.addresses if isinstance(own, Seen) else None

    # --- leaving --------------------------------------------------------------------------------------

    def _expires(self, mail: MailDomain, served: Sight[Served], id_: str | None) -> float | None:
        """From when no sender holds a policy (Unix time); None if it is not known yet."""
        observed, memory = self.observed, self.observed.memory
        if not isinstance(served, Seen):
            return None
        key = observed.policy_key(mail.name, mail.target)
        configured = self.settings.for_domain(mail.target or mail.name).max_age
        policy = policy_of(served.value.text)
        if policy is None:
            spans, assumed = memory.policy(key).spans, max(configured, LEAST_ASSUMED_MAX_AGE)
            if spans or memory.policy(FILE).spans:
                held = held_for(memory, key, assumed)
            else:
                # Without any history, counted from the beginning of the state.
                held = max(0.0, assumed - memory.counted)
            # A policy that is missing for a short time may be a mistake in mailcow's answer: that removes nothing.
            last = next((span for span in reversed(spans) if span.text is not None), None)
            doubt = self.settings.intervals.doubt_seconds
            doubted = 0.0 if last is None else max(0.0, doubt - ended_ago(last, memory.counted))
            return observed.now + max(held, doubted)
        if policy.mode is not Mode.NONE or id_ is None:
            return None  # the one file goes on serving others
        entry = memory.published.get(Key(owner(Role.ID, mail.name), RecordType.TXT))
        out = entry is not None and entry.published[-1] == (policy_ids.record_of(id_),)
        longest = longest_max_age(memory.policy(key), configured)
        return expires_at(entry.at if entry is not None and out else None, [longest])


def leads_here(look: NameObservation, facts: Facts) -> bool | None:
    """Whether all authoritative servers have an address of this mail host; None where one of them gave no answer."""
    say = look.servers
    if say is None or say.silent or not say.answers:
        return None
    return all(
        answer == (f"{RecordType.CNAME} {facts.hostname}",)
        or (bool(answer) and facts.addresses is not None and set(answer) <= facts.addresses)
        for answer in say.answers
    )


def place(name: str, zone: Sight[str], zones: Mapping[str, Sight[tuple[str, ...]]]) -> RecordPlace | Unplaced:
    """Which account writes a name: the one that serves the zone in which the name lies by its SOA record.

    A record in a zone that the name was delegated away from is seen by nobody. So both must be the same zone, and while
    the SOA is not known nothing is written. `zone` is the one by SOA, `zones` what each account serves; of several
    accounts the first in the settings counts.
    """
    if not zones:
        return Unplaced("there is no DNS account", known=True)
    if isinstance(zone, Unseen):
        return Unplaced(f"the zone of {name} is not known: {zone.reason}", known=False)
    serving = [
        account for account, found in zones.items() if isinstance(found, Seen) and zone.value in found.value
    ]
    if serving:
        return RecordPlace(serving[0], zone.value)
    silent = {account: found.reason for account, found in zones.items() if isinstance(found, Unseen)}
    if silent:
        account, reason = next(iter(silent.items()))
        return Unplaced(f"it is not known which zones the account {account} serves: {reason}", known=False)
    above = sorted(
        listed
        for found in zones.values()
        if isinstance(found, Seen)
        for listed in found.value
        if within(name, listed)
    )
    if above:
        return Unplaced(
            f"{name} lies in the zone {zone.value}, which no account serves (only {above[-1]} above or below it)",
            known=True,
        )
    return Unplaced(f"no account serves the zone {zone.value}", known=True)
