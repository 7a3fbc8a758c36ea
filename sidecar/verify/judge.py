"""All rules over what was found about one domain; pure. A new subject is one more line here and a file in `rules`."""

from dataclasses import replace

from sidecar.dns.answers import DnsAnswer
from sidecar.formats.domain_name import policy_host
from sidecar.formats.mtasts_policy import Invalid, Mode, differences, parse
from sidecar.formats.text import printable
from sidecar.observed.checks import Finding, Severity, worst
from sidecar.observed.words import command
from sidecar.verify import probe_codes as codes
from sidecar.verify.rules.caa import judge_caa
from sidecar.verify.rules.dane import judge_dane
from sidecar.verify.rules.mx import judge_host
from sidecar.verify.rules.mx_match import judge_match, judge_mx_records
from sidecar.verify.rules.policy_fetch import judge_fetch, the_policy, usable
from sidecar.verify.rules.tlsrpt_dns import judge_tlsrpt
from sidecar.verify.rules.txt_dns import candidates, judge_txt
from sidecar.verify.seen import DomainSeen, Meant, PolicyAnswer
from sidecar.verify.stakes import Stakes

MOST = 100
"""Findings kept of one domain."""
LONGEST = 1000
"""Characters of a message."""


def judge(seen: DomainSeen, meant: Meant | None, now: float) -> tuple[Finding, ...]:
    """All findings of the domain, in the order in which a sender goes; `now` in Unix seconds."""
    policy = the_policy(seen.policy)
    stakes = stakes_of(seen, meant)
    # Where a policy is served, senders should use it. One that the sidecar serves itself waits for its record by plan,
    # and the record's own cell says so.
    served = any(isinstance(fetch, PolicyAnswer) and usable(fetch) for fetch in seen.fetches)
    missing = Severity.ERROR if served and meant is None else Severity.NOTICE
    hosts = seen.hosts.values()
    findings = (
        *judge_txt(seen, missing),
        *judge_fetch(seen, stakes, now),
        *judge_meant(seen, meant),
        *judge_mx_records(seen),
        *judge_match(seen, policy, meant, stakes),
        *(finding for host in hosts for finding in judge_host(host, stakes, now)),
        *judge_tlsrpt(seen),
        *(finding for host in hosts for finding in judge_dane(host)),
        *judge_caa(seen, stakes),
    )
    return tuple(map(_printable, _worst_ones(seen.domain, findings)))


def _worst_ones(domain: str, findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """At most MOST findings: the worst, in their order, and one that says how many more there are.

    What is left out is never worse than what stays, so no domain looks better than it is.
    """
    if len(findings) <= MOST:
        return findings
    worst_first = sorted(range(len(findings)), key=lambda place: -findings[place].severity.rank)
    left_out = tuple(findings[place] for place in worst_first[MOST - 1 :])
    severity = max(codes.FINDINGS_MANY.severity, worst(left_out), key=lambda found: found.rank)
    message = f"{len(left_out)} more findings, none of them worse than those shown"
    more = Finding.of(
        codes.FINDINGS_MANY, domain, message, "fix what is shown, then check again", severity=severity
    )
    return (*(findings[place] for place in sorted(worst_first[: MOST - 1])), more)


def _printable(finding: Finding) -> Finding:
    """Messages quote servers, which may send anything, and are shown on terminals."""
    message = finding.message
    if message.isprintable() and len(message) <= LONGEST:
        return finding
    return replace(finding, message=printable(message[:LONGEST], "\N{REPLACEMENT CHARACTER}"))


def stakes_of(seen: DomainSeen, meant: Meant | None) -> Stakes:
    """What senders go by: the strictest mode that any address serves, else that of the policy they may still have."""
    served = {policy.mode for fetch in seen.fetches if (policy := the_policy(fetch)) is not None}
    strictest = next((mode for mode in (Mode.ENFORCE, Mode.TESTING, Mode.NONE) if mode in served), None)
    mode = strictest or (meant.policy.mode if meant is not None else None)
    # A DNS that does not answer rules out a record no more than a record itself does.
    announced = not isinstance(seen.txt, DnsAnswer) or bool(candidates(seen.txt.records))
    return Stakes(mode, meant is not None or announced)


def judge_meant(seen: DomainSeen, meant: Meant | None) -> tuple[Finding, ...]:
    """Whether senders get the intended policy; nothing where none is intended or no policy was seen."""
    if meant is None or not isinstance(seen.policy, PolicyAnswer) or not usable(seen.policy):
        return ()
    served = parse(seen.policy.body)
    if isinstance(served, Invalid):
        return ()  # the grammar's findings say so
    url = f"https://{policy_host(seen.domain)}/.well-known/mta-sts.txt"
    if served.same_as(meant.policy):
        return (Finding.of(codes.POLICY_AS_MEANT, url, "the policy served is the intended one"),)
    message = f"the policy served is not the intended one: {'; '.join(differences(served, meant.policy))}"
    return (
        Finding.of(
            codes.POLICY_DIFFERS, url, message, f"see what keeps it from being served: {command('plan')}"
        ),
    )
