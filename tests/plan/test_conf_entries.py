"""Entries of ADDITIONAL_SAN and ADDITIONAL_SERVER_NAMES: added, removed, left alone."""

from dataclasses import replace

import pytest

from sidecar.formats.dotenv import ListEdit
from sidecar.formats.mtasts_policy import Mode
from sidecar.observed import Backend, ConfEntry, ConfEvent, Mailcow, Memory, PolicyMemory, Version
from sidecar.plan.actions import EditConf, WriteFile
from sidecar.plan.conf_entries import SERVER_NAMES
from tests.worlds import (
    DAY,
    FILE_MAILCOW,
    HOST,
    NATIVE,
    NOW,
    OLD_NATIVE,
    World,
    advance,
    given_settings,
    look,
    plan,
    span,
    text,
)

BEFORE_2026_07A = Mailcow(Backend.NATIVE, Version(2026, 3))
BOTH = dict.fromkeys(("ADDITIONAL_SAN", "ADDITIONAL_SERVER_NAMES"), ListEdit(("mta-sts.*",), ()))


def edits(world: World) -> list[dict[str, ListEdit]]:
    """The edits of mailcow.conf in the plan."""
    return [dict(a.edits) for a in plan(world).actions if isinstance(a, EditConf)]


def added(*entries: str, key: str = "ADDITIONAL_SAN") -> Memory:
    """A memory of entries that the sidecar put in."""
    return Memory(conf=tuple(ConfEntry(key, e, ConfEvent.ADDED, NOW - 1e6) for e in entries))


@pytest.mark.parametrize(
    ("world", "wanted"),
    [
        (World(mailcow=FILE_MAILCOW), [BOTH]),
        (World(mailcow=NATIVE), []),
        (World(mailcow=NATIVE, served={"example.org": text()}), []),
        (World(mailcow=BEFORE_2026_07A, conf={"AUTODISCOVER_SAN": "n"}), [BOTH]),
        (World(mailcow=BEFORE_2026_07A, conf={"AUTODISCOVER_SAN": ""}), []),
        (
            World(mailcow=NATIVE, conf={"AUTODISCOVER_SAN": "n"}, served={"example.org": text()}),
            [{"ADDITIONAL_SAN": ListEdit(("mta-sts.example.org",), ())}],
        ),
        (World(mailcow=NATIVE, conf={"AUTODISCOVER_SAN": "n"}), []),
        (World(mailcow=FILE_MAILCOW, domains=()), []),
        (
            World(
                mailcow=OLD_NATIVE, conf={"AUTODISCOVER_SAN": "n"}, aliases={"alias.example": "example.org"}
            ),
            [BOTH],
        ),
    ],
    ids=[
        "file: the wildcard in both",
        "native: nothing",
        "native with a policy: nothing",
        "native before 2026-07a without autodiscover: the wildcard in both",
        "AUTODISCOVER_SAN empty means y",
        "native that skips the wildcard: the full name",
        "no name before there is a policy",
        "no domain: nothing",
        "an older native mailcow serves nothing to alias domains",
    ],
)
def test_entries_follow_what_this_mailcow_needs(world: World, wanted: list[dict[str, ListEdit]]) -> None:
    """By generation, version and AUTODISCOVER_SAN."""
    assert edits(world) == wanted


def test_alias_domain_gets_its_full_name_on_the_file_generation() -> None:
    """The wildcard expands over domains only."""
    (edit,) = edits(World(mailcow=FILE_MAILCOW, aliases={"alias.example": "example.org"}))
    assert edit["ADDITIONAL_SAN"].add == ("mta-sts.*", "mta-sts.alias.example")
    assert edit["ADDITIONAL_SERVER_NAMES"].add == ("mta-sts.*",)


def test_entries_that_are_there_in_other_capitals_are_there() -> None:
    """Names are compared without case."""
    conf = {"ADDITIONAL_SAN": "Webmail.example.org,MTA-STS.*", "ADDITIONAL_SERVER_NAMES": ",mta-sts.*,"}
    assert edits(World(mailcow=FILE_MAILCOW, conf=conf)) == []


def test_spaces_are_repaired_with_a_warning() -> None:
    """mailcow would take `a mta-sts.*` for one name."""
    conf = {"ADDITIONAL_SAN": "webmail.example.org mta-sts.*", "ADDITIONAL_SERVER_NAMES": "mta-sts.*"}
    world = World(mailcow=FILE_MAILCOW, conf=conf)
    assert edits(world) == [{"ADDITIONAL_SAN": ListEdit((), ())}]
    assert [n.code for n in plan(world).notices if n.code.startswith("conf.")] == ["conf.spaces"]


@pytest.mark.parametrize("written", ["mta-sts.* ,smtp.*", "smtp.*,mta-sts.* "])
def test_white_space_behind_an_entry_is_repaired_with_a_warning(written: str) -> None:
    """acme-mailcow would take `mta-sts.* ` for a name that never resolves."""
    conf = {"ADDITIONAL_SAN": written, "ADDITIONAL_SERVER_NAMES": "mta-sts.*"}
    world = World(mailcow=FILE_MAILCOW, conf=conf)
    assert edits(world) == [{"ADDITIONAL_SAN": ListEdit((), ())}]
    (reported,) = [n for n in plan(world).notices if n.code.startswith("conf.")]
    assert (reported.code, reported.subject) == ("conf.spaces", "ADDITIONAL_SAN")
    assert "spaces before a comma" in reported.message


@pytest.mark.parametrize(
    "conf",
    [
        {"ADDITIONAL_SAN": "mta-sts.*, smtp.*", "ADDITIONAL_SERVER_NAMES": "mta-sts.*"},
        {"ADDITIONAL_SAN": "mta-sts.*", "ADDITIONAL_SERVER_NAMES": "mta-sts.* ,smtp.*"},
    ],
    ids=["behind a comma", "of nginx, which separates by white space"],
)
def test_white_space_that_does_no_harm_stays(conf: dict[str, str]) -> None:
    """Nothing is written or reported."""
    world = World(mailcow=FILE_MAILCOW, conf=conf)
    assert edits(world) == []
    assert [n for n in plan(world).notices if n.code.startswith("conf.")] == []


def test_list_with_a_comment_in_it_is_reported_and_left_alone() -> None:
    """Compose takes a comment behind a tab for a part of the value; written out, it would become entries."""
    world = World(mailcow=FILE_MAILCOW, conf={"ADDITIONAL_SERVER_NAMES": "a,b\t# note"})
    assert edits(world) == [{"ADDITIONAL_SAN": ListEdit(("mta-sts.*",), ())}]
    (reported,) = [n for n in plan(world).notices if n.code.startswith("conf.")]
    assert (reported.code, reported.subject) == ("conf.comment", "ADDITIONAL_SERVER_NAMES")
    assert "put a space before the #" in str(reported.todo)


def test_entry_that_the_sidecar_added_goes_when_it_is_no_longer_needed() -> None:
    """A mailcow that was updated to native needs no wildcard."""
    conf = {"ADDITIONAL_SAN": "a.example.org,mta-sts.*"}
    world = World(mailcow=NATIVE, conf=conf, memory=added("mta-sts.*"))
    assert edits(world) == [{"ADDITIONAL_SAN": ListEdit((), ("mta-sts.*",))}]


def test_entry_that_the_sidecar_did_not_add_never_goes() -> None:
    """What the administrator has there stays."""
    assert edits(World(mailcow=NATIVE, conf={"ADDITIONAL_SAN": "mta-sts.*,mta-sts.gone.example"})) == []


def test_entry_that_the_administrator_added_after_the_sidecar_had_removed_it_stays() -> None:
    """It is the administrator's since then."""
    events = [
        ConfEntry("ADDITIONAL_SAN", "mta-sts.*", e, NOW - 60) for e in (ConfEvent.ADDED, ConfEvent.REMOVED)
    ]
    world = World(conf={"ADDITIONAL_SAN": "mta-sts.*"}, memory=Memory(conf=tuple(events)))
    assert edits(world) == []


def test_nothing_is_edited_in_a_file_that_was_not_read() -> None:
    """What is missing there is not known."""
    assert edits(World(mailcow=FILE_MAILCOW, unseen=frozenset({"conf"}))) == []


def test_entry_that_somebody_removed_once_is_added_again() -> None:
    """A key that lost the sidecar's entry gets it back."""
    world, first = look(World(mailcow=FILE_MAILCOW))
    lost = replace(advance(world, first.actions), conf={}, now=NOW + 60)
    assert edits(lost) == [BOTH]


def test_entry_that_somebody_removed_twice_within_an_hour_stays_out_with_a_warning() -> None:
    """The administrator means it."""
    world = World(mailcow=FILE_MAILCOW)
    for minutes in (0, 20):
        world, found = look(replace(world, conf={}, now=NOW + 60 * minutes))
        world = advance(world, found.actions)
    last = replace(world, conf={}, now=NOW + 60 * 40)
    assert edits(last) == []
    assert {n.subject for n in plan(last).notices if n.code == "conf.stays_out"} == set(BOTH)


@pytest.mark.parametrize(
    ("taken_out", "refused"),
    [
        ((("mta-sts.*", 3_600), ("mta-sts.*", 0)), True),
        ((("mta-sts.*", 3_601), ("mta-sts.*", 0)), False),
        ((("mta-sts.*", 60), ("mta-sts.other.example", 0)), False),
    ],
    ids=["an hour apart", "a second more", "two entries, each once"],
)
def test_the_same_entry_must_be_removed_twice_within_an_hour(
    taken_out: tuple[tuple[str, int], ...], refused: bool
) -> None:
    """Then it is not added to that key again."""
    events = [ConfEntry("ADDITIONAL_SAN", e, ConfEvent.TAKEN_OUT, NOW - ago) for e, ago in taken_out]
    (edit,) = edits(World(mailcow=FILE_MAILCOW, memory=Memory(conf=tuple(events))))
    assert ("ADDITIONAL_SAN" not in edit) is refused


def test_entry_that_somebody_removed_twice_within_a_week_is_added_again() -> None:
    """Two accidents do not show an intention."""
    world = World(mailcow=FILE_MAILCOW)
    for days in (0, 3):
        world, found = look(replace(world, conf={}, now=NOW + 86_400 * days))
        world = advance(world, found.actions)
    assert edits(replace(world, conf={}, now=NOW + 86_400 * 6)) == [BOTH]


def test_locked_file_is_reported_and_not_written() -> None:
    """A link that leads out of the mounted folder."""
    world = World(mailcow=FILE_MAILCOW, locked="it is a link to /etc/mailcow.conf, outside of the folder")
    assert edits(world) == []
    assert "conf.locked" in {n.code for n in plan(world).notices}
    assert [type(action) for action in plan(world).actions] == [WriteFile], "the policy file is another one"


def test_entry_that_would_bring_more_than_100_names_is_held() -> None:
    """It names the way out."""
    world = World(mailcow=FILE_MAILCOW, domains=tuple(f"d{n}.example" for n in range(40)))
    held = [h for h in plan(world).held if isinstance(h.action, EditConf)]
    assert len(held) == 1
    assert "ENABLE_SSL_SNI=y" in str(held[0].remedy)
    assert edits(replace(world, conf={"ENABLE_SSL_SNI": "y"})) == [BOTH]


def test_unmanaged_san_is_reported_and_not_changed() -> None:
    """`manage: {san: false}`."""
    found = plan(World(mailcow=FILE_MAILCOW), given_settings({"manage": {"san": False}}))
    assert not [a for a in found.actions if isinstance(a, EditConf)]
    assert [(h.reason, h.remedy, h.action.reason) for h in found.held if isinstance(h.action, EditConf)] == [
        (
            "the settings say `manage: {san: false}`",
            "to let the sidecar do it: `manage: {san: true}` in config.yml",
            "ADDITIONAL_SAN lacks mta-sts.*; ADDITIONAL_SERVER_NAMES lacks mta-sts.*",
        )
    ]


NAME = "mta-sts.example.org"
FULL = World(
    conf={"AUTODISCOVER_SAN": "n", "ADDITIONAL_SAN": NAME},
    names=frozenset({HOST, NAME}),
    served={"example.org": text(Mode.ENFORCE, 604_800)},
    memory=replace(
        added(NAME),
        policies={
            "example.org": PolicyMemory(spans=(span(text(Mode.ENFORCE, 604_800), NOW - 20 * DAY, None),))
        },
    ),
)
"""A native mailcow where the sidecar put the full name of a domain in enforce into the settings."""


def test_policy_that_could_not_be_read_takes_no_entry_out() -> None:
    """A web server that is slow for a moment says nothing about the policy."""
    assert edits(replace(FULL, unseen=frozenset({"served:example.org"}))) == []


@pytest.mark.parametrize("settings", [{"exclude": ["example.org"]}, {"only": ["example.net"]}], ids=str)
def test_entry_of_a_domain_that_is_left_alone_stays(settings: dict[str, object]) -> None:
    """What is served stays, and without the name in the certificate nobody could fetch it."""
    found = plan(replace(FULL, domains=("example.net", "example.org")), given_settings(settings))
    assert [a for a in found.actions if isinstance(a, EditConf) and a.edits["ADDITIONAL_SAN"].remove] == []


@pytest.mark.parametrize("left_alone", ["example.org", "alias.example"])
def test_entries_stay_on_the_file_generation_for_what_is_left_alone(left_alone: str) -> None:
    """Also when it is the only domain, or an alias domain."""
    entries = {"ADDITIONAL_SAN": "mta-sts.*,mta-sts.alias.example", "ADDITIONAL_SERVER_NAMES": "mta-sts.*"}
    mine = added("mta-sts.*", "mta-sts.alias.example").conf + added("mta-sts.*", key=SERVER_NAMES).conf
    world = World(
        mailcow=FILE_MAILCOW,
        conf=entries,
        aliases={"alias.example": "example.org"},
        file=text().encode(),
        memory=Memory(conf=mine),
    )
    found = plan(world, given_settings({"exclude": [left_alone]}))
    assert [a for a in found.actions if isinstance(a, EditConf)] == []


def test_entry_stays_as_long_as_none_must_be_fetched() -> None:
    """A sender that cannot fetch `none` continues with its cached enforce (RFC 8461 §8.3)."""
    retired = replace(FULL.memory, retired=frozenset({"example.org"}))
    leaving = replace(FULL, served={"example.org": text(Mode.NONE)}, memory=retired)
    assert edits(leaving) == []
    assert edits(replace(leaving, served={})) == [{"ADDITIONAL_SAN": ListEdit((), (NAME,))}]


@pytest.mark.parametrize("off", ["inactive", "backup"])
def test_alias_of_a_domain_that_gets_no_policy_gets_no_entry(off: str) -> None:
    """Nothing is served for it."""
    world = World(
        mailcow=FILE_MAILCOW,
        domains=("example.org", "off.example"),
        aliases={"alias.example": "off.example"},
        **{off: frozenset({"off.example"})},  # type: ignore[arg-type]
    )
    assert edits(world) == [BOTH]


@pytest.mark.parametrize("mailcow", [FILE_MAILCOW, BEFORE_2026_07A])
def test_entries_that_no_domain_needs_any_more_go(mailcow: Mailcow) -> None:
    """The only domain takes no mail any more; its alias domain gets no name of its own."""
    entries = ("mta-sts.*", "mta-sts.alias.example")
    world = World(
        mailcow=mailcow,
        inactive=frozenset({"example.org"}),
        aliases={"alias.example": "example.org"},
        served={"example.org": text()},
        conf={"AUTODISCOVER_SAN": "n", "ADDITIONAL_SAN": ",".join(entries)},
        memory=added(*entries),
    )
    assert edits(world) == [{"ADDITIONAL_SAN": ListEdit((), entries)}]
