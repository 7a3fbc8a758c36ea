"""The policy id: derived on the file generation, mailcow's own on the native one, and read from TXT records."""

import hashlib
from dataclasses import replace

import pytest

from sidecar.formats.mtasts_policy import Mode
from sidecar.formats.mtasts_record import StsRecord, is_id, parse
from sidecar.observed import Memory, Observed, PolicyFile, PolicyId, PolicyMemory, Seen, Served, Unseen
from sidecar.plan.policy_ids import (
    current,
    derived,
    policies_served,
    published,
    record_of,
    served_to,
    unread,
    with_id,
    with_ids,
)
from sidecar.reconcile.learn.observations import learn
from sidecar.settings import Settings
from tests.worlds import FILE_MAILCOW, NATIVE, NOW, OLD_NATIVE, World, given_settings, observed, policy, text

TEXT = text()
OTHER = text(Mode.ENFORCE, 604_800)


def native(memory: PolicyMemory | None = None) -> Observed:
    """example.org is served TEXT, its alias domain with it; `memory` is of example.org."""
    world = World(served={"example.org": TEXT}, aliases={"alias.example": "example.org"})
    return observed(replace(world, memory=Memory(policies={"example.org": memory} if memory else {})))


def test_derived_id_is_the_beginning_of_the_digest_and_fits_the_grammar() -> None:
    """As the issue fixes it: the first 20 hex digits of the SHA-256."""
    assert derived(TEXT.encode()) == hashlib.sha256(TEXT.encode()).hexdigest()[:20]
    assert parse(record_of(derived(TEXT.encode())).encode()) == StsRecord(derived(TEXT.encode()))


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("a", True),
        ("aZ09" * 8, True),
        ("", False),
        ("a" * 33, False),
        ("a-b", False),
        ("\u0661", False),
        ("a\n", False),
    ],
)
def test_id_has_up_to_32_letters_and_digits(text: str, right: bool) -> None:
    """Of US-ASCII (RFC 8461 §3.1)."""
    assert is_id(text) is right


@pytest.mark.parametrize(
    ("strings", "found"),
    [
        (("v=STSv1; id=20260101T000000;",), "20260101T000000"),
        (("v=STSv1;id=1",), "1"),
        # other records of the name do not count
        (("v=spf1 -all", "v=STSv1; id=1"), "1"),
        ((), None),
        (("v=spf1 -all",), None),
        # two of them are none (RFC 8461 §3.1)
        (("v=STSv1; id=1", "v=STSv1; id=2"), None),
        # no right record
        (("v=STSv1; id=a-b",), None),
        (("v=STSv1;",), None),
        (("v=STSv1; id=1; x=",), None),
        # not what a version is
        (("v=stsv1; id=1",), None),
        # anything may be published
        (("v=STSv1; id=\xff\udcff",), None),
    ],
)
def test_published_id_is_what_senders_take(strings: tuple[str, ...], found: str | None) -> None:
    """Exactly one right record, else none."""
    assert published(strings) == found


def test_file_has_one_id_for_every_name() -> None:
    """Of the octets in the file, with a person's line ends and all."""
    data = TEXT.replace("\n", "\r\n").encode()
    seen = observed(World(mailcow=FILE_MAILCOW, file=data, aliases={"alias.example": "example.org"}))
    assert current(seen, "example.org") == current(seen, "alias.example", "example.org") == derived(data)


@pytest.mark.parametrize(
    "file",
    [
        PolicyFile(None),
        PolicyFile(b"no policy"),
        # nginx answers 403
        PolicyFile(TEXT.encode(), readable=False),
    ],
)
def test_file_that_senders_cannot_use_has_no_id(file: PolicyFile) -> None:
    """An id would send them to something that they cannot use."""
    seen = replace(observed(World(mailcow=FILE_MAILCOW)), file=Seen(file, NOW))
    assert current(seen, "example.org") is None


def test_native_id_is_known_only_while_its_text_is_served() -> None:
    """An id of an earlier content is never shown for a new one."""
    known = native(PolicyMemory(id_text=TEXT, id="20261124090000"))
    assert current(known, "example.org") == "20261124090000"
    assert current(native(PolicyMemory(id_text=OTHER, id="20261124090000")), "example.org") is None
    assert current(native(), "example.org") is None


def test_alias_domain_has_the_id_of_its_target() -> None:
    """mailcow serves it the target's row."""
    seen = native(PolicyMemory(id_text=TEXT, id="7"))
    assert current(seen, "alias.example", "example.org") == "7"


def test_older_native_mailcow_serves_nothing_to_an_alias_domain() -> None:
    """2025-09 to 2025-12a answer 404."""
    seen = observed(World(mailcow=OLD_NATIVE, served={"example.org": TEXT}))
    assert served_to(seen, "alias.example", "example.org") == Seen(Served(None), NOW)


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, {"a.example"}),
        ({"inactive": frozenset({"a.example"})}, set()),
        ({"served": {}}, set()),
        ({"served": {"a.example": "no policy"}}, set()),
        ({"unseen": frozenset({"served:a.example"})}, set()),
        ({"unseen": frozenset({"domains"})}, set()),
    ],
    ids=["served", "receives no mail", "none", "not valid", "not seen", "domains not seen"],
)
def test_policies_served_are_valid_ones_of_managed_domains_that_receive_mail(
    changes: dict[str, object], found: set[str]
) -> None:
    """These are held to the sender check."""
    world = World(domains=("a.example", "b.example"), served={"a.example": TEXT, "b.example": TEXT})
    seen = observed(replace(world, **changes))  # type: ignore[arg-type]
    served = policies_served(seen, given_settings({"exclude": ["b.example"]}))
    assert served == dict.fromkeys(found, policy())


def test_what_was_not_seen_stays_unseen() -> None:
    """It is not taken for 'nothing is served'."""
    for unseen in ({"mailcow"}, {"served:example.org"}):
        seen = observed(World(unseen=frozenset(unseen)))
        assert isinstance(served_to(seen, "example.org"), Unseen)
        assert current(seen, "example.org") is None


def test_ids_are_wanted_once_for_each_content() -> None:
    """Not again for a text whose id is remembered, not for a domain that is served nothing (any more)."""
    known = PolicyMemory(id_text=TEXT, id="1")
    world = World(
        mailcow=NATIVE, domains=("a.example", "b.example", "c.example", "d.example"),
        served={"a.example": TEXT, "b.example": TEXT},
        unseen=frozenset({"served:d.example"}),
        memory=Memory(policies={"a.example": known, "c.example": known}),
    )  # fmt: skip
    seen = observed(world)
    assert unread(seen) == {"b.example": TEXT}
    assert unread(seen, {"a.example"}) == {}
    assert unread(with_ids(seen, {"b.example": PolicyId(TEXT, "2")})) == {}


def test_id_that_is_known_already_changes_nothing() -> None:
    """The memory is stored only when something in it is replaced."""
    memory = PolicyMemory(id_text=TEXT, id="1")
    assert with_id(memory, PolicyId(TEXT, "1")) is memory
    for found in (PolicyId(TEXT, "2"), PolicyId(OTHER, "1")):
        assert with_id(memory, found) == PolicyMemory(id_text=found.text, id=found.id)


def test_what_was_read_is_remembered() -> None:
    """A pass takes over what was read beside it, and forgets nothing else of the policy for it."""
    seen = replace(native(PolicyMemory(floor="theirs")), ids={"example.org": PolicyId(TEXT, "9")})
    memory = learn(seen, Settings()).policy("example.org")
    assert (memory.id_text, memory.id, memory.floor) == (TEXT, "9", "theirs")
