"""The MTA-STS record as the DNS gives it (RFC 8461 §3.1): how many there are, and whether the DNS answered.

The grammar of the one record is judged by `rules.record`.
"""

import re

from sidecar.dns.answers import DnsAnswer, DnsResult, NoAnswer, Silence
from sidecar.observed.checks import Code, Finding, Severity
from sidecar.verify import probe_codes as codes
from sidecar.verify.lint import Judged, lint_record
from sidecar.verify.rules.few import about
from sidecar.verify.seen import DomainSeen

# sts-text-record = sts-version 1*(sts-field-delim sts-field) ..., sts-field-delim = *WSP ";" *WSP
_RECORD = re.compile(rb"v=STSv1[ \t]*;")
_ALMOST = re.compile(rb"\s*v\s*=\s*STSv1", re.IGNORECASE)

_SILENCE: dict[Silence, tuple[Code, str]] = {
    Silence.SERVFAIL: (
        codes.TXT_SERVFAIL,
        "look at the name servers of the domain: senders may get no answer either",
    ),
    Silence.TIMEOUT: (
        codes.TXT_TIMEOUT,
        "look at the name servers of the domain and at the resolver; then check again",
    ),
    Silence.BOGUS: (
        codes.DNSSEC_BOGUS,
        "fix the DNSSEC signatures of the zone, or the DS record at its parent",
    ),
    Silence.OTHER: (codes.TXT_UNASKED, "use a resolver that answers; then check again"),
}
_WILDCARD_PROBE = "_mta-sts-sidecar-asks-for-a-wildcard"
"""A label that exists nowhere: only a wildcard answers for it."""


def candidates(records: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """The records that senders do not discard: those that begin with the version and a semicolon."""
    return tuple(record for record in records if _RECORD.match(record))


def the_record(txt: DnsResult[bytes]) -> Judged | None:
    """The one record that senders use, judged; None where there is not exactly one."""
    if isinstance(txt, DnsAnswer) and len(found := candidates(txt.records)) == 1:
        return lint_record(found[0])
    return None


def near_misses(domain: str) -> tuple[str, ...]:
    """Names at which the record is sometimes put by mistake, where senders do not look; the last one exists nowhere."""
    return (
        domain,
        f"_mta_sts.{domain}",
        f"mta-sts.{domain}",
        f"_mta-sts.{domain}.{domain}",
        f"_mta-sts.mta-sts.{domain}",
        f"{_WILDCARD_PROBE}.{domain}",
    )


def judge_txt(seen: DomainSeen, missing: Severity = Severity.NOTICE) -> tuple[Finding, ...]:
    """Findings about `_mta-sts.<domain>`; `missing` is how bad it is that there is no record at all."""
    name = f"_mta-sts.{seen.domain}"
    if isinstance(seen.txt, NoAnswer):
        code, todo = _SILENCE[seen.txt.why]
        return (Finding.of(code, name, seen.txt.reason, todo),)
    found = candidates(seen.txt.records)
    findings: list[Finding] = []
    if len(found) > 1:
        findings.append(
            Finding.of(
                codes.TXT_SEVERAL,
                name,
                f"{len(found)} MTA-STS records are there; senders act as if there were none",
                "leave the one with the id of the policy served now",
            )
        )
    elif found:
        judged = lint_record(found[0])
        if judged.valid:
            findings.append(Finding.of(codes.TXT_FOUND, name, f"the MTA-STS record has the id {judged.id}"))
        findings += about(name, judged.findings)
    elif almost := [record for record in seen.txt.records if _ALMOST.match(record)]:
        text = almost[0][:80].decode("ascii", "backslashreplace")
        findings += (
            Finding.of(
                codes.TXT_ALMOST,
                name,
                f"the record {text!r} does not begin with exactly 'v=STSv1;': senders ignore it",
                "write it as 'v=STSv1; id=<letters and digits>;'",
            ),
            *about(name, lint_record(almost[0]).findings),
        )
    else:
        findings += _none(name, seen.txt, seen, missing)
    if seen.txt.alias is not None and seen.txt.records:
        findings.append(
            Finding.of(codes.TXT_ALIAS, name, f"{name} is a CNAME to {seen.txt.alias}, which senders follow")
        )
    if seen.txt.authentic:
        message = "the resolver validated the answer with DNSSEC"
        findings.append(Finding.of(codes.DNSSEC_VALIDATED, name, message))
    else:
        message = "the resolver did not validate the answer with DNSSEC; MTA-STS does not need it"
        findings.append(Finding.of(codes.DNSSEC_ABSENT, name, message))
    return tuple(findings)


def _none(name: str, txt: DnsAnswer[bytes], seen: DomainSeen, missing: Severity) -> list[Finding]:
    others = f"; its other TXT records ({len(txt.records)}) are ignored" if txt.records else ""
    code, what = (
        (codes.TXT_NONE, f"{name} has no MTA-STS record{others}")
        if txt.exists
        else (codes.TXT_NXDOMAIN, f"{name} does not exist")
    )
    served = missing.rank >= Severity.ERROR.rank
    message = f"{what}: senders do not use MTA-STS for {seen.domain}{', though a policy is served' if served else ''}"
    todo = f'publish {name} TXT "v=STSv1; id=<letters and digits>;"' if served else None
    findings = [Finding.of(code, name, message, todo, severity=missing)]
    wild = seen.misplaced.get(f"{_WILDCARD_PROBE}.{seen.domain}")
    if isinstance(wild, DnsAnswer) and wild.records and set(wild.records) == set(txt.records):
        wildcard = f"the TXT records of the wildcard *.{seen.domain} answer for {name}, and none of them is an MTA-STS record"
        todo = f"add a TXT record at {name} itself; the wildcard can stay"
        findings.append(Finding.of(codes.TXT_WILDCARD, name, wildcard, todo))
        return findings
    for place in near_misses(seen.domain)[:-1]:
        there = seen.misplaced.get(place)
        if isinstance(there, DnsAnswer) and any(_ALMOST.match(record) for record in there.records):
            message = f"there is an MTA-STS record at {place}, where senders do not look"
            todo = f"move it to {name}"
            if place == f"{name}.{seen.domain}":
                todo += f": enter _mta-sts alone, or a dot at the end, since the DNS provider appends {seen.domain}"
            findings.append(Finding.of(codes.TXT_MISPLACED, place, message, todo))
    return findings
