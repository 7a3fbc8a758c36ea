"""The MTA-STS record as the DNS gives it (RFC 8461 §3.1): how many there are, what became of the question.

The grammar of the one record is judged by `rules.record`.
"""

import re

from sidecar.dns.answers import Answer, Asked, NoAnswer, Silence
from sidecar.observed.findings import Code, Finding
from sidecar.verify import probe_codes as codes
from sidecar.verify.lint import Judged, lint_record
from sidecar.verify.rules.retold import retold
from sidecar.verify.seen import DomainSeen

# sts-text-record = sts-version 1*(sts-field-delim sts-field) ..., sts-field-delim = *WSP ";" *WSP
_RECORD = re.compile(rb"v=STSv1[ \t]*;")
_ALMOST = re.compile(rb"\s*v\s*=\s*STSv1", re.IGNORECASE)

_SILENCE: dict[Silence, Code] = {
    Silence.SERVFAIL: codes.TXT_SERVFAIL,
    Silence.TIMEOUT: codes.TXT_TIMEOUT,
    Silence.BOGUS: codes.DNSSEC_BOGUS,
    Silence.OTHER: codes.TXT_UNASKED,
}


def candidates(records: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """The records that senders do not discard: those that begin with the version and a semicolon."""
    return tuple(record for record in records if _RECORD.match(record))


def the_record(txt: Asked[bytes]) -> Judged | None:
    """The one record that senders go by, judged; None where there is not exactly one."""
    if isinstance(txt, Answer) and len(found := candidates(txt.records)) == 1:
        return lint_record(found[0])
    return None


def judge_txt(seen: DomainSeen) -> tuple[Finding, ...]:
    """What to say of `_mta-sts.<domain>`."""
    name = f"_mta-sts.{seen.domain}"
    if isinstance(seen.txt, NoAnswer):
        return (_unanswered(name, seen.txt),)
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
        findings += _one(name, found[0])
    elif almost := [record for record in seen.txt.records if _ALMOST.match(record)]:
        findings += _almost(name, almost[0])
    else:
        findings += _none(name, seen.txt, seen)
    if seen.txt.alias is not None and seen.txt.records:
        findings.append(
            Finding.of(codes.TXT_ALIAS, name, f"{name} is a CNAME to {seen.txt.alias}, which senders follow")
        )
    findings.append(_dnssec(name, seen.txt))
    return tuple(findings)


def _unanswered(name: str, silence: NoAnswer) -> Finding:
    todo = {
        Silence.SERVFAIL: "look at the name servers of the domain: senders may get no answer either",
        Silence.TIMEOUT: "look at the name servers of the domain and at the resolver; then check again",
        Silence.BOGUS: "mend the DNSSEC signatures of the zone, or the DS record at its parent",
        Silence.OTHER: "give a resolver that answers; then check again",
    }[silence.why]
    return Finding.of(_SILENCE[silence.why], name, silence.reason, todo)


def _one(name: str, record: bytes) -> list[Finding]:
    judged = lint_record(record)
    found = (
        [Finding.of(codes.TXT_FOUND, name, f"the MTA-STS record has the id {judged.id}")]
        if judged.valid
        else []
    )
    return [*found, *retold(name, judged.findings)]


def _almost(name: str, record: bytes) -> list[Finding]:
    text = record[:80].decode("ascii", "backslashreplace")
    return [
        Finding.of(
            codes.TXT_ALMOST,
            name,
            f"the record {text!r} does not begin with 'v=STSv1;', in this case and spelling: senders ignore it",
            "write it as 'v=STSv1; id=<letters and digits>;'",
        ),
        *retold(name, lint_record(record).findings),
    ]


def _none(name: str, txt: Answer[bytes], seen: DomainSeen) -> list[Finding]:
    others = f"; {len(txt.records)} TXT of other kinds are ignored" if txt.records else ""
    code, what = (
        (codes.TXT_NONE, f"{name} has no MTA-STS record{others}")
        if txt.exists
        else (codes.TXT_NXDOMAIN, f"{name} does not exist")
    )
    findings = [Finding.of(code, name, f"{what}: senders do not use MTA-STS for {seen.domain}")]
    if isinstance(seen.misplaced, Answer) and any(_ALMOST.match(record) for record in seen.misplaced.records):
        findings.append(
            Finding.of(
                codes.TXT_MISPLACED,
                seen.domain,
                f"an MTA-STS record stands at {seen.domain}, where no sender looks",
                f"move it to {name}",
            )
        )
    return findings


def _dnssec(name: str, txt: Answer[bytes]) -> Finding:
    if txt.authentic:
        return Finding.of(codes.DNSSEC_VALIDATED, name, "the resolver validated the answer with DNSSEC")
    return Finding.of(
        codes.DNSSEC_ABSENT,
        name,
        "the resolver did not validate the answer with DNSSEC; MTA-STS can do without",
    )
