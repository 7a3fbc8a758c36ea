"""Rules about mailcow: its generation, certificate, ports, policy file and API access; pure.

Rules for every editor: those of `checks`.
"""

from sidecar.formats.domain_name import covered_by_wildcard, to_ascii
from sidecar.formats.dotenv import has_spaces, has_trailing_spaces
from sidecar.formats.mtasts_policy import Invalid, parse
from sidecar.init.access import KeySource, allow_list_counts, can_match, key_source
from sidecar.init.findings import Findings, InitFinding, Mark
from sidecar.init.look import Directory
from sidecar.mailcow.database import Database
from sidecar.observed import Backend, Issuer, Unseen
from sidecar.observed.words import day
from sidecar.plan.access import ALLOW_FROM, API_KEY, OWN_KEY, READ_ONLY, conf_allows, given
from sidecar.plan.conf_entries import KEYS, SAN


def generation(found: Directory) -> Findings:
    version = f"mailcow {found.version_text}" if found.version_text else "mailcow of unknown version"
    if found.version_disagrees:
        yield InitFinding(
            "version-disagrees",
            Mark.WARN,
            f"{version} does not fit its files, which {'have' if found.has_policy_page else 'lack'} a page for "
            "MTA-STS policies",
            "if an update of mailcow was interrupted, finish it first: ./update.sh",
        )
    if found.version_text is None and found.backend is Backend.FILE:
        yield InitFinding(
            "generation",
            Mark.NOTE,
            "the files of mailcow do not name its version, and have no page for MTA-STS policies, as before 2025-09",
            "nothing: the running sidecar asks mailcow itself",
        )
        return
    if found.backend is Backend.NATIVE:
        meaning = "serves one policy per domain; the sidecar sets them through the API"
    else:
        meaning = "has no MTA-STS; the sidecar writes one policy file for all domains"
    yield InitFinding("generation", Mark.GOOD, f"{version} {meaning}")


def hostname(found: Directory) -> Findings:
    name = found.conf.hostname
    try:
        proper = "." in to_ascii(name)
    except ValueError:
        proper = False
    if proper:
        yield InitFinding(
            "hostname", Mark.GOOD, f"MAILCOW_HOSTNAME is {name}: the mx of the policies by default"
        )
    else:
        yield InitFinding(
            "hostname", Mark.WARN, "MAILCOW_HOSTNAME is not a full host name", "set it in mailcow.conf"
        )


def certificate(found: Directory) -> Findings:
    if isinstance(found.certificates, Unseen):
        yield InitFinding("certificate-unseen", Mark.WARN, found.certificates.reason)
        return
    server = found.certificates.value.server
    if server is None:
        yield InitFinding("certificate-none", Mark.WARN, "there is no certificate yet in data/assets/ssl")
        return
    end = f"ends {day(server.not_after)}"
    match server.issuer:
        case Issuer.MAILCOW:
            yield InitFinding(
                "certificate-self-signed",
                Mark.WARN,
                f"the certificate is mailcow's own self-signed one ({end}): no sender accepts a policy with it",
                "MAILCOW_HOSTNAME must resolve to this host and port 80 must be reachable; then acme-mailcow gets one",
            )
        case Issuer.OTHER:
            yield InitFinding(
                "certificate-own",
                Mark.NOTE,
                f"the certificate is your own ({end}), so acme-mailcow never replaces it",
                "let it contain mta-sts.<domain> for each domain, or a wildcard that covers it",
            )
        case Issuer.LETS_ENCRYPT:
            names = f"{len(server.names)} name{'s' if len(server.names) != 1 else ''}"
            yield InitFinding("certificate", Mark.GOOD, f"the certificate is Let's Encrypt's, {names}, {end}")
    if server.not_after <= found.seen_at:
        yield InitFinding("certificate-ended", Mark.WARN, f"the certificate {end.replace('ends', 'ended')}")
    name = found.conf.hostname
    if name not in server.names and covered_by_wildcard(name, server.names) is None:
        yield InitFinding("certificate-name", Mark.WARN, "MAILCOW_HOSTNAME is not in the certificate")


def certificate_settings(found: Directory) -> Findings:
    conf = found.conf
    if conf.yes("SKIP_LETS_ENCRYPT"):
        yield InitFinding(
            "skip-lets-encrypt",
            Mark.NOTE,
            "SKIP_LETS_ENCRYPT=y: acme-mailcow gets no certificates, and the sidecar never restarts it",
            "the program that gets your certificate must add mta-sts.<domain> for each domain",
        )
    if conf.yes("ONLY_MAILCOW_HOSTNAME"):
        yield InitFinding(
            "only-hostname",
            Mark.WARN,
            "ONLY_MAILCOW_HOSTNAME=y: no mta-sts.<domain> ever gets into the certificate, so senders refuse "
            "every policy",
            "set it to n in mailcow.conf",
        )
    if conf.yes("ENABLE_SSL_SNI"):
        yield InitFinding("sni", Mark.NOTE, "ENABLE_SSL_SNI=y: each domain has its own certificate")
    if found.backend is Backend.NATIVE and not conf.yes("AUTODISCOVER_SAN", "y"):
        yield InitFinding(
            "autodiscover-san",
            Mark.NOTE,
            "AUTODISCOVER_SAN=n: mailcow does not request mta-sts.<domain>; the sidecar adds what is "
            "needed to ADDITIONAL_SAN",
        )
    for key in KEYS:
        value = conf.values.get(key, "")
        if has_spaces(value) or (key == SAN and has_trailing_spaces(value)):
            yield InitFinding(
                "list-spaces",
                Mark.NOTE,
                f"{key} has spaces between its entries, where mailcow needs only commas: the sidecar repairs that",
            )


def ports(found: Directory) -> Findings:
    values = found.conf.values
    port, http = values.get("HTTPS_PORT") or "443", values.get("HTTP_PORT") or "80"
    bind = values.get("HTTPS_BIND", "")
    if port == "443" and http == "80" and not bind.startswith("127."):
        yield InitFinding("ports", Mark.GOOD, "web ports 80 and 443: senders reach the policies there")
    else:
        yield InitFinding(
            "ports",
            Mark.NOTE,
            f"web ports {http} and {port}{f' on {bind}' if bind else ''}: another program answers on port 443, "
            "where senders connect",
            "let it forward mta-sts.<domain> of each domain (and /.well-known/acme-challenge/ on port 80)",
        )
    url = values.get("MTA_STS_API_URL") or found.variables.get("MTA_STS_API_URL")
    if found.conf.yes("NGINX_USE_PROXY_PROTOCOL") and not url:
        yield InitFinding(
            "proxy-protocol",
            Mark.WARN,
            "NGINX_USE_PROXY_PROTOCOL=y: the sidecar cannot call the API at nginx-mailcow directly",
            "add MTA_STS_API_URL=https://… to mailcow.conf, the address of your proxy as this host reaches it",
        )


def policy_file(found: Directory) -> Findings:
    if isinstance(found.policy_file, Unseen):
        yield InitFinding("policy-file-unseen", Mark.WARN, found.policy_file.reason)
        return
    file = found.policy_file.value
    if file.locked is not None and found.backend is Backend.FILE:
        yield InitFinding(
            "policy-file-locked", Mark.WARN, f"the policy file cannot be written: {file.locked}"
        )
    if file.data is None:
        return
    policy = parse(file.data)
    if found.backend is Backend.NATIVE:
        yield InitFinding(
            "policy-file-unused",
            Mark.NOTE,
            "data/web/.well-known/mta-sts.txt exists, but this mailcow never serves it; the sidecar does not change it",
        )
    elif isinstance(policy, Invalid):
        yield InitFinding(
            "policy-file-invalid",
            Mark.WARN,
            f"data/web/.well-known/mta-sts.txt is not a valid policy: {policy.problems[0]}; the sidecar replaces it "
            "and keeps a copy",
        )
    else:
        yield InitFinding(
            "policy-file",
            Mark.NOTE,
            f"a policy is already served (mode {policy.mode}, max_age {policy.max_age}): the sidecar takes it "
            "over, keeps a copy, and does not weaken it unless its settings say so",
        )


def access(found: Directory) -> Findings:
    values, variables = found.conf.values, found.variables
    match key_source(values, variables):
        case KeySource.OWN:
            yield InitFinding("api-key", Mark.GOOD, f"the sidecar has its own API key ({OWN_KEY})")
            if not allow_list_counts(values, variables):
                yield InitFinding(
                    "api-allow-page",
                    Mark.NOTE,
                    f"that key has its allow list in mailcow's page: {found.address} must be in it",
                )
        case KeySource.CONF if not can_match(given(values, API_KEY)):
            yield InitFinding(
                "api-key-invalid",
                Mark.WARN,
                f"{API_KEY} in mailcow.conf has characters that mailcow removes from a client's key: it never works",
                "use only a-z, A-Z, 0-9 and -",
            )
        case KeySource.CONF:
            yield InitFinding(
                "api-key", Mark.GOOD, f"mailcow.conf has an {API_KEY}, which the sidecar will use"
            )
        case KeySource.NONE:
            then = "; the sidecar gets access automatically" if Database.known(found.conf) else ""
            yield InitFinding("api-key-none", Mark.NOTE, f"mailcow.conf has no API key that may write{then}")
    if given(values, READ_ONLY):
        yield InitFinding("api-key-read-only", Mark.NOTE, f"{READ_ONLY} is set; the sidecar does not use it")
    if not allow_list_counts(values, variables):
        return
    if conf_allows(values, found.address):
        yield InitFinding("api-allow", Mark.GOOD, f"{ALLOW_FROM} lets the sidecar in ({found.address})")
    else:
        yield InitFinding(
            "api-allow-none", Mark.NOTE, f"{ALLOW_FROM} does not let the sidecar in ({found.address})"
        )
