"""Names in the settings that mailcow does not have."""

from collections.abc import Mapping
from dataclasses import replace

from sidecar.observed import Unseen
from sidecar.observed.notice import Level, NoticeCode
from sidecar.plan import decide
from tests.worlds import NOW, World, given_settings, observed

CODE = NoticeCode.SETTINGS_UNKNOWN_DOMAIN


def reported(config: Mapping[str, object], world: World) -> list[str]:
    """What a plan says of such names."""
    notices = decide(observed(world), given_settings(config)).notices
    assert all(n.level is Level.WARNING and n.todo for n in notices if n.code == CODE)
    return [notice.message for notice in notices if notice.code == CODE]


def test_name_that_mailcow_does_not_have_is_a_warning_with_what_was_meant() -> None:
    """Wherever in the settings it stands; also in the form that people read."""
    world = World(domains=("example.org", "xn--bcher-kva.example"), aliases={"alias.example": "example.org"})
    config = {
        "exclude": ["exmaple.org", "alias.example"],
        "only": ["example.org", "bucher.example"],
        "domains": {"other.test": {"mode": "enforce"}, "example.org": {"mode": "testing"}},
    }
    assert reported(config, world) == [
        "`exclude` in config.yml names exmaple.org, which is not a domain of this mailcow; did you mean example.org?",
        "`only` in config.yml names bucher.example, which is not a domain of this mailcow; did you mean bücher.example?",
        "`domains` in config.yml names other.test, which is not a domain of this mailcow",
    ]


def test_domains_that_were_not_seen_are_not_called_unknown() -> None:
    """What was not seen may be there."""
    seen = replace(observed(World()), domains=Unseen("no answer", NOW))
    notices = decide(seen, given_settings({"exclude": ["exmaple.org"]})).notices
    assert CODE not in {notice.code for notice in notices}
