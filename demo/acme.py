"""The stand-in for acme-mailcow: the effects of a run on the certificate folder, and its log lines.

Rule for every editor: it finds its names itself, from its environment, mailcow's tables and the DNS, as the
real one does, and not with the sidecar's own rules: otherwise the demo would test the sidecar against
itself. `acme_names` lists the names, `acme_checks` checks one, `acme_authority` signs.
"""

import asyncio
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from pathlib import Path

from cryptography import x509

from demo.acme_authority import Authority
from demo.acme_checks import CHALLENGES, Checks, Dns, Log, Web
from demo.acme_names import Options, Script, Selection, Tables, environment, parent, selection
from demo.simulated import SimulatedMailcow
from sidecar.host.files import replace_file

WORK_S = 1.0
"""How long a run takes. The real one takes longer; less than a second would date an order before its cause."""
_BASE = "/var/lib/acme"
"""The certificate folder, as seen in the container."""
_RENEW_BEFORE = timedelta(days=30)
_OWN_ISSUERS = ("Let's Encrypt", "mailcow", "Fake LE Intermediate")
_REQUESTED = "Certificates successfully requested and renewed where required, sleeping one day"
_RENEWED = "Certificates were successfully renewed where required, sleeping for another day."
_UNCHANGED = (
    "Certificates were successfully validated, no changes or renewals required, sleeping for another day."
)


@dataclass(frozen=True, slots=True)
class Ran:
    """How a run ended: the argument of the `sleep` after it, and the lines of its log with their times."""

    sleep: str
    lines: tuple[tuple[float, str], ...]


class _Order(Enum):
    CREATED = "created"
    RENEWED = "renewed"
    NOT_DUE = "not due"
    FAILED = "failed"


@dataclass(slots=True)
class StandInAcme:
    """Orders from its own certificate authority, a stand-in for Let's Encrypt.

    `public` has the host's IPv4 and IPv6 address as external services would report them, "" for none.
    """

    mailcow_dir: Path
    mailcow: SimulatedMailcow
    dns: Dns
    web: Web
    public: tuple[str, str]
    authority: Authority = field(init=False)

    def __post_init__(self) -> None:
        self.authority = Authority(self.dns, self.web)

    @property
    def folder(self) -> Path:
        """The folder of the certificates."""
        return self.mailcow_dir / "data/assets/ssl"

    def names(self) -> frozenset[str]:
        """The names in the certificate."""
        found = x509.load_pem_x509_certificate((self.folder / "cert.pem").read_bytes())
        extension = found.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        return frozenset(extension.value.get_values_for_type(x509.DNSName))

    def first(self, names: Sequence[str], *, issuer: str | None = None) -> None:
        """The certificate that was there before the sidecar came; the first name is that of its folder."""
        self.folder.mkdir(parents=True, exist_ok=True)
        ordered = [names[0], *sorted(names[1:])]
        self._deploy(ordered, self.authority.certificate(ordered, **({"issuer": issuer} if issuer else {})))
        self._serve(ordered[0])

    async def run(self, env: Mapping[str, str], *, ago: float = 0.0) -> Ran:
        """One run: a new certificate if the names that pass their check have changed.

        `ago`: how many seconds ago the run was, by the dates in its log.
        """
        options = Options(environment(env), Script.of(self.mailcow.world.said_version))
        log = Log(options.values["TZ"], ago)
        sleep = self._idle(options, log) or await self._work(options, log)
        return Ran(sleep, tuple(log.lines))

    def _idle(self, options: Options, log: Log) -> str | None:
        """How long it sleeps if it has nothing to do."""
        if options.yes("SKIP_LETS_ENCRYPT"):
            log.say("SKIP_LETS_ENCRYPT=y, skipping Let's Encrypt...")
            return "365d"
        for other in ("Docker API", "Postfix", "Dovecot"):
            log.say(f"Waiting for {other}...")
            log.say(f"{other} OK")
        if not any(issuer in _issuer(self.folder / "cert.pem") for issuer in _OWN_ISSUERS):
            log.say(
                "Found certificate with issuer other than mailcow snake-oil CA and Let's Encrypt, "
                "skipping ACME client..."
            )
            return "3650d"
        for other in ("database", "Nginx", "resolver"):
            log.say(f"Waiting for {other}...")
            log.say(f"{other.capitalize()} OK")
        log.say("Waiting for domain table...")
        log.say("OK", date=False)
        log.say("Initializing, please wait...")
        return None

    async def _work(self, options: Options, log: Log) -> str:
        log.say(f"Using existing domain rsa key {_BASE}/acme/key.pem")
        log.say(f"Using existing Lets Encrypt account key {_BASE}/acme/account.pem")
        before = {path.parent.name for path in self.folder.glob("*/domains")}
        checks = Checks(options, self.dns, self.web, self.mailcow_dir / CHALLENGES, log)
        checks.detect(self.public)
        server, others = await _validated(options, checks, Tables.of(self.mailcow.world))
        if not server and not others:
            log.say("Cannot validate any hostnames, skipping Let's Encrypt for 1 hour.")
            log.say("Use SKIP_LETS_ENCRYPT=y in mailcow.conf to skip it permanently.")
            return "1h"
        ends = []
        if server:
            ends.append(await self._obtain(server, options, log))
            if (self.folder / server[0] / "cert.pem").exists():
                await asyncio.to_thread(self._serve, server[0])
        ends += [await self._obtain(names, options, log) for names in others]
        if _Order.FAILED not in ends and self._archive(before, [server, *others], log):
            ends.append(_Order.CREATED)
        return _ended(ends, log)

    # --- orders

    async def _obtain(self, names: Sequence[str], options: Options, log: Log) -> _Order:
        """The certificate in the folder of the first name, if it is not there or another one is due."""
        name, there = f"{_BASE}/{names[0]}/cert.pem", self.folder / names[0] / "cert.pem"
        domains = there.with_name("domains")
        if not there.exists() or not domains.exists() or domains.read_text() != " ".join(names):
            log.say(f"Certificate {name} missing or changed domains '{' '.join(names)}' - start obtaining")
        elif _ends_soon(there):
            log.say(f"Certificate {name} is due for renewal (< 30 days) - start renewing")
        else:
            log.say(f"Certificate {name} validation done, neither changed nor due for renewal.")
            return _Order.NOT_DUE
        renewed = there.exists()
        if renewed:
            await asyncio.to_thread(self._back_up, names[0], log)
        challenges = None if options.dns_challenge else self.mailcow_dir / CHALLENGES
        log.say("Checking resolver...")
        log.say("Resolver OK")
        ordered = list(dict.fromkeys(one.lower() for one in names))
        refusal = await self.authority.refusal(ordered, challenges)
        if refusal is not None:
            log.say(f"ValueError: {refusal}", date=False)
            log.say(f"Failed to obtain certificate {name} for domains '{' '.join(names)}'")
            return _Order.FAILED
        log.say(f"Deploying certificate {name}...")
        log.say("Verified hashes.")
        await asyncio.to_thread(self._deploy, names, self.authority.certificate(ordered))
        if challenges is not None:
            await asyncio.to_thread(_emptied, challenges)
        log.say("Certificate successfully obtained")
        return _Order.RENEWED if renewed else _Order.CREATED

    def _deploy(self, names: Sequence[str], pem: bytes) -> None:
        folder = self.folder / names[0]
        folder.mkdir(exist_ok=True)
        replace_file(folder / "key.pem", self.authority.key_pem(), mode=0o600)
        replace_file(folder / "cert.pem", pem, mode=0o644)
        (folder / "domains").write_text(" ".join(names))

    def _serve(self, name: str) -> None:
        """That certificate becomes the server's."""
        for file, mode in (("key.pem", 0o600), ("cert.pem", 0o644)):
            replace_file(self.folder / file, (self.folder / name / file).read_bytes(), mode=mode)

    def _back_up(self, name: str, log: Log) -> None:
        backup = self._backup(name, log)
        log.say(f"Creating backups in {_BASE}/backups/{name}/{backup.name} ...")
        shutil.copytree(self.folder / name, backup, dirs_exist_ok=True)

    def _archive(self, before: Iterable[str], orders: Iterable[Sequence[str]], log: Log) -> bool:
        """Removes folders without an order; returns whether there was one."""
        orphans = sorted(set(before) - {names[0] for names in orders if names})
        for name in orphans:
            log.say(f"Found orphaned certificate: {name} - archiving it at {_BASE}/backups/{name}/")
            backup = self._backup(name, log)
            backup.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(self.folder / name, backup)
        return bool(orphans)

    def _backup(self, name: str, log: Log) -> Path:
        return self.folder / "backups" / name / f"{datetime.now(log.zone):%Y-%m-%d_%H_%M_%S}"


async def _validated(options: Options, checks: Checks, tables: Tables) -> tuple[list[str], list[list[str]]]:
    """The names of the server's certificate, the one of its folder first, and those of each further one."""
    chosen = selection(options, tables)
    groups = await _groups(chosen, checks)
    hostname = options.hostname if await checks.passes(options.hostname) else None
    full = [
        name
        for name in chosen.full
        if await checks.listed_allowed(name) and name != options.hostname and await checks.passes(name)
    ]
    if hostname and options.covered(hostname):
        wildcard = f"*.{parent(hostname)}"
        checks.log.say(
            f"MAILCOW_HOSTNAME '{hostname}' is covered by wildcard '{wildcard}' - skipping explicit hostname"
        )
        hostname = None
    first = [hostname] if hostname else []
    if not options.yes("ENABLE_SSL_SNI"):
        return first + sorted({*full, *(name for group in groups for name in group)}), []
    server = first + sorted(set(full))
    # The first name that passed stays first: it is the name of the folder.
    ordered = [[*group[:1], *sorted(set(group[1:]))] for group in groups]
    others = [[name for name in group if name not in server] for group in ordered]
    return server, [group for group in others if group]


async def _groups(chosen: Selection, checks: Checks) -> list[list[str]]:
    groups = []
    for group in chosen.groups:
        passed = []
        for candidate in group:
            if candidate.skipped:
                checks.log.say(candidate.skipped)
            elif await checks.passes(candidate.name):
                passed.append(candidate.name)
        groups.append(passed)
    return groups


def _ended(ends: Sequence[_Order], log: Log) -> str:
    if _Order.FAILED in ends:
        log.say("Some errors occurred, retrying in 30 minutes...")
        return "30m"
    if _Order.CREATED in ends:
        log.say(_REQUESTED)
    else:
        log.say(_RENEWED if _Order.RENEWED in ends else _UNCHANGED)
    return "1d"


def _issuer(path: Path) -> str:
    """The text of the issuer; without a certificate mailcow uses its own."""
    if not path.exists():
        return "mailcow"
    found = x509.load_pem_x509_certificate(path.read_bytes()).issuer
    return ", ".join(str(part.value) for part in found)


def _ends_soon(path: Path) -> bool:
    found = x509.load_pem_x509_certificate(path.read_bytes())
    return found.not_valid_after_utc - datetime.now(UTC) < _RENEW_BEFORE


def _emptied(challenges: Path) -> None:
    """After an order all files are removed, whoever wrote them."""
    for file in challenges.iterdir():
        if file.is_file():
            file.unlink(missing_ok=True)
