"""The story of a mailcow of 2025-09 or later: each domain has a policy of its own."""

import asyncio
import re
import time
from datetime import UTC, datetime

from demo.promises import Check
from demo.senders import SENDER, Sender, hand_over
from demo.simulated import API, Fault
from demo.stage import ENFORCED, HOST
from demo.story import Telling, policy, shown

TITLE = "mailcow 2026-07a: a policy for each domain (native)"
ORG, COM, NEW, NEW_SHOWN = "example.org", "example.com", "xn--bcher-kva.example", "bücher.example"
TESTING = policy("testing", 86_400)
ENFORCE = policy("enforce", 604_800)
NONE = policy("none", 86_400)
BY_A_PERSON = policy("none", 3_600)
WEEK_S = 604_800


async def tell(story: Telling) -> None:
    """From a mailcow without MTA-STS to one that maintains it automatically. Raises BrokenPromiseError."""
    before = story.stage.certificate()
    await _policies(story)
    await _names(story, before)
    await _record(story, before)
    await _new_domain(story)
    await _reports(story)
    await _person(story)
    await _switched_off(story)
    await _outage(story)
    await _deleted(story)


async def _policies(story: Telling) -> None:
    story.step(f"The sidecar starts; mailcow has {ORG}, {ENFORCED} and {COM}")
    await story.promise(
        f"all three are served; {ENFORCED} in enforce, as config.yml says and its MX allows",
        story.served({ORG: TESTING, ENFORCED: ENFORCE, COM: TESTING}),
        expected=f"{shown(TESTING)} ({ENFORCED}: {shown(ENFORCE)})",
    )
    record = f"publish: mta-sts.{COM}. 120 IN CNAME {HOST}."
    await story.promise(
        f"the log has the missing record: {record}", story.said(record), expected=f"a line with: {record}"
    )


async def _names(story: Telling, before: frozenset[str]) -> None:
    story.step(f"Their names go into the certificate; mta-sts.{COM} is not in the DNS yet")
    wanted = before | {f"mta-sts.{ORG}", f"mta-sts.{ENFORCED}"}
    await story.promise(
        "acme-mailcow was restarted for the two names that resolve, and no name was lost",
        story.certified(wanted),
        expected=f"the names before, mta-sts.{ORG} and mta-sts.{ENFORCED}",
    )
    await story.promise(
        "one restart for both",
        story.started(1),
        expected="1 start of acme-mailcow",
        within_s=0,
    )


async def _record(story: Telling, before: frozenset[str]) -> None:
    await story.acme_sleeps()
    story.step("The record is published")
    story.act(f"DNS: mta-sts.{COM}. CNAME {HOST}.")
    story.stage.publish_record(COM)
    await asyncio.sleep(1)  # as long as a DNS answer stays valid by the demo's settings
    story.look_now()
    wanted = before | {f"mta-sts.{name}" for name in (ORG, ENFORCED, COM)}
    await story.promise(
        f"mta-sts.{COM} is in the certificate, too",
        story.certified(wanted),
        expected=f"the names before and mta-sts.{COM}",
        within_s=15,
    )


async def _new_domain(story: Telling) -> None:
    stage = story.stage
    story.step("A domain is added in mailcow's page")
    story.act(f"mailcow: add {NEW_SHOWN}")
    created = time.time()
    stage.add_domain(NEW)
    took = await story.promise(
        f"{NEW_SHOWN} is served a policy", story.served({NEW: TESTING}), expected=shown(TESTING), within_s=8
    )
    served = created + took
    answered = next((seen.at for seen in stage.mailcow.asked("get/domain/all") if seen.at >= created), served)
    story.screen.note(
        f"{1000 * (served - answered):.0f} ms after the request for the list that has it, "
        f"{took:.1f} s after it was added (the poll is every 5 s here)"
    )
    await story.promise(
        "its name is added to the certificate",
        _has_name(story, f"mta-sts.{NEW}"),
        expected=f"mta-sts.{NEW} in the certificate",
        within_s=15,
    )


async def _reports(story: Telling) -> None:
    stage, sender = story.stage, Sender(story.stage.dns)
    story.step("A sender reports how mail to the domains went (RFC 8460)")
    lines = [line for line in story.log.lines if "TLS reports of senders will be received" in line]
    found = re.search(r"\[127\.0\.0\.1\]:(\d+)", " ".join(lines))
    port = int(found[1]) if found else 0
    story.act(f"{SENDER}: two reports, by mailcow's postfix, to the sidecar's port {port}")
    for domain, failed in ((ORG, 0), (COM, 7)):
        message = sender.report(domain, TESTING, ok=40, failed=failed)
        await asyncio.to_thread(hand_over, port, message)

    def explained(domain: str, *words: str) -> Check:
        async def check() -> str | None:
            said = await stage.command("reports", domain)
            return None if all(word in said for word in words) else said

        return check

    await story.promise(
        f"the report on {COM} is explained: what failed, what it means, what to do",
        explained(COM, "certificate-expired: 7 failed", "Mail is refused under enforce."),
        expected="certificate-expired with its meaning",
    )
    await story.promise(
        f"the one on {ORG} is proof that senders apply the policy that is served",
        explained(ORG, "Google applied this policy on "),
        expected="Google applied this policy",
    )
    await story.command("reports", COM)


async def _person(story: Telling) -> None:
    stage = story.stage
    story.step("A person changes a policy in mailcow's page")
    story.act(f"mailcow: {NEW_SHOWN} to mode none, max_age 3600")
    stage.mailcow.person_sets_policy(NEW, mode="none", mx=HOST, max_age=3_600)
    await story.promise(
        "the sidecar reports it, and how to hand it back",
        story.said("is left unchanged", f"sidecar adopt {NEW_SHOWN}"),
        expected=f"a line with: sidecar adopt {NEW_SHOWN}",
    )
    await story.promise_stays(
        "the person's policy is unchanged",
        story.served({NEW: BY_A_PERSON}),
        expected=shown(BY_A_PERSON),
    )
    await story.command("adopt", NEW_SHOWN)
    await story.promise(
        "handed back, the sidecar manages it again", story.served({NEW: TESTING}), expected=shown(TESTING)
    )


async def _switched_off(story: Telling) -> None:
    story.step("Two domains are switched off in mailcow's page")
    story.act(f"mailcow: {COM} and {ENFORCED} inactive")
    for name in (COM, ENFORCED):
        story.stage.mailcow.edit_domain(name, active=False)
    story.look_now()
    await story.promise(
        f"{COM} was never in enforce: its policy is withdrawn at once",
        story.served({COM: None}),
        expected="nothing",
    )
    await story.promise(
        f"{ENFORCED} was in enforce, and senders cache that for a week: `none` is served first",
        story.served({ENFORCED: NONE}),
        expected=shown(NONE),
    )


async def _outage(story: Telling) -> None:
    stage = story.stage
    there: dict[str, str | None] = {ORG: TESTING, NEW: TESTING, ENFORCED: NONE}
    writes = len(stage.writes())

    async def untouched() -> str | None:
        if (more := len(stage.writes()) - writes) > 0:
            return f"{more} policies were written"
        return await story.served(there)()

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
    story.act("mailcow: its API answers 500")
    stage.mailcow.fail(API, Fault.HTML_500)
    await story.promise_stays(
        "nothing is withdrawn for an error page", untouched, expected="everything as before"
    )
    await story.promise(
        "and the sidecar reports it", story.said("status 500"), expected="a line with: status 500"
    )
    stage.mailcow.heal()
    story.act("mailcow: the API works again")
    await story.promise_stays(
        "and nothing is written when it is back", untouched, expected="everything as before"
    )


async def _deleted(story: Telling) -> None:
    stage = story.stage
    story.step(f"{ENFORCED} is deleted in mailcow's page, and so is its policy")
    story.act(f"mailcow: delete {ENFORCED}")
    stage.mailcow.delete_domain(ENFORCED)
    story.look_now()
    until = datetime.fromtimestamp(time.time() + WEEK_S, UTC).strftime("%Y-%m-%d")
    await story.promise(
        f"the sidecar reports until when senders may apply their cached policy: {until}",
        story.said(f"{ENFORCED} was deleted", "senders may apply", until),
        expected=f"a line with {until}",
    )
    await story.promise_stays(
        "the others are served as before",
        story.served({ORG: TESTING, NEW: TESTING, COM: None, ENFORCED: None}),
        expected=f"{ORG} and {NEW_SHOWN}: {shown(TESTING)}",
        passes=1,
    )


def _has_name(story: Telling, name: str) -> Check:
    async def check() -> str | None:
        return None if name in story.stage.certificate() else "a certificate without it"

    return check
