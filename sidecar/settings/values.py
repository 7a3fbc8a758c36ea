"""Reads single values of the settings: from a text or a number to the type that the sidecar uses.

Rules for every editor. Each value is checked on its own. An error shows the given value and what is accepted, but
never a possible secret. Nothing is guessed. The list of settings and their defaults do not belong here (`settings`),
nor do places of errors (`load`).
"""

import contextlib
import ipaddress
import re
from collections.abc import Callable
from enum import Enum, StrEnum
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr
from pydantic_core import PydanticCustomError

from sidecar.formats.domain_name import to_ascii
from sidecar.formats.mtasts_policy import Mode, is_mx_pattern

LONGEST_MAX_AGE = 31_536_000
"""Seconds: the maximum that mailcow's API accepts for a new policy."""
DAY = 86_400
"""Seconds."""

_SHOWN = 60


class Auto(Enum):
    """`mode: auto`: testing first, and enforce once all checks have passed for `soak`."""

    AUTO = "auto"


Wish: TypeAlias = Mode | Auto
"""The wanted mode, or `auto`: the roll-out decides."""


class NotificationKind(StrEnum):
    """The kinds of notifications."""

    STAGE = "stage"
    """The roll-out stage of a domain has changed."""
    ERROR = "error"
    RECOVERY = "recovery"
    """An error is over."""


def mistake(value: object, accepted: str, wrong: str = "") -> PydanticCustomError:
    """What is wrong with a value, and what is accepted; the value is shown, so it must not be a secret."""
    shown = repr(value)
    shown = shown if len(shown) <= _SHOWN else shown[:_SHOWN] + "…"
    return PydanticCustomError("mistake", "{text}", {"text": f"{shown}{wrong}; accepted: {accepted}"})


def _mode(value: object) -> Wish:
    word = str(value).strip().lower()
    if word == Auto.AUTO.value:
        return Auto.AUTO
    with contextlib.suppress(ValueError):
        return Mode(word)
    raise mistake(value, f"{Mode.TESTING}, {Mode.ENFORCE}, {Mode.NONE}, {Auto.AUTO.value}", " is not a mode")


def member(kind: type[StrEnum]) -> BeforeValidator:
    """Takes one of the words of an enum, in any case."""

    def check(value: object) -> StrEnum:
        with contextlib.suppress(ValueError):
            return kind(str(value).strip().lower())
        raise mistake(value, ", ".join(kind))

    return BeforeValidator(check)


def matching(pattern: str, accepted: str) -> BeforeValidator:
    """Takes a text that matches `pattern` as a whole; a list or a mapping is not a text."""

    def check(value: object) -> str:
        text = value.strip() if isinstance(value, str) else None
        if text is None or not re.fullmatch(pattern, text, re.ASCII):
            raise mistake(value, accepted)
        return text

    return BeforeValidator(check)


def choice(*choices: str) -> BeforeValidator:
    """Takes one of these words, in small letters."""

    def check(value: object) -> str:
        word = str(value).strip().lower()
        if word not in choices:
            raise mistake(value, ", ".join(choices))
        return word

    return BeforeValidator(check)


_YES = frozenset({"1", "true", "yes", "y", "on"})
_NO = frozenset({"0", "false", "no", "n", "off"})


def _switch(value: object) -> bool:
    word = str(value).strip().lower()
    if word not in _YES | _NO:
        raise mistake(value, "true, false", " is neither yes nor no")
    return word in _YES


def whole(low: int, high: int, unit: str = "") -> BeforeValidator:
    """Takes whole numbers from `low` to `high`; `unit` is for the mistake, such as " of minutes"."""

    def check(value: object) -> int:
        number = None if isinstance(value, bool) else str(value).strip()
        if number is None or not re.fullmatch(r"[0-9]{1,10}", number) or not low <= int(number) <= high:
            raise mistake(value, f"a whole number{unit} from {low} to {high}")
        return int(number)

    return BeforeValidator(check)


_UNITS = {
    **dict.fromkeys(("", "s", "sec", "second"), 1),
    **dict.fromkeys(("m", "min", "minute"), 60),
    **dict.fromkeys(("h", "hour"), 3_600),
    **dict.fromkeys(("d", "day"), DAY),
    **dict.fromkeys(("w", "week"), 7 * DAY),
}
"""Seconds."""
_DURATION = re.compile(r"([0-9]{1,10})\s*([a-z]*?)s?")
"""A plural has an s, which is not needed; "s" alone is seconds, too."""


def seconds(low: int, high: int) -> BeforeValidator:
    """Takes a time from `low` to `high` seconds: a number of seconds, or one with a unit such as 7d, 12 h, 30 minutes."""

    def check(value: object) -> int:
        text = "" if isinstance(value, bool) else str(value).strip().lower()
        found = _DURATION.fullmatch(text)
        size = None if found is None else _UNITS.get(found[2])
        if found is None or size is None or not low <= int(found[1]) * size <= high:
            raise mistake(value, f"a time such as 7d, 12h or 30min, from {low} to {high} seconds")
        return int(found[1]) * size

    return BeforeValidator(check)


def domain_name(value: object) -> str:
    """The name in lower-case A-labels; raises PydanticCustomError if it is not a domain name."""
    accepted = "a domain name such as example.org"
    if not isinstance(value, str):
        raise mistake(value, accepted)
    try:
        return to_ascii(value)
    except ValueError as error:
        raise mistake(value, accepted, " is not a domain name") from error


def _mx(value: object) -> str:
    accepted = (
        "a host name such as mail.example.org, one with a wildcard in front such as *.example.org, "
        "or dns for the MX records of the domain"
    )
    if not isinstance(value, str):
        raise mistake(value, accepted)
    wildcard = "*." if value.strip().startswith("*.") else ""
    try:
        name = wildcard + to_ascii(value.strip().removeprefix("*."))
    except ValueError as error:
        raise mistake(value, accepted, " is not an mx pattern") from error
    # An IPv4 address also consists of valid labels, but no top-level domain is a number (RFC 3696 §2).
    if not is_mx_pattern(name) or name.rpartition(".")[2].isdigit():
        raise mistake(value, accepted, " is not an mx pattern")
    return name


FROM_DNS = ("dns",)
"""`mx: dns`: the MX records of the domain are its patterns. No host can have a name of this one label in a policy."""


def _patterns(patterns: tuple[str, ...]) -> tuple[str, ...]:
    if FROM_DNS[0] in patterns and patterns != FROM_DNS:
        raise mistake(list(patterns), "either the one word dns, or patterns")
    return tuple(dict.fromkeys(patterns))


def _one_or_more(value: object) -> object:
    return [value] if isinstance(value, str) else value


_MAILBOX = re.compile(r"[A-Za-z0-9._%+=~#$&'*/?^`{|}-]+")


def _tls_report(value: object) -> str:
    accepted = "an e-mail address, or a mailto: or https: URI"
    text = str(value).strip()
    if text.lower().startswith("https:"):
        return _url("https", accepted=accepted)(text)
    mailbox, _, domain = text.removeprefix("mailto:").rpartition("@")
    if not _MAILBOX.fullmatch(mailbox):
        raise mistake(value, accepted)
    try:
        return f"mailto:{mailbox}@{to_ascii(domain)}"
    except ValueError as error:
        raise mistake(value, accepted) from error


def _url(*schemes: str, accepted: str) -> Callable[[object], str]:
    def check(value: object) -> str:
        text = str(value).strip()
        try:
            parts = urlsplit(text)
            good = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
        except ValueError:
            good, parts = False, urlsplit("")
        if parts.username is not None or parts.password is not None or "@" in text:
            # The text before the @ may be a password.
            raise PydanticCustomError(
                "mistake", "a user name cannot be given in it; accepted: {a}", {"a": accepted}
            )
        if not good or re.search(r"[\s;,!#]", text):
            raise mistake(value, accepted)
        return text

    return check


def plain_url(accepted: str) -> BeforeValidator:
    """Takes an http: or https: URL without a user name, path or query; a slash at its end is removed."""

    def check(value: object) -> str:
        text = _url("http", "https", accepted=accepted)(value)
        if urlsplit(text).path not in {"", "/"} or "?" in text:
            raise mistake(value, accepted, " has a path")
        return text.rstrip("/")

    return BeforeValidator(check)


def _inside(value: object) -> str:
    path = Path(str(value).strip())
    if path.is_absolute() or ".." in path.parts or not path.name:
        raise mistake(value, "a file in the mailcow directory, such as data/conf/mta-sts/roots.pem")
    return str(path)


def _with_port(text: str) -> tuple[str, int | None] | None:
    """An IP address and its port, if one is given; an IPv6 address with a port is in brackets. None for other texts."""
    found = re.fullmatch(
        r"\[(?P<six>[^\]]+)\](?::(?P<port6>\d{1,5}))?|(?P<four>[^:\]]+)(?::(?P<port4>\d{1,5}))?", text
    )
    with contextlib.suppress(ValueError):
        if found is None:
            return str(ipaddress.IPv6Address(text)), None
        address = (
            ipaddress.IPv6Address(found["six"]) if found["six"] else ipaddress.IPv4Address(found["four"])
        )
        port = found["port6"] or found["port4"]
        return str(address), int(port) if port else None
    return None


def address_and_port(value: object) -> tuple[str, int]:
    """An address with or without a port, 53 by default; raises PydanticCustomError."""
    match _with_port(str(value).strip()):
        case address, None:
            return address, 53
        case address, int(port) if 0 < port < 1 << 16:
            return address, port
    raise mistake(value, "an address, with or without a port: 192.0.2.1, 192.0.2.1:5353, [2001:db8::1]:5353")


def _secret_url(*schemes: str, accepted: str) -> Callable[[object], SecretStr]:
    """Such a URL is a secret as a whole: errors never show it. Without `schemes`, any scheme is accepted."""

    def check(value: object) -> SecretStr:
        text = value.strip() if isinstance(value, str) else ""
        try:
            parts = urlsplit(text)
            good = not schemes or (parts.scheme in schemes and bool(parts.hostname) and parts.port != 0)
        except ValueError:
            good = False
        if not good or not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*://\S+", text):
            raise PydanticCustomError("mistake", "{text}", {"text": f"not shown here; accepted: {accepted}"})
        return SecretStr(text)

    return check


_WEBHOOK = "an https: or http: URL that takes JSON by POST"
_APPRISE = "a URL of Apprise, such as ntfys://ntfy.example.org/topic or mailtos://user:password@example.org"


def _listen(value: object) -> tuple[str, int] | None:
    """`off` is None; port 0: any free port."""
    text = str(value).strip().lower()
    if text == "off":
        return None
    match _with_port(text):
        case address, int(port) if port < 1 << 16:
            return address, port
    raise mistake(
        value, "an address of this machine with a port, such as 127.0.0.1:8480 or [::1]:8480, or off"
    )


def section_or_off(value: object) -> object:
    """`web: off` is short for `web: {listen: off}`."""
    word = value.strip().lower() if isinstance(value, str) else None
    return {"listen": "off"} if word in _NO else {} if word in _YES else value


def _host(value: object) -> str:
    accepted = "a host name such as mail.example.org, or an address"
    text = str(value).strip()
    with contextlib.suppress(ValueError):
        return str(ipaddress.ip_address(text.removeprefix("[").removesuffix("]")))
    try:
        return to_ascii(text)
    except ValueError as error:
        raise mistake(value, accepted, " is not a host") from error


def _network(value: object) -> IPv4Network | IPv6Network:
    with contextlib.suppress(ValueError):
        return ipaddress.ip_network(str(value).strip(), strict=False)
    raise mistake(value, "an address or a network, such as 172.22.1.0/24")


Switch: TypeAlias = Annotated[bool, BeforeValidator(_switch)]
GivenWish: TypeAlias = Annotated[Mode | Auto, BeforeValidator(_mode)]
MaxAge: TypeAlias = Annotated[int, seconds(1, LONGEST_MAX_AGE)]
Patterns: TypeAlias = Annotated[
    tuple[Annotated[str, BeforeValidator(_mx)], ...],
    BeforeValidator(_one_or_more),
    AfterValidator(_patterns),
]
Domains: TypeAlias = Annotated[
    frozenset[Annotated[str, BeforeValidator(domain_name)]], BeforeValidator(_one_or_more)
]
Time: TypeAlias = Annotated[int, seconds(0, 7 * DAY)]
Interval: TypeAlias = Annotated[int, seconds(1, DAY)]
Count: TypeAlias = Annotated[int, whole(0, 1_000)]
TlsReport: TypeAlias = Annotated[str, BeforeValidator(_tls_report)]
Backend: TypeAlias = Annotated[Literal["auto", "file", "native"], choice("auto", "file", "native")]
InsideMailcow: TypeAlias = Annotated[str, BeforeValidator(_inside)]
ApiUrl: TypeAlias = Annotated[
    str,
    plain_url(
        "the address of mailcow's web server, such as https://mail.example.org or http://nginx-mailcow:8080"
    ),
]
Resolver: TypeAlias = Annotated[tuple[str, int], BeforeValidator(address_and_port)]
Webhook: TypeAlias = Annotated[SecretStr, BeforeValidator(_secret_url("http", "https", accepted=_WEBHOOK))]
AppriseUrls: TypeAlias = Annotated[
    tuple[Annotated[SecretStr, BeforeValidator(_secret_url(accepted=_APPRISE))], ...],
    BeforeValidator(_one_or_more),
    AfterValidator(lambda urls: tuple(dict.fromkeys(urls))),
]
NotificationKinds: TypeAlias = Annotated[
    frozenset[Annotated[NotificationKind, member(NotificationKind)]], BeforeValidator(_one_or_more)
]
Host: TypeAlias = Annotated[str, BeforeValidator(_host)]
Listen: TypeAlias = Annotated[tuple[str, int] | None, BeforeValidator(_listen)]
Hosts: TypeAlias = Annotated[frozenset[Annotated[str, BeforeValidator(_host)]], BeforeValidator(_one_or_more)]
Networks: TypeAlias = Annotated[
    tuple[Annotated[IPv4Network | IPv6Network, BeforeValidator(_network)], ...], BeforeValidator(_one_or_more)
]
Prefix: TypeAlias = Annotated[
    str,
    matching(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*/*", "a path such as /mta-sts, or nothing"),
    AfterValidator(lambda path: path.rstrip("/")),
]
