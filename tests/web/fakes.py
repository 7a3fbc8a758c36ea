"""A daemon out of a table for tests of the page: realistic states of a mailcow with 0, 3, some or thousands of domains.

Everything is made of the same values as in a real pass; only what a pass would have seen is written down here.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sidecar.formats.mtasts_policy import Mode, Policy, render
from sidecar.host.elapsed import UptimeReading
from sidecar.observed import Addresses, CheckRecord, Memory, Observed, PolicyMemory, Seen, Txt, Unseen
from sidecar.observed.checks import Condition, ConditionType, Finding, Rollout, Severity, Status
from sidecar.observed.history import HistoryEvent
from sidecar.plan import decide
from sidecar.plan import policy_ids as policyid
from sidecar.reconcile.learn.observations import learn
from sidecar.reconcile.passes import PassReport
from sidecar.settings import Settings
from sidecar.state.ledger import intended, settled
from sidecar.status.once import Once
from sidecar.status.reports import ReportsView
from sidecar.web import Changes, Progress, Trouble
from sidecar.web.view import Site, site_of
from tests.worlds import ADDRESS, DAY, HOST, NOW, World, given_settings, observed, span

SETTINGS = given_settings({"mode": "auto", "tls_report": "tls-reports@example.org"})
WEEKS = 4 * 7 * DAY


@dataclass
class FakeClock:
    """Stands still."""

    at: float = NOW + 12

    def now(self) -> float:
        return self.at

    def reading(self) -> UptimeReading:
        return UptimeReading("this machine", self.at)


@dataclass
class FakeSource:
    """What a test wants the daemon to know; notes what it is asked for."""

    report: PassReport | None = None
    settings: Settings = SETTINGS
    started_at: float = NOW - 21 * DAY
    events: list[HistoryEvent] = field(default_factory=list)
    trouble_now: Trouble | None = None
    progress_now: Progress | None = None
    requests: list[tuple[str, object]] = field(default_factory=list)
    raises: Exception | None = None
    changes: Changes = field(default_factory=Changes)
    reported: dict[str, ReportsView] = field(default_factory=dict)
    raw: dict[int, bytes] = field(default_factory=dict)

    @property
    def dry_run(self) -> bool:
        return self.settings.dry_run

    @property
    def checks_on(self) -> bool:
        return self.settings.verify

    def latest(self) -> tuple[PassReport, Once] | None:
        return None if self.report is None else (self.report, status_once(self.report, self.settings))

    def trouble(self) -> Trouble | None:
        return self.trouble_now

    def progress(self) -> Progress | None:
        return self.progress_now

    async def history(self, subject: str | None, limit: int) -> tuple[HistoryEvent, ...]:
        if self.raises is not None:
            raise self.raises
        found = [event for event in self.events if subject is None or event.subject == subject]
        return tuple(found[-limit:])

    async def reports(self, domain: str | None) -> ReportsView | None:
        if self.raises is not None:
            raise self.raises
        return self.reported.get(domain or "")

    async def raw_report(self, number: int) -> bytes | None:
        return self.raw.get(number)

    async def check_now(self, domain: str | None) -> None:
        self.requests.append(("check", domain))

    async def apply_now(self) -> None:
        if self.raises is not None:
            raise self.raises
        self.requests.append(("apply", None))

    async def adopt_records(self, names: Iterable[str]) -> None:
        self.requests.append(("adopt-dns", tuple(names)))

    async def let_through(self, guard: str) -> None:
        self.requests.append(("let-through", guard))

    async def adopt(self, keys: Iterable[str]) -> None:
        self.requests.append(("adopt", tuple(keys)))


# --- one domain ------------------------------------------------------------------------------------------

PROBLEMS = ("", "no-record", "no-address", "mx-expired", "uncovered", "by-hand", "soaking", "new", "servfail")


@dataclass(frozen=True)
class GivenDomain:
    """A domain as a test wants it: what is served, and what is wrong with it (one of PROBLEMS)."""

    name: str
    mode: Mode = Mode.ENFORCE
    problem: str = ""

    @property
    def policy(self) -> Policy:
        return Policy(self.mode, 604_800 if self.mode is Mode.ENFORCE else 86_400, (HOST,))

    @property
    def served(self) -> bool:
        return self.problem != "new"


def _conditions(given: GivenDomain) -> tuple[Condition, ...]:
    long_ago, lately = NOW - WEEKS, NOW - 2 * 3_600
    truth: dict[ConditionType, tuple[Status, str, str, float]] = {
        ConditionType.POLICY_SERVED: (Status.TRUE, "policy-fetched", "fetched as a sender does it", long_ago),
        ConditionType.RECORD_PUBLISHED: (Status.TRUE, "txt-found", "one record, with the right id", long_ago),
        ConditionType.MX_COVERED: (Status.TRUE, "mx-covered", f"{HOST} is named", long_ago),
        ConditionType.MX_AUTHENTICATED: (Status.TRUE, "mx-trusted", f"{HOST} has trusted TLS", long_ago),
        ConditionType.REPORTS_WANTED: (Status.TRUE, "tlsrpt-found", "one record", long_ago),
    }
    match given.problem:
        case "no-record":
            truth[ConditionType.RECORD_PUBLISHED] = (
                Status.FALSE,
                "txt-nxdomain",
                f"_mta-sts.{given.name} does not exist",
                lately,
            )
        case "no-address":
            truth[ConditionType.POLICY_SERVED] = (
                Status.FALSE,
                "policy-host-missing",
                f"mta-sts.{given.name} has no address",
                lately,
            )
            truth[ConditionType.RECORD_PUBLISHED] = (Status.FALSE, "txt-nxdomain", "no record", lately)
        case "mx-expired":
            truth[ConditionType.MX_AUTHENTICATED] = (
                Status.FALSE,
                "mx-cert-expired",
                f"the certificate of {HOST} expired 3 h ago",
                lately,
            )
        case "uncovered":
            truth[ConditionType.MX_COVERED] = (
                Status.FALSE,
                "mx-uncovered",
                "backup.example.net matches no pattern",
                lately,
            )
        case "soaking":
            soaking = NOW - 3 * DAY
            truth = {kind: (status, code, text, soaking) for kind, (status, code, text, _) in truth.items()}
        case _:
            pass
    return tuple(Condition(kind, s, code, text, since) for kind, (s, code, text, since) in truth.items())


def _findings(given: GivenDomain) -> tuple[Finding, ...]:
    name, host = given.name, f"mta-sts.{given.name}"
    ok, section = Severity.OK, "RFC 8461 §3.3"
    fine = [
        Finding("policy-fetched", ok, host, "The policy was fetched as a sender fetches it.", None, section),
        Finding("txt-found", ok, f"_mta-sts.{name}", "There is one record.", None, "RFC 8461 §3.1"),
        Finding("mx-covered", ok, HOST, "The policy names this MX.", None, "RFC 8461 §4.1"),
        Finding("mx-tls", ok, HOST, "It offers STARTTLS with TLS 1.3.", None, "RFC 8461 §4.2"),
    ]
    match given.problem:
        case "no-record":
            fine[1] = Finding(
                "txt-nxdomain",
                Severity.NOTICE,
                f"_mta-sts.{name}",
                "There is no such name in the DNS: senders do not look for a policy.",
                "publish the record below",
                "RFC 8461 §3.1",
            )
        case "no-address":
            fine[:2] = [
                Finding(
                    "policy-host-missing",
                    Severity.ERROR,
                    host,
                    "The policy host has no address: senders cannot fetch the policy.",
                    f"publish: {host}. CNAME {HOST}.",
                    section,
                )
            ]
        case "mx-expired":
            fine[3] = Finding(
                "mx-cert-expired",
                Severity.CRITICAL,
                HOST,
                f"The certificate of {HOST} expired 3 h ago: senders that follow the policy refuse to deliver.",
                "look why acme-mailcow did not renew it: docker compose logs --tail=50 acme-mailcow",
                "RFC 8461 §4.2",
            )
        case "uncovered":
            fine[2] = Finding(
                "mx-uncovered",
                Severity.WARNING,
                "backup.example.net",
                "The MX backup.example.net matches no pattern of the policy.",
                "add the host to `mx` of this domain in config.yml, or correct the MX record",
                "RFC 8461 §4.1",
            )
        case _:
            pass
    return tuple(fine)


def _remembered(given: GivenDomain) -> PolicyMemory:
    text, since = render(given.policy), NOW - (WEEKS if given.mode is Mode.ENFORCE else 3 * DAY)
    memory = PolicyMemory(spans=(span(None, NOW - 60 * DAY, since), span(text, since, None)))
    if given.problem != "by-hand":
        memory = settled(intended(memory, text, since), text, since, since, done=True)
    return replace(memory, id_text=text, id=_id(given))


def _id(given: GivenDomain) -> str:
    return policyid.derived(given.name.encode())[:14]


# --- a whole mailcow -------------------------------------------------------------------------------------


def report_of(domains: Sequence[GivenDomain], settings: Settings = SETTINGS, **world: object) -> PassReport:
    """What a pass would have seen and planned."""
    served = {given.name: render(given.policy) for given in domains if given.served}
    lacking = frozenset(
        f"mta-sts.{given.name}" for given in domains if given.problem in {"no-address", "new"}
    )
    certified = frozenset(f"mta-sts.{given.name}" for given in domains) - lacking
    memory = Memory(
        policies={given.name: _remembered(given) for given in domains if given.served},
        rollouts={
            given.name: Rollout(
                _conditions(given), 3 * DAY if given.problem == "soaking" else 9 * DAY, NOW - 300, NOW - 300
            )
            for given in domains
            if given.served
        },
        born=NOW - 60 * DAY,
    )
    built = World(
        domains=tuple(given.name for given in domains),
        served=served,
        names=frozenset({HOST}) | certified,
        without_address=lacking,
        mx={given.name: (HOST, "backup.example.net") for given in domains if given.problem == "uncovered"},
        unseen=frozenset(f"served:{given.name}" for given in domains if given.problem == "servfail"),
        memory=memory,
    )
    seen = _with_dns(observed(replace(built, **world)), domains)  # type: ignore[arg-type]
    seen = replace(seen, memory=learn(seen, settings))
    return PassReport(seen, decide(seen, settings), ())


def _with_dns(seen: Observed, domains: Sequence[GivenDomain]) -> Observed:
    """Records in the DNS, as they are by the problem of each domain."""
    txt: dict[str, Seen[Txt] | Unseen] = {}
    addresses = dict(seen.dns.addresses)
    addresses[HOST] = Seen(Addresses(frozenset({ADDRESS})), seen.now)
    for given in domains:
        host, name = f"mta-sts.{given.name}", given.name
        lacks = given.problem in {"no-address", "new"}
        if not lacks:
            addresses[host] = Seen(Addresses(frozenset({ADDRESS}), HOST), seen.now)
        without = lacks or given.problem == "no-record"
        record = () if without else (policyid.record_of(_id(given)),)
        txt[f"_mta-sts.{name}"] = Seen(Txt(record), seen.now)
        report = () if lacks else ("v=TLSRPTv1; rua=mailto:tls-reports@example.org",)
        txt[f"_smtp._tls.{name}"] = Seen(Txt(report), seen.now)
    return replace(seen, dns=replace(seen.dns, txt=txt, addresses=addresses))


REALISTIC = (
    GivenDomain("example.org"),
    GivenDomain("example.com"),
    GivenDomain("bakery-on-the-corner.example"),
    GivenDomain("xn--mnchen-3ya.example"),
    GivenDomain("orchard.example", Mode.TESTING, "soaking"),
    GivenDomain("new-shop.example", Mode.TESTING, "no-record"),
    GivenDomain("choir.example", Mode.ENFORCE, "mx-expired"),
    GivenDomain("brewery.example", Mode.TESTING, "uncovered"),
    GivenDomain("old-hand.example", Mode.TESTING, "by-hand"),
    GivenDomain("just-added.example", Mode.TESTING, "new"),
)
THREE = (
    GivenDomain("example.org"),
    GivenDomain("new-shop.example", Mode.TESTING, "no-record"),
    GivenDomain("choir.example", Mode.ENFORCE, "mx-expired"),
)


def many(number: int) -> tuple[GivenDomain, ...]:
    """So many domains, every problem among them."""
    problems = {
        7: "no-record",
        77: "no-address",
        171: "mx-expired",
        301: "soaking",
        402: "by-hand",
        503: "new",
    }

    def one(index: int) -> GivenDomain:
        problem = problems.get(index % 600, "")
        testing = problem in {"no-record", "no-address", "soaking", "by-hand", "new"}
        return GivenDomain(f"d{index:04}.example", Mode.TESTING if testing else Mode.ENFORCE, problem)

    return tuple(one(index) for index in range(number))


EVENTS = (
    HistoryEvent(
        NOW - WEEKS,
        "example.org",
        "add policy",
        "the domain has no policy; mode testing as the settings say",
        "done",
        None,
    ),
    HistoryEvent(
        NOW - WEEKS + 1_800,
        "acme-mailcow",
        "restart",
        "the certificate lacks mta-sts.example.org",
        "done",
        None,
    ),
    HistoryEvent(
        NOW - 3 * DAY, "orchard.example", "add policy", "the domain has no policy; mode testing", "done", None
    ),
    HistoryEvent(
        NOW - 2 * DAY,
        "example.org",
        "change policy",
        "all checks have held for 7 d: mode enforce",
        "done",
        None,
    ),
    HistoryEvent(
        NOW - 5 * 3_600,
        "new-shop.example",
        "add policy",
        "the domain has no policy; mode testing",
        "done",
        None,
    ),
    HistoryEvent(
        NOW - 4 * 3_600,
        "acme-mailcow",
        "restart",
        "the certificate lacks mta-sts.new-shop.example",
        "failed",
        "restarting acme-mailcow got status 500 from the Docker engine; tried again in 60 s",
    ),
    HistoryEvent(
        NOW - 4 * 3_600 + 70,
        "acme-mailcow",
        "restart",
        "the certificate lacks mta-sts.new-shop.example",
        "done",
        None,
    ),
    HistoryEvent(NOW - 120, "choir.example", "check", "the certificate of the MX expired", "failed", None),
)


def with_checks(report: PassReport, checks: Mapping[str, CheckRecord]) -> PassReport:
    """The same, with what sender checks found."""
    memory = replace(report.observed.memory, checks={**report.observed.memory.checks, **checks})
    return replace(report, observed=replace(report.observed, memory=memory))


def status_once(report: PassReport, settings: Settings = SETTINGS) -> Once:
    """How each domain stands in a report."""
    return Once(report.observed, report.plan, settings)


def site(source: FakeSource) -> Site:
    """What the pages show."""
    latest = source.latest()
    assert latest is not None
    return site_of(latest[0], latest[1]())


def source_of(domains: Sequence[GivenDomain] = REALISTIC, **changes: object) -> FakeSource:
    """A daemon that has checked these domains."""
    checks: Mapping[str, CheckRecord] = {
        given.name: CheckRecord(NOW - 300, _findings(given)) for given in domains if given.served
    }
    source = FakeSource(with_checks(report_of(domains), checks), events=list(EVENTS) if domains else [])
    for name, value in changes.items():
        setattr(source, name, value)
    return source


UNREACHABLE = Trouble(
    "asking mailcow for its domains failed: nginx-mailcow:443 refuses the connection",
    NOW - 310,
    "look whether nginx-mailcow runs: docker compose ps nginx-mailcow",
)


def unreachable(domains: Sequence[GivenDomain] = REALISTIC) -> FakeSource:
    """A daemon that knew them once, and cannot reach mailcow now."""
    return source_of(domains, trouble_now=UNREACHABLE)


def loading(progress: Progress | None = None) -> FakeSource:
    """A daemon that has just been started."""
    return FakeSource(progress_now=progress, started_at=NOW)
