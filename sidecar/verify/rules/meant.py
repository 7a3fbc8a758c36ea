"""The served policy compared with the intended one."""

from sidecar.formats.domain_name import policy_host
from sidecar.formats.mtasts_policy import Invalid, differences, parse
from sidecar.observed.findings import Finding
from sidecar.observed.words import command
from sidecar.verify import probe_codes as codes
from sidecar.verify.rules.policy_fetch import usable
from sidecar.verify.seen import DomainSeen, Meant, PolicyAnswer


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
