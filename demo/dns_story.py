"""The story of a mailcow whose DNS the sidecar may write: from 'added in mailcow' to enforce, with no step by hand."""

import asyncio
import time

from demo.promises import Check
from demo.senders import SENDER, Sender
from demo.stage import HOST
from demo.story import Telling, policy, shown

TITLE = "mailcow 2026-07a and its DNS (RFC 2136): from a new domain to enforce, with no step by hand"
PLAIN, IDN, IDN_SHOWN, ALIAS = "example.net", "xn--bcher-kva.example", "bücher.example", "alias.example"
NAMES = (PLAIN, IDN, ALIAS)
TESTING = policy("testing", 86_400)
ENFORCE = policy("enforce", 604_800)
TWO_DAYS_S = 172_800.0
SOAK_STEPS = 6
"""Moves of the clock at most: a week is four of them."""
REPORTS = '"v=TLSRPTv1; rua=mailto:tls@example.org"'


async def tell(story: Telling) -> None:
    """Three domains at once, then an alteration by a person that is left alone. Raises BrokenPromiseError."""
    await _settled_before(story)
    begun = time.monotonic()
    times = await _set_up(story, begun)
    await _soak(story, begun, times)
    await _foreign(story)
    for what, seconds in times.items():
        story.screen.note(f"{seconds:6.1f} s  {what}")


async def _settled_before(story: Telling) -> None:
    story.step("The sidecar starts; mailcow has example.org, and its zone takes DNS updates")
    await story.promise(
        "mailcow's own domain has its three records, each in its turn",
        published(story, "example.org"),
        expected="mta-sts, _smtp._tls and _mta-sts in the DNS",
        within_s=25,
    )


async def _set_up(story: Telling, begun: float) -> dict[str, float]:
    stage = story.stage
    story.step(f"Three domains are added in mailcow: {PLAIN}, {IDN_SHOWN} and the alias domain {ALIAS}")
    for name in NAMES:
        stage.dns.serve_zone(name)
        stage.dns.publish(name, "MX", f"10 {HOST}.")
    stage.mailcow.add_domain(PLAIN)
    stage.mailcow.add_domain(IDN)
    stage.mailcow.add_alias(ALIAS, PLAIN)
    times: dict[str, float] = {}

    async def keeps(text: str, check: Check, expected: str, within_s: float) -> None:
        await story.promise(text, check, expected=expected, within_s=within_s)
        times[text] = time.monotonic() - begun

    await keeps(
        "each is served a policy in testing", story.served(dict.fromkeys(NAMES, TESTING)), shown(TESTING), 10
    )
    await keeps("mta-sts and _smtp._tls are published", _early(story), "a CNAME and a TXT for each", 15)
    await keeps(
        "their names are in the certificate",
        _certified(story),
        "mta-sts of each in the certificate",
        20,
    )
    await keeps(
        "_mta-sts is published last, once the policy was checked",
        published(story, *NAMES),
        "a TXT with the id for each",
        20,
    )
    return times


async def _soak(story: Telling, begun: float, times: dict[str, float]) -> None:
    stage = story.stage
    story.step("Days pass (by the demo's clock), and all checks hold")
    before = {name: stage.dns.values(f"_mta-sts.{name}", "TXT") for name in NAMES}
    await _report(story)
    for _ in range(SOAK_STEPS):
        if await stage.served(PLAIN) == ENFORCE and await stage.served(IDN) == ENFORCE:
            break
        stage.clock.ahead += TWO_DAYS_S
        story.act("two days later")
        await _checked_again(story)
    text = "the policies are in enforce"
    await story.promise(
        text, story.served(dict.fromkeys(NAMES, ENFORCE)), expected=shown(ENFORCE), within_s=15
    )
    await story.promise(
        f"the step up of {PLAIN} names the report as proof",
        story.said("done: change policy", PLAIN, "Google applied this policy"),
        expected="Google applied this policy",
    )
    times[f"{text} (a week of the demo's clock)"] = time.monotonic() - begun

    async def renewed() -> str | None:
        for name in NAMES:
            if stage.dns.values(f"_mta-sts.{name}", "TXT") == before[name]:
                return f"{name} still has the id of testing"
        return await published(story, *NAMES)()

    text = "each _mta-sts has the id of the new policy, so senders fetch it"
    await story.promise(text, renewed, expected="another id for each", within_s=20)
    times[text] = time.monotonic() - begun


async def _report(story: Telling) -> None:
    """A signed report on mail that was delivered under the policy that is served now."""
    story.stage.dns.serve_zone(SENDER)
    message = Sender(story.stage.dns).report(PLAIN, TESTING, ok=40, failed=0)
    file = story.stage.folder / "report.eml"
    await asyncio.to_thread(file.write_bytes, message)
    story.act(f"{SENDER}: a report on 40 sessions with {PLAIN}")
    await story.command("reports", "import", str(file))


async def _checked_again(story: Telling) -> None:
    """A sender check of every domain, by the clock as it is now."""
    moved = story.stage.clock.now()
    story.daemon.reload()

    async def again() -> str | None:
        if not story.stage.reports:
            return "no pass yet"
        checks = story.stage.reports[-1].observed.memory.checks
        late = [name for name in (PLAIN, IDN) if name not in checks or checks[name].at < moved]
        return f"not checked again: {', '.join(late)}" if late else None

    await story.promise("every domain is checked again", again, expected="a check of each", within_s=15)


async def _foreign(story: Telling) -> None:
    stage, name = story.stage, f"_smtp._tls.{IDN}"
    story.step("A person changes a record in the DNS")
    theirs = '"v=TLSRPTv1; rua=mailto:somebody@example.com"'
    story.act(f"DNS: {name}. TXT {theirs}")
    stage.dns.publish(name, "TXT", theirs)
    stage.clock.ahead += TWO_DAYS_S / 2
    story.act("a day later")
    story.look_now()
    await story.promise(
        "the sidecar says so, and how to adopt it",
        story.said(f"sidecar adopt --dns {name}"),
        expected=f"a line with: sidecar adopt --dns {name}",
        within_s=20,
    )

    async def theirs_still() -> str | None:
        found = stage.dns.values(name, "TXT")
        return None if found == (theirs,) else f"{found}"

    await story.promise_stays("it leaves the person's record alone", theirs_still, expected=theirs)
    await story.command("adopt", "--dns", name)

    async def ours_again() -> str | None:
        found = stage.dns.values(name, "TXT")
        return None if found == (REPORTS,) else f"{found}"

    await story.promise("adopted, it is put right", ours_again, expected=REPORTS, within_s=15)


def published(story: Telling, *names: str) -> Check:
    """All three records of each are in the DNS."""

    async def check() -> str | None:
        if (missing := await _early(story, *names)()) is not None:
            return missing
        for name in names:
            found = story.stage.dns.values(f"_mta-sts.{name}", "TXT")
            if len(found) != 1 or not found[0].startswith('"v=STSv1;id='):
                return f"_mta-sts.{name}: {found or 'nothing'}"
        return None

    return check


def _early(story: Telling, *names: str) -> Check:
    async def check() -> str | None:
        for name in names or NAMES:
            host = story.stage.dns.values(f"mta-sts.{name}", "CNAME")
            report = story.stage.dns.values(f"_smtp._tls.{name}", "TXT")
            if host != (f"{HOST}.",) or report != (REPORTS,):
                return f"{name}: {host or 'no CNAME'}, {report or 'no TXT'}"
        return None

    return check


def _certified(story: Telling) -> Check:
    async def check() -> str | None:
        missing = {f"mta-sts.{name}" for name in NAMES} - story.stage.certificate()
        return f"it lacks {', '.join(sorted(missing))}" if missing else None

    return check
