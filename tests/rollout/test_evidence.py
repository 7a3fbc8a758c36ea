"""Every code there is, and what it does to the conditions of a roll-out."""

import pytest

from sidecar.observed.checks import Code, ConditionType, Effect, Finding, Rollout, Severity, Status
from sidecar.rollout import checked
from sidecar.rollout.evidence import conditions_of
from sidecar.verify import codes, probe_codes
from sidecar.verify.rules import policy_id

SERVED, RECORD, COVERED, AUTHENTICATED, REPORTS = ConditionType
CODES = (*probe_codes.ALL, *policy_id.ALL, *codes.ALL)
GOOD = {
    SERVED: probe_codes.POLICY_FETCHED,
    RECORD: probe_codes.TXT_FOUND,
    COVERED: probe_codes.MX_COVERED,
    AUTHENTICATED: probe_codes.MX_TLS,
    REPORTS: probe_codes.TLSRPT_FOUND,
}
WRITTEN: dict[tuple[Effect, tuple[ConditionType, ...]], str] = {
    (Effect.BLOCKS, (AUTHENTICATED,)): """
        mx-host-missing mx-host-unknown mx-refused mx-unreachable mx-no-route mx-unasked
        mx-look-failed mx-address mx-refuses-us mx-wont-talk mx-inside mx-host-private
    """,
    (Effect.BLOCKS, (COVERED, AUTHENTICATED)): """
        mx-many
    """,
    (Effect.BLOCKS, (COVERED,)): """
        mx-unknown
    """,
    (Effect.BLOCKS, (SERVED,)): """
        policy-host-unknown policy-refused policy-unreachable policy-no-route policy-unasked
        policy-look-failed policy-inside policy-host-private
    """,
    (Effect.BLOCKS, (RECORD,)): """
        txt-servfail txt-timeout txt-unasked
    """,
    (Effect.BLOCKS, (REPORTS,)): """
        tlsrpt-unknown
    """,
    (Effect.BREAKS, (AUTHENTICATED,)): """
        mx-no-starttls mx-tls-old mx-tls-failed mx-cert-expired mx-cert-not-yet-valid mx-cert-name
        mx-cert-self-signed mx-cert-issuer
    """,
    (Effect.BREAKS, (COVERED,)): """
        mx-uncovered mx-none mx-null
    """,
    (Effect.BREAKS, (RECORD,)): """
        txt-nxdomain txt-none dnssec-bogus
    """,
    (Effect.BREAKS, (REPORTS,)): """
        tlsrpt-none
    """,
    (Effect.BREAKS_WHEN_GRAVE, (SERVED,)): """
        policy-empty policy-utf-16 policy-one-line policy-bom policy-blank-line policy-line-end
        policy-white-space policy-field
        policy-utf-8 policy-version-missing policy-version policy-mode-missing policy-mode
        policy-max-age-missing policy-max-age policy-max-age-limit policy-mx-missing policy-mx
        policy-host-missing policy-timeout policy-broken policy-redirect policy-status
        policy-media-type policy-too-large policy-cert-expired policy-cert-not-yet-valid
        policy-cert-name policy-cert-self-signed policy-cert-issuer policy-tls-old
        policy-tls-failed policy-differs policy-addresses-differ
    """,
    (Effect.BREAKS_WHEN_GRAVE, (RECORD,)): """
        record-foreign record-version record-quoted record-escaped record-semicolon record-white-space
        record-octet record-empty-field record-field record-id-missing record-id record-id-length
        txt-several txt-almost id-stale
    """,
    (Effect.BREAKS_WHEN_GRAVE, (REPORTS,)): """
        tlsrpt-foreign tlsrpt-version tlsrpt-quoted tlsrpt-escaped tlsrpt-semicolon tlsrpt-white-space
        tlsrpt-octet tlsrpt-empty-field tlsrpt-field tlsrpt-rua-missing tlsrpt-uri
        tlsrpt-uri-encoding tlsrpt-uri-scheme tlsrpt-mailto tlsrpt-https tlsrpt-several
        tlsrpt-almost
    """,
    (Effect.PROVES, (AUTHENTICATED,)): """
        mx-tls
    """,
    (Effect.PROVES, (COVERED,)): """
        mx-covered
    """,
    (Effect.PROVES, (SERVED,)): """
        policy-fetched
    """,
    (Effect.PROVES, (RECORD,)): """
        txt-found
    """,
    (Effect.PROVES, (REPORTS,)): """
        tlsrpt-found
    """,
}
"""What each code does; all others inform, and stop nothing."""
TABLE = {name: bearing for bearing, names in WRITTEN.items() for name in names.split()}
STATUS = {
    Effect.PROVES: Status.TRUE,
    Effect.BREAKS: Status.FALSE,
    Effect.BREAKS_WHEN_GRAVE: Status.FALSE,
    Effect.BLOCKS: Status.UNKNOWN,
}


def touched(code: Code, severity: Severity | None = None) -> list[tuple[ConditionType, Status, str]]:
    """What a finding of this code changes beside findings that make all conditions true."""
    findings = [Finding.of(one, "example.org", "good") for one in GOOD.values()]
    judged = conditions_of([*findings, Finding.of(code, "example.org", "found", severity=severity)])
    return [(kind, one.status, one.reason) for kind, one in judged.items() if one.status is not Status.TRUE]


def test_the_table_names_codes_that_there_are() -> None:
    """Each once."""
    assert TABLE.keys() <= {code.name for code in CODES}
    assert sum(len(names.split()) for names in WRITTEN.values()) == len(TABLE)


@pytest.mark.parametrize("code", CODES, ids=lambda code: str(code.name))
def test_each_code_does_what_the_table_says_and_touches_no_other_condition(code: Code) -> None:
    """With its usual severity, and lowered where nothing is at stake."""
    effect, kinds = TABLE.get(code.name, (Effect.INFORMS, ()))
    alone = conditions_of([Finding.of(code, "example.org", "found")])
    proven = {kind for kind, one in alone.items() if one.status is Status.TRUE}
    assert proven == (set(kinds) if effect is Effect.PROVES else set())
    usual = (
        [] if effect in {Effect.PROVES, Effect.INFORMS} else [(k, STATUS[effect], code.name) for k in kinds]
    )
    assert touched(code) == usual
    if effect in {Effect.BREAKS, Effect.BREAKS_WHEN_GRAVE}:
        assert touched(code, Severity.NOTICE) == (usual if effect is Effect.BREAKS else [])


def test_the_first_of_the_gravest_is_the_reason() -> None:
    """A failure goes before what is not known, and that before what is good."""
    found = [
        Finding.of(code, "example.org", code.name)
        for code in (
            probe_codes.MX_TLS,
            probe_codes.MX_UNREACHABLE,
            probe_codes.MX_NO_STARTTLS,
            probe_codes.MX_CERT_EXPIRED,
        )
    ]
    assert conditions_of(found)[AUTHENTICATED].reason == "mx-no-starttls"
    assert conditions_of(found[:2])[AUTHENTICATED].reason == "mx-unreachable"


def test_nothing_found_is_unknown() -> None:
    """And never true."""
    assert {one.status for one in conditions_of(()).values()} == {Status.UNKNOWN}


@pytest.mark.parametrize("name", ["policy-new", "mx-new", "txt-new", "tlsrpt-new", "id-new"])
@pytest.mark.parametrize("severity", Severity)
def test_a_new_code_that_informs_stops_no_soak(name: str, severity: Severity) -> None:
    """However it begins, and however grave it is: the time goes on as without it."""
    good = [Finding.of(one, "example.org", "good") for one in GOOD.values()]
    new = Finding.of(Code(name, severity, "RFC 8461 §5", "It informs."), "example.org", "found")
    plain = with_it = Rollout()
    for hour in range(1, 25):
        plain = checked(plain, conditions_of(good), hour * 3600.0, 3600.0)
        with_it = checked(with_it, conditions_of([new, *good]), hour * 3600.0, 3600.0)
    assert with_it == plain
    assert with_it.soaked == 23 * 3600.0
