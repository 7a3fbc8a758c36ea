"""From what a check found of a domain to the conditions of its roll-out; pure.

Rule for every editor: the code decides, never the severity (which depends on what is at stake). A condition is
true only where something says so; what could not be probed leaves it unknown.
"""

from collections.abc import Iterable, Sequence

from sidecar.observed.checks import ConditionType, Judgement, Status
from sidecar.observed.findings import Code, Finding, Severity
from sidecar.verify import probe_codes as codes

_TRUE: dict[ConditionType, tuple[Code, ...]] = {
    # Inside mailcow's network counts: a hairpin that fails is no failure of the policy, and the names were asked too.
    ConditionType.POLICY_SERVED: (codes.POLICY_FETCHED, codes.POLICY_INSIDE),
    ConditionType.RECORD_PUBLISHED: (codes.TXT_FOUND,),
    ConditionType.MX_COVERED: (codes.MX_COVERED,),
    ConditionType.MX_AUTHENTICATED: (codes.MX_TLS,),
    ConditionType.REPORTS_WANTED: (codes.TLSRPT_FOUND,),
}
"""What must have been found for a condition to be true."""

_REFUSED = (
    codes.MX_NO_STARTTLS,
    codes.MX_TLS_OLD,
    codes.MX_TLS_FAILED,
    codes.MX_CERT_EXPIRED,
    codes.MX_CERT_NOT_YET,
    codes.MX_CERT_NAME,
    codes.MX_CERT_SELF_SIGNED,
    codes.MX_CERT_ISSUER,
)
_FALSE: dict[ConditionType, tuple[Code, ...]] = {
    ConditionType.RECORD_PUBLISHED: (codes.TXT_NXDOMAIN, codes.TXT_NONE, codes.DNSSEC_BOGUS),
    ConditionType.MX_COVERED: (codes.MX_UNCOVERED, codes.MX_NONE, codes.MX_NULL),
    ConditionType.MX_AUTHENTICATED: _REFUSED,
    ConditionType.REPORTS_WANTED: (codes.TLSRPT_NONE,),
}
"""What makes a condition false by itself, whatever its severity."""

_FAMILIES: dict[ConditionType, tuple[str, ...]] = {
    ConditionType.POLICY_SERVED: ("policy-",),
    ConditionType.RECORD_PUBLISHED: ("txt-", "record-", "id-", "dnssec-"),
    ConditionType.MX_COVERED: ("mx-covered", "mx-uncovered", "mx-none", "mx-null", "mx-unknown", "mx-many"),
    ConditionType.MX_AUTHENTICATED: ("mx-",),
    ConditionType.REPORTS_WANTED: ("tlsrpt-",),
}
"""The codes that are about a condition, by how they begin."""

_BY_ERRORS = (ConditionType.POLICY_SERVED, ConditionType.RECORD_PUBLISHED, ConditionType.REPORTS_WANTED)
"""Here every error is a failure; an MX that is not there, for one, is not yet a refusal."""


def conditions_of(findings: Sequence[Finding]) -> dict[ConditionType, Judgement]:
    """Each condition, judged by the findings of one check of one domain."""
    return {kind: _judged(kind, _about(kind, findings)) for kind in ConditionType}


def _about(kind: ConditionType, findings: Iterable[Finding]) -> list[Finding]:
    found = [f for f in findings if f.code.startswith(_FAMILIES[kind])]
    if kind is ConditionType.MX_AUTHENTICATED:
        records = _FAMILIES[ConditionType.MX_COVERED]
        # Hosts that were not looked at are neither known to be covered nor to be authenticated.
        return [f for f in found if not f.code.startswith(records) or f.code == codes.MX_MANY.name]
    return found


def _judged(kind: ConditionType, findings: Sequence[Finding]) -> Judgement:
    false = {code.name for code in _FALSE.get(kind, ())}
    by_errors = kind in _BY_ERRORS
    for finding in findings:
        if finding.code in false or (by_errors and finding.severity.rank >= Severity.ERROR.rank):
            return Judgement(Status.FALSE, finding.code, finding.message)
    for finding in findings:
        if finding.severity is Severity.UNKNOWN or finding.severity.rank >= Severity.ERROR.rank:
            return Judgement(Status.UNKNOWN, finding.code, finding.message)
    true = {code.name for code in _TRUE[kind]}
    for finding in findings:
        if finding.code in true:
            return Judgement(Status.TRUE, finding.code, finding.message)
    return Judgement(Status.UNKNOWN, "not-checked", f"{kind}: not checked yet")
