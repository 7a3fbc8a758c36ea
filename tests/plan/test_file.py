"""The file generation: one text for every name, and whose file it is."""

from dataclasses import replace

import pytest

from sidecar.formats.mtasts_policy import Mode, parse
from sidecar.observed import FILE, Memory, PolicyFile, PolicyMemory, Seen, Unseen, Write
from sidecar.observed.notice import Level
from sidecar.plan import decide
from sidecar.plan.actions import AdoptSame, EditConf, Plan, RemoveFile, WriteFile
from sidecar.settings import Settings
from sidecar.state.ledger import intended
from tests.worlds import (
    DAY,
    FILE_MAILCOW,
    HOST,
    NOW,
    World,
    advance,
    given_settings,
    look,
    observed,
    plan,
    policy,
    span,
    text,
)


def world(**changes: object) -> World:
    """A mailcow of the file generation where nothing else is to be done."""
    conf = {"ADDITIONAL_SAN": "mta-sts.*", "ADDITIONAL_SERVER_NAMES": "mta-sts.*"}
    names = frozenset({HOST, "mta-sts.example.org", "mta-sts.example.net"})
    return World(mailcow=FILE_MAILCOW, conf=conf, names=names, **changes)  # type: ignore[arg-type]


def written(found: Plan) -> list[WriteFile]:
    """The writes of a plan."""
    return [action for action in found.actions if isinstance(action, WriteFile)]


def ours(served: str, floor: str | None = None) -> Memory:
    """The file was written by the sidecar."""
    spans = (span(None, NOW - 30 * DAY, NOW - 29 * DAY), span(served, NOW - 29 * DAY, None))
    return Memory(policies={FILE: PolicyMemory((Write(served, NOW - 29 * DAY, True),), spans, floor)})


def test_missing_file_is_written_in_testing() -> None:
    """The one policy for all domains."""
    assert [w.text for w in written(plan(world()))] == [text(Mode.TESTING, 86_400)]


def test_one_text_has_the_union_of_mx_the_weakest_mode_and_the_smallest_max_age() -> None:
    """And a setting that cannot be honoured alone is a warning."""
    domains = {"example.net": {"mode": "testing", "mx": ["mx.test"]}, "example.org": {"max_age": 1_000_000}}
    settings = given_settings({"mode": "enforce", "domains": domains})
    found = plan(world(domains=("example.org", "example.net")), settings)
    assert parse(written(found)[0].text.encode()) == policy(Mode.TESTING, 86_400, "mx.test", HOST)
    assert {n.subject for n in found.notices if n.code == "file.not_alone"} == {"example.net", "example.org"}


def test_excluded_domain_does_not_count() -> None:
    """Hands off also means: it asks for nothing."""
    settings = given_settings(
        {"mode": "enforce", "exclude": ["example.net"], "domains": {"example.net": {"mode": "testing"}}}
    )
    found = plan(world(domains=("example.org", "example.net")), settings)
    assert "mode: enforce" in written(found)[0].text


def test_one_uncovered_mx_keeps_the_whole_file_in_testing() -> None:
    """The weakest domain holds it back, by name."""
    found = plan(
        world(domains=("example.org", "example.net"), mx={"example.net": ("foreign.example",)}),
        Settings(mode=Mode.ENFORCE),
    )
    assert "mode: testing" in written(found)[0].text
    assert [n.subject for n in found.notices if n.code == "mx.uncovered"] == ["example.net"]


def test_handmade_file_is_taken_over_with_a_backup_and_not_undercut() -> None:
    """Its mode is not lowered, its max_age not shortened, its mx not dropped, now and in later passes."""
    handmade = text(Mode.ENFORCE, 1_209_600, "mx.example.com")
    before = world(file=handmade.encode())
    before, found = look(before)
    (write,) = written(found)
    assert (write.backup, write.floor) == (True, handmade)
    assert parse(write.text.encode()) == policy(Mode.ENFORCE, 1_209_600, HOST, "mx.example.com")
    after, again = look(advance(before, found.actions))
    assert again.actions == ()
    assert after.file == write.text.encode()


def test_settings_that_name_a_field_win_over_the_handmade_file() -> None:
    """`unless the settings say so`."""
    handmade = text(Mode.ENFORCE, 1_209_600, "mx.example.com")
    settings = given_settings({"mode": "testing", "mx": [HOST], "max_age": 604_800})
    (write,) = written(plan(world(file=handmade.encode()), settings))
    assert write.text == text(Mode.TESTING, 86_400)


@pytest.mark.parametrize(
    "looser",
    [text(Mode.TESTING, 604_800), text(Mode.ENFORCE, 86_400), text(Mode.ENFORCE, 604_800, HOST, "more.test")],
    ids=["weaker mode", "shorter max_age", "more mx"],
)
def test_file_that_a_person_made_looser_stays(looser: str) -> None:
    """Somebody may have stopped refused mail at night: the file stays until it is handed back."""
    mine = text(Mode.ENFORCE, 604_800)
    changed = world(file=looser.encode(), memory=ours(mine))
    found = plan(changed, Settings(mode=Mode.ENFORCE))
    assert written(found) == []
    assert "sidecar adopt --file" in str([n.todo for n in found.notices if n.code == "file.foreign"])
    handed_back = replace(changed, memory=replace(changed.memory, adopt=frozenset({FILE})))
    assert len(plan(handed_back, Settings(mode=Mode.ENFORCE)).actions) == 1


def test_file_that_a_person_made_stricter_is_kept_strict() -> None:
    """Its mode is never lowered by taking it over."""
    stricter = text(Mode.ENFORCE, 604_800)
    before, found = look(world(file=stricter.encode(), memory=ours(text())))
    after, again = look(advance(before, found.actions))
    assert again.actions == ()
    assert "mode: enforce" in str(after.file)


def test_unparsable_file_is_replaced_with_a_backup() -> None:
    """Senders can make nothing of it."""
    (write,) = written(plan(world(file=b"version: STSv1\nmode: testing\n")))
    assert write.backup


def test_identical_file_is_adopted_silently() -> None:
    """Nothing to write."""
    assert [type(a) for a in plan(world(file=text().encode())).actions] == [AdoptSame]


@pytest.mark.parametrize("gone", ["domains", "mailcow", "conf", "file"])
def test_nothing_is_written_for_what_was_not_seen(gone: str) -> None:
    """An unseen part leaves the file as it is."""
    assert written(plan(world(unseen=frozenset({gone})))) == []


def test_mailcow_without_domains_leaves_the_file_as_it_is() -> None:
    """There is nothing to say of."""
    assert plan(world(domains=(), file=b"whatever")).actions == ()


def test_locked_file_is_reported_and_not_written() -> None:
    """A link out of the mounted folder."""
    seen = replace(
        observed(replace(world(), conf={})), file=Seen(PolicyFile(None, "it is a link to /elsewhere"), NOW)
    )
    found = decide(seen, Settings())
    assert [type(action) for action in found.actions] == [EditConf], "mailcow.conf is another file"
    assert [n.code for n in found.notices if n.code == "file.locked"] == ["file.locked"]


@pytest.mark.parametrize("file", [None, b"nonsense\n"], ids=["gone", "broken"])
@pytest.mark.parametrize("unknown", [False, True], ids=["DNS answers", "DNS does not answer"])
def test_missing_or_broken_file_is_restored_as_it_was(file: bytes | None, unknown: bool) -> None:
    """In enforce, with the mx of a host that is being moved, whatever the DNS does."""
    mine = text(Mode.ENFORCE, 604_800, HOST, "old.example.org")
    dns = frozenset({"example.org"}) if unknown else frozenset()
    lost = world(file=file, memory=ours(mine), dns_unseen=dns)
    assert [w.text for w in written(plan(lost, Settings(mode=Mode.ENFORCE)))] == [mine]


def test_settings_of_the_domain_that_counts_win_over_the_handmade_file() -> None:
    """The weakest mode of all is what the settings of that domain say, word for word."""
    handmade = text(Mode.ENFORCE, 604_800)
    two = world(domains=("example.org", "example.net"), file=handmade.encode())
    (write,) = written(plan(two, given_settings({"domains": {"example.net": {"mode": "testing"}}})))
    assert "mode: testing" in write.text
    stricter = given_settings({"domains": {"example.net": {"mode": "enforce"}}})
    before, found = look(two, stricter)
    assert [a.text for a in written(found)] in ([], [handmade])
    assert written(look(advance(before, found.actions), stricter)[1]) == []


@pytest.mark.parametrize("off", [set(), {"example.net"}], ids=["", "target switched off"])
def test_one_uncovered_mx_of_an_alias_domain_keeps_the_file_in_testing(off: set[str]) -> None:
    """The file is served for it, too: nginx asks for no target before it serves the one file."""
    found = plan(
        world(
            domains=("example.org", "example.net"),
            inactive=frozenset(off),
            aliases={"alias.example": "example.net"},
            mx={"alias.example": ("foreign.example",)},
        ),
        Settings(mode=Mode.ENFORCE),
    )
    assert "mode: testing" in written(found)[0].text
    assert [n.subject for n in found.notices if n.code == "mx.uncovered"] == ["alias.example"]


# --- names that the one file is served for, though no mail ends here ------------------------------------

LEFT = "mta-sts.left.example"


@pytest.mark.parametrize(
    ("changes", "mode", "why"),
    [
        ({}, Mode.TESTING, "its senders still get the file, and would refuse its mail"),
        ({"inactive": frozenset(), "backup": frozenset({"left.example"})}, Mode.TESTING, "a backup MX"),
        ({"dns_unseen": frozenset({LEFT})}, Mode.TESTING, "nobody knows whether they do"),
        ({"without_address": frozenset({HOST})}, Mode.TESTING, "whose address it has is not known"),
        ({"mx": {"left.example": (HOST,)}}, Mode.ENFORCE, "its MX is covered"),
        ({"mx": {"left.example": ()}}, Mode.ENFORCE, "no MX: it takes no mail"),
        ({"without_address": frozenset({LEFT})}, Mode.ENFORCE, "its policy host is gone"),
        ({"foreign_address": frozenset({LEFT})}, Mode.ENFORCE, "its policy host is elsewhere"),
    ],
)
def test_domain_that_left_holds_enforce_back_while_its_policy_host_leads_here(
    changes: dict[str, object], mode: Mode, why: str
) -> None:
    """Switched off in mailcow, its MX at another provider."""
    left: dict[str, object] = {
        "domains": ("example.org", "left.example"),
        "inactive": frozenset({"left.example"}),
        "mx": {"left.example": ("mx.provider.example",)},
    }
    found = plan(world(**(left | changes)), Settings(mode=Mode.ENFORCE))
    (write,) = written(found)
    assert f"mode: {mode}" in write.text, why
    assert [n.subject for n in found.notices if n.code == "mx.uncovered"] == (
        ["left.example"] if mode is Mode.TESTING else []
    )


@pytest.mark.parametrize("name", ["left.example", "alias.example"])
def test_mx_that_only_a_name_without_mail_here_has_is_not_dropped_from_the_file(name: str) -> None:
    """The domain that was switched off, or its alias: their mail would be refused."""
    before = world(
        domains=("example.org", "left.example"),
        inactive=frozenset({"left.example"}),
        aliases={"alias.example": "left.example"},
        mx={"left.example": (HOST,), "alias.example": (HOST,), name: ("old.example.org",)},
        memory=ours(both := text(Mode.ENFORCE, 604_800, HOST, "old.example.org")),
        file=both.encode(),
    )
    before, _ = look(before, Settings(mode=Mode.ENFORCE))
    _, later = look(replace(before, now=NOW + 30 * DAY), Settings(mode=Mode.ENFORCE))
    assert written(later) == []


def test_mx_given_for_a_domain_that_left_is_in_the_file() -> None:
    """As the notice says that it may be."""
    settings = given_settings({"mode": "enforce", "domains": {"left.example": {"mx": ["mx.other.example"]}}})
    left = world(
        domains=("example.org", "left.example"),
        inactive=frozenset({"left.example"}),
        mx={"left.example": ("mx.other.example",)},
    )
    (write,) = written(plan(left, settings))
    assert parse(write.text.encode()) == policy(Mode.ENFORCE, 604_800, HOST, "mx.other.example")


# --- mailcow was set back from the native generation ----------------------------------------------------


def set_back(enforce: str) -> tuple[World, Plan]:
    """An hour ago each domain was served its own; the file is written, and all is to be retired."""
    spans = (span(None, NOW - 30 * DAY, NOW - 29 * DAY), span(enforce, NOW - 29 * DAY, None))
    native = PolicyMemory((Write(enforce, NOW - 29 * DAY, True),), spans)
    before = world(memory=Memory(policies={"example.org": native}))
    before, found = look(before)
    return advance(before, found.actions), found


def test_what_was_served_natively_counts_when_all_is_retired() -> None:
    """Senders hold it in enforce: `none` is in the file until its max_age is over."""
    before, _ = set_back(text(Mode.ENFORCE, 1_209_600))
    before = replace(before, memory=replace(before.memory, retired=frozenset({FILE})), now=NOW + 60)
    before, found = look(before)
    assert ["mode: none" in write.text for write in written(found)] == [True]
    before = advance(before, found.actions)
    for days in (1, 8, 13.9):
        before, found = look(replace(before, now=NOW + days * DAY))
        assert found.actions == ()
    _, found = look(replace(before, now=NOW + 14 * DAY))
    assert [type(action) for action in found.actions][:1] == [RemoveFile]


@pytest.mark.parametrize(
    ("there", "mx"), [(None, (HOST, "foreign.example")), (b"nonsense", (HOST, "foreign.example")), (None, ())]
)
def test_enforce_is_not_put_back_where_an_mx_is_seen_not_to_be_covered(
    there: bytes | None, mx: tuple[str, ...]
) -> None:
    """A person who removed it may have stopped refused mail: to publish it again, it needs the proof again."""
    seen = world(file=there, memory=ours(text(Mode.ENFORCE, 604_800)), mx={"example.org": mx})
    (write,) = written(plan(seen, Settings(mode=Mode.ENFORCE)))
    assert "mode: testing" in write.text


def test_file_of_a_person_is_not_taken_over_when_all_is_retired() -> None:
    """A file that a person wrote since stays, unless it was adopted."""
    enforce = text(Mode.ENFORCE, 86_400)
    before = world(file=enforce.encode(), memory=replace(ours(text()), retired=frozenset({FILE})))
    found = plan(before)
    assert found.actions == ()
    assert [type(h.action) for h in found.held] == [WriteFile]
    assert "sidecar adopt --file" in str([n.todo for n in found.notices if n.code == "file.foreign"])
    (write,) = written(plan(before, Settings(adopt=True)))
    assert "mode: none" in write.text


def left(
    file: str, settings: Settings, *, wrote: str, adopt: bool = False, locked: str | None = None
) -> Plan:
    """`sidecar retire --all` where no sender can hold an enforce."""
    memory = ours(wrote)
    spans = (span(None, NOW - 40 * DAY, NOW - 30 * DAY), span(file, NOW - 30 * DAY, None))
    memory = replace(
        memory,
        policies={FILE: replace(memory.policy(FILE), spans=spans)},
        retired=frozenset({FILE}),
        adopt=frozenset({FILE} if adopt else ()),
    )
    seen = observed(world(file=file.encode(), memory=memory))
    return decide(replace(seen, file=Seen(PolicyFile(file.encode(), locked), NOW)), settings)


def test_only_our_own_file_and_one_that_was_adopted_is_removed() -> None:
    """Whoever wrote it takes it away, or says that the sidecar may."""
    theirs = text(Mode.TESTING, 172_800)
    assert [type(a) for a in left(text(), Settings(), wrote=text()).actions][:1] == [RemoveFile]
    found = left(theirs, Settings(), wrote=text())
    assert found.actions == ()
    assert [type(h.action) for h in found.held] == [RemoveFile]
    assert "sidecar adopt --file" in str([n.todo for n in found.notices if n.code == "file.foreign"])
    for adopted in (
        left(theirs, Settings(), wrote=text(), adopt=True),
        left(theirs, Settings(adopt=True), wrote=text()),
    ):
        assert [type(a) for a in adopted.actions][:1] == [RemoveFile]


def test_locked_file_is_not_removed() -> None:
    """Neither written nor taken away."""
    found = left(text(), Settings(), wrote=text(), locked="it is a link to /elsewhere")
    assert [(type(h.action), h.reason) for h in found.held] == [(RemoveFile, "it is a link to /elsewhere")]
    assert not any(isinstance(action, RemoveFile) for action in found.actions)
    assert "file.locked" not in {notice.code for notice in found.notices}


def test_file_that_is_gone_already_is_not_removed() -> None:
    """Nothing is left to do."""
    memory = replace(ours(text()), retired=frozenset({FILE}))
    found = plan(world(memory=memory))
    assert not [a for a in (*found.actions, *(h.action for h in found.held)) if isinstance(a, RemoveFile)]


@pytest.mark.parametrize(
    ("adopt", "reported"),
    [(False, "adopted from a person, with a backup"), (True, "adopted on request")],
)
def test_reason_says_why_the_file_of_a_person_is_written(adopt: bool, reported: str) -> None:
    """Stricter than ours: it is adopted in any case."""
    theirs = text(Mode.TESTING, 172_800)
    (write,) = written(plan(world(file=theirs.encode(), memory=ours(text())), Settings(adopt=adopt)))
    assert reported in write.reason
    assert write.backup


def test_mx_that_was_taken_over_stays_unless_the_settings_name_others() -> None:
    """In testing, too, where nothing else keeps it."""
    theirs = text(Mode.TESTING, 86_400, HOST, "theirs.example.org")
    before = world(file=theirs.encode(), memory=ours(theirs, floor=theirs))
    assert written(plan(before)) == []
    (write,) = written(plan(before, given_settings({"mx": [HOST]})))
    assert parse(write.text.encode()) == policy(Mode.TESTING, 86_400, HOST)


@pytest.mark.parametrize("readable", [True, False])
def test_file_that_nginx_may_not_read_is_written_again(readable: bool) -> None:
    """It says the right thing to nobody."""
    seen = observed(world(file=text().encode(), memory=ours(text())))
    seen = replace(seen, file=Seen(PolicyFile(text().encode(), readable=readable), NOW))
    reasons = [write.reason for write in written(decide(seen, Settings()))]
    assert reasons == ([] if readable else ["nginx has no permission to read the policy file"])


def test_mx_of_a_native_policy_is_not_dropped_when_mailcow_is_set_back() -> None:
    """A moved host: senders hold the policy that names it."""
    settings = Settings(mode=Mode.ENFORCE)
    spans = (
        span(None, NOW - 30 * DAY, NOW - 29 * DAY),
        span(text(Mode.ENFORCE, 604_800, "old.example.org"), NOW - 29 * DAY, None),
    )
    before, found = look(world(memory=Memory(policies={"example.org": PolicyMemory(spans=spans)})), settings)
    assert parse(written(found)[0].text.encode()) == policy(Mode.ENFORCE, 604_800, HOST, "old.example.org")
    before, found = look(replace(advance(before, found.actions), now=NOW + 6 * DAY), settings)
    assert written(found) == []
    _, found = look(replace(before, now=NOW + 14 * DAY), settings)
    assert parse(written(found)[0].text.encode()) == policy(Mode.ENFORCE, 604_800, HOST)


def test_file_that_cannot_be_read_is_left_alone_and_reported_as_an_error() -> None:
    """A link in its place may lead anywhere: a person has to look."""
    unseen = Unseen("the policy file was not read: it is a symbolic link", NOW)
    found = decide(replace(observed(world()), file=unseen), Settings())
    assert written(found) == []
    assert [(n.level, n.message) for n in found.notices if n.code == "unseen.file"] == [
        (Level.ERROR, unseen.reason)
    ]


def by_hand(mode: str = "enforce", mx: str = f"{HOST}.", max_age: int = 1_209_600) -> bytes:
    """A file that a person made on Windows, with a comment, a blank line and a final dot."""
    lines = ["version: STSv1", "# we enforce", "", f"mode: {mode}", f"mx: {mx}", f"max_age: {max_age}"]
    return b"\xef\xbb\xbf" + "\r\n".join(lines).encode()


@pytest.mark.parametrize("mode", Mode)
def test_file_that_only_lenient_senders_accept_is_corrected_and_kept(mode: Mode) -> None:
    """Never replaced by `testing`: those senders hold its enforce."""
    found = plan(world(file=by_hand(str(mode), f"{HOST}."), mx={"example.org": (HOST,)}))
    (write,) = written(found)
    kept = parse(write.text.encode())
    expected = mode if mode is not Mode.NONE else Mode.TESTING  # as with a right file in `none`
    assert kept == policy(expected, 1_209_600)
    assert write.backup
    assert write.floor == text(mode, 1_209_600)
    (reported,) = [notice for notice in found.notices if notice.code == "file.mended"]
    assert reported.level is Level.WARNING
    assert "a byte order mark, comment lines, blank lines, final dots in mx" in reported.message


def test_adopted_file_is_corrected_to_what_the_settings_say() -> None:
    """Nothing of what a person wrote is kept as the floor."""
    (write,) = written(
        plan(world(file=by_hand(), mx={"example.org": (HOST,)}), given_settings({"adopt": True}))
    )
    assert (write.text, write.floor) == (text(), None)


def test_file_in_testing_is_corrected_without_proof() -> None:
    """No sender refuses mail because of it; an MX that it does not name is reported elsewhere."""
    found = plan(world(file=by_hand("testing"), mx={"example.org": (HOST, "gw.example")}))
    assert len(written(found)) == 1


def test_corrected_file_stays_as_it_was_meant() -> None:
    """The passes after it neither weaken it nor write again."""
    before = world(file=by_hand(), mx={"example.org": (HOST,)})
    after, first = look(before)
    assert written(first)
    corrected = advance(after, first.actions)
    assert corrected.file == text(Mode.ENFORCE, 1_209_600).encode()
    assert written(plan(corrected)) == []


def test_settings_win_over_a_corrected_file_as_over_a_valid_one() -> None:
    """What config.yml names is its word."""
    settings = given_settings({"mode": "testing", "max_age": 86_400})
    (write,) = written(plan(world(file=by_hand(), mx={"example.org": (HOST,)}), settings))
    right = text(Mode.ENFORCE, 1_209_600).encode()
    (expected,) = written(plan(world(file=right, mx={"example.org": (HOST,)}), settings))
    assert write.text == expected.text


def test_file_that_a_person_made_looser_is_left_alone_whatever_its_form() -> None:
    """Somebody stops refused mail: the byte order mark of his editor changes nothing in that."""
    looser = world(file=by_hand("testing", HOST, 86_400), memory=ours(text(Mode.ENFORCE, 604_800)))
    found = plan(looser)
    assert written(found) == []
    assert {notice.code for notice in found.notices} >= {"file.foreign", "file.mended"}


@pytest.mark.parametrize("config", [{}, {"mode": "auto"}, {"mode": "enforce"}])
@pytest.mark.parametrize(
    ("mx", "unseen", "why"),
    [
        ((HOST, "gw.example"), (), "has the MX gw.example"),
        ((), (), "has no MX record"),
        ((HOST,), ("example.org",), "are not known: time-out"),
    ],
)
def test_enforce_that_only_lenient_senders_know_is_not_brought_to_all_without_proof(
    config: dict[str, object], mx: tuple[str, ...], unseen: tuple[str, ...], why: str
) -> None:
    """Strict senders deliver to such a file's domains today; corrected, it would make them refuse."""
    seen = world(file=by_hand(), mx={"example.org": mx}, dns_unseen=frozenset(unseen))
    found = plan(seen, given_settings(config))
    assert written(found) == []
    (held,) = [held for held in found.held if isinstance(held.action, WriteFile)]
    assert why in held.reason
    assert ("file.foreign" in {notice.code for notice in found.notices}) is not bool(unseen)
    allowed = given_settings({**config, "domains": {"example.org": {"allow_uncovered": True}}})
    assert len(written(plan(seen, allowed))) == 1


@pytest.mark.parametrize(("mx", "writes"), [((), 1), ((HOST,), 1), (("gw.example",), 0)])
def test_domain_that_takes_no_mail_here_needs_no_mx_but_a_covered_one(
    mx: tuple[str, ...], writes: int
) -> None:
    """One file is served for it, too: it would be enforced there."""
    seen = world(
        domains=("example.net", "example.org"), inactive=frozenset({"example.net"}),
        file=by_hand(), mx={"example.org": (HOST,), "example.net": mx},
    )  # fmt: skip
    assert len(written(plan(seen))) == writes


@pytest.mark.parametrize("taken", [text(Mode.TESTING, 3_600).encode(), by_hand("testing", f"{HOST}.", 3_600)])
def test_intent_that_was_never_carried_out_says_nothing_of_a_persons_file(taken: bytes) -> None:
    """The process was killed, or the disk was full, just before the write: the next pass writes."""
    before, first = look(world(file=taken, mx={"example.org": (HOST,)}))
    (write,) = written(first)
    intent = intended(before.memory.policy(FILE), write.text, before.now)
    memory = replace(before.memory, policies={FILE: replace(intent, floor=write.floor)})
    (again,) = written(plan(replace(before, memory=memory)))
    assert again.text == write.text


def test_text_that_a_person_put_back_after_an_unknown_write_is_left_alone() -> None:
    """The write may have been done: then the person made the file less strict since."""
    theirs = text(Mode.TESTING, 3_600)
    spans = (span(None, NOW - 3 * DAY, NOW - DAY), span(theirs, NOW - DAY, None))
    memory = Memory(
        policies={FILE: PolicyMemory((Write(text(Mode.ENFORCE, 604_800), NOW - 2 * DAY, None),), spans)}
    )
    found = plan(world(file=theirs.encode(), mx={"example.org": (HOST,)}, memory=memory))
    assert written(found) == []
    assert "file.foreign" in {notice.code for notice in found.notices}
