"""The story of a mailcow before 2025-09: one policy file serves all names."""

import stat
import time

from demo.promises import Check
from demo.stage import ENFORCED
from demo.story import Telling, policy, shown

TITLE = "mailcow 2025-08: one policy file for all domains (file)"
ORG, NEW = "example.org", "example.edu"
TESTING = policy("testing", 86_400)
LOOSER = policy("none", 300)
SAN_BEFORE, SAN_AFTER = "ADDITIONAL_SAN=smtp.*,imap.* #", "ADDITIONAL_SAN=smtp.*,imap.*,mta-sts.* #"


async def tell(story: Telling) -> None:
    """From a mailcow without MTA-STS to one that maintains it automatically. Raises BrokenPromiseError."""
    before, names = story.stage.conf_file.read_text(), story.stage.certificate()
    await _file(story)
    await _settings(story, before)
    await _environment(story, names)
    await _new_domain(story)
    await _repairs(story)
    await _person(story)
    await _outage(story)


async def _file(story: Telling) -> None:
    story.step(f"The sidecar starts; mailcow has {ORG} and {ENFORCED}")
    await story.promise(
        "mta-sts.txt is there and nginx serves it under both names",
        story.served({ORG: TESTING, ENFORCED: TESTING}),
        expected=shown(TESTING),
    )
    await story.promise(
        f"enforce for {ENFORCED} alone is not possible here, and the log says so",
        story.said(ENFORCED, "serves one file for all"),
        expected="a line that says so",
    )


async def _settings(story: Telling, before: str) -> None:
    conf = story.stage.conf_file
    wanted = before.replace(SAN_BEFORE, SAN_AFTER)
    wanted = wanted.replace("ADDITIONAL_SERVER_NAMES=\n", "ADDITIONAL_SERVER_NAMES=mta-sts.*\n")

    async def edited() -> str | None:
        found = conf.read_text().splitlines()
        other = [line for line in found if line not in wanted.splitlines()]
        if conf.read_text() != wanted:
            return f"other lines: {other}"
        mode = stat.S_IMODE(conf.stat().st_mode)
        return None if mode == 0o600 else f"mode {mode:o}"

    story.step("The settings for the certificate in mailcow.conf")
    await story.promise(
        "mta-sts.* is added to both; comments, passwords, order and mode 600 are unchanged",
        edited,
        expected=f"unchanged except for {SAN_AFTER[:-2]} and ADDITIONAL_SERVER_NAMES=mta-sts.*",
    )
    for line in conf.read_text().splitlines():
        if line.startswith("ADDITIONAL_"):
            story.screen.note(line)

    async def kept() -> str | None:
        last = story.stage.state_dir / "mailcow.conf.last"
        return None if last.exists() and last.read_text() != wanted else f"no other text in {last.name}"

    await story.promise(
        "the old text is kept in the state folder", kept, expected="mailcow.conf.last", within_s=0
    )


async def _environment(story: Telling, names: frozenset[str]) -> None:
    story.step("acme-mailcow was created before that, and would keep its old environment after a restart")
    await story.promise(
        "it was re-created, the names are in the certificate, and no name was lost",
        story.certified(names | {f"mta-sts.{ORG}", f"mta-sts.{ENFORCED}"}),
        expected=f"the names before, mta-sts.{ORG} and mta-sts.{ENFORCED}",
    )
    await story.promise(
        "one order for both", story.started(1), expected="1 start of acme-mailcow", within_s=0
    )


async def _new_domain(story: Telling) -> None:
    await story.acme_sleeps()
    story.step("A domain is added in mailcow's page")
    story.act(f"mailcow: add {NEW}")
    added = time.monotonic()
    story.stage.add_domain(NEW)
    await story.promise("the file serves it already", story.served({NEW: TESTING}), expected=shown(TESTING))

    async def certified() -> str | None:
        return None if f"mta-sts.{NEW}" in story.stage.certificate() else "a certificate without it"

    await story.promise(
        "acme-mailcow was restarted, and its name is in the certificate",
        certified,
        expected=f"mta-sts.{NEW} in the certificate",
        within_s=15,
    )
    story.screen.note(f"{time.monotonic() - added:.1f} s after it was added (the poll is every 5 s here)")


async def _repairs(story: Telling) -> None:
    stage = story.stage
    story.step("Files are damaged")
    story.act("an editor saves an invalid mta-sts.txt")
    stage.policy_file.write_text("version: STSv1\nmode: enforced\n")
    await story.promise("the file is repaired", _bytes(story, TESTING), expected=shown(TESTING), within_s=5)
    story.act("mta-sts.txt is deleted")
    stage.policy_file.unlink()
    await story.promise("the file is restored", _bytes(story, TESTING), expected=shown(TESTING), within_s=5)
    story.act("an editor with an old copy saves mailcow.conf without mta-sts.*")
    text = stage.conf_file.read_text()
    stage.conf_file.write_text(text.replace(SAN_AFTER, SAN_BEFORE))

    async def restored() -> str | None:
        return None if stage.conf_file.read_text() == text else "another text"

    await story.promise("the entry is added again", restored, expected=SAN_AFTER[:-2], within_s=5)


async def _person(story: Telling) -> None:
    story.step("At night, a person makes the policy less strict to stop refused mail")
    story.act("editor: mta-sts.txt to mode none, max_age 300")
    story.stage.policy_file.write_text(LOOSER)
    await story.promise(
        "the sidecar reports it, and how to hand it back",
        story.said("less strict", "sidecar adopt --file"),
        expected="a line with: sidecar adopt --file",
    )
    await story.promise_stays("the person's file stays", _bytes(story, LOOSER), expected=shown(LOOSER))
    await story.command("adopt", "--file")
    await story.promise(
        "handed back, the sidecar manages it again", story.served({ORG: TESTING}), expected=shown(TESTING)
    )


async def _outage(story: Telling) -> None:
    stage = story.stage
    conf = stage.conf_file.read_text()

    async def untouched() -> str | None:
        if stage.conf_file.read_text() != conf:
            return "mailcow.conf was changed"
        return await _bytes(story, TESTING)()

    story.step("mailcow gives wrong answers")
    story.act("mailcow: its database is being restored, the list of domains is empty")
    stage.mailcow.hide_domains()
    await story.promise_stays(
        "nothing is withdrawn for an empty list", untouched, expected="everything as before"
    )
    await story.promise(
        "the sidecar reports why it waits",
        story.said("no policy is withdrawn"),
        expected="a line that says so",
    )
    stage.mailcow.show_domains()
    story.act(f"mailcow: the list is back, and {NEW} is deleted")
    stage.mailcow.delete_domain(NEW)
    await story.promise_stays(
        "the file serves the others as before", story.served({ORG: TESTING}), expected=shown(TESTING)
    )


def _bytes(story: Telling, text: str) -> Check:
    """The file itself, byte by byte, without any leftover file beside it."""

    async def check() -> str | None:
        path = story.stage.policy_file
        found = path.read_bytes() if path.exists() else None
        if found != text.encode():
            return shown(None if found is None else found.decode(errors="replace"))
        kept = {path, story.stage.mailcow.challenge_folder}
        others = sorted(entry.name for entry in path.parent.iterdir() if entry not in kept)
        return f"beside it: {', '.join(others)}" if others else None

    return check
