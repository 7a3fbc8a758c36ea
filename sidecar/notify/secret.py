"""Which parts of a notification URL must not appear in any text; pure.

Rule for every editor: when in doubt, hide. Such a URL is a secret as a whole, but libraries
quote parts of it: a path, a user, a token that stands where others have a host.
"""

import re
from urllib.parse import unquote

from sidecar.host.log import HIDDEN, redact
from sidecar.settings import Settings

SHORTEST = 4
"""Minimum length of a hidden part: shorter ones occur in every text."""
_HOST = re.compile(r"([a-z0-9_-]+\.)+[a-z]{2,24}|(\d{1,3}\.){3}\d{1,3}|\d{1,5}")
"""Or a port."""
_SIX = re.compile(r"\[[0-9a-f:.]+\]", re.IGNORECASE)


def parts(url: str) -> frozenset[str]:
    """All parts to hide in a text about this URL: everything except the scheme and host names."""
    _, _, rest = url.partition("://")
    raw = {part for part in re.split(r"[/?&=@:,#]+", _SIX.sub("", rest)) if len(part) >= SHORTEST}
    found = {form for part in raw for form in (part, unquote(part)) if not _HOST.fullmatch(part)}
    # A rest of one or two letters (`discord://x`) occurs in every text and is not hidden.
    whole = {url, rest} if len(rest) >= SHORTEST else {url}
    return frozenset(whole) | found | _passwords(rest)


def hidden(text: str, url: str) -> str:
    """`text` with all parts of this URL hidden."""
    event = redact(parts(url))(None, "", {"text": text})
    # Not by the key: for `discord://text` the key is hidden, too.
    return str(next(iter(event.values()))) if isinstance(event, dict) else HIDDEN


def secrets_of(settings: Settings) -> tuple[str, ...]:
    """All secrets of the settings, for the log (`log.configure`): the keys, and the parts of URLs that look like one.

    A word in a URL without a digit or a capital letter is not treated as a secret, because it may be in every log line.
    """
    given = (settings.api_key, settings.web_token, settings.imap_password)
    keys = [key.get_secret_value() for key in given if key is not None]
    urls = [url.get_secret_value() for url in settings.notify.apprise]
    if settings.notify.webhook is not None:
        urls.append(settings.notify.webhook.get_secret_value())
    found = {
        part
        for url in urls
        for part in parts(url)
        if len(part) >= 2 * SHORTEST and re.search(r"[0-9A-Z]", part)
    }
    found |= {password for url in urls for password in _passwords(url.partition("://")[2])}
    return tuple(sorted({*keys, *urls, *found}))


def _passwords(rest: str) -> set[str]:
    """The text between user and @. Libraries disagree about which @ counts, so all readings are returned."""
    readings = {rest[: found.start()].partition(":")[2] for found in re.finditer("@", rest)}
    return {form for part in readings for form in (part, unquote(part)) if len(form) >= SHORTEST}
