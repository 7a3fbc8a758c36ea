"""The TLSRPT record as the DNS gives it (RFC 8460 §3): how many there are. Its grammar is judged by `rules.tlsrpt`.

A mailto to another domain is legal here: no record at the destination has to allow it, as DMARC would have it.
"""

import re

from sidecar.dns.answers import NoAnswer
from sidecar.observed.checks import Finding
from sidecar.verify import probe_codes as codes
from sidecar.verify.lint import lint_tlsrpt
from sidecar.verify.rules.few import about
from sidecar.verify.seen import DomainSeen

_RECORD = re.compile(rb"v=TLSRPTv1[ \t]*;")
_ALMOST = re.compile(rb"\s*v\s*=\s*TLSRPTv1", re.IGNORECASE)


def judge_tlsrpt(seen: DomainSeen) -> tuple[Finding, ...]:
    """Findings about `_smtp._tls.<domain>`."""
    name = f"_smtp._tls.{seen.domain}"
    if isinstance(seen.tlsrpt, NoAnswer):
        return (
            Finding.of(codes.TLSRPT_UNKNOWN, name, seen.tlsrpt.reason, "check again when the DNS answers"),
        )
    records = seen.tlsrpt.records
    found = [record for record in records if _RECORD.match(record)]
    if len(found) > 1:
        message = f"{len(found)} TLSRPT records are there; senders act as if there were none"
        return (
            Finding.of(codes.TLSRPT_SEVERAL, name, message, "leave one, with all destinations in its rua"),
        )
    if found:
        judged = lint_tlsrpt(found[0])
        message = f"reports go to {', '.join(judged.rua)}"
        good = (Finding.of(codes.TLSRPT_FOUND, name, message),) if judged.valid else ()
        return (*good, *about(name, judged.findings))
    if almost := [record for record in records if _ALMOST.match(record)]:
        text = almost[0][:80].decode("ascii", "backslashreplace")
        message = f"the record {text!r} does not begin with 'v=TLSRPTv1;': senders ignore it"
        todo = "write it as 'v=TLSRPTv1; rua=mailto:<address>'"
        return (
            Finding.of(codes.TLSRPT_ALMOST, name, message, todo),
            *about(name, lint_tlsrpt(almost[0]).findings),
        )
    todo = f'publish {name} TXT "v=TLSRPTv1; rua=mailto:<address>" to learn of failures'
    return (Finding.of(codes.TLSRPT_NONE, name, "no TLSRPT record: no sender reports failed TLS", todo),)
