"""How acme-mailcow judges a name before it orders, and how Let's Encrypt judges it in the order; pure.

Rule for every editor: acme-mailcow leaves out each name that fails, also an old one or MAILCOW_HOSTNAME, and one
name that Let's Encrypt refuses makes the whole order fail. So a name is ready only if both would accept it, by answers
that were received. A question without an answer is unknown, and unknown is never ready. The addresses of a name are
judged in `addresses`.
"""

from sidecar.observed import Addresses, Answered, Challenge, Dns, RefusedFor, Seen, Sight, Unseen
from sidecar.observed.words import command
from sidecar.plan.acme.addresses import (
    AcmeSetup,
    Check,
    NotReady,
    differs_from_hostname,
    fresh,
    looked_at,
    same_address,
    unknown,
)
from sidecar.plan.acme.script import ISSUER


def caa_trouble(name: str, setup: AcmeSetup, dns: Dns, since: float = 0.0) -> NotReady | None:
    """Why CAA records forbid the name: acme-mailcow's own check of the parent, and RFC 8659 with RFC 8657."""
    parent = name.partition(".")[2]
    at_parent = fresh(dns.caa_at_of(parent), since)
    if isinstance(at_parent, Unseen):
        return unknown(Check.CAA, f"the CAA records of {parent} could not be looked up: {at_parent.reason}")
    remedy = f'publish there: CAA 0 issue "{ISSUER}"'
    if at_parent.value.issue and not any(ISSUER in value for value in at_parent.value.issue):
        reason = f"the CAA records at {parent} forbid Let's Encrypt a certificate for {name}"
        return NotReady(Check.CAA, reason, remedy, words=setup.words(name, RefusedFor.CAA))
    found = fresh(dns.caa_of(name), since)
    if isinstance(found, Unseen):
        return unknown(Check.CAA, f"the CAA records of {name} could not be looked up: {found.reason}")
    caa = found.value
    if not caa.allows(ISSUER):
        reason = f"the CAA records at {caa.owner} forbid Let's Encrypt a certificate for {name}"
        return NotReady(Check.CAA, reason, remedy)
    method = "dns-01" if setup.dns_challenge else "http-01"
    # RFC 8657 §4: without the parameter every method is allowed.
    allowed = [
        parameters
        for parameters in caa.parameters(ISSUER)
        if method in (part.strip().lower() for part in parameters.get("validationmethods", method).split(","))
    ]
    if caa.issue and not allowed:
        return NotReady(
            Check.CAA,
            f"the CAA records at {caa.owner} allow Let's Encrypt other validation methods than {method} for {name}",
            f'publish there: CAA 0 issue "{ISSUER}; validationmethods={method}"',
        )
    accounts = [p["accounturi"] for p in allowed if "accounturi" in p]
    if len(accounts) < len(allowed) or not allowed or setup.accounts & set(accounts):
        return None
    return unknown(
        Check.CAA,
        f"the CAA records at {caa.owner} allow {name} one ACME account only ({accounts[0]}), and it is not known "
        "whether that is acme-mailcow's",
        f'if it is, publish there also, until the name is in the certificate: CAA 0 issue "{ISSUER}"',
    )


def http_trouble(
    name: str, setup: AcmeSetup, dns: Dns, challenge: Sight[Challenge], since: float
) -> NotReady | None:
    """Why the HTTP probe fails for the name. Let's Encrypt makes it even if acme-mailcow skips it."""
    if setup.dns_challenge:
        return None
    found = fresh(challenge, since)
    if isinstance(found, Unseen):
        return unknown(Check.HTTP, f"the HTTP probe of {name} is missing: {found.reason}")
    words = setup.words(name, RefusedFor.HTTP)
    match found.value.answered:
        case Answered.YES:
            return None
        case Answered.INSIDE:
            why = _not_proven_from_outside(name, setup, dns)
            reason = f"{name} cannot be reached on port 80 from here ({found.value.said}), and {why}"
            return unknown(Check.HTTP, reason, words=words) if why else None
        case Answered.NO:
            return NotReady(
                Check.HTTP,
                f"port 80 of {name} is not answered by this mailcow: {found.value.said}",
                f"let http://{name}/.well-known/acme-challenge/ reach nginx-mailcow; behind a reverse proxy, this prints its "
                f"configuration: {command('proxy nginx')}",
                words=words,
            )


def _not_proven_from_outside(name: str, setup: AcmeSetup, dns: Dns) -> str | None:
    """The sidecar cannot reach the name publicly: the name passes if acme-mailcow can, and the address is ours."""
    addresses = dns.addresses_of(name)
    found = addresses.value if isinstance(addresses, Seen) else Addresses(frozenset())
    family, chosen = looked_at(found)
    run = setup.last_run
    if not setup.skips_http and (run is None or family not in run.confirmed):
        return f"acme-mailcow's last run confirmed no name over IPv{family}"
    if setup.compares(family):
        return None
    if setup.skips_http:
        if name == setup.conf.hostname or (
            chosen and differs_from_hostname(name, found, setup, dns, 0.0) is None
        ):
            return None
        return f"it does not have the addresses of {setup.conf.hostname}"
    # If acme-mailcow compares nothing, a closed port on another host would look the same from here.
    reached = run.reached if run else frozenset()
    if chosen and all(any(same_address(address, one) for one in reached) for address in chosen):
        return None
    return f"acme-mailcow's last run confirmed no name at {', '.join(sorted(chosen)) or 'no address'}"


def log_trouble(name: str, setup: AcmeSetup, dns: Dns) -> NotReady | None:
    """Why acme-mailcow refused the name in its last run, unless something observed since then contradicts it."""
    if setup.last_run is None or (said := setup.last_run.refusal(name)) is None:
        return None
    found = dns.addresses_of(name)
    address_changed = (
        isinstance(found, Seen)
        and said.address is not None
        and not any(same_address(said.address, address) for address in found.value.addresses)
    )
    match said.why:
        case RefusedFor.CAA | RefusedFor.NO_ADDRESS | RefusedFor.POLICY:
            # The cause of the refusal is checked separately: if that passes now, it has changed since.
            return None
        case RefusedFor.ADDRESS | RefusedFor.HTTP if address_changed:
            return None
        case _:
            return NotReady(
                Check.LOG,
                f"acme-mailcow refused {name} in its last run, and the DNS of {name} has not changed since",
                "acme-mailcow checks it again within a day; to try at once: docker compose restart acme-mailcow",
                words=said.words,
            )
