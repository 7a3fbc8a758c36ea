"""A policy that another server serves on purpose: recognised, left alone, and adopted only with all that it says."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
import yaml

from sidecar.formats.mtasts_policy import Mode, Policy
from sidecar.observed import FILE, Memory, Move, Observed, PolicyMemory, Seen, Sight, Txt, Unseen, Write
from sidecar.observed.checks import REFUSING, Condition, Rollout, Status
from sidecar.observed.notice import Level
from sidecar.plan import decide
from sidecar.plan.actions import AddPolicy, EditPolicy, Plan
from sidecar.plan.elsewhere import elsewhere_targets, served_elsewhere
from sidecar.plan.records import MailDomain, RecordState, mail_domains, needed
from sidecar.rollout import FAILURES_TO_STEP_BACK
from sidecar.settings import Settings
from sidecar.status.domains import status_of
from sidecar.status.row import Care
from sidecar.status.wording import Light
from tests.worlds import DAY, FILE_MAILCOW, HOST, NOW, World, given_settings, observed, span, text

DOMAIN = "example.org"
POLICY_HOST = f"mta-sts.{DOMAIN}"
THERE = Policy(Mode.ENFORCE, 1_209_600, (HOST, "*.provider.example"))
MX = {DOMAIN: (HOST, "gw.provider.example")}


def world(
    there: Sight[Policy | None] | None = None, settings: Settings | None = None, **changes: object
) -> tuple[Observed, Plan]:
    """A domain whose policy host leads to another server (None: which serves THERE)."""
    seen = observed(World(foreign_address=frozenset({POLICY_HOST}), mx=MX, **changes))  # type: ignore[arg-type]
    seen = replace(seen, elsewhere={DOMAIN: Seen(THERE, NOW) if there is None else there})
    return seen, decide(seen, settings or Settings())


def policies(found: Plan) -> list[AddPolicy | EditPolicy]:
    """The policies that are written."""
    return [action for action in found.actions if isinstance(action, AddPolicy | EditPolicy)]


def test_only_hosts_that_lead_elsewhere_are_looked_at() -> None:
    """Alias domains, too; what is not known, or not managed, is not."""
    seen = observed(
        World(
            domains=("a.example", "b.example", "c.example"),
            aliases={"alias.example": "a.example"},
            foreign_address=frozenset({"mta-sts.a.example", "mta-sts.alias.example", "mta-sts.c.example"}),
        )
    )
    assert elsewhere_targets(seen, Settings()) == ("a.example", "alias.example", "c.example")
    asked = elsewhere_targets(seen, given_settings({"exclude": ["c.example"]}))
    assert asked == ("a.example", "alias.example")
    skips = observed(
        World(
            domains=("a.example",),
            foreign_address=frozenset({"mta-sts.a.example"}),
            conf={"SKIP_IP_CHECK": "y"},
        )
    )
    assert elsewhere_targets(skips, Settings()) == ()
    assert elsewhere_targets(replace(seen, domains=Unseen("no", NOW)), Settings()) == ()


def test_it_is_left_alone_with_two_choices() -> None:
    """No weaker policy beside it, and no advice to replace it."""
    _, found = world()
    assert policies(found) == []
    (notice,) = [n for n in found.notices if n.code == "policy.elsewhere"]
    assert notice.level is Level.INFO
    assert "served elsewhere (mode enforce)" in notice.message
    assert f"exclude: [{DOMAIN}]" in (notice.todo or "")
    assert [n for n in found.notices if n.code == "mx.uncovered"] == []


def test_line_for_taking_over_keeps_all_that_it_says() -> None:
    """Pasted into config.yml, the same policy is served here, and then the records are to be changed."""
    _, found = world()
    (notice,) = [n for n in found.notices if n.code == "policy.elsewhere"]
    line = (notice.todo or "").partition("as it is: ")[2].partition(", and then publish")[0]
    settings = given_settings(yaml.safe_load(line))
    seen, taken = world(settings=settings)
    (action,) = policies(taken)
    assert action.policy == THERE
    assert [n for n in taken.notices if n.code == "policy.elsewhere"] == []
    (records,) = needed(seen, settings, [MailDomain(DOMAIN)])
    assert records.host.standing is RecordState.DIFFERENT


@pytest.mark.parametrize(
    "config", [{"adopt": True}, {"domains": {DOMAIN: {"adopt": True, "mode": "enforce", "max_age": 3_600}}}]
)
def test_policy_elsewhere_is_never_replaced_by_a_less_strict_one(config: Mapping[str, object]) -> None:
    """`adopt` alone would serve `testing`."""
    _, found = world(settings=given_settings(config))
    assert policies(found) == []
    (held,) = [held for held in found.held if isinstance(held.action, AddPolicy)]
    assert "asks more" in held.reason
    assert "mode: enforce, max_age: 1209600" in (held.remedy or "")


def test_without_a_valid_policy_there_nothing_changes() -> None:
    """A wildcard record that leads to a web site: the record is wrong, as before."""
    seen, found = world(Seen(None, NOW))
    assert len(policies(found)) == 1
    (records,) = needed(seen, Settings(), mail_domains(seen, Settings()))
    assert records.host.standing is RecordState.DIFFERENT


def test_policy_host_that_is_not_known_yet_permits_nothing() -> None:
    """While it is looked at, or when it cannot be fetched though a record announces it."""
    _, found = world(Unseen("it is not known yet", NOW))
    assert policies(found) == []
    (held,) = [held for held in found.held if isinstance(held.action, AddPolicy)]
    assert "leads to another server: it is not known yet" in held.reason


def test_before_the_dns_said_where_the_host_leads_nothing_is_published() -> None:
    """The first pass of a process does not wait for it; without checks nothing would be recognised anyway."""
    seen = observed(World())
    seen = replace(seen, dns=replace(seen.dns, addresses={}))
    assert policies(decide(seen, Settings())) == []
    assert len(policies(decide(seen, given_settings({"verify": False})))) == 1


def test_own_policy_through_a_proxy_at_another_address_is_not_elsewhere() -> None:
    """Also the one that mailcow served a moment ago."""
    before, now = text(Mode.TESTING, 86_400), text(Mode.ENFORCE, 604_800)
    spans = (span(before, NOW - 900, NOW - 60), span(now, NOW - 60, None))
    memory = Memory(policies={DOMAIN: PolicyMemory(spans=spans)})
    for served in (before, now):
        policy = (
            Policy(Mode.TESTING, 86_400, (HOST,))
            if served == before
            else Policy(Mode.ENFORCE, 604_800, (HOST,))
        )
        seen, _ = world(Seen(policy, NOW), served={DOMAIN: now}, memory=memory)
        assert served_elsewhere(seen, DOMAIN) is None


def test_records_of_it_are_left_as_they_are() -> None:
    """The host and the id are that server's; reports are the domain's own matter."""
    seen, _ = world()
    txt = {f"_mta-sts.{DOMAIN}": Seen(Txt(("v=STSv1; id=abc;",)), NOW)}
    seen = replace(seen, dns=replace(seen.dns, txt=txt))
    (records,) = needed(seen, Settings(), mail_domains(seen, Settings()))
    assert (records.host.standing, records.id.standing) == (RecordState.PRESENT, RecordState.PRESENT)
    assert not any(need.lacking for need in (records.host, records.id))
    assert (records.host.record, records.id.record) == (None, None)


def test_status_shows_it_as_served_elsewhere() -> None:
    """It needs no person; the page shows the choices."""
    seen, found = world()
    status = status_of(seen, found, Settings(), mail_domains(seen, Settings()))
    (row,) = status.rows
    assert row.care is Care.ELSEWHERE
    assert not row.attention
    assert (row.judgement.light, row.judgement.cause.code) == (Light.OFF, "served-elsewhere")
    assert "to adopt it as it is" in (row.judgement.cause.todo or "")


def test_file_generation_names_it_and_asks_for_no_certificate_name() -> None:
    """The one file is for the others."""
    seen, found = world(mailcow=FILE_MAILCOW, file=text(Mode.TESTING, 86_400).encode())
    assert [n.subject for n in found.notices if n.code == "policy.elsewhere"] == [DOMAIN]
    assert [a for a in (*found.actions, *(h.action for h in found.held)) if POLICY_HOST in a.concerns] == []
    assert served_elsewhere(seen, DOMAIN) == THERE
    assert FILE not in seen.elsewhere


def test_own_policy_is_kept_right_while_the_proxy_before_it_cannot_be_asked() -> None:
    """A broken or silent server at that address must not stop a step back, or a move to another MX."""
    served = text(Mode.ENFORCE, 604_800)
    spans = (span(None, NOW - 30 * DAY, NOW - 29 * DAY), span(served, NOW - 29 * DAY, None))
    memory = Memory(
        policies={DOMAIN: PolicyMemory((Write(served, NOW - 29 * DAY, True),), spans)},
        moves=(Move(DOMAIN, "mx2.example.org", NOW),),
    )
    broken = Unseen("no policy can be fetched there", NOW)
    settings = given_settings({"mode": "enforce"})
    _, found = world(broken, settings, served={DOMAIN: served}, memory=memory)
    (action,) = policies(found)
    assert "mx2.example.org" in action.policy.mx
    refused = tuple(Condition(kind, Status.FALSE, "", "", NOW) for kind in REFUSING)
    memory = replace(
        memory, rollouts={DOMAIN: Rollout(refused, checked_at=NOW, refusals=FAILURES_TO_STEP_BACK)}
    )
    _, found = world(broken, given_settings({"mode": "auto"}), served={DOMAIN: served}, memory=memory)
    (action,) = policies(found)
    assert action.policy.mode is Mode.TESTING
    # A policy that is not ours yet is still not touched.
    foreign = replace(memory, policies={})
    _, found = world(broken, given_settings({"adopt": True}), served={DOMAIN: served}, memory=foreign)
    assert policies(found) == []
