"""How the stand-in for acme-mailcow checks a name before an order: CAA, address, HTTP; and its log.

Rule for every editor: the questions, their order and the log lines are those of the real one. The answers come
from the demo's DNS and web server, or from real ones.
"""

import ipaddress
import re
import secrets
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from demo.acme_names import Options, parent

CHALLENGE_PATH = "/.well-known/acme-challenge/"
CHALLENGES = Path("data/web/.well-known/acme-challenge")
"""In the mailcow directory: what nginx-mailcow serves at that path."""
LETS_ENCRYPT = "letsencrypt.org"
_ISSUE = re.compile(r'\d issue "(.*)"')
_NO_IPV6 = "::"


class Dns(Protocol):
    """The resolver for names."""

    async def short(self, name: str, kind: str) -> Sequence[str]:
        """The values in the answer, aliases on the way included, in its order; none if it failed."""
        ...


class Web(Protocol):
    """The way to port 80 of a name."""

    async def get(self, name: str, family: int, path: str) -> str | None:
        """The text at the URL, redirects followed, over IPv4 or IPv6 only; None if nothing answers."""
        ...


class Log:
    """Lines as the container prints them, each with the time at which it was printed."""

    def __init__(self, timezone: str, ago: float = 0.0) -> None:
        """`ago`: how many seconds ago all this happens."""
        self.lines: list[tuple[float, str]] = []
        self.zone: tzinfo = zone(timezone)
        self._ago = ago

    def say(self, text: str, *, date: bool = True) -> None:
        """A line, with the date before it as the shell writes one."""
        now = time.time() - self._ago
        at = datetime.fromtimestamp(now, self.zone)
        self.lines.append((now, f"{at:%a %b} {at.day:2} {at:%H:%M:%S %Z %Y} - {text}" if date else text))


def zone(name: str) -> tzinfo:
    """The time zone of that name; UTC where there is none."""
    try:
        return ZoneInfo(name) if name else UTC
    except (ZoneInfoNotFoundError, ValueError):
        return UTC


def issuers(records: Iterable[str]) -> str:
    """The values of the `issue` records among CAA records, one behind the other."""
    return " ".join(_ISSUE.sub(r"\1", record) for record in records if _ISSUE.search(record)).strip()


@dataclass(slots=True)
class Checks:
    """The checks of one run."""

    options: Options
    dns: Dns
    web: Web
    folder: Path
    """That of the challenges."""
    log: Log
    public: tuple[str, str] = ("", "")
    """The host's own IPv4 and IPv6 address as detected."""

    def detect(self, found: tuple[str, str]) -> None:
        """Notes the answers of the external services, if they are asked at all."""
        if self.options.yes("SKIP_IP_CHECK"):
            return
        self.public = found
        self.log.say("Detecting IP addresses...")
        self.log.say(f"OK: {found[0]}, {found[1] or expanded(_NO_IPV6)}")

    async def listed_allowed(self, name: str) -> bool:
        """The CAA check that a full name in ADDITIONAL_SAN gets before the usual one."""
        found = issuers(await self.dns.short(parent(name), "CAA"))
        if not found:
            return True
        if LETS_ENCRYPT in found:
            self.log.say(f"Validated CAA for parent domain {parent(name)} of {name}")
            return True
        disallowed = f"Lets Encrypt disallowed for {name} by CAA record"
        self.log.say(f"Skipping ACME validation for {name}: {disallowed}")
        return False

    async def passes(self, name: str) -> bool:
        """Whether the name goes into the order."""
        ipv4 = (await self.dns.short(name, "A"))[-1:]
        ipv6 = [text for text in (await self.dns.short(name, "AAAA"))[-1:] if ":" in text]
        if found := issuers(await self.dns.short(parent(name), "CAA")):
            if LETS_ENCRYPT not in found:
                self.log.say(f"Lets Encrypt disallowed for {parent(name)} by CAA record")
                return False
            self.log.say(f"Validated CAA for parent domain {parent(name)}")
        if self.options.dns_challenge:
            self.log.say(f"ACME_DNS_CHALLENGE=y - skipping IP and HTTP validation for {name}")
            return True
        if ipv6:
            return await self._ipv6_passes(name, ipv6[0])
        if ipv4:
            return await self._ipv4_passes(name, ipv4[0])
        self.log.say(f"No A or AAAA record found for hostname {name}")
        return False

    async def _ipv6_passes(self, name: str, found: str) -> bool:
        self.log.say(f"Found AAAA record for {name}: {found} - skipping A record check")
        own, found = expanded(self.public[1] or _NO_IPV6), expanded(found)
        if own != found and self.options.compared(6):
            self.log.say(f"Cannot match your IP {own} against hostname {name} (DNS returned {found})")
            return False
        served = await self._served(name, 6)
        said = f"Confirmed AAAA record with IP {found}"
        self.log.say(said if served else f"{said}, but HTTP validation failed")
        return served

    async def _ipv4_passes(self, name: str, found: str) -> bool:
        self.log.say(f"Found A record for {name}: {found}")
        if self.public[0] != found and self.options.compared(4):
            own = self.public[0]
            self.log.say(f"Cannot match your IP {own} against hostname {name} (DNS returned {found})")
            return False
        if await self._served(name, 4):
            self.log.say(f"Confirmed A record {found}")
            return True
        self.log.say(f"Confirmed A record with IP {found}, but HTTP validation failed")
        return False

    async def _served(self, name: str, family: int) -> bool:
        """Whether a file in the challenge folder is what the name serves."""
        if self.options.yes("SKIP_HTTP_VERIFICATION"):
            self.log.say("(skipping check, returning 0)", date=False)
            return True
        text = f"{secrets.randbelow(10**15)}"
        file = put(self.folder, text, f"{text}\n")
        try:
            return (await self.web.get(name, family, CHALLENGE_PATH + text) or "").rstrip("\n") == text
        finally:
            file.unlink(missing_ok=True)


def put(folder: Path, name: str, text: str) -> Path:
    """A file in the challenge folder, which is created if it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / name
    file.write_text(text)
    file.chmod(0o644)
    return file


def expanded(address: str) -> str:
    """An IPv6 address with all its digits."""
    try:
        return ipaddress.IPv6Address(address).exploded
    except ValueError:
        return address
