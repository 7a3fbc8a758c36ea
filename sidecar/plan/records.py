"""The DNS records that each domain needs for MTA-STS and TLSRPT, and what the DNS has instead; pure.

Rule for every editor: a record that could not be looked up is UNKNOWN, never missing. The `_mta-sts` record is shown
only once the policy is served (RFC 8461 §2.2: first the policy, then the id). `status/record_exports.py` writes records
as text.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sidecar.formats import tlsrpt_record as tlsrpt
from sidecar.formats.address import is_private
from sidecar.formats.domain_name import policy_host
from sidecar.formats.mtasts_policy import policy_of
from sidecar.formats.txt_fields import begins
from sidecar.observed import FILE, Backend, Conf, Dns, DomainList, Kind, Observed, Question, Seen, Txt, Unseen
from sidecar.plan import policy_ids as policyid
from sidecar.plan.acme.addresses import SETTING_UP_TTL
from sidecar.plan.acme.names import scene
from sidecar.plan.acme.script import covered
from sidecar.plan.elsewhere import left_elsewhere
from sidecar.plan.report_route import report_uri
from sidecar.settings import CONFIG, Settings
from sidecar.settings.reports import Receive

_ELSEWHERE = "the policy is served elsewhere, and is left alone"

SETTLED_TTL = 3_600
"""Seconds."""


class RecordState(StrEnum):
    """The state of a record in the DNS."""

    PRESENT = "present"
    MISSING = "missing"
    DIFFERENT = "different"
    UNKNOWN = "unknown"
    """The DNS gave no answer, or the right content of the record is not known."""
    NOT_YET = "not yet"
    """It is due once the policy is served."""
    NOT_SET = "not set"
    """The settings do not say what should be there."""


@dataclass(frozen=True, slots=True)
class DnsRecord:
    """A DNS record; names are A-labels without a final dot, `value` is a name or the text of a TXT record."""

    owner: str
    type: str
    """CNAME or TXT."""
    value: str


@dataclass(frozen=True, slots=True)
class RecordNeed:
    """One record of a domain: what it should be (None: not known yet, see `note`), and what the DNS has."""

    owner: str
    record: DnsRecord | None
    standing: RecordState
    note: str = ""
    found: str = ""
    """What the DNS has instead, or why it gave no answer."""

    @property
    def early(self) -> bool:
        """Whether it should be published later, as `note` says."""
        return self.standing is RecordState.MISSING and bool(self.note)

    @property
    def lacking(self) -> bool:
        """Whether somebody has to publish something now."""
        return self.standing in {RecordState.MISSING, RecordState.DIFFERENT} and not self.early


@dataclass(frozen=True, slots=True)
class MailDomain:
    """A domain or alias domain whose policy senders may fetch; `target` is given for an alias domain."""

    name: str
    target: str | None = None
    leaving: bool = False
    """It no longer receives mail here, or is being retired, but a policy is still served for it."""


@dataclass(frozen=True, slots=True)
class DomainRecords:
    """The records of one domain."""

    domain: MailDomain
    host: RecordNeed
    """mta-sts: the host from which senders fetch the policy."""
    id: RecordNeed
    """_mta-sts: says to senders that there is a policy, and when it has changed."""
    report: RecordNeed
    """_smtp._tls: the address to which senders send reports."""

    @property
    def needs(self) -> tuple[RecordNeed, RecordNeed, RecordNeed]:
        """All of them, in the order in which they are set up."""
        return self.host, self.id, self.report

    @property
    def ttl(self) -> int:
        """Seconds: short while the domain is being set up, so that caches soon forget a mistake."""
        settled = {RecordState.PRESENT, RecordState.NOT_SET}
        return SETTLED_TTL if all(need.standing in settled for need in self.needs) else SETTING_UP_TTL


# --- which domains ---------------------------------------------------------------------------------------


def mail_domains(observed: Observed, settings: Settings) -> tuple[MailDomain, ...]:
    """Domains that need records: managed ones that receive mail here or are still served a policy, and their aliases."""
    if not isinstance(observed.domains, Seen):
        return ()
    listed = observed.domains.value
    found: dict[str, MailDomain] = {}
    for domain in listed.domains:
        if not settings.manages(domain.name):
            continue
        stays = domain.receives and not retired(observed, domain.name)
        if not stays:
            # Its own row keeps a domain in the list. The file is served for any name, so it keeps only a domain that
            # receives mail here.
            served = policyid.served_to(observed, domain.name)
            still = isinstance(served, Seen) and served.value.text is not None
            if not still or (observed.one_file and not domain.receives):
                continue
        found[domain.name] = MailDomain(domain.name, leaving=not stays)
    aliases = [
        MailDomain(alias.name, alias.target, found[alias.target].leaving)
        for alias in listed.aliases
        if alias.active and alias.target in found and settings.manages(alias.name)
    ]
    return tuple(sorted((*found.values(), *aliases), key=lambda domain: domain.name))


def retired(observed: Observed, name: str) -> bool:
    """Whether a person is taking the domain out of MTA-STS (`sidecar retire`)."""
    return bool(observed.memory.retired & {name, FILE})


def host_domain(hostname: str, names: Iterable[str]) -> str | None:
    """The longest of `names` that MAILCOW_HOSTNAME is in; None if there is none."""
    over = [name for name in names if hostname == name or hostname.endswith(f".{name}")]
    return max(over, key=len, default=None)


def unknown_names(listed: DomainList, names: Collection[str]) -> list[str]:
    """Those of `names` that are not domains of this mailcow."""
    known = listed.names
    return [name for name in names if name not in known]


def questions(hostname: str, names: Iterable[str]) -> frozenset[Question]:
    """All DNS questions that are needed to judge the records of these domains, shared ones included."""
    asked = {Question(Kind.ADDRESSES, hostname)}
    for name in names:
        asked.add(Question(Kind.ADDRESSES, policy_host(name)))
        asked |= {Question(Kind.TXT, owner) for owner in (_id_owner(name), _report_owner(name))}
    return frozenset(asked)


def _id_owner(domain: str) -> str:
    return f"_mta-sts.{domain}"


def _report_owner(domain: str) -> str:
    return f"_smtp._tls.{domain}"


# --- which records ---------------------------------------------------------------------------------------


def needed(
    observed: Observed,
    settings: Settings,
    domains: Sequence[MailDomain],
    *,
    shared: bool | None = None,
    id_trouble: Callable[[str], str | None] = lambda _: None,
) -> tuple[DomainRecords, ...]:
    """The records of these domains; none if mailcow or mailcow.conf was not observed.

    `shared` None: the default of the generation. `id_trouble` says why the id of a domain is not known.
    """
    match observed.mailcow, observed.conf:
        case Seen(mailcow), Seen(conf) if conf.hostname:
            names = [domain.name for domain in mail_domains(observed, settings)]
            # By default domains share the records of the host's domain if one file has one id; native ids differ.
            share = mailcow.backend is Backend.FILE if shared is None else shared
            shared_by = host_domain(conf.hostname, names) if share else None
            found = scene(observed)
            certified = None if isinstance(found, str) else found.held
            judge = _Judge(observed, settings, conf, shared_by, certified, id_trouble)
            return tuple(judge.of(domain) for domain in domains)
        case _:
            return ()


@dataclass(frozen=True, slots=True)
class _Judge:
    observed: Observed
    settings: Settings
    conf: Conf
    shared_by: str | None
    certified: frozenset[str] | None
    """The names in the certificates that nginx presents; None: not seen."""
    id_trouble: Callable[[str], str | None]

    @property
    def dns(self) -> Dns:
        return self.observed.dns

    def of(self, domain: MailDomain) -> DomainRecords:
        return DomainRecords(domain, self._host(domain.name), self._id(domain), self._report(domain.name))

    def _host(self, name: str) -> RecordNeed:
        owner, hostname = policy_host(name), self.conf.hostname
        if left_elsewhere(self.observed, self.settings, name) is not None:
            return RecordNeed(owner, None, RecordState.PRESENT, _ELSEWHERE)
        if owner == hostname:
            note = "this is mailcow's own host name (MAILCOW_HOSTNAME)"
            return RecordNeed(owner, None, RecordState.PRESENT, note)
        record = DnsRecord(owner, "CNAME", hostname)
        seen, own = self.dns.addresses_of(owner), self.dns.addresses_of(hostname)
        if isinstance(seen, Unseen):
            return RecordNeed(owner, record, RecordState.UNKNOWN, found=seen.reason)
        there, end = seen.value.addresses, seen.value.cname
        if end is None and not there:
            return RecordNeed(owner, record, RecordState.MISSING)
        if end == hostname or (there and self.conf.yes("SKIP_IP_CHECK")):
            return RecordNeed(owner, record, RecordState.PRESENT)
        if isinstance(own, Unseen):
            return RecordNeed(owner, record, RecordState.UNKNOWN, found=own.reason)
        # `cname` is the end of a chain of aliases, also of the host's own
        if (end is not None and end == own.value.cname) or (there and there <= own.value.addresses):
            return RecordNeed(owner, record, RecordState.PRESENT)
        state, found = RecordState.DIFFERENT, _shown(end, sorted(there))
        if private := sorted(a for a in own.value.addresses if is_private(a)):
            state = RecordState.UNKNOWN
            found = (
                f"{hostname} has the private address {', '.join(private)} in the DNS that is asked here (split DNS): "
                f"{found} cannot be compared with it"
            )
        return RecordNeed(owner, record, state, found=found)

    def _id(self, domain: MailDomain) -> RecordNeed:
        owner = _id_owner(domain.name)
        if left_elsewhere(self.observed, self.settings, domain.name) is not None:
            seen = self.dns.txt_of(owner)
            there = isinstance(seen, Seen) and policyid.published(seen.value.strings) is not None
            return RecordNeed(owner, None, RecordState.PRESENT if there else RecordState.NOT_SET, _ELSEWHERE)
        served = policyid.served_to(self.observed, domain.name, domain.target)
        if isinstance(served, Unseen):
            note = f"it is not known whether a policy is served: {served.reason}"
            return RecordNeed(owner, None, RecordState.UNKNOWN, note)
        if policy_of(served.value.text) is None:
            mailcow = self.observed.mailcow
            serves_aliases = isinstance(mailcow, Seen) and mailcow.value.serves_alias_domains
            note = "due once the policy is served"
            if domain.target is not None and not serves_aliases:
                note = "this mailcow serves no policy for an alias domain; 2026-01 and later do"
            return RecordNeed(owner, None, RecordState.NOT_YET, note)
        note, host = "", policy_host(domain.name)
        if self.certified is not None and not covered(host, self.certified):
            note = f"publish it once {host} is in the certificate, not before"
        wanted = policyid.current(self.observed, domain.name, domain.target)
        if self.shared_by is not None and domain.name != self.shared_by:
            record = DnsRecord(owner, "CNAME", _id_owner(self.shared_by))
        elif wanted is not None:
            record = DnsRecord(owner, "TXT", policyid.record_of(wanted))
        else:
            why = self.id_trouble(domain.target or domain.name) or "it has not been read yet"
            note = f"the policy id is not known ({why}); mailcow's own DNS check of the domain shows it"
            return RecordNeed(owner, None, RecordState.UNKNOWN, note)
        return self._published(
            record, note, lambda txt: wanted is not None and policyid.published(txt.strings) == wanted
        )

    def _report(self, name: str) -> RecordNeed:
        owner, rua = _report_owner(name), report_uri(self.observed, self.settings)
        seen = self.dns.txt_of(owner)
        there = _report_record(seen.value) if isinstance(seen, Seen) else None
        if rua is None:
            if there is not None:
                return RecordNeed(
                    owner, None, RecordState.PRESENT, "the DNS has a record; the settings name no address"
                )
            note = f"set `tls_report` in {CONFIG} to the address that senders' reports go to"
            if self.settings.receive is Receive.MAILCOW:
                note = (
                    "the sidecar first adds an address for reports to mailcow; to use another one, "
                    f"set `tls_report` in {CONFIG}"
                )
            return RecordNeed(owner, None, RecordState.NOT_SET, note)
        if self.settings.tls_report is None and there is not None and rua not in there:
            # Nobody asked for our address: a person's own record is right as it is.
            return RecordNeed(owner, None, RecordState.PRESENT, "the DNS names another address for reports")
        if self.shared_by is not None and name != self.shared_by:
            record = DnsRecord(owner, "CNAME", _report_owner(self.shared_by))
        else:
            record = DnsRecord(owner, "TXT", f"v=TLSRPTv1; rua={rua}")
        return self._published(record, "", lambda txt: rua in (_report_record(txt) or ()))

    def _published(self, record: DnsRecord, note: str, right: Callable[[Txt], bool]) -> RecordNeed:
        """A record that means the same to senders but is spelled differently is right, too."""
        seen = self.dns.txt_of(record.owner)
        if isinstance(seen, Unseen):
            return RecordNeed(record.owner, record, RecordState.UNKNOWN, note, seen.reason)
        there = seen.value
        target = self.dns.txt_of(record.value)
        ends = {record.value, target.value.cname} if isinstance(target, Seen) else {record.value}
        points = record.type == "CNAME" and there.cname is not None and there.cname in ends
        if points or right(there):
            return RecordNeed(record.owner, record, RecordState.PRESENT)
        if not there.strings and there.cname is None:
            return RecordNeed(record.owner, record, RecordState.MISSING, note)
        found = _shown(there.cname, [f'TXT "{text}"' for text in there.strings])
        return RecordNeed(record.owner, record, RecordState.DIFFERENT, note, found)


def _report_record(txt: Txt) -> tuple[str, ...] | None:
    """The destinations in the one TLSRPT record (RFC 8460 §3); None unless there is exactly one valid record."""
    records = [text.encode("iso8859-1", "replace") for text in txt.strings]
    candidates = [data for data in records if begins(data, tlsrpt.VERSION)]
    found = tlsrpt.parse(candidates[0]) if len(candidates) == 1 else None
    return found.rua if isinstance(found, tlsrpt.TlsrptRecord) else None


def _shown(cname: str | None, values: Sequence[str]) -> str:
    alias = [f"CNAME {cname}"] if cname is not None else []
    return ", ".join([*alias, *values])
