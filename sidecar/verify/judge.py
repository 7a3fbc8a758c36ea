"""All rules over what was seen of one domain; pure. A new subject is one more line here and a file in `rules`."""

from dataclasses import replace

from sidecar.dns.answers import DnsAnswer
from sidecar.formats.mtasts_policy import Mode
from sidecar.observed.findings import Finding, Severity, worst
from sidecar.verify import probe_codes as codes
from sidecar.verify.rules.caa import judge_caa
from sidecar.verify.rules.dane import judge_dane
from sidecar.verify.rules.meant import judge_meant
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
    hosts = seen.hosts.values()
    findings = (
        *judge_txt(seen, _missing(seen, meant)),
        *judge_fetch(seen, stakes, now),
        *judge_meant(seen, meant),
        *judge_mx_records(seen),
        *judge_match(seen, policy, meant, stakes),
        *(finding for host in hosts for finding in judge_host(host, stakes, now)),
        *judge_tlsrpt(seen),
        *(finding for host in hosts for finding in judge_dane(host)),
        *judge_caa(seen, stakes),
    )
    return tuple(_printable(finding) for finding in _kept(seen.domain, findings))


def _kept(domain: str, findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """At most MOST findings: the worst, in their order, and one that says how many there are more.

    What is left out is never worse than what stays, so nothing looks better for it.
    """
    if len(findings) <= MOST:
        return findings
    worst_first = sorted(range(len(findings)), key=lambda place: -findings[place].severity.rank)
    left_out = tuple(findings[place] for place in worst_first[MOST - 1 :])
    severity = max(codes.FINDINGS_MANY.severity, worst(left_out), key=lambda found: found.rank)
    message = f"{len(left_out)} findings more, none of them worse than those shown"
    more = Finding.of(
        codes.FINDINGS_MANY, domain, message, "mend what is shown, then check again", severity=severity
    )
    return (*(findings[place] for place in sorted(worst_first[: MOST - 1])), more)


def _printable(finding: Finding) -> Finding:
    """What servers say gets into messages, and a server may say anything, to a person's terminal too."""
    message = finding.message
    if message.isprintable() and len(message) <= LONGEST:
        return finding
    clean = "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in message[:LONGEST]
    )
    return replace(finding, message=clean)


def stakes_of(seen: DomainSeen, meant: Meant | None) -> Stakes:
    """What senders go by: the policy they get, else the one that they may still have."""
    return Stakes(_mode(seen, meant), meant is not None or _looked_for(seen))


def _mode(seen: DomainSeen, meant: Meant | None) -> Mode | None:
    """The strictest mode that any address serves."""
    served = {policy.mode for fetch in seen.fetches if (policy := the_policy(fetch)) is not None}
    for mode in (Mode.ENFORCE, Mode.TESTING, Mode.NONE):
        if mode in served:
            return mode
    return meant.policy.mode if meant is not None else None


def _missing(seen: DomainSeen, meant: Meant | None) -> Severity:
    """How bad it is that there is no record: where a policy is served, senders should use it.

    One that the sidecar serves itself waits for its record by plan, and the record's own cell says so.
    """
    served = any(isinstance(fetch, PolicyAnswer) and usable(fetch) for fetch in seen.fetches)
    return Severity.ERROR if served and meant is None else Severity.NOTICE


def _looked_for(seen: DomainSeen) -> bool:
    """Whether senders look for a policy; a silent DNS rules it out no more than a record does."""
    return not isinstance(seen.txt, DnsAnswer) or bool(candidates(seen.txt.records))
