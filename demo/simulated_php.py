"""What PHP makes of a value: the odd conversions that decide which answers mailcow gives, without I/O.

Rule for every editor: a conversion is here because a recorded answer, or one that a client must survive,
depends on it. Rules about domains, policies or routes do not belong here.
"""

import html
import json
import re
from typing import Any

import idna


class Died(Exception):  # noqa: N818 - it is no error of ours, it is what happens to mailcow's code
    """The PHP code ended in a TypeError: status 200 and an empty body are all that a client sees."""


def intval(value: Any) -> int:
    """PHP's intval: the number that a text begins with, 0 where there is none."""
    match value:
        case None:
            return 0
        case bool() | int() | float():
            return int(value)
        case str():
            found = re.match(r"\s*([+-]?\d+)(\.\d*)?([eE][+-]?\d+)?", value, re.ASCII)
            if found is None:
                return 0
            return int(float(found[0])) if found[3] else int(found[1])
        case _:
            return int(bool(value))


def text(value: Any) -> str:
    """A value where PHP wants a string; raises Died for a list or an object."""
    match value:
        case None | False:
            return ""
        case True:
            return "1"
        case list() | dict():
            raise Died("explode(): Argument #2 ($string) must be of type string, array given")
        case _:
            return str(value)


def array(value: Any) -> list[Any]:
    """PHP's (array) cast, as a list of the values."""
    match value:
        case None:
            return []
        case list():
            return value
        case dict():
            return list(value.values())
        case _:
            return [value]


def field(data: Any, name: str) -> Any:
    """An element of an array by its key; None where there is no such element."""
    return data.get(name) if isinstance(data, dict) else None


def echoed(data: Any) -> Any:
    """Data as it comes back in a `log`: PHP does not tell an empty object from an empty list."""
    match data:
        case dict():
            return {key: echoed(value) for key, value in data.items()} or []
        case list():
            return [echoed(value) for value in data]
        case _:
            return data


def escaped(value: str | None) -> str:
    """PHP's htmlspecialchars."""
    return html.escape(value or "", quote=True).replace("&#x27;", "&#039;")


def compact_json(data: Any) -> bytes:
    """json_encode without flags, as all messages are written."""
    return json.dumps(data, separators=(",", ":")).replace("/", "\\/").encode()


def pretty_json(data: Any) -> str:
    """json_encode with the flags that the get and search routes use."""
    return json.dumps(data, ensure_ascii=False, indent=4).replace("/", "\\/")


def idn_to_ascii(name: str) -> str | None:
    """PHP's idn_to_ascii with UTS 46 alone, so that `_`, `*` and `!` pass; None where it gives false."""
    labels = name.lower().replace("\u3002", ".").split(".")
    final = len(labels) > 1 and not labels[-1]
    if final:
        labels.pop()
    converted = [_label(label) for label in labels]
    if None in converted:
        return None
    result = ".".join(label for label in converted if label is not None)
    return None if len(result) > 253 else result + "." * final


def _label(label: str) -> str | None:
    try:
        if not label.isascii():
            return idna.encode(label, uts46=True).decode("ascii")
        if label.startswith("xn--"):
            idna.decode(label)
    except idna.IDNAError:
        return None
    hyphens = label.startswith("-") or label.endswith("-") or (label[2:4] == "--" and label[:2] != "xn")
    return None if not label or len(label) > 63 or hyphens else label


_HOST_NAME = re.compile(r"([a-z\d](-*[a-z\d])*)(\.([a-z\d](-*[a-z\d])*))*\Z", re.ASCII | re.IGNORECASE)


def is_domain_name(name: str | None, *, wildcard: bool = False) -> bool:
    """mailcow's own check of a name; `wildcard` lets one leading `*.` pass."""
    converted = idn_to_ascii(name) if name and name != "0" else None
    if converted is None:
        return False
    if wildcard:
        converted = converted.removeprefix("*.")
    return bool(_HOST_NAME.match(converted)) and all(len(part) <= 63 for part in converted.split("."))


def name_of(value: Any) -> str | None:
    """A domain name as mailcow reads it from a request: trimmed, lower-case, A-labels; None where it is none.

    Raises Died for a list or an object.
    """
    trimmed = text(value).strip(" \t\n\r\0\v").lower()
    return idn_to_ascii(trimmed) if trimmed else None
