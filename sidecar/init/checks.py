"""What a mailcow directory means for MTA-STS: a list of small rules over what was found; pure.

Rules for every editor: a rule is a function of its own in `RULES`; what it finds is a value with a stable code and
says what it means for the reader, never only what is there. No finding holds a key or a password. What is to be
changed is decided in `proposals`.
"""

import ipaddress
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from sidecar.formats.domain_name import covered_by_wildcard, to_ascii
from sidecar.formats.dotenv import has_spaces, has_trailing_spaces
from sidecar.formats.mtasts_policy import Invalid, parse
from sidecar.init.access import (
    ALLOW_FROM,
    API_KEY,
    OWN_KEY,
    READ_ONLY,
    KeySource,
    allow_list_counts,
    allows,
    can_match,
    given,
    key_source,
)
from sidecar.init.look import ADDRESS_END, CLONE, COMPOSE, SOCKET, SOURCE, Clone, Directory
from sidecar.init.override import SERVICE
from sidecar.mailcow.database import Database
from sidecar.observed import Backend, Issuer, Unseen
from sidecar.observed.words import day
from sidecar.plan.conf_entries import KEYS, SAN


class Mark(StrEnum):
    """How much a finding matters; the word stands before it on the terminal."""

    GOOD = "ok"
    NOTE = "note"
    """To be known; nothing has to be done."""
    WARN = "warn"
    """Something will not work as one may hope."""
    STOP = "stop"
    """A person must do something before the sidecar can be set up."""


@dataclass(frozen=True, slots=True)
class InitFinding:
    """What a rule found, as a sentence, and what to do where something is."""

    code: str
    mark: Mark
    message: str
    todo: str = ""


Findings: TypeAlias = Iterator[InitFinding]

ADDRESS_TAKEN = "address-taken"
CLONE_MISSING = "clone-missing"
LAST_MISSING = "last-missing"
LAST = "watchdog-mailcow"
"""The service of mailcow that starts last; the sidecar's waits for it."""
BUILD = f"docker compose build {SERVICE}"


def check(directory: Directory) -> tuple[InitFinding, ...]:
    """All that the rules find, in the order of the rules."""
    return tuple(finding for rule in RULES for finding in rule(directory))


def _generation(found: Directory) -> Findings:
    version = f"mailcow {found.version_text}" if found.version_text else "mailcow of unknown version"
    if found.version_disagrees:
        yield InitFinding(
            "version-disagrees",
            Mark.WARN,
            f"{version} does not fit its files, which {'have' if found.has_policy_page else 'lack'} a page for "
            "MTA-STS policies",
            "if an update of mailcow was broken off, finish it first: ./update.sh",
        )
    if found.backend is Backend.NATIVE:
        meaning = "serves a policy per domain itself; the sidecar sets them through the API"
    else:
        meaning = "has no MTA-STS of its own; the sidecar writes one policy file for all domains"
    yield InitFinding("generation", Mark.GOOD, f"{version} {meaning}")


def _hostname(found: Directory) -> Findings:
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
            "hostname", Mark.WARN, "MAILCOW_HOSTNAME is no full host name", "set it in mailcow.conf"
        )


def _compose_files(found: Directory) -> Findings:
    if not found.env_is_conf:
        yield InitFinding(
            "env-link",
            Mark.WARN,
            ".env is no link to mailcow.conf, so Compose does not see what mailcow.conf says",
            "in the mailcow directory: ln -sf mailcow.conf .env",
        )
    if found.before_compose:
        yield InitFinding(
            "compose-shadowed",
            Mark.WARN,
            f"Compose reads {found.before_compose[0]} instead of mailcow's {COMPOSE}",
            "move it away, or add the sidecar's service to whatever you start mailcow with",
        )
    if found.override.ignored:
        yield InitFinding(
            "override-ignored",
            Mark.WARN,
            f"of several override files Compose reads {found.override.name} and not "
            f"{', '.join(found.override.ignored)}",
            "put what is still wanted into one file",
        )
    files = found.conf.values.get("COMPOSE_FILE", "")
    if files and found.override.name not in files.replace(";", ":").split(":"):
        yield InitFinding(
            "compose-file",
            Mark.WARN,
            f"COMPOSE_FILE in mailcow.conf does not name {found.override.name}, so Compose does not read it",
            "add it there",
        )


def _certificate(found: Directory) -> Findings:
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
                "MAILCOW_HOSTNAME must resolve to this host and port 80 be reachable, then acme-mailcow gets one",
            )
        case Issuer.OTHER:
            yield InitFinding(
                "certificate-own",
                Mark.NOTE,
                f"the certificate is of your own ({end}), so acme-mailcow never replaces it",
                "have mta-sts.<domain> put into it for each domain, or a wildcard that covers it",
            )
        case Issuer.LETS_ENCRYPT:
            names = f"{len(server.names)} name{'s' if len(server.names) != 1 else ''}"
            yield InitFinding("certificate", Mark.GOOD, f"the certificate is Let's Encrypt's, {names}, {end}")
    if server.not_after <= found.seen_at:
        yield InitFinding("certificate-ended", Mark.WARN, f"the certificate {end.replace('ends', 'ended')}")
    name = found.conf.hostname
    if name not in server.names and covered_by_wildcard(name, server.names) is None:
        yield InitFinding("certificate-name", Mark.WARN, "MAILCOW_HOSTNAME is not in the certificate")


def _certificate_settings(found: Directory) -> Findings:
    conf = found.conf
    if conf.yes("SKIP_LETS_ENCRYPT"):
        yield InitFinding(
            "skip-lets-encrypt",
            Mark.NOTE,
            "SKIP_LETS_ENCRYPT=y: acme-mailcow gets no certificates, and the sidecar never restarts it",
            "whatever gets yours must put mta-sts.<domain> into it for each domain",
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
        yield InitFinding("sni", Mark.NOTE, "ENABLE_SSL_SNI=y: each domain has a certificate of its own")
    if found.backend is Backend.NATIVE and not conf.yes("AUTODISCOVER_SAN", "y"):
        yield InitFinding(
            "autodiscover-san",
            Mark.NOTE,
            "AUTODISCOVER_SAN=n: mailcow asks for no mta-sts.<domain> by itself; the sidecar adds what is "
            "needed to ADDITIONAL_SAN",
        )
    for key in KEYS:
        value = conf.values.get(key, "")
        if has_spaces(value) or (key == SAN and has_trailing_spaces(value)):
            yield InitFinding(
                "list-spaces",
                Mark.NOTE,
                f"{key} has spaces between its entries, where mailcow needs commas alone: the sidecar repairs that",
            )


def _ports(found: Directory) -> Findings:
    values = found.conf.values
    port, http = values.get("HTTPS_PORT") or "443", values.get("HTTP_PORT") or "80"
    bind = values.get("HTTPS_BIND", "")
    if port == "443" and http == "80" and not bind.startswith("127."):
        yield InitFinding("ports", Mark.GOOD, "web ports 80 and 443: senders reach the policies there")
    else:
        yield InitFinding(
            "ports",
            Mark.NOTE,
            f"web ports {http} and {port}{f' on {bind}' if bind else ''}: something else answers at 443, "
            "where senders ask",
            "let it pass on mta-sts.<domain> of each domain (and /.well-known/acme-challenge/ at port 80)",
        )
    url = values.get("MTA_STS_API_URL") or found.variables.get("MTA_STS_API_URL")
    if found.conf.yes("NGINX_USE_PROXY_PROTOCOL") and not url:
        yield InitFinding(
            "proxy-protocol",
            Mark.WARN,
            "NGINX_USE_PROXY_PROTOCOL=y: the sidecar cannot call the API at nginx-mailcow directly",
            "add MTA_STS_API_URL=https://… to mailcow.conf, the address of your proxy as this host reaches it",
        )


def _policy_file(found: Directory) -> Findings:
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
            "data/web/.well-known/mta-sts.txt is there, but this mailcow never serves it; the sidecar leaves it",
        )
    elif isinstance(policy, Invalid):
        yield InitFinding(
            "policy-file-invalid",
            Mark.WARN,
            f"data/web/.well-known/mta-sts.txt is no valid policy: {policy.problems[0]}; the sidecar replaces it "
            "and keeps a copy",
        )
    else:
        yield InitFinding(
            "policy-file",
            Mark.NOTE,
            f"a policy is served already (mode {policy.mode}, max_age {policy.max_age}): the sidecar takes it "
            "over, keeps a copy, and asks no less of senders unless its settings say so",
        )


def _access(found: Directory) -> Findings:
    values, variables = found.conf.values, found.variables
    match key_source(values, variables):
        case KeySource.OWN:
            yield InitFinding("api-key", Mark.GOOD, f"the sidecar has its own API key ({OWN_KEY})")
            if not allow_list_counts(values, variables):
                yield InitFinding(
                    "api-allow-page",
                    Mark.NOTE,
                    f"that key's allow list is in mailcow's page: {found.address} must be in it",
                )
        case KeySource.CONF if not can_match(given(values, API_KEY)):
            yield InitFinding(
                "api-key-invalid",
                Mark.WARN,
                f"{API_KEY} in mailcow.conf has characters that mailcow takes out of a caller's key: it never works",
                "use only a-z, A-Z, 0-9 and -",
            )
        case KeySource.CONF:
            yield InitFinding(
                "api-key", Mark.GOOD, f"mailcow.conf has an {API_KEY}, which the sidecar will use"
            )
        case KeySource.NONE:
            then = "; the sidecar gets access by itself" if Database.known(found.conf) else ""
            yield InitFinding("api-key-none", Mark.NOTE, f"mailcow.conf has no API key that may write{then}")
    if given(values, READ_ONLY):
        yield InitFinding("api-key-read-only", Mark.NOTE, f"{READ_ONLY} is set; the sidecar does not use it")
    if not allow_list_counts(values, variables):
        return
    if allows(values, found.address):
        yield InitFinding("api-allow", Mark.GOOD, f"{ALLOW_FROM} lets the sidecar in ({found.address})")
    else:
        yield InitFinding(
            "api-allow-none", Mark.NOTE, f"{ALLOW_FROM} does not let the sidecar in ({found.address})"
        )


def _address(found: Directory) -> Findings:
    values, address = found.conf.values, found.address
    network = values.get("IPV4_NETWORK", "")
    if network and not _is_network(network):
        yield InitFinding(
            "address-network",
            Mark.STOP,
            f"IPV4_NETWORK={network} in mailcow.conf is not of the form 172.22.1: mailcow puts the last number and /24 "
            "behind it, so no container gets an address",
            "write the first three numbers of a private network, without a fourth one and without /24",
        )
        return
    files = (found.compose, found.overriding)
    holders = [name for file in files if (name := file.holder(address, values, but=SERVICE))]
    if holders:
        yield InitFinding(
            ADDRESS_TAKEN,
            Mark.STOP,
            f"the service {holders[0]} has the fixed address {address}, which is to be the sidecar's",
            f"give {holders[0]} another one, or add the sidecar's service by hand with a free one (such as "
            f"{_free_address(found)}): init then uses that",
        )
    elif SERVICE in found.overriding.by_name and found.overriding.address(SERVICE, values) is None:
        yield InitFinding(
            "address-none",
            Mark.WARN,
            f"the service {SERVICE} has no fixed address in {found.override.name}, so the API may not let it in",
            f"give it one, as the sidecar's own docker-compose.override.yml does ({address})",
        )


def _is_network(text: str) -> bool:
    """Whether it is the first three numbers of an IPv4 address, as mailcow's compose file takes them."""
    try:
        ipaddress.IPv4Address(f"{text}.0")
    except ValueError:
        return False
    return True


def _free_address(found: Directory) -> str:
    values = found.conf.values
    network = found.address.rpartition(".")[0]
    candidates = (f"{network}.{last}" for last in range(246, 1, -1))
    return next(
        address
        for address in candidates
        if not any(file.holder(address, values, but="") for file in (found.compose, found.overriding))
    )


def _clone(found: Directory) -> Findings:
    match found.clone:
        case Clone.THERE:
            yield InitFinding(
                "clone", Mark.GOOD, f"the sidecar's repository is where {SERVICE} is built from"
            )
        case Clone.OUTSIDE:
            yield InitFinding(
                "clone-outside",
                Mark.NOTE,
                f"{SERVICE} is built from a place outside of the mailcow directory, which init cannot look at",
                f"before mailcow is stopped or updated: {BUILD}",
            )
        case Clone.REMOTE:
            yield InitFinding(
                "clone-remote",
                Mark.NOTE,
                f"{SERVICE} is built from a git address ({SOURCE}), which init does not ask for; without an image, and "
                "where Docker cannot fetch it, `docker compose up -d` starts nothing of mailcow",
                f"before mailcow is stopped or updated: {BUILD}",
            )
        case Clone.MISSING:
            yield InitFinding(
                CLONE_MISSING,
                Mark.STOP,
                f"the folder from which {SERVICE} is built is missing, or does not hold the sidecar's repository; "
                "without an image `docker compose up -d` then starts nothing of mailcow",
                f"clone the repository into {CLONE}/ in the mailcow directory, or set {SOURCE} in mailcow.conf to "
                "another folder or a git address, and run init again",
            )


def _start(found: Directory) -> Findings:
    """What would make Compose refuse the whole project, or keep the sidecar's container from starting."""
    files = (found.compose, found.overriding)
    if not any(LAST in file.by_name for file in files) or any(file.optional(LAST) for file in files):
        yield InitFinding(
            LAST_MISSING,
            Mark.STOP,
            f"{LAST}, for which {SERVICE} waits when it starts, is missing or has a profile: Compose would refuse all "
            "of mailcow",
            f"take the profile away (USE_WATCHDOG=n switches the watchdog off), or `depends_on` out of {SERVICE}",
        )
    last = found.conf.values.get(ADDRESS_END, "")
    if last and not (last.isascii() and last.isdigit() and 1 < int(last) < 255):
        yield InitFinding(
            "address-end",
            Mark.STOP,
            f"{ADDRESS_END} is no number from 2 to 254",
            "correct it in mailcow.conf",
        )
    socket = found.conf.values.get(SOCKET, "")
    if socket and not socket.startswith("/"):
        yield InitFinding(
            "socket-path",
            Mark.STOP,
            f"{SOCKET} is no absolute path, so Compose would refuse all of mailcow, or look in the wrong place",
            "set it to the path of Docker's socket on the host, such as /run/user/1000/docker.sock",
        )
    if found.overriding.by_name.get(SERVICE, {}).get("ports"):
        yield InitFinding(
            "ports-published",
            Mark.NOTE,
            f"{SERVICE} publishes a port: where another program has it, the sidecar does not start (mailcow does)",
        )


RULES: tuple[Callable[[Directory], Findings], ...] = (
    _generation,
    _hostname,
    _compose_files,
    _certificate,
    _certificate_settings,
    _ports,
    _policy_file,
    _address,
    _access,
    _clone,
    _start,
)
