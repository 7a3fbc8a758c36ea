"""Domain names in the settings that mailcow does not have: most are typing mistakes; pure."""

from sidecar.formats.domain_name import to_unicode
from sidecar.observed import Observed, Seen
from sidecar.observed.notice import Level, Notice
from sidecar.observed.notice_codes import NoticeCode
from sidecar.plan.requests import did_you_mean, names_of_list
from sidecar.settings import Settings


def unknown_names_in(observed: Observed, settings: Settings) -> tuple[Notice, ...]:
    """A warning for each name in `exclude`, `only` and `domains` that is not a domain or alias domain of this mailcow.

    None if the domains of mailcow were not observed.
    """
    if not isinstance(observed.domains, Seen):
        return ()
    known = names_of_list(observed.domains.value)
    given = {
        "exclude": settings.exclude,
        "only": settings.only or frozenset(),
        "domains": frozenset(settings.domains),
    }
    return tuple(
        Notice(
            Level.WARNING,
            NoticeCode.SETTINGS_UNKNOWN_DOMAIN,
            name,
            f"`{key}` in config.yml names {to_unicode(name)}, which is not a domain of this mailcow"
            f"{did_you_mean([name], known)}",
            "correct or remove the name; if you are about to add the domain to mailcow, there is nothing to do",
        )
        for key, names in given.items()
        for name in sorted(names - known)
    )
