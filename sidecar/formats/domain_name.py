"""Domain names in the one form in which they are compared and served: lower-case A-labels, no final dot.

People are shown U-labels (`to_unicode`). Nothing here looks anything up.
"""

import re

import idna

_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\Z")


def to_ascii(name: str) -> str:
    """The A-label form of `name`, lower-case and without a final dot.

    Raises ValueError, with the name and the reason in its text, if it is not a domain name.
    """
    text = name.strip().rstrip(".").lower()
    if not text.isascii():
        try:
            text = idna.encode(text, uts46=True).decode("ascii")
        except idna.IDNAError as error:
            raise ValueError(f"{name!r} is not a domain name: {error}") from error
    if len(text) > 253 or not all(_LABEL.match(label) for label in text.split(".")):
        raise ValueError(f"{name!r} is not a domain name")
    return text


def to_unicode(name: str) -> str:
    """The U-label form; `name` itself if it has none."""
    if "xn--" not in name:
        return name
    try:
        return idna.decode(name)
    except idna.IDNAError:
        return name


def policy_host(domain: str) -> str:
    """The policy host of a policy domain (RFC 8461 §3.3)."""
    return f"mta-sts.{domain}"


def covered_by_wildcard(name: str, names: frozenset[str]) -> str | None:
    """The wildcard among `names` that stands for `name` in a certificate (RFC 6125 §6.4.3), or None."""
    _, _, parent = name.partition(".")
    wildcard = f"*.{parent}"
    return wildcard if wildcard in names else None
