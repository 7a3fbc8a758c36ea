"""Times and lists as people read them in reasons and notices; pure."""

from collections.abc import Sequence
from datetime import UTC, datetime

from sidecar.formats.domain_name import to_unicode
from sidecar.observed import Backend


def day(at: float) -> str:
    """A Unix time as date, time and offset in the time zone of this process, which is mailcow's `TZ`."""
    utc = datetime.fromtimestamp(at, UTC)
    try:
        local = utc.astimezone()
    except (OverflowError, OSError, ValueError):
        local = utc  # the last day of the year 9999, as certificates without an end have it
    return local.isoformat(" ", "minutes")


def iso(at: float) -> str:
    """A Unix time for programs."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def span(seconds: float) -> str:
    """A duration in the largest unit that suits it."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0, seconds):.0f} s"


def serves(backend: Backend) -> str:
    """How a mailcow of this generation serves policies, with the word that `backend` in config.yml has for it."""
    return (
        "a policy for each domain (native)"
        if backend is Backend.NATIVE
        else "one policy file for all domains (file)"
    )


def command(words: str) -> str:
    """A command of the sidecar as it is typed in the mailcow directory."""
    return f"docker compose exec mta-sts-mailcow sidecar {words}"


def some(names: Sequence[str], most: int = 5) -> str:
    """The first few names, and how many more there are."""
    shown = ", ".join(to_unicode(name) for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
