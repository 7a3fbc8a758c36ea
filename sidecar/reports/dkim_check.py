"""Checks who signed the message of a report (RFC 6376, RFC 8460 §3).

Rules for every editor: a stranger wrote the message and publishes the keys. Number and length of signatures, keys and
runs of white space are bounded before dkimpy reads them: the time of its expressions and its arithmetic grows with
their square and their cube. Keys come from our own DNS client, with one deadline. Nothing here raises.
"""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sidecar.formats.domain_name import to_ascii
from sidecar.formats.report_message import LARGEST_HEADER, LARGEST_MESSAGE, sender_of
from sidecar.observed import Kind, Question, Seen, Sight
from sidecar.observed.reports import UNSIGNED, Dkim, Proof

MOST_SIGNATURES = 4
LONGEST_SIGNATURE = 4_096
LONGEST_KEY = 1_024
"""Characters of a key record: 4,096 bits of RSA need about 750."""
MOST_LINES = 400_000
LONGEST_BLANK = 100
"""White space in a row."""
DEADLINE_S = 10.0
SMALLEST_KEY = 1_024
"""Bits (RFC 8301 §3.2)."""

Ask = Callable[[Iterable[Question], float], Awaitable[Mapping[Question, Sight[Any]]]]
"""`dns.ask.Lookups.ask`."""

_FIELD = re.compile(rb"(?im)^DKIM-Signature[ \t]*:((?:[^\r\n]|\r?\n[ \t])*)")
_SERVICES = frozenset({"*", "email", "tlsrpt"})


@dataclass(frozen=True, slots=True)
class _Signature:
    number: int
    """Its place among all signatures of the message."""
    domain: str
    selector: str

    @property
    def question(self) -> Question:
        return Question(Kind.TXT, f"{self.selector}._domainkey.{self.domain}")


async def check(message: bytes, ask: Ask) -> Proof:
    """What the signatures of a message prove.

    PASS needs a valid signature of the whole message by the domain of `From`, or a domain above or below it.
    """
    problem = None
    head = message[: LARGEST_HEADER + 2].replace(b"\r\n", b"\n")
    if len(message) > LARGEST_MESSAGE or message.count(b"\n") > MOST_LINES:
        problem = "the message is too large to check its signature"
    elif b"\n\n" not in head and len(message) > LARGEST_HEADER:
        problem = "its header is too long to check its signature"
    elif b" " * LONGEST_BLANK in message.replace(b"\t", b" "):
        problem = "it has too much white space to check its signature"
    if problem is not None:
        return Proof(Dkim.UNKNOWN, reason=problem)
    signatures = _signatures(message)
    if not signatures:
        return UNSIGNED
    sender = sender_of(message)
    fitting = [
        one
        for one in signatures
        if sender is not None
        and (f".{sender}".endswith(f".{one.domain}") or one.domain.endswith(f".{sender}"))
    ]
    if not fitting:
        return Proof(
            Dkim.FAIL,
            reason=f"it is signed by {signatures[0].domain}, but From has another domain ({sender})",
        )
    keys = await ask({one.question for one in fitting}, DEADLINE_S)
    return await asyncio.to_thread(_judge, message, fitting, keys)


def _signatures(message: bytes) -> list[_Signature]:
    """The first few signatures that may count; one of only a part of the body does not (RFC 8460 §3)."""
    head = re.split(rb"\r?\n\r?\n", message[:LARGEST_HEADER], maxsplit=1)[0]
    found: list[_Signature] = []
    for number, match in enumerate(_FIELD.finditer(head)):
        if number >= MOST_SIGNATURES:
            break
        if len(match[1]) > LONGEST_SIGNATURE:
            continue
        tags = _tags(match[1].decode("ascii", "replace"))
        if "l" in tags or tags.get("a") not in {"rsa-sha256", "ed25519-sha256"}:
            continue
        try:
            domain, selector = to_ascii(tags.get("d", "")), to_ascii(tags.get("s", ""))
        except ValueError:
            continue
        found.append(_Signature(number, domain, selector))
    return found


def _tags(text: str) -> dict[str, str]:
    pairs = (item.partition("=") for item in text.split(";"))
    return {name.strip(): re.sub(r"\s+", "", value) for name, _, value in pairs}


def _judge(message: bytes, signatures: Sequence[_Signature], keys: Mapping[Question, Sight[Any]]) -> Proof:
    unknown: Proof | None = None
    failed = ""
    for one in signatures:
        match keys.get(one.question):
            case Seen(value):
                key = _key(value.strings)
            case _:
                unknown = Proof(
                    Dkim.UNKNOWN, reason=f"the DNS gave no answer about the key of {one.domain}", again=True
                )
                continue
        if key is None:
            failed = f"{one.domain} has no usable key {one.selector} for TLS reports"
        elif _tags(key).get("k") == "ed25519":
            unknown = unknown or Proof(
                Dkim.UNKNOWN, reason=f"{one.domain} signs with Ed25519, which the sidecar does not check"
            )
        elif _valid(message, one, key):
            return Proof(Dkim.PASS, one.domain)
        else:
            failed = f"the signature of {one.domain} is wrong"
    return unknown or Proof(Dkim.FAIL, reason=failed)


def _key(texts: Sequence[str]) -> str | None:
    """The key record without its service types (dkimpy knows only one); None unless there is exactly one usable key."""
    records = [text for text in texts if "p=" in text]
    if len(records) != 1 or len(records[0]) > LONGEST_KEY:
        return None
    tags = _tags(records[0])
    services = set(tags.pop("s", "*").split(":"))
    testing = "y" in tags.get("t", "").split(":")
    if testing or not services & _SERVICES or not tags.get("p"):
        return None
    return "; ".join(f"{name}={value}" for name, value in tags.items() if name)


def _valid(message: bytes, signature: _Signature, key: str) -> bool:
    # Not at the start of the daemon: most installations never receive a report.
    from dkim import DKIM  # noqa: PLC0415

    def record(_name: bytes, timeout: float = 0) -> bytes:
        del timeout
        return key.encode("ascii", "replace")

    quiet = logging.Logger("dkim")  # noqa: LOG001 - outside of the hierarchy: it would log what a stranger wrote
    quiet.disabled = True
    try:
        checker = DKIM(message, logger=quiet, minkey=SMALLEST_KEY, tlsrpt=True)
        return bool(checker.verify(signature.number, dnsfunc=record))
    except Exception:  # noqa: BLE001 - whatever a stranger's signature makes dkimpy raise, it is not a valid one
        return False
