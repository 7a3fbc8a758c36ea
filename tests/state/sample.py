"""A memory with one of everything, as the state files of older releases in this folder hold it."""

from sidecar.host.elapsed import Tally, UptimeReading
from sidecar.observed import (
    FILE,
    LARGE_DNS_PLAN,
    AliasDomain,
    Announced,
    CheckRecord,
    ConfEntry,
    ConfEvent,
    Domain,
    DomainList,
    Doubt,
    Fact,
    FactKind,
    InVain,
    LostName,
    Memory,
    Move,
    PolicyMemory,
    Restart,
    Span,
    Write,
)
from sidecar.observed.checks import Condition, ConditionType, Finding, Rollout, Severity, Status
from sidecar.observed.record_sets import Entry, Origin, RecordType
from sidecar.observed.record_sets import Key as RecordKey
from sidecar.observed.report_route import RouteMemory

NOW = 1_700_000_000.0
KEY = "ADDITIONAL_SAN"
POLICY = "version: STSv1\nmode: enforce\nmax_age: 604800\nmx: mx.example.org\n"


def full_memory() -> Memory:
    """One of everything."""
    return Memory(
        policies={
            "example.org": PolicyMemory(
                (Write(POLICY, 1.0, True), Write(None, 2.0, None), Write("refused", 3.5, False)),
                (Span(None, 0.5, 1.0, begun=7.0, ended=8.0), Span(POLICY, 1.0, None, begun=8.0)),
                id_text=POLICY,
                id="20261124090000",
            ),
            "xn--bcher-kva.example": PolicyMemory(
                spans=(Span("no UTF-8: \udcff\x00 ü", 1.0, 2.0, 3.0, 4.0),)
            ),
            FILE: PolicyMemory(floor=POLICY, refused="switched off by a person"),
        },
        believed=DomainList(
            (Domain("example.org", True, False), Domain("backup.example", False, True)),
            (AliasDomain("a.example", "example.org", True),),
        ),
        doubt=Doubt("f", 2, 3.0),
        newcomers=frozenset({"new.example", "newer.example"}),
        adopt=frozenset({"example.org", FILE}),
        conf=(
            ConfEntry(KEY, "mta-sts.*", ConfEvent.INTENDED, 4.0),
            ConfEntry(KEY, "mta-sts.*", ConfEvent.ADDED, 4.0),
        ),
        restarts=(
            Restart(5.0, ("mta-sts.example.org",)),
            Restart(6.0, ("b.example", "a.example"), ("imap.example.org", "mail.example.org"), judged=False),
        ),
        lost=(LostName("autoconfig.a.example", NOW), LostName("mail.example", NOW)),
        in_vain={"mta-sts.c.example": InVain(2, NOW, "192.0.2.1 | ? | ", "No A or AAAA record found")},
        since={
            Fact(FactKind.MISSING, "mta-sts.example.org"): 6.0,
            Fact(FactKind.FAILING, "mta-sts.example.org"): 0.25,
        },
        rollouts={
            "example.org": Rollout(
                (
                    Condition(ConditionType.POLICY_SERVED, Status.TRUE, "policy.right", "as meant", NOW),
                    Condition(ConditionType.MX_COVERED, Status.UNKNOWN, "mx.unseen", "no answer", NOW - 1),
                ),
                soaked=604_800.5,
                checked_at=NOW,
                good_at=NOW - 5,
                refusals=2,
                stepped_back_at=NOW - 9,
            ),
            FILE: Rollout(),
        },
        checks={
            "example.org": CheckRecord(
                NOW,
                (
                    Finding(
                        "mx.uncovered", Severity.ERROR, "mx2.example", "no pattern", "add one", "RFC 8461"
                    ),
                    Finding("txt.right", Severity.OK, "_mta-sts.example.org", "“right”", None, "§3.1"),
                ),
            ),
            "quiet.example": CheckRecord(NOW - 60, ()),
        },
        announced={"example.org": (Announced("1", "old", 1.0), Announced("2", POLICY, 2.0))},
        retired=frozenset({"leaving.example"}),
        moves=(Move(FILE, "new.example", NOW), Move("a.example", "new.example", NOW)),
        published={
            entry.key: entry
            for entry in (
                Entry(
                    RecordKey("_mta-sts.example.org", RecordType.TXT),
                    (("v=STSv1;id=1;",), ("v=STSv1;id=2;",)),
                    Origin.WROTE,
                    300,
                    NOW,
                ),
                Entry(
                    RecordKey("mta-sts.example.org", RecordType.A),
                    (("192.0.2.1", "192.0.2.2"),),
                    Origin.ADOPTED,
                    3_600,
                    NOW,
                ),
            )
        },
        adopt_records=frozenset({"_mta-sts.example.org"}),
        let_through=frozenset({LARGE_DNS_PLAN}),
        services=frozenset({"acme-mailcow", "nginx-mailcow"}),
        report_way=RouteMemory(
            frozenset({"tls-reports@example.org"}),
            frozenset({"[172.22.1.247]:2526"}),
            "[172.22.1.247]:2526",
            "tls-reports@example.org",
            NOW,
        ),
        born=NOW,
        tally=Tally(9.0, UptimeReading("this boot", 10.0)),
    )
